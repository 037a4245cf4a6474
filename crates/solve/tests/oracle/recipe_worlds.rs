//! The worlds that prebake was made for, against the real apk 2.14.4.

use crate::stage::{Stage, check, shared};

#[test]
fn the_recipe_worlds() {
    let Some(shared) = shared() else { return };
    let run = |base, arch, lines: &[&str], world: &str| {
        let stage = Stage::new(&shared, base, arch, lines);
        let world = world.split(' ').map(str::to_owned).collect();
        check(&stage, &[world]);
    };
    run(
        "v3.20/releases/x86_64/alpine-minirootfs-3.20.3-x86_64.tar.gz",
        "x86_64",
        &["v3.20/main"],
        "gcompat iptables",
    );
    for lines in [&["v3.19/main"][..], &["v3.19/main", "v3.19/community"]] {
        run(
            "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz",
            "x86_64",
            lines,
            "openssh git jq e2fsprogs sfdisk",
        );
    }
    run(
        "v3.13/releases/aarch64/alpine-minirootfs-3.13.12-aarch64.tar.gz",
        "aarch64",
        &["v3.13/main"],
        "openssh",
    );
}
