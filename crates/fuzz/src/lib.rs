//! What must hold of every parser of foreign bytes, whatever the bytes are.
//!
//! Each [`Target`] takes any bytes and panics where a promise is broken. A promise is more than
//! that nothing panics: what is written is read back, two ways to the same answer agree, a place in
//! an error lies within the input, an error's words cannot steer a terminal, and what is bounded
//! stays so. `fuzz/` hands the targets to `cargo fuzz`; `tests/corpus.rs` gives them the corpora,
//! the seeds and some thousand mutations in every run of the tests.

mod audit;
mod capabilities;
mod database;
mod dependency;
mod feed;
mod gzip;
mod index;
mod index_file;
mod installed;
mod kept;
mod key;
mod lock;
mod manifest;
mod odd;
mod package;
mod parsed_index;
mod pkginfo;
mod range;
mod recipe;
mod record;
pub mod seeds;
mod tame;
mod tar;
mod timestamp;
mod url;
mod version;
mod wsl;

/// Something that foreign bytes are given to.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its folder below `fuzz/corpus` and of its program in `fuzz/targets`.
    pub name: &'static str,
    /// Takes any bytes, and panics if a promise is broken.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: [Target; 23] = [
    target("gzip", gzip::gzip),
    target("tar", tar::tar),
    target("pkginfo", pkginfo::pkginfo),
    target("package", package::package),
    target("index", index::index),
    target("parsed_index", parsed_index::parsed_index),
    target("index_file", index_file::index_file),
    target("key", key::key),
    target("version", version::version),
    target("dependency", dependency::dependency),
    target("installed", installed::installed),
    target("database", database::database),
    target("recipe", recipe::recipe),
    target("lock", lock::lock),
    target("record", record::record),
    target("range", range::range),
    target("url", url::url),
    target("wsl", wsl::wsl),
    target("manifest", manifest::manifest),
    target("kept", kept::kept),
    target("timestamp", timestamp::timestamp),
    target("capabilities", capabilities::capabilities),
    target("audit", audit::audit),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// Gives `data` to the target called `name`.
///
/// # Panics
///
/// If there is no such target, or if a promise is broken.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.expect("the programs of `fuzz/targets` are named for targets");
    (target.run)(data);
}
