//! The names of everything that belongs to a preview: tags, parameters, rules. `preview` finds things again by
//! these names and never stores an id.

use std::fmt;
use std::str::FromStr;

/// The tag for the purpose of a resource; its value is [`Scope::purpose`].
pub const PURPOSE: &str = "Purpose";
/// The tag with the repository: two repositories in one account can each have a pull request 7.
pub const REPOSITORY: &str = "Repository";
/// The tag with the pull request's number.
pub const PULL_REQUEST: &str = "PullRequest";
/// The tag with the launched commit.
pub const COMMIT: &str = "Commit";

/// A repository: owner and name, compared without case as GitHub does.
#[derive(Debug, Clone, Eq)]
pub struct Repository {
    owner: String,
    name: String,
}

/// The text is not a repository's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a repository as in owner/name")]
pub struct NoRepository;

impl FromStr for Repository {
    type Err = NoRepository;

    fn from_str(text: &str) -> Result<Self, NoRepository> {
        let fits = |part: &str| {
            (1..=100).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
                && !part.starts_with('.')
        };
        match text.split_once('/') {
            Some((owner, name)) if fits(owner) && fits(name) => {
                Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
            }
            _ => Err(NoRepository),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

impl PartialEq for Repository {
    fn eq(&self, other: &Self) -> bool {
        self.owner.eq_ignore_ascii_case(&other.owner) && self.name.eq_ignore_ascii_case(&other.name)
    }
}

/// How many instances a repository has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// One for all pull requests: the newest push wins.
    #[default]
    Repository,
    /// One for each pull request.
    PullRequest,
}

impl Scope {
    /// The value of [`PURPOSE`]; the first is the handbook's.
    #[must_use]
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Repository => "pr-preview-singleton",
            Self::PullRequest => "pr-preview",
        }
    }

    /// All values of [`PURPOSE`], whatever a repository's settings say today.
    pub const PURPOSES: [&'static str; 2] = ["pr-preview-singleton", "pr-preview"];
}

/// One pull request's preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The pull request's repository.
    pub repository: Repository,
    /// The pull request's number.
    pub number: u64,
    /// The folder of all parameters, as in `/pr-preview`.
    pub path: String,
}

impl Preview {
    /// The tags of everything that belongs to this preview.
    #[must_use]
    pub fn tags(&self, purpose: &str) -> Vec<(String, String)> {
        let (repository, number) = (self.repository.to_string(), self.number.to_string());
        let tags = [(PURPOSE, purpose.to_owned()), (REPOSITORY, repository), (PULL_REQUEST, number)];
        tags.map(|(key, value)| (key.to_owned(), value)).to_vec()
    }

    /// The folder of this preview's parameters, as in `/pr-preview/42`.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("{}/{}", self.path, self.number)
    }

    /// The parameter to which the agent writes its status.
    #[must_use]
    pub fn status(&self) -> String {
        format!("{}/status", self.folder())
    }

    /// The parameter with this secret.
    #[must_use]
    pub fn secret(&self, name: &str) -> String {
        format!("{}/{name}", self.folder())
    }

    /// The description of the rules for the instance's own address, exactly as the handbook has it.
    #[must_use]
    pub fn description(&self) -> String {
        format!("pr-preview PR {}", self.number)
    }

    /// The description of the rule for the runner while it tests the URL.
    #[must_use]
    pub fn runner_description(&self) -> String {
        format!("pr-preview PR {} runner", self.number)
    }
}

/// The id of a pull request's deployment in the agent's configuration.
#[must_use]
pub fn deployment(number: u64) -> String {
    format!("pr-{number}")
}

/// The description of the viewers' rules: they belong to the repository, since all its previews share them.
pub const VIEWERS_DESCRIPTION: &str = "pr-preview viewers";

/// The parameter that keeps which images a stack ran.
#[must_use]
pub fn changes_record(stack: &str) -> String {
    format!("/preview/changes/{stack}")
}

/// The pull request's number in a tag: digits only, from 1.
#[must_use]
pub fn number(tag: &str) -> Option<u64> {
    let digits = !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_digit()) && !tag.starts_with('0');
    if digits { tag.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_an_owner_and_a_name() {
        for good in ["acme/api", "Acme-Co/api.v2", "a/_b"] {
            assert_eq!(good.parse::<Repository>().unwrap().to_string(), good);
        }
        for bad in ["", "acme", "acme/", "/api", "a/b/c", "a/..", "a b/c", "https://github.com/a"] {
            assert!(bad.parse::<Repository>().is_err(), "{bad}");
        }
        assert_eq!("Acme/API".parse::<Repository>(), "acme/api".parse());
    }

    #[test]
    fn only_digits_are_a_pull_requests_number() {
        assert_eq!(number("42"), Some(42));
        for bad in ["", "0", "007", "7x", "-1", " 7", "99999999999999999999"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
