//! What is asked of a member that runs, or of a folder where none does.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use rustix::process::Signal;
use serde_json::Value;

use crate::common::swarm::number;
use crate::folders::{Folders, has_files};

/// A socket's address is too short for a path with such a name.
const LONG: &str = "a folder with a name that is so long that no address of a socket could ever hold it, however short the rest of its path";

#[test]
fn a_deleted_file_is_brought_back() {
    let folders = Folders::new();
    let there = |path: &str| format!("{LONG}/{path}");
    folders.write("a/x", "first");
    folders.write("a/d/y", "precious");
    let a = folders.start("a", &[]);
    let mut b = folders.join(LONG, &a, "a", &[]);
    b.until("both files", has_files(2));
    fs::remove_dir_all(folders.path("a/d")).unwrap();
    b.until("it is gone", |event| event["united"] == true && number(event, "folders") == 0);
    assert!(!folders.path(there("d")).exists());

    let listed = folders.told(&["restore", LONG]);
    assert!(listed.lines().next().unwrap().ends_with("Z  1         8 B  d/y"), "{listed}");
    let told = folders.told(&["restore", LONG, "./d/y"]);
    assert!(told.starts_with("d/y of ") && told.ends_with(" is back"), "{told}");
    assert_eq!(folders.read(&there("d/y")), "precious");
    // It is a new version: it goes to all others.
    folders.until("a", "it is back everywhere", |_| folders.path("a/d/y").exists());
    assert_eq!(folders.read("a/d/y"), "precious");

    folders.write("a/x", "second");
    folders.until(LONG, "it has come", |_| folders.read(&there("x")) == "second");
    a.leaves();
    b.leaves();
    let when = folders.told(&["restore", LONG]);
    let when = when.lines().find(|line| line.ends_with("  x")).unwrap().split(' ').next().unwrap().to_owned();
    folders.told(&["restore", LONG, "x", "--version", &when]);
    assert_eq!(folders.read(&there("x")), "first");
    // What was there is kept, too, and is now the latest.
    folders.told(&["restore", LONG, "x"]);
    assert_eq!(folders.read(&there("x")), "second");

    let errors = folders.refused(&["restore", LONG, "nothing"], 1);
    assert!(errors.starts_with("ensemble: nothing is not in the archive; to see what is: "), "{errors}");
    let errors = folders.refused(&["restore", LONG, "x", "--version", "99"], 1);
    assert!(errors.starts_with("ensemble: x has no version 99 in the archive; "), "{errors}");
    for outside in ["../x", "/etc/passwd", ".orchestra/key"] {
        let errors = folders.refused(&["restore", LONG, outside], 1);
        assert!(errors.contains("is not a path in the folder: "), "{errors}");
    }
}

#[test]
fn verifying_finds_what_is_not_as_it_was() {
    let folders = Folders::new();
    // More than a page.
    for number in 0..1_200 {
        folders.write(&format!("a/{number}"), "same");
    }
    folders.write("a/d/y", "yyy");
    let mut a = folders.start("a", &[]);
    a.until("all are known", |event| number(event, "files") == 1_201 && event["busy"] == false);
    let right = "1202 of 1202 paths as they should be, 4.6 KiB read";
    assert_eq!(folders.told(&["verify", "a"]), right);
    a.leaves();
    assert_eq!(folders.told(&["verify", "a"]), right);
    folders.write("a/7", "other");
    fs::remove_dir_all(folders.path("a/d")).unwrap();
    let ended = folders.run(&["verify", "a"]);
    let expected = [
        "7: changed since the last look",
        "d: missing",
        "d/y: missing",
        "1199 of 1202 paths as they should be, 4.6 KiB read",
    ];
    assert_eq!((ended.code, ended.errors.as_str()), (Some(1), ""));
    assert_eq!(ended.lines, expected);
}

#[test]
fn deletions_that_are_held_back_go_ahead_when_they_are_meant() {
    let folders = Folders::new();
    for name in ["p", "q", "r", "s"] {
        folders.write(&format!("a/{name}"), name);
    }
    let mut a = folders.start("a", &[]);
    a.until("all are known", |event| number(event, "files") == 4 && event["busy"] == false);
    assert_eq!(folders.told(&["approve", "a"]), "no deletions were held back");
    a.leaves();
    for name in ["p", "q", "r", "s"] {
        fs::remove_file(folders.path("a").join(name)).unwrap();
    }
    let mut a = folders.start("a", &[]);
    let trouble = a.until("a trouble", |event| event["event"] == "trouble");
    assert!(trouble["trouble"].as_str().unwrap().contains("`ensemble approve a`"), "{trouble}");
    let status = folders.told(&["status", "a"]);
    assert!(status.contains("4 deletions held back; to let them go: ensemble approve a"), "{status}");
    assert_eq!(folders.told(&["approve", "a"]), "4 deletions go ahead");
    let over = a.until("its end", |event| event["event"] == "trouble");
    assert_eq!((&over["over"], number(&over, "held")), (&Value::from(true), 0), "{over}");
    a.leaves();
    let errors = folders.refused(&["approve", "a"], 1);
    assert_eq!(errors, "ensemble: no member works on a; start one: ensemble a\n");
}

#[test]
fn a_folder_tells_how_it_stands() {
    let folders = Folders::new();
    folders.write("a/x", "xx");
    folders.write("a/x.conflict-0123abcd", "x");
    let mut a = folders.start("a", &[]);
    let mut b = folders.join("b", &a, "a", &[]);
    b.until("all has come", has_files(2));
    let status = folders.until("a", "b is seen", has_files(2));
    assert_eq!((&status["running"], number(&status, "conflicts")), (&Value::from(true), 1), "{status}");
    assert_eq!(status["listen"], a.address.to_string());
    assert_eq!(status["neighbours"][0]["address"], b.address.to_string());
    let text = folders.told(&["status", "a"]);
    assert!(text.starts_with("a: in unison; a member runs since "), "{text}");
    assert!(text.contains("\n  2 files, 0 folders, 0 links; 3 B\n"), "{text}");
    assert!(text.contains("\n  1 file in conflict: "), "{text}");
    let errors = folders.refused(&["a", "--no-lan"], 1);
    assert!(errors.starts_with("ensemble: another ensemble works on a; "), "{errors}");
    // A program that is killed leaves its socket behind.
    a.signal(Signal::KILL);
    a.ended();
    assert!(folders.path("a/.orchestra/control").exists());
    let status = folders.status("a");
    assert_eq!((&status["running"], number(&status, "files")), (&Value::from(false), 2), "{status}");
    let text = folders.told(&["status", "a"]);
    assert!(text.starts_with("a: no member runs; to start one: ensemble a\n  2 files"), "{text}");
    a = folders.start("a", &[]);
    assert_eq!(folders.status("a")["running"], true);
    a.leaves();
    assert!(!folders.path("a/.orchestra/control").exists());
    b.leaves();
}

#[test]
fn rude_askers_hold_up_nobody_for_long() {
    let folders = Folders::new();
    let a = folders.start("a", &[]);
    let connect = || UnixStream::connect(folders.path("a/.orchestra/control")).unwrap();
    let silent = connect();
    let mut half = connect();
    half.write_all(b"{\"ask\":").unwrap();
    for wrong in [&b"\n"[..], b"{}\n", b"{\"ask\":\"rows\",\"after\":\"../..\"}\n", b"\xff\n"] {
        let mut stream = connect();
        stream.write_all(wrong).unwrap();
        let mut answer = Vec::new();
        // It is closed, with or without what was not read.
        drop(stream.read_to_end(&mut answer));
        assert!(answer.is_empty(), "{wrong:?}");
    }
    let mut endless = connect();
    let mut taken = 0;
    while endless.write_all(&[b'x'; 65_536]).is_ok() {
        taken += 65_536;
    }
    assert!(taken < 8 << 20, "a question of {taken} bytes was taken");
    assert_eq!(folders.status("a")["running"], true);
    drop((silent, half));
    a.leaves();
}
