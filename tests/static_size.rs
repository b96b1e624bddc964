//! The executable that instances download stays as small as it was measured to be.

#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::releases::static_agent;

/// Bytes of the static executable: 8,298,864 were measured with the login to PostgreSQL, which was to
/// cost half a megabyte at most.
const MOST: u64 = 8_450_000;

#[test]
fn the_static_executable_is_no_larger_than_it_may_be() {
    let bytes = static_agent().metadata().unwrap().len();
    assert!(bytes <= MOST, "{bytes} bytes");
}
