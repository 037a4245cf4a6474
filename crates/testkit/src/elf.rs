//! Static ELF programs made by hand, for a root filesystem that has nothing else to run.
//!
//! They use no libc and no stack beyond what the kernel gave, a few hundred bytes each. Judged by
//! Linux (x86_64) and by `readelf` and `llvm-objdump` (both), see `tests/programs.rs`.

mod aarch64;
mod x86_64;

/// The instruction set of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// AMD64.
    X86_64,
    /// ARM of 64 bits.
    Aarch64,
}

/// A program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Ends with 0.
    True,
    /// Ends with 1.
    False,
    /// Writes [`Program::GREETING`] and ends with 0.
    Hello,
    /// Writes its arguments, a space between and a newline after them.
    Echo,
    /// Writes the files that its arguments name, or its standard input. Ends with 1 where it
    /// cannot.
    Cat,
    /// Waits as many seconds as its argument says, or for longer than any test.
    Sleep,
}

impl Machine {
    /// Returns the machine of an architecture as Alpine names it, if there are programs for it.
    pub fn of(arch: &str) -> Option<Self> {
        match arch {
            "x86_64" => Some(Self::X86_64),
            "aarch64" => Some(Self::Aarch64),
            _ => None,
        }
    }

    /// Returns the ELF header's `e_machine`.
    const fn number(self) -> u16 {
        match self {
            Self::X86_64 => 62,
            Self::Aarch64 => 183,
        }
    }
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::True,
        Self::False,
        Self::Hello,
        Self::Echo,
        Self::Cat,
        Self::Sleep,
    ];

    /// What [`Program::Hello`] writes.
    pub const GREETING: &'static str = "hello from a handmade program\n";

    /// Returns the name that it has in a base's `/bin`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Hello => "hello",
            Self::Echo => "echo",
            Self::Cat => "cat",
            Self::Sleep => "sleep",
        }
    }

    /// Returns the program as an ELF file.
    pub fn elf(self, machine: Machine) -> Vec<u8> {
        let mut code = self.code(machine);
        if self == Self::Hello {
            code.extend_from_slice(Self::GREETING.as_bytes());
        }
        file(machine, &code)
    }

    fn code(self, machine: Machine) -> Vec<u8> {
        match machine {
            Machine::X86_64 => match self {
                Self::True => x86_64::TRUE,
                Self::False => x86_64::FALSE,
                Self::Hello => x86_64::HELLO,
                Self::Echo => x86_64::ECHO,
                Self::Cat => x86_64::CAT,
                Self::Sleep => x86_64::SLEEP,
            }
            .to_vec(),
            Machine::Aarch64 => match self {
                Self::True => aarch64::TRUE,
                Self::False => aarch64::FALSE,
                Self::Hello => aarch64::HELLO,
                Self::Echo => aarch64::ECHO,
                Self::Cat => aarch64::CAT,
                Self::Sleep => aarch64::SLEEP,
            }
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect(),
        }
    }
}

/// Where a program is loaded: the customary place of static programs.
const ADDRESS: u64 = 0x0040_0000;
/// The length of an ELF header.
const HEADER: u16 = 64;
/// The length of a program header.
const PROGRAM_HEADER: u16 = 56;
/// The alignment of the one segment: the largest page size of aarch64.
const PAGE: u64 = 0x1_0000;

/// Returns an executable whose one segment holds the headers and `code`, which starts at its
/// first byte. The layout is the System V ABI's, 64 bits, little-endian.
fn file(machine: Machine, code: &[u8]) -> Vec<u8> {
    let start = u64::from(HEADER + PROGRAM_HEADER);
    let size = start + code.len() as u64;
    let mut bytes = Vec::with_capacity(size as usize);
    // e_ident: the magic, 64 bits, little-endian, version 1, System V.
    bytes.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    for half in [2, machine.number()] {
        bytes.extend_from_slice(&half.to_le_bytes()); // e_type (executable), e_machine
    }
    bytes.extend_from_slice(&1_u32.to_le_bytes()); // e_version
    for word in [ADDRESS + start, u64::from(HEADER), 0] {
        bytes.extend_from_slice(&word.to_le_bytes()); // e_entry, e_phoff, e_shoff
    }
    bytes.extend_from_slice(&0_u32.to_le_bytes()); // e_flags
    for half in [HEADER, PROGRAM_HEADER, 1, 64, 0, 0] {
        // e_ehsize, e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx
        bytes.extend_from_slice(&half.to_le_bytes());
    }
    for word in [1_u32, 5] {
        bytes.extend_from_slice(&word.to_le_bytes()); // p_type (load), p_flags (read, execute)
    }
    for word in [0, ADDRESS, ADDRESS, size, size, PAGE] {
        // p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(code);
    bytes
}
