//! The end of a launch: watched, looked at, told.

use std::net::IpAddr;
use std::time::Duration;

use preview_agent::cli::exit;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::job::Job;
use super::up::{Ended, Way};
use super::watch::{End, Watch};
use crate::report::Turn;
use crate::settings::Settings;

/// Watches to the end, looks from here, and tells.
pub(super) async fn finish(
    job: &Job,
    settings: &Settings,
    watch: &Watch<'_>,
    (address, port): (IpAddr, u16),
    way: &mut Way,
) -> Ended {
    let number = watch.preview.number;
    let (end, document) = job.watch(watch).await;
    let told = &mut way.told;
    (told.instance, told.document) = (Some(watch.instance.to_owned()), document);
    let (outcome, code) = match end {
        End::Ready => {
            told.turn = Turn::Ready;
            told.notes.extend(job.reach(settings, watch.preview, address, port).await);
            ("ready", exit::OK)
        }
        End::Going => {
            told.turn = Turn::Going;
            told.reason =
                Some(format!("Not done within {} min; the instance goes on.", watch.limit.as_secs() / 60));
            ("going", exit::IN_PROGRESS)
        }
        End::Blind(failure) => {
            told.turn = Turn::Going;
            told.reason =
                Some(format!("AWS no longer answers this run, the preview goes on: {}", failure.text()));
            let code = if told.document.is_some() { exit::IN_PROGRESS } else { failure.code };
            ("going", code)
        }
        End::Superseded(head) => {
            job.output.say(&format!("#{number} has moved on to {head}, whose run goes on"));
            job.inactive(way.deployment, "a newer commit was pushed").await;
            return way.ended("superseded", exit::OK);
        }
        End::Closed => {
            job.output.say(&format!("#{number} was closed meanwhile"));
            let code = match super::down::take_down(job, Some(settings), watch.preview).await {
                Ok(_) => exit::OK,
                Err(failure) => {
                    job.output.complain(&failure.text());
                    failure.code
                }
            };
            return way.ended("closed", code);
        }
        End::Failed => {
            told.turn = Turn::Failed;
            told.evidence = job.evidence(watch.instance, told.document.as_ref()).await;
            ("failed", exit::FAILED)
        }
        End::Silent => {
            told.turn = Turn::Failed;
            told.reason = Some(match &told.document {
                None => "The agent has not said a word: the instance's User Data did not come so far, or may not write \
                         the parameter.",
                Some(_) => "The agent says nothing any more.",
            }.to_owned());
            told.evidence = job.evidence(watch.instance, None).await;
            ("failed", exit::FAILED)
        }
        End::Gone(why) => {
            told.turn = Turn::Failed;
            told.reason = Some(format!("The instance was ended while it was waited for: {why}."));
            told.evidence = job.evidence(watch.instance, None).await;
            ("failed", exit::FAILED)
        }
    };
    job.output.quote(&told.line());
    for evidence in &told.evidence {
        job.output.say(&format!("{}:", evidence.from));
        job.output.quote(&evidence.text);
    }
    job.tell(number, way.deployment, &way.told).await;
    way.ended(outcome, code)
}

/// The end of a command that was told to stop; what it has launched goes on, and is found by its tags.
pub(super) async fn cancelled(job: &Job, number: u64, mut way: Way) -> Ended {
    way.told.turn = Turn::Cancelled;
    // A runner kills what has not ended 10 s after its first signal.
    tokio::select! {
        () = job.tell(number, way.deployment, &way.told) => {}
        () = sleep(Duration::from_secs(5)) => {}
    }
    way.ended("cancelled", 130)
}

/// A runner that cancels a job, or somebody's Ctrl-C. A second signal does not cut what the first began.
pub(super) async fn told_to_stop() {
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
