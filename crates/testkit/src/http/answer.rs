//! Answers, right and wrong.

use std::io::{self, Write};
use std::time::Duration;

use prebake_apk::digest::Sha256;

use super::fault::Fault;
use super::{Request, Stop};

/// What `Last-Modified` says of every file.
const LAST_MODIFIED: &str = "Wed, 01 Jan 2025 00:00:00 GMT";

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The next request may come.
    Keep,
    /// Closed in order.
    Close,
    /// Closed with input unread, so that a reset goes out.
    Reset,
    /// Left open in silence until the peer gives up.
    Silence,
}

/// The answer's body and the promises made about it.
struct Reply<'a> {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: &'a [u8],
}

/// Answers `request` for a file of this `content`, or for none. Notes in `delivered` whether that
/// was all of the file, or all that was asked for of it.
pub(super) fn answer(
    stream: &mut impl Write,
    request: &Request,
    content: Option<&[u8]>,
    fault: Option<&Fault>,
    stop: &Stop,
    delivered: &mut bool,
) -> io::Result<After> {
    let head_only = request.method == "HEAD";
    let (fault, also) = match fault {
        Some(Fault::Both(fault, also)) => (Some(&**fault), Some(&**also)),
        fault => (fault, None),
    };
    match fault {
        Some(Fault::Status(status)) => return plain(stream, request, *status, &[], "as planned\n"),
        Some(Fault::RetryAfter(status, value)) => {
            return plain(
                stream,
                request,
                *status,
                &[("Retry-After", value)],
                "later\n",
            );
        }
        Some(Fault::Redirect(status, location)) => {
            return plain(
                stream,
                request,
                *status,
                &[("Location", location)],
                "elsewhere\n",
            );
        }
        Some(Fault::Page(page)) => {
            let kind = [("Content-Type", "text/html; charset=utf-8")];
            return plain(stream, request, 200, &kind, page);
        }
        Some(Fault::Hang) => return Ok(After::Close),
        Some(Fault::Gibberish) => {
            stream.write_all(b"\x16\x03\x01 this is not HTTP\r\n\r\n")?;
            return Ok(After::Close);
        }
        _ => {}
    }
    let Some(content) = content else {
        return plain(stream, request, 404, &[], "no such file\n");
    };
    let content = match fault {
        Some(Fault::Body(bytes)) => bytes.as_slice(),
        _ => content,
    };
    let mut reply = reply(request, content, [fault, also]);
    let whole = reply.body.len() as u64;
    match fault {
        Some(Fault::Chunked | Fault::Endless) => {
            reply.headers.push(("Transfer-Encoding", "chunked".into()));
        }
        Some(Fault::Header(name, value)) => {
            reply.headers.push((name, value.clone()));
            reply.headers.push(("Content-Length", whole.to_string()));
        }
        Some(Fault::NoLength) => reply.headers.push(("Connection", "close".into())),
        Some(Fault::ClaimLength(length)) => {
            reply.headers.push(("Content-Length", length.to_string()));
        }
        _ if reply.status == 304 => {}
        _ => reply.headers.push(("Content-Length", whole.to_string())),
    }
    write_head(stream, request, reply.status, &reply.headers)?;
    if head_only || reply.status == 304 {
        return Ok(After::Keep);
    }
    let upto = |count: u64| &reply.body[..count.min(whole) as usize];
    match fault {
        Some(Fault::Truncate(count)) => {
            stream.write_all(upto(*count))?;
            Ok(After::Close)
        }
        Some(Fault::Reset(count)) => {
            stream.write_all(upto(*count))?;
            Ok(After::Reset)
        }
        Some(Fault::Stall(count)) => {
            stream.write_all(upto(*count))?;
            Ok(After::Silence)
        }
        Some(Fault::Slow(rate)) => {
            // Twenty portions a second.
            for portion in reply.body.chunks((rate / 20).max(1) as usize) {
                stream.write_all(portion)?;
                stream.flush()?;
                if stop.wait(Duration::from_millis(50)) {
                    return Ok(After::Close);
                }
            }
            Ok(After::Keep)
        }
        Some(Fault::Chunked) => {
            for portion in reply.body.chunks(1000) {
                write_chunk(stream, portion)?;
            }
            stream.write_all(b"0\r\n\r\n")?;
            Ok(After::Keep)
        }
        Some(Fault::Endless) => loop {
            let portion = if reply.body.is_empty() {
                b"and so on"
            } else {
                reply.body
            };
            write_chunk(stream, portion)?;
            if stop.wait(Duration::ZERO) {
                return Ok(After::Close);
            }
        },
        Some(Fault::ClaimLength(_) | Fault::NoLength) => {
            stream.write_all(reply.body)?;
            Ok(After::Close)
        }
        _ => {
            stream.write_all(reply.body)?;
            *delivered = matches!(reply.status, 200 | 206);
            Ok(After::Keep)
        }
    }
}

/// Settles validators, conditions and ranges (RFC 9110, sections 13 and 14).
fn reply<'a>(request: &Request, content: &'a [u8], faults: [Option<&Fault>; 2]) -> Reply<'a> {
    let has = |fault: &Fault| faults.contains(&Some(fault));
    let tag = format!("\"{}\"", &Sha256::of(content).to_string()[..16]);
    let mut headers = vec![("Accept-Ranges", "bytes".to_owned())];
    if has(&Fault::WeakValidator) {
        headers.push(("ETag", format!("W/{tag}")));
    } else if !has(&Fault::NoValidators) {
        headers.push(("ETag", tag.clone()));
        headers.push(("Last-Modified", LAST_MODIFIED.to_owned()));
    }
    let whole = |status, headers| Reply {
        status,
        headers,
        body: content,
    };
    if !has(&Fault::NoValidators) {
        let weak = |known: &str| known.trim_start_matches("W/") == tag;
        let unchanged = match request.header("if-none-match") {
            Some(known) => weak(known),
            None => request.header("if-modified-since") == Some(LAST_MODIFIED),
        };
        if unchanged {
            return Reply {
                status: 304,
                headers,
                body: &[],
            };
        }
    }
    let first = request
        .header("range")
        .and_then(|range| range.strip_prefix("bytes="))
        .and_then(|range| range.strip_suffix('-'))
        .and_then(|first| first.parse::<usize>().ok());
    let same = request.header("if-range").is_none_or(|known| known == tag);
    let Some(first) = first.filter(|_| same && !has(&Fault::IgnoreRange)) else {
        return whole(200, headers);
    };
    let length = content.len();
    if first >= length || has(&Fault::RefuseRange) {
        headers.push(("Content-Range", format!("bytes */{length}")));
        return Reply {
            status: 416,
            headers,
            body: &[],
        };
    }
    let claimed = if has(&Fault::WrongRange) {
        first / 2
    } else {
        first
    };
    let last = length - 1;
    headers.push(("Content-Range", format!("bytes {claimed}-{last}/{length}")));
    Reply {
        status: 206,
        headers,
        body: &content[claimed..],
    }
}

/// Sends a small answer in one piece.
fn plain(
    stream: &mut impl Write,
    request: &Request,
    status: u16,
    headers: &[(&'static str, &str)],
    body: &str,
) -> io::Result<After> {
    let mut headers: Vec<_> = headers
        .iter()
        .map(|&(name, value)| (name, value.to_owned()))
        .collect();
    headers.push(("Content-Length", body.len().to_string()));
    write_head(stream, request, status, &headers)?;
    stream.write_all(body.as_bytes())?;
    Ok(After::Keep)
}

fn write_head(
    stream: &mut impl Write,
    request: &Request,
    status: u16,
    headers: &[(&'static str, String)],
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    if request.header("connection") == Some("close") {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())
}

fn write_chunk(stream: &mut impl Write, portion: &[u8]) -> io::Result<()> {
    stream.write_all(format!("{:x}\r\n", portion.len()).as_bytes())?;
    stream.write_all(portion)?;
    stream.write_all(b"\r\n")
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        403 => "Forbidden",
        404 => "Not Found",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "As Planned",
    }
}
