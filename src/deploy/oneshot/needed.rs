//! Whether the migration is to run, decided from what the database says and from our own records of it.

use crate::postgres::Revisions;
use crate::state::Step;

/// What is to be done about the migration of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Needed {
    /// It runs.
    Run,
    /// It has run, and the database is where it left it.
    Done,
    /// It has run, and this later run has moved the database on: the image is older than the schema.
    Ahead {
        /// Where the database is.
        revisions: Vec<String>,
        /// The run that moved it there.
        run: u64,
    },
    /// It has run, and somebody else has moved the database since, under what serves.
    Foreign(Vec<String>),
    /// It has run by our records, and the database does not say where it is.
    Unchecked(String),
}

/// Whether the very application serves already that is to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serves(pub bool);

/// Decides by the steps of this database, oldest first, of which those with `spec` are this migration's.
pub(super) fn needed(spec: &str, steps: &[Step], revisions: &Revisions, serves: Serves) -> Needed {
    let Some(index) = steps.iter().rposition(|step| step.done && step.spec == spec) else {
        return Needed::Run;
    };
    let (own, later) = (&steps[index], &steps[index + 1..]);
    let now = match revisions {
        Revisions::Unknown(why) => return Needed::Unchecked(why.clone()),
        // A table that was never there is another tool's; one that is gone went with the schema.
        Revisions::None if own.revisions.is_none() => return Needed::Done,
        Revisions::None => return Needed::Run,
        Revisions::At(now) => now,
    };
    if own.revisions.as_ref() == Some(now) {
        return Needed::Done;
    }
    if let Some(step) = later.iter().rfind(|step| step.revisions.as_ref() == Some(now)) {
        return Needed::Ahead { revisions: now.clone(), run: step.run };
    }
    match &own.revisions {
        // It was recorded before revisions were.
        None => Needed::Done,
        Some(_) if serves.0 && steps.iter().all(|step| step.revisions.as_ref() != Some(now)) => {
            Needed::Foreign(now.clone())
        }
        Some(_) => Needed::Run,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of `spec` that ended well, or failed (`!`), and left this revision.
    fn step(text: &str, run: u64) -> Step {
        let (spec, revision) = text.split_once(':').unwrap();
        let (spec, done) = spec.strip_prefix('!').map_or((spec, true), |spec| (spec, false));
        let revisions = Some(vec![revision.to_owned()]).filter(|_| !revision.is_empty());
        Step { spec: spec.to_owned(), run, done, revisions }
    }

    #[test]
    fn what_counts_as_done_is_what_the_database_shows_by_our_records() {
        use Needed::{Done, Run};
        let at = |revision: &str| Revisions::At(vec![revision.to_owned()]);
        let ahead = |revision: &str, run| Needed::Ahead { revisions: vec![revision.to_owned()], run };
        let foreign = |revision: &str| Needed::Foreign(vec![revision.to_owned()]);
        let unknown = || Revisions::Unknown("no right".to_owned());
        let unchecked = || Needed::Unchecked("no right".to_owned());
        // What was recorded, run by run; what the database says; what `a` needs while it serves, and else.
        let rows = [
            (&[][..], Revisions::None, Run, Run),
            (&[], at("1"), Run, Run),
            (&[], unknown(), Run, Run),
            (&["a:1"], at("1"), Done, Done),
            (&["a:1"], unknown(), unchecked(), unchecked()),
            (&["a:1"], Revisions::None, Run, Run),
            (&["a:1"], at("9"), foreign("9"), Run),
            (&["!a:1"], at("1"), Run, Run),
            (&["a:1", "b:2"], at("2"), ahead("2", 2), ahead("2", 2)),
            (&["a:1", "!b:2"], at("2"), ahead("2", 2), ahead("2", 2)),
            (&["a:1", "b:2", "c:3"], at("2"), ahead("2", 2), ahead("2", 2)),
            (&["a:1", "b:1"], at("1"), Done, Done),
            (&["b:2", "a:3"], at("2"), Run, Run),
            (&["b:2"], at("2"), Run, Run),
            (&["a:"], Revisions::None, Done, Done),
            (&["a:"], at("1"), Done, Done),
            (&["a:", "b:2"], at("2"), ahead("2", 2), ahead("2", 2)),
        ];
        for (recorded, revisions, serving, other) in rows {
            let steps: Vec<Step> = recorded.iter().zip(1..).map(|(text, run)| step(text, run)).collect();
            let case = format!("{recorded:?} at {revisions:?}");
            assert_eq!(needed("a", &steps, &revisions, Serves(true)), serving, "{case}, serving");
            assert_eq!(needed("a", &steps, &revisions, Serves(false)), other, "{case}");
        }
    }
}
