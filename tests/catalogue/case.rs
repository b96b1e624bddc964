//! One row: what is broken, what must come of it, and the check of both.

use std::os::unix::fs::PermissionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::scene::Scene;
use crate::support::agent::Ran;
use crate::support::page::{matches, panicked, row_name};
use crate::support::peers::peers;

/// Beyond its deadline a run only clears up: it stops what it started and what it was about to replace,
/// each within its grace, starts what served before, and lets a probe of it end.
const CLEARING_UP: Duration = Duration::from_secs(45);

/// Parts of the status that rows look into.
pub const NOTES: &str = "/notes";
pub const MIGRATED: &str = "/migration/to";
pub const WHY_BUILT: &str = "/image/why_built";

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
#[derive(Default)]
pub struct Wants {
    pub outcome: &'static str,
    /// The fault's code, or that of the service's cause.
    pub fault: Option<&'static str>,
    pub class: Option<&'static str>,
    /// Where the run fails; nothing before the first phase, `…` where it may be one or another.
    phase: Option<&'static str>,
    /// Tries that the fault tells.
    pub attempts: Option<u64>,
    pub exit: i32,
    pub service: &'static str,
    /// Names, numbers and paths that a reader needs, and the part of the status that has them: where
    /// none is named, the message of the fault or of the service's cause.
    has: Vec<(Option<&'static str>, &'static str)>,
    /// The verdict is held word for word, in `snapshots`.
    prose: bool,
}

/// A row whose run fails after one try with nothing serving, unless more is said.
pub fn fails(
    seam: &'static str,
    broken: &'static str,
    (class, fault): (&'static str, &'static str),
    play: Play,
) -> Case {
    let (class, fault, attempts) = (Some(class), Some(fault), Some(1));
    let (outcome, exit, service) = ("failed", 1, "none");
    let wants = Wants { outcome, fault, class, attempts, exit, service, ..Wants::default() };
    Case { seam, broken, wants, play }
}

/// A row that costs the deployment nothing.
pub fn ready(seam: &'static str, broken: &'static str, play: Play) -> Case {
    let wants = Wants { outcome: "ready", service: "up", ..Wants::default() };
    Case { seam, broken, wants, play }
}

/// Rows whose runs fail in this phase, where they do not name another.
pub fn within(phase: &'static str, groups: impl IntoIterator<Item = Vec<Case>>) -> Vec<Case> {
    let rows = groups.into_iter().flatten();
    rows.map(|row| if row.wants.phase.is_none() { row.phase(phase) } else { row }).collect()
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

    /// The run was ready and the service is not: why not, by the class and the code of its cause.
    pub fn because(mut self, state: &'static str, (class, code): (&'static str, &'static str)) -> Self {
        (self.wants.class, self.wants.fault) = (Some(class), Some(code));
        self.service(state)
    }

    /// Where the run fails. An application that was started is down then, if it says nothing else.
    pub fn phase(mut self, phase: &'static str) -> Self {
        self.wants.phase = Some(phase);
        if self.wants.service == "none" && ["start", "health"].contains(&phase) {
            self.wants.service = "down";
        }
        self
    }

    /// The message has this in it; `…` stands for anything.
    pub fn says(mut self, fact: &'static str) -> Self {
        self.wants.has.push((None, fact));
        self
    }

    /// The status has this in it, there (RFC 6901).
    pub fn has(mut self, place: &'static str, fact: &'static str) -> Self {
        self.wants.has.push((Some(place), fact));
        self
    }

    /// The verdict is one of the few that are held word for word.
    pub fn prose(mut self) -> Self {
        self.wants.prose = true;
        self
    }

    /// `seam::what_is_broken`, by which the row is run alone.
    pub fn name(&self) -> String {
        row_name(&self.seam.to_lowercase(), self.broken)
    }

    /// Plays the row in a world of its own and returns what did not hold. `said` takes the verdict.
    pub fn run(&self, said: &mut String) -> Result<(), String> {
        catch_unwind(AssertUnwindSafe(|| {
            let mut scene = Scene::new();
            let ran = (self.play)(&mut scene);
            let over = Instant::now();
            ran.status["verdict"].as_str().unwrap_or_default().clone_into(said);
            self.wants.check(&ran);
            if self.wants.prose {
                let (name, host) = (self.name().replace("::", "."), &peers().postgres_host);
                let said = lasting(&said.replace(host, "…"));
                insta::with_settings!(
                    { prepend_module_to_snapshot => false, omit_expression => true },
                    { insta::assert_snapshot!(name, said) }
                );
            }
            invariants(&scene, &ran, over);
        }))
        .map_err(panicked)
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
        let words = |value: &Value| text(value).unwrap_or_else(|| value.to_string());
        let phase = text(&fault["phase"]).unwrap_or_default();
        assert!(
            self.outcome != "failed" || matches(self.phase.unwrap_or_default(), &phase),
            "phase: {context}"
        );
        for (place, fact) in &self.has {
            let found = place.map_or_else(|| fault.get("message"), |place| status.pointer(place));
            let found = found.map(words).unwrap_or_default();
            assert!(matches(&format!("…{fact}…"), &found), "{place:?} has no {fact}: {context}");
        }
        let (class, code) = (self.class.unwrap_or_default(), self.fault.unwrap_or_default());
        let begins = match (self.outcome, self.service) {
            ("failed", _) if phase.is_empty() => format!("failed: {code} ({class}): "),
            ("failed", _) => format!("failed in {phase}: {code} ({class}): "),
            (_, "degraded" | "down") => format!("{}: {class}: {code}: ", self.service),
            (_, "up") => "ready: ".to_owned(),
            (_, state) => format!("{state}: "),
        };
        assert!(
            words(&status["verdict"]).starts_with(&begins),
            "the verdict is not \"{begins}…\": {context}"
        );
    }
}

/// The text without what differs from run to run: ports, digests and the seconds that a run took.
fn lasting(text: &str) -> String {
    let mut lasting = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        let number = rest.bytes().take(word).all(|c| c.is_ascii_digit());
        let port = number && word == 5 && lasting.ends_with(':');
        let seconds = number && word > 0 && lasting.ends_with(", ") && rest[word..].starts_with(" s");
        let (kept, read) = match c {
            _ if port || seconds || word > 0 && lasting.ends_with("sha256:") => ('…', word),
            c => (c, c.len_utf8()),
        };
        lasting.push(kept);
        rest = &rest[read..];
    }
    lasting
}

/// What holds after every row, whatever was broken (design.md, section 6). Canaries are searched
/// for, and documents held against the schema, by the world itself.
fn invariants(scene: &Scene, ran: &Ran, over: Instant) {
    let run = &ran.status["run"];
    assert_ne!(run["outcome"], "in_progress", "a run without an end: {}", ran.status);
    for seen in scene.runs(&ran.status, over) {
        assert!(
            seen.took() <= seen.given + CLEARING_UP,
            "a run beyond its deadline: {seen:?} {}",
            ran.status
        );
    }
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
        Some("up" | "degraded") => {
            assert_eq!(apps.len(), 1, "{}", ran.status);
            assert!(ran.status["serving"]["image"].is_string(), "nothing is said to serve: {}", ran.status);
            assert!(ran.status["app"]["url"].is_string(), "no way to the application: {}", ran.status);
        }
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
