//! The commands that read: `agent status`, `agent logs`, and the help.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test with a place")]

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{CommandFactory as _, Parser as _};
use preview_agent::cli::logs::tail;
use preview_agent::cli::status::{StatusError, follow, json, read, show};
use preview_agent::cli::style::Style;
use preview_agent::cli::{Cli, exit};
use preview_agent::redact::Redactor;
use preview_agent::status::systemd::Systemd;
use preview_agent::status::*;
use tempfile::TempDir;
use time::OffsetDateTime;

/// A run folder with a status file that a reporter wrote.
fn reported() -> (TempDir, PathBuf, Reporter) {
    let dir = tempfile::tempdir().unwrap();
    let clock = OffsetDateTime::now_utc;
    let run = Run::begun(RunId::random(1), 1, clock().into(), None);
    let reporter = Reporter::start(dir.path(), Redactor::default(), run, Systemd::default(), clock);
    let path = dir.path().join("status.json");
    (dir, path, reporter)
}

#[test]
fn json_is_the_file_s_bytes_and_a_newline() {
    let (_dir, path, reporter) = reported();
    reporter.update(|report| report.end_run(Outcome::Failed));
    let mut out = Vec::new();
    assert_eq!(json(&path, &mut out).unwrap(), exit::FAILED);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.push(b'\n');
    assert_eq!(out, bytes);
}

#[test]
fn the_view_begins_with_the_verdict() {
    let (_dir, path, _reporter) = reported();
    let mut out = Vec::new();
    assert_eq!(show(&path, None, Style::default(), &mut out).unwrap(), exit::IN_PROGRESS);
    assert!(out.starts_with(b"in progress: starting\n"));
}

#[test]
fn following_writes_each_verdict_once_and_ends_with_the_run() {
    /// Takes lines; each one makes the run go on.
    struct Reader {
        reporter: Reporter,
        seen: String,
    }
    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.seen += std::str::from_utf8(bytes).unwrap();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            match self.seen.lines().count() {
                1 => self.reporter.begin(PhaseName::Migrate),
                _ => self.reporter.update(|report| {
                    report.end_run(Outcome::Ready);
                    report.service(ServiceState::Up, None);
                }),
            }
            Ok(())
        }
    }
    let (_dir, path, reporter) = reported();
    let mut reader = Reader { reporter, seen: String::new() };
    assert_eq!(follow(&path, &mut reader).unwrap(), exit::OK);
    let lines: Vec<&str> = reader.seen.lines().collect();
    assert_eq!(lines[..2], ["in progress: starting", "in progress: migrating the database"]);
    assert!(lines[2].starts_with("ready: ") && lines.len() == 3, "{lines:?}");
}

fn refusal(content: &str) -> (u8, StatusError) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("status.json");
    std::fs::write(&path, content).unwrap();
    let code = show(&path, None, Style::default(), &mut Vec::new()).unwrap();
    (code, read(&path).unwrap_err())
}

#[test]
fn without_a_status_there_is_one_clear_line() {
    let path = Path::new("/nonexistent/status.json");
    assert_eq!(show(path, None, Style::default(), &mut Vec::new()).unwrap(), exit::NO_AGENT);
    assert_eq!(json(path, &mut Vec::new()).unwrap(), exit::NO_AGENT);
    assert_eq!(follow(path, &mut Vec::new()).unwrap(), exit::NO_AGENT);
    let line = read(path).unwrap_err().to_string();
    assert!(line.starts_with("no status: /nonexistent/status.json does not exist"), "{line}");
}

#[test]
fn garbage_in_the_file_is_told_and_not_shown() {
    for content in ["", "not json \u{1b}[31m", "{\"schema\": 1}", "[]", "{\"schema\": 1, \"run\": 5}"] {
        let (code, error) = refusal(content);
        assert_eq!(code, exit::NO_AGENT, "{content}");
        let line = error.to_string();
        assert!(line.contains("is not a status document") && !line.contains('\u{1b}'), "{line}");
    }
}

#[test]
fn a_document_of_a_later_version_is_told_apart() {
    let (code, error) = refusal("{\"schema\": 2, \"all\": \"new\"}");
    assert_eq!(code, exit::NO_AGENT);
    assert!(error.to_string().contains("version 2"), "{error}");
}

#[test]
fn a_pipe_in_the_place_of_the_status_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("status.json");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let error = read(&path).unwrap_err().to_string();
    assert!(error.ends_with("status.json: not a regular file"), "{error}");
    assert!(tail::show(&path, 10, false, &mut Vec::new()).is_err());
}

#[test]
fn an_answer_that_does_not_fit_on_the_disk_is_no_success() {
    let (dir, _path, reporter) = reported();
    reporter.update(|report| report.end_run(Outcome::Ready));
    let config = dir.path().join("config.yaml");
    std::fs::write(&config, "image: ghcr.io/acme/api:1\ndatabase: off\n").unwrap();
    let config = config.to_str().unwrap();
    let commands = [
        vec!["status"],
        vec!["status", "--json"],
        vec!["check", "--config", config],
        vec!["iam-policy", "--config", config],
        vec!["man"],
        vec!["completions", "bash"],
    ];
    for arguments in commands {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut agent = Command::new(env!("CARGO_BIN_EXE_agent"));
        agent.args(&arguments).env("RUNTIME_DIRECTORY", dir.path()).stdout(full);
        let output = agent.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.contains("No space left on device"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_log_shows_its_last_lines_without_what_drives_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("migrate.log");
    std::fs::write(&path, "one\ntwo\r\n\u{1b}[31mthree\u{1b}[0m \u{ff}\nfour").unwrap();
    let shown = |lines| {
        let mut out = Vec::new();
        tail::show(&path, lines, false, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(shown(3), "two\nthree ÿ\nfour\n");
    assert_eq!(shown(0), "");
    assert_eq!(shown(100).lines().count(), 4);
}

#[test]
fn following_a_log_goes_on_when_it_grows_and_when_it_is_replaced() {
    /// Takes lines; each one makes the file change; in the end nobody reads any more.
    struct Reader {
        path: PathBuf,
        seen: Vec<u8>,
    }
    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.seen.extend(bytes);
            match std::str::from_utf8(&self.seen).unwrap() {
                "old\n" => {
                    let mut file = std::fs::File::options().append(true).open(&self.path)?;
                    file.write_all(b"more\nhalf")?;
                }
                "old\nmore\n" => {
                    let next = self.path.with_extension("new");
                    std::fs::write(&next, "anew\n")?;
                    std::fs::rename(&next, &self.path)?;
                }
                "old\nmore\nanew\n" => return Err(io::ErrorKind::BrokenPipe.into()),
                _ => {}
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("build.log");
    std::fs::write(&path, "old\n").unwrap();
    let mut reader = Reader { path: path.clone(), seen: Vec::new() };
    let error = tail::show(&path, 10, true, &mut reader).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
    assert!(Cli::try_parse_from(["agent", "status", "--json", "--watch"]).is_err());
    assert!(Cli::try_parse_from(["agent", "logs", "migrate", "-n", "5", "-f"]).is_ok());
    assert!(Cli::try_parse_from(["agent", "logs", "-n", "1000001"]).is_err());
    assert!(Cli::try_parse_from(["agent", "status", "--bytes", "99"]).is_err());
}

#[test]
fn the_help_reads_like_a_man_page_in_80_columns() {
    let help = Cli::command().render_long_help().to_string();
    for section in ["Usage:", "Commands:", "Exit status:", "Files:", "Environment:", "Examples:"] {
        assert!(help.contains(section), "{section} is missing in\n{help}");
    }
    for line in help.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}
