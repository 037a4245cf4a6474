//! The architectures Alpine is built for.

use std::fmt;

/// An architecture, by Alpine's own name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the name it has in Alpine")]
pub enum Arch {
    Aarch64,
    Armhf,
    Armv7,
    Loongarch64,
    Mips64,
    Ppc64le,
    Riscv64,
    S390x,
    X86,
    X86_64,
}

impl Arch {
    /// Every architecture, in the order of their names.
    pub const ALL: [Self; 10] = [
        Self::Aarch64,
        Self::Armhf,
        Self::Armv7,
        Self::Loongarch64,
        Self::Mips64,
        Self::Ppc64le,
        Self::Riscv64,
        Self::S390x,
        Self::X86,
        Self::X86_64,
    ];

    /// Returns the name that Alpine's mirrors and apk use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::Armhf => "armhf",
            Self::Armv7 => "armv7",
            Self::Loongarch64 => "loongarch64",
            Self::Mips64 => "mips64",
            Self::Ppc64le => "ppc64le",
            Self::Riscv64 => "riscv64",
            Self::S390x => "s390x",
            Self::X86 => "x86",
            Self::X86_64 => "x86_64",
        }
    }

    /// Returns the architecture of that name, if it is one of Alpine's.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.name() == name)
    }

    /// Returns what people call an architecture elsewhere: Docker's and Rust's names for Alpine's.
    pub(crate) fn from_alias(name: &str) -> Option<Self> {
        Some(match name {
            "amd64" | "x64" | "x86-64" => Self::X86_64,
            "arm64" | "armv8" => Self::Aarch64,
            "arm" | "armv7l" | "armv7hf" => Self::Armv7,
            "armv6" | "armv6l" => Self::Armhf,
            "386" | "i386" | "i586" | "i686" => Self::X86,
            "powerpc64le" | "ppc64el" => Self::Ppc64le,
            "riscv64gc" => Self::Riscv64,
            "loong64" => Self::Loongarch64,
            _ => return None,
        })
    }
}

/// Returns the names of `arches`, with commas between them.
pub(crate) fn list(arches: &[Arch]) -> String {
    arches
        .iter()
        .map(|arch| arch.name())
        .collect::<Vec<_>>()
        .join(", ")
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
