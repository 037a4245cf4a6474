//! What a bake leaves in `OUT_DIR`: `prebake/NAME.tar.gz`, and the code that includes it.

use std::path::{Path, PathBuf};
use std::sync::Once;

use prebake::BuiltOutput;
use prebake::lock::LockedRootfs;
use prebake::output_file::OutputFile;
use prebake::recipe::Recipe;

use super::{BakeError, Baked, Cargo, Placement, report};

/// How the name of code ends that an earlier run of the build script has left.
const BEFORE: &str = "rs.before";

/// What a bake leaves in `OUT_DIR`, or has left there before.
#[derive(Debug)]
pub(crate) struct Written<'r> {
    out: &'r Path,
    recipe: &'r Recipe,
    locked: &'r LockedRootfs,
    /// The target's architecture, by rustc's name for it.
    target: &'r str,
    placement: Placement,
}

impl<'r> Written<'r> {
    pub(crate) fn new(
        out: &'r Path,
        recipe: &'r Recipe,
        locked: &'r LockedRootfs,
        target: &'r str,
        placement: Placement,
    ) -> Self {
        Self {
            out,
            recipe,
            locked,
            target,
            placement,
        }
    }

    /// Returns where the `tar.gz` goes.
    pub(crate) fn image(&self) -> PathBuf {
        self.path("tar.gz")
    }

    fn path(&self, ending: &str) -> PathBuf {
        let file = format!("{}.{ending}", self.recipe.name);
        self.out.join("prebake").join(file)
    }

    /// Returns what says, in the first line of the code, what the two files are. A bake of another
    /// version of this crate is done again: the compressed bytes are those of one version.
    fn stamp(&self, length: u64) -> String {
        format!(
            "// prebake-embed {}, {:?}, {} {}, {length} bytes of {}",
            env!("CARGO_PKG_VERSION"),
            self.placement,
            self.target,
            self.locked.arch,
            self.locked.identity,
        )
    }

    /// Returns what was baked before, if that is what is wanted now.
    ///
    /// The bytes are not hashed: a build must not be slowed down by it, and an import does.
    pub(crate) fn found(&self) -> Option<Baked> {
        put_aside(self.out);
        let length = length(&self.image())?;
        let (before, code) = (self.path(BEFORE), self.path("rs"));
        // A recipe that is baked twice has it back already.
        let here = if before.exists() { &before } else { &code };
        let text = fs_err::read_to_string(here).ok()?;
        let is_beside = || match self.placement {
            Placement::Embedded => true,
            Placement::SideCar => self
                .side_car()
                .is_none_or(|path| self::length(&path) == Some(length)),
        };
        let is_wanted = text.lines().next() == Some(&self.stamp(length)) && is_beside();
        let is_back = is_wanted && (*here == code || fs_err::rename(before, code).is_ok());
        is_back.then(|| self.baked(true))
    }

    /// Writes what goes with the `tar.gz` that was baked.
    pub(crate) fn write(&self, built: &BuiltOutput) -> Result<Baked, BakeError> {
        if self.placement == Placement::SideCar {
            let image = self.image();
            match self.side_car() {
                Some(path) => copy(&image, &path)?,
                None => report::warn(&format!(
                    "this is not where cargo 1.95 has its programs; copy `{}` beside yours, as \
                     `{}`",
                    image.display(),
                    self.side_car_name()
                )),
            }
        }
        prebake::write_file(&self.path("rs"), self.code(built).as_bytes())?;
        Ok(self.baked(false))
    }

    fn baked(&self, was_there: bool) -> Baked {
        Baked {
            identity: self.locked.identity,
            image: self.image(),
            was_there,
        }
    }

    fn side_car_name(&self) -> String {
        format!("{}.rootfs.tar.gz", self.recipe.name)
    }

    /// Returns where the program will look for its side car, if that can be told.
    fn side_car(&self) -> Option<PathBuf> {
        Some(Cargo::programs(self.out)?.join(self.side_car_name()))
    }

    /// Returns the code that `include_rootfs!` includes: an expression.
    fn code(&self, built: &BuiltOutput) -> String {
        let (about, crate_name) = (&built.about, "prebake_embed_crate");
        let generated = format!("{crate_name}::generated");
        let (name, target) = (&about.name, self.target);
        let packages = about.packages.iter().map(|package| {
            let (name, version) = (&package.name, &package.version);
            format!("        {generated}::package({name:?}, {version:?}),\n")
        });
        let packages: String = packages.collect();
        let about = format!(
            "{generated}::about(\n        {name:?},\n        {:?},\n        {:?},\n        {:?},\n        \
             {},\n        &PACKAGES,\n    )",
            about.release,
            about.arch,
            about.identity.as_bytes(),
            literal(about.unpacked),
        );
        let rootfs = match self.placement {
            Placement::Embedded => format!(
                "    static ROOTFS: {crate_name}::Rootfs = {crate_name}::Rootfs::new(\n    {about},\n    \
                 {crate_name}::Image::Embedded({generated}::checked(\n        \
                 include_bytes!(\"{name}.tar.gz\"),\n        {},\n    )),\n    );\n    &ROOTFS\n",
                literal(built.size)
            ),
            Placement::SideCar => format!(
                "    static ROOTFS: std::sync::LazyLock<{crate_name}::Rootfs> =\n    \
                 std::sync::LazyLock::new(|| {generated}::beside({about}, {:?}));\n    &*ROOTFS\n",
                self.side_car_name()
            ),
        };
        format!(
            "{}\n\
             // Written by `prebake_embed::bake`; `prebake_embed::include_rootfs!({name:?})` is this.\n\
             {{\n    \
             #[cfg(not(target_arch = {target:?}))]\n    \
             compile_error!(\"the rootfs `{name}` was baked for {target}, and this is not: it is \
             another build's; `cargo clean` and build again\");\n    \
             static PACKAGES: [{crate_name}::Package; {}] = [\n{packages}    ];\n\
             {rootfs}}}\n",
            self.stamp(built.size),
            built.about.packages.len(),
        )
    }
}

/// Puts the code of earlier runs out of the program's sight, once in a run: what this run neither
/// finds good nor writes is of a recipe that has another name now, and must not be included.
fn put_aside(out: &Path) {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        let Ok(entries) = fs_err::read_dir(out.join("prebake")) else {
            return;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|ending| ending == "rs") {
                // What cannot be renamed cannot be written over either, which is an error then.
                let _ = fs_err::rename(&path, path.with_extension(BEFORE));
            }
        }
    });
}

/// Returns a number as clippy wants to have it in the code of whoever turns its pedantry on.
fn literal(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

fn length(path: &Path) -> Option<u64> {
    fs_err::metadata(path).ok().map(|metadata| metadata.len())
}

/// Copies a file, which appears whole or not at all.
fn copy(from: &Path, to: &Path) -> Result<(), BakeError> {
    let copied = fs_err::File::open(from).and_then(|mut from| {
        let mut file = OutputFile::create(to)?;
        std::io::copy(&mut from, &mut file)?;
        file.commit()
    });
    copied.map_err(|source| BakeError::Write {
        path: to.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn numbers_have_their_thousands_apart() {
        let texts = [0, 999, 1000, 3_956_502].map(literal);
        assert_eq!(texts, ["0", "999", "1_000", "3_956_502"]);
    }
}
