//! How members find each other again, and what is told of those that are not to be found.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use rustix::process::Signal;
use serde_json::Value;

use crate::common::program::Program;
use crate::common::swarm::Member;
use crate::folders::{Folders, has_files};
use crate::scenes::until;

impl Folders {
    /// Starts the member of a folder that has a key at an address that it had before.
    fn start_at(&self, folder: &str, address: SocketAddr, arguments: &[&str]) -> Member {
        let mut command = self.command(&[folder, "--no-lan", "--json", "--listen", &address.to_string()]);
        Member::start(command.args(arguments))
    }

    /// What a folder remembers of where others were.
    fn remembered(&self, folder: &str) -> String {
        fs::read_to_string(self.path(folder).join(".orchestra/members")).unwrap_or_default()
    }
}

#[test]
fn who_was_reached_once_is_found_again() {
    let folders = Folders::new();
    folders.write("a/x", "x");
    let a = folders.start("a", &[]);
    let mut b = folders.join("b", &a, "a", &[]);
    b.until("the file", has_files(1));
    let address = a.address;
    until("it is written down", || folders.remembered("b").starts_with(&format!("{address} ")));
    a.leaves();
    b.leaves();
    // Nobody is named any more.
    folders.write("a/y", "y");
    let mut b = folders.start("b", &[]);
    let mut a = folders.start_at("a", address, &[]);
    b.until("both files", has_files(2));
    a.until("both files", has_files(2));
    // Nor when it was killed.
    b.signal(Signal::KILL);
    b.ended();
    let mut b = folders.start("b", &[]);
    b.until("it is found again", has_files(2));
    a.leaves();
    b.leaves();
}

#[test]
fn nonsense_about_others_hurts_nobody() {
    let folders = Folders::new();
    folders.write("a/x", "x");
    let mut a = folders.start("a", &[]);
    let address = a.address;
    let b = folders.join("b", &a, "a", &[]);
    until("it is written down", || !folders.remembered("b").is_empty());
    b.leaves();
    let good = folders.remembered("b");
    let mut nonsense =
        "\u{1b}[2J\n\n255.255.255.255:0 0 0\n[::]:1 1 9999999999\n127.0.0.1:1 x 1\n".to_owned();
    nonsense += &good;
    // Some at which nobody is (RFC 5737).
    (1..10).for_each(|port| nonsense += &format!("192.0.2.{port}:{port} {port:x} 9999999999\n"));
    fs::write(folders.path("b/.orchestra/members"), nonsense.as_bytes()).unwrap();
    let mut b = folders.start("b", &[]);
    b.until("it is found", has_files(1));
    b.leaves();
    fs::write(folders.path("b/.orchestra/members"), [0xff; 100_000]).unwrap();
    let mut b = folders.start("b", &["--member", &address.to_string()]);
    b.until("it is found as at the first time", has_files(1));
    until("that is written down", || folders.remembered("b").starts_with(&format!("{address} ")));
    a.until("the file", has_files(1));
    b.leaves();
    a.leaves();
}

/// Waits for the trouble that names this, or for its end.
fn until_told(member: &mut Member, words: &str, over: bool) -> String {
    let event = member.until(words, |event| {
        event["event"] == "trouble"
            && event["over"] == over
            && event["trouble"].as_str().unwrap().contains(words)
    });
    event["trouble"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_named_and_cannot_be_reached_is_told() {
    let folders = Folders::new();
    folders.start("a", &[]).leaves();
    let key = folders.key_of("a");
    let other = folders.start("other", &[]);
    // Somebody who says something, and nothing that a member says.
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let web_address = web.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in web.incoming().flatten() {
            let mut stream = stream;
            drop(stream.write_all(&[b'x'; 1_000]));
            drop(stream.read_to_end(&mut Vec::new()));
        }
    });
    // A port that is free, for a while.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (other_address, web_address, free_address) =
        (other.address.to_string(), web_address.to_string(), free.to_string());
    let nowhere = "no-such-host.invalid:1";
    let members = ["--member", &other_address, "--member", &web_address, "--member", &free_address];
    let arguments = [&["--key-file", &key, "--member", nowhere], &members[..]].concat();
    let expected = [
        (nowhere, "; check the name"),
        (&other_address, " hung up: it has another key, or is no ensemble; compare `ensemble key` on both"),
        (&web_address, " is no ensemble; check the port"),
        (&free_address, "refused; is `ensemble` running there, on this port?"),
    ];
    let mut b = folders.start("b", &arguments);
    for (name, why) in expected {
        let status = folders.until("b", why, |status| {
            let unreached = status["unreached"].as_array().unwrap().iter();
            unreached
                .map(|text| text.as_str().unwrap())
                .any(|text| text.starts_with(&format!("--member {name}: ")) && text.contains(why))
        });
        assert_eq!(status["troubles"], Value::Array(vec![]), "a report of `--once` would be no good one");
    }
    let told = folders.told(&["status", "b"]);
    assert!(
        told.contains(&format!("\n  trouble: --member {web_address}: {web_address} is no ensemble")),
        "{told}"
    );
    until_told(&mut b, &free_address, false);
    // It is reached after all.
    let a = folders.start_at("a", free, &[]);
    until_told(&mut b, &free_address, true);
    // And goes again, which is nothing to tell: it was there.
    a.leaves();
    b.until("it is gone", |event| event["members"] == 0);
    assert_eq!(folders.status("b")["unreached"].as_array().unwrap().len(), 3);
    b.leaves();

    // Who waits in vain is told of all of them.
    let once = [&["b", "--no-lan", "--listen", "127.0.0.1:0", "--once"], &arguments[..]].concat();
    let program = Program::start(&mut folders.command(&once));
    while !program.next_line().expect("it runs on").contains("listening on") {}
    folders.until("b", "all are told", |status| status["unreached"].as_array().unwrap().len() == 3);
    program.signal(Signal::TERM);
    let ended = program.ended();
    assert_eq!(ended.code, Some(3), "{:?}", ended.lines);
    for (name, why) in expected {
        let is_told = |line: &String| {
            line.starts_with(&format!("not reached: --member {name}: ")) && line.contains(why)
        };
        assert!(ended.lines.iter().any(is_told), "{name}: {:?}", ended.lines);
    }
    other.leaves();
}
