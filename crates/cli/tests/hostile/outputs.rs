//! What is written can be unpacked anywhere: no entry goes through a link, whatever the inputs'
//! did. Judged by Python, GNU tar and libarchive's tar.

use prebake_testkit::judge;
use prebake_testkit::member::Member;
use tempfile::TempDir;

use crate::bases::base;
use crate::larder::{Larder, OUTPUT, tool};

/// Names every entry that has a link, or a name that is no plain path, above or in it.
const PYTHON: &str = r"
import sys, tarfile
archive = tarfile.open(sys.argv[1], 'r:gz')
members = archive.getmembers()
links = {member.name for member in members if member.issym()}
seen = set()
for member in members:
    parts = member.name.split('/')
    above = {'/'.join(parts[:end]) for end in range(1, len(parts))}
    if above & links or '..' in parts or member.name.startswith('/') or member.name in seen:
        print(member.name)
    if member.islnk() and member.linkname not in seen:
        print(member.name)
    seen.add(member.name)
print(len(members))
";

#[test]
fn no_entry_of_an_output_goes_through_a_link() {
    let test = "no_entry_of_an_output_goes_through_a_link";
    let larder = Larder::new();
    let outside = TempDir::new().unwrap();
    let away = format!("{}/", outside.path().display());
    // Directories that are links, and links that lead out of whatever they are unpacked into.
    let base = base(&[
        Member::directory("real"),
        Member::symlink("linked", "real"),
        Member::file("linked/base", "x"),
        Member::hardlink("linked/hard", "linked/base"),
        Member::symlink("away", &away),
        Member::symlink("up", "../../../../../../.."),
    ]);
    let package = tool()
        .file("linked/tool", "x")
        .hardlink("linked/tool-too", "linked/tool")
        .symlink("usr/share/up", "../../../../../../..")
        .symlink("usr/share/away", &away);
    larder.serve(&[package.build(&larder.key)]);
    larder.start_from(&base, "");
    larder.kitchen.run(&["build"]).expect(0);
    let output = larder.kitchen.path(OUTPUT);
    let path = output.to_str().unwrap();
    if let Some(python) = judge::python(test) {
        let said = python.run(["-c", PYTHON, path]).stdout;
        let count: usize = said.trim().parse().unwrap_or_else(|_| panic!("{said}"));
        assert!(count > 15, "{count}");
    }
    for tar in [judge::gnu_tar(test), judge::bsdtar(test)]
        .into_iter()
        .flatten()
    {
        let folder = TempDir::new().unwrap();
        let folder = folder.path().join("in/here");
        fs_err::create_dir_all(&folder).unwrap();
        let into = folder.to_str().unwrap();
        // Devices cannot be made by everybody; there are none of the package's.
        let said = tar.run(["-x", "-f", path, "-C", into, "--exclude", "dev/*"]);
        assert!(said.success, "{}", said.stderr);
        for name in ["real/base", "real/hard", "real/tool", "real/tool-too"] {
            let listed = tar.run(["-tvf", path]).stdout;
            assert!(folder.join(name).is_file(), "{name} in {listed}");
        }
        assert_eq!(
            fs_err::read_dir(folder.parent().unwrap()).unwrap().count(),
            1
        );
    }
    assert_eq!(fs_err::read_dir(outside.path()).unwrap().count(), 0);
}
