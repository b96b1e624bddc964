//! What the proxy has seen, in points: a kind of request and which of its kind
//! it was; and where it is to halt.

use std::collections::HashMap;
use std::fmt;

use super::kinds::{Fold, Kind, Nature};
use super::trouble::Moment;

/// One request of a deployment, told from all others: the nth of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Point {
    pub kind: String,
    pub nth: usize,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.kind, self.nth)
    }
}

/// Where to halt, and whether the agent will live on.
#[derive(Debug, Clone)]
pub struct Halt {
    pub point: Point,
    pub moment: Moment,
    /// Nothing more passes from then on.
    pub cut: bool,
}

/// A point and how its answer comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub point: Point,
    pub nature: Nature,
}

#[derive(Default)]
pub struct Ledger {
    seen: Vec<Seen>,
    /// How often each kind has counted, and at which change of the engine last.
    counts: HashMap<String, (usize, u64)>,
    changes: u64,
    halt: Option<Halt>,
    cut: bool,
}

impl Ledger {
    pub fn new(halt: Option<Halt>) -> Self {
        Self { halt, ..Self::default() }
    }

    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    pub fn is_cut(&self) -> bool {
        self.cut
    }

    pub fn uncut(&mut self) {
        self.cut = false;
    }

    /// Counts a request, and tells when it is to be halted, if it is the one.
    pub fn arrive(&mut self, kind: &Kind) -> Option<Moment> {
        let (count, last) = self.counts.entry(kind.name.clone()).or_insert((0, 0));
        let another = match kind.fold {
            Fold::Each => true,
            // What is read again after a change is another question.
            Fold::UntilChange => *count == 0 || *last < self.changes,
            Fold::Once => *count == 0,
        };
        *last = self.changes;
        if kind.fold == Fold::Each {
            self.changes += 1;
        }
        if !another {
            return None;
        }
        *count += 1;
        let point = Point { kind: kind.name.clone(), nth: *count };
        self.seen.push(Seen { point: point.clone(), nature: kind.nature });
        let halt = self.halt.take_if(|halt| halt.point == point)?;
        self.cut = halt.cut;
        Some(halt.moment)
    }
}
