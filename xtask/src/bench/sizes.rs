//! How small each level makes an archive, in what time and memory, beside Go's default.

use std::time::Instant;

use super::bake::{Kitchen, peak};
use super::goals::Goals;
use super::{milliseconds, say, text};

const LEVELS: [&str; 5] = ["instant", "fast", "default", "small", "smallest"];

/// The formats, and how much smaller than Go's gzip the smallest of each is to be, in percent.
const FORMATS: [(&str, f64); 2] = [("tar.gz", 8.0), ("tar.zst", 19.0)];

/// Bakes a kitchen's dish in every format at every level, with nothing kept; `go` is the size of
/// Go's, in bytes.
pub(super) fn compare(kitchen: &Kitchen<'_>, go: u64, goals: &mut Goals) -> Result<(), String> {
    let path = kitchen.path("prebake.toml");
    let recipe = fs_err::read_to_string(&path).map_err(text)?;
    say(&format!(
        "\nsizes: {}, Go's gzip {go} bytes",
        kitchen.name()
    ));
    for (format, wanted) in FORMATS {
        for level in LEVELS {
            let name = format!("level.{format}");
            let output = format!("path = {name:?}\nlevel = {level:?}");
            let changed = recipe.replacen("path = \"out.tar.gz\"", &output, 1);
            fs_err::write(&path, changed).map_err(text)?;
            kitchen.forget_what_was_made();
            kitchen.remove(&name);
            let begun = Instant::now();
            let peak = peak(&kitchen.prebake(&["build", "--locked"]))?;
            let time = milliseconds(begun.elapsed());
            let size = fs_err::metadata(kitchen.path(&name)).map_err(text)?.len();
            let smaller = 100.0 - percent(size, go);
            say(&format!(
                "    {format:<8} {level:<9}{size:10} bytes   {smaller:6.1} % smaller   \
                 {time:8.0} ms   peak {peak:4} MiB"
            ));
            if level == "smallest" {
                let work = format!("{}, size at smallest, {format}", kitchen.name());
                goals.at_least(&work, wanted, smaller, "% smaller than Go's gzip");
            }
        }
    }
    fs_err::write(&path, recipe).map_err(text)
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn percent(size: u64, of: u64) -> f64 {
    size as f64 / of as f64 * 100.0
}
