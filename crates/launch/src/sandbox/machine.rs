//! The processors that programs are made for.

/// The processor that a root filesystem's programs are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Machine(Known);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Known {
    X86,
    X86_64,
    Arm,
    Aarch64,
    Ppc64le,
    S390x,
    Riscv64,
    Loongarch64,
}

use self::Known::{Aarch64, Arm, Loongarch64, Ppc64le, Riscv64, S390x, X86, X86_64};

impl Machine {
    /// Returns the machine that Alpine calls so: `x86_64`, `aarch64`, `armhf` …
    pub fn of_alpine(arch: &str) -> Option<Self> {
        Some(Self(match arch {
            "x86" => X86,
            "x86_64" => X86_64,
            "armhf" | "armv7" => Arm,
            "aarch64" => Aarch64,
            "ppc64le" => Ppc64le,
            "s390x" => S390x,
            "riscv64" => Riscv64,
            "loongarch64" => Loongarch64,
            _ => return None,
        }))
    }

    /// Says whether this host's processor runs its programs by itself.
    ///
    /// 32-bit programs of the same family are counted as running, as they do on every ordinary
    /// x86_64 kernel; where they do not, running one says so.
    pub fn is_native(self) -> bool {
        match self.0 {
            X86 => cfg!(any(target_arch = "x86", target_arch = "x86_64")),
            X86_64 => cfg!(target_arch = "x86_64"),
            Arm => cfg!(target_arch = "arm"),
            Aarch64 => cfg!(target_arch = "aarch64"),
            Ppc64le => cfg!(all(target_arch = "powerpc64", target_endian = "little")),
            S390x => cfg!(target_arch = "s390x"),
            Riscv64 => cfg!(target_arch = "riscv64"),
            Loongarch64 => cfg!(target_arch = "loongarch64"),
        }
    }

    /// Says whether its programs call the kernel as the host's do: those of the host's own
    /// machine, and those that an emulator runs.
    #[cfg(target_os = "linux")]
    pub(crate) fn calls_as_host(self) -> bool {
        let narrow = matches!(self.0, X86 | Arm);
        !(narrow && cfg!(target_pointer_width = "64") && self.is_native())
    }

    /// Returns what an ELF header says of it: the class (32-bit is 1, 64-bit 2), the number of
    /// the machine, and whether the most significant byte is first. From the ELF specification's
    /// register of `e_machine`.
    #[cfg(target_os = "linux")]
    pub(crate) fn elf(self) -> (u8, u16, bool) {
        match self.0 {
            X86 => (1, 3, false),
            X86_64 => (2, 62, false),
            Arm => (1, 40, false),
            Aarch64 => (2, 183, false),
            Ppc64le => (2, 21, false),
            S390x => (2, 22, true),
            Riscv64 => (2, 243, false),
            Loongarch64 => (2, 258, false),
        }
    }

    /// Returns the name that qemu has for it: its emulator is `qemu-NAME`.
    pub fn qemu_name(self) -> &'static str {
        match self.0 {
            X86 => "i386",
            X86_64 => "x86_64",
            Arm => "arm",
            Aarch64 => "aarch64",
            Ppc64le => "ppc64le",
            S390x => "s390x",
            Riscv64 => "riscv64",
            Loongarch64 => "loongarch64",
        }
    }
}
