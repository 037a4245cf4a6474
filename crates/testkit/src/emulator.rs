//! Runs another machine's programs by `qemu-user`, registered with a user namespace's own
//! `binfmt_misc`: nothing on the host changes.
//!
//! This is what a sandbox of prebake does as well, done here by a shell and util-linux.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::judge;
use crate::oracle::{MOUNT, Outcome, PATIENCE};
use crate::shared::found_or_skipped;

/// An emulator of one machine that needs no file of the root it is used in.
#[derive(Clone, Debug)]
pub struct Emulator(PathBuf);

/// Becomes its arguments in a user namespace with all ids that are here, each as itself.
///
/// `unshare --map-users` could do that for nobody but those who have a range in `/etc/subuid`,
/// root included. What is started waits for its ids, as nobody would be root before.
const ALL_IDS: &str = r#"set -e
outside=$(readlink /proc/self/ns/user)
unshare --user -- sh -c 'until grep -q . /proc/self/gid_map; do :; done; exec "$@"' sh "$@" &
while [ "$(readlink "/proc/$!/ns/user")" = "$outside" ]; do :; done
for map in uid_map gid_map; do
    ids=$(while read -r first _ count; do echo "$first $first $count"; done < "/proc/self/$map")
    echo "$ids" > "/proc/$!/$map"
done
wait "$!""#;

/// Registers the emulator `$1` for `AArch64` with the user namespace and goes on as [`MOUNT`] with
/// the rest of its arguments: class 64 bits, little-endian, any ABI, `ET_EXEC` or `ET_DYN`,
/// machine 183.
const REGISTER: &str = r#"set -e
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
word() { for byte; do printf '\\x%s' "$byte"; done; }
magic=$(word 7f 45 4c 46 02 01 01 00 00 00 00 00 00 00 00 00 02 00 b7 00)
mask=$(word ff ff ff ff ff ff ff 00 00 00 00 00 00 00 00 00 fe ff ff ff)
echo ":judge:M::$magic:$mask:$1:F" > /proc/sys/fs/binfmt_misc/register
shift
"#;

impl Emulator {
    /// Returns the emulator of `AArch64` for the test `test`; `None`, said on stderr, without
    /// `qemu-user-static` or a kernel that lets a user namespace have it (Linux 6.7).
    ///
    /// # Panics
    ///
    /// Where it is missing and `CI` is set.
    pub fn of_aarch64(test: &str) -> Option<Self> {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&folders)
            .map(|folder| folder.join("qemu-aarch64-static"))
            .find(|path| path.is_file());
        let works = found.map(Self).filter(|emulator| {
            let mut command = emulator.with_devices(Path::new("true"), Path::new("/nowhere"));
            Outcome::of(&mut command).success
        });
        found_or_skipped(works, test, "`qemu-aarch64-static` and Linux 6.7")
    }

    /// Returns what starts `program` as [`with_devices`](crate::oracle::with_devices) does, with
    /// the other machine's programs running.
    pub fn with_devices(&self, program: &Path, root: &Path) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", PATIENCE]);
        let own = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--"];
        if judge::is_root() {
            command.args(["sh", "-c", ALL_IDS, "sh", "unshare"]);
        } else {
            command.args(["unshare", "--user", "--map-root-user", "--map-auto"]);
        }
        command.args(own);
        command
            .args(["sh", "-c", &format!("{REGISTER}{MOUNT}"), "sh"])
            .arg(&self.0)
            .arg(root)
            .arg(program);
        command
    }
}
