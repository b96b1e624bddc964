//! The agent as a process: run to its end, or started and told what to do.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::process::{Own, signal};
use super::wait::until;
use super::world::World;

/// How a finished agent ended.
pub struct Ran {
    pub code: Option<i32>,
    pub stderr: String,
    pub status: Value,
}

impl Ran {
    /// The run's phase with this name: its state.
    pub fn phase(&self, name: &str) -> &str {
        let phases = self.status["phases"].as_array().unwrap();
        phases.iter().find(|phase| phase["name"] == name).unwrap()["state"].as_str().unwrap()
    }

    /// The run failed with this fault.
    #[track_caller]
    pub fn failed_with(&self, code: &str) -> &Value {
        let fault = &self.status["fault"];
        assert_eq!(fault["code"], code, "{} {}", self.status, self.stderr);
        assert_eq!((self.code, &self.status["run"]["outcome"]), (Some(1), &"failed".into()));
        assert!(!fault["hint"].as_str().unwrap().is_empty());
        fault
    }

    #[track_caller]
    pub fn is_ready(&self) {
        assert_eq!(self.status["run"]["outcome"], "ready", "{} {}", self.status, self.stderr);
        assert_eq!(self.code, Some(0));
    }

    /// It is ready, and there is more to be looked at.
    #[track_caller]
    pub fn ready(self) -> Self {
        self.is_ready();
        self
    }
}

/// A text of the status has these words.
#[track_caller]
pub fn has(text: &Value, words: &str) {
    assert!(text.as_str().is_some_and(|text| text.contains(words)), "{text}: no {words}");
}

impl World {
    pub fn command(&self, args: &[&str]) -> Command {
        let words: Vec<&str> =
            self.runner.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_agent")]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(args).env_clear().envs(&self.env).stdin(Stdio::null());
        command
    }

    /// `agent run` with the world's configuration, and with these options.
    pub fn run(&self, options: &[&str]) -> Command {
        let mut command = self.command(&["run"]);
        command.args(options).arg("--config").arg(self.config_path());
        command
    }

    /// `agent run --once` with the configuration, to its end.
    pub fn run_once(&self, config: &str) -> Ran {
        self.write_config(config);
        self.ran(self.run(&["--once"]))
    }

    pub fn run_args(&self, args: &[&str]) -> Ran {
        self.ran(self.command(args))
    }

    /// How the agent ends that this command runs.
    pub fn ran(&self, mut command: Command) -> Ran {
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        self.scan("stderr", &stderr);
        Ran { code: output.status.code(), stderr, status: self.status().unwrap_or(Value::Null) }
    }

    /// How often a job's container, or the migration's, has run.
    pub fn times_run(&self, job: &str) -> usize {
        let log = fs::read_to_string(self.path("state/migrate.log")).unwrap_or_default();
        log.lines().filter(|line| line.starts_with(&format!("--- {job} in run "))).count()
    }

    /// `agent run` with the configuration, in the background.
    pub fn start(&self, config: &str) -> Running<'_> {
        self.write_config(config);
        let log = fs::File::options().create(true).append(true).open(self.path("stderr")).unwrap();
        let agent = self.run(&[]).stderr(log).stdout(Stdio::null()).spawn().unwrap();
        Running { world: self, agent: Own(agent) }
    }

    /// The same once its first run was ready.
    #[track_caller]
    pub fn serve(&self, config: &str) -> Running<'_> {
        let mut agent = self.start(config);
        agent.is_ready(1);
        agent
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.path("stderr")).unwrap_or_default()
    }
}

/// A running agent; ended with SIGKILL when dropped.
pub struct Running<'a> {
    world: &'a World,
    agent: Own,
}

impl Running<'_> {
    pub fn pid(&self) -> u32 {
        self.agent.id()
    }

    /// Waits until the status holds what is asked for.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let Self { world, agent } = self;
        let never = || format!("no {what}: {:?}\n{}", world.status(), world.stderr());
        until(never, || {
            // Asked first: what it ended with is in the status then.
            let exit = agent.try_wait().unwrap();
            let status = world.status().filter(|status| holds(status));
            assert!(status.is_some() || exit.is_none(), "ended ({exit:?}) before {what}: {}", world.stderr());
            status
        })
    }

    /// Waits until the run with this sequence has ended.
    #[track_caller]
    pub fn wait_for_end_of_run(&mut self, sequence: u64) -> Value {
        self.wait_for(&format!("end of run {sequence}"), |status| {
            status["run"]["sequence"].as_u64() == Some(sequence) && status["run"]["outcome"] != "in_progress"
        })
    }

    /// The same of a run that ends well.
    #[track_caller]
    pub fn is_ready(&mut self, sequence: u64) -> Value {
        let status = self.wait_for_end_of_run(sequence);
        assert_eq!(status["run"]["outcome"], "ready", "{status}");
        status
    }

    pub fn reload(&self, config: &str) {
        self.world.write_config(config);
        self.signal("HUP");
    }

    pub fn signal(&self, name: &str) {
        signal(&self.agent, name);
    }

    /// SIGTERM, and the exit code.
    pub fn stop(self) -> Option<i32> {
        self.signal("TERM");
        self.end()
    }

    /// The exit code of an agent that was told to end.
    pub fn end(mut self) -> Option<i32> {
        self.agent.ended(|| self.world.stderr()).code()
    }

    /// SIGKILL, as a crash would.
    pub fn crash(mut self) {
        self.agent.kill().unwrap();
        assert_eq!(self.agent.wait().unwrap().signal(), Some(9));
    }

    pub fn stderr(&self) -> String {
        self.world.stderr()
    }
}
