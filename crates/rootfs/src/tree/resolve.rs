//! Following symbolic links inside a tree.

use prebake_apk::path::GuestPath;

use super::{NodeKind, Tree};

/// The most symbolic links followed on the way to one file: Linux's own bound.
pub const MAX_LINKS: usize = 40;

/// Why a path leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Links lead in a circle, or are more than [`MAX_LINKS`].
    #[error("{0} leads through more than {MAX_LINKS} symbolic links")]
    Loop(GuestPath),
    /// A link names a path that no guest can have.
    #[error("the symbolic link {0} leads to what is no path")]
    Target(GuestPath),
    /// Something on the way is not there.
    #[error("{0} is not there")]
    Missing(GuestPath),
    /// Something on the way is not a directory.
    #[error("{0} is not a directory")]
    NotDirectory(GuestPath),
}

impl Tree {
    /// Returns the real name of what `path` leads to: every link is followed, also the last.
    pub fn resolve(&self, path: &GuestPath) -> Result<GuestPath, ResolveError> {
        self.walk(path, true)
    }

    /// Returns the name that something at `path` really has or would have: links to its
    /// directory are followed, itself it may be a link or not be there.
    pub fn real_name(&self, path: &GuestPath) -> Result<GuestPath, ResolveError> {
        self.walk(path, false)
    }

    fn walk(&self, path: &GuestPath, to_the_end: bool) -> Result<GuestPath, ResolveError> {
        // What is still to be walked, the next part last.
        let mut rest: Vec<Vec<u8>> = path.parts().rev().map(<[u8]>::to_vec).collect();
        let mut at = GuestPath::root();
        let mut links = 0;
        while let Some(part) = rest.pop() {
            match part.as_slice() {
                b"" | b"." => continue,
                // A link may climb; at the root `..` is the root, as inside a chroot.
                b".." => {
                    at = at.parent().unwrap_or_default();
                    continue;
                }
                _ => {}
            }
            let next = at
                .join(&part)
                .map_err(|_| ResolveError::Target(path.clone()))?;
            let last = rest.is_empty();
            match self.get(&next).map(|node| &node.kind) {
                Some(NodeKind::Symlink(target)) if !last || to_the_end => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(ResolveError::Loop(path.clone()));
                    }
                    if target.first() == Some(&b'/') {
                        at = GuestPath::root();
                    }
                    rest.extend(target.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec));
                }
                Some(NodeKind::Directory) => at = next,
                Some(_) if last => at = next,
                None if last && !to_the_end => at = next,
                Some(_) => return Err(ResolveError::NotDirectory(next)),
                None => return Err(ResolveError::Missing(next)),
            }
        }
        Ok(at)
    }
}
