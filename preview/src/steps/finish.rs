//! The end of a launch: watches the status, tests the URL, reports.

use std::net::IpAddr;
use std::time::Duration;

use preview_agent::cli::exit;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::job::Job;
use super::up::{Ended, Progress};
use super::watch::{End, Watch};
use crate::report::Stage;
use crate::settings::Settings;

/// Watches until there is an outcome, tests the URL from here, and reports.
pub(super) async fn finish(
    job: &Job,
    settings: &Settings,
    watch: &Watch<'_>,
    (address, port): (IpAddr, u16),
    progress: &mut Progress,
) -> Ended {
    let number = watch.preview.number;
    let (end, document) = job.watch(watch).await;
    let report = &mut progress.report;
    (report.instance, report.document) = (Some(watch.instance.to_owned()), document);
    let (outcome, code) = match end {
        End::Ready => {
            report.stage = Stage::Ready;
            if !report.is_local {
                report.notes.extend(job.reach(settings, watch.preview, address, port).await);
            }
            ("ready", exit::OK)
        }
        End::Going => {
            report.stage = Stage::Going;
            report.reason = Some(format!(
                "Not ready within {} min; the instance goes on. `preview wait {number}` waits again.",
                watch.limit.as_secs() / 60
            ));
            ("going", exit::IN_PROGRESS)
        }
        End::NoAccess(failure) => {
            report.stage = Stage::Going;
            report.reason =
                Some(format!("AWS no longer answers this run; the preview goes on: {}", failure.text()));
            let code = if report.document.is_some() { exit::IN_PROGRESS } else { failure.code };
            ("going", code)
        }
        End::Superseded(head) => {
            job.output.say(&format!("#{number} has moved on to {head}, which has its own run"));
            job.inactive(progress.deployment, "a newer commit was pushed").await;
            return progress.ended("superseded", exit::OK);
        }
        End::Closed => {
            job.output.say(&format!("#{number} was closed meanwhile"));
            let code = match super::down::take_down(job, Some(settings), watch.preview, false).await {
                Ok(_) => exit::OK,
                Err(failure) => {
                    job.output.complain(&failure.text());
                    failure.code
                }
            };
            return progress.ended("closed", code);
        }
        End::Failed => {
            report.stage = Stage::Failed;
            report.evidence = job.evidence(watch.instance, report.document.as_ref()).await;
            ("failed", exit::FAILED)
        }
        End::Silent => {
            report.stage = Stage::Failed;
            report.reason = Some(match &report.document {
                None => "The agent has not reported anything: the instance cannot fetch it (PREVIEW_AGENT_RELEASE), its User Data failed before \
                         that, or its role may not write the parameter. The console says which.",
                Some(_) => "The agent no longer reports.",
            }.to_owned());
            report.evidence = job.evidence(watch.instance, None).await;
            ("failed", exit::FAILED)
        }
        End::Gone(why) => {
            report.stage = Stage::Failed;
            report.reason = Some(format!("The instance was terminated during the wait: {why}."));
            report.evidence = job.evidence(watch.instance, None).await;
            ("failed", exit::FAILED)
        }
    };
    job.output.quote(&report.line());
    for evidence in &report.evidence {
        job.output.say(&format!("{}:", evidence.from));
        job.output.quote(&evidence.text);
    }
    job.publish(number, progress.deployment, &progress.report).await;
    progress.ended(outcome, code)
}

/// The end of a cancelled command. An instance that it launched goes on, and tags lead to it.
pub(super) async fn cancelled(job: &Job, number: u64, mut progress: Progress) -> Ended {
    progress.report.stage = Stage::Cancelled;
    let launched = progress.report.instance.clone();
    job.output.say(&match &launched {
        Some(id) => format!(
            "cancelled; {id} goes on: `preview wait {number}` waits again, `preview down {number} --force` ends it"
        ),
        None => format!("cancelled before the launch; `preview down {number} --force` removes what is left"),
    });
    // A runner kills what has not ended 10 s after its first signal.
    tokio::select! {
        () = job.publish(number, progress.deployment, &progress.report) => {}
        () = sleep(Duration::from_secs(5)) => {}
    }
    progress.ended("cancelled", 130)
}

/// Waits for the signal of a runner that cancels a job, or of Ctrl-C. A second signal does not interrupt the work that
/// the first one started.
pub(super) async fn stop_signal() {
    let mut signals: Vec<_> = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
        .into_iter()
        .filter_map(|kind| signal(kind).ok())
        .collect();
    let any = std::future::poll_fn(|context| {
        if signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    });
    any.await;
}
