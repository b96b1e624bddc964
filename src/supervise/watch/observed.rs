//! What follows from what the probes saw.

use super::Watch;
use crate::docker::State;
use crate::status::{Class, Fault, ServiceState, Topic};

impl Watch {
    /// What the probes of one moment saw; `None` is all well.
    pub(super) async fn observed(&mut self, trouble: Option<Fault>) {
        if self.availability.is_replacing() {
            return;
        }
        if !self.running {
            // The events of an engine that was restarted may be lost; what it shows is not.
            self.wait = (self.wait * 2).min(self.timings.liveness);
            match self.engine.inspect(&self.good.container).await {
                Ok(Some(found)) if found.state == State::Running => self.started().await,
                Ok(Some(found)) => self.has_not_returned(found.exit).await,
                Ok(None) | Err(_) => {}
            }
            return;
        }
        let liveness = self.timings.liveness;
        match trouble {
            None => {
                self.wait = liveness;
                self.misses = 0;
                self.ended = None;
                if let Some(before) = self.trouble.take() {
                    self.reporter.update(|report| report.note_on(Topic::Before, before));
                }
                self.report_once(ServiceState::Up, None);
            }
            Some(fault) if self.engine_gone.is_some() && fault.code.class() != Class::Database => {
                self.wait = (self.wait * 2).min(liveness);
                self.report_without_engine(&fault.message);
            }
            Some(fault) => {
                if self.wait == liveness {
                    self.misses += 1;
                }
                self.wait = (self.wait * 2).min(liveness);
                if self.misses >= self.timings.misses {
                    self.report_once(ServiceState::Degraded, Some(&fault));
                }
            }
        }
    }
}
