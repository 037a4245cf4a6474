//! Reads archives back.

use std::io::{self, BufRead, Read};

use prebake_apk::gzip;
use zstd::stream::read::Decoder;

/// What a Zstandard frame begins with (RFC 8878, 3.1.1).
pub const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Returns the uncompressed stream of an archive in any [`Format`](crate::encoding::Format). A
/// frame that needs a window of more than 128 MiB is refused, as `zstd` itself does.
pub fn decode<'r>(mut archive: impl BufRead + 'r) -> io::Result<Box<dyn Read + 'r>> {
    if archive.fill_buf()?.starts_with(&ZSTD_MAGIC) {
        return Ok(Box::new(Decoder::with_buffer(archive)?));
    }
    Ok(Box::new(gzip::Reader::new(archive)))
}
