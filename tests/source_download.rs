//! The way from the API to the spool: what GitHub says is understood, what it
//! asks for is obeyed, and the token goes to the API alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use preview_agent::github::{Archive, Limits, Progress, Request, SourceError, fetch};
use preview_agent::retry::Policy;
use secrecy::SecretString;
use support::github::{Answer, COMMIT, GitHub, Host, Tarball};
use support::wait::block_on;

const TOKEN: &str = "ghp_canary0123456789";

/// Nothing waits longer than a test may.
fn limits() -> Limits {
    let retry =
        Policy { tries: 3, first: Duration::ZERO, max: Duration::ZERO, total: Duration::from_secs(60) };
    // So long that a busy machine is not taken for a silent host.
    Limits { retry, stall: Duration::from_secs(2), ..Limits::default() }
}

fn request(api: &Host) -> Request {
    let token = Some(SecretString::from(TOKEN));
    Request { api_url: api.url(), token, ..support::github::request() }
}

fn try_with(request: &Request, limits: &Limits) -> Result<Archive, SourceError> {
    progress_of(request, limits).0
}

fn progress_of(request: &Request, limits: &Limits) -> (Result<Archive, SourceError>, Vec<Progress>) {
    // A second installation is refused and harmless: the first stays.
    drop(rustls::crypto::ring::default_provider().install_default());
    let spool = tempfile::tempdir().unwrap();
    let mut progress = Vec::new();
    let fetched = block_on(fetch(request, spool.path(), limits, |seen| progress.push(seen)));
    let result = fetched.map_err(|gave_up| gave_up.error);
    assert_eq!(std::fs::read_dir(spool.path()).unwrap().count(), 0, "the spool file has a name");
    if let Err(error) = &result {
        let words = format!("{error} {error:?}");
        assert!(!words.contains(TOKEN) && !words.contains("redirect-secret"), "{words}");
    }
    (result, progress)
}

fn archive() -> Vec<u8> {
    // Random enough that gzip leaves it long.
    let mut random = fastrand::Rng::with_seed(7);
    let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(300_000).collect();
    Tarball::new().file("Dockerfile", "FROM scratch").file("noise", noise).gz()
}

/// What becomes of answers of the API itself; how many requests it took.
fn api_says(answers: Vec<Answer>) -> (SourceError, usize) {
    let api = Host::new(answers);
    let error = try_with(&request(&api), &limits()).unwrap_err();
    (error, api.requests().len())
}

fn status(status: u16, headers: &[(&'static str, &str)]) -> Answer {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Answer::Status(status, headers, r#"{"message":"Bad credentials"}"#.to_owned())
}

#[test]
fn the_token_goes_to_the_api_and_not_to_the_file_host() {
    let github = GitHub::serving(archive());
    assert_eq!(try_with(&request(&github.api), &limits()).unwrap().commit(), Some(COMMIT));
    let asked = github.api.requests().remove(0);
    assert!(asked.starts_with(&format!("GET /repos/acme/api/tarball/{COMMIT} ")), "{asked}");
    let asked = asked.to_lowercase();
    assert!(asked.contains(&format!("\r\nauthorization: bearer {TOKEN}\r\n")), "{asked}");
    assert!(asked.contains("\r\nuser-agent: preview-agent/"), "{asked}");
    assert!(!github.files.requests()[0].to_lowercase().contains("authorization"));
}

#[test]
fn without_a_token_the_request_is_anonymous() {
    let github = GitHub::serving(archive());
    let request = Request { token: None, ..request(&github.api) };
    assert!(try_with(&request, &limits()).is_ok());
    assert!(!github.api.requests()[0].to_lowercase().contains("authorization"));
}

#[test]
fn an_enterprise_root_and_a_branch_with_a_slash_are_put_into_the_path() {
    let github = GitHub::serving(archive());
    let request = Request {
        api_url: format!("{}/api/v3/", github.api.url()),
        reference: "feature/a b".into(),
        ..request(&github.api)
    };
    assert!(try_with(&request, &limits()).is_ok());
    let asked = github.api.requests().remove(0);
    assert!(asked.starts_with("GET /api/v3/repos/acme/api/tarball/feature%2Fa%20b "), "{asked}");
}

#[test]
fn progress_grows_to_the_whole() {
    let archive = archive();
    let github = GitHub::new(vec![Answer::Drip(archive.clone(), 100_000, Duration::from_millis(1))]);
    let (result, progress) = progress_of(&request(&github.api), &limits());
    assert!(result.is_ok());
    let whole = archive.len() as u64;
    assert!(progress.is_sorted_by(|a, b| a.bytes < b.bytes) && progress.len() > 1);
    assert_eq!(progress.last(), Some(&Progress { bytes: whole, total: Some(whole) }));
}

#[test]
fn what_trying_again_cannot_help_is_asked_once() {
    let (error, asked) = api_says(vec![status(404, &[])]);
    assert!(
        matches!(&error, SourceError::NotFound { .. }) && error.to_string().contains("acme/api"),
        "{error}"
    );
    assert_eq!(asked, 1);
    for code in [401, 403] {
        let (error, asked) = api_says(vec![status(code, &[("x-ratelimit-remaining", "12")])]);
        assert!(matches!(&error, SourceError::Denied { status, .. } if *status == code), "{error}");
        assert!(error.to_string().contains("Bad credentials"), "{error}");
        assert_eq!(asked, 1);
    }
    let (error, asked) = api_says(vec![status(451, &[])]);
    assert!(matches!(&error, SourceError::Unexpected { status: 451, .. }), "{error}");
    assert_eq!(asked, 1);
}

#[test]
fn what_may_pass_is_tried_three_times() {
    let (error, asked) = api_says(vec![status(502, &[])]);
    assert!(matches!(error, SourceError::Server { status: 502, .. }), "{error}");
    assert_eq!(asked, 3);
    let (error, asked) = api_says(vec![Answer::Hangup]);
    assert!(matches!(&error, SourceError::Unreachable { host, .. } if host == "127.0.0.1"), "{error}");
    assert_eq!(asked, 3);
    let page = Answer::Status(200, vec![("Content-Type", "text/html".into())], "<html>Sign in</html>".into());
    let (error, asked) = api_says(vec![page]);
    assert!(
        matches!(&error, SourceError::NotAnArchive { content_type } if content_type == "text/html"),
        "{error}"
    );
    assert_eq!(asked, 3);
    let (error, _) = api_says(vec![Answer::Body(Vec::new())]);
    assert!(matches!(error, SourceError::NotAnArchive { .. }), "{error}");
}

#[test]
fn a_failure_that_passes_is_survived() {
    let whole = archive();
    let cut = Answer::Cut(whole.clone(), whole.len() / 2);
    let github = GitHub::new(vec![cut, Answer::Stall(whole.clone(), 1000), Answer::Body(whole)]);
    assert!(try_with(&request(&github.api), &limits()).is_ok());
    assert_eq!(github.files.requests().len(), 3);
}

#[test]
fn nobody_at_the_address_is_unreachable() {
    let api = Host::new(vec![Answer::Hangup]);
    let request = request(&api);
    drop(api);
    assert!(matches!(try_with(&request, &limits()).unwrap_err(), SourceError::Unreachable { .. }));
}

#[test]
fn a_connection_that_breaks_is_no_archive() {
    let whole = archive();
    let github = GitHub::new(vec![Answer::Cut(whole.clone(), whole.len() - 1)]);
    let error = try_with(&request(&github.api), &limits()).unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
}

#[test]
fn silence_ends_at_the_stall_limit() {
    let whole = archive();
    for (at, expected) in [(0, 0), (1000, 1000)] {
        let github = GitHub::new(vec![Answer::Stall(whole.clone(), at)]);
        let error = try_with(&request(&github.api), &limits()).unwrap_err();
        assert!(matches!(error, SourceError::Stalled { bytes, .. } if bytes == expected), "{error}");
    }
}

#[test]
fn slow_but_steady_is_no_stall() {
    let whole = archive();
    // Twelve pieces of 300 ms each: nearly twice the stall limit in all.
    let github = GitHub::new(vec![Answer::Drip(whole.clone(), whole.len() / 12, Duration::from_millis(300))]);
    assert!(try_with(&request(&github.api), &limits()).is_ok());
}

#[test]
fn the_deadline_holds_however_steady_the_drip() {
    let github = GitHub::new(vec![Answer::Drip(archive(), 10, Duration::from_millis(20))]);
    let total = Duration::from_millis(500);
    let retry = Policy { total, ..limits().retry };
    let begun = Instant::now();
    let error = try_with(&request(&github.api), &Limits { retry, ..limits() }).unwrap_err();
    assert!(matches!(error, SourceError::TimedOut { after } if after == total), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_rate_limit_beyond_the_deadline_fails_at_once() {
    let reset = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 1800;
    let reset = reset.to_string();
    for (code, headers, least, most) in [
        (403, vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset.as_str())], 1790, 1801),
        (429, vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset.as_str())], 1790, 1801),
        (403, vec![("retry-after", "90")], 90, 90),
        (429, vec![("retry-after", "90")], 90, 90),
        (429, vec![], 60, 60),
        (403, vec![("x-ratelimit-remaining", "0")], 60, 60),
    ] {
        let (error, asked) = api_says(vec![status(code, &headers)]);
        let SourceError::RateLimited { wait, .. } = error else { panic!("{headers:?}: {error}") };
        assert!((least..=most).contains(&wait.as_secs()), "{headers:?}: {wait:?}");
        assert_eq!(asked, 1, "{headers:?}");
    }
}

#[test]
fn a_rate_limit_within_the_deadline_is_waited_for() {
    let github = GitHub::serving(archive());
    let redirect = Answer::Redirect(format!("{}/acme/api/legacy.tar.gz", github.files.url()));
    let api = Host::new(vec![status(429, &[("retry-after", "1")]), redirect]);
    let begun = Instant::now();
    assert!(try_with(&request(&api), &limits()).is_ok());
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_download_beyond_the_size_limit_ends_there() {
    let whole = archive();
    for answer in [Answer::Body(whole.clone()), Answer::Unsized(whole)] {
        let github = GitHub::new(vec![answer]);
        let error = try_with(&request(&github.api), &Limits { compressed: 1000, ..limits() }).unwrap_err();
        assert!(matches!(error, SourceError::TooLarge { what: "bytes", limit: 1000 }), "{error}");
        assert_eq!(github.files.requests().len(), 1);
    }
}

#[test]
fn a_redirect_without_end_is_left() {
    let api = Host::new(vec![Answer::Redirect("/again".into())]);
    let error =
        try_with(&request(&api), &Limits { retry: Policy { tries: 1, ..limits().retry }, ..limits() });
    let error = error.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("too many redirects"), "{error}");
    assert_eq!(api.requests().len(), 6);
}

#[test]
fn a_spool_folder_that_cannot_be_written_is_named_as_the_cause() {
    let github = GitHub::serving(archive());
    drop(rustls::crypto::ring::default_provider().install_default());
    let spool = tempfile::tempdir().unwrap();
    let missing = spool.path().join("missing");
    let error = block_on(fetch(&request(&github.api), &missing, &limits(), |_| {})).unwrap_err().error;
    assert!(matches!(error, SourceError::Spool(_)), "{error}");
}

#[test]
fn what_cannot_be_asked_for_is_said_before_anything_is_sent() {
    let api = Host::new(vec![Answer::Hangup]);
    let token = Some(SecretString::from("line\nbreak"));
    for request in [
        Request { token, ..request(&api) },
        Request { api_url: "no url".into(), ..request(&api) },
        Request { api_url: "mailto:x".into(), ..request(&api) },
    ] {
        assert!(matches!(try_with(&request, &limits()).unwrap_err(), SourceError::Request(_)));
    }
    assert!(api.requests().is_empty());
}
