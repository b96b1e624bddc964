//! The docker client, and what the agent has in the engine.

use std::process::Command;

use super::github::header;
use super::wait::eventually;
use super::world::World;

/// What the docker client says; fails where it refuses.
#[track_caller]
pub fn docker(args: &[&str]) -> String {
    match docker_try(args) {
        Ok(said) => said,
        Err(refusal) => panic!("docker {args:?}: {refusal}"),
    }
}

/// What the docker client says, or with which words it refuses.
#[track_caller]
pub fn docker_try(args: &[&str]) -> Result<String, String> {
    let output = Command::new("docker").args(args).output().unwrap();
    let said = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(said(&output.stdout));
    }
    let refusal = said(&output.stderr);
    // A container that ends for the file takes `touch` with it, which has made the file by then; one
    // that could not says why.
    if args.contains(&"touch") && refusal.is_empty() {
        return Ok(refusal);
    }
    // An engine that is not there has no containers either, which proves nothing.
    let gone = refusal.contains("Cannot connect to the Docker daemon");
    assert!(!gone || std::thread::panicking(), "docker {args:?}: {refusal}");
    Err(refusal)
}

/// What docker knows of a container, by a format.
#[track_caller]
pub fn inspect(container: &str, format: &str) -> String {
    docker(&["inspect", "--format", format, container])
}

/// Whether a container runs.
#[track_caller]
pub fn runs(container: &str) -> bool {
    inspect(container, "{{.State.Running}}") == "true"
}

/// The scripts of tests that hold something up go on once this file is there.
#[track_caller]
pub fn let_go(container: &str) {
    docker(&["exec", container, "touch", "/tmp/go"]);
}

/// An image of one small file, like no other, with these labels; its id.
pub fn tiny_image(labels: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    let mut tar = tar::Builder::new(std::fs::File::create(&path).unwrap());
    let nonce = fastrand::u128(..).to_string();
    tar.append(&header("nonce", tar::EntryType::Regular, nonce.len()), nonce.as_bytes()).unwrap();
    tar.finish().unwrap();
    let labels: Vec<String> = labels.iter().map(|label| format!("LABEL {label}")).collect();
    let labels = labels.iter().flat_map(|label| ["--change", label]);
    docker(&["import"].into_iter().chain(labels).chain([path.to_str().unwrap()]).collect::<Vec<_>>())
}

pub fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// Removes whatever these listings (`ps -aq`, with what removes it: `rm -f`) show under a filter, as far
/// as it is still there.
pub fn remove_all(filter: &str, listings: &[(&str, &str)]) {
    for (list, remove) in listings {
        let listed = docker_try(&list.split(' ').chain(["--filter", filter]).collect::<Vec<_>>());
        for id in listed.unwrap_or_default().lines() {
            docker_try(&remove.split(' ').chain([id]).collect::<Vec<_>>()).ok();
        }
    }
}

/// What shows an agent's objects and what removes them, in this order.
const OBJECTS: [(&str, &str); 3] =
    [("ps -aq --no-trunc", "rm -fv"), ("network ls -q", "network rm"), ("images -q", "rmi -f")];

impl World {
    /// [`docker`], asking the engine that the agent uses.
    #[track_caller]
    pub fn docker(&self, args: &[&str]) -> String {
        docker(&self.asking(args))
    }

    /// [`docker_try`], asking the engine that the agent uses.
    #[track_caller]
    pub fn docker_try(&self, args: &[&str]) -> Result<String, String> {
        docker_try(&self.asking(args))
    }

    fn asking<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        let engine = self.engine.iter().flat_map(|engine| ["--host", engine.as_str()]);
        engine.chain(args.iter().copied()).collect()
    }

    /// The filter of docker's listings for what is the agent's.
    pub fn scope_filter(&self) -> String {
        format!("label=preview-agent.scope={}", self.path("state").display())
    }

    /// Everything of the agent's in the engine: containers, networks, images.
    pub fn in_docker(&self) -> Vec<String> {
        OBJECTS.iter().flat_map(|(list, _)| self.listed(&list.split(' ').collect::<Vec<_>>())).collect()
    }

    /// Ids of the agent's containers with this role, running or not.
    pub fn containers(&self, role: &str) -> Vec<String> {
        self.listed(&["ps", "-aq", "--no-trunc", "--filter", &format!("label=preview-agent.role={role}")])
    }

    /// Ids of those that run.
    pub fn running(&self, role: &str) -> Vec<String> {
        self.listed(&["ps", "-q", "--no-trunc", "--filter", &format!("label=preview-agent.role={role}")])
    }

    /// What is the agent's in a listing of docker's, line by line.
    #[track_caller]
    pub fn listed(&self, listing: &[&str]) -> Vec<String> {
        lines(&self.docker(&[listing, &["--filter", &self.scope_filter()]].concat()))
    }

    /// The one application container there is.
    #[track_caller]
    pub fn app_container(&self) -> String {
        match self.containers("app").as_slice() {
            [only] => only.clone(),
            found => panic!("{} application containers", found.len()),
        }
    }

    /// Waits until a job or the migration runs, and returns its container's id.
    #[track_caller]
    pub fn running_migration(&self) -> String {
        let mut running = Vec::new();
        eventually("a running migration", || {
            running = self.running("migrate");
            !running.is_empty()
        });
        running.remove(0)
    }

    /// An image that the test made or made the agent pull, removed at the end.
    pub fn image(&mut self, name: &str) {
        self.images.push(name.to_owned());
    }

    /// An engine of the test's own goes as a whole.
    pub(super) fn clear_engine(&self) {
        remove_all(&self.scope_filter(), &OBJECTS);
        for image in &self.images {
            docker_try(&["rmi", "-f", image]).ok();
        }
    }
}
