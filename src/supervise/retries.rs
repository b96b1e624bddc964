//! Runs that follow failed ones by themselves: which, and what is waited for before each.

use std::time::Duration;

use tokio::time::sleep;

use crate::config::DatabaseUrl;
use crate::deploy::{Again, Timings};
use crate::probe::database;
use crate::retry;
use crate::status::Reporter;

/// What has followed by itself since somebody asked for something.
#[derive(Debug, Default)]
pub(super) struct Retries {
    /// Runs after a while.
    followed: usize,
    /// One when its database answered again.
    with_database: bool,
}

/// What is waited for before another run.
#[derive(Debug)]
pub(super) enum Wait {
    /// An order.
    Order,
    /// This time.
    Time(Duration),
    /// A login to this database.
    Database(DatabaseUrl),
}

impl Retries {
    /// What is waited for after a run that is to be followed so.
    pub(super) fn wait(&mut self, again: Again, timings: &Timings) -> Wait {
        match again {
            Again::Later => {
                let longest = timings.before_run(self.followed);
                self.followed += 1;
                // What has failed a moment ago has hardly passed.
                Wait::Time(longest / 2 + retry::jittered(longest / 2))
            }
            Again::WithDatabase(url) if !self.with_database => {
                self.with_database = true;
                Wait::Database(url)
            }
            Again::WithDatabase(_) | Again::Never => Wait::Order,
        }
    }
}

impl Wait {
    /// Says what is waited for.
    pub(super) fn report(&self, reporter: &Reporter) {
        match self {
            Self::Order => {}
            Self::Time(time) => {
                // In whole seconds, and not past while it is waited for.
                let at = reporter.now().plus(*time + Duration::from_secs(1));
                tracing::info!(%at, "another run follows by itself");
                reporter.update(|report| report.next_try(Some(at)));
            }
            Self::Database(_) => {
                tracing::info!("another run follows when the database answers again");
                reporter.update(|report| report.note("tried once more when the database answers again"));
            }
        }
    }

    /// Waits until the other run may begin.
    pub(super) async fn over(&self, timings: &Timings) {
        match self {
            Self::Order => std::future::pending().await,
            Self::Time(time) => sleep(*time).await,
            Self::Database(url) => loop {
                sleep(timings.liveness).await;
                if database::ask(url, timings.connect).await.is_ok() {
                    break;
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_has_its_bound_and_the_last_bound_is_that_of_all_further_ones() {
        let (timings, mut retries) = (Timings::default(), Retries::default());
        for seconds in [30, 60, 120, 300, 600, 600, 600] {
            let Wait::Time(time) = retries.wait(Again::Later, &timings) else { panic!("no time") };
            let longest = Duration::from_secs(seconds);
            assert!(time >= longest / 2 && time <= longest, "{time:?} instead of {seconds} s at most");
        }
    }
}
