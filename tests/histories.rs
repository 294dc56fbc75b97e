//! Random histories of one folder on several machines: `sim::folders` says what is looked at, and
//! `cargo run --release --example histories -- --seeds 0..100000` plays more of them.

use orchestra::sim::folders;

#[test]
fn every_history_ends_equal_and_with_nothing_lost() {
    let (mut copies, mut crowded) = (0, 0);
    for seed in 0..2_000 {
        let report = folders::play(seed, false);
        assert!(
            report.wrong.is_none(),
            "seed {seed}: {}",
            report.wrong.map_or(String::new(), |wrong| wrong.to_string())
        );
        copies += report.copies;
        crowded += usize::from(report.rounds > 2);
    }
    // Histories without conflicts would show nothing.
    assert!(copies > 2_000 && crowded > 200, "{copies} conflict copies, {crowded} with more than two rounds");
}

#[test]
fn a_seed_plays_the_same_history_again() {
    for seed in 0..20 {
        assert_eq!(folders::play(seed, true).trace, folders::play(seed, true).trace, "seed {seed}");
    }
}
