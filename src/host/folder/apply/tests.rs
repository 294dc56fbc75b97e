use super::*;
use crate::entry::{Chunk, ContentHash};
use crate::host::folder::root::IfNew;
use crate::host::folder::temp::Left;
use crate::host::folder::{Kind, temp};
use crate::limits::{NAME_LEN_MAX, WHOLE_LEN_MAX};
use crate::text::chain;
use rustix::fs::{CWD, FileType, mknodat};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder of an ensemble, on a file system that can exchange names or as on one that cannot.
struct World {
    dir: TempDir,
    exchanges: bool,
}

impl World {
    fn all() -> [World; 2] {
        [true, false].map(|exchanges| World { dir: tempfile::tempdir().unwrap(), exchanges })
    }

    fn root(&self) -> Arc<Root> {
        let mut root = Root::open(self.dir.path(), IfNew::Make).unwrap();
        root.exchanges = self.exchanges;
        Arc::new(root)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }
}

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

fn stat(root: &Root, at: &str) -> Option<Stat> {
    root.stat(&path(at)).unwrap()
}

/// A content on its way that is one chunk, however long.
fn open(root: &Arc<Root>, bytes: &[u8]) -> Temp {
    let chunk = Chunk { hash: ContentHash::of(bytes), len: u32::try_from(bytes.len()).unwrap() };
    let short = bytes.len() as u64 <= WHOLE_LEN_MAX;
    let content = if short { chunk.hash } else { ContentHash::of_chunks(&[chunk]) };
    Temp::open(root, content, bytes.len() as u64, vec![chunk]).unwrap()
}

fn synced(root: &Arc<Root>, text: &str) -> Synced {
    let temp = open(root, text.as_bytes());
    temp.put(0, text.as_bytes()).unwrap();
    let whole = temp.whole().unwrap();
    whole.set_attributes(Attributes { mtime: 1_000_000_007, executable: false }, None).unwrap();
    whole.sync().unwrap()
}

fn put_file(root: &Arc<Root>, at: &str, text: &str) -> Result<Stat, FolderError> {
    let mut unsettled = Unsettled::default();
    let stat = put(root, New::File(synced(root, text)), &path(at), stat(root, at), &mut unsettled)?;
    root.settle(unsettled)?;
    Ok(stat)
}

/// What the archive has of a path, the latest first; of a link its text.
fn archived(root: &Root, at: &str) -> Vec<String> {
    let versions = root.archive().versions(&path(at)).unwrap();
    let mut all = Vec::new();
    root.archive().each(|kept| all.push(kept)).unwrap();
    let mine = all.iter().filter(|kept| kept.path == path(at)).count();
    assert_eq!(versions.len(), mine, "both ways of looking find the same");
    let content = |kept: &Kept| match kept.stat.kind {
        Kind::Link => root.archive().read_link(kept).unwrap(),
        _ => io::read_to_string(root.archive().open_file(kept).unwrap()).unwrap(),
    };
    versions.iter().map(content).collect()
}

fn trouble<T>(result: Result<T, FolderError>) -> Trouble {
    result.err().expect("it was refused").trouble
}

fn is_changed<T>(result: Result<T, FolderError>) -> bool {
    matches!(trouble(result), Trouble::Changed)
}

#[test]
fn what_is_replaced_is_in_the_archive() {
    for world in World::all() {
        let root = world.root();
        put_file(&root, "a", "one").unwrap();
        let two = put_file(&root, "a", "two").unwrap();
        assert_eq!(Some(two), stat(&root, "a"), "what is told is what is there");
        assert_eq!(two.mtime, 1_000_000_007);
        put_file(&root, "a", "three").unwrap();
        assert_eq!(
            (world.read("a").as_str(), archived(&root, "a")),
            ("three", vec!["two".into(), "one".into()])
        );
        let mut unsettled = Unsettled::default();
        remove(&root, &path("a"), stat(&root, "a").unwrap(), &mut unsettled).unwrap();
        root.settle(unsettled).unwrap();
        assert_eq!(stat(&root, "a"), None);
        assert_eq!(archived(&root, "a"), ["three", "two", "one"]);
        assert!(temp::left(&root).unwrap().is_empty());
    }
}

/// What stands at a path before, by name.
fn prepare(world: &World, old: &str) {
    match old {
        "nothing" => {}
        "file" => fs::write(world.at("x"), "old").unwrap(),
        "link" => symlink("old text", world.at("x")).unwrap(),
        "folder" => fs::create_dir(world.at("x")).unwrap(),
        other => panic!("{other}"),
    }
}

fn stands(world: &World) -> &'static str {
    let at = world.at("x");
    let Ok(metadata) = fs::symlink_metadata(&at) else { return "nothing" };
    if metadata.is_dir() {
        assert_eq!(fs::read_dir(at).unwrap().count(), 0);
        "folder"
    } else if metadata.is_symlink() {
        match fs::read_link(at).unwrap().to_str().unwrap() {
            "old text" => "link",
            "new text" => "new link",
            other => panic!("{other}"),
        }
    } else {
        match world.read("x").as_str() {
            "old" => "file",
            "new" => "new file",
            other => panic!("half a file: {other:?}"),
        }
    }
}

fn new(root: &Arc<Root>, what: &str) -> New {
    match what {
        "new file" => New::File(synced(root, "new")),
        "new link" => New::Link("new text".into()),
        _ => New::Folder,
    }
}

/// A program that ends after any step leaves the old or the new thing in place, whole, and the next one goes on.
#[test]
fn whoever_stops_after_any_step_leaves_the_old_or_the_new() {
    for old in ["nothing", "file", "link", "folder"] {
        for what in ["new file", "new link", "folder"] {
            for stop in 0..=3 {
                for world in World::all() {
                    prepare(&world, old);
                    let case =
                        format!("{old} to {what}, stopped after {stop}, exchanges: {}", world.exchanges);
                    let root = world.root();
                    let expected = stat(&root, "x");
                    let mut unsettled = Unsettled::default();
                    let step = |stop_at: usize, part: &mut Part| {
                        // Nothing runs when a program is killed.
                        part.moved |= stop == stop_at;
                        stop == stop_at
                    };
                    let steps = |unsettled: &mut Unsettled| -> Result<(), FolderError> {
                        let arrived = new(&root, what);
                        if stop == 0 {
                            return Ok(());
                        }
                        let mut checked = check(&root, arrived, &path("x"), expected)?;
                        if step(1, &mut checked.part) {
                            return Ok(());
                        }
                        let mut staged = checked.stage()?;
                        if step(2, &mut staged.part) {
                            return Ok(());
                        }
                        staged.put(unsettled).map(|_stat| ())
                    };
                    steps(&mut unsettled).expect(&case);
                    assert_eq!(stands(&world), if stop == 3 { what } else { old }, "{case}");
                    drop((root, unsettled));
                    continue_after(&world, old, what, &case);
                }
            }
        }
    }
}

fn continue_after(world: &World, old: &str, what: &str, case: &str) {
    let root = world.root();
    let mut unsettled = Unsettled::default();
    if stands(world) != what {
        put(&root, new(&root, what), &path("x"), stat(&root, "x"), &mut unsettled).expect(case);
    }
    root.settle(unsettled).unwrap();
    assert_eq!(stands(world), what, "{case}");
    let kept = archived(&root, "x");
    match old {
        "file" => assert!(kept.contains(&"old".into()), "{case}: {kept:?}"),
        "link" => assert!(kept.contains(&"old text".into()), "{case}: {kept:?}"),
        _ => {}
    }
}

type Change = (&'static str, fn(&Path));

/// Each of these is done by the user to `x`, which held "old"; what is there afterwards must stay.
const CHANGES: [Change; 7] = [
    ("written to", |at| fs::write(at, "user").unwrap()),
    ("appended to", |at| fs::OpenOptions::new().append(true).open(at).unwrap().write_all(b"!").unwrap()),
    ("saved by a rename", |at| {
        fs::write(at.with_extension("new"), "old").unwrap();
        fs::rename(at.with_extension("new"), at).unwrap();
    }),
    ("deleted", |at| fs::remove_file(at).unwrap()),
    ("made executable", |at| fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap()),
    ("replaced by a folder", |at| {
        fs::remove_file(at).unwrap();
        fs::create_dir(at).unwrap();
        fs::write(at.join("inside"), "user").unwrap();
    }),
    ("replaced by a link", |at| {
        fs::remove_file(at).unwrap();
        symlink("/etc/passwd", at).unwrap();
    }),
];

/// Everything in the folder but what is ours: names, modes and contents.
fn tree(world: &World) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![world.dir.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let at = entry.unwrap().path();
            if at.ends_with(".orchestra") {
                continue;
            }
            let metadata = fs::symlink_metadata(&at).unwrap();
            let content = match metadata.file_type() {
                kind if kind.is_file() => fs::read(&at).unwrap(),
                kind if kind.is_symlink() => {
                    fs::read_link(&at).unwrap().into_os_string().into_encoded_bytes()
                }
                _ => {
                    folders.push(at.clone());
                    Vec::new()
                }
            };
            found.push((at.strip_prefix(world.dir.path()).unwrap().to_owned(), metadata.mode(), content));
        }
    }
    found.sort();
    found
}

#[test]
fn what_the_user_changed_meanwhile_stays() {
    for (name, change) in CHANGES {
        for after in ["the order", "the check", "the stage"] {
            for world in World::all() {
                let case = format!("{name} after {after}, exchanges: {}", world.exchanges);
                prepare(&world, "file");
                let root = world.root();
                let expected = stat(&root, "x");
                let arrived = New::File(synced(&root, "new"));
                let mut unsettled = Unsettled::default();
                let before = |now: &str| {
                    if now == after {
                        change(&world.at("x"));
                    }
                };
                let attempt = |unsettled: &mut Unsettled| {
                    before("the order");
                    let checked = check(&root, arrived, &path("x"), expected)?;
                    before("the check");
                    let staged = checked.stage()?;
                    before("the stage");
                    staged.put(unsettled)
                };
                let result = attempt(&mut unsettled);
                let other = World { dir: tempfile::tempdir().unwrap(), exchanges: true };
                prepare(&other, "file");
                change(&other.at("x"));
                assert_eq!(tree(&world), tree(&other), "{case}");
                assert!(is_changed(result), "{case}");
            }
        }
    }
}

#[test]
fn what_arrived_is_used_again_after_the_target_changed() {
    for world in World::all() {
        prepare(&world, "file");
        let root = world.root();
        let staged = check(&root, New::File(synced(&root, "new")), &path("x"), stat(&root, "x"))
            .unwrap()
            .stage()
            .unwrap();
        fs::write(world.at("x"), "user").unwrap();
        assert!(is_changed(staged.put(&mut Unsettled::default())));
        let left: Vec<ContentHash> = temp::left(&root).unwrap().iter().map(|left: &Left| left.hash).collect();
        assert_eq!(left, [ContentHash::of(b"new")]);
        let temp = open(&root, b"new");
        assert_eq!(temp.resume(&AtomicBool::new(false)).unwrap(), 3);
        let whole = temp.whole().unwrap().sync().unwrap();
        put(&root, New::File(whole), &path("x"), stat(&root, "x"), &mut Unsettled::default()).unwrap();
        assert_eq!((world.read("x").as_str(), archived(&root, "x")[0].as_str()), ("new", "user"));
    }
}

#[test]
fn nothing_is_removed_or_moved_that_changed() {
    for (name, change) in CHANGES {
        for world in World::all() {
            prepare(&world, "file");
            let root = world.root();
            let expected = stat(&root, "x").unwrap();
            change(&world.at("x"));
            let before = tree(&world);
            let mut unsettled = Unsettled::default();
            assert!(is_changed(remove(&root, &path("x"), expected, &mut unsettled)), "{name}");
            assert!(
                is_changed(move_aside(&root, &path("x"), expected, &path("y"), &mut unsettled)),
                "{name}"
            );
            let set = set_attributes(&root, &path("x"), expected, Attributes::default(), &mut unsettled);
            assert!(set.is_err(), "{name}");
            assert_eq!(tree(&world), before, "{name}");
        }
    }
}

#[test]
fn a_rename_that_hits_something_else_is_taken_back() {
    let world = &World::all()[0];
    let root = world.root();
    fs::write(world.at("x"), "user").unwrap();
    let found = stat(&root, "x").unwrap();
    let other = Stat { inode: found.inode + 1, ..found };
    let (here, archive) = (root.beneath().folder(None).unwrap(), root.archive.slot(&path("x")).unwrap());
    assert!(matches!(move_if(&here, "x", &archive.shelf, &archive.name, &other), Err(Trouble::Changed)));
    assert_eq!(world.read("x"), "user");
    assert!(archived(&root, "x").is_empty());
}

#[test]
fn a_conflict_copy_replaces_nothing() {
    for world in World::all() {
        let root = world.root();
        fs::write(world.at("a"), "loser").unwrap();
        fs::write(world.at("taken"), "user").unwrap();
        let expected = stat(&root, "a").unwrap();
        let mut unsettled = Unsettled::default();
        let taken = move_aside(&root, &path("a"), expected, &path("taken"), &mut unsettled);
        assert!(matches!(trouble(taken), Trouble::Occupied));
        assert_eq!((world.read("a").as_str(), world.read("taken").as_str()), ("loser", "user"));
        let moved =
            move_aside(&root, &path("a"), expected, &path("a.conflict-01234567"), &mut unsettled).unwrap();
        root.settle(unsettled).unwrap();
        assert_eq!(Some(moved), stat(&root, "a.conflict-01234567"));
        assert!(!world.at("a").exists());
    }
}

#[test]
fn a_folder_goes_only_if_it_is_empty() {
    for world in World::all() {
        let root = world.root();
        let mut unsettled = Unsettled::default();
        let folder = make_folder(&root, &path("d"), &mut unsettled).unwrap();
        fs::write(world.at("d/f"), "user").unwrap();
        assert!(matches!(trouble(remove(&root, &path("d"), folder, &mut unsettled)), Trouble::NotEmpty));
        assert!(matches!(trouble(put_file(&root, "d", "new")), Trouble::NotEmpty));
        // It fills between the check and the exchange.
        fs::remove_file(world.at("d/f")).unwrap();
        let arrived = New::File(synced(&root, "new"));
        let staged = check(&root, arrived, &path("d"), stat(&root, "d")).unwrap().stage().unwrap();
        fs::write(world.at("d/f"), "user").unwrap();
        assert!(matches!(trouble(staged.put(&mut unsettled)), Trouble::NotEmpty));
        assert_eq!(world.read("d/f"), "user");
        fs::remove_file(world.at("d/f")).unwrap();
        remove(&root, &path("d"), stat(&root, "d").unwrap(), &mut unsettled).unwrap();
        assert!(matches!(trouble(make_folder(&root, &path("no/d"), &mut unsettled)), Trouble::Missing));
    }
}

#[test]
fn what_is_neither_file_nor_folder_nor_link_is_left_alone() {
    for world in World::all() {
        let root = world.root();
        let _socket = std::os::unix::net::UnixListener::bind(world.at("socket")).unwrap();
        let mut cases = vec![("pipe", Kind::Pipe), ("socket", Kind::Socket)];
        mknodat(CWD, world.at("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        if mknodat(CWD, world.at("device"), FileType::CharacterDevice, Mode::RWXU, rustix::fs::makedev(1, 3))
            .is_ok()
        {
            cases.push(("device", Kind::Device));
        } else {
            writeln!(io::stderr(), "skipped: devices; needs root").unwrap();
        }
        for (name, kind) in cases {
            let found = stat(&root, name).unwrap();
            assert_eq!(found.kind, kind);
            let is = |trouble: Trouble| {
                assert!(matches!(trouble, Trouble::Is(it) if it == kind), "{name}: {trouble:?}");
            };
            is(trouble(root.beneath().open_file(&path(name))));
            is(trouble(put_file(&root, name, "new")));
            is(trouble(remove(&root, &path(name), found, &mut Unsettled::default())));
            assert!(is_changed(put(&root, New::Folder, &path(name), None, &mut Unsettled::default())));
            let set =
                set_attributes(&root, &path(name), found, Attributes::default(), &mut Unsettled::default());
            is(trouble(set));
            assert!(root.beneath().list(Some(&path(name))).is_err());
            assert!(stat(&root, name).unwrap().is_untouched(&found));
        }
    }
}

#[test]
fn permissions_stay_private_and_no_other_bits_are_set() {
    for world in World::all() {
        let root = world.root();
        fs::write(world.at("secret"), "old").unwrap();
        fs::set_permissions(world.at("secret"), fs::Permissions::from_mode(0o4640)).unwrap();
        let order = |text: &str, executable| Order {
            whole: Whole::of_bytes(&root, ContentHash::of(text.as_bytes()), text.as_bytes()).unwrap(),
            attributes: Attributes { mtime: -1, executable },
            path: path("secret"),
            expected: stat(&root, "secret"),
        };
        for (text, executable, mode) in [("one", false, 0o640), ("two", true, 0o750), ("three", false, 0o640)]
        {
            let placed = put_together(&root, vec![order(text, executable)]).remove(0).unwrap();
            assert_eq!((placed.mode, placed.mtime, placed.is_executable()), (mode, -1, executable));
        }
        let expected = stat(&root, "secret").unwrap();
        let attributes = Attributes { mtime: i64::MAX, executable: true };
        let mut unsettled = Unsettled::default();
        let set = set_attributes(&root, &path("secret"), expected, attributes, &mut unsettled).unwrap();
        root.settle(unsettled).unwrap();
        assert_eq!((Some(set), set.mode), (stat(&root, "secret"), 0o750));

        let elsewhere = tempfile::tempdir_in(world.dir.path().parent().unwrap()).unwrap();
        fs::hard_link(world.at("secret"), elsewhere.path().join("other")).unwrap();
        let expected = stat(&root, "secret").unwrap();
        let linked = set_attributes(
            &root,
            &path("secret"),
            expected,
            Attributes::default(),
            &mut Unsettled::default(),
        );
        assert!(matches!(trouble(linked), Trouble::Linked));
        put_file(&root, "secret", "four").unwrap();
        assert_eq!(fs::read_to_string(elsewhere.path().join("other")).unwrap(), "three");
    }
}

#[test]
fn many_are_put_in_place_together_and_each_has_its_answer() {
    for world in World::all() {
        let root = world.root();
        fs::write(world.at("f7"), "user").unwrap();
        let orders = (0..200).map(|at| {
            let text = format!("content of {at}");
            Order {
                whole: Whole::of_bytes(&root, ContentHash::of(text.as_bytes()), text.as_bytes()).unwrap(),
                attributes: Attributes { mtime: at, executable: false },
                path: path(&format!("f{at}")),
                expected: None,
            }
        });
        let outcomes = put_together(&root, orders.collect());
        for (at, outcome) in (0..).zip(outcomes) {
            if at == 7 {
                assert!(is_changed(outcome));
                assert_eq!(world.read("f7"), "user");
            } else {
                assert_eq!(outcome.unwrap().mtime, at);
                assert_eq!(world.read(&format!("f{at}")), format!("content of {at}"));
            }
        }
        assert_eq!(fs::read_dir(world.at(".orchestra/tmp")).unwrap().count(), 0, "nothing stays behind");
        assert!(archived(&root, "f7").is_empty());
    }
}

#[test]
fn old_versions_come_back_as_copies() {
    let long = "é".repeat(NAME_LEN_MAX / 2);
    for world in World::all() {
        let root = world.root();
        fs::create_dir_all(world.at("d/e")).unwrap();
        for at in ["a", "d/e/b", &format!("d/{long}"), "x~135508.123456789-0a1b2c3d"] {
            put_file(&root, at, "one").unwrap();
            put_file(&root, at, "two").unwrap();
            let kept = root.archive().versions(&path(at)).unwrap().remove(0);
            let mut unsettled = Unsettled::default();
            restore(&root, &kept, &path(at), stat(&root, at), &mut unsettled).unwrap();
            root.settle(unsettled).unwrap();
            assert_eq!(
                (world.read(at).as_str(), archived(&root, at)),
                ("one", vec!["two".into(), "one".into()])
            );
            // What the user then writes does not reach the archive.
            fs::OpenOptions::new().write(true).open(world.at(at)).unwrap().write_all_at(b"!!!", 0).unwrap();
            assert_eq!(archived(&root, at), ["two", "one"]);
        }
        symlink("/nowhere", world.at("l")).unwrap();
        remove(&root, &path("l"), stat(&root, "l").unwrap(), &mut Unsettled::default()).unwrap();
        let kept = root.archive().versions(&path("l")).unwrap().remove(0);
        restore(&root, &kept, &path("d/l"), None, &mut Unsettled::default()).unwrap();
        assert_eq!(root.beneath().read_link(&path("d/l")).unwrap(), "/nowhere");
    }
}

/// A small file system of its own, gone when this is dropped.
struct Small(TempDir);

impl Small {
    fn new() -> Option<Small> {
        let dir = tempfile::tempdir().unwrap();
        let mounted =
            rustix::mount::mount("none", dir.path(), "tmpfs", rustix::mount::MountFlags::empty(), c"size=1m");
        if mounted.is_err() {
            writeln!(io::stderr(), "skipped: needs root, to mount a small tmpfs").unwrap();
            return None;
        }
        Some(Small(dir))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        rustix::mount::unmount(self.0.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn a_full_disk_loses_nothing_and_can_still_archive() {
    let Some(small) = Small::new() else { return };
    let root = Arc::new(Root::open(small.0.path(), IfNew::Make).unwrap());
    put_file(&root, "a", "one").unwrap();
    put_file(&root, "b", "one").unwrap();
    let arrived = synced(&root, "two");
    let big = vec![7; 1 << 21];
    let temp = open(&root, &big);
    assert!(matches!(trouble(temp.reserve()), Trouble::Full));
    let error = temp.put(0, &big).unwrap_err();
    assert!(chain(&error).ends_with("the disk is full; free some space"), "{}", chain(&error));
    assert!(!temp.has(0));
    let short = &big[..1 << 17];
    assert!(matches!(trouble(Whole::of_bytes(&root, ContentHash::of(short), short)), Trouble::Full));
    // Not a byte is free now, and what is only renamed needs none.
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(small.0.path().join("fill"))
        .unwrap()
        .write_all(&big)
        .unwrap_err();
    put(&root, New::File(arrived), &path("a"), stat(&root, "a"), &mut Unsettled::default()).unwrap();
    remove(&root, &path("b"), stat(&root, "b").unwrap(), &mut Unsettled::default()).unwrap();
    assert_eq!((archived(&root, "a"), archived(&root, "b")), (vec!["one".into()], vec!["one".into()]));
    assert_eq!(fs::read_to_string(small.0.path().join("a")).unwrap(), "two");
}

#[test]
fn what_cannot_be_archived_is_not_replaced() {
    for world in World::all() {
        let root = world.root();
        fs::write(world.at("a"), "old").unwrap();
        // Where the folder of the day belongs is a file.
        let day = {
            put_file(&root, "other", "one").unwrap();
            put_file(&root, "other", "two").unwrap();
            let mut days = fs::read_dir(world.at(".orchestra/archive")).unwrap();
            days.next().unwrap().unwrap().path()
        };
        fs::remove_dir_all(&day).unwrap();
        fs::write(&day, "in the way").unwrap();
        assert!(put_file(&root, "a", "new").is_err());
        assert!(remove(&root, &path("a"), stat(&root, "a").unwrap(), &mut Unsettled::default()).is_err());
        // Neither is anything archived over a symbolic link.
        let outside = tempfile::tempdir().unwrap();
        fs::remove_file(&day).unwrap();
        symlink(outside.path(), &day).unwrap();
        assert!(put_file(&root, "a", "new").is_err());
        assert!(remove(&root, &path("a"), stat(&root, "a").unwrap(), &mut Unsettled::default()).is_err());
        assert_eq!(world.read("a"), "old");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
