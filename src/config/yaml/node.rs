//! The tree of a document.

/// Line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

/// A node of the document.
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) content: Content,
}

impl Node {
    /// Nothing there but white space and comments.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.content, Content::Null)
    }
}

/// What a node holds.
pub(crate) enum Content {
    Null,
    Scalar { text: String, kind: Kind },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// How YAML's core schema reads a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Bool,
}

/// A key with its value. Keys may repeat; the reader says so.
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Position,
    pub(crate) value: Node,
}
