//! Where in a vendored folder the file of a URL goes.
//!
//! What is below one of the recipe's `mirrors` has the same path below the folder, so that the
//! folder is one more such mirror. What is elsewhere goes by the part of its path that begins with a
//! branch of Alpine's (`v3.20/…`, `edge/…`), where another repository is not there already, and
//! else by its host and whole path. A folder of a URL stays one folder, as an index and its packages
//! lie side by side.

use std::collections::BTreeMap;

use super::VendorError;
use super::manifest::is_name;
use crate::recipe::Recipe;

/// The folder of the public keys.
pub(super) const KEYS: &str = "keys";
/// The folder of the packages that lie beside the recipe, below it one for each architecture.
pub(super) const LOCAL: &str = "local";
/// The folder of the locks and the records of what scripts did.
pub(super) const LOCKS: &str = "locks";

/// The places of URLs' folders.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// By the URL's folder.
    places: BTreeMap<String, String>,
    /// The same the other way round, in lowercase: some file systems know no other.
    taken: BTreeMap<String, String>,
}

impl Places {
    /// Finds a place for every URL of a lock, in its order.
    pub(super) fn of<'u>(
        recipe: &Recipe,
        urls: impl Iterator<Item = &'u str> + Clone,
    ) -> Result<Self, VendorError> {
        let mut places = Self::default();
        // What is Alpine's own by the recipe is so wherever it stands in the lock.
        for (folder, _) in urls.clone().filter_map(split) {
            if let Some(place) = below_mirrors(recipe, folder) {
                places.take(folder, &place);
            }
        }
        for (folder, _) in urls.filter_map(split) {
            if places.places.contains_key(folder) {
                continue;
            }
            let (by_branch, whole) = (from_branch(folder), whole(folder));
            let found = by_branch.is_some_and(|place| places.take(folder, &place))
                || places.take(folder, &whole);
            if !found {
                let other = places.taken.get(&whole.to_lowercase());
                return Err(VendorError::SamePlace {
                    one: folder.to_owned(),
                    other: other.cloned().unwrap_or_default(),
                    path: whole,
                });
            }
        }
        Ok(places)
    }

    /// Returns the path of a URL's file, relative to the folder.
    pub(super) fn path(&self, url: &str) -> Option<String> {
        let (folder, name) = split(url)?;
        let place = self.places.get(folder)?;
        Some(format!("{place}/{}", plain(name)))
    }

    /// Returns the path of the repository that an index's URL is of: what apk is told.
    pub(super) fn repository(&self, index: &str) -> Option<&str> {
        let place = self.places.get(split(index)?.0)?;
        place.rsplit_once('/').map(|(repository, _)| repository)
    }

    /// Gives a place to a URL's folder, unless it is another's or has a meaning of its own.
    fn take(&mut self, folder: &str, place: &str) -> bool {
        let first = place.split('/').next().unwrap_or_default();
        let known = place.to_lowercase();
        if [KEYS, LOCAL, LOCKS].contains(&first)
            || self.taken.get(&known).is_some_and(|other| other != folder)
        {
            return false;
        }
        self.taken.insert(known, folder.to_owned());
        self.places.insert(folder.to_owned(), place.to_owned());
        true
    }
}

/// Splits a URL into its folder and its file's name, without what a server is only asked by.
fn split(url: &str) -> Option<(&str, &str)> {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    url.rsplit_once('/')
}

/// Returns the path of a URL's folder below whichever of the recipe's mirrors it is on.
fn below_mirrors(recipe: &Recipe, folder: &str) -> Option<String> {
    let mut mirrors = recipe.mirrors.iter();
    let rest = mirrors.find_map(|root| folder.strip_prefix(root.as_str())?.strip_prefix('/'))?;
    Some(joined(rest.split('/')))
}

/// Returns the part of a URL's path from a branch of Alpine's on: the last that looks like one.
fn from_branch(folder: &str) -> Option<String> {
    let parts: Vec<_> = parts(folder).1.collect();
    let from = parts.iter().rposition(|part| is_branch(part))?;
    Some(joined(parts.get(from..)?.iter().copied()))
}

fn is_branch(part: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let version = part.strip_prefix('v').and_then(|rest| rest.split_once('.'));
    matches!(part, "edge" | "latest-stable")
        || version.is_some_and(|(major, minor)| number(major) && number(minor))
}

/// Returns host and path of a URL's folder; the scheme where it is another than `https`.
fn whole(folder: &str) -> String {
    let ((scheme, host), path) = parts(folder);
    let scheme = Some(scheme).filter(|scheme| *scheme != "https");
    let host = Some(host).filter(|host| !host.is_empty());
    joined(scheme.into_iter().chain(host).chain(path))
}

/// Returns a URL's scheme and host (with its port, and without a password), and the parts of its
/// path.
fn parts(url: &str) -> ((&str, &str), impl Iterator<Item = &str>) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once('@');
    let host = host.map_or(authority, |(_, host)| host);
    ((scheme, host), path.split('/'))
}

/// Joins the parts of a path, each as it may stand in one on every host.
fn joined<'p>(parts: impl Iterator<Item = &'p str>) -> String {
    let parts = parts.filter(|part| !matches!(*part, "" | "."));
    parts.map(plain).collect::<Vec<_>>().join("/")
}

/// Returns a part of a URL's path as a file's name: what is written as `%2B` is a `+`, as a server
/// has it, and what no name may have is a `_`.
fn plain(part: &str) -> String {
    let decoded = decoded(part).unwrap_or_else(|| part.to_owned());
    if is_name(&decoded) {
        return decoded;
    }
    let good = |c: char| c.is_ascii_alphanumeric() || "+-.~@=,".contains(c);
    let name: String = decoded
        .chars()
        .map(|c| if good(c) { c } else { '_' })
        .collect();
    if is_name(&name) { name } else { "_".to_owned() }
}

fn decoded(part: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = part.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn places(urls: &[&str]) -> Result<Vec<String>, VendorError> {
        let text = "name = \"n\"\narch = \"x86_64\"\nmirrors = [\"https://a.org/alpine\", \
                    \"http://b.org:8080/pub\"]\n[base]\nrelease = \"3.20.3\"\n[[output]]\n\
                    path = \"o.tar.gz\"\n";
        let recipe = Recipe::parse(Path::new("prebake.toml"), text.to_owned()).unwrap();
        let places = Places::of(&recipe, urls.iter().copied())?;
        Ok(urls.iter().map(|url| places.path(url).unwrap()).collect())
    }

    #[test]
    fn urls_become_paths() {
        for (url, path) in [
            (
                "https://a.org/alpine/v3.20/main/x86_64/a-1.apk",
                "v3.20/main/x86_64/a-1.apk",
            ),
            (
                "http://b.org:8080/pub/edge/main/x86_64/a-1.apk",
                "edge/main/x86_64/a-1.apk",
            ),
            (
                "https://c.org/x/v3.20/own/x86_64/a-1.apk",
                "v3.20/own/x86_64/a-1.apk",
            ),
            (
                "https://u:p@c.org/x/x86_64/a%2B%3A-1.apk?t=1#x",
                "c.org/x/x86_64/a+_-1.apk",
            ),
            ("http://c.org:80/x86_64/a.apk", "http/c.org_80/x86_64/a.apk"),
            ("file:///srv/x86_64/a.apk", "file/srv/x86_64/a.apk"),
            ("https://c.org/%2e%2e/x/../a.apk", "c.org/_/x/_/a.apk"),
            ("https://keys/x/a.apk", "_"),
        ] {
            match places(&[url]) {
                Ok(found) => assert_eq!(found, [path], "{url}"),
                Err(error) => assert_eq!(path, "_", "{error}"),
            }
        }
    }

    #[test]
    fn equal_paths_on_different_hosts_are_two_places() {
        let urls = [
            "https://c.org/v3.20/main/x86_64/APKINDEX.tar.gz",
            "https://d.org/v3.20/main/x86_64/APKINDEX.tar.gz",
            "https://a.org/alpine/v3.20/main/x86_64/APKINDEX.tar.gz",
            "https://c.org/v3.20/main/x86_64/b-1.apk",
            "https://c.org/V3.20/main/x86_64/b-1.apk",
        ];
        let paths = [
            "c.org/v3.20/main/x86_64/APKINDEX.tar.gz",
            "d.org/v3.20/main/x86_64/APKINDEX.tar.gz",
            "v3.20/main/x86_64/APKINDEX.tar.gz",
            "c.org/v3.20/main/x86_64/b-1.apk",
        ];
        assert_eq!(places(&urls[..4]).unwrap(), paths);
        let error = places(&urls).unwrap_err();
        assert!(matches!(error, VendorError::SamePlace { .. }), "{error}");
    }
}
