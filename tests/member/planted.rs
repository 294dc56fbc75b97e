//! Links and folders that somebody else put where a member is about to write, and folders that let nobody write.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::common::program::{Program, binary};
use crate::common::skipped;
use crate::common::swarm::{MIB, SOURCE, Swarm, fetched};

/// A file that nobody may touch.
const VICTIM: &str = "victim";
const PRECIOUS: &str = "precious";

/// A member's place in which a link is planted; the link leads to the victim.
fn planted(swarm: &Swarm, place: &str, name: &str) {
    fs::write(swarm.path(VICTIM), PRECIOUS).unwrap();
    fs::create_dir_all(swarm.path(place)).unwrap();
    symlink(swarm.path(VICTIM), swarm.path(place).join(name)).unwrap();
}

/// Runs a member that cannot go on; what it says.
#[track_caller]
fn fails(swarm: &Swarm, place: &str, arguments: &[&str]) -> String {
    let ended = Program::start(swarm.command(place, &["--leave"]).args(arguments)).ended();
    assert_eq!(ended.code, Some(1), "{}", ended.errors);
    assert_eq!(ended.errors.lines().count(), 1, "{}", ended.errors);
    ended.errors.trim_end().to_owned()
}

#[track_caller]
fn assert_untouched(swarm: &Swarm) {
    assert_eq!(fs::read_to_string(swarm.path(VICTIM)).unwrap(), PRECIOUS);
}

#[test]
fn a_link_under_the_name_is_not_written_through() {
    let swarm = Swarm::new(MIB);
    planted(&swarm, "b", "song.bin");
    let line = fails(&swarm, "b", &[]);
    assert!(line.starts_with("member: b/song.bin is there with 8 bytes"), "{line}");
    assert_untouched(&swarm);
    // Not even on request: the user named a file in this directory, and somebody else chose where it leads.
    assert_eq!(
        fails(&swarm, "b", &["--repair"]),
        "member: b/song.bin is a link, and --repair changes only files; put the file itself there, or move the link \
         away"
    );
    assert_untouched(&swarm);
    assert!(!swarm.partial("b").exists());
}

#[test]
fn a_link_to_nothing_takes_the_name() {
    let swarm = Swarm::new(MIB);
    fs::create_dir(swarm.path("b")).unwrap();
    symlink(swarm.path("nothing"), swarm.whole("b")).unwrap();
    for arguments in [&[][..], &["--repair"]] {
        let line = fails(&swarm, "b", arguments);
        assert!(line.starts_with("member: b/song.bin is "), "{line}");
    }
    assert!(!swarm.path("nothing").exists() && !swarm.partial("b").exists());
}

#[test]
fn a_link_to_the_whole_file_is_shared() {
    let swarm = Swarm::new(MIB);
    fs::create_dir(swarm.path("b")).unwrap();
    symlink(swarm.whole(SOURCE), swarm.whole("b")).unwrap();
    let mut source = swarm.member("b", &[]);
    source.until_complete();
    let left = swarm.member_of(&source, "c", &["--leave"]).ends_with(0);
    assert_eq!(fetched(&left), MIB as u64);
    source.leaves();
    assert!(swarm.whole("b").is_symlink());
}

#[test]
fn a_link_under_the_name_of_what_is_fetched_is_not_followed() {
    let swarm = Swarm::new(MIB);
    planted(&swarm, "b", "song.bin.part");
    let line = fails(&swarm, "b", &[]);
    assert!(line.starts_with("member: cannot create b/song.bin.part: "), "{line}");
    assert_untouched(&swarm);
    fs::remove_file(swarm.partial("b")).unwrap();
    symlink(swarm.path("nothing"), swarm.partial("b")).unwrap();
    fails(&swarm, "b", &[]);
    assert!(!swarm.path("nothing").exists());
}

#[test]
fn folders_and_pipes_in_the_way_are_told() {
    let swarm = Swarm::new(MIB);
    fs::create_dir_all(swarm.whole("b")).unwrap();
    let line = fails(&swarm, "b", &[]);
    assert!(line.starts_with("member: b/song.bin is there and is not a file"), "{line}");
    fs::create_dir_all(swarm.partial("c")).unwrap();
    let line = fails(&swarm, "c", &[]);
    assert!(line.contains("c/song.bin.part"), "{line}");
    fs::create_dir(swarm.path("d")).unwrap();
    mknodat(CWD, swarm.partial("d"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let line = fails(&swarm, "d", &[]);
    assert!(line.contains("d/song.bin.part is there and is not a file"), "{line}");
}

#[test]
fn the_directory_itself_may_be_a_link() {
    let swarm = Swarm::new(MIB);
    let source = swarm.source();
    fs::create_dir(swarm.path("elsewhere")).unwrap();
    symlink(swarm.path("elsewhere"), swarm.path("b")).unwrap();
    swarm.member_of(&source, "b", &["--leave"]).ends_with(0);
    swarm.assert_has("elsewhere");
    // One that leads nowhere is no directory, and none is made.
    symlink(swarm.path("nothing"), swarm.path("c")).unwrap();
    let ended = Program::start(bare(&swarm).args(["song.orch", "--leave", "--dir", "c"])).ended();
    assert_eq!(ended.errors, "member: cannot create c/song.bin.part: no such file or directory\n");
    assert!(!swarm.path("nothing").exists());
    source.leaves();
}

/// The member without any argument.
fn bare(swarm: &Swarm) -> Command {
    let mut command = Command::new(binary("member"));
    command.current_dir(swarm.path(""));
    command
}

#[test]
fn what_is_fetched_stands_beside_the_link_that_leads_to_the_manifest() {
    let swarm = Swarm::new(MIB);
    let source = swarm.source();
    fs::create_dir(swarm.path("b")).unwrap();
    symlink("../song.orch", swarm.path("b/song.orch")).unwrap();
    let address = source.address.to_string();
    let mut command = bare(&swarm);
    command.args(["b/song.orch", "--listen", "127.0.0.1:0", "--leave", "--member", &address]);
    assert_eq!(Program::start(&mut command).ended().code, Some(0));
    swarm.assert_has("b");
    source.leaves();
}

#[test]
fn a_folder_that_lets_nobody_write_is_good_for_sharing_only() {
    let swarm = Swarm::new(MIB);
    fs::create_dir(swarm.path("b")).unwrap();
    fs::copy(swarm.whole(SOURCE), swarm.whole("b")).unwrap();
    let Some(_still) = Still::make(&swarm, "b") else { return };
    let mut source = swarm.member("b", &[]);
    source.until_complete();
    let left = swarm.member_of(&source, "c", &["--leave"]).ends_with(0);
    assert_eq!(fetched(&left), MIB as u64);
    source.leaves();
    assert_eq!(fs::read_dir(swarm.path("b")).unwrap().count(), 1);

    fs::create_dir(swarm.path("d")).unwrap();
    let Some(_still) = Still::make(&swarm, "d") else { return };
    assert_eq!(fails(&swarm, "d", &[]), "member: cannot create d/song.bin.part: read-only file system");
}

/// A folder under which nothing can be written, not even by root; gone when dropped.
struct Still(PathBuf);

impl Still {
    /// None, with a word about it, where the system does not allow it.
    fn make(swarm: &Swarm, place: &str) -> Option<Still> {
        let path = swarm.path(place);
        let mount = |options: &[&str]| {
            let done = Command::new("mount").args(options).arg(&path).output();
            done.is_ok_and(|output| output.status.success())
        };
        let bound = Command::new("mount").arg("--bind").arg(&path).arg(&path).output();
        if bound.is_ok_and(|output| output.status.success()) {
            let still = Still(path.clone());
            if mount(&["-o", "remount,bind,ro"]) {
                return Some(still);
            }
        }
        skipped("needs root to mount a folder for reading only");
        None
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        // Lazily, so that it also goes while a member of a failed test still has a file open.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
