//! What `wsl.exe` says: any bytes are a text, and what is shown of it is one plain line.

use prebake_launch::fuzzing::{wsl_code, wsl_decode, wsl_for_people};

use crate::tame::assert_tame;

/// Reads what was said.
pub(crate) fn wsl(data: &[u8]) {
    let text = wsl_decode(data);
    if let Some(code) = wsl_code(&text) {
        assert!(text.contains(code));
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        assert!(code.chars().all(plain), "{code:?}");
    }
    let shown = wsl_for_people(&text);
    assert_tame(&shown);
    assert!(!shown.is_empty() && !shown.contains('\n'));
    assert!(shown.chars().count() <= 600);
    // A line whose letters come after what is shown is cut before them, and then has none.
    if shown.contains(char::is_alphabetic) {
        assert_eq!(wsl_for_people(&shown).trim(), shown.trim());
    }
    // A text is the same in every encoding, but for what UTF-16LE is told apart by.
    let plain = text.replace(['\0', '\u{feff}'], "") + "\n";
    let units = plain.encode_utf16().flat_map(u16::to_le_bytes);
    let utf16: Vec<u8> = units.collect();
    let plain = plain.replace("\r\n", "\n");
    assert_eq!(wsl_decode(plain.as_bytes()), plain.replace("\r\n", "\n"));
    assert_eq!(wsl_decode(&utf16), plain);
}
