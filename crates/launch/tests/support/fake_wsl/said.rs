//! What the program says, in the encodings of the real one.

use std::io::Write as _;

/// How text is written.
#[derive(Clone, Copy)]
pub(crate) enum Said {
    Utf8,
    Utf16,
    Utf16Marked,
}

impl Said {
    /// Takes UTF-8 where that is asked for, unless this version does not know the question.
    pub(crate) fn new(behaviour: &[String]) -> Self {
        let is = |word: &str| behaviour.iter().any(|other| other == word);
        let utf8 = std::env::var_os("WSL_UTF8").is_some_and(|value| value == "1");
        if is("marked-utf16") {
            Self::Utf16Marked
        } else if is("utf16") || !utf8 {
            Self::Utf16
        } else {
            Self::Utf8
        }
    }

    pub(crate) fn line(self, text: &str) {
        let text = format!("{text}\r\n");
        let mut bytes = Vec::new();
        match self {
            Self::Utf8 => bytes.extend(text.as_bytes()),
            Self::Utf16 => bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
            Self::Utf16Marked => {
                // A mark at the start of the stream only; each line is a stream to us.
                static MARKED: std::sync::Once = std::sync::Once::new();
                MARKED.call_once(|| bytes.extend([0xff, 0xfe]));
                bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
            }
        }
        let mut out = std::io::stdout().lock();
        out.write_all(&bytes).unwrap();
        out.flush().unwrap();
    }
}
