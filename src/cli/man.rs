//! `agent man`: the manual page, made from the same texts as `--help`.

use std::io::{self, Write};

use clap::{Args, Command};
use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, roman};

use super::exit;
use super::help_text::MANUAL;
use super::output::written;

/// Print the manual page in roff, for section 8
#[derive(Debug, Args)]
pub struct Man;

impl Man {
    /// Prints the page of `program` and returns the exit code.
    #[must_use]
    pub fn run(self, program: Command) -> u8 {
        written(page(program, &mut io::stdout().lock()).map(|()| exit::OK))
    }
}

/// The page: the commands one by one, then the sections of the manual.
fn page(mut program: Command, out: &mut impl Write) -> io::Result<()> {
    program.build();
    let page = Page::new(program.clone()).section("8").manual("preview-agent");
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    heading(out, "SH", "Commands")?;
    for command in program.get_subcommands() {
        self::command(out, command)?;
    }
    for line in MANUAL.lines() {
        match line.strip_suffix(':') {
            Some(name) if !line.starts_with(' ') => heading(out, "SH", name)?,
            // Columns stay columns: a line for each, and nothing is filled up.
            _ => write!(out, ".nf\n{}.fi\n", Roff::new().text([roman(line)]).to_roff())?,
        }
    }
    Ok(())
}

/// One command: usage, description, options.
fn command(out: &mut impl Write, command: &Command) -> io::Result<()> {
    heading(out, "SS", &format!("agent {}", command.get_name()))?;
    // Each would show `--help`, and `--version` belongs to the program.
    let command = command.clone().mut_args(|argument| {
        let is_help = argument.get_id() == "help";
        argument.hide(is_help)
    });
    let page = Page::new(command.clone());
    for render in
        [Page::render_synopsis_section, Page::render_description_section, Page::render_options_section]
    {
        let mut section = Vec::new();
        render(&page, &mut section)?;
        let section = String::from_utf8_lossy(&section).into_owned();
        // Without its own heading: the command is the heading.
        if let Some((_, text)) = section.split_once(".SH ").and_then(|(_, rest)| rest.split_once('\n')) {
            write!(out, ".PP\n{text}")?;
        }
    }
    Ok(())
}

fn heading(out: &mut impl Write, kind: &str, text: &str) -> io::Result<()> {
    let text = if kind == "SH" { text.to_uppercase() } else { text.to_owned() };
    write!(out, "{}", Roff::new().control(kind, [text.as_str()]).to_roff())
}
