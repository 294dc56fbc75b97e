//! Compositions of odd sizes, and one with an odd name.

use std::fs;

use crate::common::program::Program;
use crate::common::swarm::{MIB, NAME, SOURCE, Swarm, fetched, number};

/// Shares such a composition with one member.
#[track_caller]
fn goes_over(len: usize, part_size: &str) {
    let swarm = Swarm::cut(len, part_size);
    let source = swarm.source();
    let left = swarm.member_of(&source, "b", &["--leave", "--check-digest"]).ends_with(0);
    swarm.assert_has("b");
    assert_eq!((fetched(&left), number(&left, "bytes")), (len as u64, len as u64));
    source.leaves();
}

#[test]
fn nothing_at_all() {
    goes_over(0, "16K");
}

#[test]
fn a_single_byte() {
    goes_over(1, "16K");
    goes_over(1, "1");
}

#[test]
fn parts_of_1_kib() {
    goes_over(MIB + 1, "1K");
}

#[test]
fn parts_of_16_kib() {
    goes_over(100 * 16_384 - 1, "16K");
    goes_over(100 * 16_384, "16K");
}

#[test]
fn parts_of_an_odd_size() {
    goes_over(1_000_003, "10007");
}

#[test]
fn parts_of_16_mib() {
    goes_over(20 * MIB + 7, "16M");
}

#[test]
fn names_that_deceive_are_shown_escaped() {
    let swarm = Swarm::new(1000);
    let source = swarm.source();
    swarm.edit_manifest(2, "a\u{202e}fdp.exe");
    let address = source.address.to_string();
    let ended = Program::start(&mut swarm.command("b", &["--leave", "--member", &address])).ended();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    // The name does not tell compositions apart: it is the same one under its own name.
    assert!(swarm.is_content(&swarm.path("b").join("a\u{202e}fdp.exe")));
    assert!(ended.lines[0].starts_with("a\\u{202e}fdp.exe: "), "{:?}", ended.lines);
    for refused in ["..", "a/..", "a/", "a\u{1b}[2J"] {
        swarm.edit_manifest(2, refused);
        let ended = Program::start(&mut swarm.command("b", &["--leave"])).ended();
        assert_eq!(ended.code, Some(1), "{refused}");
        let told = "member: song.orch is not a manifest: line 2 (name): a file name ";
        assert!(ended.errors.starts_with(told), "{}", ended.errors);
    }
    assert!(fs::read_dir(swarm.path(SOURCE)).unwrap().all(|entry| entry.unwrap().file_name() == NAME));
    source.leaves();
}
