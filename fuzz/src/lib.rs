//! What holds for every input: one property function for each parser that meets
//! foreign bytes.
//!
//! Fuzz targets call them with bytes of libFuzzer's; `tests/fuzz_corpus.rs`
//! includes this file by its path and calls them with the corpus. A property
//! that does not hold panics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub, dead_code)]

pub mod archive;
pub mod config;
pub mod database_url;
pub mod docker_stream;
pub mod image_reference;
pub mod imds;
pub mod redact;
mod serve;

/// Panics where the property does not hold for these bytes.
pub type Property = fn(&[u8]);

/// Every target by name: its corpus is the folder of that name.
pub const TARGETS: [(&str, Property); 7] = [
    ("archive", archive::check),
    ("config", config::check),
    ("database_url", database_url::check),
    ("docker_stream", docker_stream::check),
    ("image_reference", image_reference::check),
    ("imds", imds::check),
    ("redact", redact::check),
];

/// A secret that inputs carry. No message may repeat it: no name, host or path has a `$`.
pub const CANARY: &str = "canary$hunter2";

/// Nothing that can drive a terminal, and no more than so many bytes.
#[track_caller]
fn fit_to_show(text: &str, most: usize) {
    assert!(text.len() <= most, "{} bytes", text.len());
    let odd = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(odd, None, "{text:?}");
}

/// One runtime for each thread: making one for each input would be most of the work.
fn block_on<F: Future>(future: F) -> F::Output {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}
