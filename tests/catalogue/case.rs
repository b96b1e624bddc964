//! One row: what is broken, what must come of it, and the check of both.

use std::os::unix::fs::PermissionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::scene::Scene;
use crate::support::agent::Ran;
use crate::support::page::matches;

/// Beyond its deadline a run only clears up: it stops what it started, and starts what served before.
const CLEARING_UP: time::Duration = time::Duration::seconds(45);

/// Breaks the world and lets an agent live in it.
type Play = fn(&mut Scene) -> Ran;

/// A row of the catalogue.
pub struct Case {
    /// Where the world fails.
    pub seam: &'static str,
    /// What is broken, in words that no other row of the seam has.
    pub broken: &'static str,
    pub wants: Wants,
    play: Play,
}

/// What must come of it.
pub struct Wants {
    pub outcome: &'static str,
    /// The fault's code, or that of the service's cause.
    pub fault: Option<&'static str>,
    pub class: Option<&'static str>,
    /// Tries that the fault tells.
    pub attempts: Option<u64>,
    pub exit: i32,
    pub service: &'static str,
    /// The whole line; `…` stands for whatever differs from run to run.
    pub verdict: &'static str,
}

/// A row whose run fails after one try with nothing serving, unless more is said.
pub fn fails(
    seam: &'static str,
    broken: &'static str,
    (class, fault): (&'static str, &'static str),
    verdict: &'static str,
    play: Play,
) -> Case {
    let (class, fault, attempts) = (Some(class), Some(fault), Some(1));
    let wants = Wants { outcome: "failed", fault, class, attempts, exit: 1, service: "none", verdict };
    Case { seam, broken, wants, play }
}

/// A row that costs the deployment nothing.
pub fn ready(seam: &'static str, broken: &'static str, verdict: &'static str, play: Play) -> Case {
    let wants =
        Wants { outcome: "ready", fault: None, class: None, attempts: None, exit: 0, service: "up", verdict };
    Case { seam, broken, wants, play }
}

impl Case {
    pub fn tries(mut self, attempts: u64) -> Self {
        self.wants.attempts = Some(attempts);
        self
    }

    /// It is tried until its time is over: how often depends on the machine.
    pub fn until_late(mut self) -> Self {
        self.wants.attempts = None;
        self
    }

    pub fn exit(mut self, code: i32) -> Self {
        self.wants.exit = code;
        self
    }

    /// What is true of the service in the end.
    pub fn service(mut self, state: &'static str) -> Self {
        self.wants.service = state;
        self
    }

    /// The run was ready and the service is not: its cause has this class and code, and no count of tries.
    pub fn because(mut self, class: &'static str, code: &'static str) -> Self {
        (self.wants.class, self.wants.fault, self.wants.attempts) = (Some(class), Some(code), None);
        self
    }

    /// `seam::what_is_broken`, by which the row is run alone.
    pub fn name(&self) -> String {
        let mut name = format!("{}::", self.seam.to_lowercase().replace(' ', "_"));
        for c in self.broken.chars() {
            match c {
                c if c.is_ascii_alphanumeric() => name.push(c.to_ascii_lowercase()),
                _ if name.ends_with(['_', ':']) => {}
                _ => name.push('_'),
            }
        }
        name.trim_end_matches('_').to_owned()
    }

    /// Plays the row in a world of its own and returns what did not hold. `said` takes the verdict.
    pub fn run(&self, said: &mut String) -> Result<(), String> {
        catch_unwind(AssertUnwindSafe(|| {
            let mut scene = Scene::new();
            let ran = (self.play)(&mut scene);
            ran.status["verdict"].as_str().unwrap_or_default().clone_into(said);
            self.wants.check(&ran);
            invariants(&scene, &ran);
        }))
        .map_err(|panic| match panic.downcast::<String>() {
            Ok(words) => *words,
            Err(panic) => {
                panic.downcast::<&str>().map_or_else(|_| "panicked".to_owned(), |w| (*w).to_owned())
            }
        })
    }
}

impl Wants {
    fn check(&self, ran: &Ran) {
        let Ran { code, status, stderr } = ran;
        let context = format!("{status}\n{stderr}");
        let fault = status.get("fault").or_else(|| status["service"].get("cause")).unwrap_or(&Value::Null);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        assert_eq!(text(&status["run"]["outcome"]).as_deref(), Some(self.outcome), "outcome: {context}");
        assert_eq!(text(&fault["code"]).as_deref(), self.fault, "fault: {context}");
        assert_eq!(text(&fault["class"]).as_deref(), self.class, "class: {context}");
        if self.attempts.is_some() {
            assert_eq!(fault["attempts"].as_u64(), self.attempts, "tries: {context}");
        }
        assert_eq!(*code, Some(self.exit), "exit code: {context}");
        assert_eq!(text(&status["service"]["state"]).as_deref(), Some(self.service), "service: {context}");
        let verdict = status["verdict"].as_str().unwrap();
        assert!(
            matches(self.verdict, verdict),
            "verdict:\n  wanted {}\n  said   {verdict}\n{context}",
            self.verdict
        );
    }
}

/// What holds after every row, whatever was broken (design.md, section 6). Canaries are searched
/// for, and documents held against the schema, by the world itself.
fn invariants(scene: &Scene, ran: &Ran) {
    let run = &ran.status["run"];
    assert_ne!(run["outcome"], "in_progress", "a run without an end: {}", ran.status);
    let at = |what: &str| OffsetDateTime::parse(run[what].as_str()?, &Rfc3339).ok();
    // A run that could not begin has none.
    let given = at("deadline").map(|deadline| deadline - at("started").unwrap());
    let deadline = given.unwrap_or_default() + CLEARING_UP;
    let took = ran.status["phases"].as_array().into_iter().flatten();
    let took = took.map(|phase| phase["start_ms"].as_i64().unwrap_or(0) + phase["ms"].as_i64().unwrap_or(0));
    let took = time::Duration::milliseconds(took.max().unwrap_or(0));
    assert!(took <= deadline, "a run beyond its deadline: {}", ran.status);
    if let Some(fault) = ran.status.get("fault") {
        assert!(!fault["hint"].as_str().unwrap().is_empty(), "a fault without a hint");
        let words = format!("{} {}", ran.status["verdict"], fault["message"]);
        for jargon in ["hyper", "(os error", "reqwest", "Utf8Error", "DispatchFailure", "panicked"] {
            assert!(!words.contains(jargon), "{jargon} means nothing to a user: {words}");
        }
    }
    // An engine that stayed down cannot be asked; what it left shows when it is up again.
    if let Some(engine) = scene.engine().filter(|engine| !engine.answers()) {
        engine.resume();
    }
    assert!(scene.containers("migrate").is_empty(), "a job's container was left");
    let apps = scene.running_apps();
    assert!(apps.len() <= 1, "{} applications run", apps.len());
    match ran.status["service"]["state"].as_str() {
        Some("up" | "degraded") => assert_eq!(apps.len(), 1, "{}", ran.status),
        // In a crash loop Docker may just have started it once more.
        Some("down") if ran.status["service"]["cause"]["code"] == "app_crash_loop" => {}
        Some("unwatched") => {}
        _ => assert!(apps.is_empty(), "{}", ran.status),
    }
    scene.untouched();
    let mode =
        |name: &str| std::fs::metadata(scene.path(name)).map(|found| found.permissions().mode() & 0o777).ok();
    for (name, wanted) in [("state", 0o700), ("state/state.json", 0o600), ("run/status.json", 0o644)] {
        assert!(mode(name).is_none_or(|mode| mode == wanted), "{name}: {:?}", mode(name));
    }
}
