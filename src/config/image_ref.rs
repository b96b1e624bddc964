//! Image names, by the grammar of the distribution project's references.

use std::fmt;

/// The host behind names without one.
const DOCKER_HUB: &str = "docker.io";

/// Longest name (host and repository), tag and digest apart.
const NAME_LENGTH: usize = 255;

/// Longest tag.
const TAG_LENGTH: usize = 128;

/// A complete image reference: every default is filled in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageReference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Why a text names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageNameError {
    /// Nothing there.
    #[error("expected an image name such as ghcr.io/acme/api:1.2, found nothing")]
    Empty,
    /// A space or line break anywhere.
    #[error("an image name has no spaces or line breaks")]
    Space,
    /// A scheme such as `https://` in front.
    #[error("an image name has no `https://` or other scheme in front")]
    Scheme,
    /// The part before the first slash is no host.
    #[error("the part before the first slash is not a registry's host or host:port")]
    Host,
    /// A character that a repository may not have.
    #[error("an image name has no `{}`; it has lower-case letters, digits and . _ - /", .0.escape_debug())]
    Character(char),
    /// Two slashes in a row, or separators at the edge of a part.
    #[error(
        "each part between slashes begins and ends with a letter or digit, with single separators inside"
    )]
    Component,
    /// The tag breaks its rules.
    #[error("a tag has up to 128 letters, digits and _ . -, and begins with a letter, a digit or _")]
    Tag,
    /// The digest breaks its rules.
    #[error("a digest reads sha256: and 64 lower-case hexadecimal digits")]
    Digest,
    /// Too long, or 64 hexadecimal digits alone, which is an image id.
    #[error("an image name has at most 255 characters")]
    Length,
    /// 64 hexadecimal digits alone.
    #[error("this is an image id; a name is expected")]
    ImageId,
}

/// The account and region in an ECR host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcrHost {
    /// The twelve-digit account that owns the registry.
    pub account: String,
    /// Its region.
    pub region: String,
}

impl ImageReference {
    /// Reads `[host[:port]/]repository[:tag][@digest]`. The name is folded to
    /// lower case, the tag is not; a name without a host is Docker Hub's, a name
    /// without tag and digest has the tag `latest`.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, ImageNameError> {
        if text.is_empty() {
            return Err(ImageNameError::Empty);
        }
        if text.contains(char::is_whitespace) {
            return Err(ImageNameError::Space);
        }
        if text.contains("://") {
            return Err(ImageNameError::Scheme);
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(valid_digest(digest)?)),
            None => (text, None),
        };
        let path_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[path_start..].rfind(':') {
            Some(colon) => (&rest[..path_start + colon], Some(&rest[path_start + colon + 1..])),
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(ImageNameError::Tag);
        }
        let (registry, repository) = split_host(&name.to_ascii_lowercase())?;
        check_repository(&repository)?;
        if registry.len() + 1 + repository.len() > NAME_LENGTH {
            return Err(ImageNameError::Length);
        }
        if name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ImageNameError::ImageId);
        }
        let default_tag = digest.is_none().then_some("latest");
        Ok(Self { registry, repository, tag: tag.or(default_tag).map(str::to_owned), digest })
    }

    /// The registry's host, with its port if it has one; `docker.io` for Docker Hub.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository inside the registry, such as `library/postgres`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Host and repository: what the Docker API takes as `fromImage`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The tag; `None` only beside a digest.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// `sha256:…`, if the reference is pinned.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The same image pinned to a digest.
    ///
    /// # Errors
    /// Where the digest is none.
    pub fn with_digest(&self, digest: &str) -> Result<Self, ImageNameError> {
        Ok(Self { digest: Some(valid_digest(digest)?), ..self.clone() })
    }

    /// Account and region, if the registry is a private ECR registry.
    #[must_use]
    pub fn ecr(&self) -> Option<EcrHost> {
        let host = self.registry.strip_suffix(".cn").unwrap_or(&self.registry);
        let (account, rest) = host.strip_suffix(".amazonaws.com")?.split_once(".dkr.ecr.")?;
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let is_region = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (is_account && is_region).then(|| EcrHost { account: account.to_owned(), region: rest.to_owned() })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

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
fn split_host(name: &str) -> Result<(String, String), ImageNameError> {
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

fn check_repository(repository: &str) -> Result<(), ImageNameError> {
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

fn is_tag(tag: &str) -> bool {
    (1..=TAG_LENGTH).contains(&tag.len())
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

fn valid_digest(digest: &str) -> Result<String, ImageNameError> {
    let is_digest = digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    });
    if is_digest { Ok(digest.to_owned()) } else { Err(ImageNameError::Digest) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn every_default_is_filled_in() {
        for (text, full) in [
            ("postgres", "docker.io/library/postgres:latest"),
            ("postgres:16", "docker.io/library/postgres:16"),
            ("acme/api", "docker.io/acme/api:latest"),
            ("index.docker.io/postgres", "docker.io/library/postgres:latest"),
            ("localhost/api", "localhost/api:latest"),
            ("localhost:5000/api:1", "localhost:5000/api:1"),
            ("[::1]:5000/api", "[::1]:5000/api:latest"),
            ("ghcr.io/acme/api:3f2a9c1", "ghcr.io/acme/api:3f2a9c1"),
            ("host:5000", "docker.io/library/host:5000"),
            ("a__b/c--d.e_f", "docker.io/a__b/c--d.e_f:latest"),
        ] {
            assert_eq!(ImageReference::parse(text).unwrap().to_string(), full, "{text}");
        }
    }

    #[test]
    fn the_name_is_folded_and_the_tag_is_not() {
        let image = ImageReference::parse("GHCR.io/Acme/API:Pr-7").unwrap();
        assert_eq!((image.name().as_str(), image.tag()), ("ghcr.io/acme/api", Some("Pr-7")));
    }

    #[test]
    fn a_digest_pins_the_image_with_or_without_a_tag() {
        let digest = format!("sha256:{HEX}");
        let image = ImageReference::parse(&format!("ghcr.io/acme/api@{digest}")).unwrap();
        assert_eq!((image.tag(), image.digest()), (None, Some(digest.as_str())));
        let image = ImageReference::parse("postgres:16").unwrap().with_digest(&digest).unwrap();
        assert_eq!(image.to_string(), format!("docker.io/library/postgres:16@{digest}"));
        assert_eq!(image.with_digest("sha256:short"), Err(ImageNameError::Digest));
    }

    #[test]
    fn each_broken_rule_is_named() {
        for (text, error) in [
            ("", ImageNameError::Empty),
            ("acme/api v2", ImageNameError::Space),
            ("acme/api\n", ImageNameError::Space),
            ("https://ghcr.io/acme/api", ImageNameError::Scheme),
            ("-x.io/acme/api", ImageNameError::Host),
            ("ghcr.io:0/acme/api", ImageNameError::Host),
            ("ghcr.io:+1/acme/api", ImageNameError::Host),
            ("gh_cr.io/acme/api", ImageNameError::Host),
            ("acme/ap$i", ImageNameError::Character('$')),
            ("acme/\u{e4}pi", ImageNameError::Character('\u{e4}')),
            // The Kelvin sign, which Unicode folds to a plain k.
            ("acme/\u{212a}", ImageNameError::Character('\u{212a}')),
            ("acme//api", ImageNameError::Component),
            ("acme/", ImageNameError::Component),
            ("/api", ImageNameError::Component),
            ("acme/api-", ImageNameError::Component),
            ("acme/a..b", ImageNameError::Component),
            ("acme/a___b", ImageNameError::Component),
            ("acme/api:", ImageNameError::Tag),
            ("acme/api:.x", ImageNameError::Tag),
            ("acme/api:a+b", ImageNameError::Tag),
            ("acme/api@sha256:abc", ImageNameError::Digest),
            ("acme/api@", ImageNameError::Digest),
            (HEX, ImageNameError::ImageId),
        ] {
            assert_eq!(ImageReference::parse(text), Err(error), "{text}");
        }
        assert_eq!(ImageReference::parse(&format!("acme/{}", "a".repeat(250))), Err(ImageNameError::Length));
        assert_eq!(ImageReference::parse(&format!("api:{}", "a".repeat(129))), Err(ImageNameError::Tag));
    }

    #[test]
    fn an_ecr_host_tells_account_and_region() {
        let ecr = |text: &str| ImageReference::parse(text).unwrap().ecr();
        let host =
            |region: &str| Some(EcrHost { account: "123456789012".to_owned(), region: region.to_owned() });
        assert_eq!(ecr("123456789012.dkr.ecr.eu-west-1.amazonaws.com/api"), host("eu-west-1"));
        assert_eq!(ecr("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/api"), host("cn-north-1"));
        for text in [
            "ghcr.io/acme/api",
            "12345.dkr.ecr.eu-west-1.amazonaws.com/api",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example/api",
            "123456789012.dkr.ecr.evil.example.amazonaws.com/api",
        ] {
            assert_eq!(ecr(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}") {
            ImageReference::parse(&text).ok();
            std::hint::black_box(is_registry_host(&text));
        }

        #[test]
        fn what_is_shown_is_read_back_the_same(
            host in "([a-z]{1,5}\\.[a-z]{2}(:[1-9][0-9]{0,3})?/)?",
            name in "[A-Za-z0-9]{1,5}([._/]|__|-{1,3})[a-z0-9]{1,5}",
            tag in "(:[A-Za-z0-9_][A-Za-z0-9._-]{0,20})?",
            pinned: bool,
        ) {
            let digest = if pinned { format!("@sha256:{HEX}") } else { String::new() };
            let image = ImageReference::parse(&format!("{host}{name}{tag}{digest}"));
            // A first part with a dot is a host, which is stricter about its letters.
            prop_assume!(image != Err(ImageNameError::Host));
            let image = image.unwrap();
            prop_assert_eq!(ImageReference::parse(&image.to_string()), Ok(image));
        }
    }
}
