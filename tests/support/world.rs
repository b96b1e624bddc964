//! One agent in a world of its own: folders, parameter store, metadata
//! service, database and port. The engine, the registry and PostgreSQL are
//! real; whatever the agent made there is gone when the world is dropped.
//!
//! Every document the agent shows is held against the schema, and every place
//! it writes to is searched for the canaries: in every test, without asking.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use serde_json::Value;

use super::imds::FakeImds;
use super::peers::{Peers, peers};
use super::postgres::Session;
use super::ssm::FakeSsm;

/// How long anything that a test waits for may take.
const PATIENCE: Duration = Duration::from_secs(90);

static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema = serde_json::from_str(include_str!("../../schemas/status.v1.json")).unwrap();
    jsonschema::validator_for(&schema).unwrap()
});

pub struct World {
    folder: tempfile::TempDir,
    pub ssm: FakeSsm,
    pub imds: FakeImds,
    pub port: u16,
    pub database: String,
    env: HashMap<String, String>,
    canaries: Vec<String>,
    images: Vec<String>,
    /// Another engine than this machine's own, where the test has one: its `DOCKER_HOST`.
    engine: Option<String>,
    /// What the agent is run by.
    runner: Vec<String>,
}

/// How a finished agent ended.
pub struct Ran {
    pub code: Option<i32>,
    pub stderr: String,
    pub status: Value,
}

impl Ran {
    /// The run's phase with this name: its state.
    pub fn phase(&self, name: &str) -> &str {
        let phases = self.status["phases"].as_array().unwrap();
        phases.iter().find(|phase| phase["name"] == name).unwrap()["state"].as_str().unwrap()
    }

    /// The run failed with this fault.
    #[track_caller]
    pub fn failed_with(&self, code: &str) -> &Value {
        let fault = &self.status["fault"];
        assert_eq!(fault["code"], code, "{} {}", self.status, self.stderr);
        assert_eq!((self.code, &self.status["run"]["outcome"]), (Some(1), &"failed".into()));
        assert!(!fault["hint"].as_str().unwrap().is_empty());
        fault
    }

    #[track_caller]
    pub fn is_ready(&self) {
        assert_eq!(self.status["run"]["outcome"], "ready", "{} {}", self.status, self.stderr);
        assert_eq!(self.code, Some(0));
    }
}

impl World {
    /// A world with an empty database of its own.
    pub fn new() -> Self {
        let peers = peers();
        let folder = tempfile::Builder::new().prefix("preview-agent-test-").tempdir().unwrap();
        let port = free_port();
        let database = format!("test_{:08x}", fastrand::u32(..));
        psql("postgres", &format!("CREATE DATABASE {database}"));
        let (ssm, imds) = (FakeSsm::start(), FakeImds::start());
        let env = HashMap::from([
            ("RUNTIME_DIRECTORY".to_owned(), folder.path().join("run").display().to_string()),
            ("STATE_DIRECTORY".to_owned(), folder.path().join("state").display().to_string()),
            ("AWS_ENDPOINT_URL_SSM".to_owned(), ssm.endpoint()),
            ("AWS_ENDPOINT_URL_ECR".to_owned(), ssm.endpoint()),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT".to_owned(), imds.endpoint()),
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
        ]);
        let mut world = Self {
            folder,
            ssm,
            imds,
            port,
            database,
            env,
            canaries: Vec::new(),
            images: Vec::new(),
            engine: None,
            runner: Vec::new(),
        };
        world.secret("/test/registry-password", &peers.registry_password);
        world.secret("/test/database-password", &peers.postgres_password);
        world.secret("/test/dsn", "https://canary-of-the-dsn@sentry.invalid/42");
        world
    }

    /// A parameter whose value must never show anywhere.
    pub fn secret(&mut self, name: &str, value: &str) {
        self.ssm.set(name, value);
        self.canaries.push(value.to_owned());
    }

    /// From now on the agent uses this engine, and is run by this command.
    pub fn beside(&mut self, engine: &str, runner: &[&str]) {
        self.set_env("DOCKER_HOST", engine);
        self.engine = Some(engine.to_owned());
        self.runner = runner.iter().map(|word| (*word).to_owned()).collect();
    }

    /// From now on the agent is run by this command.
    pub fn run_by(&mut self, runner: &[&str]) {
        self.runner = runner.iter().map(|word| (*word).to_owned()).collect();
    }

    /// Output of the docker client, asking the engine that the agent uses.
    pub fn docker(&self, args: &[&str]) -> String {
        match &self.engine {
            Some(engine) => docker(&[&["--host", engine.as_str()], args].concat()),
            None => docker(args),
        }
    }

    /// A value that must never show anywhere, wherever the test puts it.
    pub fn canary(&mut self, value: &str) {
        self.canaries.push(value.to_owned());
    }

    pub fn set_env(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn config_path(&self) -> PathBuf {
        self.path("config.yaml")
    }

    pub fn write_config(&self, text: &str) {
        fs::write(self.config_path(), text).unwrap();
    }

    /// The sample application with this tag, from the private registry, and
    /// whatever else the test wants (whole top-level keys).
    pub fn config(&self, tag: &str, more: &str) -> String {
        let Peers { registry, registry_user, .. } = peers();
        let app = if more.contains("app:") { String::new() } else { self.app("") };
        let database = if more.contains("database:") { String::new() } else { self.database_block() };
        format!(
            "image: {registry}/acme/tasks-api:{tag}\n\
             registries:\n  {registry}: {{ username: {registry_user}, password: {{ ssm: /test/registry-password }} }}\n\
             report: {{ parameter: /test/status }}\n{database}{app}{more}\n"
        )
    }

    /// A whole deployment that is quick: the sample's image with a small server and a migration of
    /// one line. More keys of `app` (indented by two, `env` first) and whole top-level keys.
    pub fn light(&self, tag: &str, app: &str, more: &str) -> String {
        let server = serde_json::json!(["python", "-c", include_str!("server.py")]);
        let command = if app.contains("command:") { String::new() } else { format!("  command: {server}\n") };
        let app = self.app(&format!("{app}{command}"));
        let migrate = if more.contains("migrate:") {
            ""
        } else {
            "migrate: { command: [python, -c, \"print(42)\"] }\n"
        };
        let health = if more.contains("health:") { "" } else { "health: [tcp, { http: / }]\n" };
        self.config(tag, &format!("{app}{migrate}{health}{more}"))
    }

    /// An `app` block that publishes the world's port, with more keys (indented by two).
    pub fn app(&self, more: &str) -> String {
        format!(
            "app:\n  publish: \"127.0.0.1:{}\"\n  env:\n    SENTRY_DSN: {{ ssm: /test/dsn, optional: true }}\n{more}",
            self.port
        )
    }

    pub fn database_block(&self) -> String {
        let Peers { postgres_host, postgres_port, postgres_user, .. } = peers();
        format!(
            "database:\n  host: {postgres_host}\n  port: {postgres_port}\n  name: {}\n  user: {postgres_user}\n  \
             password: {{ ssm: /test/database-password }}\n",
            self.database
        )
    }

    /// A file that the test gives to the agent, not searched for canaries; its path.
    pub fn given(&self, name: &str, content: &str) -> PathBuf {
        let folder = self.path("given");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// How often a job's container, or the migration's, has run.
    pub fn times_run(&self, job: &str) -> usize {
        let log = fs::read_to_string(self.path("state/migrate.log")).unwrap_or_default();
        log.lines().filter(|line| line.starts_with(&format!("--- {job} in run "))).count()
    }

    /// Everything of the agent's in the engine: containers, networks, images.
    pub fn in_docker(&self) -> Vec<String> {
        let filter = self.scope_filter();
        let lists = [["ps", "-aq"].as_slice(), &["network", "ls", "-q"], &["images", "-q"]];
        lists
            .iter()
            .flat_map(|list| lines(&self.docker(&[list, ["--filter", &filter].as_slice()].concat())))
            .collect()
    }

    /// A query on the world's database; rows as psql prints them, unaligned.
    pub fn sql(&self, query: &str) -> String {
        psql(&self.database, query)
    }

    /// A session that holds this table of the world's database until it is dropped.
    pub fn locks(&self, table: &str) -> Session {
        let query = format!("BEGIN; LOCK TABLE {table}; SELECT pg_sleep(600)");
        let mut held = psql_command(&self.database, &query);
        let session = Session(held.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let locked = format!(
            "SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass AND granted \
             AND mode = 'AccessExclusiveLock'"
        );
        eventually("a locked table", || self.sql(&locked) == "1");
        session
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let words: Vec<&str> =
            self.runner.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_agent")]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(args).env_clear().envs(&self.env).stdin(Stdio::null());
        command
    }

    /// `agent run --once` with the configuration, to its end.
    pub fn run_once(&self, config: &str) -> Ran {
        self.write_config(config);
        self.run_args(&["run", "--once", "--config", self.config_path().to_str().unwrap()])
    }

    pub fn run_args(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        self.scan("stderr", &stderr);
        Ran { code: output.status.code(), stderr, status: self.status().unwrap_or(Value::Null) }
    }

    /// `agent run` with the configuration, in the background.
    pub fn start(&self, config: &str) -> Running<'_> {
        self.write_config(config);
        let log = fs::File::options().create(true).append(true).open(self.path("stderr")).unwrap();
        let child = self
            .command(&["run", "--config", self.config_path().to_str().unwrap()])
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Running { world: self, child }
    }

    /// The status file, held against the schema.
    pub fn status(&self) -> Option<Value> {
        let bytes = fs::read(self.path("run/status.json")).ok()?;
        Some(self.valid(&bytes))
    }

    pub fn status_bytes(&self) -> Vec<u8> {
        fs::read(self.path("run/status.json")).unwrap()
    }

    fn valid(&self, bytes: &[u8]) -> Value {
        assert!(bytes.len() <= 2300, "a status of {} bytes", bytes.len());
        let text = std::str::from_utf8(bytes).unwrap();
        let document: Value = serde_json::from_str(text).unwrap();
        if let Err(error) = SCHEMA.validate(&document) {
            panic!("not valid under the schema: {error} in {text}");
        }
        self.scan("status", text);
        document
    }

    /// The parameter's documents, oldest first, each valid and one that the file held.
    pub fn written(&self) -> Vec<Value> {
        self.ssm.writes().iter().map(|write| self.valid(write.value.as_bytes())).collect()
    }

    /// Ids of the agent's containers with this role, running or not.
    pub fn containers(&self, role: &str) -> Vec<String> {
        let filter = format!("label=preview-agent.role={role}");
        lines(&self.docker(&[
            "ps",
            "-aq",
            "--no-trunc",
            "--filter",
            &self.scope_filter(),
            "--filter",
            &filter,
        ]))
    }

    /// The one application container there is.
    pub fn app_container(&self) -> String {
        match self.containers("app").as_slice() {
            [only] => only.clone(),
            found => panic!("{} application containers", found.len()),
        }
    }

    /// Waits until a job or the migration runs, and returns its container's id.
    pub fn running_migration(&self) -> String {
        let scope = self.scope_filter();
        let running = || {
            self.docker(&[
                "ps",
                "-q",
                "--no-trunc",
                "--filter",
                &scope,
                "--filter",
                "label=preview-agent.role=migrate",
            ])
        };
        eventually("a running migration", || !running().is_empty());
        running()
    }

    /// Writes down what happens to the agent's containers from now on.
    pub fn record(&self) -> Recording {
        let path = self.path(&format!("events-{:08x}", fastrand::u32(..)));
        let host = self.engine.iter().flat_map(|engine| ["--host".to_owned(), engine.clone()]);
        let asked = ["events", "--since", &timestamp(), "--filter", "type=container", "--filter"];
        let format =
            "{{.TimeNano}} {{index .Actor.Attributes \"preview-agent.role\"}} {{.Action}} {{.Actor.ID}}";
        let more = [self.scope_filter(), "--format".to_owned(), format.to_owned()];
        let asked: Vec<String> = host.chain(asked.map(str::to_owned)).chain(more).collect();
        let child = Command::new("docker")
            .args(&asked)
            .stdout(fs::File::create(&path).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Recording { child, path, asked }
    }

    /// Status and body of a GET request to the application.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The filter of docker's listings for what is the agent's.
    pub fn scope_filter(&self) -> String {
        format!("label=preview-agent.scope={}", self.path("state").display())
    }

    /// An image that the test made or made the agent pull, removed at the end.
    pub fn image(&mut self, name: &str) {
        self.images.push(name.to_owned());
    }

    /// Fails if a canary stands in the text in any encoding.
    pub fn scan(&self, place: &str, text: &str) {
        for canary in &self.canaries {
            for encoded in encodings(canary) {
                assert!(!text.contains(&encoded), "{place} shows a secret");
            }
        }
    }

    fn scan_everything(&self) {
        for entry in files_below(self.folder.path()) {
            let text = String::from_utf8_lossy(&fs::read(&entry).unwrap_or_default()).into_owned();
            self.scan(&entry.display().to_string(), &text);
        }
        for id in self.containers("app").iter().chain(&self.containers("migrate")) {
            let shown = "{{json .Config.Labels}} {{json .Config.Cmd}} {{json .Args}} {{.Name}} {{json .Mounts}} \
                         {{json .HostConfig}}";
            self.scan("labels and arguments", &self.docker(&["inspect", "--format", shown, id]));
        }
        let filter = self.scope_filter();
        for id in lines(&self.docker(&["network", "ls", "-q", "--filter", &filter])) {
            self.scan("network", &self.docker(&["network", "inspect", &id]));
        }
        for id in lines(&self.docker(&["images", "-q", "--filter", &filter])) {
            self.scan("image", &self.docker(&["image", "inspect", &id]));
            self.scan("image's history", &self.docker(&["history", "--no-trunc", &id]));
        }
        self.written();
        self.check_modes();
    }

    /// What the agent wrote is its owner's alone, but for the status.
    fn check_modes(&self) {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let state = self.path("state");
        // Without the agent's lock nobody but the test has made it.
        if !state.join("lock").exists() {
            return;
        }
        assert_eq!(mode(&state), 0o700, "the state folder");
        for file in files_below(&state) {
            assert_eq!(mode(&file) & 0o077, 0, "{}", file.display());
        }
        for file in files_below(&self.path("run")) {
            assert_eq!(mode(&file) & 0o022, 0, "{}", file.display());
            assert_eq!(file.file_name().unwrap(), "status.json", "nothing else is anybody's business");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A leak fails the test after the cleaning, not instead of it; after another failure it says nothing.
        let clean_of_secrets = std::thread::panicking()
            || std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.scan_everything())).is_ok();
        let filter = self.scope_filter();
        let clean = |list: &[&str], remove: &[&str]| {
            let found = lines(&docker(list));
            if !found.is_empty() {
                let found: Vec<&str> = found.iter().map(String::as_str).collect();
                docker(&[remove, &found].concat());
            }
        };
        clean(&["ps", "-aq", "--filter", &filter], &["rm", "-fv"]);
        clean(&["network", "ls", "-q", "--filter", &filter], &["network", "rm"]);
        clean(&["images", "-q", "--filter", &filter], &["rmi", "-f"]);
        for image in &self.images {
            docker(&["rmi", "-f", image]);
        }
        let drop_database = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.database);
        let dropped = psql_command("postgres", &drop_database).output();
        // A second panic would end the whole test binary and hide the first.
        if !std::thread::panicking() {
            assert!(clean_of_secrets, "a secret was left somewhere: see above");
            assert!(dropped.unwrap().status.success(), "the database was not dropped");
        }
    }
}

/// A running agent; ended with SIGKILL when dropped.
pub struct Running<'a> {
    world: &'a World,
    child: Child,
}

impl Running<'_> {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the status holds what is asked for.
    pub fn wait_for(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let status = self.world.status();
            if let Some(status) = status.as_ref().filter(|status| holds(status)) {
                return status.clone();
            }
            if let Some(exit) = self.child.try_wait().unwrap() {
                panic!("the agent ended ({exit}) before {what}: {}", self.stderr());
            }
            assert!(Instant::now() < end, "no {what}: {status:?}\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the run with this sequence has ended.
    pub fn wait_for_end_of_run(&mut self, sequence: u64) -> Value {
        self.wait_for(&format!("end of run {sequence}"), |status| {
            status["run"]["sequence"].as_u64() == Some(sequence) && status["run"]["outcome"] != "in_progress"
        })
    }

    pub fn reload(&self, config: &str) {
        self.world.write_config(config);
        self.signal("HUP");
    }

    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// SIGTERM, and the exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        self.wait().code()
    }

    /// The exit code of an agent that was told to end.
    pub fn end(mut self) -> Option<i32> {
        self.wait().code()
    }

    /// SIGKILL, as a crash would.
    pub fn crash(mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.wait().signal(), Some(9));
    }

    fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(exit) = self.child.try_wait().unwrap() {
                return exit;
            }
            assert!(Instant::now() < end, "the agent does not end: {}", self.stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(self.world.path("stderr")).unwrap_or_default()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The role, what happened, and the container's id.
pub type Event = (String, String, String);

/// What happened to the agent's containers, as `docker events` tells it.
pub struct Recording {
    child: Child,
    path: PathBuf,
    /// Arguments of the docker client.
    asked: Vec<String>,
}

impl Recording {
    /// What happened to containers of any role until now, oldest first. The engine is asked again: it
    /// knows the last 256 events, and those that are older have come by themselves.
    pub fn all(&self) -> Vec<Event> {
        let output =
            Command::new("docker").args(&self.asked).args(["--until", &timestamp()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        events(&(self.written() + &String::from_utf8_lossy(&output.stdout)))
    }

    /// Whole lines.
    fn written(&self) -> String {
        let mut text = fs::read_to_string(&self.path).unwrap();
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        text
    }

    /// What happened to containers of this role: action and id, oldest first.
    pub fn of(&self, role: &str) -> Vec<(String, String)> {
        let events = self.all().into_iter().filter(|event| event.0 == role);
        events.map(|(_, action, id)| (action, id)).collect()
    }

    pub fn count(&self, role: &str, action: &str) -> usize {
        self.of(role).iter().filter(|(seen, _)| seen == action).count()
    }

    /// How many containers of this role ran at the same time at most.
    pub fn most_at_once(&self, role: &str) -> usize {
        most_at_once(&self.all(), role)
    }

    /// Waits until this has happened to a container of this role.
    pub fn wait_for(&self, role: &str, action: &str) {
        let happened = || events(&self.written()).iter().any(|event| event.0 == role && event.1 == action);
        eventually(&format!("{role} {action}"), happened);
    }
}

/// Events by their time, each once.
fn events(text: &str) -> Vec<Event> {
    let event = |line: &str| {
        let (time, rest) = line.split_once(' ')?;
        let (role, rest) = rest.split_once(' ')?;
        // Some actions have arguments, as in `exec_create: sh -c ls`.
        let (action, id) = rest.rsplit_once(' ')?;
        Some((time.parse::<u128>().ok()?, (role.to_owned(), action.to_owned(), id.to_owned())))
    };
    let each: BTreeSet<(u128, Event)> = text.lines().filter_map(event).collect();
    each.into_iter().map(|(_, event)| event).collect()
}

/// Now, as the docker client takes it.
fn timestamp() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    format!("{}.{:09}", now.as_secs(), now.subsec_nanos())
}

/// How many containers of this role ran at the same time at most.
pub fn most_at_once(events: &[Event], role: &str) -> usize {
    let mut running = BTreeSet::new();
    let mut most = 0;
    for (_, action, id) in events.iter().filter(|event| event.0 == role) {
        match action.as_str() {
            "start" => running.insert(id),
            "die" => running.remove(id),
            _ => false,
        };
        most = most.max(running.len());
    }
    most
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Waits until it holds.
pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Output of the docker client; empty where the engine refuses.
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().unwrap();
    // An engine that is not there has no containers either, which proves nothing.
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("Cannot connect to the Docker daemon"), "docker {args:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// A free port below those that connections take for themselves (from 32768): Docker takes it
/// only seconds later.
fn free_port() -> u16 {
    std::iter::repeat_with(|| fastrand::u16(20_000..32_000))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

fn psql_command(database: &str, query: &str) -> Command {
    let peers = peers();
    let mut command = Command::new(Path::new(&peers.postgres_bin).join("psql"));
    command
        .args(["-qAt", "-v", "ON_ERROR_STOP=1", "-h", &peers.postgres_host])
        .args([
            "-p",
            &peers.postgres_port.to_string(),
            "-U",
            &peers.postgres_user,
            "-d",
            database,
            "-c",
            query,
        ])
        .env("PGPASSWORD", &peers.postgres_password);
    command
}

/// Rows as psql prints them, unaligned; panics where it fails.
pub fn psql(database: &str, query: &str) -> String {
    let output = psql_command(database, query).output().unwrap();
    assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        // The test's own folder for what it gives to the agent may hold secrets.
        if path.is_dir() && path.file_name().is_some_and(|name| name != "given") {
            files.extend(files_below(&path));
        } else if path.is_file() {
            files.push(path);
        }
    }
    files
}

/// The canary as it could leak: raw, percent-encoded, in JSON and in JSON again, in base64, in hex.
fn encodings(secret: &str) -> Vec<String> {
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let percent =
        percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string();
    let kept = [("%2D", "-"), ("%2E", "."), ("%5F", "_"), ("%7E", "~")];
    let unreserved = kept.iter().fold(percent.clone(), |text, (code, letter)| text.replace(code, letter));
    let inside = |text: &str| {
        let json = serde_json::to_string(text).unwrap();
        json[1..json.len() - 1].to_owned()
    };
    let hex = secret.bytes().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    vec![
        secret.to_owned(),
        percent.to_lowercase(),
        percent,
        unreserved.replace("%2F", "/"),
        unreserved,
        inside(secret),
        inside(&inside(secret)),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        hex,
    ]
}
