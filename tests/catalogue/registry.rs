//! The image registry, asked by the real engine.

use crate::case::{Case, fails, ready};
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
    let mut rows = answers();
    rows.extend(ways());
    rows
}

/// What it says to a request for the manifest or a layer, for ever.
fn answers() -> Vec<Case> {
    vec![
        fails(SEAM, "no such tag", NOT_FOUND, "…", |scene| {
            at(scene, At::Manifest, Trouble::Status(404, "MANIFEST_UNKNOWN", "manifest unknown"))
        }),
        fails(SEAM, "no such repository", NOT_FOUND, "…", |scene| {
            at(
                scene,
                At::Manifest,
                Trouble::Status(404, "NAME_UNKNOWN", "repository name not known to registry"),
            )
        }),
        fails(SEAM, "403 denied", DENIED, "failed in image: registry_denied (registry): 127.0.0.1:…/acme/tiny:1: pull access denied for 127.0.0.1:…/acme/tiny, repository does not exist or may …; nothing serves. Give the token read:packages and access to this package; or set `source` to build from the commit.", |scene| {
            at(scene, At::Manifest, Trouble::Status(403, "DENIED", "denied"))
        }),
        fails(SEAM, "401 to everybody", DENIED, "failed in image: registry_denied (registry): 127.0.0.1:…/acme/tiny:1: unauthorized (asked anonymously); nothing serves. Give the token read:packages and access to this package; or set `source` to build from the commit.", |scene| {
            at(scene, At::Manifest, Trouble::Status(401, "UNAUTHORIZED", "authentication required"))
        }),
        fails(SEAM, "a wrong token", DENIED, "failed in image: registry_denied (registry): 127.0.0.1:…/acme/tiny:1: denied: denied; nothing serves. Give the token read:packages and access to this package; or set `source` to build from the commit.", |scene| {
            let registry = FakeRegistry::start();
            registry.allow(Access::Bearer {
                user: "octocat".into(),
                password: "right".into(),
                anonymous: false,
            });
            scene.secret("/test/wrong", "ghp_wrong0123456789");
            let login = format!(
                "registries: {{ \"{}\": {{ username: octocat, password: {{ ssm: /test/wrong }} }} }}\n",
                registry.host()
            );
            pull(scene, &registry.image("1"), &login)
        }),
        fails(SEAM, "the token service answers 503", UNREACHABLE, "failed in image: registry_unreachable (network): 127.0.0.1:…/acme/tiny:1: received unexpected HTTP status: 503 Service Unavailable (asked anonymously); nothing serves. Check the route, DNS and security group egress from this instance to the registry.", |scene| {
            let registry = FakeRegistry::start();
            registry.allow(Access::Bearer {
                user: "octocat".into(),
                password: "right".into(),
                anonymous: true,
            });
            registry.trouble(At::Token, FOR_EVER, Trouble::Page(503));
            pull(scene, &registry.image("1"), "")
        })
        .tries(2),
        fails(SEAM, "429 too many requests", THROTTLED, "failed in image: registry_throttled (registry): 127.0.0.1:…/acme/tiny:1: toomanyrequests: slow down (asked anonymously); nothing serves. Wait, or log in: anonymous pulls are limited per address.", |scene| {
            at(scene, At::Manifest, Trouble::Status(429, "TOOMANYREQUESTS", "slow down"))
        })
        .tries(2),
        fails(SEAM, "500 with its own error", UNREACHABLE, "failed in image: registry_unreachable (network): 127.0.0.1:…/acme/tiny:1: received unexpected HTTP status: 500 Internal Server Error (asked anonymously); nothing serves. Check the route, DNS and security group egress from this instance to the registry.", |scene| {
            at(scene, At::Manifest, Trouble::Status(500, "UNKNOWN", "unknown error"))
        })
        .tries(2),
        fails(SEAM, "503 with a page of HTML", UNREACHABLE, "failed in image: registry_unreachable (network): 127.0.0.1:…/acme/tiny:1: received unexpected HTTP status: 503 Service Unavailable (asked anonymously); nothing serves. Check the route, DNS and security group egress from this instance to the registry.", |scene| {
            at(scene, At::Manifest, Trouble::Page(503))
        })
        .tries(2),
        ready(SEAM, "503 twice, then answers", "ready: 127.0.0.1:…/acme/tasks-api:good (sha256:…) serves http://127.0.0.1:…, migrated to 0002, … s", |scene| {
            let registry = FakeRegistry::before_the_real_one();
            registry.trouble(At::Manifest, 2, Trouble::Page(503));
            sample_from(scene, &registry.host())
        }),
        fails(SEAM, "redirects in a circle", UNREACHABLE, "failed in image: registry_unreachable (network): 127.0.0.1:…/acme/tiny:1: stopped after 10 redirects (asked anonymously); nothing serves. Check the route, DNS and security group egress from this instance to the registry.", |scene| {
            at(scene, At::Manifest, Trouble::Redirect)
        })
        .tries(2),
        fails(SEAM, "silent when asked for the manifest", STALLED, "failed in image: pull_stalled (network): 127.0.0.1:…/acme/tiny:1: no byte from the registry for 60 s (asked anonymously); nothing serves. The registry sent nothing for a minute; check the network and reload.", |scene| {
            stalls(scene, At::Manifest, Trouble::Silence)
        }),
        fails(SEAM, "a layer stalls half-way", STALLED, "failed in image: pull_stalled (network): 127.0.0.1:…/acme/tiny:1: no byte from the registry for 60 s (asked anonymously); nothing serves. The registry sent nothing for a minute; check the network and reload.", |scene| {
            stalls(scene, At::Layer, Trouble::Stall)
        }),
        fails(SEAM, "a layer drips beyond the pull's deadline", UNREACHABLE, "failed in image: registry_unreachable (network): 127.0.0.1:…/acme/tiny:1: not pulled within … s; nothing serves. Check the route, DNS and security group egress from this instance to the registry.", |scene| {
            let registry = FakeRegistry::start();
            registry.trouble(At::Layer, FOR_EVER, Trouble::Drip(1024));
            pull(scene, &registry.image("1"), "deadlines: { pull: 4s }\n")
        }),
        fails(SEAM, "a layer breaks off half-way", UNREACHABLE, "failed in image: registry_unreachable (network): 127.0.0.1:…/acme/tiny:1: EOF (asked anonymously); nothing serves. Check the route, DNS and security group egress from this instance to the registry.", |scene| {
            at(scene, At::Layer, Trouble::Cut)
        })
        .tries(2),
        fails(SEAM, "a layer is gone", ("registry", "pull_failed"), "failed in image: pull_failed (registry): 127.0.0.1:…/acme/tiny:1: unknown blob (asked anonymously); nothing serves. Reload the agent to pull again; if it fails again, the image at the registry is damaged: push it anew.", |scene| {
            at(scene, At::Layer, Trouble::Status(404, "BLOB_UNKNOWN", "blob unknown to registry"))
        })
        .tries(2),
    ]
}

/// What is between the instance and the registry.
fn ways() -> Vec<Case> {
    vec![
        fails(SEAM, "nobody listens", UNREACHABLE, "failed in image: registry_unreachable (network): 127.0.0.1:…/acme/tiny:1: dial tcp 127.0.0.1:…: connect: connection refused (asked anonymously); nothing serves. Check the route, DNS and security group egress from this instance to the registry.", |scene| {
            let mut registry = FakeRegistry::start();
            registry.stop();
            pull(scene, &registry.image("1"), "")
        })
        .tries(2),
        fails(SEAM, "no such host", UNREACHABLE, "failed in image: registry_unreachable (network): registry.invalid/acme/api:1: dial tcp: lookup registry.invalid on 10.255.255.53:53: no such host (asked anonymously); nothing serves. Check the route, DNS and security group egress from this instance to the registry.", |scene| {
            pull(scene, "registry.invalid/acme/api:1", "")
        })
        .tries(2),
        fails(SEAM, "a certificate that nobody has signed", UNREACHABLE, "failed in image: registry_unreachable (network): …/acme/api:1: x509: certificate signed by unknown authority (asked anonymously); nothing serves. Check the route, DNS and security group egress from this instance to the registry.", |scene| {
            let impostor = Untrusted::start(&peers().postgres_host);
            pull(scene, &format!("{}/acme/api:1", impostor.host()), "")
        })
        .tries(2),
        ready(SEAM, "gone while the last good application serves", "ready: 127.0.0.1:…/acme/tasks-api:good (sha256:…) serves http://127.0.0.1:…, … s (not refreshed: registry_unreachable: 127.0.0.1:…/acme/tasks-api:good: dial tcp 127.0.0.1:…: connect: connection refused (asked anonymously))", |scene| {
            let mut registry = FakeRegistry::before_the_real_one();
            let host = registry.host();
            sample_from(scene, &host).is_ready();
            scene.keep(&scene.app_container());
            registry.stop();
            sample_from(scene, &host)
        }),
    ]
}

/// A run that pulls a tiny image from a registry with this trouble, with two tries.
fn at(scene: &mut Scene, at: At, trouble: Trouble) -> Ran {
    let registry = FakeRegistry::start();
    registry.trouble(at, FOR_EVER, trouble);
    pull(scene, &registry.image("1"), "")
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
