//! Retry: a policy value and the driver that follows it.
//!
//! Whether an error can be retried is the caller's classification; how long to
//! wait is the policy's. The two never mix.

use std::time::Duration;

use tokio::time::Instant;

/// How often, how far apart and until when an operation is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Tries in all, the first included.
    pub tries: u32,
    /// Upper bound of the first wait.
    pub first: Duration,
    /// Upper bound of every wait.
    pub max: Duration,
    /// No new try starts after this much time, and a wait never outlasts it.
    pub total: Duration,
}

impl Policy {
    /// Upper bound of the wait after try number `attempt` (from 1): doubled each time, capped.
    #[must_use]
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.max)
    }

    /// A wait with full jitter below [`Policy::ceiling`], so that many instances that failed together do
    /// not come back together.
    #[must_use]
    pub fn wait(&self, attempt: u32) -> Duration {
        jittered(self.ceiling(attempt))
    }
}

/// A wait with full jitter: anything between zero and this, each as likely as the other.
#[must_use]
pub fn jittered(ceiling: Duration) -> Duration {
    ceiling.mul_f64(fastrand::f64())
}

/// How long to wait before the next look at something that comes up by itself and is
/// cheap to look at, after having waited for it this long: so little of that time
/// that the look which finds it up comes soon, however long it took.
#[must_use]
pub fn interval(waited: Duration, (least, most): (Duration, Duration)) -> Duration {
    (waited / 64).clamp(least, most)
}

/// What a failed try asks for.
#[derive(Debug)]
pub enum Verdict<E> {
    /// Trying again cannot help.
    Final(E),
    /// Trying again may help.
    Again(E),
    /// Trying again may help, but not before this much time has passed.
    After(E, Duration),
}

/// An operation that was given up, with the number of tries it took.
#[derive(Debug)]
pub struct GaveUp<E> {
    /// The last error.
    pub error: E,
    /// Tries made.
    pub attempts: u32,
}

/// Runs `operation` (given the try's number, from 1) until it succeeds, fails
/// for good, or the policy is used up.
///
/// # Errors
/// The last try's error with the count of tries.
pub async fn run<T, E, F>(policy: Policy, mut operation: F) -> Result<(T, u32), GaveUp<E>>
where
    F: AsyncFnMut(u32) -> Result<T, Verdict<E>>,
{
    let begun = Instant::now();
    let mut attempt = 1;
    loop {
        let (error, at_least) = match operation(attempt).await {
            Ok(value) => return Ok((value, attempt)),
            Err(Verdict::Final(error)) => return Err(GaveUp { error, attempts: attempt }),
            Err(Verdict::Again(error)) => (error, Duration::ZERO),
            Err(Verdict::After(error, wait)) => (error, wait),
        };
        let wait = policy.wait(attempt).max(at_least);
        // Who asks for patience may ask for any number of seconds.
        if attempt >= policy.tries || begun.elapsed().saturating_add(wait) >= policy.total {
            return Err(GaveUp { error, attempts: attempt });
        }
        tokio::time::sleep(wait).await;
        attempt += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: Policy = Policy {
        tries: 5,
        first: Duration::from_secs(1),
        max: Duration::from_secs(30),
        total: Duration::from_secs(900),
    };

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    fn impatient() -> Policy {
        Policy { first: Duration::ZERO, max: Duration::ZERO, ..POLICY }
    }

    #[test]
    fn a_final_error_ends_at_once() {
        let gave_up = block_on(run(impatient(), async |_| Err::<(), _>(Verdict::Final("no")))).unwrap_err();
        assert_eq!((gave_up.error, gave_up.attempts), ("no", 1));
    }

    #[test]
    fn tries_are_counted_and_bounded() {
        let gave_up = block_on(run(impatient(), async |n| Err::<(), _>(Verdict::Again(n)))).unwrap_err();
        assert_eq!((gave_up.error, gave_up.attempts), (5, 5));
    }

    #[test]
    fn success_tells_which_try_it_was() {
        let done =
            block_on(run(impatient(), async |n| if n == 3 { Ok("yes") } else { Err(Verdict::Again(())) }));
        assert_eq!(done.unwrap(), ("yes", 3));
    }

    #[test]
    fn a_wait_beyond_the_total_is_not_begun() {
        let policy = Policy { total: Duration::from_secs(10), ..impatient() };
        let hour = Duration::from_secs(3600);
        let gave_up = block_on(run(policy, async |_| Err::<(), _>(Verdict::After((), hour)))).unwrap_err();
        assert_eq!(gave_up.attempts, 1);
    }

    #[test]
    fn a_wait_without_end_is_not_begun() {
        let forever = Duration::MAX;
        let gave_up =
            block_on(run(impatient(), async |_| Err::<(), _>(Verdict::After((), forever)))).unwrap_err();
        assert_eq!(gave_up.attempts, 1);
    }

    #[test]
    fn the_next_look_comes_after_a_fraction_of_the_time_waited() {
        let seconds = Duration::from_secs;
        let next = |waited| interval(waited, (Duration::from_millis(100), seconds(2)));
        assert_eq!(next(Duration::ZERO), Duration::from_millis(100));
        assert_eq!(next(seconds(16)), Duration::from_millis(250));
        assert_eq!(next(seconds(3600)), seconds(2));
    }

    proptest! {
        #[test]
        fn a_wait_stays_within_its_ceiling(attempt in 1_u32..1000) {
            let wait = POLICY.wait(attempt);
            prop_assert!(wait <= POLICY.ceiling(attempt));
            prop_assert!(POLICY.ceiling(attempt) <= POLICY.max);
        }
    }
}
