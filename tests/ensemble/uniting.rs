//! Members that find each other, and what is told of it.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use orchestra::entry::ContentHash;

use crate::common::program::Program;
use crate::common::swarm::{number, parsed};
use crate::folders::{Folders, has_files};

#[test]
fn two_members_unite_and_stay_so() {
    let folders = Folders::new();
    folders.write("a/x", "from a");
    folders.write("b/d/y", "from b");
    let mut a = folders.start("a", &[]);
    let mut b = folders.join("b", &a, "a", &[]);
    a.until("both files", has_files(2));
    b.until("both files", has_files(2));
    assert_eq!((folders.read("b/x"), folders.read("a/d/y")), ("from a".to_owned(), "from b".to_owned()));
    folders.write("b/z", "later");
    a.until("the third file", has_files(3));
    assert_eq!(folders.read("a/z"), "later");
    let last = a.leaves();
    assert!(number(&last, "down_bytes") >= 11 && number(&last, "up_bytes") >= 6, "{last}");
    b.leaves();
}

/// Who has the slow line is asked first, for as much as one is asked for at a time; at its rate that takes a quarter of an
/// hour.
#[test]
fn the_slowest_member_does_not_say_when_it_is_done() {
    let folders = Folders::new();
    let mut random = fastrand::Rng::with_seed(5);
    let mut write = |name: &str, len: usize| {
        let mut bytes = vec![0; len];
        random.fill(&mut bytes);
        for folder in ["slow", "fast"] {
            fs::create_dir_all(folders.path(folder)).unwrap();
            fs::write(folders.path(folder).join(name), &bytes).unwrap();
        }
    };
    write("long", 3 << 20);
    (0..20).for_each(|number| write(&format!("short{number}"), 60_000));
    let slow = folders.start("slow", &["--up", "1K"]);
    let mut late = folders.join("late", &slow, "slow", &[]);
    late.until("it fetches", |event| number(event, "down_bytes") > 0);
    let fast = folders.join("fast", &slow, "slow", &[]);
    late.until("everything", |event| number(event, "files") == 21);
    assert!(fs::read(folders.path("late/long")).unwrap() == fs::read(folders.path("fast/long")).unwrap());
    [late, fast, slow].into_iter().for_each(|member| drop(member.leaves()));
}

#[test]
fn once_ends_with_a_report() {
    let folders = Folders::new();
    folders.write("a/d/x", "content");
    let a = folders.start("a", &[]);
    let (key, address) = (folders.key_of("a"), a.address.to_string());
    let arguments = ["--key-file", &key, "--member", &address, "--once", "--json"];
    let ended = Program::start(&mut folders.member_command("b", &arguments)).ended();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    let events: Vec<Value> = ended.lines.iter().map(|line| parsed(line)).collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((names[0], &names[names.len() - 2..]), ("start", &["report", "left"][..]), "{names:?}");
    assert!(names.contains(&"united"), "{names:?}");
    let report = &events[events.len() - 2];
    assert_eq!((&report["in_unison"], number(report, "moved_total")), (&Value::from(true), 1), "{report}");
    assert_eq!(number(report, "files"), 1, "{report}");
    let moved = &report["moved"][0];
    assert_eq!((moved["path"].as_str(), number(moved, "size")), (Some("d/x"), 7));
    assert_eq!(moved["digest"], ContentHash::of(b"content").to_string());
    assert_eq!(moved["from"].as_array().unwrap().len(), 1);

    let arguments = ["--key-file", &key, "--member", &address, "--once"];
    let ended = Program::start(&mut folders.member_command("c", &arguments)).ended();
    let text = ended.lines.join("\n");
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{text}");
    let digest = ContentHash::of(b"content");
    assert!(text.starts_with("Made the folder c.\nc: listening on 127.0.0.1:"), "{text}");
    assert!(text.contains(&format!("\nd/x  7 B  {digest}  from ")), "{text}");
    assert!(text.contains("\nin unison: 1 file came in "), "{text}");
    let ended = Program::start(&mut folders.member_command("d", &[&arguments[..], &["--quiet"]].concat()));
    let ended = ended.ended();
    assert_eq!((ended.code, ended.lines.len(), ended.errors.as_str()), (Some(0), 0, ""));
    a.leaves();
}

#[test]
fn who_leaves_before_it_is_in_unison_says_so() {
    let folders = Folders::new();
    folders.write("a/x", "x");
    let a = folders.start("a", &["--once", "--expect", "3"]);
    // One other is not enough.
    let mut b = folders.join("b", &a, "a", &[]);
    b.until("the file", has_files(1));
    a.signal(Signal::TERM);
    let last = a.ends_with(3);
    assert_eq!(last["event"], "left");
    b.leaves();
}

#[test]
fn plain_lines_without_a_terminal() {
    let folders = Folders::new();
    let program = Program::start(&mut folders.member_command("new one", &[]));
    let mut lines: Vec<String> = Vec::new();
    while !lines.last().is_some_and(|line| line.contains("listening on")) {
        lines.push(program.next_line().expect("it runs on"));
    }
    let key = folders.told(&["key", "new one"]);
    assert_eq!(lines[0], "Made the folder 'new one'.");
    assert!(lines.contains(&format!("  {key}")), "{lines:?}");
    assert!(lines.contains(&"  ensemble 'new one' --key -".to_owned()), "{lines:?}");
    program.signal(Signal::TERM);
    let ended = program.ended();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    assert!(ended.lines.last().unwrap().starts_with("left after "), "{:?}", ended.lines);
}

#[test]
fn wrong_usage_ends_with_2() {
    let folders = Folders::new();
    for (wrong, expected) in [
        (&["--no-lan"][..], "<DIR>"),
        (&["a", "--key", "s3cret"], "--key-file F"),
        (&["a", "--key", "-", "--key-file", "k"], "cannot be used with"),
        (&["a", "--expect", "2"], "--once"),
        (&["a", "--once", "--expect", "0"], "1.."),
        (&["a", "--json", "--quiet"], "cannot be used with"),
        (&["a", "--up", "0"], "500K or 2M"),
        (&["a", "--member", "nas"], "a port from 1 to 65535"),
        (&["status"], "<DIR>"),
        (&["restore", "a", "--version", "1"], "PATH"),
    ] {
        let errors = folders.refused(wrong, 2);
        assert!(errors.contains(expected) && !errors.contains("s3cret"), "{wrong:?}: {errors}");
    }
    assert!(!folders.path("a").exists(), "nothing was begun");
}
