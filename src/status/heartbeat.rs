//! How often a living agent says so, and when silence means that it is dead.

use std::time::Duration;

/// Between two heartbeats.
pub const HEARTBEAT: Duration = Duration::from_secs(300);

/// Heartbeats in a row that may be missed.
const MISSES: u64 = 3;

/// What a heartbeat may take on its way to the reader.
const DELIVERY: Duration = Duration::from_secs(60);

/// After this long without a word the agent must be taken for dead.
pub const EXPIRES_AFTER: Duration = Duration::from_secs(MISSES * HEARTBEAT.as_secs() + DELIVERY.as_secs());
