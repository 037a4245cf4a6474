//! A request as the server read it.

use std::io::{self, Read};

/// The most bytes that a request's head may have.
const MAX_HEAD: usize = 64 * 1024;

/// One request that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, such as `GET`.
    pub method: String,
    /// The target as it stood in the request line.
    pub path: String,
    /// The headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// Returns the value of the header `name` (in lower case), when it was sent.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Reads a request's head all but its last byte, so that the caller can still close the
    /// connection with something unread, which makes the kernel send a reset. Returns `None`
    /// when the peer closed before a request began.
    pub(super) fn read_all_but_one(stream: &mut impl Read) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r") {
            if stream.read(&mut byte)? == 0 {
                return Ok(None);
            }
            head.extend_from_slice(&byte);
            if head.len() > MAX_HEAD {
                return Err(io::Error::other("the request's head is too large"));
            }
        }
        Ok(Self::parse(&String::from_utf8_lossy(&head)))
    }

    fn parse(head: &str) -> Option<Self> {
        let mut lines = head.lines();
        let mut words = lines.next()?.split(' ');
        let method = words.next()?.to_owned();
        let path = words.next()?.to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Self {
            method,
            path,
            headers,
        })
    }
}
