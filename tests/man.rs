//! The manual page has all that `--help` has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::process::Command;

use clap::CommandFactory as _;
use preview_agent::cli::Cli;

fn agent(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_agent")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Roff's escapes taken away.
fn page() -> String {
    agent(&["man"]).replace("\\-", "-").replace("\\*(Aq", "'").replace("\\fB", "").replace("\\fR", "")
}

#[test]
fn the_page_is_of_section_8_and_has_each_command_with_its_options() {
    let page = page();
    assert!(page.contains("\n.TH agent 8 "), "{page}");
    for command in Cli::command().get_subcommands() {
        assert!(page.contains(&format!(".SS \"agent {}\"", command.get_name())), "{command}");
        for option in command.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(page.contains(&format!("--{option}")), "{option}");
        }
    }
}

#[test]
fn exit_codes_files_environment_and_examples_are_those_of_the_help() {
    let (page, help) = (page(), agent(&["--help"]));
    let (_, manual) = help.split_once("Exit status:").unwrap();
    for line in manual.lines().filter(|line| !line.is_empty()) {
        match line.strip_suffix(':').filter(|_| !line.starts_with(' ')) {
            Some(heading) => {
                let heading = heading.to_uppercase();
                let forms = [format!(".SH {heading}\n"), format!(".SH \"{heading}\"\n")];
                assert!(forms.iter().any(|form| page.contains(form)), "{heading}");
            }
            None => assert!(page.lines().any(|shown| shown == line), "{line:?}"),
        }
    }
}
