//! Change sets, thought through: what each parameter gets, what must not be applied unasked, how a set is
//! shown, why an update failed. Nothing here asks AWS.

mod cause;
mod gate;
mod images;
mod mask;
mod parameters;
mod review;
mod stateful;
mod text;

pub use cause::{cause, hint};
pub use gate::{Refusal, Why, refusals};
pub use images::{Ran, history, image_parameter, of_events, recorded};
pub use parameters::{Decided, Wish, decide};
pub use review::Review;
pub use stateful::{OURS, STATEFUL, is_stateful};
