//! The image itself: what the registry gives is whole, and is not what was wanted.

use crate::case::{Case, fails, within};
use crate::scene::Scene;
use crate::support::agent::Ran;
use crate::support::registry::{At, FakeRegistry, Trouble, architecture, other_architecture};

const SEAM: &str = "image";
const ARCHITECTURE: (&str, &str) = ("registry", "arch_mismatch");
const DAMAGED: (&str, &str) = ("registry", "pull_failed");
const FOR_EVER: usize = usize::MAX;

pub fn rows() -> Vec<Case> {
    let rows = vec![
        fails(SEAM, "made for another architecture", ARCHITECTURE, |scene| {
            let registry = FakeRegistry::start();
            registry.put("1", other_architecture());
            run(scene, &registry.image("1"), "")
        })
        .says("arm64"),
        fails(SEAM, "a list without this architecture", ARCHITECTURE, |scene| {
            let registry = FakeRegistry::start();
            registry.put_index("1", &[other_architecture()]);
            run(scene, &registry.image("1"), "")
        })
        .says("linux/amd64"),
        fails(SEAM, "a manifest that is not what its digest says", DAMAGED, |scene| {
            let registry = FakeRegistry::start();
            let digest = registry.put("1", architecture());
            registry.forge(&digest);
            run(scene, &format!("{}@{digest}", registry.image("1")), "")
        })
        .says("/acme/tiny:1@sha256:")
        .tries(2),
        fails(SEAM, "a digest that is not there", ("registry", "image_not_found"), |scene| {
            let registry = FakeRegistry::start();
            run(scene, &format!("{}@sha256:{}", registry.image("1"), "0".repeat(64)), "")
        })
        .says("/acme/tiny:1@sha256:0000"),
        fails(SEAM, "a layer with flipped bits", DAMAGED, |scene| {
            trouble(scene, At::Layer, Trouble::Corrupt)
        })
        .says("layer verification failed")
        .tries(2),
        fails(SEAM, "a page of HTML in a layer's place", DAMAGED, |scene| {
            trouble(scene, At::Layer, Trouble::Instead(b"<html>Welcome</html>"))
        })
        .says("layer verification failed")
        .tries(2),
        fails(SEAM, "a page of HTML in its configuration's place", DAMAGED, |scene| {
            trouble(scene, At::Blob, Trouble::Instead(b"<html>Welcome</html>"))
        })
        .says("config verification failed")
        .tries(2),
        fails(SEAM, "its command may not be executed", ("app", "app_exited"), |scene| tiny(scene, "[/data]"))
            .says("\"/data\": permission denied")
            .phase("start"),
        fails(SEAM, "its command is no program", ("app", "app_exited"), |scene| tiny(scene, "[/garbage]"))
            .says("exec format error")
            .phase("health"),
        fails(SEAM, "its command is not in it", ("app", "app_exited"), |scene| tiny(scene, "[uvicorn]"))
            .says("\"uvicorn\"")
            .phase("start"),
    ];
    within("image", [rows])
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
