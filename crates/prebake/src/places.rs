//! Where the inputs of a recipe are: URLs, and the other mirrors that have the same.

use crate::arch::Arch;
use crate::document::At;
use crate::error::Error;
use crate::local;
use crate::lock::{LockedPackage, LockedRootfs};
use crate::recipe::{Recipe, Repository, TrustedKey};
use crate::template::{Template, Values, branch};

/// The repositories of a branch that are used where a recipe names none.
const DEFAULT_REPOSITORIES: [&str; 2] = ["main", "community"];

/// A repository as one architecture sees it.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    /// The folder that holds the index and the packages.
    pub(crate) folder: String,
    /// The tag that packages of it are pinned by.
    pub(crate) tag: Option<&'a str>,
    /// The keys that may sign its index beside the base's.
    pub(crate) keys: &'a [TrustedKey],
}

impl Place<'_> {
    /// Returns the URL of the repository's index.
    pub(crate) fn index(&self) -> String {
        format!("{}/APKINDEX.tar.gz", self.folder)
    }

    /// Returns the URL of a package.
    pub(crate) fn package(&self, name: &str, version: &str) -> String {
        format!("{}/{name}-{version}.apk", self.folder)
    }
}

impl Recipe {
    /// Returns the release of the base, where the recipe says it.
    pub(crate) fn release(&self) -> Option<&str> {
        self.base
            .release
            .as_ref()
            .map(|release| release.value.as_str())
    }

    /// Returns the URL of the base for `arch`.
    pub(crate) fn base_url(&self, arch: Arch) -> Result<String, Error> {
        if let Some(url) = &self.base.url {
            return self.expanded(url, arch);
        }
        let Some(release) = self.release() else {
            let message = "`[base]` has neither `release` nor `url`".to_owned();
            return Err(self.problem(0..0, message, None).into());
        };
        let mirror = self.mirrors.first().map_or("", String::as_str);
        let branch = branch(release);
        let file = format!("alpine-minirootfs-{release}-{arch}.tar.gz");
        Ok(format!("{mirror}/{branch}/releases/{arch}/{file}"))
    }

    /// Returns the first place in `locked` that is none of this recipe's: a lock leads to no other
    /// host or file than its recipe does.
    pub(crate) fn stranger<'l>(&self, locked: &'l LockedRootfs) -> Result<Option<&'l str>, Error> {
        if let Some(base) = &locked.base
            && (self.base.scratch || base.url != self.base_url(locked.arch)?)
        {
            return Ok(Some(&base.url));
        }
        let places = self.places(locked.arch)?;
        let mut own = Vec::new();
        for asked in &self.locals {
            own.push(local::path(self, asked, locked.arch)?);
        }
        let mut packages = locked.packages();
        let stranger = packages.find(|package| {
            if package.local {
                !own.contains(&package.url)
            } else {
                !have(&places, package)
            }
        });
        Ok(stranger.map(|package| package.url.as_str()))
    }

    /// Refuses a base with nothing to check it by that would come from where somebody in between
    /// could change it: it brings the keys that everything else is checked with.
    pub(crate) fn refuse_changeable(&self, url: &str, arch: Arch) -> Result<(), Error> {
        if !is_changeable(url) && !self.everywhere(url).iter().any(|url| is_changeable(url)) {
            return Ok(());
        }
        let span = self.base.release.as_ref().or(self.base.url.as_ref());
        let span = span.map_or(0..0, |at| at.span.clone());
        let message =
            format!("the base for {arch} would come over plain HTTP with nothing to check it by");
        let hint = "use `https://` mirrors, or name its `sha256` in [base]".to_owned();
        Err(self.problem(span, message, Some(hint)).into())
    }

    /// Returns the repositories for `arch`, in order of preference.
    pub(crate) fn places(&self, arch: Arch) -> Result<Vec<Place<'_>>, Error> {
        let place = |url: &str, tag, keys| Place {
            folder: format!("{url}/{arch}"),
            tag,
            keys,
        };
        if !self.repositories.is_empty() {
            let of = |one: &'_ Repository| format!("{}/{arch}", one.url.value);
            return Ok(self
                .repositories
                .iter()
                .map(|one| Place {
                    folder: of(one),
                    tag: one.tag.as_deref(),
                    keys: &one.keys,
                })
                .collect());
        }
        let Some(release) = self.release() else {
            let span = self.base.url.as_ref().map_or(0..0, |url| url.span.clone());
            let message = "a base from elsewhere has no repositories of its own".to_owned();
            let hint = "add [[repository]] with a `url`, or `release` to [base]".to_owned();
            return Err(self.problem(span, message, Some(hint)).into());
        };
        let branch = branch(release);
        let mirror = self.mirrors.first().map_or("", String::as_str);
        Ok(DEFAULT_REPOSITORIES
            .iter()
            .map(|name| place(&format!("{mirror}/{branch}/{name}"), None, &[]))
            .collect())
    }

    /// Returns `url` and every other place where the recipe's mirrors have the same file, in the
    /// recipe's order. Below whichever of them `url` is: a lock may be older than the order.
    pub(crate) fn everywhere(&self, url: &str) -> Vec<String> {
        let mut urls = vec![url.to_owned()];
        let mut add = |roots: &[&str]| {
            let rests = roots.iter().filter_map(|root| url.strip_prefix(root));
            for rest in rests.filter(|rest| rest.starts_with('/')) {
                for root in roots {
                    let other = format!("{root}{rest}");
                    if !urls.contains(&other) {
                        urls.push(other);
                    }
                }
            }
        };
        add(&self.mirrors.iter().map(String::as_str).collect::<Vec<_>>());
        for repository in &self.repositories {
            let first = std::iter::once(&repository.url.value);
            let roots = first.chain(&repository.mirrors).map(String::as_str);
            add(&roots.collect::<Vec<_>>());
        }
        urls
    }

    /// Returns every place of the base for `arch`, of which `url` is one.
    pub(crate) fn base_everywhere(&self, url: &str, arch: Arch) -> Result<Vec<String>, Error> {
        let mut urls = self.everywhere(url);
        for mirror in &self.base.mirrors {
            let mirror = self.expanded(mirror, arch)?;
            if !urls.contains(&mirror) {
                urls.push(mirror);
            }
        }
        Ok(urls)
    }

    /// Returns a URL of the base with its variables replaced.
    fn expanded(&self, url: &At<String>, arch: Arch) -> Result<String, Error> {
        let fail = |message: String| {
            let hint = Some("add `release` to [base]".to_owned());
            self.problem(url.span.clone(), message, hint)
        };
        let template = Template::parse(&url.value).map_err(|error| fail(error.to_string()))?;
        let expanded = template.expand(&Values {
            name: &self.name,
            release: self.release(),
            arch,
        });
        let missing = "the URL names the release, which is not given".to_owned();
        expanded.map_err(|_| fail(missing).into())
    }
}

/// Says whether `package` is where one of these repositories would have it.
pub(crate) fn have(places: &[Place<'_>], package: &LockedPackage) -> bool {
    let mut here = places.iter();
    here.any(|place| place.package(&package.name, &package.version) == package.url)
}

/// Says whether somebody between here and the server could change what it sends.
fn is_changeable(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host != "localhost"
        && !host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_on_every_mirror_whichever_the_lock_names() {
        let text = "name = \"n\"\narch = \"x86_64\"\nmirrors = [\"https://a\", \"https://b/x\"]\n\
                    [base]\nurl = \"https://d/{arch}.tgz\"\nmirrors = [\"https://e/{arch}\"]\n\
                    sha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n\
                    [[repository]]\nurl = \"https://a/r\"\nmirrors = [\"file:///c\"]\n\
                    [[output]]\npath = \"o.tgz\"\n";
        let recipe = Recipe::parse(std::path::Path::new("r"), text.to_owned()).unwrap();
        let everywhere = |url: &str| recipe.everywhere(url).join(" ");
        assert_eq!(everywhere("https://a/v"), "https://a/v https://b/x/v");
        assert_eq!(everywhere("https://b/x/v"), "https://b/x/v https://a/v");
        let all = "https://a/r/v https://b/x/r/v file:///c/v";
        assert_eq!(everywhere("https://a/r/v"), all);
        assert_eq!(everywhere("file:///c/v"), "file:///c/v https://a/r/v");
        assert_eq!(everywhere("https://ab/v"), "https://ab/v");
        let url = recipe.base_url(Arch::X86_64).unwrap();
        let base = recipe.base_everywhere(&url, Arch::X86_64).unwrap();
        assert_eq!(base, ["https://d/x86_64.tgz", "https://e/x86_64"]);
    }

    #[test]
    fn only_plain_http_to_another_host_can_be_changed() {
        for (url, changeable) in [
            ("https://example.com/alpine", false),
            ("http://example.com/alpine", true),
            ("http://example.com:80/alpine", true),
            ("http://localhost@example.com/", true),
            ("http://127.0.0.1.example.com/", true),
            ("http://127.0.0.1:8080/alpine", false),
            ("http://[::1]:8080/alpine", false),
            ("http://localhost/alpine", false),
            ("file:///srv/alpine", false),
        ] {
            assert_eq!(is_changeable(url), changeable, "{url}");
        }
    }
}
