//! Disks without room: it is told, the others go on, nothing is lost or taken for a deletion, and with room everything
//! goes on by itself.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::common::skipped;
use crate::common::swarm::{Member, number};
use crate::folders::Folders;
use crate::scenes::{Scene, tree, until};

/// A small disk, mounted at a folder.
struct SmallDisk(String);

impl SmallDisk {
    fn at(path: &str) -> Option<SmallDisk> {
        fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "none", path]).status();
        if !mounted.is_ok_and(|status| status.success()) {
            skipped("needs root, to mount a small disk");
            return None;
        }
        Some(SmallDisk(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").args(["-l", &self.0]).status());
    }
}

#[test]
fn a_full_disk_is_told_and_goes_on_by_itself() {
    let mut scene = Scene::new(&[]);
    let path = scene.folders.path("small").to_str().unwrap().to_owned();
    let Some(_disk) = SmallDisk::at(&path) else { return };
    ["a", "b", "small"].into_iter().for_each(|name| scene.start(name));
    scene.write("a/first", "fits");
    scene.until(&["a", "b", "small"], "a small file", |tree| tree.len() == 1);
    fs::write(scene.folders.path("small/filler"), vec![1; 5 << 20]).unwrap();
    scene.until(&["a", "b", "small"], "a file of the small disk", |tree| tree.len() == 2);
    fs::write(scene.folders.path("a/big"), vec![2; 6 << 20]).unwrap();
    scene.until(&["a", "b"], "the others go on", |tree| tree.len() == 3);
    scene.folders.until("small", "it says so", |status| {
        status["troubles"].as_array().unwrap().iter().any(|text| text.as_str().unwrap().contains("full"))
    });
    assert_eq!(scene.tree("a").len(), 3, "nothing is a deletion");
    // Space is freed on purpose: the deletion travels, and then there is room.
    fs::remove_file(scene.folders.path("small/filler")).unwrap();
    scene.until(&["a", "b", "small"], "it completes by itself", |tree| {
        tree.len() == 2 && tree.contains_key("big")
    });
}

/// More files than a full disk's index has room for by chance.
const MANY: usize = 3_000;

/// A folder on a small disk, beside a filler, and another one elsewhere.
struct Cramped {
    folders: Folders,
    a: Member,
    _disk: SmallDisk,
}

/// The folder on the small disk.
const CRAMPED: &str = "small/b";

impl Cramped {
    /// With a few files, which both have.
    fn new(arguments: &[&str]) -> Option<(Cramped, Member)> {
        Cramped::with(&[], arguments)
    }

    /// The same, with arguments for the other one as well.
    fn with(others: &[&str], arguments: &[&str]) -> Option<(Cramped, Member)> {
        let folders = Folders::new();
        let disk = SmallDisk::at(folders.path("small").to_str().unwrap())?;
        let a = folders.start("a", others);
        folders.write("a/edited", "before");
        folders.write("a/renamed", "the same");
        folders.write("a/deleted", "no more");
        let b = folders.join(CRAMPED, &a, "a", arguments);
        let cramped = Cramped { folders, a, _disk: disk };
        until("both have them", || {
            cramped.tree("a").len() == 3 && cramped.tree("a") == cramped.tree(CRAMPED)
        });
        cramped.folders.until(CRAMPED, "it has settled", |status| status["united"] == true);
        Some((cramped, b))
    }

    fn tree(&self, name: &str) -> crate::scenes::Tree {
        tree(&self.folders.path(name))
    }

    fn filler(&self) -> PathBuf {
        self.folders.path("small/filler")
    }

    /// Leaves not a single block.
    fn fill(&self) {
        let mut filler = File::options().create(true).append(true).open(self.filler()).unwrap();
        while filler.write(&[1; 4096]).is_ok() {}
    }

    /// Fills the disk, and changes more on both sides than fits into what the index has of it already.
    fn overfill(&self, round: usize) {
        self.fill();
        (0..MANY).for_each(|at| self.folders.write(&format!("a/new {round}/{at}"), ""));
        // What needs no room on the disk.
        let edited = File::options().write(true).open(self.folders.path(CRAMPED).join("edited")).unwrap();
        edited.write_all_at(format!("edit {round}").as_bytes(), 0).unwrap();
        let names = fs::read_dir(self.folders.path(CRAMPED)).unwrap();
        let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let old = names.find(|name| name.starts_with("renamed")).unwrap();
        let new = format!("renamed {round}");
        fs::rename(self.folders.path(CRAMPED).join(old), self.folders.path(CRAMPED).join(new)).unwrap();
    }

    fn until_told(&self) -> Value {
        self.folders.until(CRAMPED, "it says that its index has no room", |status| {
            status["troubles"].as_array().unwrap().iter().any(is_about_index)
        })
    }

    /// Makes room, and waits until all of these rounds are in both folders.
    fn has_room(&self, rounds: usize) {
        fs::write(self.filler(), "").unwrap();
        let last = rounds - 1;
        until("both are the same", || {
            let tree = self.tree("a");
            let text = |path: &str| tree.get(path).cloned().flatten();
            tree.len() == 3 + rounds * (MANY + 1)
                && text("edited") == Some(format!("edit {last}").into_bytes())
                && text(&format!("renamed {last}")) == Some(b"the same".to_vec())
                && tree.contains_key("deleted")
                && self.tree(CRAMPED) == tree
        });
        let status = self.folders.until(CRAMPED, "the trouble is over", |status| {
            status["troubles"].as_array().unwrap().is_empty()
        });
        assert_eq!(status["held"], 0, "{status}");
    }
}

fn is_about_index(trouble: &Value) -> bool {
    let text = trouble.as_str().unwrap();
    text.starts_with("the disk at ") && text.contains("/small is full")
}

#[test]
fn without_room_for_the_index_a_member_waits_and_goes_on() {
    let Some((cramped, b)) = Cramped::new(&[]) else { return };
    cramped.overfill(0);
    cramped.until_told();
    // What was seen here and is in no index is not told to anybody; what is elsewhere stays.
    assert_eq!(cramped.tree("a").len(), 3 + MANY + 1, "nothing is taken for a deletion");
    assert!(cramped.tree("a").contains_key("renamed"), "what is not in the index is not announced");
    cramped.has_room(1);
    drop(b);
}

#[test]
fn without_room_for_the_index_a_member_still_gives() {
    // It takes ten seconds, and is asked for little by little.
    let Some((cramped, b)) = Cramped::with(&["--down", "300K"], &[]) else { return };
    let big: Vec<u8> = (0..3 << 18).flat_map(|at: u32| at.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
    fs::write(cramped.folders.path(CRAMPED).join("big"), &big).unwrap();
    cramped.folders.until("a", "it begins to come", |status| number(status, "down_bytes") > 0);
    cramped.overfill(0);
    cramped.until_told();
    until("it comes from a member without room", || cramped.tree("a").get("big") == Some(&Some(big.clone())));
    cramped.until_told();
    drop(b);
}

#[test]
fn without_room_for_the_index_a_member_may_be_stopped_or_killed() {
    let Some((cramped, mut b)) = Cramped::new(&[]) else { return };
    for (round, signal) in [Signal::KILL, Signal::TERM].into_iter().enumerate() {
        cramped.overfill(round);
        cramped.until_told();
        b.signal(signal);
        let ended = b.ended();
        assert_eq!(ended.code, (signal == Signal::TERM).then_some(0), "{ended:?}");
        // Not even the start finds room: it says so, and changes nothing.
        cramped.fill();
        let told = cramped.folders.run(&[CRAMPED, "--no-lan", "--listen", "127.0.0.1:0"]);
        assert_eq!(told.code, Some(1), "{told:?}");
        assert!(told.errors.contains("full"), "{told:?}");
        fs::write(cramped.filler(), "").unwrap();
        b = cramped.folders.join(CRAMPED, &cramped.a, "a", &[]);
        cramped.has_room(round + 1);
    }
    drop(b);
}

/// The day so long ago, as the archive calls it.
fn day(ago: &str) -> String {
    let date = Command::new("date").args(["-u", "-d", ago, "+%F"]).output().unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_archive_gives_way_to_what_finds_no_room() {
    let Some((cramped, b)) = Cramped::new(&[]) else { return };
    let archive = cramped.folders.path(CRAMPED).join(".orchestra/archive");
    let version = |ago| {
        let day = archive.join(day(ago)).join("of a folder");
        fs::create_dir_all(&day).unwrap();
        let path = day.join("f~000000.000000000-00000000");
        fs::write(&path, vec![1; 2 << 20]).unwrap();
        path
    };
    let (oldest, old, young) = (version("9 days ago"), version("5 days ago"), version("now"));
    // There is a mebibyte left and a half, and a version of two gives way.
    fs::write(cramped.folders.path("a/new"), vec![2; 3 << 20]).unwrap();
    until("it has come", || cramped.tree("a") == cramped.tree(CRAMPED) && cramped.tree("a").len() == 4);
    cramped.folders.until(CRAMPED, "it says what gave way", |status| {
        let told = status["troubles"].as_array().unwrap();
        told.iter().any(|text| text.as_str().unwrap().contains("1 version in the archive, 2.0 MiB"))
    });
    assert!(!oldest.exists() && old.exists() && young.exists());
    drop(b);
}

#[test]
fn who_is_to_unite_once_gives_up_without_room() {
    // One more than there are is waited for.
    let Some((cramped, b)) = Cramped::new(&["--once", "--expect", "3"]) else { return };
    cramped.overfill(0);
    cramped.until_told();
    let ended = b.ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.errors.contains("cannot write the index") && ended.errors.contains("full"), "{ended:?}");
    fs::write(cramped.filler(), "").unwrap();
    let _b = cramped.folders.join(CRAMPED, &cramped.a, "a", &[]);
    cramped.has_room(1);
}
