//! A review as text and as Markdown.

use super::review::{Cell, Review, Row};
use crate::report::fenced;

/// The longest value that is shown, in bytes; the JSON has all of it.
const VALUE: usize = 120;
/// Bytes of a page's Markdown: GitHub takes 65,536 characters.
const PAGE: usize = 50_000;

impl Review {
    /// The review, line by line.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let page = &self.page;
        let mut lines = vec![format!("change set {} of {}", page.name, page.stack)];
        lines.extend(page.parameters.iter().map(|(key, value)| format!("  {key} = {}", short(value))));
        if page.changes.is_empty() {
            lines.push("no resource changes".to_owned());
        }
        for row in &page.changes {
            lines.push(head(row));
            lines.extend(row.properties.iter().map(property));
        }
        lines.push(count(&page.changes));
        lines.extend(self.refusals());
        lines.push(format!("reviewed: {}", self.fingerprint()));
        lines
    }

    /// What is refused, line by line.
    #[must_use]
    pub fn refusals(&self) -> Vec<String> {
        let line =
            |it: &super::Refusal| format!("refused: {} ({}) {}: --allow {}", it.id, it.kind, it.why, it.id);
        self.refused.iter().map(line).collect()
    }

    /// The review for a pull request.
    #[must_use]
    pub fn markdown(&self) -> String {
        let heading = match self.refused.len() {
            0 => "🔍 Changes to review".to_owned(),
            1 => "⛔ One change is refused".to_owned(),
            more => format!("⛔ {more} changes are refused"),
        };
        let mut text = self.lines().join("\n");
        if text.len() > PAGE {
            text.truncate(text.floor_char_boundary(PAGE));
            text += "\n(cut here; --json has all of it)";
        }
        let refused = self.refusals().join("\n");
        let first =
            if refused.is_empty() { String::new() } else { format!("{}\n", fenced(&refused, PAGE / 4)) };
        format!("### {heading}\n\n{first}{}", fenced(&text, PAGE + 100))
    }
}

fn head(row: &Row) -> String {
    format!("{} {}  {}  {}", row.sign, row.id, row.kind, row.what)
}

fn property(cell: &Cell) -> String {
    let name = match &cell.label {
        Some(label) => format!("{} ({label})", cell.path),
        None => cell.path.clone(),
    };
    let mut line = format!("    {name}");
    if cell.before.is_some() || cell.after.is_some() {
        let value = |value: &Option<String>| value.as_deref().map_or_else(|| "(none)".to_owned(), short);
        line += &format!(": {} → {}", value(&cell.before), value(&cell.after));
    }
    if !cell.causes.is_empty() {
        line += &format!("  because of {}", cell.causes.join(", "));
    }
    match cell.recreation {
        "always" => line += "  (takes a new resource)",
        "maybe" => line += "  (may take a new resource)",
        _ => {}
    }
    line
}

fn count(rows: &[Row]) -> String {
    let of = |sign: &str| rows.iter().filter(|row| row.sign == sign).count();
    format!("{} added, {} changed, {} replaced, {} removed", of("+"), of("~"), of("↻"), of("-"))
}

/// One line, and not a long one. Its end stays, since a tag and a digest are at the end of an image.
fn short(value: &str) -> String {
    let line = value.replace(['\n', '\r'], " ");
    if line.len() <= VALUE {
        return line;
    }
    let begin = &line[..line.floor_char_boundary(VALUE / 4)];
    let end = &line[line.ceil_char_boundary(line.len() - VALUE * 3 / 4)..];
    format!("{begin}…{end} ({} bytes)", value.len())
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn two_digests_of_one_long_name_look_different() {
        let host =
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com/a-team-of-many/an-application-of-many-words";
        let shown = ["a", "b"].map(|digit| short(&format!("{host}@sha256:{}", digit.repeat(64))));
        assert_ne!(shown[0], shown[1]);
        assert!(shown.iter().all(|line| line.len() < 150), "{shown:?}");
        assert_eq!(short("one\ntwo"), "one two");
        assert!(short(&"ä".repeat(200)).ends_with("ä (400 bytes)"));
    }
}
