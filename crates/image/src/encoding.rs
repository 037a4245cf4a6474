//! What an image is encoded as, and how small.

use libdeflater::{CompressionLvl, Compressor};
use zstd::bulk::Compressor as Zstd;
use zstd::zstd_safe::CParameter;

use crate::deflate::{self, Deflater, Origin};
use crate::plan::Borders;

/// The compressors by the names and versions in `Cargo.lock`. The workspace pins them exactly,
/// because another version may give other bytes; changing a pin is announced in the changelog.
pub const COMPRESSORS: [&str; 3] = [
    "libdeflate-sys 1.26.1",
    "zstd-safe 7.4.1",
    "zstd-sys 2.1.3+zstd.1.5.7",
];

/// Names how blocks of other files are chosen; the number goes up when others are.
const GRAFTS: &str = "grafts 1";

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// One gzip member.
    TarGz,
    /// Zstandard frames.
    TarZst,
}

/// How much time is taken to make an archive small. It changes nothing that is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Level {
    /// None: gzip stores, zstd does what costs next to nothing.
    Instant,
    /// Little: gzip is as small as Go's and zlib's default.
    Fast,
    /// What is worth it in a build that is done often.
    #[default]
    Default,
    /// What is worth it in a release.
    Small,
    /// All that makes it smaller, with the memory that it takes.
    Smallest,
}

/// A format at a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Encoding {
    /// The format.
    pub format: Format,
    /// The level.
    pub level: Level,
}

/// An encoded segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    /// What is written.
    pub(crate) bytes: Vec<u8>,
    /// The CRC-32 of what was encoded; 0 where the format needs none.
    pub(crate) crc: u32,
}

/// Encodes segments, one after another; none leaves a trace in the next.
pub(crate) enum Encoder {
    Deflate(Box<Deflater>),
    Zstd(Box<Zstd<'static>>),
}

impl Level {
    /// Every level, from the fastest to the smallest.
    pub const ALL: [Self; 5] = [
        Self::Instant,
        Self::Fast,
        Self::Default,
        Self::Small,
        Self::Smallest,
    ];

    /// Returns what a recipe calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Fast => "fast",
            Self::Default => "default",
            Self::Small => "small",
            Self::Smallest => "smallest",
        }
    }

    /// Returns the level of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

impl Encoding {
    /// `tar.gz` at the default level.
    pub const DEFAULT: Self = Self {
        format: Format::TarGz,
        level: Level::Default,
    };

    /// Returns the compressor's own number for the level.
    fn number(self) -> i32 {
        match (self.format, self.level) {
            (Format::TarGz, Level::Instant) => 0,
            (Format::TarGz, Level::Fast) => 2,
            (Format::TarGz, Level::Default) => 5,
            (Format::TarGz, Level::Small) => 9,
            (Format::TarGz, Level::Smallest) => 12,
            (Format::TarZst, Level::Instant) => 1,
            (Format::TarZst, Level::Fast) => 3,
            (Format::TarZst, Level::Default) => 7,
            (Format::TarZst, Level::Small) => 15,
            (Format::TarZst, Level::Smallest) => 19,
        }
    }

    /// Returns where a stream is cut for it.
    ///
    /// Measured on 138 packages, 53 MB: gzip at the default level is 0.1 % larger than with
    /// segments of 4 MiB, as deflate looks back no further than 32 KiB; zstd is 4 % larger with
    /// 1 MiB than with 4 MiB. At zstd's smallest, all up to 64 MiB are one segment, so that a file
    /// is found again wherever it stands, and a change costs the whole encoding.
    pub fn borders(self) -> Borders {
        let (least, most) = match (self.format, self.level) {
            (Format::TarGz, _) => (128 << 10, 1 << 20),
            (Format::TarZst, Level::Smallest) => (u64::MAX, 64 << 20),
            (Format::TarZst, _) => (512 << 10, 4 << 20),
        };
        Borders { least, most }
    }

    /// Returns what names everything about the encoding that its bytes depend on.
    pub fn name(self) -> String {
        let [deflate, zstd, library] = COMPRESSORS;
        match self.format {
            Format::TarGz if self.grafts() => {
                format!("tar.gz {deflate} level {} {GRAFTS}", self.number())
            }
            Format::TarGz => format!("tar.gz {deflate} level {}", self.number()),
            Format::TarZst => format!("tar.zst {zstd} {library} level {}", self.number()),
        }
    }

    /// Says whether blocks of the files that contents come from are taken as they are. Most were
    /// made by gzip at its best, which takes longer than these levels and makes it as small.
    pub fn grafts(self) -> bool {
        self.format == Format::TarGz && matches!(self.level, Level::Fast | Level::Default)
    }

    /// Returns what the file begins with.
    pub(crate) fn head(self) -> &'static [u8] {
        match self.format {
            // Deflate, no flags, no time, no hint about the level, unknown system.
            Format::TarGz => &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255],
            Format::TarZst => &[],
        }
    }

    /// Returns what ends the file: `crc` is that of `length` bytes.
    pub(crate) fn tail(self, crc: u32, length: u64) -> Vec<u8> {
        match self.format {
            // The length is kept modulo 2^32.
            Format::TarGz => [
                &deflate::END[..],
                &crc.to_le_bytes(),
                &(length as u32).to_le_bytes(),
            ]
            .concat(),
            Format::TarZst => Vec::new(),
        }
    }

    /// Returns an encoder of segments; `None` where there is no memory for one.
    pub(crate) fn encoder(self) -> Option<Encoder> {
        Some(match self.format {
            Format::TarGz => {
                let level = CompressionLvl::new(self.number()).ok()?;
                Encoder::Deflate(Box::new(Deflater::new(Compressor::new(level))))
            }
            Format::TarZst => {
                let mut zstd = Zstd::new(self.number()).ok()?;
                zstd.set_parameter(CParameter::ChecksumFlag(true)).ok()?;
                if self.level == Level::Smallest {
                    // What every reader takes without being asked for more memory is 2^27.
                    zstd.long_distance_matching(true).ok()?;
                    zstd.window_log(26).ok()?;
                }
                Encoder::Zstd(Box::new(zstd))
            }
        })
    }
}

impl Encoder {
    /// Encodes a segment of which parts have `origins`; `None` where the compressor has no memory
    /// or breaks its promises.
    pub(crate) fn encode(&mut self, segment: &[u8], origins: &[Origin]) -> Option<Encoded> {
        match self {
            Self::Deflate(deflater) => Some(Encoded {
                bytes: deflater.deflate(segment, origins)?,
                crc: zlib_rs::crc32::crc32(0, segment),
            }),
            Self::Zstd(compressor) => Some(Encoded {
                bytes: compressor.compress(segment).ok()?,
                crc: 0,
            }),
        }
    }
}
