//! The catalogue as a table: what was held in the last runs, and what the docs say.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::case::Case;

/// The cells of a page's first table row that begins so.
fn cells(page: &str, begin: &str) -> Vec<String> {
    let row = page.lines().find(|line| line.starts_with(begin));
    row.unwrap_or_default().split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// What was tried in all, of this page and of those that the other suites and the long runs have written.
fn totals(rows: &[Case]) -> String {
    let seams: BTreeSet<&str> = rows.iter().map(|row| row.seam).collect();
    let kill = cells(include_str!("../../docs/soak/kill.md"), "| all |");
    let hostile = include_str!("../../docs/hostile.md");
    let inputs = hostile.lines().find_map(|line| line.split_once(" inputs: ")).unwrap_or_default().0;
    let fuzz = include_str!("../../docs/soak/fuzz.md").lines().filter_map(|line| line.split('|').nth(3));
    let executions: u64 = fuzz.filter_map(|cell| cell.trim().parse::<u64>().ok()).sum();
    format!(
        "| what was tried | how much | page |\n|---|---|---|\n\
         | faults | {} at {} seams, each a test | this one |\n\
         | kills, stops and torn files | {} of which {} held; {} not tried yet | [soak/kill.md](soak/kill.md) |\n\
         | hostile inputs | {inputs}, each a test | [hostile.md](hostile.md) |\n\
         | fuzz executions | {executions} | [soak/fuzz.md](soak/fuzz.md) |\n\n",
        rows.len(),
        seams.len(),
        kill[3],
        kill[4],
        kill[5]
    )
}

/// The table, with what was tried in all above it.
pub fn markdown(rows: &[Case]) -> String {
    let mut table = totals(rows);
    table.push_str("| seam | what is broken | outcome | fault | tries | exit | service |\n|---|---|---|---|---|---|---|\n");
    for Case { seam, broken, wants, .. } in rows {
        let fault = match (wants.class, wants.fault) {
            (Some(class), Some(fault)) => format!("{class}: `{fault}`"),
            _ => "none".to_owned(),
        };
        let tries = wants.attempts.map(|tries| tries.to_string()).unwrap_or_default();
        let (outcome, exit, service) = (wants.outcome, wants.exit, wants.service);
        writeln!(table, "| {seam} | {broken} | {outcome} | {fault} | {tries} | {exit} | {service} |")
            .unwrap();
    }
    table
}

/// Leaves the row's result where `scripts/catalogue` collects it.
pub fn record(row: &Case, held: bool, said: &str) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("catalogue");
    std::fs::create_dir_all(&folder).unwrap();
    let Case { seam, broken, wants, .. } = row;
    let (outcome, fault) = (wants.outcome, wants.fault.unwrap_or("-"));
    let held = if held { "held" } else { "NOT HELD" };
    let line = format!("{seam}\t{broken}\t{outcome}\t{fault}\t{held}\t{said}\n");
    std::fs::write(folder.join(row.name().replace("::", ".")), line).unwrap();
}
