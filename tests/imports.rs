//! The house as the code has it: imports point down, nowhere in a circle, and no file grows large.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Source text by module path: `["deploy", "image", "pull"]`; the crate's root is the empty path.
type Modules = BTreeMap<Vec<String>, String>;

/// Who imports whom.
type Edges = BTreeMap<Vec<String>, BTreeSet<Vec<String>>>;

/// Most lines of a file before its tests.
const LONGEST: usize = 300;

/// Most lines before its tests of the file in the middle.
const MEDIAN: usize = 130;

/// Top modules, the highest first; those of one line do not import each other.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["supervise"],
    &["deploy", "install"],
    &["probe", "state"],
    &["status"],
    &["docker", "aws", "github", "postgres"],
    &["config", "retry", "redact"],
    &["files", "cause"],
];

/// The same inside `deploy`.
const DEPLOY: &[&[&str]] = &[
    &["phases"],
    &["finish", "resolve"],
    &["status_parameter"],
    &["agent"],
    &["app"],
    &["oneshot"],
    &["image", "database"],
    &["run_context", "plan"],
    &["faults", "container_output", "timings"],
];

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn modules() -> Modules {
    let files = files_below(&src()).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
    let module = |path: PathBuf| {
        let name = path.strip_prefix(src()).unwrap().with_extension("");
        let mut parts: Vec<String> = name.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if matches!(parts.last().map(String::as_str), Some("mod" | "lib")) {
            parts.pop();
        }
        (parts, std::fs::read_to_string(path).unwrap())
    };
    // A module's own tests may look at all of it.
    files.map(module).filter(|(path, _)| path.last().is_none_or(|name| name != "tests")).collect()
}

/// The code without comments, and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
    text.lines().map(|line| line.split("//").next().unwrap()).flat_map(|line| [line, "\n"]).collect()
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// What a path at the beginning of `text` leads to, each branch of its braces followed.
fn branches(text: &str, path: &[String], found: &mut Vec<Vec<String>>) {
    let text = text.trim_start();
    let word: String = text.chars().take_while(|c| is_word(*c)).collect();
    if let Some(inside) = text.strip_prefix('{') {
        let (mut depth, mut begin) = (0, 0);
        for (at, c) in inside.char_indices() {
            match c {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    branches(&inside[begin..at], path, found);
                    begin = at + 1;
                    if c == '}' {
                        return;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    } else if !word.is_empty() {
        let path = [path, std::slice::from_ref(&word)].concat();
        match text[word.len()..].strip_prefix("::") {
            Some(rest) if rest.starts_with(|c| is_word(c) || c == '{') => branches(rest, &path, found),
            _ => found.push(path),
        }
    } else {
        found.push(path.to_vec());
    }
}

/// The modules whose items a module names: by `crate::`, `super::` and `self::`, or through one that
/// it declares itself.
fn imports(own: &[String], text: &str, modules: &Modules) -> BTreeSet<Vec<String>> {
    let code = code(text);
    let mut found = BTreeSet::new();
    let mut before = ' ';
    for (at, c) in code.char_indices() {
        let begins = is_word(c) && !is_word(before) && before != ':';
        before = c;
        if !begins {
            continue;
        }
        let mut paths = Vec::new();
        branches(&code[at..], &[], &mut paths);
        for path in paths.iter().filter(|path| path.len() > 1) {
            let mut place = match path[0].as_str() {
                "crate" | "preview_agent" => Vec::new(),
                "super" | "self" => own.to_vec(),
                child if modules.contains_key(&[own, &[child.to_owned()]].concat()) => own.to_vec(),
                _ => continue,
            };
            for step in
                path.iter().filter(|step| !["crate", "preview_agent", "self"].contains(&step.as_str()))
            {
                let below = [&place[..], std::slice::from_ref(step)].concat();
                if step == "super" {
                    place.pop();
                } else if modules.contains_key(&below) {
                    place = below;
                } else {
                    break;
                }
            }
            found.insert(place);
        }
    }
    found.remove(own);
    found
}

fn edges(modules: &Modules) -> Edges {
    modules.iter().map(|(own, text)| (own.clone(), imports(own, text, modules))).collect()
}

fn name(module: &[String]) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.join("/") }
}

/// Every import that leads back to where it comes from.
fn circles(edges: &Edges) -> Vec<String> {
    let reaches = |from: &Vec<String>, to: &Vec<String>| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(next) = open.pop() {
            if next == to {
                return true;
            }
            if seen.insert(next) {
                open.extend(edges.get(next).into_iter().flatten());
            }
        }
        false
    };
    let all = edges.iter().flat_map(|(from, tos)| tos.iter().map(move |to| (from, to)));
    all.filter(|(from, to)| reaches(to, from))
        .map(|(from, to)| format!("{} uses {}", name(from), name(to)))
        .collect()
}

/// Every import of these rooms that does not point down; `below` is the room they lie in.
fn upward(edges: &Edges, below: &[&str], layers: &[&[&str]]) -> Vec<String> {
    let room = |module: &[String]| {
        let inside = module.iter().zip(below).all(|(a, b)| a == b);
        module.get(below.len()).filter(|_| inside).cloned()
    };
    let height = |room: &str| {
        let found = layers.iter().position(|layer| layer.contains(&room));
        found.unwrap_or_else(|| panic!("{room} has no place in the direction of imports"))
    };
    let mut wrong = Vec::new();
    for (from, tos) in edges {
        let Some(own) = room(from) else { continue };
        for to in tos {
            if room(to).is_some_and(|used| used != own && height(&used) <= height(&own)) {
                wrong.push(format!("{} uses {}", name(from), name(to)));
            }
        }
    }
    wrong
}

#[test]
fn imports_point_down_only() {
    let edges = edges(&modules());
    assert_eq!(upward(&edges, &[], LAYERS), <Vec<String>>::new());
    assert_eq!(upward(&edges, &["deploy"], DEPLOY), <Vec<String>>::new());
}

#[test]
fn nothing_imports_in_a_circle() {
    let found = circles(&edges(&modules()));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A small crate, to see that the rules above can be broken.
fn tree(files: &[(&str, &str)]) -> Modules {
    let path = |name: &str| name.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    files.iter().map(|(name, text)| (path(name), (*text).to_owned())).collect()
}

#[test]
fn a_circle_is_found_whichever_way_a_path_is_written() {
    for back in [
        "use super::a::A;",
        "use crate::room::{self, a::{A, B}};",
        "use super::{other, a};",
        "fn f() { super::a::f() }",
        "pub(super) type T = super::super::room::a::A;",
    ] {
        let modules = tree(&[("room", "mod a; mod b;"), ("room/a", "use super::b::B;"), ("room/b", back)]);
        assert_eq!(circles(&edges(&modules)), ["room/a uses room/b", "room/b uses room/a"], "{back}");
    }
    // Through the module above, which shows what a child defines and defines what the child uses.
    let modules = tree(&[("room", "mod a; pub use a::A; pub struct R;"), ("room/a", "use super::R;")]);
    assert_eq!(circles(&edges(&modules)), ["room uses room/a", "room/a uses room"]);
}

#[test]
fn what_is_no_import_is_no_circle() {
    let modules = tree(&[
        ("room", "pub mod a; pub mod b;"),
        ("room/a", "// super::b\nuse super::b::B;\n#[cfg(test)]\nmod tests {\n    use super::*;\n}\n"),
        (
            "room/b",
            "use std::fmt; fn b() { other::a::f(); }\n#[cfg(test)]\nmod tests {\n    use super::super::a;\n}\n",
        ),
    ]);
    assert_eq!(circles(&edges(&modules)), <Vec<String>>::new());
}

#[test]
fn an_import_that_points_up_or_aside_is_found() {
    let layers: &[&[&str]] = &[&["high"], &["left", "right"]];
    let (left, right) = (("left", "use crate::right::R;"), ("right/x", "use crate::high;"));
    let modules = tree(&[("high", ""), left, ("right", "mod x;"), right]);
    assert_eq!(upward(&edges(&modules), &[], layers), ["left uses right", "right/x uses high"]);
}

#[test]
fn nothing_but_the_status_and_the_commands_reads_a_document() {
    for (module, text) in modules() {
        let own = module.first().map_or("lib", String::as_str);
        let code = code(&text);
        let reads = code.split(|c| !is_word(c)).any(|word| word == "Document") || code.contains(".document(");
        assert!(!reads || ["status", "cli", "lib"].contains(&own), "{}", name(&module));
    }
}

/// Lines of each file before its tests.
fn lengths(modules: &Modules) -> Vec<(usize, String)> {
    let length = |text: &str| text.split("#[cfg(test)]\nmod ").next().unwrap().lines().count();
    let mut lengths: Vec<_> = modules.iter().map(|(module, text)| (length(text), name(module))).collect();
    lengths.sort_unstable();
    lengths
}

#[test]
fn no_file_is_a_warehouse() {
    let lengths = lengths(&modules());
    let (longest, median) = (lengths.last().unwrap(), &lengths[lengths.len() / 2]);
    assert!(longest.0 <= LONGEST, "{longest:?}");
    assert!(median.0 <= MEDIAN, "{median:?}");
}
