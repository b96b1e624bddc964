//! Rows that are tests, and the tables that they make in the docs.

use std::any::Any;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// A suite of rows, each a test, and two tests of them all: that no two are alike, which is its first
/// name here, and that this page of the docs has their table between its marks.
pub fn run_rows<R: Send + 'static>(
    (alike, page, mark): (&str, &'static str, &'static str),
    rows: fn() -> Vec<R>,
    name: fn(&R) -> String,
    table: fn(&[R]) -> String,
    run: fn(&R) -> Result<(), String>,
) -> ExitCode {
    let mut tests = vec![
        Trial::test(alike, move || no_two_are_alike(rows().iter().map(name)).map_err(Into::into)),
        Trial::test("the_table_in_the_docs_is_this_one", move || {
            is_in_the_docs(page, mark, &table(&rows())).map_err(Into::into)
        }),
    ];
    tests
        .extend(rows().into_iter().map(|row| Trial::test(name(&row), move || run(&row).map_err(Into::into))));
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

/// A row counts only if it differs from every other.
pub fn no_two_are_alike(names: impl Iterator<Item = String>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    match { names }.find(|name| !seen.insert(name.clone())) {
        Some(twice) => Err(format!("{twice} is there twice")),
        None => Ok(()),
    }
}

/// `group::what_it_is`, by which a row is run alone.
pub fn row_name(group: &str, row: &str) -> String {
    let mut name = format!("{}::", group.replace(' ', "_"));
    for c in row.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => name.push(c.to_ascii_lowercase()),
            _ if name.ends_with(['_', ':']) => {}
            _ => name.push('_'),
        }
    }
    name.trim_end_matches('_').to_owned()
}

/// What a row that panicked has said.
#[allow(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
pub fn panicked(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned()
}

/// Holds `page` of the docs, between its marks of this name, against what it should say.
/// `UPDATE_README=1` writes it anew.
pub fn is_in_the_docs(page: &str, mark: &str, wanted: &str) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- /{mark} -->"));
    let text = std::fs::read_to_string(&path).unwrap();
    let marks = format!("docs/{page} has lines <!-- {mark} --> and <!-- /{mark} -->");
    let (before, rest) = text.split_once(&begin).expect(&marks);
    let (found, after) = rest.split_once(&end).expect(&marks);
    let wanted = format!("\n{wanted}\n");
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&path, format!("{before}{begin}{wanted}{end}{after}")).unwrap();
        return Ok(());
    }
    if found == wanted {
        Ok(())
    } else {
        Err(format!("docs/{page} is out of date; UPDATE_README=1 writes it anew"))
    }
}

/// Whether the text is the pattern, in which `…` stands for anything.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('…') else { return pattern == text };
    let Some(text) = text.strip_prefix(first) else { return false };
    (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| matches(rest, &text[at..]))
}
