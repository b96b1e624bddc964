//! `agent logs app`: the application's output, from its container.

use std::io::{self, Write};
use std::pin::pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};

use super::super::exit;
use super::super::output::complain;
use crate::docker::{Chunk, Container, Engine, Error, Role, Scope, State, socket_from_env};
use crate::redact::Redactor;
use crate::redact::output::Outputs;
use crate::status::paths;

/// At the command line nobody waits for an engine that is not up.
const PATIENCE: Duration = Duration::ZERO;

/// Writes the last `lines` lines of the application's output, then what comes with `follow`.
///
/// # Errors
/// The reader at the other end.
pub(super) fn show(lines: usize, follow: bool, out: &mut impl Write) -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(print(lines, follow, out)) {
        Ok(Some(written)) => written.map(|()| exit::OK),
        Ok(None) => Ok(complain("the application has no container", exit::FAILED)),
        Err(error @ Error::Forbidden { .. }) => {
            Ok(complain(&format!("{error}; try with sudo"), exit::NO_PERMISSION))
        }
        Err(error) => Ok(complain(&error.to_string(), exit::FAILED)),
    }
}

async fn print(lines: usize, follow: bool, out: &mut impl Write) -> Result<Option<io::Result<()>>, Error> {
    let engine = Engine::connect(&socket_from_env(), Scope::new(&paths::state_dir()), PATIENCE).await?;
    let Some(container) = newest(engine.containers(Role::App).await?) else { return Ok(None) };
    // What the container was given as a secret does not leave it through here.
    let redactor = Redactor::default();
    for secret in &container.secrets {
        redactor.learn(secret);
    }
    let last = u32::try_from(lines).unwrap_or(u32::MAX);
    let written = if follow {
        write_all(engine.follow_logs(&container.id, Some(last)), redactor, out).await
    } else {
        write_all(engine.last_logs(&container.id, last), redactor, out).await
    };
    written.map(Some)
}

/// What runs, else what ran last: after a failed deployment that is the failed one.
fn newest(containers: Vec<Container>) -> Option<Container> {
    let running = containers.iter().position(|container| container.state == State::Running);
    containers.into_iter().nth(running.unwrap_or(0))
}

async fn write_all(
    chunks: impl Stream<Item = Result<Chunk, Error>>,
    redactor: Redactor,
    out: &mut impl Write,
) -> Result<io::Result<()>, Error> {
    let mut outputs = Outputs::new(&redactor);
    let mut chunks = pin!(chunks);
    while let Some(chunk) = chunks.next().await {
        let (stream, chunk) = chunk?;
        for line in outputs.push(stream, &chunk) {
            if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
                return Ok(Err(error));
            }
        }
    }
    Ok(outputs.finish().try_for_each(|line| writeln!(out, "{line}")))
}
