//! The image registry, asked by the real engine.

use crate::case::{Case, MIGRATED, fails, ready, within};
use crate::scene::Scene;
use crate::support::agent::Ran;
use crate::support::peers::peers;
use crate::support::registry::{Access, At, FakeRegistry, Trouble};
use crate::support::tls::Untrusted;

const SEAM: &str = "registry";
const UNREACHABLE: (&str, &str) = ("network", "registry_unreachable");
const DENIED: (&str, &str) = ("registry", "registry_denied");
const NOT_FOUND: (&str, &str) = ("registry", "image_not_found");
const THROTTLED: (&str, &str) = ("registry", "registry_throttled");
const STALLED: (&str, &str) = ("network", "pull_stalled");
const FOR_EVER: usize = usize::MAX;

pub fn rows() -> Vec<Case> {
    within("image", [answers(), ways()])
}

/// What it says to a request for the manifest or a layer, for ever.
fn answers() -> Vec<Case> {
    vec![
        fails(SEAM, "no such tag", NOT_FOUND, |scene| {
            says(scene, 404, "MANIFEST_UNKNOWN", "manifest unknown")
        })
        .says("manifest unknown"),
        fails(SEAM, "no such repository", NOT_FOUND, |scene| {
            says(scene, 404, "NAME_UNKNOWN", "repository name not known")
        })
        .says("name not known"),
        fails(SEAM, "403 denied", DENIED, |scene| says(scene, 403, "DENIED", "denied"))
            .says("pull access denied for 127.0.0.1"),
        fails(SEAM, "401 to everybody", DENIED, |scene| {
            says(scene, 401, "UNAUTHORIZED", "authentication required")
        })
        .prose(),
        fails(SEAM, "a wrong token", DENIED, |scene| {
            let registry = FakeRegistry::start();
            let (user, password) = ("octocat".into(), "right".into());
            registry.allow(Access::Bearer { user, password, anonymous: false });
            scene.secret("/test/wrong", "ghp_wrong0123456789");
            let login = format!(
                "registries: {{ \"{}\": {{ username: octocat, password: {{ ssm: /test/wrong }} }} }}\n",
                registry.host()
            );
            pull(scene, &registry.image("1"), &login)
        })
        .says("denied: denied"),
        fails(SEAM, "the token service answers 503", UNREACHABLE, |scene| {
            let registry = FakeRegistry::start();
            let (user, password) = ("octocat".into(), "right".into());
            registry.allow(Access::Bearer { user, password, anonymous: true });
            registry.trouble(At::Token, FOR_EVER, Trouble::Page(503));
            pull(scene, &registry.image("1"), "")
        })
        .says("503")
        .tries(2),
        fails(SEAM, "429 too many requests", THROTTLED, |scene| {
            says(scene, 429, "TOOMANYREQUESTS", "slow down")
        })
        .says("slow down")
        .tries(2),
        fails(SEAM, "500 with its own error", UNREACHABLE, |scene| {
            says(scene, 500, "UNKNOWN", "unknown error")
        })
        .says("500")
        .tries(2),
        fails(SEAM, "503 with a page of HTML", UNREACHABLE, |scene| {
            at(scene, At::Manifest, Trouble::Page(503))
        })
        .says("503")
        .tries(2),
        ready(SEAM, "503 twice, then answers", |scene| {
            let registry = FakeRegistry::before_the_real_one();
            registry.trouble(At::Manifest, 2, Trouble::Page(503));
            sample_from(scene, &registry.host())
        })
        .has(MIGRATED, "0002"),
        fails(SEAM, "redirects in a circle", UNREACHABLE, |scene| at(scene, At::Manifest, Trouble::Redirect))
            .says("10 redirects")
            .tries(2),
        fails(SEAM, "silent when asked for the manifest", STALLED, |scene| {
            stalls(scene, At::Manifest, Trouble::Silence)
        })
        .says("no byte…60 s"),
        fails(SEAM, "a layer stalls half-way", STALLED, |scene| stalls(scene, At::Layer, Trouble::Stall))
            .says("no byte…60 s"),
        fails(SEAM, "a layer drips beyond the pull's deadline", UNREACHABLE, |scene| {
            let registry = FakeRegistry::start();
            registry.trouble(At::Layer, FOR_EVER, Trouble::Drip(1024));
            pull(scene, &registry.image("1"), "deadlines: { pull: 4s }\n")
        })
        .says("not pulled within"),
        fails(SEAM, "a layer breaks off half-way", UNREACHABLE, |scene| at(scene, At::Layer, Trouble::Cut))
            .says("EOF")
            .tries(2),
        fails(SEAM, "a layer is gone", ("registry", "pull_failed"), |scene| {
            at(scene, At::Layer, Trouble::Status(404, "BLOB_UNKNOWN", "blob unknown to registry"))
        })
        .says("unknown blob")
        .tries(2),
    ]
}

/// What is between the instance and the registry.
fn ways() -> Vec<Case> {
    vec![
        fails(SEAM, "nobody listens", UNREACHABLE, |scene| {
            let mut registry = FakeRegistry::start();
            registry.stop();
            pull(scene, &registry.image("1"), "")
        })
        .says("connection refused")
        .tries(2),
        fails(SEAM, "no such host", UNREACHABLE, |scene| pull(scene, "registry.invalid/acme/api:1", ""))
            .says("registry.invalid")
            .tries(2),
        fails(SEAM, "a certificate that nobody has signed", UNREACHABLE, |scene| {
            let impostor = Untrusted::start(&peers().postgres_host);
            pull(scene, &format!("{}/acme/api:1", impostor.host()), "")
        })
        .says("x509")
        .tries(2),
        ready(SEAM, "gone while the last good application serves", |scene| {
            let mut registry = FakeRegistry::before_the_real_one();
            let host = registry.host();
            sample_from(scene, &host).is_ready();
            scene.keep(&scene.app_container());
            registry.stop();
            sample_from(scene, &host)
        })
        .prose(),
    ]
}

/// A run that pulls a tiny image from a registry with this trouble, with two tries.
fn at(scene: &mut Scene, at: At, trouble: Trouble) -> Ran {
    let registry = FakeRegistry::start();
    registry.trouble(at, FOR_EVER, trouble);
    pull(scene, &registry.image("1"), "")
}

/// The same where it answers the request for the manifest so.
fn says(scene: &mut Scene, status: u16, code: &'static str, words: &'static str) -> Ran {
    at(scene, At::Manifest, Trouble::Status(status, code, words))
}

/// The same with a single try: each waits for a minute.
fn stalls(scene: &mut Scene, at: At, trouble: Trouble) -> Ran {
    let registry = FakeRegistry::start();
    registry.trouble(at, FOR_EVER, trouble);
    pull_in(scene, &registry.image("1"), 1, "")
}

fn pull(scene: &mut Scene, image: &str, more: &str) -> Ran {
    pull_in(scene, image, 2, more)
}

fn pull_in(scene: &mut Scene, image: &str, tries: u32, more: &str) -> Ran {
    let app = scene.app("");
    scene.run_once(&format!(
        "image: {image}\ndatabase: off\nmigrate: off\ntries: {{ pull: {tries} }}\nreport: {{ parameter: /test/status }}\n{app}{more}"
    ))
}

/// The sample, from a registry that passes on what it is asked.
fn sample_from(scene: &mut Scene, host: &str) -> Ran {
    scene.image(&format!("{host}/acme/tasks-api:good"));
    let config = scene.config("good", "");
    scene.run_once(&config.replace(&format!("image: {}/", peers().registry), &format!("image: {host}/")))
}
