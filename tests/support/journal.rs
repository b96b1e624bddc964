//! A journal of the test's own, at the usual place of a mount namespace of the agent's own.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::world::World;

pub struct Journal {
    socket: UnixDatagram,
    folder: PathBuf,
}

impl Journal {
    pub fn of(world: &World) -> Self {
        let folder = world.path("journal");
        fs::create_dir(&folder).unwrap();
        let socket = UnixDatagram::bind(folder.join("socket")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, folder }
    }

    /// Nobody is behind the socket any more; the file stays.
    pub fn gone(self) -> Self {
        Self { socket: UnixDatagram::unbound().unwrap(), ..self }
    }

    /// `agent run` with these options and this journal, stderr connected to it as systemd does.
    pub fn run(&self, world: &mut World, options: &[&str]) -> Command {
        let log = File::options().create(true).append(true).open(world.path("stderr")).unwrap();
        let meta = log.metadata().unwrap();
        world.set_env("JOURNAL_STREAM", &format!("{}:{}", meta.dev(), meta.ino()));
        let mount = "mount -t tmpfs tmpfs /run/systemd; mkdir /run/systemd/journal\n\
                     mount --bind \"$0\" /run/systemd/journal";
        let mut command = in_namespace(&world.run(options), mount, &self.folder);
        command.stderr(log);
        command
    }

    /// Every entry that is there to be read, as text.
    pub fn entries(&self) -> Vec<String> {
        let mut buffer = vec![0; 64 * 1024];
        let next = || self.socket.recv(&mut buffer).ok().map(|size| buffer[..size].to_vec());
        std::iter::from_fn(next).map(|entry| String::from_utf8_lossy(&entry).into_owned()).collect()
    }
}

/// The command in a mount namespace of its own, after a script that gets the
/// folder as `$0` has arranged that.
pub fn in_namespace(plain: &Command, script: &str, folder: &Path) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("{script}\nexec \"$@\"");
    command.args(["-m", "sh", "-ec", &script]).arg(folder).arg(plain.get_program());
    command.args(plain.get_args()).env_clear().stdin(Stdio::null());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}
