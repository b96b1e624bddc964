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
use crate::github::Pull;
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
    let mut told = Told::starting(&pull.head, job.run_url.clone());
    let nothing = |outcome, told| Ok(Ended { outcome, code: exit::OK, told, address: None });
    if !pull.open {
        job.output.say(&format!("#{number} is closed: no preview"));
        return nothing("closed", told);
    }
    // A run that waited for its turn, or is run again, has an old event.
    if let Some(asked) = sha.filter(|sha| *sha != pull.head) {
        job.output
            .say(&format!("#{number} has moved on from {asked} to {}, whose run brings it up", pull.head));
        return nothing("superseded", told);
    }
    let sha = pull.head.clone();
    let deployment = job.deploy(number, &sha).await;
    job.tell(number, deployment, &told).await;
    let launched = tokio::select! {
        launched = bring_up(job, &pull, release, &mut told) => Some(launched),
        () = told_to_stop() => None,
    };
    let (preview, loaded, plan, id, address) = match launched {
        Some(Ok(launched)) => launched,
        None => return Ok(finish::cancelled(job, number, deployment, told, None).await),
        Some(Err(failure)) => {
            told.turn = Turn::Failed;
            told.reason = Some(failure.text());
            job.tell(number, deployment, &told).await;
            return Err(failure);
        }
    };
    let port = plan.agent.config.app.publish.port;
    let url = plan.url(address);
    job.output.say(&format!("Preview URL: {url}"));
    job.output.values(&[("instance_id", &id), ("public_ip", &address.to_string()), ("url", &url)]);
    let watch = Watch { preview: &preview, instance: &id, sha: &sha, limit };
    let settings = &loaded.settings;
    Ok(finish::finish(job, settings, &watch, (address, port), deployment, told).await)
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
    Ok(finish::finish(job, &loaded.settings, &watch, (address, port), None, told).await)
}

/// The pull request as it is now; without GitHub, what the caller says of it.
async fn current(job: &Job, number: u64, sha: Option<&str>) -> Result<Pull, Failure> {
    match (&job.github, sha) {
        (Some(github), _) => github
            .pull(number)
            .await?
            .ok_or_else(|| Failure::new(format!("{} has no pull request #{number}", job.repository))),
        (None, Some(sha)) => Ok(Pull { number, open: true, head: sha.to_owned(), base: sha.to_owned() }),
        (None, None) => Err(Failure::new("which commit? Without GITHUB_TOKEN it has to be said: --sha")),
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
    told: &mut Told,
) -> Result<(Preview, Loaded, Plan, String, IpAddr), Failure> {
    let loaded = job.settings_of(pull).await?;
    let settings = &loaded.settings;
    (told.refused, told.notes) = (loaded.refused.clone(), loaded.notes.clone());
    told.viewers = settings.viewers.clone();
    let preview = preview(job, settings, pull.number);
    let plan = job.plan(settings, &preview, &pull.head, release).await.map_err(|faults| all(&faults))?;
    room::is_free(job, &preview).await?;
    room::store_secrets(job, settings, &preview).await?;
    let ending = room::make(job, settings, &preview).await?;
    let id = job.launch(&plan.launch, &ending).await?;
    told.instance = Some(id.clone());
    job.output.say(&format!("launched {id}"));
    let address = job.address(&id).await?;
    told.url = Some(plan.url(address));
    job.open(settings, &preview, plan.agent.config.app.publish.port, address).await?;
    Ok((preview, loaded, plan, id, address))
}

/// All faults as one.
fn all(faults: &[Failure]) -> Failure {
    let texts: Vec<String> = faults.iter().map(Failure::text).collect();
    let code = faults.first().map_or(exit::FAILED, |fault| fault.code);
    Failure { message: texts.join("\n"), hint: None, code }
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
