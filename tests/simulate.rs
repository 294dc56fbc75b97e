//! Whole swarms of the real machines in a made-up world: every seed that ever failed, and a few others.
//!
//! `cargo run --release --example simulate` has many more; docs/simulator.md says what is looked at.

use orchestra::sim::{self, Detail, Harms, Plan};

/// The numbers at the beginnings of its lines.
const KEPT: &str = include_str!("seeds.txt");
/// Seeds beside those.
const FIXED: std::ops::Range<u64> = 0..12;

fn play(seed: u64) {
    let first = sim::run(Plan::draw(seed));
    assert_eq!(
        first.wrong, None,
        "seed {seed}: cargo run --release --example simulate -- --seed {seed} --trace"
    );
    let again = sim::run(Plan::draw(seed));
    assert_eq!(first.hash, again.hash, "seed {seed}: two runs of it differ");
    assert_eq!((first.events, first.took), (again.events, again.took), "seed {seed}");
}

#[test]
fn nothing_is_wrong_while_everything_breaks_and_then_everybody_finishes() {
    FIXED.for_each(play);
}

#[test]
fn seeds_that_failed_once_do_not_again() {
    let kept = KEPT.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok());
    kept.for_each(play);
}

/// A check of what happens when something goes wrong shows nothing if it never does.
#[test]
fn everything_that_can_go_wrong_does() {
    let mut done = Harms::default();
    for seed in 0..200 {
        done.add(&sim::run(Plan::draw(seed)).harms);
        if Harms::ALL.into_iter().all(|harm| done.of(harm) > 0) {
            return;
        }
    }
    panic!("in 200 seeds: {done}");
}

#[test]
fn what_is_written_down_changes_nothing() {
    let hashed = sim::run(Plan::draw(3));
    let written = sim::run(Plan::draw(3).with_detail(Detail::Text));
    assert_eq!(hashed.hash, written.hash);
    assert!(hashed.text.is_empty() && written.text.contains(" starts at "));
}
