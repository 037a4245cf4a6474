//! A download that broke off goes on where it ended, or starts over where that is not safe.

use prebake_fetch::{Options, Origin, Silent};
use prebake_testkit::http::{Fault, Request};
use proptest::prelude::*;

use crate::setup::{FILE, SIZE, Setup, options};

fn ranges(setup: &Setup) -> Vec<Option<String>> {
    let range = |request: &Request| request.header("range").map(str::to_owned);
    setup.server.requests().iter().map(range).collect()
}

fn from(first: usize) -> String {
    format!("bytes={first}-")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Wherever and however often a transfer is cut, the file is the same, and no byte is asked
    /// for twice.
    #[test]
    fn any_cuts_give_the_same_file(
        cuts in proptest::collection::vec(0..SIZE as u64, 0..4),
        pinned in any::<bool>(),
    ) {
        let setup = Setup::new();
        setup.server.fault_next(FILE, cuts.iter().map(|&cut| Fault::Truncate(cut)));
        let wanted = if pinned { setup.pinned() } else { setup.current() };
        let options = Options { tries: 5, ..options() };
        let fetched = setup.fetcher_with(options).fetch_one(&wanted, &Silent).unwrap();
        prop_assert_eq!(fetched.blob.sha256(), setup.sha256());
        prop_assert_eq!(fetched.blob.read_verified(u64::MAX).unwrap(), setup.content.clone());
        let mut at = 0;
        let mut expected = vec![None];
        for cut in cuts {
            let left = SIZE as u64 - at;
            if cut >= left {
                break;
            }
            at += cut;
            expected.push((at > 0).then(|| format!("bytes={at}-")));
        }
        prop_assert_eq!(ranges(&setup), expected);
    }
}

#[test]
fn a_long_way_in_small_steps_is_gone_to_its_end() {
    // Far more breaks than tries, each after some progress.
    let setup = Setup::new();
    setup.server.fault(FILE, Fault::Truncate(70_000));
    setup.fetch(&setup.pinned()).unwrap();
    let expected = [
        None,
        Some(from(70_000)),
        Some(from(140_000)),
        Some(from(210_000)),
        Some(from(280_000)),
    ];
    assert_eq!(ranges(&setup), expected);
    setup.assert_only_the_file();
}

#[test]
fn a_server_without_ranges_starts_over() {
    let setup = Setup::new();
    setup
        .server
        .fault_next(FILE, [Fault::Truncate(100_000), Fault::IgnoreRange]);
    setup.fetch(&setup.pinned()).unwrap();
    assert_eq!(ranges(&setup), [None, Some(from(100_000))]);
    setup.assert_only_the_file();
}

#[test]
fn going_round_in_circles_is_no_progress() {
    // Each try gets the same first part again, which must not count as coming on.
    for head in [
        Fault::IgnoreRange,
        Fault::NoValidators,
        Fault::WeakValidator,
    ] {
        let setup = Setup::new();
        setup
            .server
            .fault(FILE, Fault::Truncate(100_000).and(head.clone()));
        setup.fetch(&setup.current()).unwrap_err();
        let asked = setup.server.count(FILE);
        assert_eq!(asked, 4, "{head:?}");
    }
}

#[test]
fn wrong_ranges_are_not_taken() {
    for wrong in [
        Fault::WrongRange,
        Fault::RefuseRange,
        Fault::Header("Content-Range", "bytes 7-8/9".to_owned()),
    ] {
        for pinned in [true, false] {
            let setup = Setup::new();
            setup
                .server
                .fault_next(FILE, [Fault::Truncate(100_000), wrong.clone()]);
            let wanted = if pinned {
                setup.pinned()
            } else {
                setup.current()
            };
            let fetched = setup.fetch(&wanted).unwrap();
            assert_eq!(fetched.blob.sha256(), setup.sha256(), "{wrong:?}");
            if !matches!(wrong, Fault::Header(..)) {
                assert_eq!(
                    ranges(&setup),
                    [None, Some(from(100_000)), None],
                    "{wrong:?}"
                );
            }
        }
    }
}

#[test]
fn a_file_that_changed_in_between_starts_over() {
    // The first half of the old file must never be joined with the second of the new one.
    let setup = Setup::new();
    let new: Vec<u8> = setup.content.iter().map(|byte| !byte).collect();
    setup.server.fault_next(FILE, [Fault::Truncate(100_000)]);
    let changed = Changing {
        setup: &setup,
        new: &new,
    };
    let fetched = setup
        .fetcher()
        .fetch_one(&setup.current(), &changed)
        .unwrap();
    assert_eq!(fetched.origin, Origin::Downloaded);
    assert_eq!(fetched.blob.read_verified(u64::MAX).unwrap(), new);
    let requests = setup.server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].header("range"), Some("bytes=100000-"));
    assert!(requests[1].header("if-range").is_some());
}

/// Replaces the file when the first try failed.
struct Changing<'a> {
    setup: &'a Setup,
    new: &'a [u8],
}

impl prebake_fetch::Progress for Changing<'_> {
    fn retry(&self, _: usize, _: &str, _: &str, _: std::time::Duration) {
        self.setup.server.put(FILE, self.new);
    }
}

#[test]
fn without_a_strong_validator_there_is_nothing_to_go_on_with() {
    for head in [Fault::NoValidators, Fault::WeakValidator] {
        let setup = Setup::new();
        let cut = Fault::Truncate(100_000).and(head.clone());
        setup.server.fault_next(FILE, [cut]);
        setup.fetch(&setup.current()).unwrap();
        assert_eq!(ranges(&setup), [None, None], "{head:?}");
        setup.server.clear_requests();
        // With a pinned hash the end of the file is judged by that.
        let setup = Setup::new();
        setup
            .server
            .fault_next(FILE, [Fault::Truncate(100_000).and(head.clone())]);
        setup.fetch(&setup.pinned()).unwrap();
        assert_eq!(ranges(&setup), [None, Some(from(100_000))], "{head:?}");
    }
}
