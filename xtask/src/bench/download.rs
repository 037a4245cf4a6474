//! From a mirror that is 20 ms away to a full cache: ours against curl.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use prebake_fetch::{Cache, Cancel, Fetcher, Network, Options, Proxies, Silent, Wanted};
use prebake_testkit::http::Server;
use prebake_testkit::shared::shared;

use super::bake::{Dish, Kitchen};
use super::goals::Goals;
use super::{interleave_rounds, milliseconds, say, text, wire};

/// How long a byte takes to the mirror and back.
const ROUND_TRIP: Duration = Duration::from_millis(20);

const ROUNDS: usize = 9;

pub(super) fn bench(goals: &mut Goals) -> Result<(), String> {
    let shared = shared().ok_or("there is no ../shared: nothing to download")?;
    let server = Server::start_folder(&shared.join("alpine"));
    let wire = wire::stretch(server.address(), ROUND_TRIP).map_err(text)?;
    let dish = Dish::many(&shared)?;
    let kitchen = Kitchen::open(&dish, &shared, &format!("http://{wire}"))?;
    let list = kitchen.path("wanted");
    let lines = kitchen.lock()?;
    let lines = lines
        .packages()
        .map(|package| format!("{} {} {}\n", package.url, package.size, package.sha256));
    fs_err::write(&list, lines.collect::<String>()).map_err(text)?;
    let own = std::env::current_exe().map_err(text)?;
    let cache = kitchen.path("downloads");
    let ours = || {
        // It may not be there yet.
        let _ = fs_err::remove_dir_all(&cache);
        let mut command = Command::new(&own);
        command.args(["bench-child", "download"]);
        command.arg(&list).arg(&cache);
        command
    };
    let folder = kitchen.path("curl");
    let lock = kitchen.lock()?;
    let curl = |parallel: &str| {
        let _ = fs_err::remove_dir_all(&folder);
        let mut command = Command::new("curl");
        command.args([
            "--silent",
            "--fail",
            "--parallel",
            "--parallel-max",
            parallel,
        ]);
        command
            .arg("--create-dirs")
            .arg("--output-dir")
            .arg(&folder);
        command.arg("--remote-name-all");
        command.args(lock.packages().map(|package| &package.url));
        command
    };
    let (few, many) = (|| curl("8"), || curl("50"));
    let lanes: [(&str, &dyn Fn() -> Command); 3] = [
        ("curl --parallel, 50 at once, its default", &many),
        ("curl --parallel, 8 at once", &few),
        ("prebake, into its cache, verified", &ours),
    ];
    let times = interleave_rounds(&lanes.map(|(_, lane)| lane), ROUNDS)?;
    say(&format!(
        "\ndownload: {} packages over loopback with a round trip of 20 ms",
        lock.packages().count()
    ));
    let first = times.first().copied().unwrap_or_default();
    for ((name, _), time) in lanes.iter().zip(times) {
        say(&format!(
            "    {name:<42}{:8.1} ms   {:5.2} times curl's time",
            milliseconds(time),
            time.as_secs_f64() / first.as_secs_f64()
        ));
        if name.starts_with("prebake") {
            let ratio = time.as_secs_f64() / first.as_secs_f64();
            goals.at_most("cold download over 20 ms", 1.2, ratio, "times curl's time");
        }
    }
    Ok(())
}

/// One run of ours, as a process of its own: fetches what the list names into an empty cache.
pub(super) fn child(arguments: &[String]) -> Result<(), String> {
    let [list, cache] = arguments else {
        return Err("download LIST CACHE".to_owned());
    };
    let list = fs_err::read_to_string(list).map_err(text)?;
    let mut wishes = Vec::new();
    for line in list.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [url, size, sha256] = words[..] else {
            return Err(format!("a list has no such line: {line}"));
        };
        wishes.push(Wanted {
            size: Some(size.parse().map_err(text)?),
            sha256: Some(sha256.parse().map_err(text)?),
            ..Wanted::new(url, url)
        });
    }
    let options = Options::default();
    let network = Network::new(&options, &Proxies::from_environment(|_| None)).map_err(text)?;
    let cache = Cache::open(Path::new(cache).to_owned());
    let fetcher = Fetcher::new(cache, Arc::new(network), options, Cancel::default());
    fetcher.fetch(&wishes, &Silent).map_err(text)?;
    Ok(())
}
