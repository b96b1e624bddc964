//! Whether the application serves, as far as is known: what a run does to it, and what the watch sees.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::status::{Cause, Class, Report, Reporter, ServiceState};

/// What is known; a run and the watch beside it share it, and each change is reported.
#[derive(Clone)]
pub struct Availability {
    reporter: Reporter,
    known: Arc<Mutex<Known>>,
}

struct Known {
    state: ServiceState,
    cause: Option<Cause>,
    replacing: bool,
    stopped: bool,
}

impl Availability {
    /// Of an agent that has not looked yet.
    #[must_use]
    pub fn new(reporter: Reporter) -> Self {
        let known = Known { state: ServiceState::None, cause: None, replacing: false, stopped: false };
        Self { reporter, known: Arc::new(Mutex::new(known)) }
    }

    /// The state that was seen last.
    #[must_use]
    pub fn state(&self) -> ServiceState {
        self.lock().state
    }

    /// Why it is not up.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.lock().cause.clone()
    }

    /// Sets and reports the state, with what else changes in the same moment.
    pub fn set(&self, state: ServiceState, cause: Option<Cause>, also: impl FnOnce(&mut Report)) {
        {
            let mut known = self.lock();
            (known.state, known.cause) = (state, cause.clone());
        }
        self.reporter.update(|report| {
            also(report);
            report.service(state, cause);
        });
    }

    /// The old application is about to be stopped: until one is proven nothing serves.
    pub fn begin_outage(&self) {
        self.lock().stopped = true;
        let message = "the application is being replaced".to_owned();
        let cause = Cause { class: Class::Agent, code: None, message, tail: String::new() };
        self.set(ServiceState::Down, Some(cause), |report| report.serving(None));
    }

    /// From here on the end of the application's container is the run's own doing.
    pub fn begin_replacing(&self) {
        let mut known = self.lock();
        (known.replacing, known.stopped) = (true, false);
    }

    /// The run is over.
    pub fn end_replacing(&self) {
        let mut known = self.lock();
        (known.replacing, known.stopped) = (false, false);
    }

    /// Whether this run has asked the engine to stop the old application.
    #[must_use]
    pub fn has_been_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Whether a run replaces the application's container.
    #[must_use]
    pub fn is_replacing(&self) -> bool {
        self.lock().replacing
    }

    /// A panic elsewhere must not silence the watch, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
