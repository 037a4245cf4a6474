//! The same over a real base, a real index and real packages of Alpine's.

use prebake_testkit::shared::real_mirror;

use crate::least;
use crate::mutation::{Chance, bytes};
use crate::table::Table;

/// What a recipe for `jq` takes of Alpine 3.19.
const FILES: [&str; 3] = [
    "/v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz",
    "/v3.19/main/x86_64/APKINDEX.tar.gz",
    "/v3.19/main/x86_64/jq-1.7.1-r0.apk",
];

#[test]
fn the_real_mirror() {
    let test = "the_real_mirror";
    let Some(real) = real_mirror(test) else {
        return;
    };
    let mut chance = Chance::new(test);
    let mut table = Table::beside(&chance, &real, |url| {
        format!(
            "name = \"r\"\narch = \"x86_64\"\npackages = [\"jq\"]\nmirrors = [\"{url}\"]\n\
             [base]\nrelease = \"3.19.4\"\n[[repository]]\nurl = \"{url}/v3.19/main\"\n\
             [[output]]\npath = \"r.tar.gz\"\n"
        )
    });
    for path in FILES {
        let url = table.server.url(path);
        let file = fs_err::read(real.join(&path[1..])).unwrap();
        for mutation in bytes(&file, 8, &mut chance) {
            table.forget(true);
            table.server.put(path, &mutation.bytes);
            table.judge(path, &mutation, false, &[&url]);
        }
        table.server.remove(path);
    }
    table.forget(true);
    table.assert_good(false);
    table.finish(test, least::REAL);
}
