//! A change set as AWS describes it: what would become of each resource, and why.

/// A change set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSet {
    /// Its ARN; a name can be given again, this cannot.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The ARN of its stack.
    pub stack_id: String,
    /// The name of its stack.
    pub stack: String,
    /// Whether it is made.
    pub making: Making,
    /// Why it is not.
    pub reason: Option<String>,
    /// Whether it can be executed.
    pub execution: Execution,
    /// The values that parameters would have; AWS masks those that are not to be shown.
    pub parameters: Vec<(String, String)>,
    /// What would change, by logical id; of nested stacks as `Nested/Id`.
    pub changes: Vec<Change>,
}

/// How far AWS is with making it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Making {
    /// It is at work.
    Going,
    /// It is made.
    Made,
    /// It could not be made, or there was nothing to make.
    Failed,
    /// It is being deleted, or is gone.
    Gone,
}

/// Whether it can be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// Not, or not yet.
    Unavailable,
    /// Yes.
    Available,
    /// It is being executed.
    Going,
    /// It was executed.
    Done,
    /// It was executed, and that failed.
    Failed,
    /// Another one was executed since.
    Obsolete,
}

/// What would become of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// Its logical id.
    pub id: String,
    /// Its type, as in `AWS::ECS::Service`.
    pub kind: String,
    /// Its id or ARN, once it has one.
    pub physical: Option<String>,
    /// Whether another resource takes its place.
    pub replacement: Replacement,
    /// What becomes of the old resource.
    pub policy: Option<Policy>,
    /// Which of its properties change.
    pub properties: Vec<Property>,
    /// The change set of a nested stack, if AWS made one.
    pub nested: Option<String>,
}

/// What is done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is made.
    Add,
    /// It is changed.
    Modify,
    /// It is removed from the stack.
    Remove,
    /// One that exists is taken into the stack.
    Import,
    /// AWS knows only when it comes to it.
    Dynamic,
    /// The stack's record of it is corrected.
    Sync,
    /// A word that is not known here.
    Unknown,
}

/// Whether another resource takes the place of the one that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// It stays.
    No,
    /// It goes.
    Yes,
    /// AWS knows only when it comes to it.
    Conditional,
    /// AWS does not say.
    Unsaid,
}

/// What becomes of the old resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It is deleted.
    Delete,
    /// It stays, outside of the stack.
    Retain,
    /// It is deleted, and a snapshot stays.
    Snapshot,
    /// A new one takes its place, and it is deleted.
    ReplaceAndDelete,
    /// A new one takes its place, and it stays.
    ReplaceAndRetain,
    /// A new one takes its place, and a snapshot stays.
    ReplaceAndSnapshot,
    /// A word that is not known here.
    Unknown,
}

/// A property that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Where it is, as in `/Properties/ContainerDefinitions/0/Image` or `Tags`.
    pub path: String,
    /// What its neighbour calls it, as an environment's entry does: `DATABASE_URL`.
    pub label: Option<String>,
    /// What it is.
    pub before: Option<String>,
    /// What it is to be.
    pub after: Option<String>,
    /// Whether that takes another resource.
    pub recreation: Recreation,
    /// What it comes from, as in `ContainerImage`; empty where the template says it itself.
    pub causes: Vec<String>,
}

/// Whether a changed property takes another resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recreation {
    /// No.
    Never,
    /// It depends.
    Maybe,
    /// Yes.
    Always,
}
