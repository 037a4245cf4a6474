//! The architecture that cargo builds for, by Alpine's name for it.

use std::ffi::OsString;

use prebake::arch::Arch;

/// What cargo tells a build script of the target, by `CARGO_CFG_TARGET_…` and `TARGET`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// `x86_64`, `arm`: not the first part of the triple, which says more.
    arch: String,
    /// `little` or `big`.
    endian: String,
    /// The whole triple. A stable rustc keeps it to itself which version an `arm` is otherwise.
    triple: String,
}

impl Target {
    /// Asks `environment` for what cargo says; `None` where it is not cargo that runs this.
    pub(crate) fn read(environment: &dyn Fn(&str) -> Option<OsString>) -> Option<Self> {
        let get = |name: &str| environment(name).and_then(|value| value.into_string().ok());
        Some(Self {
            arch: get("CARGO_CFG_TARGET_ARCH")?,
            endian: get("CARGO_CFG_TARGET_ENDIAN").unwrap_or_default(),
            triple: get("TARGET").unwrap_or_default(),
        })
    }

    /// Returns rustc's name of the architecture.
    pub(crate) fn name(&self) -> &str {
        &self.arch
    }

    /// Returns what Alpine calls the architecture, if it is built for it.
    ///
    /// How wide a pointer of the program is does not count: the kernel runs the rootfs beside it.
    pub(crate) fn alpine(&self) -> Option<Arch> {
        let little = self.endian != "big";
        Some(match self.arch.as_str() {
            "x86_64" => Arch::X86_64,
            "x86" => Arch::X86,
            // `arm64ec` is how x86_64 programs are ported to Windows on aarch64.
            "aarch64" | "arm64ec" if little => Arch::Aarch64,
            "arm" if little && self.is_v7() => Arch::Armv7,
            "arm" if little => Arch::Armhf,
            "riscv64" => Arch::Riscv64,
            "loongarch64" => Arch::Loongarch64,
            "powerpc64" if little => Arch::Ppc64le,
            "s390x" => Arch::S390x,
            "mips64" if !little => Arch::Mips64,
            _ => return None,
        })
    }

    fn is_v7(&self) -> bool {
        ["armv7", "thumbv7"]
            .iter()
            .any(|start| self.triple.starts_with(start))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::Command;

    use super::*;

    /// Every target of the installed rustc whose Alpine port is known, and some that have none.
    const TARGETS: [(&str, Option<Arch>); 18] = [
        ("x86_64-unknown-linux-gnu", Some(Arch::X86_64)),
        ("x86_64-pc-windows-msvc", Some(Arch::X86_64)),
        ("x86_64-unknown-linux-gnux32", Some(Arch::X86_64)),
        ("i686-unknown-linux-gnu", Some(Arch::X86)),
        ("aarch64-apple-darwin", Some(Arch::Aarch64)),
        ("aarch64-unknown-linux-musl", Some(Arch::Aarch64)),
        ("aarch64_be-unknown-linux-gnu", None),
        ("arm64ec-pc-windows-msvc", Some(Arch::Aarch64)),
        ("armv7-unknown-linux-musleabihf", Some(Arch::Armv7)),
        ("arm-unknown-linux-musleabihf", Some(Arch::Armhf)),
        ("riscv64gc-unknown-linux-gnu", Some(Arch::Riscv64)),
        ("loongarch64-unknown-linux-gnu", Some(Arch::Loongarch64)),
        ("powerpc64le-unknown-linux-gnu", Some(Arch::Ppc64le)),
        ("powerpc64-unknown-linux-gnu", None),
        ("s390x-unknown-linux-gnu", Some(Arch::S390x)),
        ("mips64-unknown-linux-gnuabi64", Some(Arch::Mips64)),
        ("mips64el-unknown-linux-gnuabi64", None),
        ("wasm32-unknown-unknown", None),
    ];

    /// What cargo would say of a target, as it finds it out: from rustc.
    fn variables(triple: &str) -> BTreeMap<String, OsString> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(rustc)
            .args(["--print", "cfg", "--target", triple])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let mut variables: BTreeMap<String, OsString> = BTreeMap::new();
        variables.insert("TARGET".to_owned(), triple.into());
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let slot = variables
                .entry(format!("CARGO_CFG_{}", key.to_uppercase()))
                .or_default();
            if !slot.is_empty() {
                slot.push(",");
            }
            slot.push(value.trim_matches('"'));
        }
        variables
    }

    #[test]
    fn each_target_has_the_port_that_runs_beside_it() {
        for (triple, port) in TARGETS {
            let variables = variables(triple);
            let target = Target::read(&|name| variables.get(name).cloned()).unwrap();
            assert_eq!(target.alpine(), port, "{triple}: {target:?}");
        }
        assert_eq!(Target::read(&|_| None), None);
    }
}
