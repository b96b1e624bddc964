//! The file system under the agent: read-only, full, of another kind than expected, not to be read.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use crate::case::{Case, WHY_BUILT, fails, ready};
use crate::scene::Scene;
use crate::support::agent::Ran;
use crate::support::github::{COMMIT, GitHub, Tarball};

const SEAM: &str = "file system";
const STATE: (&str, &str) = ("instance", "state_unusable");
const CONFIG: (&str, &str) = ("config", "config_invalid");
const NOBODY: u32 = 65534;

pub fn rows() -> Vec<Case> {
    [state(), run_folder(), configurations(), limits()].into_iter().flatten().collect()
}

/// The folder that survives a reboot.
fn state() -> Vec<Case> {
    vec![
        fails(SEAM, "the state folder is read-only", STATE, |scene| {
            mounted(scene, "state", "ro,size=64k");
            deploy(scene)
        })
        .says("/state/lock: Read-only")
        .exit(75),
        fails(SEAM, "nothing more can be made in the state folder", STATE, |scene| {
            mounted(scene, "state", "size=64k,nr_inodes=1");
            deploy(scene)
        })
        .says("/state/lock: No space left")
        .exit(75),
        ready(SEAM, "the state folder is full once the agent has begun", |scene| {
            // One page, which the key takes.
            mounted(scene, "state", "size=4k");
            deploy(scene)
        }),
        fails(SEAM, "a file in the place of the state folder", STATE, |scene| {
            file(&scene.path("state"), "", 0o700);
            deploy(scene)
        })
        .says("/state: File exists")
        .exit(75),
        fails(SEAM, "the state folder is closed to the agent", STATE, |scene| {
            folder(&scene.path("state"), 0o700, 0);
            as_nobody(scene);
            deploy(scene)
        })
        .says("/state/lock: Permission denied")
        .exit(77),
        ready(SEAM, "the state folder is somebody else's", |scene| {
            folder(&scene.path("state"), 0o700, NOBODY);
            deploy(scene)
        }),
        ready(SEAM, "state.json is garbage", |scene| {
            scene.run_once(&scene.light("")).is_ready();
            scene.keep(&scene.app_container());
            file(&scene.path("state/state.json"), "{\"seque\0nce", 0o600);
            deploy(scene)
        }),
        ready(SEAM, "a folder in the place of state.json", |scene| {
            folder(&scene.path("state"), 0o700, 0);
            folder(&scene.path("state/state.json"), 0o600, 0);
            deploy(scene)
        }),
        ready(SEAM, "the key of the state is torn", |scene| {
            scene.run_once(&scene.light("")).is_ready();
            file(&scene.path("state/spec.key"), "torn", 0o600);
            deploy(scene)
        }),
        fails(SEAM, "no space for the source's archive", ("disk", "disk_full"), |scene| {
            mounted(scene, "state", "size=64k");
            let mut random = fastrand::Rng::with_seed(7);
            let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(400_000).collect();
            let archive = Tarball::new().file("noise", noise).file("Dockerfile", "FROM scratch\n").gz();
            let github = GitHub::serving(archive);
            let config = scene.light("").replace(":good", ":none-of-these");
            scene.run_once(&(config + &github.api.source(COMMIT)))
        })
        .says("spool the source tarball")
        .has(WHY_BUILT, "image_not_found")
        .phase("image"),
    ]
}

/// Where the status is; what is said of it comes from the parameter then.
fn run_folder() -> Vec<Case> {
    vec![
        ready(SEAM, "the run folder is read-only", |scene| {
            mounted(scene, "run", "ro,size=64k");
            told(scene)
        }),
        ready(SEAM, "the run folder is full", |scene| {
            mounted(scene, "run", "size=64k,nr_inodes=1");
            told(scene)
        }),
        ready(SEAM, "a file in the place of the run folder", |scene| {
            file(&scene.path("run"), "", 0o644);
            told(scene)
        }),
    ]
}

fn configurations() -> Vec<Case> {
    vec![
        fails(SEAM, "no configuration", CONFIG, |scene| {
            scene.run_args(&["run", "--once", "--config", "/no/such/config.yaml"])
        })
        .says("/no/such/config.yaml: no such file")
        .exit(78),
        fails(SEAM, "a folder in the place of the configuration", CONFIG, |scene| {
            folder(&scene.config_path(), 0o755, 0);
            let path = scene.config_path();
            scene.run_args(&["run", "--once", "--config", path.to_str().unwrap()])
        })
        .says("/config.yaml: cannot be read: not a regular file")
        .exit(78),
        fails(SEAM, "a configuration that the agent may not read", CONFIG, |scene| {
            folder(&scene.path("state"), 0o700, NOBODY);
            as_nobody(scene);
            scene.write_config("image: ghcr.io/acme/api:1\ndatabase: off\n");
            let path = scene.config_path();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            scene.run_args(&["run", "--once", "--config", path.to_str().unwrap()])
        })
        .says("/config.yaml: permission denied")
        .exit(77),
    ]
}

fn limits() -> Vec<Case> {
    vec![ready(SEAM, "no more than 20 open files", |scene| {
        scene.run_by(&["sh", "-ec", "ulimit -n 20; exec \"$@\"", "limited"]);
        deploy(scene)
    })]
}

fn deploy(scene: &mut Scene) -> Ran {
    scene.run_once(&scene.light(""))
}

/// A run whose status nobody can read but in the parameter.
fn told(scene: &mut Scene) -> Ran {
    let ran = deploy(scene);
    let status = scene.written().pop().expect("the parameter was never written");
    Ran { status, ..ran }
}

/// The agent sees an empty file system of its own in this folder of the world.
fn mounted(scene: &mut Scene, name: &str, options: &str) {
    let path = scene.path(name);
    folder(&path, 0o700, 0);
    let mount = format!("mount -t tmpfs -o mode=0700,{options} tmpfs \"$0\"; exec \"$@\"");
    scene.run_by(&["unshare", "--mount", "sh", "-ec", &mount, path.to_str().unwrap()]);
}

/// The agent is nobody, who may write where the status is.
fn as_nobody(scene: &mut Scene) {
    let world = scene.path("");
    fs::set_permissions(&world, fs::Permissions::from_mode(0o755)).unwrap();
    folder(&scene.path("run"), 0o755, NOBODY);
    let id = NOBODY.to_string();
    scene.run_by(&["setpriv", &format!("--reuid={id}"), &format!("--regid={id}"), "--clear-groups"]);
}

fn folder(path: &Path, mode: u32, owner: u32) {
    fs::create_dir_all(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    chown(path, Some(owner), Some(owner)).unwrap();
}

fn file(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
