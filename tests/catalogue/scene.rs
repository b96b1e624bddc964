//! The world of one row, with what must come out of it untouched.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;
use std::time::Instant;

use serde_json::Value;

use crate::support::agent::{Ran, Running};
use crate::support::engine::{docker, docker_try, inspect, tiny_image};
use crate::support::github::COMMIT;
use crate::support::nested::Nested;
use crate::support::peers::peers;
use crate::support::world::World;
use crate::watch::{Seen, Watch};

/// A small server that misbehaves as it is told.
const SERVER: &str = include_str!("misbehaves.py");

/// An agent that has said what was waited for is told to stop; what it said stands.
pub fn ended(agent: Running<'_>, status: Value) -> Ran {
    let stderr = agent.stderr();
    Ran { code: agent.stop(), stderr, status }
}

/// The same once its run with this sequence has ended.
pub fn end_of_run(mut agent: Running<'_>, sequence: u64) -> Ran {
    let status = agent.wait_for_end_of_run(sequence);
    ended(agent, status)
}

/// A world beside which somebody else's container lives.
pub struct Scene {
    world: World,
    /// Who looks at the status from outside.
    watch: Watch,
    /// Containers and how they were.
    kept: Mutex<Vec<(String, String)>>,
    /// Image and container.
    stranger: (String, String),
    /// An engine of the row's own; it outlives the world.
    nested: Option<Nested>,
}

impl Scene {
    pub fn new() -> Self {
        let stranger = stranger();
        let world = World::new();
        let watch = Watch::of(world.path("run/status.json"));
        let scene = Self { world, watch, kept: Mutex::default(), stranger, nested: None };
        scene.keep(&scene.stranger.1);
        scene
    }

    pub fn run_once(&self, config: &str) -> Ran {
        self.watch.begin();
        self.world.run_once(config)
    }

    pub fn run_args(&self, args: &[&str]) -> Ran {
        self.watch.begin();
        self.world.run_args(args)
    }

    pub fn start(&self, config: &str) -> Running<'_> {
        self.watch.begin();
        self.world.start(config)
    }

    /// How long the runs took as seen from outside; the last one's status is this, and the play is over.
    pub fn runs(&self, last: &Value, over: Instant) -> Vec<Seen> {
        self.watch.runs(last, over)
    }

    /// The sample application serves, deployed by an agent that has ended; from here on it is not to be touched.
    pub fn serves(&mut self) -> String {
        let config = self.config("good", "");
        self.run_once(&config).is_ready();
        let app = self.app_container();
        self.keep(&app);
        app
    }

    /// From here on the agent lives beside this engine, to which this machine's addresses
    /// are carried as well.
    pub fn beside(&mut self, mut engine: Nested, also: &[&str]) -> &Nested {
        self.world.beside_engine(&mut engine, also);
        self.nested.insert(engine)
    }

    /// The engine of the row's own.
    pub fn engine(&self) -> Option<&Nested> {
        self.nested.as_ref()
    }

    /// This container is not to be touched from here on.
    pub fn keep(&self, container: &str) {
        let life = life(container);
        assert!(!life.is_empty(), "no such container: {container}");
        self.kept.lock().unwrap().push((container.to_owned(), life));
    }

    /// An application that starts in no time serves, and is not to be touched.
    pub fn serves_light(&mut self) {
        self.run_once(&self.light("")).is_ready();
        self.keep(&self.app_container());
    }

    /// The sample's image with another command, without a database.
    pub fn with_command(&self, command: &[&str], more: &str) -> String {
        let app = self.app(&format!("  command: {}\n", serde_json::to_string(command).unwrap()));
        self.config("good", &format!("database: off\n{app}{more}"))
    }

    /// An application that answers in this way (misbehaves.py), and one stage that asks it.
    pub fn answering(&self, how: &str) -> String {
        let command = serde_json::to_string(&["python3", "-c", SERVER, how]).unwrap();
        format!("{}health: [{{ http: /readyz }}]\n", self.app(&format!("  command: {command}\n")))
    }

    /// The sample's image with an application that starts in no time and is fine, without a database.
    pub fn light(&self, more: &str) -> String {
        self.config("good", &format!("database: off\n{}{more}", self.answering("200 OK|fine")))
    }

    /// What was to be kept is as it was.
    pub fn untouched(&self) {
        for (container, before) in &*self.kept.lock().unwrap() {
            assert_eq!(life(container), *before, "a container that was to be left alone");
        }
    }

    /// The agent's applications that run.
    pub fn running_apps(&self) -> Vec<String> {
        self.running("app")
    }
}

/// The part of a configuration by which this API gives the commit's source, with the peers' own base.
pub fn source(api: &str) -> String {
    let base = &peers().platform_base;
    format!(
        "source:\n  repository: acme/api\n  ref: {COMMIT}\n  api_url: {api}\n  build_args: {{ BASE: \"{base}\" }}\n"
    )
}

/// An image of the test's own, since what there is to pull needs a login, and a container of it.
fn stranger() -> (String, String) {
    let image = tiny_image(&[]);
    let container = docker(&["create", &image, "true"]);
    (image, container)
}

/// Since when it runs, or that it does not.
fn life(container: &str) -> String {
    inspect(container, "{{.State.Status}} {{.State.StartedAt}} {{.Name}}")
}

impl Deref for Scene {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for Scene {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let (image, container) = &self.stranger;
        docker_try(&["rm", "-fv", container]).ok();
        docker_try(&["rmi", image]).ok();
    }
}
