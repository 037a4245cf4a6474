//! The cache's own promises: nothing wrong is served, nothing half is left.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;

use prebake_apk::digest::Sha256;
use prebake_fetch::{CACHE_VARIABLE, Cache, CacheError, Kind, Options, Origin, Silent};
use prebake_testkit::http::Fault;

use crate::setup::{FILE, Setup, options};

#[test]
fn a_damaged_file_is_never_served_and_is_fetched_again() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 5] = [
        ("a flipped bit", |content| content[1234] ^= 1),
        ("cut short", |content| content.truncate(300_000)),
        ("one byte more", |content| content.push(0)),
        ("emptied", Vec::clear),
        ("zeros", |content| content.fill(0)),
    ];
    for (what, damage) in damages {
        let setup = Setup::new();
        let blob = setup.fetch(&setup.pinned()).unwrap().blob;
        let mut content = setup.content.clone();
        damage(&mut content);
        fs_err::write(blob.path(), &content).unwrap();

        let error = blob.open_verified().unwrap_err();
        assert!(matches!(error, CacheError::Damaged { .. }), "{what}");
        blob.read_verified(u64::MAX).unwrap_err();
        assert_eq!(setup.cache().get(&setup.sha256()).unwrap(), None, "{what}");

        let fetched = setup.fetch(&setup.pinned()).unwrap();
        assert_eq!(fetched.origin, Origin::Downloaded, "{what}");
        assert_eq!(setup.server.count(FILE), 2, "{what}");
        setup.assert_only_the_file();
    }
}

#[test]
fn what_a_url_held_is_fetched_again_if_damaged() {
    let setup = Setup::new();
    let blob = setup.fetch(&setup.current()).unwrap().blob;
    fs_err::write(blob.path(), b"damaged").unwrap();
    let fetched = setup.fetch(&setup.current()).unwrap();
    assert_eq!(fetched.origin, Origin::Downloaded);
    // It was not asked about a copy that is no good.
    assert_eq!(setup.server.requests()[1].header("if-none-match"), None);
    assert_eq!(fetched.blob.read_verified(u64::MAX).unwrap(), setup.content);
}

#[test]
fn a_verified_file_starts_at_its_first_byte_and_seeks() {
    let setup = Setup::new();
    let blob = setup.fetch(&setup.pinned()).unwrap().blob;
    let mut verified = blob.open_verified().unwrap();
    assert_eq!(verified.sha256(), setup.sha256());
    assert_eq!(verified.size(), setup.content.len() as u64);
    let mut content = Vec::new();
    verified.read_to_end(&mut content).unwrap();
    assert_eq!(content, setup.content);
    verified.seek(SeekFrom::Start(300_000)).unwrap();
    content.clear();
    verified.read_to_end(&mut content).unwrap();
    assert_eq!(content, setup.content[300_000..]);
}

#[test]
fn reading_into_memory_has_a_limit() {
    let setup = Setup::new();
    let blob = setup.cache().put(b"twelve bytes").unwrap();
    assert_eq!(blob.size(), 12);
    assert_eq!(blob.read_verified(12).unwrap(), b"twelve bytes");
    let error = blob.read_verified(11).unwrap_err();
    assert!(matches!(
        error,
        CacheError::TooLarge {
            size: 12,
            limit: 11,
            ..
        }
    ));
    // A file that grew since does not get past the limit either.
    fs_err::write(blob.path(), [0; 100]).unwrap();
    let error = blob.read_verified(50).unwrap_err();
    assert!(matches!(error, CacheError::TooLarge { .. }));
}

#[test]
fn what_was_cleared_is_said_to_be_gone() {
    let setup = Setup::new();
    let blob = setup.fetch(&setup.pinned()).unwrap().blob;
    fs_err::remove_dir_all(setup.root()).unwrap();
    let error = blob.open_verified().unwrap_err();
    assert!(matches!(error, CacheError::Missing { .. }));
    // The fetcher makes its folders again.
    setup.fetch(&setup.pinned()).unwrap();
    setup.assert_only_the_file();
}

#[test]
fn offline_takes_from_the_cache_only() {
    let setup = Setup::new();
    let offline = Options {
        offline: true,
        ..options()
    };
    let wanted = [setup.pinned(), setup.current()];
    let error = setup
        .fetcher_with(offline.clone())
        .fetch(&wanted, &Silent)
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Offline);
    let url = setup.server.url(FILE);
    let line = format!("`file.apk` is not in the cache and must not be fetched offline ({url})");
    assert_eq!(error.to_string(), format!("{line}\n{line}"));
    assert!(!setup.root().exists(), "nothing was written");

    setup.fetch(&setup.current()).unwrap();
    setup.server.clear_requests();
    let fetched = setup
        .fetcher_with(offline.clone())
        .fetch(&wanted, &Silent)
        .unwrap();
    assert_eq!(fetched[0].origin, Origin::Cached);
    assert_eq!(fetched[1].origin, Origin::LastKnown);
    assert_eq!(fetched[1].url, Some(url.clone()));
    assert_eq!(setup.server.requests(), []);

    fs_err::write(fetched[0].blob.path(), b"damaged").unwrap();
    let error = setup
        .fetcher_with(offline)
        .fetch_one(&wanted[0], &Silent)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`file.apk` is damaged in the cache and must not be fetched offline ({url})")
    );
    assert_eq!(setup.server.requests(), []);
}

#[test]
fn what_dead_processes_left_is_removed_by_the_next_start() {
    let setup = Setup::new();
    setup.fetch(&setup.pinned()).unwrap();
    let folder = setup.root().join("v1/tmp");
    let key = "0".repeat(64);
    fs_err::write(folder.join(format!("{key}.AbCd.part")), b"half").unwrap();
    fs_err::write(folder.join(format!("url-{key}.AbCd.part")), b"half").unwrap();
    fs_err::write(setup.root().join("v1/lock").join(&key), b"").unwrap();
    assert_eq!(setup.files().len(), 4);
    setup.cache();
    setup.assert_only_the_file();
}

#[test]
fn what_a_living_process_writes_is_left_alone() {
    let setup = Setup::new();
    setup.fetch(&setup.pinned()).unwrap();
    let key = "0".repeat(64);
    let part = setup.root().join(format!("v1/tmp/{key}.AbCd.part"));
    fs_err::write(&part, b"half").unwrap();
    let lock = fs_err::File::create(setup.root().join("v1/lock").join(&key)).unwrap();
    lock.lock().unwrap();
    setup.cache();
    assert!(part.exists());
    lock.unlock().unwrap();
    setup.cache();
    assert!(!part.exists());
}

#[test]
fn a_lock_that_is_held_too_long_does_not_hold_up_for_ever() {
    let setup = Setup::new();
    let folder = setup.root().join("v1/lock");
    fs_err::create_dir_all(&folder).unwrap();
    let lock = fs_err::File::create(folder.join(setup.sha256().to_string())).unwrap();
    lock.lock().unwrap();
    let impatient = Options {
        lock_timeout: std::time::Duration::ZERO,
        ..options()
    };
    let fetcher = setup.fetcher_with(impatient);
    let fetched = fetcher.fetch_one(&setup.pinned(), &Silent).unwrap();
    assert_eq!(fetched.blob.sha256(), setup.sha256());
}

#[test]
fn putting_twice_is_putting_once() {
    let setup = Setup::new();
    let first = setup.cache().put(&setup.content).unwrap();
    assert_eq!(setup.cache().put(&setup.content).unwrap(), first);
    setup.assert_only_the_file();
    // A damaged one is replaced.
    fs_err::write(first.path(), b"damaged").unwrap();
    setup.cache().put(&setup.content).unwrap();
    setup.assert_only_the_file();
}

#[test]
fn starting_does_not_take_away_what_others_are_writing() {
    let setup = Setup::new();
    setup.fetch(&setup.pinned()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                setup.cache();
            }
        });
        let writing = (0..4_u8).map(|thread| {
            let cache = setup.cache();
            scope.spawn(move || {
                for number in 0..50_u8 {
                    let content = [thread, number];
                    let blob = cache.put(&content).unwrap();
                    assert_eq!(blob.read_verified(2).unwrap(), content);
                }
            })
        });
        let writing: Vec<_> = writing.collect();
        let results: Vec<_> = writing.into_iter().map(ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok));
    });
    assert_eq!(setup.files().len(), 201);
}

#[test]
fn offline_still_takes_local_files() {
    let setup = Setup::new();
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("file.apk");
    fs_err::write(&path, &setup.content).unwrap();
    let local = path.to_str().unwrap().replace('\\', "/");
    let local = format!("file:///{}", local.trim_start_matches('/'));
    let offline = Options {
        offline: true,
        ..options()
    };
    for mut wanted in [setup.pinned(), setup.current()] {
        wanted.urls.push(local.clone());
        let fetched = setup
            .fetcher_with(offline.clone())
            .fetch_one(&wanted, &Silent)
            .unwrap();
        assert_eq!(fetched.origin, Origin::Downloaded);
        assert_eq!(fetched.url, Some(local.clone()));
        fs_err::remove_dir_all(setup.root()).unwrap();
    }
    // What the primary held last comes before a folder that may be of any age.
    let mut wanted = setup.current();
    let last = setup.fetch(&wanted).unwrap().blob;
    fs_err::write(&path, b"older").unwrap();
    wanted.urls.push(local.clone());
    let fetcher = setup.fetcher_with(offline);
    let fetched = fetcher.fetch_one(&wanted, &Silent).unwrap();
    assert_eq!(fetched.blob, last);
    assert_eq!(fetched.origin, Origin::LastKnown);
    // A folder that is the primary is read as it is.
    wanted.urls.reverse();
    let fetched = fetcher.fetch_one(&wanted, &Silent).unwrap();
    assert_eq!(fetched.blob.read_verified(5).unwrap(), b"older");
    // And one that has it not is as good as none.
    fs_err::remove_file(&path).unwrap();
    wanted.sha256 = Some(Sha256::of(b"something else"));
    let error = fetcher.fetch_one(&wanted, &Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Offline);
    assert_eq!(setup.server.count(FILE), 1);
}

#[test]
fn the_folder_is_marked_as_a_cache() {
    let setup = Setup::new();
    setup.cache().put(b"x").unwrap();
    let tag = fs_err::read_to_string(setup.root().join("CACHEDIR.TAG")).unwrap();
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55"));
}

#[test]
fn the_environment_names_the_folder() {
    let named = Cache::default_root(|name| (name == CACHE_VARIABLE).then(|| "/a/b".into()));
    assert_eq!(named.unwrap(), PathBuf::from("/a/b"));
    // Empty is as good as unset.
    let default = Cache::default_root(|_| Some("".into())).unwrap();
    assert!(default.ends_with("prebake"), "{}", default.display());
}

#[test]
fn a_wrong_record_does_no_harm() {
    let setup = Setup::new();
    setup.fetch(&setup.current()).unwrap();
    let name = Sha256::of(setup.server.url(FILE).as_bytes()).to_string();
    let record = setup.root().join("v1/url").join(name);
    assert!(record.exists());
    let good = fs_err::read(&record).unwrap();
    for length in (0..good.len()).step_by(7) {
        let mut damaged = good.clone();
        damaged[length] ^= 1;
        fs_err::write(&record, damaged).unwrap();
        let fetched = setup.fetch(&setup.current()).unwrap();
        assert_eq!(fetched.blob.sha256(), setup.sha256(), "byte {length}");
        fs_err::write(&record, &good[..length]).unwrap();
        let fetched = setup.fetch(&setup.current()).unwrap();
        assert_eq!(fetched.blob.sha256(), setup.sha256(), "cut at {length}");
    }
    setup.server.fault(FILE, Fault::Status(500));
    setup.fetch(&setup.current()).unwrap_err();
}
