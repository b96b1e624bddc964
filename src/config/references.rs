//! The places in a configuration that name values living elsewhere.

use super::model::{Config, Connection, Job, ValueRef, ValueSource};
use super::placeholders::Text;

impl Config {
    /// Every value reference.
    #[must_use]
    pub fn values(&self) -> Vec<&ValueRef> {
        let mut values: Vec<&ValueRef> = self.app.env.values().collect();
        for login in self.registries.values() {
            values.extend([&login.username, &login.password]);
        }
        values.extend(self.source.iter().filter_map(|source| source.token.as_ref()));
        match self.database.as_ref().map(|database| &database.connection) {
            Some(Connection::Url(url)) => values.push(url),
            Some(Connection::Parts { host, name, user, password, .. }) => {
                values.extend([host, name, user, password]);
            }
            None => {}
        }
        values
    }

    /// Every text that may speak of the instance.
    #[must_use]
    pub fn texts(&self) -> Vec<&Text> {
        let mut texts = vec![&self.image];
        texts.extend(self.deployment_id.iter().chain(&self.report_parameter));
        texts.extend(self.jobs.iter().chain(&self.migrate).filter_map(|job: &Job| job.image.as_ref()));
        if let Some(source) = &self.source {
            texts.extend([&source.repository, &source.reference]);
            texts.extend(source.build_args.values());
        }
        texts.extend(self.values().into_iter().filter_map(|value| match &value.from {
            ValueSource::Literal(text) => Some(text),
            _ => None,
        }));
        texts
    }
}
