//! `preview up`: a preview of this commit, in the place of what was there.

use std::net::IpAddr;
use std::time::Duration;

use preview_agent::cli::exit;

use super::failure::Failure;
use super::finish::{self, told_to_stop};
use super::job::Job;
use super::load::Loaded;
use super::plan::Plan;
use super::room;
use super::user_data::{Release, ReleaseError};
use super::watch::Watch;
use crate::aws::{Filter, Instance};
use crate::github::{Deployment, Pull};
use crate::names::Preview;
use crate::report::{Told, Turn};
use crate::settings::Settings;

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// One word: ready, failed, going, superseded, closed, skipped, cancelled.
    pub outcome: &'static str,
    /// The exit code.
    pub code: u8,
    /// What there is to tell.
    pub told: Told,
    /// The instance's address.
    pub address: Option<IpAddr>,
}

/// What becomes known on the way, for whoever is told when it ends early.
pub(super) struct Way {
    pub(super) told: Told,
    pub(super) deployment: Option<Deployment>,
    pub(super) address: Option<IpAddr>,
}

impl Way {
    pub(super) fn ended(&self, outcome: &'static str, code: u8) -> Ended {
        Ended { outcome, code, told: self.told.clone(), address: self.address }
    }
}

/// An instance with an address and rules.
struct Launched {
    preview: Preview,
    settings: Settings,
    plan: Plan,
    id: String,
    address: IpAddr,
}

/// Brings the preview of a pull request up and waits for it.
///
/// # Errors
/// What kept it from being launched.
pub async fn up(
    job: &Job,
    number: u64,
    sha: Option<&str>,
    release: &Result<Release, ReleaseError>,
    limit: Duration,
) -> Result<Ended, Failure> {
    let pull = current(job, number, sha).await?;
    let told = Told::starting(&pull.head, job.run_url.clone());
    let nothing = |outcome, told| Ok(Ended { outcome, code: exit::OK, told, address: None });
    if !pull.open {
        job.output.say(&format!("#{number} is closed: no preview"));
        return nothing("closed", told);
    }
    // A run that waited for its turn, or is run again, has an old event.
    let is_head = |sha: &str| sha.len() >= 7 && pull.head.starts_with(&sha.to_lowercase());
    if let Some(asked) = sha.filter(|sha| !is_head(sha)) {
        job.output
            .say(&format!("#{number} has moved on from {asked} to {}, whose run brings it up", pull.head));
        return nothing("superseded", told);
    }
    let mut way = Way { told, deployment: None, address: None };
    // One look-out for all of it: a second signal cuts nothing that the first one began.
    let end = tokio::select! {
        end = all_the_way(job, &pull, release, limit, &mut way) => Some(end),
        () = told_to_stop() => None,
    };
    match end {
        Some(end) => end,
        None => Ok(finish::cancelled(job, number, way).await),
    }
}

async fn all_the_way(
    job: &Job,
    pull: &Pull,
    release: &Result<Release, ReleaseError>,
    limit: Duration,
    way: &mut Way,
) -> Result<Ended, Failure> {
    way.deployment = job.deploy(pull.number, &pull.head).await;
    job.tell(pull.number, way.deployment, &way.told).await;
    match bring_up(job, pull, release, way).await {
        Ok(Launched { preview, settings, plan, id, address }) => {
            let port = plan.agent.config.app.publish.port;
            let url = url(address, port);
            job.output.say(&format!("Preview URL: {url}"));
            job.output.values(&[("instance_id", &id), ("public_ip", &address.to_string()), ("url", &url)]);
            let watch = Watch { preview: &preview, instance: &id, sha: &pull.head, limit };
            Ok(finish::finish(job, &settings, &watch, (address, port), way).await)
        }
        Err(failure) => {
            way.told.turn = Turn::Failed;
            way.told.reason = Some(failure.text());
            if let Some(id) = &way.told.instance {
                way.told
                    .notes
                    .push(format!("The instance {id} goes on; `preview down {}` ends it.", pull.number));
            }
            job.tell(pull.number, way.deployment, &way.told).await;
            Err(failure)
        }
    }
}

/// Waits for a preview that is there.
///
/// # Errors
/// There is none.
pub async fn wait(job: &Job, number: u64, limit: Duration) -> Result<Ended, Failure> {
    let pull = current(job, number, None).await?;
    let loaded = job.settings_of(&pull).await?;
    let preview = preview(job, &loaded.settings, number);
    let instance = find(job, number).await?;
    let sha = instance.commit().unwrap_or_default().to_owned();
    let address = job.address(&instance.id).await?;
    let port = port(&loaded.settings, &preview, &sha)?;
    let mut told = Told::starting(&sha, job.run_url.clone());
    (told.instance, told.viewers) = (Some(instance.id.clone()), loaded.settings.viewers.clone());
    told.url = Some(url(address, port));
    let watch = Watch { preview: &preview, instance: &instance.id, sha: &sha, limit };
    let mut way = Way { told, deployment: None, address: Some(address) };
    let end = tokio::select! {
        end = finish::finish(job, &loaded.settings, &watch, (address, port), &mut way) => Some(end),
        () = told_to_stop() => None,
    };
    match end {
        Some(end) => Ok(end),
        None => Ok(finish::cancelled(job, number, way).await),
    }
}

/// The pull request as it is now; without GitHub, what the caller says of it.
async fn current(job: &Job, number: u64, sha: Option<&str>) -> Result<Pull, Failure> {
    match (&job.github, sha) {
        (Some(github), _) => {
            let pull = github.pull(number).await?;
            let pull = pull
                .ok_or_else(|| Failure::new(format!("{} has no pull request #{number}", job.repository)))?;
            if pull.open && !pull.trusted {
                return Err(Failure::new(format!(
                    "#{number} is of a fork or of Dependabot: its code gets no secrets"
                )));
            }
            Ok(pull)
        }
        (None, Some(sha)) => Ok(Pull::of_commit(number, sha)),
        (None, None) => {
            Err(Failure::new("which commit? Without GITHUB_TOKEN `up` wants --sha, and nothing else knows"))
        }
    }
}

fn preview(job: &Job, settings: &Settings, number: u64) -> Preview {
    Preview { repository: job.repository.clone(), number, path: settings.path.clone() }
}

/// Everything up to an instance with an address and rules.
async fn bring_up(
    job: &Job,
    pull: &Pull,
    release: &Result<Release, ReleaseError>,
    way: &mut Way,
) -> Result<Launched, Failure> {
    let Loaded { settings, refused, notes } = job.settings_of(pull).await?;
    let told = &mut way.told;
    (told.refused, told.notes, told.viewers) = (refused, notes, settings.viewers.clone());
    let preview = preview(job, &settings, pull.number);
    let plan = job.plan(&settings, &preview, &pull.head, release).await?;
    room::take_parameters(job, &settings, &preview).await?;
    let ending = room::make(job, &settings, &preview, way.deployment).await?;
    let id = job.launch(&plan.launch, &ending).await?;
    told.instance = Some(id.clone());
    job.output.say(&format!("launched {id}"));
    let address = job.address(&id).await?;
    let port = plan.agent.config.app.publish.port;
    (told.url, way.address) = (Some(url(address, port)), Some(address));
    room::settle(job, &settings, &preview, &id).await?;
    job.open(&settings, &preview, port, address).await?;
    Ok(Launched { preview, settings, plan, id, address })
}

/// The instance of this pull request.
pub(super) async fn find(job: &Job, number: u64) -> Result<Instance, Failure> {
    let filter = Filter { repository: job.repository.clone(), number: Some(number) };
    let found = job.aws.previews(Some(&filter)).await?;
    found.into_iter().max_by_key(|instance| instance.launched).ok_or_else(|| Failure {
        message: format!("#{number} has no preview in {}", job.aws.region),
        hint: None,
        code: exit::NO_AGENT,
    })
}

fn port(settings: &Settings, preview: &Preview, sha: &str) -> Result<u16, Failure> {
    let fill = crate::settings::Fill { preview, sha, secrets: &settings.secrets };
    Ok(crate::settings::AgentConfig::new(settings, &fill)?.config.app.publish.port)
}

fn url(address: IpAddr, port: u16) -> String {
    format!("http://{}", std::net::SocketAddr::new(address, port))
}
