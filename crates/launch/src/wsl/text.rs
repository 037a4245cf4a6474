//! What `wsl.exe` writes, read as text.
//!
//! It writes UTF-16LE to a pipe unless the environment has `WSL_UTF8=1`, and versions before 0.64
//! do not know that variable. Nothing is decided by its words, which are in the user's language.
//! What it prints untranslated is its own names of options and distributions, and the code at the
//! end of an error: `Wsl/Service/RegisterDistro/ERROR_ALREADY_EXISTS`, or a bare `0x80370102` of
//! older versions.

/// Reads bytes as UTF-16LE, with a byte order mark or without, or as UTF-8.
///
/// UTF-8 text has no NUL. UTF-16LE of it has one beside each line's end at least, so a NUL tells
/// them apart.
pub(crate) fn decode(bytes: &[u8]) -> String {
    let marked = bytes.strip_prefix(&[0xff, 0xfe]);
    let text = match marked {
        None if !bytes.contains(&0) => {
            let bytes = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(bytes);
            String::from_utf8_lossy(bytes).into_owned()
        }
        _ => {
            let units = marked.unwrap_or(bytes).chunks_exact(2);
            let units = units.map(|pair| match *pair {
                [low, high] => u16::from_le_bytes([low, high]),
                _ => 0,
            });
            char::decode_utf16(units)
                .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
    };
    text.replace("\r\n", "\n")
}

/// Returns the code of an error, without the way to it: `ERROR_ALREADY_EXISTS`, `0x80370102`.
pub(crate) fn code(text: &str) -> Option<&str> {
    let is_edge = |letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '/' | '_'));
    let mut words = text.split(is_edge);
    let named = words.clone().find(|word| word.starts_with("Wsl/"));
    let named = named.and_then(|word| word.rsplit('/').next());
    named.or_else(|| words.find(|word| is_number(word)))
}

fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix("0x").unwrap_or_default();
    (3..=8).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Returns the text for an error: on one line, without the lines that show progress and whatever
/// else has no letter, and not more of it than one reads.
pub(crate) fn for_people(text: &str) -> String {
    /// How much is shown, in characters.
    const MOST: usize = 600;
    let lines = text.lines().map(|line| {
        // Progress is written over itself.
        line.rsplit('\r').next().unwrap_or(line).trim()
    });
    let lines = lines.filter(|line| line.contains(char::is_alphabetic));
    let joined = lines.collect::<Vec<_>>().join(" ");
    let clean: String = joined
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(MOST)
        .collect();
    if clean.is_empty() {
        return "it said nothing".to_owned();
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::{code, decode, for_people};

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn every_encoding_is_the_same_text() {
        let text = "Größe 大きさ 🐧\nprebake-a\n";
        let on_windows = text.replace('\n', "\r\n");
        let marked = [&[0xff, 0xfe][..], &utf16(&on_windows)].concat();
        let marked_utf8 = [&[0xef, 0xbb, 0xbf][..], on_windows.as_bytes()].concat();
        for bytes in [
            on_windows.as_bytes(),
            &utf16(&on_windows),
            &marked,
            &marked_utf8,
        ] {
            assert_eq!(decode(bytes), text);
        }
        // No letter of it has a zero byte, but its line's end has.
        assert_eq!(decode(&utf16("大\r\n")), "大\n");
        assert_eq!(decode(b""), "");
        // An odd byte at the end is cut off, and half a pair is marked as such.
        assert_eq!(decode(b"a\0b\0\xff"), "ab");
        assert_eq!(decode(&[0, 0xd8, b'a', 0]), "\u{fffd}a");
    }

    #[test]
    fn codes_are_found_in_any_language() {
        for (text, expected) in [
            (
                "Error code: Wsl/Service/RegisterDistro/ERROR_ALREADY_EXISTS\n",
                Some("ERROR_ALREADY_EXISTS"),
            ),
            (
                "错误代码: Wsl/Service/CreateVm/HCS/HCS_E_HYPERV_NOT_INSTALLED。",
                Some("HCS_E_HYPERV_NOT_INSTALLED"),
            ),
            ("Wsl/Service/0x8000ffff", Some("0x8000ffff")),
            ("Fehler: 0x80370102 Der virtuelle", Some("0x80370102")),
            ("Error: 0x1bc", Some("0x1bc")),
            ("see https://aka.ms/Wsl/store or 0xg, 0x", None),
            ("", None),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }

    #[test]
    fn people_are_shown_one_line() {
        assert_eq!(
            for_people("10%\r20%\rDone\n[====  ]\n  No\tsuch\u{7}\n"),
            "Done No such "
        );
        assert_eq!(for_people("\n 100 %\n"), "it said nothing");
        assert_eq!(for_people(&"ä".repeat(5000)).chars().count(), 600);
    }
}
