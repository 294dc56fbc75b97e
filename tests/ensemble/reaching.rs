//! How members find each other again, and what is told of those that are not to be found.

use std::fs;
use std::net::SocketAddr;

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
    b.signal(rustix::process::Signal::KILL);
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
    let mut nonsense = "\u{1b}[2J\n\n255.255.255.255:0 0 0\n[::]:1 1 9999999999\n127.0.0.1:1 x 1\n".to_owned();
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
