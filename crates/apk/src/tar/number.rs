//! The numbers of a tar header.

/// Reads a field that holds no negative number; `None` if it is none or does not fit a `u64`.
pub(super) fn unsigned(field: &[u8]) -> Option<u64> {
    u64::try_from(signed(field)?).ok()
}

/// Reads a field: octal digits with spaces before and spaces or NULs behind, or GNU's base-256, whose
/// first byte says that it is one and no more than the sign: other bits there, and other white
/// space, are read differently by other programs.
pub(super) fn signed(field: &[u8]) -> Option<i64> {
    match field {
        [first @ (0x80 | 0xff), rest @ ..] => base_256(*first, rest),
        [first, ..] if first & 0x80 != 0 => None,
        _ => octal(field),
    }
}

fn octal(field: &[u8]) -> Option<i64> {
    let spaces = field.iter().take_while(|byte| **byte == b' ').count();
    let digits = field.get(spaces..)?;
    let end = digits
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end)?;
    if !rest.iter().all(|byte| matches!(byte, b' ' | 0)) {
        return None;
    }
    // No digits at all are a zero: many writers leave a field that does not matter empty. Of blanks
    // GNU tar says that they are none.
    if digits.is_empty() && spaces > 0 {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, digit| match digit {
        b'0'..=b'7' => value
            .checked_mul(8)
            .and_then(|value| value.checked_add(i64::from(digit - b'0'))),
        _ => None,
    })
}

fn base_256(first: u8, rest: &[u8]) -> Option<i64> {
    // Two's complement over the whole field but its first bit.
    let head = if first == 0xff { -1 } else { 0 };
    let value = rest.iter().try_fold(head, |value, byte| {
        let next = (value << 8) | i128::from(*byte);
        // 12-byte fields fit 96 bits, so that the shift above loses nothing.
        (next >> 100 == 0 || next >> 100 == -1).then_some(next)
    })?;
    i64::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_fields() {
        for (field, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"77777777777\0", Some(0o77_777_777_777)),
            (b"777777777777", Some(0o777_777_777_777)),
            (b"\0\0\0\0", Some(0)),
            (b"        ", None),
            (b"0000649\0", None),
            (b"644\0 17\0", None),
            (b"-000001\0", None),
            (b"0x00010\0", None),
            (b"\t000644\0", None),
            (b"00644\t\0\0", None),
            (b"\x0000644\0\0", None),
        ] {
            assert_eq!(
                signed(field),
                value,
                "{:?}",
                field.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn base_256_fields() {
        assert_eq!(signed(&[0x80, 0, 0, 1, 0]), Some(256));
        assert_eq!(signed(&[0xff; 12]), Some(-1));
        assert_eq!(unsigned(&[0xff; 12]), None);
        let mut largest = [0xff; 12];
        largest[..5].copy_from_slice(&[0x80, 0, 0, 0, 0x7f]);
        assert_eq!(signed(&largest), Some(i64::MAX));
        largest[4] = 0x80;
        assert_eq!(signed(&largest), None);
        for first in [0xbf, 0x81, 0xc0, 0xfe] {
            let mut other = [0; 12];
            (other[0], other[11]) = (first, 1);
            assert_eq!(signed(&other), None, "{first:#x}");
        }
    }
}
