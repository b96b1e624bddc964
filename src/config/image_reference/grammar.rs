//! The parts of an image name, by the grammar of the distribution project's references.

use super::error::ImageNameError;

/// The host behind names without one.
const DOCKER_HUB: &str = "docker.io";

/// Longest tag.
const TAG_LENGTH: usize = 128;

/// Whether a text is a registry's `host` or `host:port`, as names and credentials use it.
#[must_use]
pub fn is_registry_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_label),
    };
    // A number's parser takes a sign.
    let is_port = |port: &str| !port.starts_with('+') && port.parse::<u16>().is_ok_and(|port| port > 0);
    is_host && port.is_none_or(is_port)
}

/// The first part is a host if it looks like one: a dot, a colon, or `localhost`.
pub(super) fn split_host(name: &str) -> Result<(String, String), ImageNameError> {
    let (host, repository) = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => (DOCKER_HUB, name),
    };
    if !is_registry_host(host) {
        return Err(ImageNameError::Host);
    }
    let host = if host == "index.docker.io" { DOCKER_HUB } else { host };
    let official = host == DOCKER_HUB && !repository.contains('/');
    Ok((host.to_owned(), if official { format!("library/{repository}") } else { repository.to_owned() }))
}

/// # Errors
/// Which rule of a repository's name is broken.
pub(super) fn check_repository(repository: &str) -> Result<(), ImageNameError> {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if let Some(other) = repository.chars().find(|c| !is_letter(*c) && !"._-/".contains(*c)) {
        return Err(ImageNameError::Character(other));
    }
    let is_component = |part: &str| {
        part.starts_with(is_letter)
            && part.ends_with(is_letter)
            // What stands between letters: one dot, one or two underscores, or dashes.
            && part
                .split(is_letter)
                .all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|b| b == b'-'))
    };
    if repository.split('/').all(is_component) { Ok(()) } else { Err(ImageNameError::Component) }
}

/// Whether a text is a tag.
pub(super) fn is_tag(tag: &str) -> bool {
    (1..=TAG_LENGTH).contains(&tag.len())
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// # Errors
/// The text is no digest.
pub(super) fn valid_digest(digest: &str) -> Result<String, ImageNameError> {
    let is_digest = digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    });
    if is_digest { Ok(digest.to_owned()) } else { Err(ImageNameError::Digest) }
}
