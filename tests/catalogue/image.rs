//! The image itself: what the registry gives is whole, and is not what was wanted.

use crate::case::{Case, fails};
use crate::scene::Scene;
use crate::support::agent::Ran;
use crate::support::registry::{At, FakeRegistry, Trouble, architecture, other_architecture};

const SEAM: &str = "image";
const ARCHITECTURE: (&str, &str) = ("registry", "arch_mismatch");
const DAMAGED: (&str, &str) = ("registry", "pull_failed");
const FOR_EVER: usize = usize::MAX;

pub fn rows() -> Vec<Case> {
    vec![
        fails(SEAM, "made for another architecture", ARCHITECTURE, "failed in image: arch_mismatch (registry): 127.0.0.1:…/acme/tiny:1 is built for arm64, this host is amd64 (asked anonymously); nothing serves. Build the image for this instance's architecture, or use a matching instance type.", |scene| {
            let registry = FakeRegistry::start();
            registry.put("1", other_architecture());
            run(scene, &registry.image("1"), "")
        }),
        fails(SEAM, "a list without this architecture", ARCHITECTURE, "failed in image: arch_mismatch (registry): 127.0.0.1:…/acme/tiny:1: no matching manifest for linux/amd64 in the manifest list entries (asked anonymously); nothing serves. Build the image for this instance's architecture, or use a matching instance type.", |scene| {
            let registry = FakeRegistry::start();
            registry.put_index("1", &[other_architecture()]);
            run(scene, &registry.image("1"), "")
        }),
        fails(SEAM, "a manifest that is not what its digest says", DAMAGED, "failed in image: pull_failed (registry): 127.0.0.1:…/acme/tiny:1@sha256:…: manifest …; nothing serves. Reload the agent to pull again; if it fails again, the image at the registry is damaged: push it anew.", |scene| {
            let registry = FakeRegistry::start();
            let digest = registry.put("1", architecture());
            registry.forge(&digest);
            run(scene, &format!("{}@{digest}", registry.image("1")), "")
        })
        .tries(2),
        fails(SEAM, "a digest that is not there", ("registry", "image_not_found"), "failed in image: image_not_found (registry): 127.0.0.1:…/acme/tiny:1@sha256:0000000000000000000000000000000000000000000000000000000000000000: manifest …; nothing serves. Push the image, correct the tag, or set `source` to build from the commit.", |scene| {
            let registry = FakeRegistry::start();
            run(scene, &format!("{}@sha256:{}", registry.image("1"), "0".repeat(64)), "")
        }),
        fails(SEAM, "a layer with flipped bits", DAMAGED, "failed in image: pull_failed (registry): 127.0.0.1:…/acme/tiny:1: filesystem layer verification failed for digest …; nothing serves. Reload the agent to pull again; if it fails again, the image at the registry is damaged: push it anew.", |scene| {
            trouble(scene, At::Layer, Trouble::Corrupt)
        })
        .tries(2),
        fails(SEAM, "a page of HTML in a layer's place", DAMAGED, "failed in image: pull_failed (registry): 127.0.0.1:…/acme/tiny:1: filesystem layer verification failed for digest …; nothing serves. Reload the agent to pull again; if it fails again, the image at the registry is damaged: push it anew.", |scene| {
            trouble(scene, At::Layer, Trouble::Instead(b"<html>Welcome</html>"))
        })
        .tries(2),
        fails(SEAM, "a page of HTML in its configuration's place", DAMAGED, "failed in image: pull_failed (registry): 127.0.0.1:…/acme/tiny:1: error pulling image configuration: image config verification failed for digest …; nothing serves. Reload the agent to pull again; if it fails again, the image at the registry is damaged: push it anew.", |scene| {
            trouble(scene, At::Blob, Trouble::Instead(b"<html>Welcome</html>"))
        })
        .tries(2),
        fails(SEAM, "its command may not be executed", ("app", "app_exited"), "failed in start: app_exited (app): could not start the container: exec: \"/data\": permission denied; the app is down. Read the tail or `agent logs app`; a reload deploys it again.", |scene| {
            tiny(scene, "[/data]")
        })
        .service("down"),
        fails(SEAM, "its command is no program", ("app", "app_exited"), "failed in health: app_exited (app): the application ended with exit code 1: exec /garbage: exec format error; the app is down. Read the tail or `agent logs app`; a reload deploys it again.", |scene| {
            tiny(scene, "[/garbage]")
        })
        .service("down"),
        fails(SEAM, "its command is not in it", ("app", "app_exited"), "failed in start: app_exited (app): could not start the container: exec: \"uvicorn\": executable file not found in $PATH; the app is down. Read the tail or `agent logs app`; a reload deploys it again.", |scene| {
            tiny(scene, "[uvicorn]")
        })
        .service("down"),
    ]
}

fn run(scene: &mut Scene, image: &str, app: &str) -> Ran {
    let app = scene.app(app);
    scene.run_once(&format!(
        "image: {image}\ndatabase: off\nmigrate: off\ntries: {{ pull: 2 }}\nreport: {{ parameter: /test/status }}\n{app}"
    ))
}

fn trouble(scene: &mut Scene, at: At, trouble: Trouble) -> Ran {
    let registry = FakeRegistry::start();
    registry.trouble(at, FOR_EVER, trouble);
    run(scene, &registry.image("1"), "")
}

fn tiny(scene: &mut Scene, command: &str) -> Ran {
    let registry = FakeRegistry::start();
    run(scene, &registry.image("1"), &format!("  command: {command}\n"))
}
