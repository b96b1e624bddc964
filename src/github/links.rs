//! Links and other members that a build context cannot hold.

use super::members::{Kind, Member};

/// Why a member of the context, at `path` in it, may not be sent. Docker resolves links inside
/// its own root, so that an escaping one harms nobody: it is refused because
/// what it points to is not there in the build.
pub(super) fn reason_to_refuse(
    member: &Member,
    path: &[u8],
    is_in_context: impl Fn(&[u8]) -> bool,
) -> Option<&'static str> {
    const OUTSIDE: &str = "links out of the build context";
    match &member.kind {
        Kind::File | Kind::Folder => None,
        Kind::Other => Some("is a device, a pipe or of an unknown kind"),
        Kind::Symlink(target) | Kind::HardLink(target) if target.is_empty() || target.contains(&0) => {
            Some("is a link without a target")
        }
        Kind::Symlink(target) if target.starts_with(b"/") => Some("links to an absolute path"),
        Kind::Symlink(target) => {
            let parent = path.iter().rposition(|byte| *byte == b'/').map_or(&b""[..], |at| &path[..at]);
            leaves(&join(parent, target)).then_some(OUTSIDE)
        }
        Kind::HardLink(target) => (leaves(target) || !is_in_context(target)).then_some(OUTSIDE),
    }
}

/// Whether a relative path climbs above where it starts.
fn leaves(path: &[u8]) -> bool {
    let mut depth = 0_usize;
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if depth == 0 => return true,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

pub(super) fn join(folder: &[u8], path: &[u8]) -> Vec<u8> {
    if folder.is_empty() { path.to_vec() } else { [folder, path].join(&b'/') }
}
