//! What alembic, uvicorn, SQLAlchemy and PostgreSQL say when they fail, and
//! which fault that is. Each row is from captured output.

use crate::status::Code;

/// Words and their meaning; the first row that matches holds.
const WORDS: &[(&str, Code)] = &[
    // runc, by way of `docker start`, and the shell
    ("executable file not found in $PATH", Code::MigrationCommandMissing),
    ("exec: \"alembic\"", Code::MigrationCommandMissing),
    ("alembic: not found", Code::MigrationCommandMissing),
    ("alembic: command not found", Code::MigrationCommandMissing),
    ("No module named alembic", Code::MigrationCommandMissing),
    // alembic 1.x
    ("Multiple head revisions are present", Code::MigrationMultipleHeads),
    ("Can't locate revision identified by", Code::MigrationRevisionUnknown),
    // PostgreSQL 15, through psycopg, asyncpg or psql
    ("password authentication failed", Code::DatabaseAuth),
    ("no pg_hba.conf entry", Code::DatabaseAuth),
    ("no password supplied", Code::DatabaseAuth),
    ("InvalidPasswordError", Code::DatabaseAuth),
    ("too many connections", Code::DatabaseTooManyConnections),
    ("too many clients already", Code::DatabaseTooManyConnections),
    ("remaining connection slots are reserved", Code::DatabaseTooManyConnections),
    ("UndefinedTable", Code::RelationMissing),
    ("UndefinedTableError", Code::RelationMissing),
    ("could not translate host name", Code::DatabaseDns),
    ("failed to resolve host", Code::DatabaseDns),
    ("Connection refused\n\tIs the server running", Code::DatabaseRefused),
    ("port 5432 failed: Connection refused", Code::DatabaseRefused),
    ("failed: timeout expired", Code::DatabaseTimeout),
    ("connection timeout expired", Code::DatabaseTimeout),
];

/// What cannot succeed however often it is tried again.
const FINAL: &[Code] = &[
    Code::MigrationCommandMissing,
    Code::MigrationMultipleHeads,
    Code::MigrationRevisionUnknown,
    Code::DatabaseAuth,
];

/// The fault that an output names, if it names one.
#[must_use]
pub fn meaning(output: &str) -> Option<Code> {
    let known = WORDS.iter().find(|(words, _)| output.contains(words)).map(|(_, code)| *code);
    known.or_else(|| missing_relation(output).then_some(Code::RelationMissing))
}

/// Whether trying again cannot help.
#[must_use]
pub fn is_final(code: Code) -> bool {
    FINAL.contains(&code)
}

/// `relation "tasks" does not exist`
fn missing_relation(output: &str) -> bool {
    output
        .split("relation \"")
        .skip(1)
        .any(|rest| rest.split_once('"').is_some_and(|(_, after)| after.starts_with(" does not exist")))
}

/// The revisions that alembic moved through: before the first step and after
/// the last, from `Running upgrade A -> B, message`. Before the first revision
/// there is none, which alembic prints as nothing.
#[must_use]
pub fn revisions<'a>(lines: impl Iterator<Item = &'a str>) -> Option<(Option<String>, String)> {
    let mut moved: Option<(Option<String>, String)> = None;
    for line in lines {
        let Some((_, step)) = line.split_once("Running upgrade ") else { continue };
        let Some((from, rest)) = step.split_once("-> ") else { continue };
        let to = rest.split([',', ' ']).next().unwrap_or_default().trim().to_owned();
        let from = Some(from.trim().to_owned()).filter(|from| !from.is_empty());
        let first = moved.take().map_or(from, |(first, _)| first);
        moved = Some((first, to));
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_the_first_before_and_the_last_after() {
        let lines = [
            "INFO  [alembic.runtime.migration] Running upgrade  -> 1975ea83b712, create tasks",
            "INFO  [alembic.runtime.migration] Running upgrade 1975ea83b712 -> ae1027a6acf, seed",
        ];
        assert_eq!(revisions(lines.into_iter()), Some((None, "ae1027a6acf".to_owned())));
        assert_eq!(
            revisions(lines[1..].iter().copied()),
            Some((Some("1975ea83b712".to_owned()), "ae1027a6acf".to_owned()))
        );
        assert_eq!(revisions(["nothing to do"].into_iter()), None);
    }

    #[test]
    fn captured_output_is_recognised() {
        for (output, code) in [
            ("psycopg.errors.UndefinedTable: relation \"tasks\" does not exist", Code::RelationMissing),
            ("ERROR:  relation \"tasks\" does not exist\nLINE 1: SELECT", Code::RelationMissing),
            (
                "FAILED: Multiple head revisions are present for given argument 'head'",
                Code::MigrationMultipleHeads,
            ),
            ("FAILED: Can't locate revision identified by 'deadbeef'", Code::MigrationRevisionUnknown),
            (
                "connection to server at \"10.0.0.5\", port 5432 failed: FATAL:  password authentication failed for user \"app\"",
                Code::DatabaseAuth,
            ),
            ("FATAL:  sorry, too many clients already", Code::DatabaseTooManyConnections),
        ] {
            assert_eq!(meaning(output), Some(code), "{output}");
        }
        assert_eq!(meaning("relation \"x\" was created; it does not exist elsewhere"), None);
    }
}
