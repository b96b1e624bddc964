//! What the agent reports of itself, as state: what is true of the run and of
//! the service. Others write to it; only the document that is derived from it is read.

use super::document::{Document, SCHEMA, Writer};
use super::fault::Fault;
use super::heartbeat::EXPIRES_AFTER;
use super::note::{Notes, Topic};
use super::run::{Outcome, Phase, PhaseName, PhaseState, Run, RunId};
use super::sections::{
    App, Cause, Database, DatabaseState, FaultReport, HealthStage, Image, ImageSource, Instance, Migration,
    Progress, Service, ServiceState, Serving,
};
use super::timestamp::Timestamp;
use super::url::url;
use crate::config::Publish;

/// The state that the status document shows.
#[derive(Debug, Clone)]
pub struct Report {
    pub(super) run: Run,
    pub(super) phases: Vec<Phase>,
    pub(super) service: Service,
    serving: Option<Serving>,
    container: Container,
    image: Image,
    instance: Instance,
    database: Option<Database>,
    migration: Option<Migration>,
    health: Vec<HealthStage>,
    fault: Option<(Fault, Option<PhaseName>)>,
    next_try: Option<Timestamp>,
    pub(super) notes: Notes,
}

/// The application's container.
#[derive(Debug, Clone, Default)]
pub struct Container {
    /// Its name.
    pub name: Option<String>,
    /// How often Docker has restarted it.
    pub restarts: u64,
    /// Where the host publishes it, where that is known.
    pub publish: Option<Publish>,
}

impl Report {
    /// The report of an agent that begins its first run and knows nothing else yet.
    #[must_use]
    pub fn new(run: Run) -> Self {
        let service = Service { state: ServiceState::None, since: run.started, cause: None };
        Self {
            run,
            phases: pending(),
            service,
            serving: None,
            container: Container::default(),
            image: Image::default(),
            instance: Instance::default(),
            database: None,
            migration: None,
            health: Vec::new(),
            fault: None,
            next_try: None,
            notes: Notes::default(),
        }
    }

    /// Begins another run: what the last one did goes, what is true of the
    /// service and the instance stays.
    pub fn next_run(&mut self, run: Run) {
        let Self { service, serving, container, instance, .. } = self.clone();
        *self = Self { service, serving, container, instance, ..Self::new(run) };
    }

    /// Ends the run.
    pub fn end_run(&mut self, outcome: Outcome) {
        self.run.outcome = outcome;
    }

    /// Says which run takes this one's place.
    pub fn superseded_by(&mut self, run: RunId) {
        self.run.superseded_by = Some(run);
    }

    /// Says why the run failed, and in which phase: the one that ran last, unless it is named.
    pub fn fault(&mut self, fault: Fault, phase: Option<PhaseName>) {
        self.fault = Some((fault, phase.or(self.run.phase)));
    }

    /// Says when another run follows by itself, or that none does.
    pub fn next_try(&mut self, at: Option<Timestamp>) {
        self.next_try = at;
    }

    /// Echoes the deployment's id.
    pub fn deployment(&mut self, id: Option<String>) {
        self.run.deployment = id;
    }

    /// Begins a phase, `at` milliseconds after the run.
    pub fn begin(&mut self, name: PhaseName, at: u64) {
        let phase = self.phase(name);
        phase.state = PhaseState::Running;
        // Of several parts the first begins it.
        phase.start_ms.get_or_insert(at);
        phase.ms = None;
        self.run.phase = Some(name);
    }

    /// Ends a phase, `at` milliseconds after the run. One that never began
    /// (skipped, kept) has no place on the time line.
    pub fn end(&mut self, name: PhaseName, state: PhaseState, at: u64) {
        let phase = self.phase(name);
        phase.state = state;
        phase.ms = phase.start_ms.map(|start| at.saturating_sub(start));
        if let Some(other) = self.phases.iter().find(|phase| phase.state == PhaseState::Running) {
            self.run.phase = Some(other.name);
        }
    }

    /// Says which try a phase is at, and of how many where they are counted.
    pub fn attempt(&mut self, name: PhaseName, attempt: u32, tries: Option<u32>) {
        let phase = self.phase(name);
        phase.attempts = attempt;
        phase.tries = tries.unwrap_or(0);
    }

    /// Says that nothing was to be done in this phase and in those that have not begun.
    pub fn keep_from(&mut self, name: PhaseName) {
        for phase in &mut self.phases {
            if phase.name == name || phase.state == PhaseState::Pending {
                phase.state = PhaseState::Kept;
            }
        }
    }

    fn phase(&mut self, name: PhaseName) -> &mut Phase {
        let index = self.phases.iter().position(|phase| phase.name == name).unwrap_or_else(|| {
            self.phases.push(Phase::pending(name));
            self.phases.len() - 1
        });
        &mut self.phases[index]
    }

    /// Says what is true of the service, and why it is not up.
    pub fn service(&mut self, state: ServiceState, cause: Option<Cause>) {
        (self.service.state, self.service.cause) = (state, cause);
    }

    /// Says what answers requests.
    pub fn serving(&mut self, serving: Option<Serving>) {
        self.serving = serving;
    }

    /// Says which container the application has.
    pub fn container(&mut self, container: Container) {
        self.container = container;
    }

    /// Says how often Docker has restarted the application.
    pub fn restarts(&mut self, restarts: u64) {
        self.container.restarts = restarts;
    }

    /// Names the image that the run asks for.
    pub fn image(&mut self, name: String) {
        self.image.requested = Some(name);
    }

    /// Says how far the image's transfer has come.
    pub fn transferred(&mut self, bytes: u64, total: Option<u64>) {
        self.image.progress = Some(Progress { bytes, total });
    }

    /// Says why the image is built and not pulled.
    pub fn build_because(&mut self, why: String) {
        (self.image.why_built, self.image.progress) = (Some(why), None);
    }

    /// Names the commit that is built, where the archive does.
    pub fn build_from(&mut self, commit: Option<String>) {
        (self.image.commit, self.image.progress) = (commit, None);
    }

    /// Says where the image came from, now that it is there.
    pub fn image_ready(&mut self, source: ImageSource, digest: Option<String>, commit: Option<String>) {
        let Image { requested, why_built, .. } = std::mem::take(&mut self.image);
        self.image = Image { requested, why_built, digest, commit, source: Some(source), progress: None };
    }

    /// Says where the agent runs.
    pub fn instance(&mut self, instance: Instance) {
        self.instance = instance;
    }

    /// Says how the database at this endpoint stands.
    pub fn database(&mut self, endpoint: String, state: DatabaseState) {
        self.database = Some(Database { endpoint, state });
    }

    /// Says how the migration stands.
    pub fn migration(&mut self, migration: Migration) {
        self.migration = Some(migration);
    }

    /// Shows the health stages probed so far.
    pub fn health(&mut self, stages: Vec<HealthStage>) {
        self.health = stages;
    }

    /// Adds what a reader should know though nothing failed.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.add(text.into());
    }

    /// Says the newest of a topic, in the place of what was said of it before.
    pub fn note_on(&mut self, topic: Topic, text: impl Into<String>) {
        self.notes.set(topic, text.into());
    }

    /// Forgets what was said of a topic.
    pub fn forget(&mut self, topic: Topic) {
        self.notes.clear(topic);
    }

    /// The document that shows all this, without its verdict. `now` is when it is written.
    #[must_use]
    pub fn document(&self, now: Timestamp) -> Document {
        let Container { name, restarts, publish } = self.container.clone();
        let url = publish.map(|publish| url(&self.instance, publish));
        let fault = self.fault.clone().map(|(fault, phase)| FaultReport::new(fault, phase));
        Document {
            verdict: String::new(),
            schema: SCHEMA,
            run: self.run.clone(),
            service: self.service.clone(),
            serving: self.serving.clone(),
            image: self.image.clone(),
            instance: self.instance.clone(),
            database: self.database.clone(),
            migration: self.migration.clone(),
            app: App { container: name, restarts, url },
            health: self.health.clone(),
            phases: self.phases.clone(),
            fault,
            notes: self.notes.texts(),
            next_try_at: self.next_try,
            heartbeat_at: now,
            expires_at: now.plus(EXPIRES_AFTER),
            agent: Writer::this(),
        }
    }
}

fn pending() -> Vec<Phase> {
    PhaseName::ALL.iter().copied().map(Phase::pending).collect()
}
