//! A source tarball is checked whole before any of it is sent, and what is sent is the build context.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::Read as _;
use std::time::Duration;

use futures_util::StreamExt as _;
use preview_agent::github::{Archive, Limits, Request, SourceError, fetch};
use preview_agent::retry::Policy;
use support::github::{Answer, COMMIT, GitHub, Tarball, gzip, header, request};
use support::wait::block_on;
use tar::EntryType;

fn limits() -> Limits {
    let retry =
        Policy { tries: 1, first: Duration::ZERO, max: Duration::ZERO, total: Duration::from_secs(60) };
    Limits { retry, ..Limits::default() }
}

async fn fetch_with(archive: Vec<u8>, request: Request, limits: Limits) -> Result<Archive, SourceError> {
    // A second installation is refused and harmless: the first stays.
    drop(rustls::crypto::ring::default_provider().install_default());
    let github = GitHub::serving(archive);
    let request = Request { api_url: github.api.url(), ..request };
    let spool = tempfile::tempdir().unwrap();
    fetch(&request, spool.path(), &limits, |_| {}).await.map_err(|gave_up| gave_up.error)
}

fn refused(archive: Vec<u8>) -> SourceError {
    block_on(fetch_with(archive, request(), limits())).unwrap_err()
}

/// An entry of a context: path, kind and link target or content.
#[derive(Debug, PartialEq)]
struct Sent(String, EntryType, String);

fn file(path: &str, content: &str) -> Sent {
    Sent(path.into(), EntryType::Regular, content.into())
}

async fn read(archive: &Archive) -> Vec<u8> {
    let mut stream = std::pin::pin!(archive.context());
    let mut tar = Vec::new();
    while let Some(chunk) = stream.next().await {
        tar.extend_from_slice(&chunk.unwrap());
    }
    tar
}

/// What Docker would see.
fn context_of(archive: Vec<u8>, request: Request) -> Vec<Sent> {
    let tar = block_on(async { read(&fetch_with(archive, request, limits()).await.unwrap()).await });
    let mut sent = Vec::new();
    for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        assert_eq!((entry.header().uid().unwrap(), entry.header().gid().unwrap()), (0, 0));
        assert_eq!(entry.header().mtime().unwrap(), 1_790_000_000);
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        let mut content = String::new();
        match entry.link_name_bytes() {
            Some(link) => content.push_str(std::str::from_utf8(&link).unwrap()),
            None => drop(entry.read_to_string(&mut content).unwrap()),
        }
        sent.push(Sent(path, kind, content));
    }
    sent
}

fn files_of(archive: Vec<u8>, request: Request) -> Vec<String> {
    context_of(archive, request).into_iter().map(|sent| sent.0).collect()
}

#[test]
fn the_top_folder_is_stripped_and_everything_else_kept() {
    let archive = Tarball::new()
        .file("Dockerfile", "FROM scratch")
        .folder("app/")
        .file("app/main.py", "pass")
        .symlink("app/link.py", "main.py")
        .hard_link("app/hard.py", "app/main.py")
        .gz();
    let expected = [
        file("Dockerfile", "FROM scratch"),
        Sent("app".into(), EntryType::Directory, String::new()),
        file("app/main.py", "pass"),
        Sent("app/link.py".into(), EntryType::Symlink, "main.py".into()),
        Sent("app/hard.py".into(), EntryType::Link, "app/main.py".into()),
    ];
    assert_eq!(context_of(archive, request()), expected);
}

#[test]
fn a_context_folder_becomes_the_root_and_the_rest_is_left_out() {
    let archive = Tarball::new()
        .file("Dockerfile", "not this one")
        .file("services/api/docker/Dockerfile", "FROM scratch")
        .file("services/api/main.py", "pass")
        .hard_link("services/api/hard.py", "services/api/main.py")
        .file("services/apian/main.py", "a bee")
        // Outside the context nothing is looked at, not even a device.
        .special("dev/null", EntryType::Char)
        .gz();
    let request =
        Request { context: "./services/api/".into(), dockerfile: "./docker/Dockerfile".into(), ..request() };
    let expected = [
        file("docker/Dockerfile", "FROM scratch"),
        file("main.py", "pass"),
        Sent("hard.py".into(), EntryType::Link, "main.py".into()),
    ];
    assert_eq!(context_of(archive, request), expected);
}

#[test]
fn modes_are_kept() {
    let mut script = header("acme-api-b927023/run.sh", EntryType::Regular, 0);
    script.set_mode(0o755);
    let archive = Tarball::new().file("Dockerfile", "").raw(script, b"").gz();
    let tar = block_on(async { read(&fetch_with(archive, request(), limits()).await.unwrap()).await });
    let mut archive = tar::Archive::new(tar.as_slice());
    let modes: Vec<u32> =
        archive.entries().unwrap().map(|entry| entry.unwrap().header().mode().unwrap()).collect();
    assert_eq!(modes, [0o664, 0o755]);
}

#[test]
fn long_paths_come_out_as_they_went_in() {
    // In the prefix field of a ustar header, which a copied header would keep.
    let prefixed = format!("{}/{}", "d".repeat(60), "f".repeat(50));
    let long = format!("{}/{}", "e".repeat(140), "g".repeat(160));
    let archive = Tarball::new()
        .file("Dockerfile", "")
        .file(&prefixed, "1")
        .long_name(format!("acme-api-b927023/{long}\0").as_bytes(), b"2")
        .gz();
    let sent = context_of(archive, request());
    assert_eq!(sent[1..], [file(&prefixed, "1"), file(&long, "2")]);
}

#[test]
fn a_path_in_a_pax_record_is_used() {
    let name = format!("acme-api-b927023/{}.py", "x".repeat(200));
    let body = format!(" path={name}\n");
    let record = format!("{}{body}", body.len() + 3);
    let archive = Tarball::new()
        .file("Dockerfile", "")
        .raw(header("pax", EntryType::XHeader, record.len()), record.as_bytes())
        .file("cut", "content")
        .gz();
    assert_eq!(context_of(archive, request())[1], file(&name["acme-api-b927023/".len()..], "content"));
}

#[test]
fn a_name_that_is_not_utf8_is_sent_as_it_is() {
    let archive = Tarball::new().file("Dockerfile", "").long_name(b"acme-api-b927023/caf\xe9", b"").gz();
    let tar = block_on(async { read(&fetch_with(archive, request(), limits()).await.unwrap()).await });
    let mut archive = tar::Archive::new(tar.as_slice());
    let last = archive.entries().unwrap().last().unwrap().unwrap();
    assert_eq!(*last.path_bytes(), *b"caf\xe9");
}

#[test]
fn a_large_file_crosses_the_chunks_unharmed() {
    let content: String = (0..200_000).map(|n| format!("{n}\n")).collect();
    let archive = Tarball::new().file("Dockerfile", "").file("big", &content).gz();
    assert_eq!(context_of(archive, request())[1], file("big", &content));
}

#[test]
fn the_ignore_file_holds_for_what_is_sent() {
    let archive = Tarball::new()
        .file(".dockerignore", "**/*.pyc\nDockerfile\ntests\n!tests/keep.py\n")
        .file("Dockerfile", "FROM scratch")
        .file("app/main.pyc", "")
        .file("app/main.py", "")
        .folder("tests/")
        .file("tests/keep.py", "")
        .file("tests/test.py", "")
        .gz();
    // The Dockerfile is sent even where it is listed: it is read from the context.
    let expected = [".dockerignore", "Dockerfile", "app/main.py", "tests/keep.py"];
    assert_eq!(files_of(archive, request()), expected);
}

#[test]
fn the_dockerfiles_own_ignore_file_replaces_the_general_one() {
    let archive = Tarball::new()
        .file(".dockerignore", "a\n")
        .file("a", "")
        .file("b", "")
        .file("deploy/Api.dockerfile", "")
        .file("deploy/Api.dockerfile.dockerignore", "b\n.dockerignore\n")
        .gz();
    let request = Request { dockerfile: "deploy/Api.dockerfile".into(), ..request() };
    let expected = ["a", "deploy/Api.dockerfile", "deploy/Api.dockerfile.dockerignore"];
    assert_eq!(files_of(archive, request), expected);
}

#[test]
fn an_ignore_file_that_cannot_be_used_is_named() {
    for (archive, words) in [
        (Tarball::new().file(".dockerignore", "ok\n[a\n"), "line 2"),
        (Tarball::new().file(".dockerignore", "x\n".repeat(40_000)), "64 KiB"),
        (Tarball::new().symlink(".dockerignore", "other"), "regular"),
    ] {
        let error = refused(archive.file("Dockerfile", "").gz());
        assert!(matches!(error, SourceError::IgnoreFile { .. }), "{error:?}");
        assert!(error.to_string().contains(".dockerignore") && error.to_string().contains(words), "{error}");
    }
}

#[test]
fn the_commit_is_told_and_held_against_the_one_asked_for() {
    let archive = || Tarball::new().file("Dockerfile", "").gz();
    let asking = |reference: &str| {
        let request = Request { reference: reference.into(), ..request() };
        block_on(fetch_with(archive(), request, limits()))
    };
    assert_eq!(asking("main").unwrap().commit(), Some(COMMIT));
    assert_eq!(asking(&COMMIT.to_uppercase()).unwrap().commit(), Some(COMMIT));
    let error = asking(&"0".repeat(40)).unwrap_err();
    assert!(
        matches!(&error, SourceError::WrongCommit { found: Some(found), .. } if found == COMMIT),
        "{error}"
    );
    let unnamed = Tarball::bare().file("Dockerfile", "").gz();
    assert!(matches!(refused(unnamed), SourceError::WrongCommit { found: None, .. }));
}

#[test]
fn a_missing_dockerfile_is_named_with_its_folder() {
    let archive = Tarball::new().file("Dockerfile", "").gz();
    let request = Request { context: "backend".into(), ..request() };
    let error = block_on(fetch_with(archive, request, limits())).unwrap_err();
    assert!(
        matches!(&error, SourceError::DockerfileMissing { path } if path == "backend/Dockerfile"),
        "{error}"
    );
}

#[test]
fn a_context_outside_the_repository_is_refused_before_anything_is_read() {
    for context in ["../other", "/etc", "a/../../b"] {
        let request = Request { context: context.into(), ..request() };
        let error = block_on(fetch_with(Tarball::new().gz(), request, limits())).unwrap_err();
        assert!(matches!(error, SourceError::Request(_)), "{error}");
    }
}

#[test]
fn what_leaves_the_context_is_refused_by_name() {
    type Case = (&'static str, fn(Tarball) -> Tarball, &'static str);
    let cases: [Case; 12] = [
        ("absolute link", |t| t.symlink("etc", "/etc/passwd"), "etc"),
        ("climbing link", |t| t.symlink("a/up", "../../x"), "a/up"),
        ("link that climbs on its way", |t| t.symlink("a/way", "b/../../../x"), "a/way"),
        ("link without a target", |t| t.symlink("nowhere", ""), "nowhere"),
        ("climbing hard link", |t| t.hard_link("hard", "../other"), "hard"),
        (
            "hard link out of the archive",
            |t| {
                let mut link = header("acme-api-b927023/passwd", EntryType::Link, 0);
                link.set_link_name("/etc/passwd").unwrap();
                t.raw(link, b"")
            },
            "passwd",
        ),
        ("character device", |t| t.special("null", EntryType::Char), "null"),
        ("block device", |t| t.special("sda", EntryType::Block), "sda"),
        ("pipe", |t| t.special("pipe", EntryType::Fifo), "pipe"),
        ("absolute path", |t| t.raw(header("/etc/cron.d/x", EntryType::Regular, 0), b""), "/etc/cron.d/x"),
        (
            "climbing path",
            |t| t.raw(header("acme-api-b927023/../../x", EntryType::Regular, 0), b""),
            "../../x",
        ),
        ("NUL in a path", |t| t.long_name(b"acme-api-b927023/a\0b", b""), "a\\0b"),
    ];
    for (name, add, path) in cases {
        let error = refused(add(Tarball::new().file("Dockerfile", "")).gz());
        assert!(matches!(error, SourceError::Unsafe { .. }), "{name}: {error:?}");
        assert!(error.to_string().contains(path), "{name}: {error}");
    }
}

#[test]
fn a_link_into_the_repository_but_out_of_the_context_is_refused() {
    for archive in [
        Tarball::new().symlink("api/shared", "../shared"),
        Tarball::new().hard_link("api/shared", "shared/x"),
    ] {
        let request = Request { context: "api".into(), ..request() };
        let archive = archive.file("api/Dockerfile", "").gz();
        let error = block_on(fetch_with(archive, request, limits())).unwrap_err();
        assert!(error.to_string().contains("api/shared"), "{error}");
    }
}

#[test]
fn a_link_that_is_ignored_harms_nobody() {
    let archive = Tarball::new()
        .symlink("a-link", "/etc")
        .file("Dockerfile", "")
        .file("Dockerfile.dockerignore", "a-link\n")
        .gz();
    assert_eq!(files_of(archive, request()), ["Dockerfile", "Dockerfile.dockerignore"]);
}

#[test]
fn control_characters_of_a_name_do_not_reach_the_error() {
    let error = refused(Tarball::new().file("Dockerfile", "").long_name(b"/\x1b[31mred", b"").gz());
    assert!(!error.to_string().contains('\u{1b}'), "{error}");
}

#[test]
fn damage_is_found() {
    let whole = || Tarball::new().file("Dockerfile", "FROM scratch").gz();
    let change = |at: usize| {
        let mut archive = whole();
        let at = archive.len() - at;
        archive[at] ^= 0x40;
        archive
    };
    let mut short = whole();
    short.truncate(short.len() / 2);
    let mut no_trailer = whole();
    no_trailer.truncate(no_trailer.len() - 8);
    let tar = || Tarball::new().file("Dockerfile", "FROM scratch").file("big", vec![b'x'; 5000]).tar();
    let mut checksum = tar();
    checksum[1024 + 512] ^= 1;
    for (name, archive) in [
        ("cut in half", short),
        ("without its trailer", no_trailer),
        ("wrong CRC", change(8)),
        ("wrong length", change(4)),
        ("trailing garbage", [whole(), b"garbage".to_vec()].concat()),
        ("tar cut inside a file", gzip(&tar()[..4096])),
        ("tar header changed", gzip(&checksum)),
        ("no tar at all", gzip(&vec![b'x'; 4096])),
        ("empty tar", gzip(&[0; 1024])),
        ("empty gzip", gzip(b"")),
        (
            "no top folder",
            gzip(&{
                let mut tar = tar::Builder::new(Vec::new());
                tar.append(&header("Dockerfile", EntryType::Regular, 0), &b""[..]).unwrap();
                tar.into_inner().unwrap()
            }),
        ),
        (
            "two top folders",
            Tarball::new().file("Dockerfile", "").raw(header("other/x", EntryType::Regular, 0), b"").gz(),
        ),
        ("an endless extension header", Tarball::new().long_name(&vec![b'x'; 1 << 20], b"").gz()),
    ] {
        let error = refused(archive);
        assert!(matches!(error, SourceError::Corrupt(_)), "{name}: {error:?}");
    }
}

#[test]
fn several_gzip_members_are_one_archive() {
    let tar = Tarball::new().file("Dockerfile", "FROM scratch").tar();
    let (a, b) = tar.split_at(700);
    let archive = [gzip(a), gzip(b)].concat();
    assert_eq!(context_of(archive, request()), [file("Dockerfile", "FROM scratch")]);
}

#[test]
fn size_count_and_ratio_are_limited() {
    let archive = || Tarball::new().file("Dockerfile", "").file("big", vec![b'x'; 100_000]).gz();
    let with = |limits: Limits| block_on(fetch_with(archive(), request(), limits)).unwrap_err();
    let error = with(Limits { unpacked: 50_000, ..limits() });
    assert!(matches!(error, SourceError::TooLarge { what: "bytes unpacked", limit: 50_000 }), "{error}");
    let error = with(Limits { entries: 3, ..limits() });
    assert!(matches!(error, SourceError::TooLarge { what: "entries", limit: 3 }), "{error}");
    // 128 MiB of zeros in 128 KiB: far below the size limit, a thousand to one.
    let mut bomb = header("acme-api-b927023/bomb", EntryType::Regular, 128 << 20);
    bomb.set_cksum();
    let bomb = Tarball::new().file("Dockerfile", "").raw(bomb, &vec![0; 128 << 20]).gz();
    assert!(matches!(refused(bomb), SourceError::TooLarge { what: "bytes unpacked", .. }));
}

#[test]
fn many_entries_are_no_trouble() {
    let mut archive = Tarball::new().file("Dockerfile", "");
    for n in 0..20_000 {
        archive = archive.file(&format!("d/{n}"), "");
    }
    assert_eq!(files_of(archive.gz(), request()).len(), 20_001);
}

#[test]
fn a_context_can_be_read_again_and_dropped_half_way() {
    let content: String = (0..500_000).map(|n| format!("{n}\n")).collect();
    let archive = Tarball::new().file("Dockerfile", "").file("big", &content).gz();
    block_on(async {
        let archive = fetch_with(archive, request(), limits()).await.unwrap();
        let mut half = Box::pin(archive.context());
        assert!(half.next().await.unwrap().is_ok());
        drop(half);
        let (first, second) = (read(&archive).await, read(&archive).await);
        assert!(first.len() > content.len() && first == second);
    });
}

#[test]
fn a_damaged_download_is_tried_again() {
    let whole = Tarball::new().file("Dockerfile", "").gz();
    let cut = whole[..whole.len() - 20].to_vec();
    let github = GitHub::new(vec![Answer::Unsized(cut), Answer::Unsized(whole)]);
    drop(rustls::crypto::ring::default_provider().install_default());
    let request = Request { api_url: github.api.url(), ..request() };
    let retry = Policy { tries: 3, ..limits().retry };
    let spool = tempfile::tempdir().unwrap();
    let archive = block_on(fetch(&request, spool.path(), &Limits { retry, ..limits() }, |_| {})).unwrap();
    assert_eq!(archive.commit(), Some(COMMIT));
    assert_eq!(github.files.requests().len(), 2);
}
