//! The source tarball of the commit, asked for because the registry lacks the image.

use std::time::Duration;

use crate::case::{Case, WHY_BUILT, fails, ready, within};
use crate::scene::{Scene, source};
use crate::support::agent::Ran;
use crate::support::github::{Answer, COMMIT, GitHub, Host, Tarball};
use crate::support::tls::Untrusted;

const SEAM: &str = "source tarball";
const NOT_FOUND: (&str, &str) = ("source", "source_not_found");
const DENIED: (&str, &str) = ("source", "source_denied");
const LIMITED: (&str, &str) = ("source", "source_rate_limited");
const CORRUPT: (&str, &str) = ("source", "source_corrupt");
const UNSAFE: (&str, &str) = ("source", "source_unsafe");
const UNREACHABLE: (&str, &str) = ("network", "source_unreachable");

pub fn rows() -> Vec<Case> {
    let rows = within("image", [api(), file_host(), archives()]);
    rows.into_iter().map(|row| row.has(WHY_BUILT, "image_not_found")).collect()
}

/// What the API says.
fn api() -> Vec<Case> {
    vec![
        fails(SEAM, "404: no such repository, or a token that may not see it", NOT_FOUND, |scene| {
            api_says(scene, status(404, &[]))
        })
        .says("acme/api"),
        fails(SEAM, "401: a token that has expired", DENIED, |scene| api_says(scene, status(401, &[])))
            .says("401"),
        fails(SEAM, "403: a token without access", DENIED, |scene| api_says(scene, status(403, &[])))
            .says("403"),
        fails(SEAM, "403: the hour's requests are used up", LIMITED, |scene| {
            api_says(
                scene,
                status(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "4070908800")]),
            )
        })
        .says("the next one is allowed in"),
        fails(SEAM, "429 with a wait beyond the deadline", LIMITED, |scene| {
            api_says(scene, status(429, &[("retry-after", "3600")]))
        })
        .says("the next one is allowed in"),
        fails(SEAM, "500 for ever", UNREACHABLE, |scene| api_says(scene, status(500, &[])))
            .says("500")
            .tries(3),
        fails(SEAM, "200 with a page of HTML", CORRUPT, |scene| {
            api_says(scene, Answer::Body(b"<html>Welcome</html>".to_vec()))
        })
        .says("not the source host")
        .tries(3),
        fails(SEAM, "hangs up without a word", UNREACHABLE, |scene| api_says(scene, Answer::Hangup))
            .says("connection closed")
            .tries(3),
        fails(SEAM, "redirects in a circle", UNREACHABLE, |scene| {
            let api = Host::new(vec![Answer::Redirect("/repos/acme/api/tarball/round".into())]);
            build(scene, &api.url())
        })
        .says("redirects")
        .tries(3),
        fails(SEAM, "nobody listens", UNREACHABLE, |scene| build(scene, "http://127.0.0.1:9"))
            .says("Connection refused")
            .tries(3),
        fails(SEAM, "no such host", UNREACHABLE, |scene| build(scene, "http://api.github.invalid"))
            .says("api.github.invalid")
            .tries(3),
        fails(SEAM, "a certificate that nobody has signed", UNREACHABLE, |scene| {
            let impostor = Untrusted::start("127.0.0.1");
            build(scene, &impostor.url())
        })
        .says("UnknownIssuer")
        .tries(3),
    ]
}

/// What becomes of the download.
fn file_host() -> Vec<Case> {
    vec![
        ready(SEAM, "breaks off twice, then comes whole", |scene| {
            let whole = archive();
            let cut = Answer::Cut(whole.clone(), whole.len() / 2);
            files(scene, vec![cut.clone(), cut, Answer::Body(whole)])
        })
        .prose(),
        fails(SEAM, "breaks off each time", UNREACHABLE, |scene| {
            files(scene, vec![Answer::Cut(archive(), 100)])
        })
        .says("end of file")
        .tries(3),
        ready(SEAM, "stalls half-way once, then comes whole", |scene| {
            let whole = archive();
            files(scene, vec![Answer::Stall(whole.clone(), 100), Answer::Body(whole)])
        })
        .has("/serving/commit", COMMIT),
        fails(SEAM, "drips beyond the build's deadline", ("build", "build_timeout"), |scene| {
            let github = GitHub::new(vec![Answer::Drip(archive(), 10, Duration::from_millis(200))]);
            build_within(scene, &github.api.url(), "10s")
        }),
        fails(SEAM, "redirects to a host that nobody knows", UNREACHABLE, |scene| {
            let api =
                Host::new(vec![Answer::Redirect("http://codeload.invalid/x?token=redirect-secret".into())]);
            build(scene, &api.url())
        })
        .says("codeload.invalid")
        .tries(3),
    ]
}

/// What is in the archive.
fn archives() -> Vec<Case> {
    vec![
        fails(SEAM, "not gzip", CORRUPT, |scene| serving(scene, vec![7; 4096]))
            .says("no gzip archive")
            .tries(3),
        fails(SEAM, "empty", CORRUPT, |scene| serving(scene, Vec::new())).says("no gzip archive").tries(3),
        fails(SEAM, "gzip that ends too early", CORRUPT, |scene| {
            let mut cut = archive();
            cut.truncate(cut.len() - 20);
            serving(scene, cut)
        })
        .says("incomplete deflate")
        .tries(3),
        fails(SEAM, "a wrong checksum at the end", CORRUPT, |scene| {
            let mut flipped = archive();
            let at = flipped.len() - 8;
            flipped[at] ^= 1;
            serving(scene, flipped)
        })
        .says("checksum")
        .tries(3),
        fails(SEAM, "another commit than the one asked for", CORRUPT, |scene| {
            let other = Tarball::of_commit(&"1".repeat(40)).file("Dockerfile", "FROM scratch\n");
            serving(scene, other.gz())
        })
        .says("of commit 1111"),
        fails(SEAM, "a path that climbs out", UNSAFE, |scene| {
            serving(scene, tarball().file("../../etc/passwd", "x").gz())
        })
        .says("/../../etc/passwd…`..`"),
        fails(SEAM, "a link that leads out", UNSAFE, |scene| {
            serving(scene, tarball().symlink("out", "/etc/shadow").gz())
        })
        .says("holds out…absolute path"),
        fails(SEAM, "a device", UNSAFE, |scene| {
            serving(scene, tarball().special("null", tar::EntryType::Char).gz())
        })
        .says("holds null"),
        fails(SEAM, "larger than allowed", ("source", "source_too_large"), |scene| {
            files(scene, vec![Answer::Cut(vec![0; 513 << 20], 100)])
        })
        .says("536870912"),
        fails(SEAM, "no Dockerfile", ("build", "dockerfile_missing"), |scene| {
            serving(scene, Tarball::new().file("README.md", "nothing here").gz())
        }),
    ]
}

fn status(code: u16, headers: &[(&'static str, &str)]) -> Answer {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Answer::Status(code, headers, r#"{"message":"said by the API"}"#.to_owned())
}

fn tarball() -> Tarball {
    Tarball::new().file("server.py", include_str!("../support/server.py")).file(
        "Dockerfile",
        "ARG BASE\nFROM ${BASE}\nCOPY server.py /server.py\nCMD [\"python3\", \"/server.py\"]\n",
    )
}

fn archive() -> Vec<u8> {
    // Random enough that gzip leaves it longer than a few packets.
    let mut random = fastrand::Rng::with_seed(7);
    let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(200_000).collect();
    tarball().file("noise", noise).gz()
}

fn api_says(scene: &mut Scene, answer: Answer) -> Ran {
    let api = Host::new(vec![answer]);
    build(scene, &api.url())
}

fn files(scene: &mut Scene, answers: Vec<Answer>) -> Ran {
    let github = GitHub::new(answers);
    build(scene, &github.api.url())
}

fn serving(scene: &mut Scene, archive: Vec<u8>) -> Ran {
    files(scene, vec![Answer::Body(archive)])
}

/// A run whose image the registry lacks, built from what this API gives.
fn build(scene: &mut Scene, api: &str) -> Ran {
    build_within(scene, api, "5m")
}

fn build_within(scene: &mut Scene, api: &str, limit: &str) -> Ran {
    let app = scene.app("");
    let config = scene.config(
        "none-of-these",
        &format!("database: off\nmigrate: off\nhealth: [tcp, {{ http: / }}]\n{app}"),
    );
    scene.run_once(&format!("{config}deadlines: {{ build: {limit} }}\n{}", source(api)))
}
