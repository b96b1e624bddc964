//! The environment: the handbook's variables, and the job's secrets.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

/// The environment of this command. `Debug` shows no value.
#[derive(Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, SecretString>,
    /// Numbers of the lines of [`MORE`] that are not `NAME=value`.
    malformed: Vec<usize>,
}

/// The variable with lines `NAME=value`, for secrets that a reusable workflow cannot name.
pub const MORE: &str = "PREVIEW_SECRETS";

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
        self.values.get(name).map(|value| value.expose_secret()).filter(|value| !value.trim().is_empty())
    }

    /// Numbers of the lines of [`MORE`] that are not `NAME=value`.
    #[must_use]
    pub fn malformed(&self) -> &[usize] {
        &self.malformed
    }

    /// The same as [`get`](Self::get), owned and trimmed.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| value.trim().to_owned())
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        let mut all: BTreeMap<String, SecretString> =
            variables.into_iter().map(|(name, value)| (name, value.into())).collect();
        let mut malformed = Vec::new();
        if let Some(more) = all.remove(MORE) {
            let lines = more.expose_secret().lines().enumerate();
            for (i, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
                let Some((name, value)) = line.split_once('=') else {
                    malformed.push(i + 1);
                    continue;
                };
                let own = all.entry(name.trim().to_owned()).or_insert_with(|| String::new().into());
                if own.expose_secret().is_empty() {
                    *own = value.trim().into();
                }
            }
        }
        Self { values: all, malformed }
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
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
        assert_eq!(variables.malformed(), [4]);
        assert!(!format!("{variables:?}").contains("x=y"));
    }
}
