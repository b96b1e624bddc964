//! The tarball's way into a build: checked whole, then gunzipped, re-rooted and streamed.
//!
//! `cargo test --bench tarball -- FILE.tar.gz` prints the seconds that took, the bytes that a build
//! would get, and the most memory that was held, in KiB.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark for the terminal")]

use std::fs::File;
use std::pin::pin;
use std::time::Instant;

use futures_util::StreamExt as _;
use preview_agent::github::{Archive, Limits, Request};

fn main() {
    let path = std::env::args().nth(1).unwrap();
    let request = Request {
        api_url: String::new(),
        repository: "acme/big".into(),
        reference: "main".into(),
        token: None,
        context: ".".into(),
        dockerfile: "Dockerfile".into(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let begun = Instant::now();
    let bytes = runtime.block_on(async {
        let archive =
            Archive::inspect(File::open(path).unwrap(), &request, &Limits::default()).await.unwrap();
        let mut context = pin!(archive.context());
        let mut bytes = 0;
        while let Some(chunk) = context.next().await {
            bytes += chunk.unwrap().len();
        }
        bytes
    });
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("{:.3} {bytes} {}", begun.elapsed().as_secs_f64(), peak.split_whitespace().next().unwrap());
}
