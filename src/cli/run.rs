//! `agent run`: deploy, then stay and watch.

use std::io;
use std::path::PathBuf;

use clap::Args;
use time::OffsetDateTime;

use super::output::complain;
use super::{exit, logging};
use crate::aws::{Aws, Endpoints};
use crate::config;
use crate::deploy::{Agent, Timings, parameter_sender};
use crate::install::REPORT;
use crate::redact::Redactor;
use crate::state::{Store, StoreError};
use crate::status::systemd::Systemd;
use crate::status::{self, Code, Fault, Outcome, Reporter, RunId, ServiceState, Timestamp, paths};
use crate::supervise::{self, Options, Signals};

/// Deploy what the configuration describes, then stay and watch over it
#[derive(Debug, Args)]
pub struct Run {
    /// Exit when the run has ended; nobody watches the app from then on
    #[arg(long)]
    pub once: bool,
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
    pub config: PathBuf,
    /// Run jobs and migration even if the record says they are done or their tries are used up
    #[arg(long)]
    pub migrate: bool,
}

impl Run {
    /// Runs the command and returns the exit code.
    #[must_use]
    pub fn run(self) -> u8 {
        self.run_by(Timings::default())
    }

    /// The same by these times.
    #[must_use]
    pub fn run_by(self, timings: Timings) -> u8 {
        logging::init();
        // The only provider in the tree; a second installation would be refused, and harmless.
        rustls::crypto::ring::default_provider().install_default().ok();
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return complain(&format!("no runtime: {error}"), exit::TEMPORARY),
        };
        let code = runtime.block_on(self.main(timings));
        // A name lookup in flight cannot be cancelled and must not hold up the exit.
        runtime.shutdown_background();
        code
    }

    async fn main(self, timings: Timings) -> u8 {
        let mut signals = match Signals::new() {
            Ok(signals) => signals,
            Err(error) => return complain(&format!("cannot take signals: {error}"), exit::TEMPORARY),
        };
        let mut store = match Store::open(&paths::state_dir()) {
            Ok(store) => store,
            Err(error) => return without_state(&error).await,
        };
        let systemd = Systemd::from_env();
        let redactor = Redactor::default();
        let id = supervise::next_run_id(&store);
        let loaded = config::load(&self.config);
        let deadline = loaded.as_ref().map_or(std::time::Duration::ZERO, |loaded| loaded.config.deadline);
        let now = Timestamp::from(OffsetDateTime::now_utc());
        let run = supervise::new_run(&mut store, now, deadline, id.clone());
        let reporter = Reporter::start(
            &paths::run_dir(),
            redactor.clone(),
            run,
            systemd.clone(),
            OffsetDateTime::now_utc,
        );
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => return refuse(&reporter, &store, &error).await,
        };
        systemd.ready();
        let _watchdog = systemd.watchdog();
        let _heartbeat = reporter.keep_heartbeat(timings.heartbeat);
        let endpoints = Endpoints::from_env();
        let mut agent = Agent::new(reporter.clone(), redactor, store, timings, endpoints);
        let options = Options { config: self.config, once: self.once, migrate: self.migrate };
        let outcome = supervise::drive(&mut agent, loaded, id, &options, &mut signals, &systemd).await;
        reporter.flush(timings.flush).await;
        match outcome {
            _ if !self.once => exit::OK,
            Outcome::Ready => exit::OK,
            _ => complain(&reporter.document().verdict, exit::FAILED),
        }
    }
}

/// A configuration that cannot be used: said on stderr in full, in the status
/// in short, and nothing is touched.
async fn refuse(reporter: &Reporter, store: &Store, error: &config::Error) -> u8 {
    let code = exit::of_config_error(error);
    let mut message = error.to_string();
    if let config::Error::Denied { path } = error {
        message += config::service_hint(path, io::ErrorKind::PermissionDenied);
    }
    let fault = Fault::new(Code::ConfigInvalid, message.lines().next().unwrap_or_default());
    let good = store.state().last_good.clone();
    reporter.update(|report| {
        // What was deployed before goes on, and nobody looks at it.
        if let Some(good) = good {
            report.service(ServiceState::Unwatched, None);
            report.serving(Some(good.serving));
        }
        report.fault(fault, None);
        report.end_run(Outcome::Failed);
    });
    deliver(reporter).await;
    complain(&message, code)
}

/// A state folder that cannot be used: without it, tries would not be counted and a second agent
/// not be noticed, so nothing is touched. A second agent leaves the status to the first.
async fn without_state(error: &StoreError) -> u8 {
    let StoreError::Io { error: reason, .. } = error else {
        let code = Code::AlreadyRunning;
        return complain(&format!("{code}: {error}. {}", code.hint()), exit::TEMPORARY);
    };
    let code = Code::StateUnusable;
    let message = format!("{code}: {error}. {}", code.hint());
    let now = Timestamp::from(OffsetDateTime::now_utc());
    let run = status::Run::begun(RunId::random(0), 0, now, None);
    let reporter = Reporter::start(
        &paths::run_dir(),
        Redactor::default(),
        run,
        Systemd::from_env(),
        OffsetDateTime::now_utc,
    );
    reporter.update(|report| {
        report.fault(Fault::new(code, error.to_string()), None);
        report.end_run(Outcome::Failed);
    });
    deliver(&reporter).await;
    let denied = reason.kind() == io::ErrorKind::PermissionDenied;
    complain(&message, if denied { exit::NO_PERMISSION } else { exit::TEMPORARY })
}

/// Sends the status to the parameter that the unit's environment names: no configuration does.
async fn deliver(reporter: &Reporter) {
    let Some(name) = std::env::var(REPORT).ok().filter(|name| !name.is_empty()) else { return };
    let timings = Timings::default();
    let endpoints = Endpoints::from_env();
    let region = region(&endpoints).await;
    match Aws::connect(endpoints, region.as_deref()).await {
        Ok(aws) => {
            reporter.attach_parameter(parameter_sender(&aws, &name, timings.report));
            reporter.flush(timings.flush).await;
        }
        Err(error) => tracing::warn!(%error, "the status parameter cannot be written"),
    }
}

async fn region(endpoints: &Endpoints) -> Option<String> {
    let imds = crate::aws::Imds::connect(endpoints.imds.as_deref()).ok()?;
    imds.instance().await.ok().flatten().map(|instance| instance.region)
}
