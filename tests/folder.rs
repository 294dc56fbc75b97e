//! A disk on which nothing can be brought: what was on its way there must not be put in place.
//!
//! It is a program of its own, because a process that is started while another test holds the lock of a folder may hold
//! it a moment longer.
#![expect(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::sync::Arc;

use orchestra::entry::{Chunk, ContentHash};
use orchestra::host::folder::Root;
use orchestra::host::folder::root::IfNew;
use orchestra::host::folder::temp::{Temp, Whole, sync_together};
use orchestra::host::folder::trouble::Action;

const BLOCK: usize = 1 << 20;

/// A file system on a disk that turns out to have less room than it says, so that what was written cannot be brought
/// there. Gone when this is dropped.
struct Failing(tempfile::TempDir);

impl Failing {
    fn new() -> Option<Failing> {
        let failing = Failing(tempfile::tempdir().unwrap());
        let (disk, image) = (failing.at("disk"), failing.at("disk/image"));
        fs::create_dir(&disk).unwrap();
        fs::create_dir(failing.at("folder")).unwrap();
        let made = run("mount", &["-t", "tmpfs", "-o", "size=3m", "none", &disk])
            && File::create(&image).is_ok_and(|image| image.set_len(64 << 20).is_ok())
            && run("mkfs.ext4", &["-q", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", &image])
            && run("mount", &["-o", "loop", &image, &failing.at("folder")]);
        if !made {
            skipped("needs root, mkfs.ext4 and a loop device, for a disk that fails");
        }
        made.then_some(failing)
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// From now on it works.
    fn mend(&self) {
        assert!(run("mount", &["-o", "remount,size=64m", &self.at("disk")]));
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        for name in ["folder", "disk"] {
            run("umount", &[&self.at(name)]);
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let output = std::process::Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

/// Past the test runner, which keeps what passing tests print.
fn skipped(why: &str) {
    io::stderr().write_all(format!("skipped: {why}\n").as_bytes()).unwrap();
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..len).map(|_| random.u8(..)).collect()
}

fn whole(root: &Arc<Root>, bytes: &[u8]) -> Whole {
    Whole::of_bytes(root, ContentHash::of(bytes), bytes).unwrap()
}

/// The system says only once that a sync failed; after that, what is lost looks clean.
#[test]
fn what_could_not_be_synced_is_thrown_away() {
    let Some(disk) = Failing::new() else { return };
    let root = Arc::new(Root::open(disk.at("folder").as_ref(), IfNew::Make).unwrap());
    let bytes = noise(0, 8 * BLOCK);
    let chunk =
        |bytes: &[u8]| Chunk { hash: ContentHash::of(bytes), len: u32::try_from(bytes.len()).unwrap() };
    let chunks: Vec<Chunk> = bytes.chunks(BLOCK).map(chunk).collect();
    let content = ContentHash::of_chunks(&chunks);
    let temp = Temp::open(&root, content, bytes.len() as u64, chunks).unwrap();
    bytes.chunks(BLOCK).enumerate().for_each(|(at, chunk)| temp.put(at, chunk).unwrap());
    let whole = temp.whole().unwrap();
    let name = root.own_path().join("tmp").join(content.to_string());
    fs::hard_link(&name, root.path().join("kept")).unwrap();
    let error = whole.sync().unwrap_err();
    assert_eq!(error.action, Action::Sync);
    assert!(!name.exists());
    File::open(root.path().join("kept")).unwrap().sync_all().expect("a second sync says that all is well");
}

#[test]
fn a_sync_of_many_that_fails_condemns_all_that_was_written_before() {
    let Some(disk) = Failing::new() else { return };
    let root = Arc::new(Root::open(disk.at("folder").as_ref(), IfNew::Make).unwrap());
    if !root.syncs_together() {
        skipped("needs Linux 5.8");
        return;
    }
    let large: Vec<Whole> = (0..80).map(|seed| whole(&root, &noise(seed, BLOCK / 10))).collect();
    let small: Vec<Whole> = (0..8).map(|seed| whole(&root, &noise(seed, 100))).collect();
    assert!(sync_together(&root, large).iter().all(Result::is_err));
    disk.mend();
    assert!(sync_together(&root, small).iter().all(Result::is_err), "older than the failure");
    let tmp = root.own_path().join("tmp");
    assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0);
    let later: Vec<Whole> = (0..8).map(|seed| whole(&root, &noise(seed, 100))).collect();
    assert!(sync_together(&root, later).iter().all(Result::is_ok));
}
