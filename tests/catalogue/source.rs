//! The source tarball of the commit, asked for because the registry lacks the image.

use std::time::Duration;

use crate::case::{Case, fails, ready};
use crate::scene::Scene;
use crate::support::agent::Ran;
use crate::support::github::{Answer, COMMIT, GitHub, Host, Tarball};
use crate::support::peers::peers;
use crate::support::tls::Untrusted;

const SEAM: &str = "source tarball";
const NOT_FOUND: (&str, &str) = ("source", "source_not_found");
const DENIED: (&str, &str) = ("source", "source_denied");
const LIMITED: (&str, &str) = ("source", "source_rate_limited");
const CORRUPT: (&str, &str) = ("source", "source_corrupt");
const UNSAFE: (&str, &str) = ("source", "source_unsafe");
const UNREACHABLE: (&str, &str) = ("network", "source_unreachable");

pub fn rows() -> Vec<Case> {
    let mut rows = api();
    rows.extend(file_host());
    rows.extend(archives());
    rows
}

/// What the API says.
fn api() -> Vec<Case> {
    vec![
        fails(SEAM, "404: no such repository, or a token that may not see it", NOT_FOUND, "…", |scene| {
            api_says(scene, status(404, &[]))
        }),
        fails(SEAM, "401: a token that has expired", DENIED, "failed in image: source_denied (source): 127.0.0.1 denied acme/api with status 401: said by the API (built because of …; nothing serves. Renew the GitHub token; it needs Contents: read on the repository.", |scene| {
            api_says(scene, status(401, &[]))
        }),
        fails(SEAM, "403: a token without access", DENIED, "failed in image: source_denied (source): 127.0.0.1 denied acme/api with status 403: said by the API (built because of …; nothing serves. Renew the GitHub token; it needs Contents: read on the repository.", |scene| api_says(scene, status(403, &[]))),
        fails(SEAM, "403: the hour's requests are used up", LIMITED, "failed in image: source_rate_limited (source): 127.0.0.1 limits the rate of requests; the next one is allowed in … s (built because of …; nothing serves. Set `source.token`: anonymous requests are limited to 60 an hour per address.", |scene| {
            api_says(
                scene,
                status(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "4070908800")]),
            )
        }),
        fails(SEAM, "429 with a wait beyond the deadline", LIMITED, "failed in image: source_rate_limited (source): 127.0.0.1 limits the rate of requests; the next one is allowed in … s (built because of …; nothing serves. Set `source.token`: anonymous requests are limited to 60 an hour per address.", |scene| {
            api_says(scene, status(429, &[("retry-after", "3600")]))
        }),
        fails(SEAM, "500 for ever", UNREACHABLE, "failed in image: source_unreachable (network): 127.0.0.1 failed with status 500 (built because of …; nothing serves. Check the route, DNS and security group egress from this instance to the source host.", |scene| api_says(scene, status(500, &[]))).tries(3),
        fails(SEAM, "200 with a page of HTML", CORRUPT, "failed in image: source_corrupt (source): no gzip archive came, but something of type application/x-gzip: whoever answered is not the source host (built …; nothing serves. The archive was damaged or not the commit asked for; reload to download it again.", |scene| {
            api_says(scene, Answer::Body(b"<html>Welcome</html>".to_vec()))
        })
        .tries(3),
        fails(SEAM, "hangs up without a word", UNREACHABLE, "failed in image: source_unreachable (network): 127.0.0.1 could not be reached: connection closed before message completed (built because of …; nothing serves. Check the route, DNS and security group egress from this instance to the source host.", |scene| api_says(scene, Answer::Hangup))
            .tries(3),
        fails(SEAM, "redirects in a circle", UNREACHABLE, "failed in image: source_unreachable (network): 127.0.0.1 could not be reached: too many redirects (built because of …; nothing serves. Check the route, DNS and security group egress from this instance to the source host.", |scene| {
            let api = Host::new(vec![Answer::Redirect("/repos/acme/api/tarball/round".into())]);
            build(scene, &api.url())
        })
        .tries(3),
        fails(SEAM, "nobody listens", UNREACHABLE, "failed in image: source_unreachable (network): 127.0.0.1 could not be reached: Connection refused (built because of …; nothing serves. Check the route, DNS and security group egress from this instance to the source host.", |scene| build(scene, "http://127.0.0.1:9")).tries(3),
        fails(SEAM, "no such host", UNREACHABLE, "failed in image: source_unreachable (network): api.github.invalid could not be reached: failed to lookup address information: Name or service not known (built …; nothing serves. Check the route, DNS and security group egress from this instance to the source host.", |scene| build(scene, "http://api.github.invalid"))
            .tries(3),
        fails(SEAM, "a certificate that nobody has signed", UNREACHABLE, "failed in image: source_unreachable (network): 127.0.0.1 could not be reached: invalid peer certificate: UnknownIssuer (built because of …; nothing serves. Check the route, DNS and security group egress from this instance to the source host.", |scene| {
            let impostor = Untrusted::start("127.0.0.1");
            build(scene, &impostor.url())
        })
        .tries(3),
    ]
}

/// What becomes of the download.
fn file_host() -> Vec<Case> {
    vec![
        ready(SEAM, "breaks off twice, then comes whole", "ready: 127.0.0.1:…/acme/tasks-api:none-of-these (built from b9270236a09a) serves http://127.0.0.1:…, built because image_not_found: manifest for 127.0.0.1:…/acme/tasks-api:none-of-these not found: manifest unknown: manifest unknown, … s", |scene| {
            let whole = archive();
            let cut = Answer::Cut(whole.clone(), whole.len() / 2);
            files(scene, vec![cut.clone(), cut, Answer::Body(whole)])
        }),
        fails(SEAM, "breaks off each time", UNREACHABLE, "failed in image: source_unreachable (network): 127.0.0.1 could not be reached: end of file before message length reached (built because of …; nothing serves. Check the route, DNS and security group egress from this instance to the source host.", |scene| {
            files(scene, vec![Answer::Cut(archive(), 100)])
        })
        .tries(3),
        ready(SEAM, "stalls half-way once, then comes whole", "ready: 127.0.0.1:…/acme/tasks-api:none-of-these (built from b9270236a09a) serves http://127.0.0.1:…, built because image_not_found: manifest for 127.0.0.1:…/acme/tasks-api:none-of-these not found: manifest unknown: manifest unknown, … s", |scene| {
            let whole = archive();
            files(scene, vec![Answer::Stall(whole.clone(), 100), Answer::Body(whole)])
        }),
        fails(SEAM, "drips beyond the build's deadline", ("build", "build_timeout"), "failed in image: build_timeout (build): not built within … s (built because of …; nothing serves. Speed the build up, raise `deadlines.build`, or push a built image.", |scene| {
            let github = GitHub::new(vec![Answer::Drip(archive(), 10, Duration::from_millis(200))]);
            build_within(scene, &github.api.url(), "10s")
        }),
        fails(SEAM, "redirects to a host that nobody knows", UNREACHABLE, "failed in image: source_unreachable (network): codeload.invalid could not be reached: failed to lookup address information: Name or service not known (built …; nothing serves. Check the route, DNS and security group egress from this instance to the source host.", |scene| {
            let api =
                Host::new(vec![Answer::Redirect("http://codeload.invalid/x?token=redirect-secret".into())]);
            build(scene, &api.url())
        })
        .tries(3),
    ]
}

/// What is in the archive.
fn archives() -> Vec<Case> {
    vec![
        fails(SEAM, "not gzip", CORRUPT, "failed in image: source_corrupt (source): no gzip archive came, but something of type application/x-gzip: whoever answered is not the source host (built …; nothing serves. The archive was damaged or not the commit asked for; reload to download it again.", |scene| serving(scene, vec![7; 4096])).tries(3),
        fails(SEAM, "empty", CORRUPT, "failed in image: source_corrupt (source): no gzip archive came, but something of type application/x-gzip: whoever answered is not the source host (built …; nothing serves. The archive was damaged or not the commit asked for; reload to download it again.", |scene| serving(scene, Vec::new())).tries(3),
        fails(SEAM, "gzip that ends too early", CORRUPT, "failed in image: source_corrupt (source): the source tarball is damaged: incomplete deflate stream (built because of …; nothing serves. The archive was damaged or not the commit asked for; reload to download it again.", |scene| {
            let mut cut = archive();
            cut.truncate(cut.len() - 20);
            serving(scene, cut)
        })
        .tries(3),
        fails(SEAM, "a wrong checksum at the end", CORRUPT, "failed in image: source_corrupt (source): the source tarball is damaged: corrupt gzip stream does not have a matching checksum (built because of …; nothing serves. The archive was damaged or not the commit asked for; reload to download it again.", |scene| {
            let mut flipped = archive();
            let at = flipped.len() - 8;
            flipped[at] ^= 1;
            serving(scene, flipped)
        })
        .tries(3),
        fails(SEAM, "another commit than the one asked for", CORRUPT, "failed in image: source_corrupt (source): the source tarball is of commit 1111111111111111111111111111111111111111, not of …; nothing serves. The archive was damaged or not the commit asked for; reload to download it again.", |scene| {
            let other = Tarball::of_commit(&"1".repeat(40)).file("Dockerfile", "FROM scratch\n");
            serving(scene, other.gz())
        }),
        fails(SEAM, "a path that climbs out", UNSAFE, "failed in image: source_unsafe (source): the source holds acme-api-b927023/../../etc/passwd, which has `..` in its path (built because of …; nothing serves. Remove the named link, path or file from the repository, or list it in .dockerignore.", |scene| {
            serving(scene, tarball().file("../../etc/passwd", "x").gz())
        }),
        fails(SEAM, "a link that leads out", UNSAFE, "failed in image: source_unsafe (source): the source holds out, which links to an absolute path (built because of …; nothing serves. Remove the named link, path or file from the repository, or list it in .dockerignore.", |scene| {
            serving(scene, tarball().symlink("out", "/etc/shadow").gz())
        }),
        fails(SEAM, "a device", UNSAFE, "failed in image: source_unsafe (source): the source holds null, which is a device, a pipe or of an unknown kind (built because of …; nothing serves. Remove the named link, path or file from the repository, or list it in .dockerignore.", |scene| {
            serving(scene, tarball().special("null", tar::EntryType::Char).gz())
        }),
        fails(SEAM, "larger than allowed", ("source", "source_too_large"), "failed in image: source_too_large (source): the source tarball is too large: more than 536870912 bytes (built because of …; nothing serves. Keep large files out of the repository (.gitattributes export-ignore), or push an image instead.", |scene| {
            files(scene, vec![Answer::Cut(vec![0; 513 << 20], 100)])
        }),
        fails(SEAM, "no Dockerfile", ("build", "dockerfile_missing"), "failed in image: dockerfile_missing (build): the repository has no Dockerfile (built because of …; nothing serves. Correct `source.context` and `source.dockerfile`.", |scene| {
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
    let base = &peers().platform_base;
    let app = scene.app("");
    let config = scene.config(
        "none-of-these",
        &format!("database: off\nmigrate: off\nhealth: [tcp, {{ http: / }}]\n{app}"),
    );
    scene.run_once(&format!(
        "{config}deadlines: {{ build: {limit} }}\nsource:\n  repository: acme/api\n  ref: {COMMIT}\n  api_url: {api}\n  \
         build_args: {{ BASE: \"{base}\" }}\n"
    ))
}
