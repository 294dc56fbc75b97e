//! Members together: who gets what from whom, and what becomes of them without a conductor.

use rustix::process::Signal;

use crate::common::program::ConductorProgram;
use crate::common::swarm::{MIB, SOURCE, Swarm, fetched, number};

#[test]
fn one_gets_it_from_another_and_leaves() {
    let swarm = Swarm::new(8 * MIB);
    let source = swarm.source();
    let left = swarm.member("b", &["--leave"]).ends_with(0);
    swarm.assert_has("b");
    assert_eq!(left["phase"], "complete");
    assert_eq!(fetched(&left), 8 * MIB as u64);
    assert!(number(&source.leaves(), "up_bytes") >= 8 * MIB as u64);
}

#[test]
fn four_at_once_share_the_work() {
    let swarm = Swarm::new(16 * MIB);
    let source = swarm.source();
    let places = ["b", "c", "d", "e"];
    let mut members = places.map(|place| swarm.member(place, &[]));
    for (place, member) in places.iter().zip(&mut members) {
        member.until_complete();
        swarm.assert_has(place);
    }
    let up = number(&source.leaves(), "up_bytes");
    assert!(up * 2 <= 16 * MIB as u64 * 3, "the source sent {up} bytes for one file");
    for member in members {
        member.leaves();
    }
}

#[test]
fn one_that_joins_half_way_finishes_too() {
    let swarm = Swarm::new(12 * MIB);
    let source = swarm.source();
    let mut slow = swarm.member("b", &["--down", "3M"]);
    slow.until_percent(30);
    swarm.member("c", &["--leave"]).ends_with(0);
    swarm.assert_has("c");
    slow.until_complete();
    swarm.assert_has("b");
    source.leaves();
}

#[test]
fn a_swarm_outlives_its_conductor() {
    let mut swarm = Swarm::new(8 * MIB);
    let source = swarm.source();
    let mut members = ["b", "c", "d"].map(|place| swarm.member(place, &["--down", "2M"]));
    members[0].until_percent(30);
    let (code, _) = swarm.conductor.take().unwrap().stop(Signal::KILL);
    assert_eq!(code, None, "it was killed");
    // A fifth one knows one of the four and hears of the others from it.
    let mut fifth = swarm.member_of(&members[1], "e", &["--down", "1M"]);
    fifth.until("another member", |event| number(event, "members") >= 2);
    fifth.signal(Signal::TERM);
    fifth.ends_with(3);
    swarm.member_of(&members[2], "e", &["--leave"]).ends_with(0);
    swarm.assert_has("e");
    for (place, member) in ["b", "c", "d"].iter().zip(&mut members) {
        member.until_complete();
        swarm.assert_has(place);
    }
    source.leaves();
}

#[test]
fn a_restarted_conductor_knows_the_swarm_again() {
    // An address of its own: nobody else takes the port between the two conductors.
    let mut swarm = Swarm::with(6 * MIB, &[], "127.0.0.77:0");
    let source = swarm.source();
    let mut slow = swarm.member("b", &["--down", "2M"]);
    slow.until_percent(10);
    let conductor = swarm.conductor.take().unwrap();
    let address = conductor.address.to_string();
    conductor.stop(Signal::KILL);
    swarm.conductor = Some(ConductorProgram::on(&address));
    // It knows nobody but the conductor.
    swarm.member("c", &["--leave"]).ends_with(0);
    swarm.assert_has("c");
    slow.until_complete();
    swarm.assert_has("b");
    source.leaves();
}

#[test]
fn limits_are_kept() {
    let [up, down] = [(); 2].map(|()| Swarm::new(3 * MIB));
    let sources = [up.member(SOURCE, &["--up", "1M"]), down.source()];
    let by_up = up.member_of(&sources[0], "b", &["--leave"]);
    let by_down = down.member_of(&sources[1], "b", &["--leave", "--down", "1M"]);
    for (swarm, member) in [(up, by_up), (down, by_down)] {
        // Three seconds less what may come in a burst; a busy machine only makes it longer.
        assert!(member.ends_with(0)["elapsed_s"].as_f64().unwrap() > 2.0);
        swarm.assert_has("b");
    }
}
