//! Members of a source tarball that point or climb elsewhere.

use tar::EntryType;

use crate::archives::{TOP, archive, record};
use crate::row::Row;
use crate::support::github::{Tarball, header};

fn member(tarball: Tarball, name: &str) -> Tarball {
    tarball.raw(header(name, EntryType::Regular, 0), b"")
}

fn link(tarball: Tarball, kind: EntryType, target: &str) -> Tarball {
    let mut link = header(&format!("{TOP}/l"), kind, 0);
    link.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    tarball.raw(link, b"")
}

pub fn rows() -> Vec<Row> {
    const CLIMBS: &str = "`source_unsafe`: `..` in its path";
    const OUT: &str = "`source_unsafe`: out of the build context";
    const ABSOLUTE: &str = "`source_unsafe`: holds l…absolute path";
    const ODD: &str = "`source_unsafe`: a device";
    const TWO: &str = "sent to the build: 2 members";
    vec![
        archive("a path that climbs at its beginning", CLIMBS, |t| member(t, "../x")),
        archive("a path that climbs in its middle", CLIMBS, |t| member(t, &format!("{TOP}/a/../../x"))),
        archive("a path that climbs at its end", CLIMBS, |t| member(t, &format!("{TOP}/a/.."))),
        archive("a climbing path in a long name", CLIMBS, |t| {
            t.long_name(format!("{TOP}/../x").as_bytes(), b"")
        }),
        archive("a climbing path in a pax record", CLIMBS, |t| {
            let path = record("path", &format!("{TOP}/../../etc/passwd"));
            t.raw(header("pax", EntryType::XHeader, path.len()), &path).file("cut", "")
        }),
        archive("an absolute path", "`source_unsafe`: /etc/cron.d/x", |t| member(t, "/etc/cron.d/x")),
        archive("an absolute path in a long name", "`source_unsafe`: //etc/x", |t| {
            t.long_name(b"//etc/x", b"")
        }),
        archive("a NUL in a path", "`source_unsafe`: a\\0b…a NUL", |t| {
            t.long_name(b"acme-api-b927023/a\0b", b"")
        }),
        archive("a name of 300 characters", TWO, |t| {
            t.long_name(format!("{TOP}/{}", "n".repeat(300)).as_bytes(), b"")
        }),
        archive("a path of 5,000 characters", "`source_unsafe`: longer than 4096 bytes", |t| {
            t.long_name(format!("{TOP}/{}", "d/".repeat(2500)).as_bytes(), b"")
        }),
        archive("a name that is not UTF-8", TWO, |t| t.long_name(b"acme-api-b927023/caf\xe9\xff", b"")),
        archive("a name with a line break", TWO, |t| t.long_name(b"acme-api-b927023/a\nb", b"")),
        archive("a name with terminal escapes, refused", "`source_unsafe`: /\\u{1b}[31mred", |t| {
            t.long_name(b"/\x1b[31mred", b"")
        }),
        archive(
            "a file whose name is only dots and slashes",
            "`source_corrupt`: beside its top folder",
            |t| t.long_name(b"acme-api-b927023/././/./", b""),
        ),
        archive("a backslash path as on Windows", TWO, |t| t.long_name(b"acme-api-b927023/..\\..\\x", b"")),
        archive("a link to an absolute path", ABSOLUTE, |t| link(t, EntryType::Symlink, "/etc/passwd")),
        archive("a link that climbs out", OUT, |t| link(t, EntryType::Symlink, "../x")),
        archive("a link that climbs out on its way", OUT, |t| {
            link(t, EntryType::Symlink, "a/../../x/../acme-api-b927023")
        }),
        archive("a long link target that climbs out", OUT, |t| {
            let target = format!("{}{}", "a/".repeat(60), "../".repeat(61));
            t.raw(header("././@LongLink", EntryType::GNULongLink, target.len()), target.as_bytes())
                .symlink("l", "cut")
        }),
        archive("a pax link target that is absolute", "`source_unsafe`: holds l…absolute path", |t| {
            let target = record("linkpath", "/proc/self/environ");
            t.raw(header("pax", EntryType::XHeader, target.len()), &target).symlink("l", "fine")
        }),
        archive("a link without a target", "`source_unsafe`: holds l…without a target", |t| {
            link(t, EntryType::Symlink, "")
        }),
        archive("a link to itself", TWO, |t| link(t, EntryType::Symlink, "l")),
        archive(
            "a chain of links that climbs out step by step: Docker resolves it inside its own root",
            "sent to the build: 4 members",
            |t| t.symlink("a/b/up", "../..").symlink("a/b/out", "up/..").file("a/b/out/x", ""),
        ),
        archive("101 links that climb out", OUT, |t| {
            (0..101).fold(t, |t, n| t.symlink(&format!("l{n}"), "../x"))
        }),
        archive("a hard link to an absolute path", OUT, |t| link(t, EntryType::Link, "/etc/passwd")),
        archive("a hard link to outside the archive", OUT, |t| link(t, EntryType::Link, "../../etc/passwd")),
        archive("a hard link that climbs inside its target", OUT, |t| t.hard_link("l", "a/../../x")),
        archive("a hard link to a later member", "sent to the build: 3 members", |t| {
            t.hard_link("l", "later").file("later", "")
        }),
        archive("a hard link to itself", TWO, |t| t.hard_link("l", "l")),
        archive("a hard link without a target", OUT, |t| link(t, EntryType::Link, "")),
        archive("a character device", ODD, |t| t.special("null", EntryType::Char)),
        archive("a block device", ODD, |t| t.special("sda", EntryType::Block)),
        archive("a named pipe", ODD, |t| t.special("pipe", EntryType::Fifo)),
    ]
}
