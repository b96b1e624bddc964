//! The agent's connections to PostgreSQL, question by question (its manual, "Message Formats"), so that it
//! can be killed at each of them.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};

use super::kinds::Kind;
use super::ledger::Ledger;
use super::trouble::{Moment, Troubles};

/// SSLRequest, behind its length.
const SSL_REQUEST: [u8; 4] = [4, 210, 22, 47];

/// What a message asks, for those that are told apart; all others pass.
fn kind(message: &[u8], is_first: bool) -> Option<Kind> {
    let text = String::from_utf8_lossy(message);
    if is_first {
        let locks = text.contains("preview-agent:");
        return Some(Kind::poll(if locks { "database.login.lock" } else { "database.login" }));
    }
    match () {
        () if message.first() != Some(&b'Q') => None,
        () if text.contains("pg_try_advisory_xact_lock") => Some(Kind::poll("database.lock")),
        () if text.contains("FROM pg_database") => Some(Kind::poll("database.identity")),
        // Before the migration and after it.
        () if text.contains("SELECT version_num") => Some(Kind::read("database.revisions")),
        () if text.contains("to_regclass") => Some(Kind::read("database.table")),
        () => None,
    }
}

/// Forwards a connection, and halts it where the ledger says so.
pub async fn questions(
    ledger: &Mutex<Ledger>,
    troubles: &Troubles,
    client: TcpStream,
    upstream: &str,
) -> std::io::Result<()> {
    let is_cut = || ledger.lock().unwrap().is_cut();
    if is_cut() {
        std::future::pending::<()>().await;
    }
    let (mut from, to) = client.into_split();
    let (answers, mut server) = TcpStream::connect(upstream).await?.into_split();
    let (hold, held) = watch::channel(false);
    let (tell, mut answered) = mpsc::unbounded_channel();
    tokio::spawn(back(answers, to, held, tell));
    let mut logged_in = false;
    while let Some(message) = message(&mut from, logged_in).await? {
        let is_greeting = !logged_in && message[4..] == SSL_REQUEST;
        let kind =
            if is_greeting { Some(Kind::poll("database.connect")) } else { kind(&message, !logged_in) };
        logged_in |= !is_greeting;
        let halt = kind.and_then(|kind| ledger.lock().unwrap().arrive(&kind));
        if halt == Some(Moment::Before) {
            troubles.halt(false).await;
        }
        hold.send_replace(halt == Some(Moment::After));
        while answered.try_recv().is_ok() {}
        server.write_all(&message).await?;
        if halt == Some(Moment::After) {
            answered.recv().await;
            troubles.halt(false).await;
            hold.send_replace(false);
        }
    }
    Ok(())
}

/// One message; those before the login have no letter in front of their length.
async fn message(from: &mut OwnedReadHalf, logged_in: bool) -> std::io::Result<Option<Vec<u8>>> {
    let head = if logged_in { 5 } else { 4 };
    let mut message = vec![0; head];
    if from.read_exact(&mut message).await.is_err() {
        return Ok(None);
    }
    let length = u32::from_be_bytes(message[head - 4..].try_into().unwrap());
    message.resize(head + usize::try_from(length).unwrap() - 4, 0);
    from.read_exact(&mut message[head..]).await?;
    Ok(Some(message))
}

/// The answers, which are held back while that is asked for.
async fn back(
    mut answers: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut held: watch::Receiver<bool>,
    tell: mpsc::UnboundedSender<()>,
) -> Option<()> {
    let mut bytes = [0; 4096];
    loop {
        let count = answers.read(&mut bytes).await.ok().filter(|count| *count > 0)?;
        tell.send(()).ok();
        held.wait_for(|held| !held).await.ok()?;
        to.write_all(&bytes[..count]).await.ok()?;
    }
}
