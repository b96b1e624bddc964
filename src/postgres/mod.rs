//! PostgreSQL, asked with the application's own login: may it, which database is it, what has alembic
//! written down there. The only place that names tokio-postgres.

mod backends;
mod error;
mod lock;
mod login;
mod revisions;
mod session;
mod tls;

pub use backends::{APPLICATION_MAX, Backend};
pub use error::Error;
pub use lock::Lock;
pub use login::{Server, log_in};
pub use revisions::Revisions;
pub use session::{Identity, Session};
