//! What the messages of registries and of the engine about a failed pull mean. Engines and BuildKit
//! answer with different statuses, so the message decides.

use super::super::error_text::shorten;
use super::error::PullError;

/// An error and the texts that a message about it has.
type Row = (fn(String) -> PullError, &'static [&'static str]);

/// Texts of Docker 20.10 to 29 and of GHCR, ECR and distribution, lower case.
/// The first row that matches holds.
const MESSAGES: &[Row] = &[
    (PullError::DiskFull, &["no space left on device"]),
    (PullError::Throttled, &["toomanyrequests", "too many requests", "rate exceeded"]),
    // GHCR says this in an incident of its own; a wrong token is "denied".
    (PullError::Unreachable, &["user cannot be authenticated with the token provided"]),
    (
        PullError::Architecture,
        &["no matching manifest for", "does not match the specified platform", "no match for platform"],
    ),
    (PullError::BadName, &["invalid reference format", "invalid repository name", "repository name must be"]),
    (PullError::NotFound, &["manifest unknown", "name unknown", "manifest for", "not found: manifest"]),
    (
        PullError::Denied,
        &[
            "denied",
            "unauthorized",
            "no basic auth credentials",
            "authentication required",
            "authorization failed",
            "403 forbidden",
            "authorization token has expired",
        ],
    ),
    // A lookup that found no such host is no missing image.
    (PullError::Unreachable, &["no such host", "host not found", "server misbehaving"]),
    (PullError::NotFound, &["not found"]),
    (
        PullError::Unreachable,
        &[
            "connection refused",
            "connection reset",
            "broken pipe",
            "i/o timeout",
            "timeout exceeded",
            "deadline exceeded",
            "tls handshake",
            "network is unreachable",
            "no route to host",
            "unexpected http status: 5",
            "unexpected status",
            "502 bad gateway",
            "503 service unavailable",
            "504 gateway",
            "500 internal server error",
            "x509",
            "eof",
            // As in `stopped after 10 redirects`.
            "redirects",
        ],
    ),
];

impl PullError {
    /// What a message about a failed pull of `image` means.
    #[must_use]
    pub fn from_message(message: &str, image: &str) -> Self {
        let lower = without_image_name(&message.to_lowercase(), &image.to_lowercase());
        let message = shorten(without_request(message));
        let row = MESSAGES.iter().find(|(_, texts)| texts.iter().any(|text| lower.contains(text)));
        match row {
            Some((error, _)) => error(message),
            None => Self::Failed(message),
        }
    }
}

/// The message without the request that failed, as in `Get "http://127.0.0.1:5000/v2/": EOF`:
/// the user knows which image it was, and the reason would be cut off behind it.
fn without_request(message: &str) -> &str {
    let request = message.strip_prefix("Get \"").or_else(|| message.strip_prefix("Head \""));
    request.and_then(|rest| rest.split_once("\": ")).map_or(message, |(_, reason)| reason)
}

/// The message without the image's own name, which may be `acme/access-denied`.
fn without_image_name(message: &str, image: &str) -> String {
    let image = image.split('@').next().unwrap_or_default();
    let slash = image.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match image[slash..].find(':') {
        Some(colon) => (&image[..slash + colon], &image[slash + colon + 1..]),
        None => (image, ""),
    };
    let repository = name.split_once('/').map_or(name, |(_, repository)| repository);
    let mut message = message.to_owned();
    for part in [name, repository].into_iter().filter(|part| !part.is_empty()) {
        message = message.replace(part, "");
    }
    if !tag.is_empty() {
        // As in `name:tag` and `/manifests/tag`.
        message = message.replace(&format!(":{tag}"), "").replace(&format!("/{tag}"), "");
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_own_name_means_nothing() {
        let image = "ghcr.io/acme/access-denied:unauthorized";
        for (words, is) in [
            (
                "Get \"https://ghcr.io/v2/acme/access-denied/manifests/unauthorized\": EOF",
                PullError::Unreachable as fn(String) -> PullError,
            ),
            ("manifest for ghcr.io/acme/access-denied:unauthorized not found", PullError::NotFound),
            ("failed to register layer of acme/access-denied", PullError::Failed),
        ] {
            let wanted = std::mem::discriminant(&is(String::new()));
            assert_eq!(std::mem::discriminant(&PullError::from_message(words, image)), wanted, "{words}");
        }
    }

    #[test]
    fn digits_of_a_port_or_digest_are_no_status() {
        let words =
            "Get \"http://127.0.0.1:40423/v2/\": dial tcp 127.0.0.1:40423: connect: connection refused";
        let error = PullError::from_message(words, "127.0.0.1:40423/a/b:c");
        assert!(matches!(error, PullError::Unreachable(_)), "{error:?}");
    }

    #[test]
    fn what_a_registry_says_without_end_is_cut() {
        let PullError::Denied(words) = PullError::from_message(&"denied ".repeat(1 << 20), "a/b") else {
            panic!()
        };
        assert!((1900..2100).contains(&words.len()) && words.ends_with("denied…"), "{}", words.len());
    }
}
