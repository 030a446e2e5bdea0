//! The simulation: random programs of edits, syncs, joins, revocations, rotations, crashes and copies on one
//! to six devices, in memory, under a virtual clock, against a model of plain sets; and the same against a
//! store that plays a random script of attacks.
//!
//! A failing program prints its seed. `STRONGROOM_SEED=N` replays that one alone, printing what it does;
//! `STRONGROOM_PROGRAMS=N` runs so many of each sort, from `STRONGROOM_FROM` on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "test code"
)]

mod model;
mod program;
mod world;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs one program after another on all cores.
fn run_all(sort: &str, short: u64, run: fn(u64, bool)) {
    if let Some(seed) = number("STRONGROOM_SEED") {
        return run(seed, true);
    }
    let count = number("STRONGROOM_PROGRAMS").unwrap_or(short);
    let from = number("STRONGROOM_FROM").unwrap_or(0);
    let (next, failed) = (AtomicU64::new(from), AtomicU64::new(0));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let seed = next.fetch_add(1, Ordering::Relaxed)
                    && seed < from + count
                {
                    if catch_unwind(AssertUnwindSafe(|| run(seed, false))).is_err() {
                        println!("{sort} program {seed} failed: STRONGROOM_SEED={seed} replays it");
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                    if (seed + 1) % 5000 == 0 {
                        println!("{sort}: {} programs", seed + 1);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    assert!(failed == 0, "{failed} of {count} {sort} programs failed");
    println!("{count} {sort} programs: no oracle broken");
}

#[test]
fn honest_programs_converge_without_a_false_alarm() {
    run_all("honest", 2000, program::honest);
}

#[test]
fn hostile_programs_break_no_oracle() {
    run_all("hostile", 2000, program::hostile);
}
