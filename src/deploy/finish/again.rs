//! Whether a run that failed is followed by another by itself.

use super::super::run_context::Stop;
use crate::config::DatabaseUrl;
use crate::status::{Class, Outcome};

/// What follows a run while nobody asks for anything.
#[derive(Debug, Clone)]
pub enum Again {
    /// No other run.
    Never,
    /// Another one, after a while: what failed may pass by itself.
    Later,
    /// Another one when this database lets the application in again, and no third: each costs what serves an outage.
    WithDatabase(DatabaseUrl),
}

/// How a run ended, and what follows.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its outcome.
    pub outcome: Outcome,
    /// What follows by itself.
    pub again: Again,
}

/// What follows a run with this outcome that stopped so. `costs_outage` says that it had taken down what
/// serves now, `database` is that of what it was about to start.
pub(super) fn again(
    outcome: Outcome,
    stop: &Stop,
    costs_outage: bool,
    database: Option<DatabaseUrl>,
) -> Again {
    match stop {
        Stop::Fault(_, fault) if outcome == Outcome::Failed && fault.code.retryable() => {
            match (costs_outage, fault.code.class()) {
                (false, _) => Again::Later,
                (true, Class::Database) => database.map_or(Again::Never, Again::WithDatabase),
                (true, _) => Again::Never,
            }
        }
        _ => Again::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::Cut;
    use crate::status::{Code, Fault, PhaseName};

    /// What follows, in a word.
    fn after(outcome: Outcome, code: Code, costs_outage: bool) -> &'static str {
        let stop = Stop::Fault(PhaseName::Health, Fault::new(code, "it failed"));
        let database = DatabaseUrl::parse("postgresql://db/app").unwrap();
        match again(outcome, &stop, costs_outage, Some(database)) {
            Again::Never => "never",
            Again::Later => "later",
            Again::WithDatabase(_) => "with its database",
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_unless_each_try_takes_down_what_serves() {
        for code in Code::ALL.iter().copied() {
            let (free, dear) = match (code.retryable(), code.class()) {
                (false, _) => ("never", "never"),
                (true, Class::Database) => ("later", "with its database"),
                (true, _) => ("later", "never"),
            };
            assert_eq!(after(Outcome::Failed, code, false), free, "{code}");
            assert_eq!(after(Outcome::Failed, code, true), dear, "{code}");
        }
    }

    #[test]
    fn a_run_that_is_ready_or_was_cut_is_followed_by_none() {
        assert_eq!(after(Outcome::Ready, Code::RegistryUnreachable, false), "never");
        let cut = again(Outcome::Failed, &Stop::Cut(Cut::Interrupted), false, None);
        assert!(matches!(cut, Again::Never), "{cut:?}");
    }
}
