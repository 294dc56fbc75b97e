//! Swarms of real programs on several hosts, in networks that break.
//!
//! Each scene has a network of its own; `cargo run --release --example lab` plays them larger and measures.

#![expect(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

mod classic;
#[path = "../common/mod.rs"]
mod common;
mod neighbour;
mod network;
#[path = "../classic/original.rs"]
mod original;
#[allow(dead_code, reason = "the example shows all that the scenes measure")]
mod scenes;

use std::time::Duration;

use scenes::Scale;

/// So that a transfer takes some seconds: long enough to break in its middle.
const SCALE: Scale = Scale { mib: 16, mbit: 40 };

/// Plays a scene where that is possible.
fn play(scene: impl FnOnce()) {
    match network::missing() {
        Some(what) => common::skipped(&format!("a scene in the lab of network namespaces: {what}")),
        None => scene(),
    }
}

#[test]
fn one_shares_with_eight() {
    play(|| {
        let seen = scenes::fan_out(SCALE, 8);
        // Eight without sharing. How much less than that depends on how busy this machine is.
        assert!(seen.sent < 4.0, "{seen:?}");
    });
}

#[test]
fn a_host_that_is_cut_off_loses_nothing_and_disturbs_nobody() {
    play(|| {
        scenes::cut(SCALE, Duration::ZERO);
    });
}

#[test]
fn members_go_on_without_a_conductor() {
    play(|| scenes::alone(SCALE));
}

#[test]
fn an_empty_conductor_is_told_everything_again() {
    play(|| {
        scenes::replaced(SCALE);
    });
}

#[test]
fn a_member_that_moves_is_found_again() {
    play(|| {
        scenes::moved(SCALE);
    });
}

#[test]
fn originals_get_it_from_ours_and_give_it_back() {
    play(classic::there_and_back);
}
