//! What became of each database by our hand: which jobs and migrations ended there, and the revisions
//! that they left.

use serde::{Deserialize, Serialize};

/// Steps kept of one database that left revisions, the newest: migrations.
const MIGRATIONS: usize = 50;

/// Steps kept of one database in all: a finished job that is forgotten runs again.
const STEPS: usize = 1000;

/// Databases kept, those used last.
const DATABASES: usize = 8;

/// Which database, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseKey {
    /// Its servers, as the URL has them; empty where there is no database.
    pub endpoint: String,
    /// Its name.
    pub name: String,
    /// Its number in the server, where it was asked: one made anew has another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oid: Option<u32>,
}

/// The end of a job or of the migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// HMAC of what it was made from.
    pub spec: String,
    /// Sequence of its run.
    pub run: u64,
    /// It ended well; else it failed, and left the database where it says.
    pub done: bool,
    /// The revisions that it left, where they could be read and there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revisions: Option<Vec<String>>,
}

/// The steps of one database, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct History {
    #[serde(flatten)]
    key: DatabaseKey,
    steps: Vec<Step>,
}

/// The databases, the one used last at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Databases(Vec<History>);

impl Databases {
    /// What is recorded of a database, oldest first.
    #[must_use]
    pub fn steps(&self, key: &DatabaseKey) -> &[Step] {
        self.find(key).map_or(&[], |index| &self.0[index].steps)
    }

    /// Adds the end of a job or of the migration. Of equal ones the last counts.
    pub fn add(&mut self, key: &DatabaseKey, step: Step) {
        let mut history = match self.find(key) {
            Some(index) => self.0.remove(index),
            None => History { key: key.clone(), ..History::default() },
        };
        history.key.oid = key.oid.or(history.key.oid);
        history.steps.retain(|other| (&other.spec, other.done) != (&step.spec, step.done));
        history.steps.push(step);
        let migrations = history.steps.iter().filter(|step| step.revisions.is_some()).count();
        let mut surplus = migrations.saturating_sub(MIGRATIONS);
        history.steps.retain(|step| {
            let goes = surplus > 0 && step.revisions.is_some();
            surplus -= usize::from(goes);
            !goes
        });
        let surplus = history.steps.len().saturating_sub(STEPS);
        history.steps.drain(..surplus);
        self.0.push(history);
        let surplus = self.0.len().saturating_sub(DATABASES);
        self.0.drain(..surplus);
    }

    /// Writes down where a step that said nothing of it has left the database.
    pub fn learn(&mut self, key: &DatabaseKey, spec: &str, revisions: &[String]) {
        let Some(index) = self.find(key) else { return };
        let unknown = |step: &&mut Step| step.done && step.spec == spec && step.revisions.is_none();
        if let Some(step) = self.0[index].steps.iter_mut().find(unknown) {
            step.revisions = Some(revisions.to_vec());
        }
    }

    /// Forgets a database that is gone, whatever its number was.
    pub fn forget(&mut self, key: &DatabaseKey) {
        self.0.retain(|History { key: other, .. }| {
            (&other.endpoint, &other.name) != (&key.endpoint, &key.name)
        });
    }

    /// Whether nothing is recorded of any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one that was used last, where it was not asked which it is.
    fn find(&self, key: &DatabaseKey) -> Option<usize> {
        self.0.iter().rposition(|History { key: other, .. }| {
            let same_place = (&other.endpoint, &other.name) == (&key.endpoint, &key.name);
            same_place && (key.oid.is_none() || other.oid.is_none() || key.oid == other.oid)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(oid: impl Into<Option<u32>>) -> DatabaseKey {
        DatabaseKey { endpoint: "db:5432".to_owned(), name: "app".to_owned(), oid: oid.into() }
    }

    fn step(spec: &str) -> Step {
        Step { spec: spec.to_owned(), run: 1, done: true, revisions: None }
    }

    fn specs(databases: &Databases, key: &DatabaseKey) -> Vec<String> {
        databases.steps(key).iter().map(|step| step.spec.clone()).collect()
    }

    #[test]
    fn a_database_made_anew_begins_with_no_records() {
        let mut databases = Databases::default();
        databases.add(&key(1), step("a"));
        assert_eq!(specs(&databases, &key(2)), [""; 0]);
        assert_eq!(specs(&databases, &key(1)), ["a"]);
    }

    #[test]
    fn one_that_could_not_be_asked_has_the_records_of_the_last_at_its_place() {
        let mut databases = Databases::default();
        databases.add(&key(1), step("a"));
        databases.add(&key(2), step("b"));
        assert_eq!(specs(&databases, &key(None)), ["b"]);
    }

    #[test]
    fn a_database_that_is_gone_takes_its_records_with_it() {
        let mut databases = Databases::default();
        databases.add(&key(1), step("a"));
        databases.forget(&key(None));
        assert!(databases.is_empty());
    }

    #[test]
    fn a_step_that_left_nothing_to_be_read_learns_it_once() {
        let mut databases = Databases::default();
        databases.add(&key(1), step("a"));
        databases.learn(&key(1), "a", &["1".to_owned()]);
        databases.learn(&key(1), "a", &["2".to_owned()]);
        assert_eq!(databases.steps(&key(1))[0].revisions, Some(vec!["1".to_owned()]));
    }

    #[test]
    fn what_was_recorded_before_it_could_be_asked_is_its_own_afterwards() {
        let mut databases = Databases::default();
        databases.add(&key(None), step("a"));
        databases.add(&key(7), step("b"));
        assert_eq!(specs(&databases, &key(7)), ["a", "b"]);
        assert_eq!(specs(&databases, &key(8)), [""; 0]);
    }

    fn migration(spec: &str) -> Step {
        Step { revisions: Some(vec![spec.to_owned()]), ..step(spec) }
    }

    #[test]
    fn records_are_bounded_and_a_finished_job_outlives_many_migrations() {
        let mut databases = Databases::default();
        databases.add(&key(1), step("job"));
        (0..100).for_each(|n| databases.add(&key(1), migration(&n.to_string())));
        databases.add(&key(1), migration("95"));
        let kept = specs(&databases, &key(1));
        assert_eq!((kept.len(), kept.first().map(String::as_str)), (MIGRATIONS + 1, Some("job")));
        assert_eq!(kept.last().map(String::as_str), Some("95"));
        (0..2 * STEPS).for_each(|n| databases.add(&key(1), step(&format!("job {n}"))));
        assert_eq!(specs(&databases, &key(1)).len(), STEPS);
        (2..100).for_each(|oid| databases.add(&key(oid), step("a")));
        assert_eq!(databases.0.len(), DATABASES);
    }
}
