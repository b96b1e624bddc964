//! A complete image reference.

use std::fmt;

use super::error::ImageNameError;
use super::grammar::{check_repository, is_tag, split_host, valid_digest};

/// Longest name (host and repository), tag and digest apart.
const NAME_LENGTH: usize = 255;

/// A complete image reference: every default is filled in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageReference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
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

#[cfg(test)]
mod tests {
    use super::super::grammar::is_registry_host;
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
