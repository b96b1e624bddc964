//! The rows as a page of the docs.

use std::fmt::Write as _;

use crate::row::Row;

/// A table for each kind, and how many there are above them.
pub fn markdown(rows: &[Row]) -> String {
    let mut kinds: Vec<&str> = rows.iter().map(|row| row.kind).collect();
    kinds.dedup();
    let count = |kind: &str| rows.iter().filter(|row| row.kind == kind).count();
    let counts: Vec<String> = kinds.iter().map(|kind| format!("{} {kind}", count(kind))).collect();
    let mut page = format!("{} inputs: {}.\n", rows.len(), counts.join(", "));
    for kind in kinds {
        write!(page, "\n### {kind}\n\n| input | what comes of it | memory |\n|---|---|---|\n").unwrap();
        for Row { input, becomes, mebibytes, .. } in rows.iter().filter(|row| row.kind == kind) {
            let memory = mebibytes.map(|most| format!("{most} MiB")).unwrap_or_default();
            writeln!(page, "| {} | {} | {memory} |", cell(input), cell(becomes)).unwrap();
        }
    }
    page
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ").replace('<', "&lt;")
}
