//! The tree of a document.

/// Line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: u64,
    /// In characters, from 1.
    pub column: u64,
}

/// A node of the document. No `Debug`: any value may be a secret.
#[derive(Clone)]
pub struct Node {
    /// Where it begins.
    pub at: Position,
    /// What it holds.
    pub content: Content,
}

impl Node {
    /// Nothing there but white space and comments.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self.content, Content::Null)
    }
}

/// What a node holds.
#[derive(Clone)]
pub enum Content {
    /// Nothing.
    Null,
    /// A single value.
    Scalar {
        /// As it is written.
        text: String,
        /// What YAML takes it for.
        kind: Kind,
    },
    /// A list.
    List(Vec<Node>),
    /// A map.
    Map(Vec<Entry>),
}

/// How YAML's core schema reads a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
}

/// A key with its value. Keys may repeat; the reader says so.
#[derive(Clone)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub at: Position,
    /// The value.
    pub value: Node,
}
