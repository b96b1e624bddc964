//! The comment and the summary, in Markdown. A stranger's text stands in fences only.

use std::fmt::Write as _;

use ipnet::IpNet;
use preview_agent::cli::status::view::render_within;
use preview_agent::cli::style::Style;
use preview_agent::status::Timestamp;

use super::fence::fenced;
use super::told::{Told, Turn};

/// Bytes of the agent's page and of one piece of evidence, in a comment and in a summary. GitHub takes 65,536
/// characters and 1 MiB.
const COMMENT: usize = 4_000;
const SUMMARY: usize = 60_000;

/// The pull request's comment.
#[must_use]
pub fn comment(told: &Told, now: Timestamp) -> String {
    page(told, now, COMMENT)
}

/// The run's summary.
#[must_use]
pub fn summary(told: &Told, now: Timestamp) -> String {
    page(told, now, SUMMARY)
}

fn page(told: &Told, now: Timestamp, most: usize) -> String {
    let mut page = format!("### {}\n\n", heading(told));
    for line in [address(told), commit(told, now)].into_iter().flatten() {
        page += &format!("{line}\n");
    }
    if let Some(reason) = &told.reason {
        page += &format!("\n{}", fenced(reason, most));
    }
    if let Some(document) = &told.document {
        let shown = if told.turn == Turn::Ready { most / 2 } else { most };
        page += &format!("\n{}", fenced(&render_within(document, now, Style::default(), shown), most));
    }
    for evidence in &told.evidence {
        page += &format!("\n<details><summary>{}</summary>\n\n", plain(&evidence.from));
        page += &format!("{}\n</details>\n", fenced(&evidence.text, most));
    }
    if !told.refused.is_empty() {
        page += "\nThis pull request's `preview.yaml` says more than is taken from it; these take effect after the merge:\n\n";
        for refused in told.refused.iter().take(20) {
            let field = refused.field.replace(['`', '\n'], "?");
            page += &format!("- `{field}` (line {})\n", refused.line);
        }
    }
    for note in &told.notes {
        page += &format!("\n> {}\n", plain(note));
    }
    if let Some(url) = &told.run_url {
        page += &format!("\n[What happened in detail]({url})\n");
    }
    page
}

fn heading(told: &Told) -> String {
    match &told.turn {
        Turn::Starting => "⏳ The preview is being launched".to_owned(),
        Turn::Going => "⏳ The preview is still starting".to_owned(),
        Turn::Ready => "✅ The preview is ready".to_owned(),
        Turn::Failed => "❌ There is no preview".to_owned(),
        Turn::Cancelled if told.instance.is_none() => "⏹️ The launch was cancelled".to_owned(),
        Turn::Cancelled => "⏹️ Nobody waits for the preview any more; it goes on".to_owned(),
        Turn::Replaced(by) => format!("↩️ The preview made room for #{by}"),
        Turn::Closed => "🗑️ The preview is gone".to_owned(),
        Turn::Left => "⚠️ The preview could not be removed".to_owned(),
    }
}

/// Where it is, and for whom.
fn address(told: &Told) -> Option<String> {
    let serves = matches!(told.turn, Turn::Going | Turn::Ready | Turn::Cancelled);
    let url = told.url.as_ref().filter(|_| serves)?;
    let who = match told.viewers.as_slice() {
        [] => "Only the instance itself may open it: `viewers` in `preview.yaml` says who else.".to_owned(),
        viewers if viewers.iter().any(|net| net.prefix_len() == 0) => "Anybody may open it.".to_owned(),
        viewers => {
            format!("May open it: {}.", viewers.iter().map(IpNet::to_string).collect::<Vec<_>>().join(", "))
        }
    };
    Some(format!("**{url}** · {who}\n"))
}

fn commit(told: &Told, now: Timestamp) -> Option<String> {
    if told.sha.is_empty() {
        return None;
    }
    let mut line = format!("Commit {}", told.sha);
    if let Some(instance) = &told.instance {
        write!(line, " on {instance}").unwrap_or_default();
    }
    write!(line, ", as of {now}.").unwrap_or_default();
    Some(line)
}

/// A short text of ours that may hold a name of theirs: nothing in it is markup.
fn plain(text: &str) -> String {
    let inert = |c: char| if c.is_control() { ' ' } else { c };
    let mut out = String::new();
    for c in text.chars().map(inert) {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '`' | '@' | '#' | '[' | ']' | '*' | '_' | '!' | '|' | '\\' => {
                write!(out, "&#{};", u32::from(c)).unwrap_or_default();
            }
            c => out.push(c),
        }
    }
    out
}
