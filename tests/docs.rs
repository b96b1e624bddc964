//! What README.md and CONTRIBUTING.md say about the code is what the code says.
//!
//! `UPDATE_README=1 cargo test --test docs` writes the module map anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use preview_agent::cli::Cli;
use preview_agent::config::{self, Config};
use serde_json::{Value, json};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands between `<!-- NAME -->` and `<!-- /NAME -->`, and what stands around it.
fn section<'a>(text: &'a str, name: &str) -> (&'a str, &'a str, &'a str) {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no line {begin}"));
    let (inside, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no line {end}"));
    (before, inside, after)
}

/// The cells of a table's rows, without its head.
fn rows(table: &str) -> Vec<Vec<&str>> {
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// The text of a cell that is one code span and nothing else.
fn code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`').filter(|text| !text.contains('`'))
}

/// Every module of the crate, by its path below `src/`.
fn modules() -> BTreeMap<String, String> {
    let (mut found, src) = (BTreeMap::new(), root().join("src"));
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
                found.insert(name, read(&path));
            }
        }
    }
    found
}

/// The first sentence of a module's own documentation.
fn first_sentence(name: &str, text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let paragraph = lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let sentence = paragraph.split_once(". ").map_or(paragraph.as_str(), |(first, _)| first);
    assert!(!sentence.is_empty(), "src/{name} does not begin with a line of //!");
    sentence.trim_end_matches('.').replace(['[', ']'], "")
}

#[test]
fn the_module_map_has_every_module_in_its_own_words() {
    let mut map = String::from("\n| below `src/` | what it is |\n|---|---|\n");
    for (name, text) in modules() {
        // A module's own tests are no room of the house.
        if !name.ends_with("/tests.rs") {
            map += &format!("| `{name}` | {} |\n", first_sentence(&name, &text));
        }
    }
    map.push('\n');
    let contributing = read("CONTRIBUTING.md");
    let (before, told, after) = section(&contributing, "modules");
    if std::env::var_os("UPDATE_README").is_some() {
        let text = format!("{before}<!-- modules -->\n{map}<!-- /modules -->{after}");
        std::fs::write(root().join("CONTRIBUTING.md"), text).unwrap();
        return;
    }
    assert!(told == map, "CONTRIBUTING.md's module map is out of date; UPDATE_README=1 writes it anew");
}

/// The tests that a cell names as `` `file`: `test`, `test`; `file`: … ``.
fn tests_named(cell: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for group in cell.split(';').filter(|group| !group.trim().is_empty()) {
        let (file, tests) =
            group.split_once(": ").unwrap_or_else(|| panic!("no `file`: `test` in {group:?}"));
        let name = |text: &str| code(text.trim()).unwrap_or_else(|| panic!("{text:?} is no name")).to_owned();
        found.extend(tests.split(',').map(|test| (name(file), name(test))));
    }
    found
}

/// Each of these tests is in its file.
fn exist(tests: &[(String, String)]) {
    for (file, test) in tests {
        let text = read(format!("tests/{file}.rs"));
        assert!(text.contains(&format!("fn {test}(")), "tests/{file}.rs has no {test}");
    }
}

#[test]
fn each_trap_of_the_guide_names_tests_that_exist() {
    let page = read("docs/troubles.md");
    let traps: Vec<&str> = page.lines().filter(|line| line.starts_with("X-Ray")).collect();
    for trap in &traps {
        let tests = tests_named(trap.rsplit(" | ").next().unwrap());
        assert!(!tests.is_empty(), "nothing shows: {trap}");
        exist(&tests);
    }
    assert_eq!(traps.len(), 8);
}

#[test]
fn each_trouble_of_the_script_names_tests_that_exist() {
    let page = read("docs/troubles.md");
    let (mut numbered, mut pending) = (Vec::new(), Vec::new());
    for row in
        rows(&page).into_iter().filter(|row| !row[0].starts_with("trouble") && !row[0].starts_with('-'))
    {
        let tests = tests_named(row[2].trim());
        exist(&tests);
        if row[1].starts_with("pending") {
            pending.push(row[0]);
        } else {
            assert!(!tests.is_empty(), "nothing shows: {}", row[0]);
        }
        numbered.extend(row[0].split(' ').next().filter(|first| first.starts_with("7.")).map(str::to_owned));
    }
    assert_eq!(numbered, (1..=11).map(|n| format!("7.{n}")).collect::<Vec<_>>());
    assert!(pending.iter().all(|row| row.starts_with("7.10 ") || row.starts_with("7.11 ")), "{pending:?}");
}

#[test]
fn each_client_library_is_named_in_one_place() {
    for (library, place) in [
        ("bollard::", "docker/"),
        ("aws_config::", "aws/"),
        ("aws_sdk_", "aws/"),
        ("aws_smithy_", "aws/"),
        ("clap::", "cli/"),
        ("serde_saphyr::", "config/"),
    ] {
        let users: Vec<String> =
            modules().into_iter().filter(|(_, text)| text.contains(library)).map(|(name, _)| name).collect();
        assert!(users.iter().any(|name| name.starts_with(place)), "nobody uses {library}");
        // The binary parses its command line.
        let strange =
            |name: &&String| !name.starts_with(place) && (library, name.as_str()) != ("clap::", "main.rs");
        assert_eq!(users.iter().find(strange), None, "{library}");
    }
}

/// The keys of a document; what the user names is told as `HOST`, `NAME`, `PATH` or `FIELD`.
fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    const SOURCES: [&str; 5] = ["env", "file", "credential", "ssm", "secretsmanager"];
    let named_by_user = match path {
        "registries" => Some("HOST"),
        "source.build_args" | "app.env" => Some("NAME"),
        "health[].json" => Some("FIELD"),
        _ if path.ends_with(".files") => Some("PATH"),
        _ => None,
    };
    let is_source = |map: &serde_json::Map<String, Value>| {
        // `app` and `database` have a key `env` of their own.
        !["app", "database"].contains(&path) && SOURCES.iter().any(|source| map.contains_key(*source))
    };
    match value {
        Value::Object(map) if is_source(map) => {
            found.insert(path.to_owned());
        }
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                keys(value, &format!("{path}{dot}{}", named_by_user.unwrap_or(key)), found);
            }
        }
        Value::Object(_) if named_by_user.is_some() => {
            found.insert(format!("{path}.{}", named_by_user.unwrap_or_default()));
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|item| keys(item, &format!("{path}[]"), found));
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

#[test]
fn the_config_reference_has_the_keys_of_the_example_and_no_other() {
    let example: String = read("packaging/config.example.yaml")
        .lines()
        .map(|line| {
            // The parts of a database URL stand there as comments, since `url` excludes them.
            let part = line.strip_prefix("  # ").filter(|rest| {
                rest.split_once(": ").is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase()))
            });
            part.map_or_else(|| format!("{line}\n"), |part| format!("  {part}\n"))
        })
        .collect();
    let example: Value = serde_saphyr::from_str(&example).unwrap();
    let mut shown = BTreeSet::new();
    keys(&example, "", &mut shown);
    let readme = read("README.md");
    let told: Vec<String> = rows(section(&readme, "config").1)
        .into_iter()
        .map(|row| code(row[0]).unwrap_or_else(|| panic!("{row:?}")).to_owned())
        .collect();
    let set: BTreeSet<String> = told.iter().cloned().collect();
    assert_eq!(set.len(), told.len(), "a key stands twice in README.md");
    assert_eq!(set, shown);
}

fn parsed(document: &Value) -> Config {
    config::parse(&document.to_string()).unwrap_or_else(|error| panic!("{document}: {error}"))
}

#[test]
fn each_default_of_the_config_reference_changes_nothing_where_it_is_written() {
    let base = json!({
        "image": "x",
        "source": {"repository": "a/b", "ref": "c"},
        "database": {"host": "db", "name": "n", "user": "u", "password": "p"},
        "jobs": [{"name": "a", "command": ["x"]}],
    });
    let readme = read("README.md");
    let mut checked = 0;
    for row in rows(section(&readme, "config").1) {
        let (Some(key), Some(default)) = (code(row[0]), code(row[1])) else { continue };
        let mut document = base.clone();
        let mut place = &mut document;
        for step in key.split('.') {
            place = match step.strip_suffix("[]") {
                Some(list) => &mut place[list][0],
                None => &mut place[step],
            };
        }
        *place = serde_saphyr::from_str(default).unwrap();
        assert!(document != base, "{key}");
        assert_eq!(parsed(&document), parsed(&base), "{key}: {default}");
        checked += 1;
    }
    assert!(checked > 15, "{checked}");
}

#[test]
fn the_jobs_of_the_changes_page_are_a_configuration() {
    let page = read("docs/changes.md");
    let fenced = section(&page, "jobs").1;
    let text = fenced.strip_prefix("```yaml\n").unwrap().strip_suffix("```\n").unwrap();
    config::parse(text).unwrap();
    for script in ["init.sql", "check.sql"] {
        assert!(text.contains(script) && root().join("examples/tasks-api").join(script).exists(), "{script}");
    }
}

#[test]
fn the_readme_has_each_command() {
    let commands: Vec<String> =
        Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let readme = read("README.md");
    let (_, table) = readme.split_once("## Commands\n").unwrap();
    let told = rows(table.trim_start().split("\n\n").next().unwrap()).into_iter().map(|row| {
        let words = code(row[0]).and_then(|cell| cell.strip_prefix("agent ")).unwrap_or_default();
        words.split(' ').next().unwrap().to_owned()
    });
    assert_eq!(told.collect::<Vec<_>>(), commands);
}

#[test]
fn the_exit_codes_in_the_readme_are_those_of_the_code() {
    let source = read("src/cli/exit.rs");
    let constants = source.lines().filter_map(|line| {
        let (_, value) = line.strip_prefix("pub const ")?.split_once(": u8 = ")?;
        value.strip_suffix(';')
    });
    let readme = read("README.md");
    let told = rows(section(&readme, "exit codes").1);
    let told: Vec<&str> = told.iter().map(|row| code(row[0]).unwrap_or_default()).collect();
    assert_eq!(told, constants.collect::<Vec<_>>());
    for taken_by_the_ssm_agent in ["137", "168", "169", "194"] {
        assert!(!told.contains(&taken_by_the_ssm_agent));
    }
}

#[test]
fn the_status_reference_has_the_fields_of_the_schema() {
    let schema: Value = serde_json::from_str(&read("schemas/status.v1.json")).unwrap();
    let fields: BTreeSet<&str> =
        schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let readme = read("README.md");
    let told = rows(section(&readme, "status").1);
    let told: BTreeSet<&str> = told.iter().filter_map(|row| code(row[0])).collect();
    assert_eq!(told, fields);
}

#[test]
fn files_that_the_pages_name_exist() {
    for page in ["README.md", "CONTRIBUTING.md", "docs/changes.md"] {
        let text = read(page);
        let folder = root().join(page).parent().unwrap().to_owned();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let path = link.split('#').next().unwrap();
            assert!(folder.join(path).exists(), "{page} links to {link}");
        }
    }
}

#[test]
fn a_test_is_ignored_only_where_another_runs_it() {
    for entry in std::fs::read_dir(root().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            for line in read(&path).lines().filter(|line| line.starts_with("#[ignore")) {
                let known = ["run by others in a process of its own", "run by scripts/soak upgrade"];
                let known = known.map(|reason| format!("#[ignore = \"{reason}\"]"));
                assert!(known.iter().any(|known| known == line), "{}: {line}", path.display());
            }
        }
    }
}
