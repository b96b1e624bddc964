//! Source tarballs, as the host of the source could send them.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt as _;
use preview_agent::github::{Limits, Request, fetch};
use preview_agent::retry::Policy;
use tar::EntryType;

use crate::row::{Row, refused, row};
use crate::support::github::{Answer, GitHub, Tarball, gzip, header, request};
use crate::support::wait::block_on;

const KIND: &str = "archive";
pub const TOP: &str = "acme-api-b927023";

/// What the file host sends, fetched and read as a build would.
pub fn sent(answer: Answer) -> String {
    let github = GitHub::new(vec![answer]);
    let retry =
        Policy { tries: 1, first: Duration::ZERO, max: Duration::ZERO, total: Duration::from_secs(50) };
    let limits = Limits { retry, ..Limits::default() };
    let request = Request { api_url: github.api.url(), ..request() };
    let spool = tempfile::tempdir().unwrap();
    block_on(async {
        match fetch(&request, spool.path(), &limits, |_| {}).await {
            Ok(archive) => {
                let mut count = Count::default();
                let mut stream = std::pin::pin!(archive.context());
                while let Some(chunk) = stream.next().await {
                    count.write_all(&chunk.unwrap()).unwrap();
                }
                count.tell()
            }
            Err(error) => refused(error.error),
        }
    })
}

/// The members of a context, counted as it streams by: a bomb must not grow in the test either.
#[derive(Default)]
struct Count {
    block: Vec<u8>,
    skip: u64,
    members: u64,
}

impl Count {
    fn tell(&self) -> String {
        let members = if self.members == 1 { "member" } else { "members" };
        format!("sent to the build: {} {members}", self.members)
    }
}

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = 512 - self.block.len();
        let taken = bytes.len().min(room);
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == 512 {
            let header = tar::Header::from_byte_slice(&self.block).clone();
            if self.skip > 0 {
                self.skip -= 1;
            } else if self.block.iter().any(|byte| *byte != 0) {
                let kind = header.entry_type();
                self.members += u64::from(!kind.is_gnu_longname() && !kind.is_gnu_longlink());
                self.skip = header.size().unwrap().div_ceil(512);
            }
            self.block.clear();
        }
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A row whose archive holds a Dockerfile and what is added.
pub fn archive(
    input: &'static str,
    becomes: &'static str,
    add: impl Fn(Tarball) -> Tarball + Send + 'static,
) -> Row {
    let made = move || Tarball::new().file("Dockerfile", "FROM scratch");
    row(KIND, input, becomes, move || sent(Answer::Body(add(made()).gz())))
}

/// A row whose download is these bytes.
fn download(input: &'static str, becomes: &'static str, bytes: impl Fn() -> Vec<u8> + Send + 'static) -> Row {
    row(KIND, input, becomes, move || sent(Answer::Body(bytes())))
}

fn whole() -> Vec<u8> {
    Tarball::new().file("Dockerfile", "FROM scratch").gz()
}

fn changed(from_end: usize) -> Vec<u8> {
    let mut archive = whole();
    let at = archive.len() - from_end;
    archive[at] ^= 0x40;
    archive
}

/// A member of so many zeros, compressed as it is made.
fn zeros(mebibytes: usize) -> Vec<u8> {
    let tar = Tarball::new().file("Dockerfile", "").tar();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    // Without the two blocks that end an archive.
    gzip.write_all(&tar[..tar.len() - 1024]).unwrap();
    let mut bomb = header(&format!("{TOP}/bomb"), EntryType::Regular, mebibytes << 20);
    bomb.set_cksum();
    gzip.write_all(bomb.as_bytes()).unwrap();
    for _ in 0..mebibytes {
        gzip.write_all(&[0; 1 << 20]).unwrap();
    }
    gzip.write_all(&[0; 1024]).unwrap();
    gzip.finish().unwrap()
}

/// So many empty files, compressed as they are made.
fn files(count: usize) -> Vec<u8> {
    let tar = Tarball::new().file("Dockerfile", "").tar();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&tar[..tar.len() - 1024]).unwrap();
    for n in 0..count {
        let name = format!("{TOP}/{:016x}/{n}", (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        gzip.write_all(header(&name, EntryType::Regular, 0).as_bytes()).unwrap();
    }
    gzip.write_all(&[0; 1024]).unwrap();
    gzip.finish().unwrap()
}

/// A pax record of this key and value.
pub fn record(key: &str, value: &str) -> Vec<u8> {
    let body = format!(" {key}={value}\n");
    let mut length = body.len() + 1;
    while length != body.len() + length.to_string().len() {
        length = body.len() + length.to_string().len();
    }
    format!("{length}{body}").into_bytes()
}

fn pax(tarball: Tarball, records: &[u8]) -> Tarball {
    tarball.raw(header("pax", EntryType::XHeader, records.len()), records).file("described", "")
}

/// A file whose size field holds these twelve bytes.
fn sized(tarball: Tarball, size: [u8; 12]) -> Tarball {
    let mut file = header(&format!("{TOP}/sized"), EntryType::Regular, 0);
    file.as_old_mut().size = size;
    tarball.raw(file, b"")
}

const TOO_LARGE: &str = "`source_too_large`: 67108864 bytes unpacked";

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        download("a zip bomb: 256 MiB of zeros in one member", TOO_LARGE, || zeros(256)).within(64),
        download("65 MiB of zeros, in a download of 64 KiB", TOO_LARGE, || zeros(65)).within(64),
        download("100,000 empty files", "sent to the build: 100001 members", || files(100_000)).within(64),
        download("200,001 empty files", "`source_too_large`: 200000 entries", || files(200_001)).within(64),
        download("cut in half", "`source_corrupt`", || {
            let whole = whole();
            whole[..whole.len() / 2].to_vec()
        }),
        download("cut before its checksum", "`source_corrupt`", || {
            let whole = whole();
            whole[..whole.len() - 8].to_vec()
        }),
        download("a wrong CRC", "`source_corrupt`: checksum", || changed(8)),
        download("a wrong length behind the CRC", "`source_corrupt`", || changed(4)),
        download("garbage behind its end", "`source_corrupt`", || [whole(), b"garbage".to_vec()].concat()),
        download("zeros behind its end", "`source_corrupt`", || [whole(), vec![0; 512]].concat()),
        download("several gzip members", "sent to the build: 1 member", || {
            let tar = Tarball::new().file("Dockerfile", "FROM scratch").tar();
            [gzip(&tar[..700]), gzip(&tar[700..])].concat()
        }),
        download("10,000 empty gzip members behind its end", "sent to the build: 1 member", || {
            let mut all = whole();
            (0..10_000).for_each(|_| all.extend(gzip(b"")));
            all
        }),
        download("a second archive behind its end", "sent to the build: 1 member", || {
            [whole(), whole()].concat()
        }),
        download("no gzip at all", "`source_corrupt`: no gzip archive", || {
            Tarball::new().file("Dockerfile", "").tar()
        }),
        row(KIND, "a page of HTML with status 200", "`source_corrupt`: text/html", || {
            sent(Answer::Status(
                200,
                vec![("Content-Type", "text/html".into())],
                "<html>Sign in</html>".into(),
            ))
        }),
        row(KIND, "terminal escapes in the error of the API", "`source_denied`: 403: red  2J", || {
            let body = "{\"message\":\"red \\u001b[31m \\u009b2J\"}";
            sent(Answer::Status(403, Vec::new(), body.into()))
        }),
        row(
            KIND,
            "a rate limit of 18446744073709551615 seconds",
            "`source_rate_limited`: in 18446744073709551615 s",
            || sent(Answer::Status(429, vec![("retry-after", u64::MAX.to_string())], String::new())),
        ),
        row(KIND, "a length of 16 EiB announced", "`source_unreachable`", || {
            sent(Answer::Status(200, vec![("content-length", u64::MAX.to_string())], String::new()))
        }),
        download("an empty answer", "`source_corrupt`: no gzip archive", Vec::new),
        download("an empty gzip file", "`source_corrupt`: empty", || gzip(b"")),
        download("an empty tar", "`source_corrupt`: empty", || gzip(&[0; 1024])),
        download("no tar inside", "`source_corrupt`", || gzip(&[b'x'; 4096])),
        download("a tar cut inside a member", "`source_corrupt`", || {
            let tar = Tarball::new().file("Dockerfile", "").file("big", vec![b'x'; 5000]).tar();
            gzip(&tar[..4096])
        }),
        download("no top folder", "`source_corrupt`: beside its top folder", || {
            let mut tar = tar::Builder::new(Vec::new());
            tar.append(&header("Dockerfile", EntryType::Regular, 0), &b""[..]).unwrap();
            gzip(&tar.into_inner().unwrap())
        }),
        archive("two top folders", "`source_corrupt`: more than one top folder", |t| {
            t.raw(header("other/x", EntryType::Regular, 0), b"")
        }),
        archive("a member of another commit's name", "`source_corrupt`: more than one top folder", |t| {
            t.raw(header("acme-api-0000000/x", EntryType::Regular, 0), b"")
        }),
        download(
            "another commit than the one asked for",
            "`source_corrupt`: of commit 0000…, not of b9270236",
            || Tarball::of_commit(&"0".repeat(40)).file("Dockerfile", "").gz(),
        ),
        download("no commit named", "`source_corrupt`: of commit unknown, not of b9270236", || {
            Tarball::bare().file("Dockerfile", "").gz()
        }),
    ];
    rows.extend(headers());
    rows.extend(files_of_docker());
    rows
}

/// Headers that lie.
fn headers() -> Vec<Row> {
    const OVERSIZED: &str = "`source_corrupt`: sparse or oversized";
    let base256 = |last: [u8; 8]| {
        let mut size = [0; 12];
        size[0] = 0x80;
        size[4..].copy_from_slice(&last);
        size
    };
    vec![
        archive("a wrong checksum in a header", "`source_corrupt`", |t| {
            let tar = t.file("x", "").tar();
            let mut tar = tar;
            let at = tar.len() - 1024 - 512;
            tar[at] ^= 1;
            // The row compresses what it is given: an archive inside a member would be sound.
            Tarball::broken(tar)
        }),
        archive("a size that is no number", "`source_corrupt`", |t| sized(t, *b"garbage!!!!\0")),
        archive("a negative size", "`source_corrupt`", |t| sized(t, [0xff; 12])),
        archive("a size of 8 EiB", "`source_corrupt`", move |t| {
            sized(t, base256([0x7f, 255, 255, 255, 255, 255, 255, 255]))
        }),
        archive("a size of 16 EiB", "`source_corrupt`", move |t| sized(t, base256([255; 8]))),
        archive("a size of 8 GiB and no content", "`source_corrupt`", |t| sized(t, *b"77777777777\0")),
        archive("a pax record that says 16 EiB", OVERSIZED, |t| {
            pax(t, &record("size", "18446744073709551615"))
        }),
        archive("a GNU sparse file by pax record", OVERSIZED, |t| {
            pax(t, &record("GNU.sparse.realsize", "1099511627776"))
        }),
        archive("a GNU sparse file by its type", "`source_unsafe`: holds sparse", |t| {
            t.special("sparse", EntryType::GNUSparse)
        }),
        archive("a pax record with a wrong length", "`source_corrupt`", |t| pax(t, b"999 path=x\n")),
        archive("a pax record without its line break", "`source_corrupt`", |t| pax(t, b"8 path=xx")),
        archive("10 MB of pax records", "`source_corrupt`: oversized extension header", |t| {
            pax(t, &vec![b'x'; 10 << 20])
        })
        .within(128),
        archive("a long name of 1 MB", "`source_corrupt`: oversized extension header", |t| {
            t.long_name(&vec![b'x'; 1 << 20], b"")
        }),
        archive("two long names for one member", "sent to the build: 2 members", |t| {
            let name = format!("{TOP}/first").into_bytes();
            t.raw(header("././@LongLink", EntryType::GNULongName, name.len()), &name)
                .long_name(format!("{TOP}/second").as_bytes(), b"")
        }),
        archive("a long name and no member", "sent to the build: 1 member", |t| {
            t.raw(header("././@LongLink", EntryType::GNULongName, 3), b"x/y")
        }),
        archive("a mode that is no number", "`source_corrupt`", |t| {
            let mut file = header(&format!("{TOP}/x"), EntryType::Regular, 0);
            file.as_old_mut().mode = *b"rwxr-xr\0";
            t.raw(file, b"")
        }),
        archive("a time that is no number", "`source_corrupt`", |t| {
            let mut file = header(&format!("{TOP}/x"), EntryType::Regular, 0);
            file.as_old_mut().mtime = *b"yesterday!!\0";
            t.raw(file, b"")
        }),
        archive("a set-user-id file", "sent to the build: 2 members", |t| {
            let mut file = header(&format!("{TOP}/su"), EntryType::Regular, 0);
            file.set_mode(0o4755);
            t.raw(file, b"")
        }),
        archive("the same file twice", "sent to the build: 3 members", |t| t.file("x", "1").file("x", "2")),
        archive("a file where a folder is needed", "sent to the build: 3 members", |t| {
            t.file("x", "").file("x/y", "")
        }),
        archive("a volume label", "`source_corrupt`", |t| {
            t.raw(header("label", EntryType::new(b'V'), 0), b"")
        }),
        archive("a member of no known kind", "`source_unsafe`: holds z…unknown kind", |t| {
            t.special("z", EntryType::new(b'Z'))
        }),
    ]
}

/// The files that the build itself reads.
fn files_of_docker() -> Vec<Row> {
    const MISSING: &str = "`dockerfile_missing`";
    let bare = |input, becomes, make: fn(Tarball) -> Tarball| {
        download(input, becomes, move || make(Tarball::new()).gz())
    };
    vec![
        bare("no Dockerfile", MISSING, |t| t.file("x", "")),
        bare("a Dockerfile that is a folder", MISSING, |t| t.folder("Dockerfile/")),
        bare("a Dockerfile in another case", MISSING, |t| t.file("dockerfile", "")),
        bare("a Dockerfile that is a link inside", "sent to the build: 2 members", |t| {
            t.file("other", "FROM scratch").symlink("Dockerfile", "other")
        }),
        bare(
            "a Dockerfile that is a link to /etc/shadow",
            "`source_unsafe`: holds Dockerfile…absolute path",
            |t| t.symlink("Dockerfile", "/etc/shadow"),
        ),
        bare("a Dockerfile that is a device", "`source_unsafe`: holds Dockerfile…a device", |t| {
            t.special("Dockerfile", EntryType::Char)
        }),
        archive("an ignore file of 10 MB", "`source_unsafe`: .dockerignore…64 KiB", |t| {
            t.file(".dockerignore", "x\n".repeat(5 << 20))
        })
        .within(160),
        archive(
            "an ignore file that is a link",
            "`source_unsafe`: .dockerignore…not a regular file",
            |t| t.symlink(".dockerignore", "x"),
        ),
        archive(
            "an ignore file that is a folder",
            "`source_unsafe`: .dockerignore…not a regular file",
            |t| t.folder(".dockerignore/"),
        ),
        archive("an ignore file with an open bracket", "`source_unsafe`: .dockerignore…line 2", |t| {
            t.file(".dockerignore", "ok\n[a\n")
        }),
        archive("an ignore file that is not UTF-8", "sent to the build: 2 members", |t| {
            t.file(".dockerignore", [0xff, 0xfe, b'\n'])
        }),
        archive("an ignore file that ignores everything", "sent to the build: 1 member", |t| {
            t.file(".dockerignore", "*\n").file("x", "").symlink("l", "/etc")
        }),
        archive(
            "an ignore file that keeps a link to /etc",
            "`source_unsafe`: holds l…absolute path",
            |t| t.file(".dockerignore", "*\n!l\n").symlink("l", "/etc"),
        ),
        archive("patterns made for a matcher that backtracks", "sent to the build: 302 members", |t| {
            let rules = format!("{}c\n", "**/*a".repeat(30)).repeat(100);
            (0..300)
                .fold(t.file(".dockerignore", rules), |t, n| t.file(&format!("{}/{n}b", "a".repeat(80)), ""))
        }),
    ]
}
