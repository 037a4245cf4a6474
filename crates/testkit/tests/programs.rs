//! The hand-made programs run, and disassemblers read them.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[expect(clippy::unwrap_used, reason = "a test's own helper may stop it")]
mod run {
    use std::process::{Command, Output, Stdio};

    use prebake_testkit::elf::{Machine, Program};

    /// Runs `script` by `/bin/sh` in a folder that holds the programs. The shell makes the copies
    /// that are run: a file that this process had open for writing may not be run yet, as another
    /// thread may have forked in between.
    fn shell(script: &str) -> Output {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("made");
        fs_err::create_dir(&made).unwrap();
        for program in Program::ALL {
            fs_err::write(made.join(program.name()), program.elf(Machine::X86_64)).unwrap();
        }
        Command::new("/bin/sh")
            .args([
                "-c",
                &format!("cp made/* . && chmod +x * && {{ {script}; }}"),
            ])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    #[test]
    fn programs_do_what_they_say() {
        for (script, code, stdout) in [
            ("./true", 0, ""),
            ("./false", 1, ""),
            ("./hello", 0, Program::GREETING),
            ("./echo", 0, "\n"),
            ("./echo one", 0, "one\n"),
            ("./echo one '' 'two three'", 0, "one  two three\n"),
            ("printf 'a\\nb' | ./cat", 0, "a\nb"),
            ("printf a >a; printf b >b; ./cat a b a", 0, "aba"),
            ("./cat", 0, ""),
            ("./cat missing", 1, ""),
            (
                "head -c 100000 /dev/zero >zeros; ./cat zeros | cmp - zeros",
                0,
                "",
            ),
            ("./sleep 0", 0, ""),
        ] {
            let output = shell(script);
            let said = String::from_utf8_lossy(&output.stdout);
            assert_eq!(
                (output.status.code(), &*said),
                (Some(code), stdout),
                "{script}"
            );
        }
    }

    #[test]
    fn sleep_waits_until_it_is_ended() {
        // `timeout` ends with 124 where it had to end the program.
        for argument in ["", "1000000000"] {
            let output = shell(&format!("timeout 0.1 ./sleep {argument}"));
            assert_eq!(output.status.code(), Some(124), "{argument}");
        }
    }
}

use prebake_testkit::elf::{Machine, Program};
use prebake_testkit::judge;

#[test]
fn readelf_finds_a_static_executable() {
    let test = "readelf_finds_a_static_executable";
    let Some(readelf) = judge::program(test, "readelf") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("program");
    for (machine, name) in [
        (Machine::X86_64, "Advanced Micro Devices X86-64"),
        (Machine::Aarch64, "AArch64"),
    ] {
        for program in Program::ALL {
            fs_err::write(&file, program.elf(machine)).unwrap();
            let said = readelf.run(["-W", "-h", "-l", &file.to_string_lossy()]);
            assert_eq!(said.stderr, "", "{program:?}");
            for part in [
                name,
                "EXEC (Executable file)",
                "Entry point address:               0x400078",
                "LOAD           0x000000 0x0000000000400000",
                "R E 0x10000",
            ] {
                assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
            }
        }
    }
}

#[test]
fn a_disassembler_reads_every_instruction_of_aarch64() {
    let test = "a_disassembler_reads_every_instruction_of_aarch64";
    let (Some(objdump), Some(objcopy)) = (
        judge::program(test, "llvm-objdump"),
        judge::program(test, "llvm-objcopy"),
    ) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    for program in Program::ALL {
        // The headers are 120 bytes; an object file made of the rest has a section to read.
        let mut code = program.elf(Machine::Aarch64).split_off(120);
        if program == Program::Hello {
            code.truncate(code.len() - Program::GREETING.len());
        }
        fs_err::write(folder.path().join("code"), &code).unwrap();
        let (code_file, object) = (path("code"), path("object"));
        objcopy
            .run([
                "-I",
                "binary",
                "-O",
                "elf64-littleaarch64",
                "--rename-section=.data=.text,code",
                &code_file,
                &object,
            ])
            .expect_success();
        let said = objdump.run(["-d", &object]).expect_success().stdout;
        assert!(!said.contains("unknown"), "{said}");
        let instructions = said
            .lines()
            .filter(|line| line.contains(":\t") || line.contains(": "))
            .count();
        assert!(instructions >= code.len() / 4, "{said}");
        assert!(said.contains("svc\t#0"), "{said}");
    }
}
