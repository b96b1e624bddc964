//! Waiting, within limits.

use std::time::{Duration, Instant};

/// How long anything that a test waits for may take.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until it holds.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    until(|| format!("never: {what}"), || holds().then_some(()));
}

/// Waits until there is something, or fails with these words.
#[track_caller]
pub fn until<T>(words: impl Fn() -> String, mut found: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < end, "{}", words());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs what is async to its end, with the TLS provider that clients ask for.
pub fn block_on<F: Future>(future: F) -> F::Output {
    rustls::crypto::ring::default_provider().install_default().ok();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A point in time of a status document, in seconds.
#[track_caller]
pub fn seconds(time: &serde_json::Value) -> i64 {
    let time = serde_json::from_value::<preview_agent::status::Timestamp>(time.clone());
    time.unwrap().unix()
}
