//! Doors to what `prebake-fuzz` gives any bytes to. Nobody else's, and not kept stable.

use crate::wsl::text;

pub fn wsl_decode(bytes: &[u8]) -> String {
    text::decode(bytes)
}

pub fn wsl_code(text: &str) -> Option<&str> {
    text::code(text)
}

pub fn wsl_for_people(text: &str) -> String {
    text::for_people(text)
}
