//! The status document, the faults it can name, and the sinks it goes to.

pub mod fault;
