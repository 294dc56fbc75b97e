//! What is on the disk: files that are there already, files that change, and disks that are full.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::common::skipped;
use crate::common::swarm::{Left, MIB, Member, SOURCE, Swarm, fetched, number};

/// Runs a member that cannot go on; the one line that it says.
#[track_caller]
fn fails(swarm: &Swarm, place: &str, arguments: &[&str]) -> String {
    let mut command = swarm.command(place, arguments);
    let ended = crate::common::program::Program::start(command.args(["--json", "--leave"])).ended();
    assert_eq!(ended.code, Some(1), "{}", ended.errors);
    one_line(&ended.errors)
}

#[track_caller]
fn one_line(errors: &str) -> String {
    assert_eq!(errors.lines().count(), 1, "{errors}");
    errors.trim_end().to_owned()
}

/// Makes some bytes of these parts wrong.
fn spoil(swarm: &Swarm, path: &Path, parts: &[usize]) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    for &part in parts {
        let offset = part * swarm.part_len();
        let wrong: Vec<u8> = swarm.content[offset..offset + 10].iter().map(|byte| !byte).collect();
        file.write_all_at(&wrong, offset as u64).unwrap();
    }
}

#[test]
fn a_whole_file_is_shared_at_once() {
    let swarm = Swarm::new(MIB);
    let left = swarm.member(SOURCE, &["--leave"]).ends_with(0);
    assert_eq!((number(&left, "bytes"), number(&left, "down_bytes")), (MIB as u64, 0));
    swarm.assert_has(SOURCE);
}

#[test]
fn a_wrong_file_of_the_right_size_is_mended_only_on_request() {
    let swarm = Swarm::cut(MIB, "16K");
    let source = swarm.source();
    fs::create_dir(swarm.path("b")).unwrap();
    let path = swarm.whole("b");
    fs::copy(swarm.whole(SOURCE), &path).unwrap();
    spoil(&swarm, &path, &[0, 17, 63]);
    let before = fs::read(&path).unwrap();
    assert_eq!(
        fails(&swarm, "b", &[]),
        "member: song.bin is there and differs from the manifest in 3 of 64 parts; it was not touched; \
         --repair fetches them in place, or move it away"
    );
    assert_eq!(fs::read(&path).unwrap(), before);

    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let place = inode(&path);
    let left = swarm.member_of(&source, "b", &["--repair", "--leave"]).ends_with(0);
    assert_eq!(fetched(&left), 3 * 16_384);
    swarm.assert_has("b");
    assert_eq!(inode(&path), place, "in place");
    source.leaves();
}

#[test]
fn a_file_of_another_size_is_mended_only_on_request() {
    let swarm = Swarm::cut(MIB, "16K");
    let source = swarm.source();
    for (len, missing) in [(MIB - 100_000, 7 * 16_384), (MIB + 5, 0)] {
        fs::create_dir_all(swarm.path("b")).unwrap();
        let path = swarm.whole("b");
        fs::write(&path, [&swarm.content[..], &[0; 5]].concat()).unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(len as u64).unwrap();
        let before = fs::read(&path).unwrap();
        let line = fails(&swarm, "b", &[]);
        let told = format!("member: b/song.bin is there with {len} bytes (");
        assert!(line.starts_with(&told) && line.contains("--repair"), "{line}");
        assert!(line.contains("the manifest says 1048576 bytes (1.0 MiB); it was not touched"), "{line}");
        assert_eq!(fs::read(&path).unwrap(), before);
        let left = swarm.member_of(&source, "b", &["--repair", "--leave"]).ends_with(0);
        assert_eq!(fetched(&left), missing);
        swarm.assert_has("b");
    }
    source.leaves();
}

#[test]
fn a_manifest_that_contradicts_itself_is_found_out_on_request() {
    let swarm = Swarm::new(MIB);
    swarm.edit_manifest(3, &"0".repeat(40));
    let source = swarm.source();
    let left = swarm.member_of(&source, "b", &["--leave", "--check-digest"]).ended();
    assert_eq!(left.code, Some(1));
    assert_eq!(
        one_line(&left.errors),
        "member: every part of song.bin is right, but not the digest of the whole: the manifest contradicts \
         itself; whoever made it has to compose the file again"
    );
    assert!(!swarm.whole("b").exists());
    assert!(swarm.is_content(&swarm.partial("b")), "what was fetched is kept");
    source.leaves();
}

#[test]
fn two_members_do_not_work_on_one_file() {
    let swarm = Swarm::new(12 * MIB);
    let source = swarm.source();
    let first = swarm.member_of(&source, "b", &["--down", "1M"]);
    assert_eq!(
        fails(&swarm, "b", &[]),
        "member: another member is getting b/song.bin.part; stop it, or choose another directory with --dir"
    );
    first.signal(Signal::TERM);
    first.ends_with(3);
    let mut first = swarm.member_of(&source, "b", &[]);
    first.until_complete();
    swarm.assert_has("b");
    // Sharing one file twice harms nobody.
    swarm.member("b", &["--leave"]).ends_with(0);
    source.leaves();
}

#[test]
fn a_file_that_is_cut_short_while_it_is_shared() {
    // Far more than what windows and sockets hold, so that the source has to read on after the cut.
    let swarm = Swarm::new(64 * MIB);
    let source = swarm.source();
    let mut member = swarm.member_of(&source, "b", &["--down", "8M"]);
    member.until_percent(2);
    let file = OpenOptions::new().write(true).open(swarm.whole(SOURCE)).unwrap();
    file.set_len(1000).unwrap();
    let Left { code, errors, .. } = source.ended();
    assert_eq!(code, Some(1));
    let line = one_line(&errors);
    assert!(line.starts_with("member: cannot read part "), "{line}");
    assert!(line.ends_with(" of source/song.bin: the file was cut short meanwhile"), "{line}");
    member.signal(Signal::TERM);
    let left = member.ends_with(3);
    assert_eq!(number(&left, "bytes"), swarm.right_bytes(&swarm.partial("b")) as u64);

    // From an intact file, it goes on where it was.
    fs::write(swarm.whole(SOURCE), &swarm.content).unwrap();
    let source = swarm.source();
    let resumed = swarm.member_of(&source, "b", &["--leave"]).ends_with(0);
    assert_eq!(fetched(&resumed), swarm.content.len() as u64 - number(&left, "bytes"));
    swarm.assert_has("b");
    source.leaves();
}

#[test]
fn a_file_that_is_changed_while_it_is_shared() {
    let swarm = Swarm::new(64 * MIB);
    let source = swarm.source();
    let mut member = swarm.member_of(&source, "b", &["--down", "8M"]);
    member.until_percent(2);
    let last = swarm.content.len() / swarm.part_len() - 1;
    spoil(&swarm, &swarm.whole(SOURCE), &(0..=last).collect::<Vec<_>>());
    let Left { code, errors, .. } = source.ended();
    assert_eq!(code, Some(1));
    let line = one_line(&errors);
    assert!(line.starts_with("member: cannot read part "), "{line}");
    let told =
        " of source/song.bin: somebody changed the file meanwhile; run it again to check what is there";
    assert!(line.ends_with(told), "{line}");
    member.signal(Signal::TERM);
    let left = member.ends_with(3);
    assert_eq!(
        number(&left, "bytes"),
        swarm.right_bytes(&swarm.partial("b")) as u64,
        "no wrong byte is kept"
    );

    // It is found out at the next start as well, and not touched.
    let line = fails(&swarm, SOURCE, &[]);
    assert!(line.contains("differs from the manifest in 2048 of 2048 parts; it was not touched"), "{line}");
}

/// A small file system in memory; gone when dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    /// None, with a word about it, where the system does not allow it.
    fn mount(path: PathBuf, size: &str) -> Option<Tmpfs> {
        fs::create_dir(&path).unwrap();
        let options = format!("size={size}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&path).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Tmpfs(path));
        }
        skipped("needs root to mount a tmpfs");
        None
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily, so that it also goes while a member of a failed test still has a file open.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn a_full_disk_is_found_before_the_first_byte() {
    let swarm = Swarm::new(64 * MIB);
    let Some(disk) = Tmpfs::mount(swarm.path("small"), "32m") else { return };
    let source = swarm.source();
    let mut other = swarm.member_of(&source, "b", &["--leave"]);
    assert_eq!(
        fails(&swarm, "small", &[]),
        "member: cannot reserve room for small/song.bin.part: no space left on device"
    );
    assert_eq!(fs::read_dir(&disk.0).unwrap().count(), 0, "nothing is left behind");
    other.until_complete();
    other.ends_with(0);
    swarm.assert_has("b");

    // What was there before is kept, and still grows when there is room.
    let partial = swarm.partial("small");
    fs::write(&partial, &swarm.content[..MIB]).unwrap();
    fails(&swarm, "small", &[]);
    assert_eq!(swarm.right_bytes(&partial), MIB);
    let remount = ["-o", "remount,size=80m"];
    assert!(Command::new("mount").args(remount).arg(&disk.0).status().unwrap().success());
    let left = swarm.member_of(&source, "small", &["--leave"]).ends_with(0);
    assert_eq!(fetched(&left), 63 * MIB as u64);
    swarm.assert_has("small");
    source.leaves();
}

#[test]
fn a_disk_that_has_no_room_for_a_repair() {
    let swarm = Swarm::new(8 * MIB);
    let Some(_disk) = Tmpfs::mount(swarm.path("small"), "4m") else { return };
    let path = swarm.whole("small");
    // All holes: it has its size, but takes no room.
    File::create(&path).unwrap().set_len(8 * MIB as u64).unwrap();
    let source: Member = swarm.source();
    assert_eq!(
        fails(&swarm, "small", &["--repair"]),
        "member: cannot reserve room for small/song.bin: no space left on device"
    );
    assert_eq!(fs::metadata(&path).unwrap().len(), 8 * MIB as u64, "it is still there");
    source.leaves();
}

#[test]
fn ten_thousand_parts_on_a_disk_that_is_full_but_for_them() {
    let swarm = Swarm::cut(10_000 * 1024, "1K");
    assert_eq!(swarm.manifest_line(6), "10000");
    let Some(disk) = Tmpfs::mount(swarm.path("small"), "10240k") else { return };
    let source = swarm.source();
    // Somebody else has some of the room: it is a little too small.
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![1; 400 * 1024]).unwrap();
    let told = "member: cannot reserve room for small/song.bin.part: no space left on device";
    assert_eq!(fails(&swarm, "small", &[]), told);
    assert!(!swarm.partial("small").exists());
    // With just enough room, whoever comes later and takes the rest takes nothing of it.
    fs::remove_file(&ballast).unwrap();
    let mut member = swarm.member_of(&source, "small", &["--leave", "--down", "4M"]);
    member.until_percent(10);
    let full = fs::write(&ballast, vec![1; 1 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(fetched(&member.ends_with(0)), 10_000 * 1024);
    swarm.assert_has("small");
    source.leaves();
}
