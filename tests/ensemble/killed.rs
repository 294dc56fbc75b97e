//! Members that are killed at any moment, on two hosts of a network made for it: in the end the folders are the same, no
//! half file ever has a final name, and what had arrived is not fetched again.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use orchestra::key::EnsembleKey;
use rustix::process::Signal;

use crate::common::skipped;
use crate::common::swarm::Member;
use crate::folders::Folders;
use crate::network::{self, Network};
use crate::scenes::until;

const LEN: usize = 48 << 20;
const ROUNDS: u64 = 10;
const PORT: u16 = 10_001;

/// Two hosts, each with a member that knows where the other one is.
struct Pair {
    network: Network,
    folders: Folders,
    members: [Option<Member>; 2],
}

const NAMES: [&str; 2] = ["a", "b"];

impl Pair {
    fn new() -> Pair {
        let folders = Folders::new();
        folders.write("key", &EnsembleKey::from_bytes([7; 32]).to_string());
        // At this rate a change takes a few seconds, so that it is interrupted more often than not.
        let mut pair = Pair { network: Network::new(2, 200), folders, members: [None, None] };
        (0..2).for_each(|at| pair.start(at));
        pair
    }

    fn host(&self, at: usize) -> &network::Host {
        self.network.host(u8::try_from(at + 1).unwrap())
    }

    fn start(&mut self, at: usize) {
        let other = format!("{}:{PORT}", self.host(1 - at).v4());
        let listen = format!("{}:{PORT}", self.host(at).v4());
        let arguments =
            [NAMES[at], "--no-lan", "--json", "--key-file", "key", "--listen", &listen, "--member", &other];
        let command = self.folders.command(&arguments);
        self.members[at] = Some(Member::start(&mut self.host(at).command(&command)));
    }

    fn kill(&mut self, at: usize) {
        let member = self.members[at].take().unwrap();
        member.signal(Signal::KILL);
        member.ended();
    }

    /// Bytes that a host has received, with everything around them.
    fn received(&self, at: usize) -> u64 {
        let cat = ["netns", "exec", self.host(at).space(), "cat", "/sys/class/net/eth0/statistics/rx_bytes"];
        let output = Command::new("ip").args(cat).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    }

    fn file(&self, at: usize) -> std::path::PathBuf {
        self.folders.path(NAMES[at]).join("big")
    }

    fn are_same(&self) -> bool {
        let read = |at| fs::read(self.file(at)).ok();
        read(0).is_some_and(|bytes| read(1) == Some(bytes))
    }
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

#[test]
fn whoever_is_killed_goes_on_where_it_was() {
    if let Some(what) = network::missing() {
        return skipped(&format!("members that are killed, on hosts of their own: {what}"));
    }
    let mut pair = Pair::new();
    let mut rng = fastrand::Rng::with_seed(5);
    let staged = pair.folders.path("staged");
    fs::write(&staged, noise(LEN, 0)).unwrap();
    fs::rename(&staged, pair.file(0)).unwrap();
    let mut changed = LEN;
    for round in 1..=ROUNDS {
        // While somebody fetches, or has, or changes the folder.
        thread::sleep(Duration::from_millis(rng.u64(..1_500)));
        let victim = rng.usize(..2);
        pair.kill(victim);
        if let Ok(meta) = fs::metadata(pair.file(1)) {
            assert_eq!(meta.len(), LEN as u64, "half a file has a final name");
        }
        pair.start(victim);
        until("both folders are the same", || pair.are_same());
        let part = LEN / 4;
        let offset = rng.usize(..LEN - part);
        let file = File::options().write(true).open(pair.file(0)).unwrap();
        file.write_all_at(&noise(part, round), offset as u64).unwrap();
        changed += part;
    }
    until("the last change is there", || pair.are_same());
    let names = fs::read_dir(pair.folders.path("b")).unwrap().count();
    assert_eq!(names, 2, "neither conflict copies nor anything else");
    let received = pair.received(1);
    // What a chunk that was cut off costs, and headers: a tenth.
    assert!(received * 10 <= changed as u64 * 11, "{received} bytes came for {changed}");
}
