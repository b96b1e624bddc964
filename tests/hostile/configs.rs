//! Configuration files, as an editor, a template or a typing error could leave them.
//!
//! Each is given to `agent check` and to `agent run`, in 256 MiB of address space.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::row::{Row, row};

const KIND: &str = "config file";
const GOOD: &str = "image: ghcr.io/acme/api:1\ndatabase: off\n";

/// More than the agent needs of address space, far below what an explosion would.
const KIBIBYTES: u64 = 256 * 1024;

/// What the agent says of the file, and that it does nothing else.
fn said(place: impl Fn(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    place(&path);
    let checked = agent(folder.path(), &["check", "--config"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "`check` leaves traces");
    if checked.status.success() {
        return "accepted".to_owned();
    }
    let ran = agent(folder.path(), &["run", "--once", "--config"]);
    let code = checked.status.code();
    assert_eq!(ran.status.code(), code, "{}", String::from_utf8_lossy(&ran.stderr));
    let status = fs::read(folder.path().join("run/status.json")).unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status).unwrap();
    assert_eq!(status["fault"]["code"], "config_invalid", "{status}");
    let words = |output: Output| {
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!text.contains("canary"), "{text}");
        let odd = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(odd, None, "{text:?}");
        text.replace(&format!("{}:", path.display()), "").trim().to_owned()
    };
    let (checked, ran) = (words(checked), words(ran));
    let first = checked.lines().next().unwrap();
    assert!(ran.contains(first), "check says {first}, run says {ran}");
    assert_eq!(code, Some(78), "{checked}");
    let more = checked.lines().count() - 1;
    if more > 0 { format!("{first} (and {more} more)") } else { first.to_owned() }
}

fn agent(folder: &Path, arguments: &[&str]) -> Output {
    let limited = format!("ulimit -v {KIBIBYTES}; exec \"$0\" \"$@\"");
    Command::new("sh")
        .args(["-c", &limited, env!("CARGO_BIN_EXE_agent")])
        .args(arguments)
        .arg(folder.join("config.yaml"))
        .env_clear()
        .env("RUNTIME_DIRECTORY", folder.join("run"))
        .env("STATE_DIRECTORY", folder.join("state"))
        .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text<B: AsRef<[u8]>>(
    input: &'static str,
    becomes: &'static str,
    bytes: impl Fn() -> B + Send + 'static,
) -> Row {
    row(KIND, input, becomes, move || said(|path| fs::write(path, bytes()).unwrap()))
}

/// Added behind what would be fine by itself, from line 3 on.
fn with(input: &'static str, becomes: &'static str, more: &'static str) -> Row {
    text(input, becomes, move || format!("{GOOD}{more}"))
}

fn utf16(little: bool) -> Vec<u8> {
    let units = format!("\u{feff}{GOOD}");
    let bytes = |unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() };
    units.encode_utf16().flat_map(bytes).collect()
}

fn bomb(levels: usize) -> Vec<u8> {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..levels {
        let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
        text.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
    }
    text.into_bytes()
}

pub fn rows() -> Vec<Row> {
    [explosions(), encodings(), yaml(), no_files()].into_iter().flatten().collect()
}

fn explosions() -> Vec<Row> {
    const TOO_LARGE: &str = "…: nested too deeply…";
    const LARGE_FILE: &str = "larger than 256 KiB…";
    let deep = |open: &'static str, depth: usize| move || format!("image: {}", open.repeat(depth));
    vec![
        text("billion laughs: aliases of aliases", TOO_LARGE, || bomb(12)),
        text("a bomb of maps", TOO_LARGE, || {
            let mut text = String::from("a0: &a0 {k: v, l: w}\n");
            for i in 1..40 {
                text.push_str(&format!("a{i}: &a{i} {{k: *a{p}, l: *a{p}}}\n", p = i - 1));
            }
            text
        }),
        text("an anchor that contains its own alias", "1:12: not valid YAML: …", || {
            b"image: &a [*a]\ndatabase: off\n"
        }),
        text("10,000 anchors", "10000:15: …too large…", || {
            (0..10_000).fold(GOOD.to_owned(), |text, n| format!("{text}k{n}: &a{n} 1\n"))
        }),
        text("100,000 open brackets", TOO_LARGE, deep("[", 100_000)),
        text("100,000 open brackets, over 256 KiB", LARGE_FILE, deep("[[[", 100_000)),
        text("50,000 open maps", TOO_LARGE, deep("{a: ", 50_000)),
        text("200 levels by indentation", TOO_LARGE, || {
            (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>()
        }),
        text("20,000 dashes in a row", TOO_LARGE, || "- ".repeat(20_000)),
        text("80,000 items", TOO_LARGE, || format!("image: [{}]", "x, ".repeat(80_000))),
        text("10 MB", LARGE_FILE, || vec![b'#'; 10 << 20]),
        text("a scalar of 1 MB", LARGE_FILE, || format!("image: {}", "x".repeat(1 << 20))),
        text("a scalar of 200 KB", "1:8: image: …255…", || {
            format!("image: {}\ndatabase: off\n", "x".repeat(200_000))
        }),
        text("a key of 200 KB", "3:1: not valid YAML: …", || format!("{GOOD}{}: 1\n", "k".repeat(200_000))),
        text("a line of 200 KB of spaces", "accepted", || format!("{GOOD}{}\n", " ".repeat(200_000))),
        text("200,000 empty lines", "accepted", || format!("{GOOD}{}", "\n".repeat(200_000))),
        text("the same key 5,000 times", "3:1: image: …twice (and 4999 more)", || {
            format!("{GOOD}{}", "image: x\n".repeat(5_000))
        }),
    ]
}

fn encodings() -> Vec<Row> {
    vec![
        text("a byte order mark of UTF-8", "accepted", || format!("\u{feff}{GOOD}")),
        text("two byte order marks", "accepted", || format!("\u{feff}\u{feff}{GOOD}")),
        text("UTF-16, little end first", "1:1: not UTF-8…", || utf16(true)),
        text("UTF-16, big end first", "1:1: not UTF-8…", || utf16(false)),
        text("UTF-16 without its mark", "1:2: not valid YAML: …", || utf16(true)[2..].to_vec()),
        text("Latin-1", "1:18: not UTF-8…", || b"image: acme/api #\xe4\ndatabase: off\n"),
        text("a surrogate in UTF-8", "3:4: not UTF-8…", || {
            [GOOD.as_bytes(), b"## \xed\xa0\x80\n"].concat()
        }),
        with("a NUL byte", "3:…: not valid YAML: …", "app: {port: \"8\0\"}\n"),
        text("only NUL bytes", "1:1: not valid YAML: …", || vec![0; 4096]),
        with("an escape character", "3:…: not valid YAML: …", "deployment: {id: \"\u{1b}[31m\"}\n"),
        text("a carriage return and line feed on each line", "accepted", || GOOD.replace('\n', "\r\n")),
        text("carriage returns alone", "accepted", || GOOD.replace('\n', "\r")),
        with("a tab as indentation", "4:2: not valid YAML: a tab…", "app:\n\tport: 1\n"),
        text("a gzip file", "1:2: not UTF-8…", || crate::support::github::gzip(GOOD.as_bytes())),
        text("an executable", "1:…: not UTF-8…", || {
            fs::read(env!("CARGO_BIN_EXE_agent")).unwrap()[..100_000].to_vec()
        }),
    ]
}

fn yaml() -> Vec<Row> {
    const TAG: &str = "…: a YAML tag…";
    vec![
        text("nothing", "1:1: the file is empty…", || ""),
        text("only a comment", "2:1: the file is empty…", || b"# x\n"),
        with("two documents", "4:1: …", "---\nimage: x\n"),
        with("an end of document and garbage behind it", "4:1: not valid YAML: …", "...\n}}}} canary\n"),
        with("a directive", "3:1: not valid YAML: …", "%YAML 9.9\n---\nimage: x\n"),
        with("a binary tag", TAG, "deployment: {id: !!binary aGk=}\n"),
        with("a Python object", TAG, "deployment: {id: !!python/object/apply:os.system [canary]}\n"),
        with("a tag of its own", TAG, "deployment: {id: !canary x}\n"),
        with("a merge key", "3:1: unknown key `base`; known here: …", "base: &b {port: 1}\napp: {<<: *b}\n"),
        with("an anchor on a scalar", "accepted", "app: {env: {A: &a x, B: *a}}\n"),
        with("an alias of no anchor", "3:18: not valid YAML: an alias…", "deployment: {id: *canary}\n"),
        with("a key that is a list", "3:3: not valid YAML: …", "? [a, canary]\n: c\n"),
        with("a key that is empty", "3:1: unknown key; …", "\"\": canary\n"),
        with("a key with terminal escapes", "3:1: unknown key; …", "\"\\e[31mcanary\": 1\n"),
        with("a value with terminal escapes", "3:6: app: …", "app: \"\\e[31mcanary\\a\"\n"),
        text("an image name with terminal escapes", "1:8: image: …`\\u{1b}`…", || {
            b"image: \"acme/\\e[31mapi\"\ndatabase: off\n"
        }),
        with("a key given twice", "3:1: image: …twice", "image: x\n"),
        with("a number beyond all bounds", "3:13: app.port: …", "app: {port: 99999999999999999999999999}\n"),
        with("a negative port", "3:13: app.port: …", "app: {port: -1}\n"),
        with("a port in hexadecimal", "3:13: app.port: …", "app: {port: 0x1f40}\n"),
        with("a port that is no number by IEEE 754", "3:13: app.port: …", "app: {port: .nan}\n"),
        with("a memory of 1e999 GiB", "3:15: app.memory: …", "app: {memory: 1e999g}\n"),
        with(
            "a memory of 18446744073709551615 GiB",
            "3:15: app.memory: …",
            "app: {memory: 18446744073709551615g}\n",
        ),
        with(
            "a deadline of 99999999999999999999 hours",
            "3:11: deadline: …",
            "deadline: 99999999999999999999h\n",
        ),
        with(
            "a deadline whose parts overflow",
            "3:11: deadline: …",
            "deadline: 5000000000000000h5000000000000000h\n",
        ),
        with(
            "an image name with a parameter of a shell",
            "3:39: jobs[0].image: …`$`…",
            "jobs: [{name: a, command: [x], image: \"$(canary)\"}]\n",
        ),
        with(
            "a placeholder without an end",
            "3:18: deployment.id: …`$${`",
            "deployment: {id: \"${instance.tag.canary\"}\n",
        ),
        with("a text block that never ends", "5:5: deployment.id: …", "deployment:\n  id: |\n    canary\n"),
        with("an open quote", "3:18: not valid YAML: …", "deployment: {id: \"canary\n"),
        with("an open bracket", "3:…: not valid YAML: …", "deployment: {id: canary\n"),
        text("JSON", "accepted", || r#"{"image": "ghcr.io/acme/api:1", "database": "off"}"#),
        text("a page of HTML", "1:1: expected a map…", || b"<html><body>canary</body></html>\n"),
        text("a template that was not filled in", "1:9: not valid YAML: …", || {
            b"image: {{ image }}\ndatabase: off\n"
        }),
    ]
}

/// What stands at the path and is no file.
fn no_files() -> Vec<Row> {
    let place = |input, becomes, place: fn(&Path)| row(KIND, input, becomes, move || said(place));
    vec![
        place("a folder in the file's place", "cannot be read: not a regular file", |path| {
            fs::create_dir(path).unwrap()
        }),
        place("a named pipe that nobody writes to", "cannot be read: not a regular file", |path| {
            assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        }),
        place("a socket", "cannot be read: …(os error 6)", |path| {
            // The socket stays when its listener goes.
            std::os::unix::net::UnixListener::bind(path).unwrap();
        }),
        place("a link to /dev/zero", "cannot be read: not a regular file", |path| {
            symlink("/dev/zero", path).unwrap()
        }),
        place("a link to a terminal", "cannot be read: …", |path| symlink("/dev/tty", path).unwrap()),
        place("a link to itself", "cannot be read: …(os error 40)", |path| symlink(path, path).unwrap()),
        place("a link to nothing", "no such file", |path| symlink("nowhere", path).unwrap()),
        place("a link to a file of endless length in /proc", "1:1: expected a map…", |path| {
            symlink("/proc/self/maps", path).unwrap()
        }),
    ]
}
