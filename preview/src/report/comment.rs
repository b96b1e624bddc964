//! The comment and the summary, in Markdown. Untrusted text appears in fences only.

use std::fmt::Write as _;

use ipnet::IpNet;
use preview_agent::cli::status::view::render_within;
use preview_agent::cli::style::Style;
use preview_agent::status::Timestamp;

use super::fence::fenced;
use super::model::{Report, Stage};

/// Most bytes of the agent's page and of one log, in a comment and in a summary. GitHub takes 65,536 characters
/// and 1 MiB.
const COMMENT: usize = 4_000;
const SUMMARY: usize = 60_000;

/// The pull request's comment.
#[must_use]
pub fn comment(report: &Report, now: Timestamp) -> String {
    page(report, now, COMMENT)
}

/// The run's summary.
#[must_use]
pub fn summary(report: &Report, now: Timestamp) -> String {
    page(report, now, SUMMARY)
}

fn page(report: &Report, now: Timestamp, most: usize) -> String {
    let mut page = format!("### {}\n\n", heading(report));
    for line in [address(report), commit(report, now)].into_iter().flatten() {
        page += &format!("{line}\n");
    }
    if let Some(reason) = &report.reason {
        page += &format!("\n{}", fenced(reason, most));
    }
    if let Some(document) = &report.document {
        let shown = if report.stage == Stage::Ready { most / 2 } else { most };
        page += &format!("\n{}", fenced(&render_within(document, now, Style::default(), shown), most));
    }
    for evidence in &report.evidence {
        page += &format!("\n<details><summary>{}</summary>\n\n", plain(&evidence.from));
        page += &format!("{}\n</details>\n", fenced(&evidence.text, most));
    }
    if !report.refused.is_empty() {
        page += "\nThese settings of this pull request's `preview.yaml` take effect after the merge:\n\n";
        for refused in report.refused.iter().take(20) {
            let field = refused.field.replace(['`', '\n'], "?");
            page += &format!("- `{field}` (line {})\n", refused.line);
        }
    }
    for note in &report.notes {
        page += &format!("\n> {}\n", plain(note));
    }
    if report.stage == Stage::Starting {
        // A run that is killed writes no other comment.
        page += "\nIf the run has ended and this has not changed, the run was killed. Re-run it.\n";
    }
    if let Some(url) = &report.run_url {
        page += &format!("\n[The run's log]({url})\n");
    }
    page
}

fn heading(report: &Report) -> String {
    match &report.stage {
        Stage::Starting => "⏳ The preview is being launched".to_owned(),
        Stage::Going => "⏳ The preview is still starting".to_owned(),
        Stage::Ready => "✅ The preview is ready".to_owned(),
        Stage::Failed => "❌ There is no preview".to_owned(),
        Stage::Cancelled if report.instance.is_none() => "⏹️ The launch was cancelled".to_owned(),
        Stage::Cancelled => "⏹️ The run was cancelled; the preview goes on".to_owned(),
        Stage::Replaced(by) => format!("↩️ The preview of #{by} replaced this one"),
        Stage::Closed => "🗑️ The preview is gone".to_owned(),
        Stage::Left => "⚠️ The preview could not be removed".to_owned(),
    }
}

/// The URL, and who may open it.
fn address(report: &Report) -> Option<String> {
    let serves = matches!(report.stage, Stage::Going | Stage::Ready | Stage::Cancelled);
    let url = report.url.as_ref().filter(|_| serves)?;
    let who = match report.viewers.as_slice() {
        _ if report.is_local => {
            "Nobody outside the instance can open it: `app.publish` names a loopback address.".to_owned()
        }
        [] => "Only the instance itself may open it. Name others as `viewers` in `preview.yaml`.".to_owned(),
        viewers if viewers.iter().any(|net| net.prefix_len() == 0) => "Everybody may open it.".to_owned(),
        viewers => {
            format!("Open to {}.", viewers.iter().map(IpNet::to_string).collect::<Vec<_>>().join(", "))
        }
    };
    Some(format!("**{url}** · {who}\n"))
}

fn commit(report: &Report, now: Timestamp) -> Option<String> {
    if report.sha.is_empty() {
        return None;
    }
    let mut line = format!("Commit {}", report.sha);
    if let Some(instance) = &report.instance {
        write!(line, " on {instance}").unwrap_or_default();
    }
    let time = if report.stage == Stage::Starting { "since" } else { "as of" };
    write!(line, ", {time} {now}.").unwrap_or_default();
    Some(line)
}

/// A short text of ours that may quote a name: nothing in it is markup.
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
