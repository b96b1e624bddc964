//! What the status document leaves out, so that a reader meets no empty fields.

/// Whether a value says no more than its absence.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Whether a count of tries says no more than its absence.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(super) fn at_most_one(count: &u32) -> bool {
    *count <= 1
}
