//! Hostile input, a row each: what an attacker, a broken proxy or a typing error could feed the
//! agent, and what comes of it. A row is a test of its own: `cargo nextest run --test hostile
//! archive::` runs one kind, a whole name one row. docs/hostile.md is written from the same rows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod archives;
mod borders;
mod configs;
mod containers;
mod links;
mod metadata;
mod page;
mod parameters;
mod row;
mod streams;

use std::process::ExitCode;

use row::Row;
use support::page::run_rows;

/// Every row, kind by kind.
fn rows() -> Vec<Row> {
    [
        archives::rows(),
        links::rows(),
        streams::rows(),
        containers::rows(),
        metadata::rows(),
        parameters::rows(),
        configs::rows(),
        borders::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn main() -> ExitCode {
    let suite = ("no_two_inputs_are_alike", "hostile.md", "hostile");
    run_rows(suite, rows, Row::name, page::markdown, Row::run)
}
