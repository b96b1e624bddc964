//! The `agent` binary: wiring only.

fn main() {}
