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

use libtest_mimic::{Arguments, Trial};
use row::Row;
use support::page::{is_in_the_docs, no_two_are_alike};

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
    let mut tests = vec![
        Trial::test("no_two_inputs_are_alike", || {
            no_two_are_alike(rows().iter().map(Row::name)).map_err(Into::into)
        }),
        Trial::test("the_table_in_the_docs_is_this_one", || {
            is_in_the_docs("hostile.md", "hostile", &page::markdown(&rows())).map_err(Into::into)
        }),
    ];
    tests
        .extend(rows().into_iter().map(|row| Trial::test(row.name(), move || row.run().map_err(Into::into))));
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}
