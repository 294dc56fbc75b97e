//! Whole swarms in which some speak one dialect, some the other, and some both.

use std::thread;
use std::time::{Duration, Instant};

use orchestra::identity::MemberId;
use rustix::process::Signal;

use crate::common::program::PATIENCE;
use crate::common::swarm::{MIB, NAME, SOURCE, fetched, number};
use crate::original::{About, OldConductor, Original, PORT, mask, unmask};
use crate::world::{about, conductor, host, swarm};

const CLASSIC: &[&str] = &["--classic"];

#[test]
fn masks_are_those_of_the_description() {
    assert_eq!(mask(&[true; 9]), "1023");
    let third = [true, false, true, false, false, false, false, false, false];
    assert_eq!(mask(&third), "517");
    assert_eq!(unmask("517", 9), third);
    assert_eq!(unmask("293", 8), [true, false, true, false, false, true, false, false]);
}

#[test]
fn an_original_gets_it_from_ours() {
    let swarm = swarm(3 * MIB + 4_321, "64K");
    let mut source = swarm.member(SOURCE, CLASSIC);
    source.until_complete();
    let original = Original::start(&about(&swarm), host(), conductor(&swarm), false);
    original.completes(PATIENCE);
    assert_eq!(original.received(), about(&swarm).parts(), "each part once");
    let last = source.leaves();
    assert_eq!(number(&last, "up_bytes"), swarm.content.len() as u64);
}

#[test]
fn ours_gets_it_from_an_original() {
    let swarm = swarm(3 * MIB + 4_321, "64K");
    let original = Original::start(&about(&swarm), host(), conductor(&swarm), true);
    let mut getter = swarm.member("getter", CLASSIC);
    getter.until_complete();
    assert!(original.connections() > 0);
    let last = getter.leaves();
    assert_eq!(fetched(&last), swarm.content.len() as u64);
    swarm.assert_has("getter");
}

#[test]
fn both_ways_with_an_original_conductor() {
    let swarm = swarm(MIB, "32K");
    let old = OldConductor::knowing(&[]);
    let with = ["--classic", "--conductor", &old.address.to_string()];
    let seeder = Original::start(&about(&swarm), host(), old.address, true);
    let mut getter = swarm.member("getter", &with);
    getter.until_complete();
    drop(seeder);
    let leecher = Original::start(&about(&swarm), host(), old.address, false);
    leecher.completes(PATIENCE);
    getter.leaves();
    swarm.assert_has("getter");
}

/// An original writes the path that it was given into the manifest, and knows the composition by that and nothing else.
#[test]
fn a_manifest_whose_name_is_a_path_is_spoken_of_as_it_stands() {
    let swarm = swarm(MIB, "32K");
    let path = format!("/home/x/{NAME}");
    swarm.edit_manifest(2, &path);
    let about = About { name: path, ..about(&swarm) };
    let old = OldConductor::knowing(&[]);
    for conductor in [conductor(&swarm), old.address] {
        let place = format!("of-{}", conductor.port());
        let with = ["--classic", "--conductor", &conductor.to_string()];
        let seeder = Original::start(&about, host(), conductor, true);
        let mut ours = swarm.member(&place, &with);
        ours.until_complete();
        drop(seeder);
        let leecher = Original::start(&about, host(), conductor, false);
        leecher.completes(PATIENCE);
        ours.leaves();
        swarm.assert_has(&place);
    }
}

#[test]
fn one_bad_line_of_an_original_conductor_does_not_cost_the_others() {
    let swarm = swarm(MIB, "64K");
    let at = host();
    let _seeder = Original::start(&about(&swarm), at, conductor(&swarm), true);
    let lines = vec!["nas:10001".to_owned(), "n".repeat(9_999), format!("{at}:{PORT}"), String::new()];
    let old = OldConductor::telling(lines);
    let mut getter = swarm.member("getter", &["--classic", "--conductor", &old.address.to_string()]);
    getter.until_complete();
    let log = swarm.log(&getter);
    assert!(log.contains("3 lines that are no addresses were skipped"), "{log}");
    getter.leaves();
    swarm.assert_has("getter");
}

/// The ones know nobody who has it but the one in the middle, and ask it for what it has not got yet.
#[test]
fn what_came_from_ours_is_given_to_originals() {
    let swarm = swarm(8 * MIB, "64K");
    let mut source = swarm.member(SOURCE, &["--up", "3M"]);
    source.until_complete();
    let originals = [0; 2].map(|_| Original::start(&about(&swarm), host(), conductor(&swarm), false));
    let mut middle = swarm.member("middle", CLASSIC);
    middle.until_complete();
    originals.iter().for_each(|original| original.completes(PATIENCE));
    middle.leaves();
    swarm.assert_has("middle");
}

#[test]
fn what_came_from_originals_is_given_to_ours() {
    let swarm = swarm(4 * MIB, "64K");
    let seeder = Original::start(&about(&swarm), host(), conductor(&swarm), true);
    let leecher = Original::start(&about(&swarm), host(), conductor(&swarm), false);
    let mut native = swarm.member("native", &[]);
    let middle = swarm.member("middle", CLASSIC);
    native.until_complete();
    leecher.completes(PATIENCE);
    let last = native.leaves();
    assert_eq!(fetched(&last), swarm.content.len() as u64);
    middle.leaves();
    assert!(seeder.sent() > 0);
    swarm.assert_has("native");
    swarm.assert_has("middle");
}

#[test]
fn wrong_bytes_of_an_original_are_not_kept() {
    let swarm = swarm(MIB, "64K");
    let liar = Original::liar(&about(&swarm), host(), conductor(&swarm));
    let mut getter = swarm.member("getter", CLASSIC);
    getter.until("wrong bytes", |event| number(event, "wasted_bytes") > 0);
    let honest = Original::start(&about(&swarm), host(), conductor(&swarm), true);
    getter.until_complete();
    assert!(swarm.log(&getter).contains("sent wrong bytes"), "{}", swarm.log(&getter));
    getter.leaves();
    assert!(honest.sent() > 0 && liar.sent() > 0);
    swarm.assert_has("getter");
}

#[test]
fn two_of_ours_that_speak_both_use_the_sealed_one() {
    let swarm = swarm(2 * MIB, "64K");
    let mut source = swarm.member(SOURCE, CLASSIC);
    source.until_complete();
    let mut getter = swarm.member("getter", CLASSIC);
    getter.until_complete();
    let log = swarm.log(&getter);
    assert!(log.contains(" is up (dialled, ") && !log.contains(&classic_id()), "{log}");
    getter.leaves();
    source.leaves();
    swarm.assert_has("getter");
}

/// What logs call whoever speaks the classic protocol on `127.0.0.1`.
fn classic_id() -> String {
    format!("member {}", MemberId::of_classic([127, 0, 0, 1].into()))
}

#[test]
fn ours_does_not_talk_with_itself() {
    let swarm = swarm(MIB, "64K");
    let old = OldConductor::knowing(&[]);
    // An original conductor tells an asker of itself from its second question on.
    let lonely = swarm.member("lonely", &["--classic", "--conductor", &old.address.to_string()]);
    let log = || swarm.log(&lonely);
    let since = Instant::now();
    while !log().contains("it leads to this member itself") {
        assert!(since.elapsed() < PATIENCE, "{}", log());
        thread::sleep(Duration::from_millis(50));
    }
    assert!(!log().contains(&classic_id()), "{}", log());
    lonely.signal(Signal::TERM);
    lonely.ends_with(3);
}
