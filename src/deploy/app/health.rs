//! Proving the application healthy, stage by stage, from the host as its users reach it.

use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::container_output::tail;
use super::super::faults::{app_exited, cause_in};
use super::super::plan::Desired;
use super::super::run_context::{RunContext, Stop};
use super::super::timings::Timings;
use super::swap::Started;
use crate::config::{Health, Stage};
use crate::docker::Engine;
use crate::probe::Prober;
use crate::redact::Redactor;
use crate::retry;
use crate::status::{Code, Fault, HealthStage, PhaseName};

/// Proves the stages in order, unless the application ends first.
///
/// # Errors
/// What the stage that did not hold says, or how the application ended.
pub async fn healthy(
    run: &RunContext,
    engine: &Engine,
    desired: &Desired,
    started: &Started,
) -> Result<Vec<Stage>, Stop> {
    let (id, config) = (started.id(), &desired.config);
    let work = async {
        let prober = Prober::new(config.app.publish, run.timings.probe, &run.redactor)?;
        let limit = config.deadlines.health.min(run.left_to_prove());
        let proof = prove(&prober, &config.health, &run.timings, limit, |shown| {
            run.reporter.update(|report| report.health(shown.to_vec()));
        });
        let ended = async {
            // One that Docker restarts is not over when it ends.
            if started.is_kept() { pending().await } else { exit(engine, id, &run.redactor).await }
        };
        tokio::select! {
            proved = proof => match proved {
                Ok(stages) => Ok(stages),
                Err(fault) => {
                    let fault = explained(engine, id, &run.redactor, fault).await;
                    // With all of its time it might have come up: that is no proof against it.
                    let due = config.deadlines.health.min(run.most_to_prove());
                    let was_cut = fault.code == Code::HealthTimeout && limit < due / 2;
                    Err(if was_cut { Fault { code: Code::DeadlineExceeded, ..fault } } else { fault })
                }
            },
            fault = ended => Err(fault),
        }
    };
    run.phase(PhaseName::Health, work).await
}

/// Waits until the application ends by itself, and says how.
async fn exit(engine: &Engine, id: &str, redactor: &Redactor) -> Fault {
    match engine.wait(id).await {
        Ok(exit) => app_exited(exit, &tail(engine, id, redactor).await.text(), ""),
        Err(error) => error.into(),
    }
}

/// The fault with the application's last output, and with the cause that
/// the output names where it names one.
async fn explained(engine: &Engine, id: &str, redactor: &Redactor, fault: Fault) -> Fault {
    let tail = tail(engine, id, redactor).await.text();
    let code = cause_in(&tail).unwrap_or(fault.code);
    Fault { code, ..fault }.with_tail(tail)
}

/// The stages to prove, and whether 404 means "not served".
fn stages(health: &Health) -> (Vec<Stage>, bool) {
    let http = |path: &str| Stage::Http { path: path.to_owned(), json: None };
    match health {
        Health::Default => (vec![Stage::Tcp, http("/docs"), http("/readyz"), http("/health/db")], true),
        Health::Stages(stages) => (stages.clone(), false),
    }
}

/// The limit in words; of what the run's deadline left there may be next to nothing.
fn within(limit: Duration) -> String {
    match limit.as_secs() {
        0 => "in time".to_owned(),
        seconds => format!("within {seconds} s"),
    }
}

/// Probes each stage in turn until it holds, reporting every change. Returns the
/// stages that held: they are what liveness goes on probing.
///
/// # Errors
/// The last fault of the stage that did not hold in time.
pub async fn prove(
    prober: &Prober,
    health: &Health,
    timings: &Timings,
    limit: Duration,
    mut report: impl FnMut(&[HealthStage]),
) -> Result<Vec<Stage>, Fault> {
    let begun = Instant::now();
    let (stages, lenient) = stages(health);
    let path = stages.iter().find_map(|stage| match stage {
        Stage::Http { path, .. } => Some(path.clone()),
        Stage::Tcp => None,
    });
    let mut shown: Vec<HealthStage> = Vec::new();
    let mut held = Vec::new();
    let mut answered = !stages.iter().any(|stage| matches!(stage, Stage::Http { .. }));
    for stage in stages {
        loop {
            let mut probed = prober.probe_before(&stage, path.as_deref()).await;
            let absent = lenient && probed.shown.status == Some(404);
            probed.shown.skipped = absent;
            let fault = probed.fault.filter(|_| !absent);
            let changed = shown.last().is_none_or(|last| last.stage != probed.shown.stage);
            if !changed {
                shown.pop();
            }
            let news = fault.is_none() || changed;
            shown.push(probed.shown);
            if news {
                report(&shown);
            }
            let Some(fault) = fault else {
                if !absent {
                    answered |= matches!(stage, Stage::Http { .. });
                    held.push(stage);
                }
                break;
            };
            let wait = retry::interval(begun.elapsed(), timings.probe_wait);
            if begun.elapsed() + wait >= limit {
                report(&shown);
                let message = format!("not healthy {}: {}", within(limit), fault.message);
                return Err(Fault { message, ..fault });
            }
            sleep(wait).await;
        }
    }
    if answered {
        Ok(held)
    } else {
        let message =
            "the application answers 404 to /docs, /readyz and /health/db; name a path under `health`";
        Err(Fault::new(Code::HealthStatus, message))
    }
}
