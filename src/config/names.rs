//! Rules for names of all kinds. A message says what was expected and never
//! repeats the name: what is no valid name may be a secret in the wrong place.

/// Longest name of an SSM parameter: 1,011 characters less the shortest ARN in
/// front of it (`arn:aws:ssm:us-east-1:123456789012:parameter`).
const PARAMETER_LENGTH: usize = 1011 - 44;

/// Levels of an SSM parameter's path.
const PARAMETER_LEVELS: usize = 15;

/// The name of an SSM parameter that can be written.
///
/// # Errors
/// Which of Parameter Store's rules is broken.
pub fn parameter(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > PARAMETER_LENGTH {
        return Err("expected the name of an SSM parameter, up to 967 characters");
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-/".contains(&b)) {
        return Err("an SSM parameter's name has only letters, digits and . - _ / (no spaces)");
    }
    let path = name.strip_prefix('/').unwrap_or(name);
    if path.len() == name.len() && name.contains('/') {
        return Err("an SSM parameter's name with levels begins with a slash");
    }
    if path.split('/').any(str::is_empty) {
        return Err("an SSM parameter's name has no empty level and no slash at its end");
    }
    if path.split('/').count() > PARAMETER_LEVELS {
        return Err("an SSM parameter's name has at most 15 levels");
    }
    let first = path.to_ascii_lowercase();
    if first.starts_with("aws") || first.starts_with("ssm") {
        return Err("an SSM parameter's name does not begin with aws or ssm");
    }
    Ok(())
}

/// An SSM parameter that can be read: a name with or without `:version` or
/// `:label`, a public or reference parameter (`/aws/…`), or an ARN.
///
/// # Errors
/// What was expected instead.
pub fn parameter_source(name: &str) -> Result<(), &'static str> {
    if name.starts_with("arn:") || name.starts_with("/aws/") {
        return identifier(name, "expected the name or ARN of an SSM parameter");
    }
    let (name, selector) = name.split_once(':').unwrap_or((name, "1"));
    if selector.is_empty() || !selector.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)) {
        return Err("expected a version or label behind the colon of an SSM parameter");
    }
    parameter(name)
}

/// Name or ARN of a Secrets Manager secret.
///
/// # Errors
/// What was expected instead.
pub fn secret(id: &str) -> Result<(), &'static str> {
    identifier(id, "expected the name or ARN of a secret (letters, digits and / _ + = . @ - :)")
}

fn identifier(text: &str, expected: &'static str) -> Result<(), &'static str> {
    let fits = (1..=2048).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+=.@-:".contains(&b));
    if fits { Ok(()) } else { Err(expected) }
}

/// An environment variable.
///
/// # Errors
/// What was expected instead.
pub fn variable(name: &str) -> Result<(), &'static str> {
    let fits = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits { Ok(()) } else { Err("expected a variable's name: letters, digits and _, no digit first") }
}

/// A systemd credential: one path component.
///
/// # Errors
/// What was expected instead.
pub fn credential(name: &str) -> Result<(), &'static str> {
    let fits = (1..=255).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    if fits { Ok(()) } else { Err("expected the name of a systemd credential, without slashes") }
}

/// A GitHub repository, `owner/name`.
///
/// # Errors
/// What was expected instead.
pub fn repository(text: &str) -> Result<(), &'static str> {
    let word = |word: &str, more: &[u8]| {
        (1..=100).contains(&word.len())
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b) || more.contains(&b))
    };
    match text.split_once('/') {
        Some((owner, name)) if word(owner, b"") && word(name, b".") && name != "." && name != ".." => Ok(()),
        _ => Err("expected a GitHub repository as owner/name"),
    }
}

/// A commit, tag or branch, by git's rules for reference names.
///
/// # Errors
/// What was expected instead.
pub fn git_reference(text: &str) -> Result<(), &'static str> {
    let fits = (1..=255).contains(&text.len())
        && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"~^:?*[\\".contains(c))
        && !text.starts_with('-')
        && !text.ends_with('.')
        && !text.contains("..")
        && !text.contains("@{")
        && text.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"));
    if fits { Ok(()) } else { Err("expected a commit, tag or branch") }
}

/// A job's name; it becomes part of a container's name.
///
/// # Errors
/// What was expected instead.
pub fn job(name: &str) -> Result<(), &'static str> {
    let fits = (1..=40).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b));
    match name {
        "app" | "build" | "migrate" => Err("app, build and migrate are the agent's own names"),
        _ if fits => Ok(()),
        _ => Err(
            "expected a job's name: up to 40 lower-case letters, digits and _ . -, beginning with a letter or digit",
        ),
    }
}

/// A path inside the repository without `..`, brought to its normal form; `.` is the root.
///
/// # Errors
/// What was expected instead.
pub fn inside_repository(path: &str) -> Result<String, &'static str> {
    const EXPECTED: &str = "expected a relative path inside the repository, without `..`";
    if path.is_empty() || path.starts_with('/') || path.chars().any(|c| c.is_control() || c == '\\') {
        return Err(EXPECTED);
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    match parts.as_slice() {
        parts if parts.contains(&"..") => Err(EXPECTED),
        [] => Ok(".".to_owned()),
        parts => Ok(parts.join("/")),
    }
}

/// An absolute path without `..`.
///
/// # Errors
/// What was expected instead.
pub fn absolute_path(path: &str) -> Result<(), &'static str> {
    let fits = path.starts_with('/')
        && path.len() > 1
        && !path.chars().any(char::is_control)
        && !path.split('/').any(|part| part == "..");
    if fits { Ok(()) } else { Err("expected an absolute path, without `..`") }
}

/// The path of a health stage.
///
/// # Errors
/// What was expected instead.
pub fn url_path(path: &str) -> Result<(), &'static str> {
    let fits = path.starts_with('/')
        && path.len() <= 1024
        && path.bytes().all(|b| b.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(&b));
    if fits { Ok(()) } else { Err("expected a path that begins with a slash, percent-encoded, without `#`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_names_follow_the_stores_rules() {
        for name in
            ["/pr-preview/42/status", "status", "/a", "a.b-c_D9", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15"]
        {
            assert_eq!(parameter(name), Ok(()), "{name}");
        }
        for name in [
            "",
            "/",
            "a/b",
            "/a/",
            "/a//b",
            "/a b",
            "/ä",
            "/a:1",
            "/aws/x",
            "/AWSome/x",
            "ssm-x",
            "SSM",
            "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16",
        ] {
            assert!(parameter(name).is_err(), "{name}");
        }
        assert!(parameter(&format!("/{}", "a".repeat(966))).is_ok());
        assert!(parameter(&format!("/{}", "a".repeat(967))).is_err());
    }

    #[test]
    fn a_parameter_to_read_may_be_public_selected_or_an_arn() {
        for name in [
            "/pr-preview/token",
            "/pr-preview/token:3",
            "/pr-preview/token:stable",
            "/aws/reference/secretsmanager/db",
            "arn:aws:ssm:eu-west-1:123456789012:parameter/x",
        ] {
            assert_eq!(parameter_source(name), Ok(()), "{name}");
        }
        for name in ["", "/a:", "/a:b:c", "/a b", "arn:aws:ssm: x", "aws/x"] {
            assert!(parameter_source(name).is_err(), "{name}");
        }
    }

    #[test]
    fn variables_credentials_and_jobs_have_names_that_work_where_they_go() {
        assert!(variable("DATABASE_URL").is_ok() && variable("_x9").is_ok());
        assert!(["", "9A", "A-B", "A=B", "A B", "Ä"].iter().all(|name| variable(name).is_err()));
        assert!(credential("db.password").is_ok());
        assert!(["", ".", "..", "a/b", "a b"].iter().all(|name| credential(name).is_err()));
        assert!(job("init-sql").is_ok() && job("1_a.b").is_ok());
        assert!(["", "-a", "A", "a b", "migrate", "app"].iter().all(|name| job(name).is_err()));
        assert!(job(&"a".repeat(41)).is_err());
    }

    #[test]
    fn repositories_and_references_are_those_of_git() {
        assert!(repository("acme/api.v2").is_ok());
        assert!(
            ["", "acme", "/api", "acme/", "a/b/c", "acme/..", "a b/c", "https://github.com/a/b"]
                .iter()
                .all(|text| repository(text).is_err())
        );
        for text in ["main", "feature/x-1", "v1.2.3", "3f2a9c1e5d7b8a6f4c3e2d1b0a9f8e7d6c5b4a39"] {
            assert_eq!(git_reference(text), Ok(()), "{text}");
        }
        for text in [
            "", "-x", "a..b", "a b", "/a", "a/", "a//b", ".a", "a/.b", "a.lock", "a~1", "a^", "a:b", "a@{1}",
            "a.",
        ] {
            assert!(git_reference(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_stay_inside_the_repository() {
        for (path, normal) in
            [(".", "."), ("./", "."), ("api", "api"), ("./api//v1/", "api/v1"), ("a/./b", "a/b")]
        {
            assert_eq!(inside_repository(path).as_deref(), Ok(normal), "{path}");
        }
        for path in ["", "/", "/api", "..", "a/../..", "a\\b", "a\nb"] {
            assert!(inside_repository(path).is_err(), "{path}");
        }
        assert!(absolute_path("/job/init.sql").is_ok());
        assert!(["", "/", "job", "/a/../b", "/a\n"].iter().all(|path| absolute_path(path).is_err()));
        assert!(url_path("/health/db?x=1%20").is_ok() && url_path("/").is_ok());
        assert!(["", "docs", "/a b", "/a#b", "/ä"].iter().all(|path| url_path(path).is_err()));
    }
}
