//! The real parts that `scripts/peers up` has started.

use std::path::Path;

/// What `.cache/peers/env` has under this name; the environment comes first. Panics with what to do.
pub fn get(name: &str) -> String {
    if let Ok(value) = std::env::var(name) {
        return value;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/peers/env");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; run scripts/peers up", path.display()));
    let mut found = text.lines().filter_map(|line| line.split_once('=')).filter(|(key, _)| *key == name);
    found
        .next()
        .unwrap_or_else(|| panic!("{} has no {name}; run scripts/peers up", path.display()))
        .1
        .to_owned()
}
