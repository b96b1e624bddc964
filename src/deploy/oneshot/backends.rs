//! The server's side of a job: what its session waits for, and that it ends with the container.

use std::time::Duration;

use tokio::time::sleep;

use super::super::plan::Desired;
use super::super::run_context::RunContext;
use crate::postgres::{APPLICATION_MAX, Backend, Session};
use crate::probe::{Login, database};
use crate::status::Topic;

/// Blockers that are named.
const NAMED: usize = 3;

/// What a container's session began after may be late by.
const SLACK: Duration = Duration::from_secs(5);

/// The name that the sessions of a run's job have in the server: no other has it.
pub(super) fn application(run: &str, job: &str) -> String {
    let mut name = format!("preview-agent-{run}-{job}");
    name.truncate(name.floor_char_boundary(APPLICATION_MAX));
    name
}

/// Reports whom the sessions of `application` wait for, for ever.
pub(super) async fn watch(
    run: &RunContext,
    desired: &Desired,
    application: &str,
) -> std::convert::Infallible {
    let mut shown = false;
    loop {
        sleep(run.timings.look_at_locks).await;
        let Some(session) = session(run, desired).await else { continue };
        let blockers = session.blockers(application).await.unwrap_or_default();
        match names(&blockers) {
            Some(names) => {
                let text = format!("for a lock that is held by {names}");
                shown = true;
                run.reporter.update(|report| report.note_on(Topic::Waiting, text.clone()));
            }
            None if shown => {
                shown = false;
                run.reporter.update(|report| report.forget(Topic::Waiting));
            }
            None => {}
        }
    }
}

/// Whom the sessions of `application` wait for now.
pub(super) async fn blockers(run: &RunContext, desired: &Desired, application: &str) -> Option<String> {
    names(&session(run, desired).await?.blockers(application).await.ok()?)
}

/// Ends what a container that ran for `age` has left in the server. Only what carries its name is ended
/// for certain; what else may be its own is named.
pub(super) async fn end(
    run: &RunContext,
    desired: &Desired,
    application: &str,
    age: Duration,
) -> Option<String> {
    let session = session(run, desired).await?;
    match session.end(application, age + SLACK).await {
        Ok(0) => {}
        Ok(ended) => {
            tracing::info!(ended, application, "the server's sessions of the stopped job were ended");
            return None;
        }
        Err(error) => tracing::warn!(%error, "the server's sessions of the stopped job may go on"),
    }
    let candidates = session.waiting(age + SLACK).await.unwrap_or_default();
    names(&candidates)
}

async fn session(run: &RunContext, desired: &Desired) -> Option<Session> {
    let url = desired.database.as_ref()?;
    match database::ask(url, run.timings.connect).await {
        Ok(Login::In(session, _)) => Some(session),
        _ => None,
    }
}

fn names(backends: &[Backend]) -> Option<String> {
    let name = |backend: &Backend| {
        let Backend { pid, application, role, age, query } = backend;
        let who = if application.is_empty() { role } else { application };
        format!("pid {pid} ({who}, {} s): {}", age.as_secs(), without_literals(query))
    };
    let names: Vec<String> = backends.iter().take(NAMED).map(name).collect();
    (!names.is_empty()).then(|| names.join("; "))
}

/// A statement on one line, without the texts in it: they are others' data.
fn without_literals(query: &str) -> String {
    let parts: Vec<&str> =
        query.split('\'').enumerate().map(|(at, part)| if at % 2 == 1 { "…" } else { part }).collect();
    parts.join("'").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::without_literals;

    #[test]
    fn a_statement_is_shown_without_the_data_in_it() {
        let cut = without_literals(
            "UPDATE users\n  SET token = 'tok_live_42', n = 1 WHERE name = 'O''Brien' AND note = 'cut of",
        );
        assert_eq!(cut, "UPDATE users SET token = '…', n = 1 WHERE name = '…''…' AND note = '…");
        assert_eq!(without_literals("LOCK TABLE items"), "LOCK TABLE items");
    }
}
