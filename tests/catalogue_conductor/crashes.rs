//! Power cuts and full disks: what was acknowledged is there, and nothing is there by half.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use orchestra::wire::catalogue::{Refusal, Reply, Request};
use rustix::process::Signal;

use crate::asker::{Asker, Song, wanted};
use crate::common::skipped;
use crate::program;

/// How many publish at once, each on a connection of its own: with one loopback address no more than one may have.
const PUBLISHERS: usize = if cfg!(target_os = "linux") { 1_000 } else { PUBLISHERS_PER_SOURCE };
/// How many of them are at one address.
const PUBLISHERS_PER_SOURCE: usize = 50;

/// Their sockets, and some more.
fn allow_sockets() {
    assert!(orchestra::host::tcp::allow_open_files(2 * PUBLISHERS) > PUBLISHERS, "open files are limited");
}

fn publisher(number: usize, conductor: SocketAddr) -> Asker {
    Asker::from(u8::try_from(number / PUBLISHERS_PER_SOURCE).unwrap(), conductor).unwrap()
}

#[test]
fn killed_while_a_thousand_publish_it_keeps_what_it_acknowledged() {
    allow_sockets();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("group.sqlite");
    let conductor = program(&file, &[]);
    let token = Asker::connect(conductor.address).register("ada").token;
    let songs: Vec<Song> = (0..PUBLISHERS).map(|n| Song::new(&format!("song {n}"), 1 + n % 3)).collect();
    let mut askers: Vec<Asker> = Vec::new();
    for n in 0..PUBLISHERS {
        let mut asker = publisher(n, conductor.address);
        assert!(matches!(asker.resume(&token), Reply::Account(_)));
        askers.push(asker);
    }
    let (acknowledged, published) = (Mutex::new(BTreeSet::new()), AtomicUsize::new(0));
    thread::scope(|scope| {
        for (mut asker, song) in askers.into_iter().zip(&songs) {
            let (acknowledged, published) = (&acknowledged, &published);
            let publish = move || {
                if let Ok(Reply::Published(_)) = asker.publish(song) {
                    acknowledged.lock().unwrap().insert(song.name.clone());
                }
                published.fetch_add(1, Ordering::Relaxed);
            };
            thread::Builder::new().stack_size(128 * 1024).spawn_scoped(scope, publish).unwrap();
        }
        // In the middle of it: some have their answer, and most do not.
        while acknowledged.lock().unwrap().is_empty() {
            thread::yield_now();
        }
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(conductor.id().try_into().unwrap()).unwrap(),
            Signal::KILL,
        )
        .unwrap();
    });
    drop(conductor);
    let acknowledged = acknowledged.into_inner().unwrap();
    crate::common::say(&format!("{} of {PUBLISHERS} were acknowledged", acknowledged.len()));
    let conductor = program(&file, &[]);
    let mut asker = Asker::connect(conductor.address);
    let mut found = BTreeSet::new();
    for song in &songs {
        match asker.ask(&Request::Details(wanted(&song.name, ""))) {
            Reply::Details(_) => {
                assert_eq!(asker.fetch(&song.name), (song.composition(), song.parts.clone()), "none is half");
                found.insert(song.name.clone());
            }
            other => assert_eq!(other, Reply::Refused(Refusal::NotFound)),
        }
    }
    assert!(acknowledged.is_subset(&found), "lost: {:?}", acknowledged.difference(&found));
    assert!(matches!(asker.resume(&token), Reply::Account(_)));
    // It goes on.
    assert!(matches!(asker.publish(&Song::new("after", 1)), Ok(Reply::Published(_))));
}

#[test]
fn a_thousand_publish_at_once() {
    allow_sockets();
    let dir = tempfile::tempdir().unwrap();
    let conductor = program(&dir.path().join("group.sqlite"), &[]);
    let token = Asker::connect(conductor.address).register("ada").token;
    thread::scope(|scope| {
        for n in 0..PUBLISHERS {
            let (address, token) = (conductor.address, &token);
            let publish = move || {
                let mut asker = publisher(n, address);
                assert!(matches!(asker.resume(token), Reply::Account(_)));
                let reply = asker.publish(&Song::new(&format!("song {n}"), 2)).unwrap();
                assert!(matches!(reply, Reply::Published(_)), "{reply:?}");
            };
            thread::Builder::new().stack_size(128 * 1024).spawn_scoped(scope, publish).unwrap();
        }
    });
    let query = orchestra::wire::catalogue::Query { text: "song".to_owned(), after: None, limit: 1 };
    let Reply::Page(page) = Asker::connect(conductor.address).ask(&Request::List(query)) else { panic!() };
    assert_eq!(page.matches as usize, PUBLISHERS);
}

/// A small disk, mounted at a folder.
struct SmallDisk(PathBuf);

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let small = dir.path().join("small");
    fs::create_dir(&small).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "none"]).arg(&small).status();
    if !mounted.is_ok_and(|status| status.success()) {
        skipped("needs root, to mount a small disk");
        return;
    }
    let _disk = SmallDisk(small.clone());
    let conductor = program(&small.join("group.sqlite"), &[]);
    let mut ada = Asker::connect(conductor.address);
    ada.register("ada");
    assert!(matches!(ada.publish(&Song::new("kept", 10)), Ok(Reply::Published(_))));
    // Two MiB of digests do not fit beside this.
    fs::write(small.join("filler"), vec![0; 2 << 20]).unwrap();
    let large = Song::new("large", 100_000);
    assert_eq!(ada.publish(&large).unwrap(), Reply::Refused(Refusal::Trouble));
    assert_eq!(ada.list(""), ["kept"]);
    assert_eq!(ada.fetch("kept").1.len(), 10);
    assert!(conductor.log().contains("the disk is full"), "{}", conductor.log());
    // With room it goes on by itself.
    fs::remove_file(small.join("filler")).unwrap();
    let reply = ada.publish(&Song::new("fits", 1_000)).unwrap();
    assert!(matches!(reply, Reply::Published(_)), "{reply:?}");
    assert_eq!(ada.list(""), ["fits", "kept"]);
}
