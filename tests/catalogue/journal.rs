//! Where the agent's own words go: none of it costs a deployment anything.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use crate::case::{Case, ready};
use crate::scene::Scene;
use crate::support::agent::Ran;

const SEAM: &str = "journald";

/// The journal of the agent's own mount namespace is in the folder `$0`, its stderr that of a service.
const AS_SERVICE: &str = "mkdir -p /run/systemd; mount -t tmpfs tmpfs /run/systemd; mkdir /run/systemd/journal; \
                          mount --bind \"$0\" /run/systemd/journal; exec 2>>\"$0/stderr\"; \
                          JOURNAL_STREAM=$(stat -c %d:%i \"$0/stderr\") exec \"$@\"";

pub fn rows() -> Vec<Case> {
    vec![
        ready(SEAM, "no socket where the journal should be", |scene| as_service(scene, |_| ())),
        ready(SEAM, "a socket that nobody listens at", |scene| {
            as_service(scene, |socket| drop(UnixDatagram::bind(socket).unwrap()))
        }),
        ready(SEAM, "a socket that nobody reads", |scene| as_service(scene, full)),
        ready(SEAM, "stderr is closed", |scene| by_shell(scene, "exec \"$@\" 2>&-")),
        ready(SEAM, "stderr is a pipe whose reader has gone", |scene| {
            by_shell(scene, "mkfifo \"$0.gone\"; exec 3<>\"$0.gone\" 2>\"$0.gone\" 3<&-; exec \"$@\"")
        }),
        ready(SEAM, "stderr is a full pipe that nobody reads", |scene| {
            // Both ends are held open, so that writing waits for ever once the pipe is full.
            let fill = "mkfifo \"$0.full\"; exec 3<>\"$0.full\"; \
                        dd if=/dev/zero of=\"$0.full\" oflag=nonblock bs=4096 count=64 2>/dev/null || true; \
                        exec \"$@\" 2>&3";
            by_shell(scene, fill)
        }),
        ready(SEAM, "stderr is a full disk", |scene| by_shell(scene, "exec \"$@\" 2>/dev/full")),
        ready(SEAM, "the notification socket is not there", |scene| {
            let nowhere = scene.path("nowhere.sock").display().to_string();
            scene.set_env("NOTIFY_SOCKET", &nowhere);
            deploy(scene)
        }),
        ready(SEAM, "a notification socket that nobody reads", |scene| {
            let path = scene.path("notify.sock");
            let _full = full(&path);
            scene.set_env("NOTIFY_SOCKET", &path.display().to_string());
            deploy(scene)
        }),
    ]
}

/// A socket that takes nothing more.
fn full(path: &Path) -> UnixDatagram {
    let full = UnixDatagram::bind(path).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    while sender.send_to(b"READY=1", path).is_ok() {}
    full
}

fn deploy(scene: &mut Scene) -> Ran {
    scene.run_once(&scene.light(""))
}

/// A run whose log goes to the journal, whose socket this makes; without one it goes to stderr.
fn as_service<T>(scene: &mut Scene, socket: fn(&Path) -> T) -> Ran {
    let folder = scene.path("journal");
    std::fs::create_dir(&folder).unwrap();
    let _socket = socket(&folder.join("socket"));
    scene.run_by(&["unshare", "--mount", "sh", "-ec", AS_SERVICE, folder.to_str().unwrap()]);
    let ran = deploy(scene);
    let stderr = std::fs::read_to_string(folder.join("stderr")).unwrap();
    assert_eq!(stderr.is_empty(), folder.join("socket").exists(), "not where there is a journal: {stderr}");
    ran
}

/// The agent's stderr is what this script makes of it; `$0` is a path of the world's.
fn by_shell(scene: &mut Scene, script: &str) -> Ran {
    let path = scene.path("stderr").display().to_string();
    scene.run_by(&["sh", "-ec", script, &path]);
    let ran = deploy(scene);
    assert_eq!(ran.stderr, "", "its stderr is as it was");
    ran
}
