//! Writes the seeds of every target into folders of their names below a folder, for libFuzzer to
//! begin with: `cargo run -p prebake-fuzz --example seeds -- FOLDER`.

use std::path::PathBuf;

use prebake_fuzz::{TARGETS, seeds};

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| std::io::Error::other("say where to"))?;
    for target in TARGETS {
        let folder = folder.join(target.name);
        fs_err::create_dir_all(&folder)?;
        for (number, seed) in seeds::seeds(target.name).iter().enumerate() {
            fs_err::write(folder.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
