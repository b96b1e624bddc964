//! Rules in the security groups of the instance and of the database.

use std::net::IpAddr;

use ipnet::IpNet;

use super::failure::Failure;
use super::job::Job;
use crate::aws::{Opening, Rule};
use crate::names::{PULL_REQUEST, PURPOSE, Preview, REPOSITORY, Scope, VIEWERS_DESCRIPTION};
use crate::settings::Settings;

/// PostgreSQL's port.
pub(super) const DATABASE: u16 = 5432;

impl Job {
    /// Opens the preview's port to the instance itself and to the viewers, and the database to the instance.
    ///
    /// # Errors
    /// The first rule that could not be made.
    pub(super) async fn open(
        &self,
        settings: &Settings,
        preview: &Preview,
        port: u16,
        address: IpAddr,
    ) -> Result<(), Failure> {
        let purpose = settings.scope.purpose();
        let group = &settings.instance.security_group;
        let own = |group: &str, port| Opening {
            group: group.to_owned(),
            port,
            from: address.into(),
            description: preview.description(),
            tags: preview.tags(purpose),
        };
        // A run that was cancelled while it tested the URL left it.
        self.close(|rule| rule.description == preview.runner_description(), preview, None).await?;
        self.aws.open(&own(group, port)).await?;
        if let Some(database) = &settings.instance.db_security_group {
            self.aws.open(&own(database, DATABASE)).await?;
        }
        // All previews of the repository share these: a group has one rule for a port and a network.
        let mut tags = preview.tags(purpose);
        tags.retain(|(key, _)| key != PULL_REQUEST);
        let mut viewers: Vec<IpNet> = settings.viewers.clone();
        viewers.sort_unstable();
        viewers.dedup();
        // Those of networks that are no longer on the list.
        self.close_to_viewers(Some((group, port, &viewers))).await?;
        for from in viewers.into_iter().filter(|from| *from != IpNet::from(address)) {
            let description = VIEWERS_DESCRIPTION.to_owned();
            self.aws
                .open(&Opening { group: group.clone(), port, from, description, tags: tags.clone() })
                .await?;
        }
        Ok(())
    }

    /// Opens the preview's port to this runner while it tests the URL; returns the rule if it is ours.
    ///
    /// # Errors
    /// The rule could not be made.
    pub(super) async fn open_to_runner(
        &self,
        settings: &Settings,
        preview: &Preview,
        port: u16,
        runner: IpAddr,
    ) -> Result<Option<Rule>, Failure> {
        let opening = Opening {
            group: settings.instance.security_group.clone(),
            port,
            from: runner.into(),
            description: preview.runner_description(),
            tags: preview.tags(settings.scope.purpose()),
        };
        if let Some(rule) = self.aws.open(&opening).await? {
            return Ok(Some(rule));
        }
        // It was there already, perhaps since a request of this very run whose answer was lost.
        let all = self.aws.tagged_rules(PULL_REQUEST, &[&preview.number.to_string()]).await?;
        let is_it = |rule: &Rule| {
            rule.description == opening.description
                && rule.from == Some(opening.from)
                && self.is_of_repository(rule)
        };
        Ok(all.into_iter().find(is_it))
    }

    /// Removes this runner's rule.
    pub(super) async fn close_to_runner(&self, rule: &Rule) {
        if let Err(error) = self.aws.close(rule).await {
            self.output.warn(&format!("the runner's rule could not be removed: {error}"));
        }
    }

    /// Removes all rules of a preview, also the runner's, and in the settings' groups those that somebody made by hand
    /// as the handbook says.
    ///
    /// # Errors
    /// The first rule that could not be removed.
    pub(super) async fn close_all(
        &self,
        settings: Option<&Settings>,
        preview: &Preview,
    ) -> Result<usize, Failure> {
        // Compares whole descriptions: that of number 1 is the beginning of that of number 12.
        let ours = |rule: &Rule| {
            rule.description == preview.description() || rule.description == preview.runner_description()
        };
        self.close(ours, preview, settings).await
    }

    async fn close(
        &self,
        which: impl Fn(&Rule) -> bool,
        preview: &Preview,
        settings: Option<&Settings>,
    ) -> Result<usize, Failure> {
        let mut found = self.aws.tagged_rules(PULL_REQUEST, &[&preview.number.to_string()]).await?;
        found.retain(|rule| self.is_of_repository(rule));
        for group in settings.into_iter().flat_map(groups) {
            let by_hand = self.aws.rules(group).await?.into_iter().filter(|rule| rule.tags.is_empty());
            found.extend(by_hand);
        }
        let mut closed = 0;
        for rule in found.iter().filter(|rule| which(rule)) {
            self.aws.close(rule).await?;
            closed += 1;
        }
        Ok(closed)
    }

    /// Removes the viewers' rules, except for these networks in this group and for this port.
    ///
    /// # Errors
    /// The first rule that could not be removed.
    pub(super) async fn close_to_viewers(&self, stay: Option<(&str, u16, &[IpNet])>) -> Result<(), Failure> {
        for rule in self.aws.tagged_rules(PURPOSE, &Scope::PURPOSES).await? {
            let stays = stay.is_some_and(|(group, port, networks)| {
                let is_listed = rule.from.is_some_and(|from| networks.contains(&from));
                is_listed && rule.group == group && rule.port == i32::from(port)
            });
            if rule.description == VIEWERS_DESCRIPTION && self.is_of_repository(&rule) && !stays {
                self.aws.close(&rule).await?;
            }
        }
        Ok(())
    }

    /// Whether its tags name this repository.
    pub(super) fn is_of_repository(&self, rule: &Rule) -> bool {
        rule.tags.get(REPOSITORY).and_then(|tag| tag.parse().ok()).as_ref() == Some(&self.repository)
    }
}

/// The groups in which previews have rules.
pub(super) fn groups(settings: &Settings) -> impl Iterator<Item = &str> {
    let instance = &settings.instance;
    let database = instance.db_security_group.as_deref();
    let database = database.filter(|group| *group != instance.security_group);
    [instance.security_group.as_str()].into_iter().chain(database)
}
