//! Literals with placeholders for facts of the instance.

/// A literal that may contain `${instance.id}`, `${instance.region}` or
/// `${instance.tag.NAME}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub Vec<TextPart>);

/// One piece of a [`Text`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextPart {
    /// Characters taken as they are.
    Plain(String),
    /// `${instance.id}`
    InstanceId,
    /// `${instance.region}`
    InstanceRegion,
    /// `${instance.tag.NAME}`
    InstanceTag(String),
}

/// A `${…}` that means nothing here. Its content is not kept: it may be half a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a `${{` that begins none of ${{instance.id}}, ${{instance.region}} and ${{instance.tag.NAME}}; \
     write a literal one as `$${{`"
)]
pub struct UnknownPlaceholder;

impl Text {
    /// Reads the placeholders; `$${` stands for a literal `${`.
    ///
    /// # Errors
    /// Where a `${` is followed by something else.
    pub fn parse(raw: &str) -> Result<Self, UnknownPlaceholder> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = raw;
        while let Some(start) = rest.find("${") {
            let (before, tail) = (&rest[..start], &rest[start + 2..]);
            if let Some(before) = before.strip_suffix('$') {
                plain.push_str(before);
                plain.push_str("${");
                rest = tail;
                continue;
            }
            plain.push_str(before);
            let (name, tail) = tail.split_once('}').ok_or(UnknownPlaceholder)?;
            if !plain.is_empty() {
                parts.push(TextPart::Plain(std::mem::take(&mut plain)));
            }
            parts.push(placeholder(name)?);
            rest = tail;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(TextPart::Plain(plain));
        }
        Ok(Self(parts))
    }

    /// The text itself, if it has no placeholder.
    #[must_use]
    pub fn as_plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [TextPart::Plain(text)] => Some(text),
            _ => None,
        }
    }
}

fn placeholder(name: &str) -> Result<TextPart, UnknownPlaceholder> {
    match name {
        "instance.id" => Ok(TextPart::InstanceId),
        "instance.region" => Ok(TextPart::InstanceRegion),
        // The characters that a tag served by the metadata service can have.
        _ => match name.strip_prefix("instance.tag.") {
            Some(tag)
                if !tag.is_empty()
                    && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-=.,_:@".contains(&b)) =>
            {
                Ok(TextPart::InstanceTag(tag.to_owned()))
            }
            _ => Err(UnknownPlaceholder),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn placeholders_stand_between_plain_parts() {
        assert_eq!(
            Text::parse("a-${instance.id}${instance.region}-${instance.tag.Pr:1}").unwrap().0,
            [
                TextPart::Plain("a-".into()),
                TextPart::InstanceId,
                TextPart::InstanceRegion,
                TextPart::Plain("-".into()),
                TextPart::InstanceTag("Pr:1".into()),
            ]
        );
    }

    #[test]
    fn a_doubled_dollar_keeps_the_brace_literal() {
        assert_eq!(Text::parse("pa$${word}").unwrap().as_plain(), Some("pa${word}"));
        assert_eq!(Text::parse("$$ and $x are plain$").unwrap().as_plain(), Some("$$ and $x are plain$"));
    }

    #[test]
    fn nothing_is_an_empty_plain_text() {
        assert_eq!(Text::parse("").unwrap().as_plain(), Some(""));
    }

    #[test]
    fn another_placeholder_is_refused() {
        for raw in
            ["${HOME}", "${instance.id", "${}", "${instance.tag.}", "${instance.tag.a b}", "${instance.ip}"]
        {
            assert_eq!(Text::parse(raw), Err(UnknownPlaceholder), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn escaping_keeps_any_text(raw in ".{0,40}") {
            let escaped = raw.replace("${", "$${");
            let text = Text::parse(&escaped);
            // `$` in front of `${` reads as the escape of another one.
            prop_assume!(!raw.contains("$${"));
            let text = text.unwrap();
            prop_assert_eq!(text.as_plain(), Some(raw.as_str()));
        }
    }
}
