//! Runs a command and reports the outcome.

use std::path::PathBuf;
use std::time::Duration;

use preview_agent::cli::exit;
use preview_agent::redact::Redactor;
use serde_json::json;

use super::command_line::{Cli, Command, Launch, Policy};
use super::started::{intent, job};
use crate::github::Intent;
use crate::iam_policy::{self, Place};
use crate::output::Output;
use crate::pace::Pace;
use crate::settings::Variables;
use crate::steps::{self, Ended, Failure, Job, Release, ReleaseError};

impl Cli {
    /// Runs the command and returns the exit code.
    #[must_use]
    pub fn run(self) -> u8 {
        self.run_at(Pace::default())
    }

    /// The same with these intervals and limits.
    #[must_use]
    pub fn run_at(self, pace: Pace) -> u8 {
        let redactor = Redactor::default();
        let output = Output::from_env(self.common.json, redactor.clone());
        // One provider for all clients; a second one could not be installed.
        rustls::crypto::ring::default_provider().install_default().ok();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let ended = match runtime {
            Ok(runtime) => runtime.block_on(self.dispatch(&output, redactor, pace)),
            Err(error) => Err(Failure::new(error.to_string())),
        };
        let code = ended.unwrap_or_else(|failure| {
            for line in failure.text().lines() {
                output.complain(line);
            }
            output.values(&[("outcome", "failed")]);
            if output.json {
                output.print(
                    &json!({ "outcome": "failed", "message": failure.message, "hint": failure.hint })
                        .to_string(),
                );
            }
            failure.code
        });
        output.end(code)
    }

    async fn dispatch(self, output: &Output, redactor: Redactor, pace: Pace) -> Result<u8, Failure> {
        let Self { common, command } = self;
        if let Command::IamPolicy(policy) = &command {
            let named = common.repository.map(|it| it.to_string());
            let repository = named.or_else(|| Variables::from_env().text("GITHUB_REPOSITORY"));
            let repository = repository.unwrap_or_else(|| "OWNER/NAME".to_owned());
            let Policy { path, role, profile, subnets, groups, kinds, owners, image_parameter } = policy;
            output.print(&iam_policy::policy(&Place {
                repository: &repository,
                path,
                role,
                profile,
                subnets,
                groups,
                kinds,
                owners,
                image_parameter: image_parameter.as_deref(),
            }));
            return Ok(exit::OK);
        }
        let command = match command {
            Command::Changes(changes) => return changes.run(output, redactor, pace).await,
            command => command,
        };
        let job = job(common, output.clone(), redactor, pace).await?;
        match command {
            Command::Check(launch) => check(&job, launch).await,
            Command::Up(launch) => {
                let release = release(&job, &launch);
                let limit = minutes(launch.minutes);
                let (number, sha) = match (launch.number, intent(&job, launch.label.as_deref())?) {
                    (Some(number), _) => (number, launch.sha),
                    (None, Some(Intent::Up { number, sha })) => (number, Some(sha)),
                    (None, Some(Intent::Skip(why))) => return Ok(skipped(&job, &why)),
                    (None, Some(Intent::Down { .. } | Intent::Sweep)) => {
                        return Ok(skipped(&job, "this event removes previews"));
                    }
                    (None, None) => return Err(no_number()),
                };
                let label = launch.label.as_deref();
                Ok(finish(&job, &steps::up(&job, number, sha.as_deref(), label, &release, limit).await?))
            }
            Command::Wait(waiting) => {
                let number = number(&job, waiting.number)?;
                Ok(finish(&job, &steps::wait(&job, number, minutes(waiting.minutes)).await?))
            }
            Command::Down { number: asked, label, force } => {
                let (number, unlabeled) = match (asked, intent(&job, label.as_deref())?) {
                    (Some(number), _) => (number, false),
                    (None, Some(Intent::Down { number, unlabeled })) => (number, unlabeled),
                    (None, Some(Intent::Skip(why))) => return Ok(skipped(&job, &why)),
                    (None, Some(_)) => return Ok(skipped(&job, "this event removes nothing")),
                    (None, None) => return Err(no_number()),
                };
                let label = label.or_else(|| job.variables.text("PREVIEW_LABEL")).filter(|_| unlabeled);
                Ok(finish(&job, &steps::down(&job, number, force, label.as_deref()).await?))
            }
            Command::Sweep { act } => {
                let scheduled = intent(&job, None)? == Some(Intent::Sweep);
                steps::sweep(&job, act || scheduled).await
            }
            Command::List => steps::list(&job).await,
            Command::Status { number } => steps::status(&job, number).await,
            Command::Logs { number, source } => steps::logs(&job, number, source.name()).await,
            Command::Changes(_) | Command::IamPolicy(_) => Ok(exit::OK),
        }
    }
}

async fn check(job: &Job, launch: Launch) -> Result<u8, Failure> {
    let release = release(job, &launch);
    let asked = match intent(job, launch.label.as_deref())? {
        Some(Intent::Up { number, sha }) => Some((number, sha)),
        _ => None,
    };
    let number = launch.number.or(asked.as_ref().map(|(number, _)| *number));
    let pull = match (&job.github, number) {
        (Some(github), Some(number)) => github.pull(number).await?,
        _ => None,
    };
    let loaded = match &pull {
        Some(pull) => job.settings_of(pull).await?,
        None => job.usual_settings().await?,
    };
    let sha = launch.sha.or(pull.map(|pull| pull.head)).unwrap_or_else(|| "0".repeat(40));
    Ok(steps::check(job, &loaded, number.unwrap_or(1), &sha, &release).await)
}

fn release(job: &Job, launch: &Launch) -> Result<Release, ReleaseError> {
    let url = launch.agent_release.clone().or_else(|| job.variables.text("PREVIEW_AGENT_RELEASE"));
    let sums =
        launch.agent_sums.clone().or_else(|| job.variables.text("PREVIEW_AGENT_SUMS").map(PathBuf::from));
    Release::new(url.as_deref(), sums.as_deref())
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

fn number(job: &Job, asked: Option<u64>) -> Result<u64, Failure> {
    let event = match intent(job, None)? {
        Some(Intent::Up { number, .. } | Intent::Down { number, .. }) => Some(number),
        _ => None,
    };
    asked.or(event).ok_or_else(no_number)
}

fn no_number() -> Failure {
    Failure { code: exit::USAGE, ..Failure::new("which pull request? Give its number") }
}

/// There is nothing to do, which is no failure.
fn skipped(job: &Job, why: &str) -> u8 {
    job.output.say(&format!("skipped: {why}"));
    job.output.values(&[("outcome", "skipped")]);
    if job.output.json {
        job.output.print(&json!({ "outcome": "skipped", "message": why }).to_string());
    }
    exit::OK
}

/// Writes the outcome; returns the exit code.
fn finish(job: &Job, ended: &Ended) -> u8 {
    job.output.values(&[("outcome", ended.outcome)]);
    if job.output.json {
        let report = &ended.report;
        let document = json!({
            "outcome": ended.outcome, "commit": report.sha, "instance_id": report.instance, "url": report.url,
            "public_ip": ended.address, "verdict": report.line(), "notes": report.notes,
        });
        job.output.print(&document.to_string());
    }
    ended.code
}
