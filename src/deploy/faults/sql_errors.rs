//! Errors of SQL that a second try meets again: those of the SQLSTATE classes 22 (data), 23 (integrity) and
//! 42 (syntax, names and rights), as Python's drivers name them (psycopg's documentation, "SQLSTATE
//! exception classes").

/// What SQLAlchemy makes of nearly all of them.
const SQLALCHEMY: [&str; 3] =
    ["sqlalchemy.exc.DataError", "sqlalchemy.exc.IntegrityError", "sqlalchemy.exc.ProgrammingError"];

/// The conditions that migrations meet, by PostgreSQL's own names.
const CONDITIONS: &[&str] = &[
    // 22
    "DatetimeFieldOverflow",
    "DivisionByZero",
    "InvalidDatetimeFormat",
    "InvalidParameterValue",
    "InvalidTextRepresentation",
    "NullValueNotAllowed",
    "NumericValueOutOfRange",
    "StringDataRightTruncation",
    // 23
    "CheckViolation",
    "ExclusionViolation",
    "ForeignKeyViolation",
    "NotNullViolation",
    "UniqueViolation",
    // 42
    "AmbiguousColumn",
    "CannotCoerce",
    "DatatypeMismatch",
    "DuplicateColumn",
    "DuplicateFunction",
    "DuplicateObject",
    "DuplicateSchema",
    "DuplicateTable",
    "GroupingError",
    "InsufficientPrivilege",
    "InvalidColumnReference",
    "InvalidForeignKey",
    "InvalidTableDefinition",
    "SyntaxError",
    "UndefinedColumn",
    "UndefinedFunction",
    "UndefinedObject",
    "UndefinedTable",
    "WrongObjectType",
];

/// Whether an exception of this output is one of them.
#[must_use]
pub fn is_hopeless(output: &str) -> bool {
    output.lines().map(str::trim).any(|line| {
        let name = line.split_once(':').map_or(line, |(name, _)| name);
        SQLALCHEMY.contains(&name) || condition(name).is_some_and(|name| CONDITIONS.contains(&name))
    })
}

/// `UniqueViolation` of `psycopg.errors.UniqueViolation` or `asyncpg.exceptions.UniqueViolationError`.
fn condition(name: &str) -> Option<&str> {
    let psycopg = || name.strip_prefix("psycopg.errors.").or_else(|| name.strip_prefix("psycopg2.errors."));
    let asyncpg = || {
        let name = name.strip_prefix("asyncpg.exceptions.")?;
        // `PostgresSyntaxError` and `SyntaxError` keep PostgreSQL's own ending.
        Some(name.strip_prefix("Postgres").unwrap_or(name.strip_suffix("Error").unwrap_or(name)))
    };
    psycopg().or_else(asyncpg)
}

#[cfg(test)]
mod tests {
    use super::is_hopeless;

    #[test]
    fn what_a_second_try_meets_again_is_told_from_what_may_pass() {
        for line in [
            "psycopg.errors.UniqueViolation: could not create unique index \"by_name\"",
            "psycopg2.errors.DuplicateTable: relation \"t\" already exists",
            "asyncpg.exceptions.NotNullViolationError: column \"n\" contains null values",
            "asyncpg.exceptions.PostgresSyntaxError: syntax error at or near \"x\"",
            "sqlalchemy.exc.ProgrammingError: (psycopg.errors.UndefinedColumn) column \"x\" does not exist",
            "sqlalchemy.exc.IntegrityError: (sqlalchemy.dialects.postgresql.asyncpg.IntegrityError) <class 'a'>: b",
        ] {
            assert!(is_hopeless(&format!("Traceback\n  {line}\n")), "{line}");
        }
        for line in [
            "psycopg.errors.LockNotAvailable: canceling statement due to lock timeout",
            "psycopg.errors.DeadlockDetected: deadlock detected",
            "psycopg.errors.SerializationFailure: could not serialize access",
            "sqlalchemy.exc.OperationalError: (psycopg.OperationalError) connection refused",
            "the docs of psycopg.errors.UniqueViolation: none",
            "RuntimeError: not today",
        ] {
            assert!(!is_hopeless(line), "{line}");
        }
    }
}
