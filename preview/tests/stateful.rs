//! The types that the gate takes for stateful are those that cfn-lint does.

#![allow(clippy::unwrap_used, clippy::panic, clippy::exit)]

mod support;

use std::process::Command;

use preview::changes::{OURS, STATEFUL};
use support::peers;

#[test]
fn the_stateful_types_are_those_of_cfn_lint() {
    let print = "import cfnlint, json, pathlib\n\
                 path = pathlib.Path(cfnlint.__file__).parent / 'data/AdditionalSpecs/StatefulResources.json'\n\
                 print('\\n'.join(sorted(json.loads(path.read_text())['ResourceTypes'])))";
    let output = Command::new(peers::get("PEERS_PYTHON")).args(["-c", print]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let theirs = String::from_utf8(output.stdout).unwrap();
    assert_eq!(theirs.lines().collect::<Vec<_>>(), STATEFUL);
    assert!(OURS.iter().all(|kind| !STATEFUL.contains(kind)));
}
