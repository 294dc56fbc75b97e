//! Members that end in the middle, in every way, and are run again.

use std::time::Instant;

use rustix::process::Signal;

use crate::common::program::binary;
use crate::common::rounds;
use crate::common::say;
use crate::common::swarm::{MIB, Member, Swarm, fetched, number};
use crate::common::terminal::Shell;

#[test]
fn kill_9_at_random_moments() {
    // examples/kill_rounds.rs plays as many and as large rounds as one likes.
    let tally = rounds::play(5, 16 * MIB, 9);
    assert_eq!(tally.rounds(), 5);
}

#[test]
fn kill_9_amid_the_transfer() {
    let swarm = Swarm::new(12 * MIB);
    let source = swarm.source();
    let mut member = swarm.member_of(&source, "b", &["--down", "2M"]);
    let seen = number(&member.until_percent(10), "bytes");
    member.signal(Signal::KILL);
    assert_eq!(member.ended().code, None);
    // What it claimed to hold was on disk.
    resumes(&swarm, &source, seen);
}

#[test]
fn a_signal_to_end_amid_the_transfer() {
    let swarm = Swarm::new(12 * MIB);
    let source = swarm.source();
    // Not ^C's own signal: a test runner in the background may have had that one switched off for its children.
    for percent in [5, 30] {
        let mut member = swarm.member_of(&source, "b", &["--down", "2M"]);
        member.until_percent(percent);
        member.signal(Signal::TERM);
        let left = member.ends_with(3);
        assert_eq!(left["phase"], "getting");
        assert_eq!(number(&left, "bytes"), swarm.right_bytes(&swarm.partial("b")) as u64);
    }
    resumes(&swarm, &source, 12 * MIB as u64 * 3 / 10);
    source.leaves();
}

#[test]
fn q_amid_the_transfer() {
    let Some(shell) = Shell::open(100) else { return };
    let swarm = Swarm::new(12 * MIB);
    let source = swarm.source();
    let member = |options: &str| {
        shell.types(&format!(
            "cd {}; clear; {} song.orch --dir b --listen 127.0.0.1:0 --member {} {options}; echo code=$?",
            swarm.path("").display(),
            binary("member").display(),
            source.address
        ));
    };
    std::fs::create_dir(swarm.path("b")).unwrap();
    member("--down 2M");
    shell.until("ten percent", |screen| {
        let percent = screen.lines().rev().find_map(|line| line.split_once("% (")?.0.parse::<u32>().ok());
        percent.is_some_and(|percent| percent >= 10)
    });
    quits(&shell, "code=3");
    shell.shows("running it again resumes");
    assert!(!swarm.whole("b").exists());
    let right = swarm.right_bytes(&swarm.partial("b"));
    assert!(right * 10 >= swarm.content.len(), "{right} bytes are right");

    member("");
    shell.shows("complete, sharing");
    swarm.assert_has("b");
    let received = orchestra::text::bytes((swarm.content.len() - right) as u64);
    let screen = shell.screen();
    assert!(screen.contains(&format!("{received} received")), "not {received}:\n{screen}");
    quits(&shell, "code=0");
}

/// Presses `q`, waits for the exit code, and says how long it took.
fn quits(shell: &Shell, code: &str) {
    let start = Instant::now();
    shell.types_key("q");
    shell.shows(code);
    say(&format!("q to {code}: {} ms", start.elapsed().as_millis()));
}

/// Runs the member in `b` again: it keeps what it has, at least so many bytes, and fetches only the rest.
fn resumes(swarm: &Swarm, source: &Member, at_least: u64) {
    assert!(!swarm.whole("b").exists());
    let right = swarm.right_bytes(&swarm.partial("b")) as u64;
    assert!(right >= at_least, "{right} bytes are right, and it claimed {at_least}");
    let left = swarm.member_of(source, "b", &["--leave"]).ends_with(0);
    assert_eq!(fetched(&left), swarm.content.len() as u64 - right);
    swarm.assert_has("b");
}
