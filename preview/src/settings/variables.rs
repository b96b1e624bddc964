//! The environment: the handbook's variables, and the job's secrets.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

/// The environment of this command. `Debug` shows no value.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, SecretString>);

/// The variable with lines `NAME=value`, for secrets that a reusable workflow cannot name.
const MORE: &str = "PREVIEW_SECRETS";

impl Variables {
    /// The process's variables, and those in [`MORE`].
    #[must_use]
    pub fn from_env() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// A value that is not empty: GitHub passes a missing variable as an empty one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.expose_secret()).filter(|value| !value.trim().is_empty())
    }

    /// The same, owned and trimmed.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| value.trim().to_owned())
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        let mut all: BTreeMap<String, SecretString> =
            variables.into_iter().map(|(name, value)| (name, value.into())).collect();
        if let Some(more) = all.remove(MORE) {
            for (name, value) in more.expose_secret().lines().filter_map(|line| line.split_once('=')) {
                let own = all.entry(name.trim().to_owned()).or_insert_with(|| String::new().into());
                if own.expose_secret().is_empty() {
                    *own = value.trim().into();
                }
            }
        }
        Self(all)
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_an_absent_one_and_lines_have_names_of_their_own() {
        let variables: Variables =
            [("SG_ID", ""), ("AMI_ID", " ami-1 "), (MORE, "A=1\nB = x=y \nAMI_ID=ami-2\nno line\n")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter()
                .collect();
        assert_eq!((variables.get("SG_ID"), variables.text("AMI_ID").as_deref()), (None, Some("ami-1")));
        assert_eq!((variables.get("A"), variables.get("B")), (Some("1"), Some("x=y")));
        assert!(!format!("{variables:?}").contains("x=y"));
    }
}
