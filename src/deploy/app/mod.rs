//! The application's container: put in the place of the one before, proven healthy, and known to serve.

mod availability;
mod found;
mod health;
mod port;
mod serving;
mod swap;

pub use availability::Availability;
pub use found::Applications;
pub use health::{healthy, prove};
pub use serving::{report_serving, shown};
pub use swap::{Started, settle, start, stop};
