//! How long anything is waited for, and how often it is looked at; tests have less patience.

use std::time::Duration;

/// All waits.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two looks at the status parameter.
    pub parameter: Duration,
    /// Between two looks at the instance while its status is watched.
    pub instance: Duration,
    /// Between two looks at the pull request: GitHub counts them.
    pub pull: Duration,
    /// Without a first word of the agent for so long something went wrong before it.
    pub silence: Duration,
    /// Between two tries at what takes AWS a moment.
    pub pause: Duration,
    /// How long a new instance may be unknown to some calls (AWS, "Eventual consistency in the EC2 API").
    pub unknown: Duration,
    /// How long a public address may take.
    pub address: Duration,
    /// How long an instance that ends may fill the quota.
    pub ending: Duration,
    /// How long the SSM Agent of a new instance may take to register, and a command of it to end.
    pub command: Duration,
    /// How long a new rule may take to hold.
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
