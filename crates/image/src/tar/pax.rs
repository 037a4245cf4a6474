//! The records of a pax header.

/// Records that are being collected, in the order in which they are written.
#[derive(Debug, Default)]
pub(super) struct Records {
    bytes: Vec<u8>,
    /// Whether a name among them is not UTF-8, which is what pax takes names to be.
    binary: bool,
}

impl Records {
    /// Adds a name, which may be any bytes.
    pub(super) fn name(&mut self, key: &[u8], name: &[u8]) {
        self.binary |= str::from_utf8(name).is_err();
        self.raw(key, name);
    }

    /// Adds a number.
    pub(super) fn number(&mut self, key: &[u8], number: i128) {
        self.raw(key, number.to_string().as_bytes());
    }

    /// Adds a record: `<length> <key>=<value>\n`, where the length counts its own digits too.
    pub(super) fn raw(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(&record(key, value));
    }

    /// Returns all records; nothing if there are none.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        if self.binary {
            [record(b"hdrcharset", b"BINARY"), self.bytes].concat()
        } else {
            self.bytes
        }
    }
}

fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length.to_string().len() + rest != length {
        length += 1;
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_themselves() {
        for length in 0..2000 {
            let record = record(b"k", &vec![b'v'; length]);
            let digits = record.split(|byte| *byte == b' ').next().unwrap();
            let said: usize = str::from_utf8(digits).unwrap().parse().unwrap();
            assert_eq!(said, record.len());
        }
    }
}
