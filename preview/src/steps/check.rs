//! `preview check`: checks everything that a launch needs, and changes nothing.

use preview_agent::cli::exit;

use super::failure::Failure;
use super::job::Job;
use super::load::Loaded;
use super::user_data::{Release, ReleaseError};
use crate::names::Preview;

/// Checks settings, credentials, account and GitHub, writes one line for each fault, and returns the exit code.
pub async fn check(
    job: &Job,
    loaded: &Loaded,
    number: u64,
    sha: &str,
    release: &Result<Release, ReleaseError>,
) -> u8 {
    let mut faults = Vec::new();
    match job.aws.caller().await {
        Ok(caller) => {
            job.output.say(&format!("account {} in {}, as {}", caller.account, job.aws.region, caller.arn))
        }
        Err(error) => faults.push(Failure::from(error)),
    }
    let has_credentials = faults.is_empty();
    if let Some(github) = &job.github {
        match github.open_pulls().await {
            Ok(open) => job.output.say(&format!("{} has {} open pull requests", job.repository, open.len())),
            Err(error) => faults.push(error.into()),
        }
    }
    let settings = &loaded.settings;
    job.output.say(&format!("settings: {}", settings.file));
    for note in &loaded.notes {
        job.output.say(note);
    }
    let preview = Preview { repository: job.repository.clone(), number, path: settings.path.clone() };
    // Without credentials every other call fails, too.
    if has_credentials {
        match job.plan(settings, &preview, sha, release).await {
            Ok(plan) => {
                let launch = &plan.launch;
                job.output
                    .say(&format!("would launch {} from {} in {}", launch.kind, launch.ami, launch.subnet));
                let publish = plan.agent.config.app.publish;
                if publish.ip.is_loopback() {
                    job.output.say(&format!(
                        "note: nobody outside the instance can open the URL, whoever `viewers` names: `app.publish` is on \
                         {}; write the port alone",
                        publish.ip
                    ));
                }
            }
            Err(found) => faults.extend(found),
        }
        let permissions = job.permissions(settings, &preview).await;
        faults.extend(permissions.faults.into_iter().map(Failure::from));
        job.output.say(&format!(
            "AWS has no dry run of {}: `preview iam-policy` prints all permissions",
            permissions.unknown.join(", ")
        ));
    }
    if settings.viewers.is_empty() {
        job.output.say("note: only the instance itself may open its URL; name others as `viewers`");
    }
    let mut said = Vec::new();
    for line in faults.iter().map(Failure::text) {
        if !said.contains(&line) {
            job.output.complain(&line);
            said.push(line);
        }
    }
    match faults.first() {
        None => {
            job.output.say("all is well");
            exit::OK
        }
        Some(fault) => fault.code,
    }
}
