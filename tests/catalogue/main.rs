//! The fault catalogue: every way in which the world can fail, a row each. A row is a test of its
//! own: `cargo nextest run --test catalogue imds::` runs one seam's, a whole name one row.
//! `scripts/catalogue` runs rows and prints them as a table; docs/faults.md holds the same table.

// A whole deployment is one future in the rows of the clock.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod build;
mod case;
mod clock;
mod database;
mod engine;
mod health;
mod host;
mod image;
mod imds;
mod journal;
mod migration;
mod parameters;
mod registry;
mod report;
mod scene;
mod signals;
mod source;
mod start;
mod table;
mod watch;

use std::process::ExitCode;

use case::Case;
use support::page::run_rows;

/// Every row, seam by seam.
fn rows() -> Vec<Case> {
    [
        imds::rows(),
        parameters::rows(),
        report::rows(),
        registry::rows(),
        image::rows(),
        source::rows(),
        clock::rows(),
        build::rows(),
        engine::rows(),
        database::rows(),
        migration::rows(),
        start::rows(),
        health::rows(),
        host::rows(),
        journal::rows(),
        signals::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn main() -> ExitCode {
    let suite = ("no_two_rows_are_alike", "faults.md", "catalogue");
    run_rows(suite, rows, Case::name, table::markdown, |row| {
        let mut said = String::new();
        let held = row.run(&mut said);
        table::record(row, held.is_ok(), &said);
        held
    })
}
