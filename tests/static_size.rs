//! The executable that instances download stays as small as it was measured to be.

#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::releases::static_agent;

/// Bytes of the static executable as docs/performance.md gives them.
const MEASURED: u64 = 7_903_872;

#[test]
fn the_static_executable_is_at_most_3_percent_larger_than_measured() {
    let bytes = static_agent().metadata().unwrap().len();
    assert!(bytes <= MEASURED + MEASURED * 3 / 100, "{bytes} bytes, {MEASURED} were measured");
}
