//! Bakes the rootfs, and compiles the step that jobs run in it: a program for glibc.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    prebake_embed::bake("prebake.toml");
    if let Err(why) = compile_step() {
        println!("cargo::error=guest/step.c was not compiled for glibc: {why}");
        println!("cargo::error=  hint: install gcc, or name another compiler in CI_DAEMON_CC");
    }
}

fn compile_step() -> Result<(), String> {
    println!("cargo::rerun-if-changed=guest/step.c");
    println!("cargo::rerun-if-env-changed=CI_DAEMON_CC");
    let get = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let arch = get("CARGO_CFG_TARGET_ARCH")?;
    let host = get("HOST")?;
    let is_native = host.starts_with(&arch) && host.ends_with("-linux-gnu");
    let compiler = env::var("CI_DAEMON_CC").unwrap_or_else(|_| {
        if is_native {
            "cc".to_owned()
        } else {
            // As Debian, Fedora and Homebrew call their cross compilers.
            format!("{arch}-linux-gnu-gcc")
        }
    });
    let status = Command::new(&compiler)
        .args(["-O2", "-Wall", "-o"])
        .arg(Path::new(&get("OUT_DIR")?).join("step"))
        .arg("guest/step.c")
        .status()
        .map_err(|error| format!("{compiler}: {error}"))?;
    if !status.success() {
        return Err(format!("{compiler} failed: {status}"));
    }
    Ok(())
}
