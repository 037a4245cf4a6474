//! The little that is done to URLs here: joining a redirect, and hiding passwords.

/// Returns where `location`, from an answer of `base`, leads; without a fragment. `None` when
/// `base` has no authority.
pub(crate) fn join(base: &str, location: &str) -> Option<String> {
    let location = location.split('#').next().unwrap_or(location);
    if scheme(location).is_some() {
        return Some(location.to_owned());
    }
    let authority = base.find("://")? + 3;
    let path = base
        .get(authority..)?
        .find(['/', '?', '#'])
        .map_or(base.len(), |length| authority + length);
    let (origin, rest) = base.split_at_checked(path)?;
    if location.starts_with("//") {
        let (scheme, _) = base.split_once("//")?;
        return Some(format!("{scheme}{location}"));
    }
    if location.starts_with('/') {
        return Some(format!("{origin}{location}"));
    }
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    let folder = rest.rfind('/').map_or("/", |slash| &rest[..=slash]);
    Some(format!("{origin}{folder}{location}"))
}

/// Returns the scheme of `url` (RFC 3986, section 3.1), as it was written.
pub(crate) fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let mut bytes = scheme.bytes();
    let valid = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    valid.then_some(scheme)
}

/// Returns whether `url` is one of this host's own files.
pub(crate) fn is_local(url: &str) -> bool {
    scheme(url).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file"))
}

/// Returns `url` without a user name and password, for messages.
pub(crate) fn redact(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{path}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_joined() {
        let base = "http://a.example:80/b/c?d#e";
        for (location, joined) in [
            ("https://z/y", "https://z/y"),
            ("//z/y", "http://z/y"),
            ("/y", "http://a.example:80/y"),
            ("y", "http://a.example:80/b/y"),
            ("/y#x", "http://a.example:80/y"),
            ("file:///etc/passwd", "file:///etc/passwd"),
        ] {
            assert_eq!(join(base, location).as_deref(), Some(joined), "{location}");
        }
        assert_eq!(join("http://a", "y").as_deref(), Some("http://a/y"));
        assert_eq!(join("a", "y"), None);
    }

    #[test]
    fn passwords_are_hidden() {
        for (url, shown) in [
            ("https://user:p@ss@host/x@y", "https://host/x@y"),
            ("https://host/x", "https://host/x"),
            ("file:///x@y", "file:///x@y"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(redact(url), shown);
        }
    }
}
