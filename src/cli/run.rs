//! `agent run`: deploy, then stay and watch.

use std::path::PathBuf;

use clap::Args;

/// Deploy what the configuration describes, then stay and watch over it
#[derive(Debug, Args)]
pub struct Run {
    /// Exit when the run has ended; the app stays up, unwatched
    #[arg(long)]
    pub once: bool,
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = super::CONFIG_FILE)]
    pub config: PathBuf,
    /// Run the migration even if the record says it is done or its tries are used up
    #[arg(long)]
    pub migrate: bool,
}
