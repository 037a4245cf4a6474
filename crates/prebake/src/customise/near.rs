//! What somebody may have meant who named what is not there.

use prebake_apk::path::GuestPath;
use prebake_rootfs::Tree;

use crate::document::nearest;

/// Returns the path that is most like one that is not there, by one part of it.
pub(super) fn path(tree: &Tree, missing: &GuestPath) -> Option<String> {
    // The last directory on the way that is there, and the part after it that is not.
    let mut path = missing.clone();
    loop {
        let parent = path.parent()?;
        let name = String::from_utf8_lossy(path.name()?).into_owned();
        if tree.follow(&parent).is_some() {
            let names = names_in(tree, &parent);
            let near = nearest(&name, names.iter().map(String::as_str))?;
            let near = parent.join(near.as_bytes()).ok()?;
            return Some(near.to_string());
        }
        path = parent;
    }
}

/// Returns the names of what is in a directory, sorted.
pub(super) fn names_in(tree: &Tree, directory: &GuestPath) -> Vec<String> {
    // Through links: the first name that is asked for tells where the directory is.
    let real = directory
        .join(b"x")
        .ok()
        .and_then(|path| tree.real_name(&path).ok())
        .and_then(|path| path.parent());
    let names = tree
        .in_order()
        .filter(|(path, ..)| path.parent() == real && real.is_some());
    let names = names.filter_map(|(path, ..)| path.name());
    let mut names: Vec<_> = names
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    names.sort();
    names
}
