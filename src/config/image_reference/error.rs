//! Why a text names no image.

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
    /// Too long.
    #[error("an image name has at most 255 characters")]
    Length,
    /// 64 hexadecimal digits alone.
    #[error("this is an image id; a name is expected")]
    ImageId,
}
