//! What the host does.

use super::{Row, Seen};
use crate::host::{as_nobody, build_as_nobody, set_mode, within_namespace};
use crate::kitchen::Output;
use crate::stove::{DATA, OUTPUT, Stove, files, flipped};

/// The test that the rows belong to.
const TEST: &str = "the_table_of_faults_is_true";

/// Builds where a small file system is mounted over `folder`, and puts the output back where it
/// was seen.
fn on_small_disk(stove: &Stove, folder: &str, size: &str) -> Option<Seen> {
    let script = format!(
        "mkdir -p {folder}; mount -t tmpfs -o size={size} none {folder}
         run; cp {OUTPUT} kept 2>/dev/null || true; exit \"$code\""
    );
    let output = within_namespace(TEST, stove, &script)?;
    let kept = stove.kitchen.path("kept");
    if output.code == Some(0) {
        fs_err::rename(kept, stove.kitchen.path(OUTPUT)).unwrap();
    }
    Some(output.into())
}

/// Turns a bit of the package's file in the cache.
fn damage(stove: &Stove) {
    stove.kitchen.run(&["lock"]).expect(0);
    let root = stove.kitchen.path("cache/v1/sha256");
    let content = stove.file(DATA);
    let blobs = files(&root).into_iter().map(|name| root.join(name));
    let mut same = blobs.filter(|path| fs_err::read(path).unwrap() == content);
    fs_err::write(same.next().unwrap(), flipped(&content, 5000)).unwrap();
}

/// Builds as somebody who may not write to `folder`, which is closed for that time.
fn closed(stove: &Stove, folder: &str) -> Option<Seen> {
    set_mode(&stove.kitchen.path(""), 0o777);
    set_mode(stove.mirror.root(), 0o755);
    for open in ["out", "cache"] {
        fs_err::create_dir_all(stove.kitchen.path(open)).unwrap();
        set_mode(&stove.kitchen.path(open), 0o777);
    }
    let folder = stove.kitchen.path(folder);
    set_mode(&folder, 0o555);
    let starter = as_nobody(TEST, &folder);
    let output = starter.map(|starter| build_as_nobody(stove, starter));
    set_mode(&folder, 0o777);
    output.map(Seen::from)
}

#[expect(clippy::unnecessary_wraps, reason = "other rows may not run here")]
fn again(stove: &Stove, arguments: &[&str]) -> Option<Seen> {
    let output: Output = stove.kitchen.run(arguments);
    Some(output.into())
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row {
            fault: "the disk is full under the output",
            done: "room for 16 kB",
            did: "took back what it had written",
            code: 7,
            run: |stove| on_small_disk(stove, "out", "16k"),
        },
        Row {
            fault: "the disk is full under the cache",
            done: "room for 60 kB",
            did: "took back what it had written",
            code: 7,
            run: |stove| on_small_disk(stove, "cache", "60k"),
        },
        Row {
            fault: "the cache on another file system",
            done: "a tmpfs of its own under the cache",
            did: "built: nothing is renamed from one to the other",
            code: 0,
            run: |stove| on_small_disk(stove, "cache", "16m"),
        },
        Row {
            fault: "the output's folder read-only",
            done: "mode 0555, another user's",
            did: "wrote nothing",
            code: 7,
            run: |stove| closed(stove, "out"),
        },
        Row {
            fault: "the cache read-only",
            done: "mode 0555, another user's, and empty",
            did: "fetched nothing",
            code: 7,
            run: |stove| closed(stove, "cache"),
        },
        Row {
            fault: "the cache damaged",
            done: "one bit of a package in it turned",
            did: "fetched that package again",
            code: 0,
            run: |stove| {
                damage(stove);
                again(stove, &["build"])
            },
        },
        Row {
            fault: "the cache damaged, offline",
            done: "one bit of a package in it turned",
            did: "used none of it",
            code: 5,
            run: |stove| {
                damage(stove);
                stove.put_old();
                let output = again(stove, &["build", "--offline"]);
                // The next one online mends it.
                stove.kitchen.run(&["lock", "--upgrade"]).expect(0);
                output
            },
        },
    ]
}
