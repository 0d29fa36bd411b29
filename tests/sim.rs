//! Logs under a simulated disk that loses, tears and reorders what was not synced.
//!
//! Each seed is the life of a machine with one to three logs and, mostly, a journal: some rounds of work, each ended by a crash, a failed write, a failed sync, a full disk, blocks that could not be reserved or a clean stop,
//! with derived files torn or removed in between, or with the directory in the hands of another broker, and each begun by a recovery that may
//! itself crash. After every start the log is held against a shadow of what was written:
//!
//! 1. offsets are dense from the log's start to its end;
//! 2. no record that was acknowledged is missing;
//! 3. what stands at an offset is what was written there, acknowledged or not;
//! 4. what is known of producers, leader epochs and sizes equals what the batches tell;
//! 5. the indexes find every offset and every timestamp;
//! 6. after a clean stop nothing is walked, and nothing is missing; a log that is closed has no blocks behind its ends.
//!
//! `cargo test --features sim --test sim` runs some; with `SEEDS=10000` before it, it is the long mode. A failure prints the command that
//! repeats its seed. Disks that lie, brokers that acknowledge too early and journals that are lost are planted to show that the shadow
//! notices.

#[path = "sim/compacted.rs"]
mod compacted;
#[path = "sim/compaction.rs"]
mod compaction;
#[path = "sim/disk.rs"]
mod disk;
#[path = "sim/full.rs"]
mod full;
#[path = "sim/killed.rs"]
mod killed;
#[path = "sim/life.rs"]
mod life;
#[path = "sim/machine.rs"]
mod machine;
#[path = "sim/model.rs"]
mod model;
#[path = "sim/other.rs"]
mod other;
#[path = "sim/shadow.rs"]
mod shadow;

use std::panic::{AssertUnwindSafe, catch_unwind};

use machine::{Fault, Plan, live};

/// Seeds of one test, unless the environment says `SEEDS=n`.
const SEEDS: u64 = 1000;

/// Seeds whose lives are stopped, each at its share of the points.
const SEEDS_SWEPT: u64 = 6;

/// Seeds within which a planted bug must be found.
const SEEDS_UNTIL_FOUND: u64 = 300;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// Runs every seed, or the one that the environment names.
fn all_seeds(test: &str, run: impl Fn(u64)) {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        if catch_unwind(AssertUnwindSafe(|| run(seed))).is_err() {
            panic!("repeat with: SEED={seed} cargo test --features sim --test sim {test}");
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost() {
    all_seeds("nothing_acknowledged_is_lost", |seed| {
        drop(live(seed, &Plan::default()))
    });
}

/// One life stopped at each point of its second round: by a crash after each operation of the disk, by an error of each write and of
/// each sync. Where nobody asks for more seeds, or for one, each seed takes its share of the points.
#[test]
fn every_point_may_be_the_last() {
    let (seeds, share) = match (number("SEED"), number("SEEDS")) {
        (Some(seed), _) => (seed..seed + 1, 1),
        (None, Some(seeds)) => (0..seeds.div_ceil(1000), 1),
        (None, None) => (0..SEEDS_SWEPT, SEEDS_SWEPT),
    };
    for seed in seeds {
        let with = |fault| Plan {
            fault: Some(fault),
            ..Plan::default()
        };
        let points = live(seed, &with(Fault::None)).operations;
        assert!(points > 50, "seed {seed} does nothing");
        for point in (seed % share..=points).step_by(usize::try_from(share).expect("small")) {
            for fault in [Fault::Crash(point), Fault::Write(point + 1), Fault::Sync(point + 1)] {
                if catch_unwind(AssertUnwindSafe(|| live(seed, &with(fault)))).is_err() {
                    panic!(
                        "{fault:?}; repeat with: SEED={seed} cargo test --features sim --test sim every_point_may_be_the_last"
                    );
                }
            }
        }
    }
}

/// Asserts that each planted bug fails one of so many seeds.
#[expect(
    clippy::print_stdout,
    reason = "how soon each is found is told to the person who looks"
)]
fn find_each<P>(planted: &[(&str, P)], seeds: u64, run: impl Fn(u64, &P)) {
    for (bug, plan) in planted {
        let fails = |seed: &u64| catch_unwind(AssertUnwindSafe(|| run(*seed, plan))).is_err();
        let found = (0..seeds).find(fails);
        println!("{bug}: found with seed {found:?}");
        assert!(found.is_some(), "{bug}: not found within {seeds} seeds");
    }
}

#[test]
fn planted_bugs_are_found() {
    let honest = Plan::default();
    let planted = [
        (
            "acknowledged before the sync",
            Plan {
                acknowledges_early: true,
                ..honest
            },
        ),
        (
            "syncs of files do nothing",
            Plan {
                data_syncs_lie: true,
                ..honest
            },
        ),
        (
            "syncs of directories do nothing",
            Plan {
                name_syncs_lie: true,
                ..honest
            },
        ),
        (
            "the journal is not there after a crash",
            Plan {
                journal_is_lost: true,
                ..honest
            },
        ),
    ];
    find_each(&planted, SEEDS_UNTIL_FOUND, |seed, plan| drop(live(seed, plan)));
    // Few lives are handed over, or end right after a truncation.
    let rare = [
        (
            "what was cut off comes back from the journal",
            Plan {
                truncations_are_forgotten: true,
                ..honest
            },
        ),
        (
            "the journal is put back over what another broker wrote",
            Plan {
                overlooks_others: true,
                ..honest
            },
        ),
    ];
    find_each(&rare, 20 * SEEDS_UNTIL_FOUND, |seed, plan| drop(live(seed, plan)));
}

#[test]
fn a_seed_repeats_itself() {
    for seed in 0..20 {
        assert_eq!(
            live(seed, &Plan::default()),
            live(seed, &Plan::default()),
            "seed {seed}"
        );
    }
}
