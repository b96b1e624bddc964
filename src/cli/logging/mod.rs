//! Where the agent's own log goes: the journal with its fields if stderr ends
//! there anyway, else stderr. Neither is ever waited for: a line that nobody
//! takes is dropped and counted, since the log must not hold a deployment up.

mod journal;

use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::journal::Journal;
use super::stderr::Lossy;

/// Sets the log up for this process.
pub(super) fn init() {
    // Libraries speak of requests and connections; what matters of that the agent says itself.
    let ours = Targets::new().with_default(LevelFilter::WARN).with_target("preview_agent", LevelFilter::INFO);
    let registry = tracing_subscriber::registry().with(ours);
    match journal() {
        Some(journal) => registry.with(journal).init(),
        None => {
            let layer = tracing_subscriber::fmt::layer()
                .with_writer(Lossy::default())
                .with_target(false)
                .with_ansi(io::stderr().is_terminal());
            registry.with(layer).init();
        }
    }
}

/// The journal, if systemd connected stderr with it: `JOURNAL_STREAM` names
/// the socket's device and inode (systemd.exec, "Environment").
fn journal() -> Option<Journal> {
    let stream = std::env::var("JOURNAL_STREAM").ok()?;
    let stderr = rustix::fs::fstat(io::stderr().as_fd()).ok()?;
    if stream != format!("{}:{}", stderr.st_dev, stderr.st_ino) {
        return None;
    }
    Journal::open().ok()
}
