//! The configuration file: a typed configuration or a list of problems with
//! their places, in little time, and nothing of the file repeated.

use std::time::{Duration, Instant};

use preview_agent::config::{self, Error};

use super::{CANARY, fit_to_show};

/// More than a loaded machine needs for the largest file.
const LIMIT: Duration = Duration::from_secs(5);

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let begun = Instant::now();
    match config::parse(text) {
        Ok(config) => {
            assert!(config.deadline > Duration::ZERO && config.app.port > 0);
            assert!(!format!("{config:?}").contains(CANARY));
        }
        Err(Error::Invalid { problems, .. }) => {
            assert!(!problems.is_empty());
            let lines = text.split(['\n', '\r']).count() as u64;
            for problem in &problems {
                assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
                assert!(problem.line <= lines + 1, "{problem}");
                fit_to_show(&problem.to_string(), 4096);
                assert!(!problem.to_string().contains(CANARY), "{problem}");
            }
        }
        Err(other) => panic!("{other}"),
    }
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
}
