//! All intervals and time limits; tests use shorter ones.

use std::time::Duration;

/// Intervals and time limits.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Interval between reads of the status parameter.
    pub parameter: Duration,
    /// Interval between checks of the instance while its status is watched.
    pub instance: Duration,
    /// Interval between checks of the pull request: GitHub limits requests.
    pub pull: Duration,
    /// How long the agent may take to write its first status. After that, something failed before it started.
    pub silence: Duration,
    /// Interval between tries where AWS needs a moment.
    pub pause: Duration,
    /// How long some calls may not know a new instance (AWS, "Eventual consistency in the EC2 API").
    pub unknown: Duration,
    /// How long EC2 may take to assign a public address.
    pub address: Duration,
    /// How long a terminating instance may count against the quota.
    pub ending: Duration,
    /// How long the SSM Agent of a new instance may take to register, and a command to finish.
    pub command: Duration,
    /// How long a new rule may take to have effect.
    pub reach: Duration,
    /// Between two looks at a change set that is being made, and at a stack that changes: the first, and the
    /// longest.
    pub stack: (Duration, Duration),
    /// How long a change set may take to be made.
    pub made: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            parameter: seconds(3),
            instance: seconds(15),
            pull: seconds(30),
            silence: seconds(360),
            pause: seconds(2),
            unknown: seconds(30),
            address: seconds(120),
            ending: seconds(180),
            command: seconds(90),
            reach: seconds(30),
            stack: (seconds(2), seconds(5)),
            made: seconds(600),
        }
    }
}
