//! What alembic, uvicorn, SQLAlchemy and PostgreSQL say when they fail, and
//! which fault that is. Each row is from captured output.

use crate::status::Code;

/// Texts and the fault that each names; the first row that matches holds.
const PATTERNS: &[(&str, Code)] = &[
    // runc, by way of `docker start`, and the shell
    ("executable file not found in $PATH", Code::MigrationCommandMissing),
    ("exec: \"alembic\"", Code::MigrationCommandMissing),
    ("alembic: not found", Code::MigrationCommandMissing),
    ("alembic: command not found", Code::MigrationCommandMissing),
    // python -m; a module that is missing inside the migration comes with quotes
    ("python: No module named ", Code::MigrationCommandMissing),
    ("python3: No module named ", Code::MigrationCommandMissing),
    // alembic 1.x
    ("Multiple head revisions are present", Code::MigrationMultipleHeads),
    ("Can't locate revision identified by", Code::MigrationRevisionUnknown),
    // PostgreSQL 15, through psycopg, asyncpg or psql
    ("password authentication failed", Code::DatabaseAuth),
    ("pg_hba.conf rejects connection", Code::DatabaseAuth),
    ("server does not support SSL", Code::DatabaseTls),
    ("rejected SSL upgrade", Code::DatabaseTls),
    ("root certificate file", Code::DatabaseTls),
    ("no pg_hba.conf entry", Code::DatabaseAuth),
    ("no password supplied", Code::DatabaseAuth),
    ("InvalidPasswordError", Code::DatabaseAuth),
    ("too many connections", Code::DatabaseTooManyConnections),
    ("too many clients already", Code::DatabaseTooManyConnections),
    ("remaining connection slots are reserved", Code::DatabaseTooManyConnections),
    ("the database system is ", Code::DatabaseNotReady), // starting up, shutting down, in recovery mode
    ("ReadOnlySqlTransaction", Code::DatabaseReadOnly),
    ("ReadOnlySQLTransaction", Code::DatabaseReadOnly),
    ("in a read-only transaction", Code::DatabaseReadOnly),
    ("invalid connection option", Code::DatabaseUrlInvalid),
    ("invalid URI query parameter", Code::DatabaseUrlInvalid),
    // PgBouncer 1.18
    ("FATAL:  no such database: ", Code::DatabaseMissing),
    ("terminating connection due to administrator command", Code::DatabaseRefused),
    ("UndefinedTable", Code::RelationMissing),
    ("UndefinedTableError", Code::RelationMissing),
    ("could not translate host name", Code::DatabaseDns),
    ("failed to resolve host", Code::DatabaseDns),
    ("Connection refused\n\tIs the server running", Code::DatabaseRefused),
    // The same as our records keep it: without control characters.
    ("Connection refused\n Is the server running", Code::DatabaseRefused),
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
    Code::DatabaseMissing,
    Code::DatabaseTls,
    Code::DatabaseReadOnly,
    Code::DatabaseUrlInvalid,
    Code::RelationMissing,
];

/// The fault that an output names, if it names one.
#[must_use]
pub fn code_in(output: &str) -> Option<Code> {
    let known = PATTERNS.iter().find(|(pattern, _)| output.contains(pattern)).map(|(_, code)| *code);
    known.or_else(|| {
        let missing = |what| does_not_exist(output, what);
        match () {
            () if missing("relation \"") => Some(Code::RelationMissing),
            () if missing("FATAL:  database \"") => Some(Code::DatabaseMissing),
            () if missing("FATAL:  role \"") => Some(Code::DatabaseAuth),
            () => None,
        }
    })
}

/// Whether trying again cannot help.
#[must_use]
pub fn is_final(code: Code) -> bool {
    FINAL.contains(&code)
}

/// `relation "tasks" does not exist`, as `what` begins it.
fn does_not_exist(output: &str, what: &str) -> bool {
    output.match_indices(what).any(|(at, _)| {
        // `column "due" of relation "tasks" does not exist` is not about the table.
        let (before, rest) = (&output[..at], &output[at + what.len()..]);
        !before.ends_with(" of ")
            && rest.split_once('"').is_some_and(|(_, after)| after.starts_with(" does not exist"))
    })
}

/// The step in a line of alembic's output: `Running upgrade A -> B, message`.
/// Before the first revision there is none, which alembic prints as nothing.
#[must_use]
pub fn step(line: &str) -> Option<(Option<String>, String)> {
    let (_, step) = line.split_once("Running upgrade ")?;
    let (from, rest) = step.split_once("-> ")?;
    let to = rest.split([',', ' ']).next().unwrap_or_default();
    let from = Some(from.trim().to_owned()).filter(|from| !from.is_empty());
    Some((from, to.to_owned()))
}

/// The line of an output that says most about a failure: the last Python
/// exception, else the last line that calls itself an error, else the last.
#[must_use]
pub fn key_line(output: &str) -> &str {
    let last = |holds: fn(&str) -> bool| output.lines().map(str::trim).rfind(|line| holds(line));
    let error = || last(|line| ["ERROR:", "FATAL:", "FAILED:"].iter().any(|word| line.contains(word)));
    let any = || last(|line| !line.is_empty());
    let line = last(is_exception).or_else(error).or_else(any).unwrap_or("no output");
    if line.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count() * 8 > line.chars().count() {
        return "its output is not text";
    }
    // Before that libpq says where it connected to, which the user knows.
    if let Some(at) = line.find("FATAL:") {
        return &line[at..];
    }
    // SQLAlchemy names the driver's error in brackets, after a name of its own for it.
    let drivers = line.strip_prefix("sqlalchemy.exc.").and_then(|rest| rest.split_once(": ("));
    drivers.map_or(line, |(name, _)| &line["sqlalchemy.exc.".len() + name.len() + 2..])
}

/// `sqlalchemy.exc.OperationalError: …`, as Python ends a traceback.
fn is_exception(line: &str) -> bool {
    let name = line.split_once(':').map_or(line, |(name, _)| name);
    let dotted = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b));
    // psycopg and asyncpg name PostgreSQL's conditions as they are: `psycopg.errors.UndefinedTable`.
    let named = ["psycopg.errors.", "asyncpg.exceptions."].iter().any(|driver| name.starts_with(driver));
    dotted && (named || name.ends_with("Error") || name.ends_with("Exception"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_the_revisions_on_both_sides() {
        let line = "INFO  [alembic.runtime.migration] Running upgrade 1975ea83b712 -> ae1027a6acf, seed";
        assert_eq!(step(line), Some((Some("1975ea83b712".to_owned()), "ae1027a6acf".to_owned())));
        let first = "INFO  [alembic.runtime.migration] Running upgrade  -> 1975ea83b712, create tasks";
        assert_eq!(step(first), Some((None, "1975ea83b712".to_owned())));
        assert_eq!(step("INFO  [alembic.runtime.migration] Will assume transactional DDL."), None);
    }

    #[test]
    fn the_key_line_is_the_exception_and_not_what_follows_it() {
        let sqlalchemy = "Traceback (most recent call last):\n  File \"env.py\", line 20\n\
            sqlalchemy.exc.OperationalError: (psycopg.OperationalError) connection refused\n\
            (Background on this error at: https://sqlalche.me/e/20/e3q8)";
        assert!(key_line(sqlalchemy).starts_with("(psycopg.OperationalError) connection"));
        let psycopg =
            "psycopg.errors.UndefinedTable: relation \"t\" does not exist\nLINE 1: SELECT * FROM t\n   ^";
        assert!(key_line(psycopg).starts_with("psycopg.errors.UndefinedTable: relation"));
        let psql =
            "BEGIN\npsql:/job/check.sql:3: ERROR:  relation \"t\" does not exist\nLINE 1: SELECT\n    ^";
        assert!(key_line(psql).starts_with("psql:/job/check.sql:3: ERROR:"));
        let refused = "sqlalchemy.exc.OperationalError: (psycopg.OperationalError) connection failed: connection \
                       to server at \"10.0.0.5\", port 5432 failed: FATAL:  database \"apo\" does not exist";
        assert_eq!(key_line(refused), "FATAL:  database \"apo\" does not exist");
        assert_eq!(key_line("loading\nout of luck\n\n"), "out of luck");
        assert_eq!(key_line(" \n"), "no output");
        assert_eq!(key_line("begun\n\u{fffd}\u{fffd}@\u{fffd}4 \u{fffd}"), "its output is not text");
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
            ("FATAL:  database \"apo\" does not exist", Code::DatabaseMissing),
            ("FATAL:  role \"apo\" does not exist", Code::DatabaseAuth),
            ("FATAL:  the database system is starting up", Code::DatabaseNotReady),
            (
                "FATAL:  no pg_hba.conf entry for host \"10.0.0.9\", user \"app\", database \"app\", no encryption",
                Code::DatabaseAuth,
            ),
            (
                "FATAL:  no pg_hba.conf entry for host \"10.0.0.9\", user \"app\", SSL encryption",
                Code::DatabaseAuth,
            ),
            ("failed: server does not support SSL, but SSL was required", Code::DatabaseTls),
            ("root certificate file \"/root/.postgresql/root.crt\" does not exist", Code::DatabaseTls),
            ("ConnectionError: PostgreSQL server at \"db:5432\" rejected SSL upgrade", Code::DatabaseTls),
            (
                "psycopg.errors.ReadOnlySqlTransaction: cannot execute CREATE TABLE in a read-only transaction",
                Code::DatabaseReadOnly,
            ),
            ("psycopg.ProgrammingError: invalid connection option \"sslmod\"", Code::DatabaseUrlInvalid),
            ("FATAL:  no such database: apo", Code::DatabaseMissing),
        ] {
            assert_eq!(code_in(output), Some(code), "{output}");
        }
        for output in [
            "relation \"x\" was created; it does not exist elsewhere",
            "psycopg.errors.UndefinedColumn: column \"due\" of relation \"tasks\" does not exist",
            "ERROR:  constraint \"tasks_pkey\" of relation \"tasks\" does not exist",
        ] {
            assert_eq!(code_in(output), None, "{output}");
        }
    }
}
