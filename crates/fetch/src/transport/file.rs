//! `file://` URLs (RFC 8089).

use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use fs_err::File;

use super::{Request, Response, TransportError, Validators};

/// Opens the file that the request's URL names. A missing file is an answer of 404, so that a
/// folder used as a mirror behaves as a served one does.
pub(super) fn get(request: &Request<'_>) -> Result<Response, TransportError> {
    let path = path(request.url).ok_or(TransportError::Url)?;
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(response(404, 0, Box::new(io::empty())));
        }
        Err(error) => return Err(TransportError::File(error)),
    };
    let metadata = file.metadata().map_err(TransportError::File)?;
    if !metadata.is_file() {
        // A pipe or a device could block for ever or never end.
        return Err(TransportError::File(io::Error::other(
            "it is not a regular file",
        )));
    }
    let size = metadata.len();
    if request.offset == 0 || request.offset >= size {
        return Ok(response(200, size, Box::new(file)));
    }
    file.seek(SeekFrom::Start(request.offset))
        .map_err(TransportError::File)?;
    let mut response = response(206, size - request.offset, Box::new(file));
    let (first, last) = (request.offset, size - 1);
    response.content_range = Some(format!("bytes {first}-{last}/{size}"));
    Ok(response)
}

fn response(status: u16, length: u64, body: Box<dyn Read>) -> Response {
    Response {
        status,
        length: Some(length),
        framed: true,
        content_range: None,
        validators: Validators::default(),
        retry_after: None,
        html: false,
        body,
    }
}

/// Returns the path that a `file://` URL names on this host.
#[cfg(unix)]
fn path(url: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let (host, path) = parts(url)?;
    let path = std::ffi::OsString::from_vec(path);
    host.is_empty().then(|| PathBuf::from(path))
}

/// Returns the path that a `file://` URL names on this host.
#[cfg(not(unix))]
fn path(url: &str) -> Option<PathBuf> {
    let (host, path) = parts(url)?;
    windows(&host, &path).map(PathBuf::from)
}

/// Splits a URL into its host (empty for this one) and its path's bytes, which start with a
/// slash.
fn parts(url: &str) -> Option<(String, Vec<u8>)> {
    let (_, rest) = url.split_once(':')?;
    let rest = rest.strip_prefix("//")?;
    let slash = rest.find('/')?;
    let (host, path) = rest.split_at_checked(slash)?;
    let host = if host.eq_ignore_ascii_case("localhost") {
        ""
    } else {
        host
    };
    let path = path.split(['?', '#']).next().unwrap_or(path);
    Some((host.to_owned(), percent_decoded(path)?))
}

/// Returns the Windows path of a URL's parts: `/C:/a` is `C:/a`, and a host makes a UNC path.
#[cfg(any(test, not(unix)))]
fn windows(host: &str, path: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(path).ok()?;
    if !host.is_empty() {
        return Some(format!(r"\\{host}{}", path.replace('/', r"\")));
    }
    match path.as_bytes() {
        [b'/', drive, b':', b'/', ..] if drive.is_ascii_alphabetic() => {
            path.get(1..).map(str::to_owned)
        }
        _ => None,
    }
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    // A zero byte ends a path early for the operating system.
    (!bytes.contains(&0)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_become_parts() {
        for (url, host, path) in [
            ("file:///a/b%20c", "", "/a/b c"),
            ("FILE://LocalHost/a", "", "/a"),
            ("file://server/share/x", "server", "/share/x"),
            ("file:///C:/x", "", "/C:/x"),
        ] {
            let expected = (host.to_owned(), path.as_bytes().to_vec());
            assert_eq!(parts(url), Some(expected), "{url}");
        }
        for url in [
            "file:a",
            "file://",
            "file:///%0",
            "file:///%00",
            "file:///%zz",
        ] {
            assert_eq!(parts(url), None, "{url}");
        }
    }

    #[test]
    fn windows_paths_have_a_drive_or_a_host() {
        assert_eq!(windows("", b"/C:/a b").as_deref(), Some("C:/a b"));
        assert_eq!(windows("server", b"/x/y").as_deref(), Some(r"\\server\x\y"));
        assert_eq!(windows("", b"/a"), None);
    }
}
