//! The server's side of a job: what its session waits for, and that it ends with the container.

use std::time::Duration;

use tokio::time::sleep;

use super::super::plan::Desired;
use super::super::run_context::RunContext;
use crate::postgres::{APPLICATION_MAX, Backend, Session};
use crate::probe::{Login, database};
use crate::status::{Code, Topic};

/// Blockers that are named.
const NAMED: usize = 3;

/// Characters shown of a statement.
const STATEMENT: usize = 120;

/// What a container's session began after may be late by.
const SLACK: Duration = Duration::from_secs(5);

/// The name that the sessions of a run's job have in the server: no other has it.
pub(super) fn application(run: &str, job: &str) -> String {
    let mut name = format!("preview-agent-{run}-{job}");
    name.truncate(name.floor_char_boundary(APPLICATION_MAX));
    name
}

/// Reports whom the sessions of `application` wait for, until the database has no connection left to ask.
pub(super) async fn watch(run: &RunContext, desired: &Desired, application: &str) {
    let Some(url) = &desired.database else { return std::future::pending().await };
    let mut shown = false;
    loop {
        sleep(run.timings.look_at_locks).await;
        let session = match database::ask(url, run.timings.connect).await {
            Ok(Login::In(session, _)) => session,
            Err(fault) if matches!(fault.code, Code::DatabaseTooManyConnections | Code::DatabaseTimeout) => {
                return;
            }
            Ok(_) | Err(_) => continue,
        };
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

/// A statement on one line, without the texts in it: they are others' data. What follows a quote of
/// another kind is left out, since where it ends is the server's to say.
fn without_literals(query: &str) -> String {
    let end = query.find(['$', '\\', '"']).or_else(|| query.find("--")).or_else(|| query.find("/*"));
    let (known, rest) = query.split_at(end.unwrap_or(query.len()));
    let parts = known.split('\'').enumerate().map(|(at, part)| if at % 2 == 1 { "…" } else { part });
    let shown = parts.collect::<Vec<_>>().join("'") + if rest.is_empty() { "" } else { "…" };
    let words: Vec<&str> = shown.split_whitespace().collect();
    words.join(" ").chars().take(STATEMENT).collect()
}

#[cfg(test)]
mod tests {
    use super::without_literals;

    #[test]
    fn a_statement_is_shown_without_the_data_in_it() {
        for (statement, shown) in [
            ("LOCK TABLE items", "LOCK TABLE items"),
            ("UPDATE users\n  SET token = 'tok_live_42', n = 1", "UPDATE users SET token = '…', n = 1"),
            ("SELECT 'O''Brien', 'cut of", "SELECT '…''…', '…"),
            ("ALTER ROLE x PASSWORD $$secret$$", "ALTER ROLE x PASSWORD …"),
            ("ALTER ROLE x PASSWORD $q$it's$q$", "ALTER ROLE x PASSWORD …"),
            ("SELECT E'it\\'s', 'secret'", "SELECT E'……"),
            ("SELECT 1 -- it's a secret", "SELECT 1 …"),
        ] {
            assert_eq!(without_literals(statement), shown, "{statement}");
        }
    }
}
