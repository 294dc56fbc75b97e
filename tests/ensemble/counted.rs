//! What a change costs: bytes on the wire, counted by the card of one of two computers, and bytes that the programs there
//! write, counted by the system.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant, SystemTime};

use orchestra::key::EnsembleKey;
use orchestra::limits::ALIVE_INTERVAL;

use crate::common::skipped;
use crate::common::swarm::Member;
use crate::folders::Folders;
use crate::network::{self, Network};
use crate::scenes::until;

const KIB: u64 = 1 << 10;
/// What is asked of a file of 1 GiB, and must not depend on its length.
const FEW: u64 = 512 * KIB;
const HARDLY: u64 = 64 * KIB;
/// What may be written when no content is: rows of the index, each page of it twice.
const ROWS: u64 = 512 * KIB;

/// Two computers with a member each; what changes on the first one comes to the second.
struct Pair {
    network: Network,
    folders: Folders,
    members: Vec<Member>,
}

impl Pair {
    /// Folders `a` and `b`, the first of them as it was made.
    fn start(make: impl FnOnce(&Folders)) -> Pair {
        let (network, folders) = (Network::new(2, 1_000), Folders::new());
        folders.write("key", &EnsembleKey::from_bytes([9; 32]).to_string());
        fs::create_dir(folders.path("a")).unwrap();
        make(&folders);
        let start = |number: u8, name: &str, arguments: &[&str]| {
            let base = [name, "--json", "--key-file", "key", "--no-lan"];
            let command = folders.command(&[&base, arguments].concat());
            Member::start(&mut network.host(number).command(&command))
        };
        let address = format!("{}:7000", network.host(1).v4());
        let members = vec![start(1, "a", &["--listen", &address]), start(2, "b", &["--member", &address])];
        Pair { network, folders, members }
    }

    /// Bytes on the wire, and bytes that each of the two caused to be written.
    fn spent(&self) -> [u64; 3] {
        let written = |member: &Member| {
            let counts = fs::read_to_string(format!("/proc/{}/io", member.program.id())).unwrap();
            let line = counts.lines().find_map(|line| line.strip_prefix("write_bytes: "));
            line.unwrap().parse::<u64>().unwrap()
        };
        [self.network.host(2).carried(), written(&self.members[0]), written(&self.members[1])]
    }

    /// A change costs at most so many bytes: on the wire, and written by the one who had it and the one who gets it.
    #[track_caller]
    fn cost(&self, what: &str, most: [u64; 3], change: impl FnOnce(), is_there: impl Fn() -> bool) {
        let before = self.spent();
        change();
        until(what, is_there);
        let after = self.spent();
        let spent = [0, 1, 2].map(|at| after[at] - before[at]);
        assert!((0..3).all(|at| spent[at] <= most[at]), "{what}: {spent:?} bytes, and not {most:?}");
    }
}

#[test]
fn only_what_changed_travels() {
    if let Some(what) = network::missing() {
        return skipped(&format!("bytes on the wire: {what}"));
    }
    let mut bytes = vec![0; 48 << 20];
    fastrand::Rng::with_seed(9).fill(&mut bytes);
    let pair = Pair::start(|folders| fs::write(folders.path("a/large"), &bytes).unwrap());
    let folders = &pair.folders;
    let (mine, theirs) = (folders.path("a/large"), folders.path("b/large"));
    let len = bytes.len() as u64;
    let whole = len + ROWS;
    pair.cost("a new file", [len + len / 50, ROWS, whole], || {}, || theirs.exists());
    // Each check reads the file only if it is another one than before.
    let modified = || fs::metadata(&theirs).unwrap().modified().unwrap();
    let before = modified();
    bytes[20 << 20] ^= 1;
    let flip = || {
        let file = fs::File::options().write(true).open(&mine).unwrap();
        file.write_all_at(&bytes[20 << 20..][..1], 20 << 20).unwrap();
    };
    pair.cost("one byte", [FEW, ROWS, whole], flip, || {
        modified() != before && fs::read(&theirs).unwrap() == bytes
    });
    let before = modified();
    bytes.splice(..0, [7; 1 << 10]);
    let insert = || {
        fs::write(folders.path("longer"), &bytes).unwrap();
        fs::rename(folders.path("longer"), &mine).unwrap();
    };
    let is_there = || modified() != before && fs::read(&theirs).unwrap() == bytes;
    pair.cost("1 KiB at the front", [FEW, ROWS, whole], insert, is_there);
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let touch = || fs::File::options().write(true).open(&mine).unwrap().set_modified(then).unwrap();
    pair.cost("a touch", [HARDLY, ROWS, ROWS], touch, || modified() == then);
    let (source, copy) = (folders.path("a/copy"), folders.path("b/copy"));
    let is_copied = || copy.exists() && fs::read(&copy).unwrap() == bytes;
    let to_copy = || assert_eq!(fs::copy(&mine, &source).unwrap(), bytes.len() as u64);
    pair.cost("a copy", [HARDLY, ROWS, whole], to_copy, is_copied);
    let renamed = folders.path("b/renamed");
    let rename = || fs::rename(&mine, folders.path("a/renamed")).unwrap();
    pair.cost("a rename", [HARDLY, ROWS, ROWS], rename, || renamed.exists() && !theirs.exists());
    assert!(fs::read(&renamed).unwrap() == bytes);
}

#[test]
fn small_files_cost_little_more_than_what_is_in_them() {
    if let Some(what) = network::missing() {
        return skipped(&format!("bytes of small files: {what}"));
    }
    const COUNT: u64 = 10_000;
    const LEN: u64 = 4 * KIB;
    let mut random = fastrand::Rng::with_seed(10);
    let mut content = vec![0; usize::try_from(LEN).unwrap()];
    let pair = Pair::start(|_| {});
    let folders = &pair.folders;
    for number in 0..COUNT {
        random.fill(&mut content);
        let folder = folders.path(format!("new/{}", number / 100));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(number.to_string()), &content).unwrap();
    }
    let most = COUNT * LEN * 5 / 4;
    let appear = || fs::rename(folders.path("new"), folders.path("a/new")).unwrap();
    let are_there = || {
        let count =
            |folder: u64| fs::read_dir(folders.path(format!("b/new/{folder}"))).map_or(0, Iterator::count);
        (0..COUNT / 100).map(count).sum::<usize>() as u64 == COUNT
    };
    // How often a page of the index is written depends on how many rows come at a time.
    pair.cost("10,000 files", [most, 3 * most, 4 * most], appear, are_there);
    let last = Cell::new((Instant::now(), pair.spent()));
    until("all is settled", || {
        let spent = pair.spent();
        if spent != last.get().1 {
            last.set((Instant::now(), spent));
        }
        last.get().0.elapsed() >= ALIVE_INTERVAL / 2
    });
    // Longer than the silence between two signs of life.
    let began = Instant::now();
    let is_over = || began.elapsed() >= ALIVE_INTERVAL * 2;
    pair.cost("nothing", [16 * KIB, ROWS, ROWS], || {}, is_over);
}
