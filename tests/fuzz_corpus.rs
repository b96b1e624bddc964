//! Every input of the fuzz corpora keeps its promise, on a plain toolchain too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../fuzz/src/lib.rs"]
mod properties;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use properties::TARGETS;

fn below(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn stems(paths: &[PathBuf]) -> BTreeSet<String> {
    paths.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn replay(target: &str) {
    let (_, check) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let inputs = below(&format!("corpus/{target}"));
    assert!(inputs.len() >= 8, "{} inputs", inputs.len());
    for path in inputs {
        // libtest shows it where the property panics.
        println!("{}", path.display());
        check(&fs::read(path).unwrap());
    }
}

#[test]
fn each_target_has_its_corpus_and_its_entry() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(stems(&below("corpus")), targets);
    assert_eq!(stems(&below("fuzz_targets")), targets);
}

#[test]
fn no_archive_of_the_corpus_leaves_the_context() {
    replay("archive");
}

#[test]
fn each_configuration_of_the_corpus_is_understood_or_refused_without_repeating_it() {
    replay("config");
}

#[test]
fn no_database_url_of_the_corpus_is_repeated() {
    replay("database_url");
}

#[test]
fn each_docker_stream_of_the_corpus_ends_in_a_short_error_and_clean_lines() {
    replay("docker_stream");
}

#[test]
fn each_image_name_of_the_corpus_is_read_back_the_same() {
    replay("image_reference");
}

#[test]
fn no_metadata_document_of_the_corpus_brings_more_than_short_lines() {
    replay("imds");
}

#[test]
fn no_secret_of_the_corpus_is_left_in_a_line() {
    replay("redact");
}
