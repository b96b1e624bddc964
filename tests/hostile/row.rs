//! One row: an input, and what must come of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::page::{matches, panicked, row_name};
use crate::support::process::high_water_mark;

/// Set in a process that runs one row and nothing else, so that its memory is the row's.
const ALONE: &str = "PREVIEW_AGENT_TEST_ALONE";

/// More than any row needs on a loaded machine; what waits for a limit of the policy says so.
const LIMIT: Duration = Duration::from_secs(180);

/// A hostile input.
pub struct Row {
    /// What it is fed to.
    pub kind: &'static str,
    /// What it is, in words that no other row of the kind has.
    pub input: &'static str,
    /// What comes of it, `…` for anything: of a fault the code, and what its message must have in it.
    pub becomes: &'static str,
    /// Most memory that the process may have held, fakes included.
    pub mebibytes: Option<u64>,
    play: Box<dyn Fn() -> String + Send>,
}

/// A row: `play` feeds the input and tells what came of it.
pub fn row(
    kind: &'static str,
    input: &'static str,
    becomes: &'static str,
    play: impl Fn() -> String + Send + 'static,
) -> Row {
    Row { kind, input, becomes, mebibytes: None, play: Box::new(play) }
}

impl Row {
    /// The row runs in a process of its own, which never holds more than this.
    pub fn within(mut self, mebibytes: u64) -> Self {
        self.mebibytes = Some(mebibytes);
        self
    }

    /// `kind::input`, by which the row is run alone.
    pub fn name(&self) -> String {
        row_name(self.kind, self.input)
    }

    /// What did not hold.
    pub fn run(&self) -> Result<(), String> {
        let alone = std::env::var_os(ALONE).is_some();
        if self.mebibytes.is_some() && !alone {
            return self.run_alone();
        }
        let begun = Instant::now();
        let became = catch_unwind(AssertUnwindSafe(&self.play)).map_err(panicked)?;
        // A fault's message is held only as far as the row says.
        let holds = match self.becomes.split_once(": ").unwrap_or((self.becomes, "")) {
            (code, fact) if code.starts_with('`') => matches(&format!("{code}: …{fact}…"), &became),
            _ => matches(self.becomes, &became),
        };
        if !holds {
            return Err(format!("\n  wanted {}\n  became {became}", self.becomes));
        }
        if begun.elapsed() > LIMIT {
            return Err(format!("took {} s", begun.elapsed().as_secs()));
        }
        match self.mebibytes {
            Some(most) if peak() > most => Err(format!("held {} MiB, more than {most}", peak())),
            _ => Ok(()),
        }
    }

    fn run_alone(&self) -> Result<(), String> {
        let mut alone = Command::new(std::env::current_exe().unwrap());
        let output = alone.args(["--exact", &self.name()]).env(ALONE, "1").output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        // A name that no row has would be no failure.
        if output.status.success() && said[0].contains(" 1 passed") { Ok(()) } else { Err(said.concat()) }
    }
}

/// Most memory that this process has held, in MiB.
fn peak() -> u64 {
    high_water_mark(std::process::id()).unwrap() / 1024
}

/// A fault as the reader of the status meets it, without what differs from run to run.
pub fn refused(fault: impl Into<preview_agent::status::Fault>) -> String {
    let fault = fault.into();
    let odd = fault.message.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(odd, None, "{:?}", fault.message);
    assert!(fault.message.len() < 8 * 1024, "a message of {} bytes", fault.message.len());
    format!("`{}`: {}", fault.code, fault.message)
}
