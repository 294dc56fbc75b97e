use super::*;
use crate::entry::ContentHash;
use crate::host::folder::apply::{self, New};
use crate::host::folder::root::{IfNew, Root};
use crate::host::folder::temp::Whole;
use crate::host::folder::{Unsettled, archive::Kept};
use rustix::fs::CWD;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

/// A folder of an ensemble, and beside it one that nobody may touch.
struct World {
    _dir: TempDir,
    inside: PathBuf,
    outside: PathBuf,
    root: Arc<Root>,
}

impl World {
    /// Where the kernel walks, and where it cannot.
    fn all() -> [World; 2] {
        [true, false].map(|walks| {
            let dir = tempfile::tempdir().unwrap();
            let (inside, outside) = (dir.path().join("inside"), dir.path().join("outside"));
            std::fs::create_dir_all(inside.join("a/b/c")).unwrap();
            std::fs::write(inside.join("a/b/c/f"), "inside").unwrap();
            std::fs::create_dir_all(outside.join("b/c")).unwrap();
            for at in ["f", "b/f", "b/c/f"] {
                std::fs::write(outside.join(at), "outside").unwrap();
            }
            let mut root = Root::open(&inside, IfNew::Make).unwrap();
            assert!(root.beneath.walks, "this kernel walks");
            root.beneath.walks = walks;
            World { _dir: dir, inside, outside, root: Arc::new(root) }
        })
    }

    fn put(&self, at: &TreePath, text: &str) -> Result<Stat, FolderError> {
        let expected = self.root.stat(at)?;
        let whole = Whole::of_bytes(&self.root, ContentHash::of(text.as_bytes()), text.as_bytes())?;
        let new = New::File(whole.sync()?);
        apply::put(&self.root, new, at, expected, &mut Unsettled::default())
    }
}

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

/// What is beneath a folder: what a look and a read tell.
fn snapshot(folder: &Path) -> Vec<(PathBuf, Stat, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let stat = Stat::of(File::open(&folder).unwrap()).unwrap();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let at = entry.unwrap().path();
            if at.is_dir() {
                folders.push(at);
            } else {
                let file = File::open(&at).unwrap();
                found.push((at.clone(), Stat::of(&file).unwrap(), std::fs::read(&at).unwrap()));
            }
        }
        found.push((folder, stat, Vec::new()));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Does everything that can be done with a path; says how much of it went well.
fn everything(world: &World, at: &TreePath, kept: &Kept) -> usize {
    let root = &world.root;
    let mut unsettled = Unsettled::default();
    let is_file = |stat: &Stat| stat.kind == Kind::File;
    let now = || root.stat(at).ok().flatten();
    let mut went = 0;
    let mut count = |ok: bool| went += usize::from(ok);
    count(root.beneath().stat(at).is_ok_and(|stat| stat.is_some()));
    count(root.beneath().list(at.parent().as_ref()).is_ok());
    count(root.beneath().open_file(at).is_ok_and(|file| io::read_to_string(file).unwrap() != "outside"));
    count(root.beneath().read_link(at).is_ok());
    count(world.put(at, "new").is_ok());
    if let Some(stat) = now().filter(is_file) {
        let attributes = Attributes { mtime: 7, executable: true };
        count(apply::set_attributes(root, at, stat, attributes, &mut unsettled).is_ok());
    }
    if let Some(stat) = now().filter(is_file) {
        let beside = at.parent().unwrap().join("beside").unwrap();
        if let Ok(moved) = apply::move_aside(root, at, stat, &beside, &mut unsettled) {
            count(apply::move_aside(root, &beside, moved, at, &mut unsettled).is_ok());
        }
    }
    if let Some(stat) = now().filter(is_file) {
        count(apply::remove(root, at, stat, &mut unsettled).is_ok());
    }
    count(apply::make_folder(root, at, &mut unsettled).is_ok());
    let stat = now();
    count(apply::put(root, New::Link("../../../outside/f".into()), at, stat, &mut unsettled).is_ok());
    let stat = now();
    count(apply::restore(root, kept, at, stat, &mut unsettled).is_ok());
    root.settle(unsettled).unwrap();
    went
}

fn a_version(world: &World) -> Kept {
    let kept = path("kept");
    world.put(&kept, "one").unwrap();
    world.put(&kept, "two").unwrap();
    world.root.archive().versions(&kept).unwrap().remove(0)
}

#[test]
fn a_link_on_the_way_leads_nowhere() {
    for world in World::all() {
        let kept = a_version(&world);
        let before = snapshot(&world.outside);
        for (component, rest) in [("a", "b/c/f"), ("a/b", "c/f"), ("a/b/c", "f")] {
            let at = world.inside.join(component);
            let aside = world.inside.join("aside");
            for text in [
                "/",
                "..",
                "../outside",
                "../../outside",
                "../../../outside",
                ".",
                "/proc/self/cwd",
                "loop",
                "aside",
            ] {
                std::fs::rename(&at, &aside).unwrap();
                symlink(text, &at).unwrap();
                let target = path(&format!("{component}/{rest}"));
                assert_eq!(everything(&world, &target, &kept), 0, "{target} with {component} to {text}");
                let way = world.root.beneath().stat(&target).unwrap_err().trouble;
                assert!(matches!(way, Trouble::Way), "{way:?}");
                symlink(world.outside.join("f"), aside.join("planted")).unwrap();
                std::fs::remove_file(aside.join("planted")).unwrap();
                std::fs::remove_file(&at).unwrap();
                std::fs::rename(&aside, &at).unwrap();
            }
        }
        assert_eq!(snapshot(&world.outside), before);
        assert_eq!(std::fs::read_to_string(world.inside.join("a/b/c/f")).unwrap(), "inside");
    }
}

#[test]
fn a_link_at_the_end_is_replaced_and_never_followed() {
    for world in World::all() {
        let before = snapshot(&world.outside);
        for text in ["../../../../outside/f", world.outside.join("f").to_str().unwrap(), "nowhere", "l"] {
            let at = path("a/b/c/l");
            symlink(text, world.inside.join(at.as_str())).unwrap();
            assert_eq!(world.root.beneath().read_link(&at).unwrap(), text);
            assert!(matches!(
                world.root.beneath().open_file(&at).unwrap_err().trouble,
                Trouble::Is(Kind::Link)
            ));
            let stat = world.root.stat(&at).unwrap().unwrap();
            let attributes = Attributes { mtime: 7, executable: true };
            assert!(
                apply::set_attributes(&world.root, &at, stat, attributes, &mut Unsettled::default()).is_err()
            );
            world.put(&at, "new").unwrap();
            assert_eq!(std::fs::read_to_string(world.inside.join(at.as_str())).unwrap(), "new");
            std::fs::remove_file(world.inside.join(at.as_str())).unwrap();
        }
        assert_eq!(snapshot(&world.outside), before);
    }
}

/// How often everything is tried while the other thread swaps.
const ROUNDS: usize = 300;
/// On a busy machine the other thread may rest meanwhile: it is waited for so long.
const ROUNDS_MAX: usize = 1_000_000;

/// Ends the thread that swaps, also when the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A folder changes places with a link to the outside as fast as it can, while everything is done beneath it.
#[test]
fn a_link_swapped_in_between_check_and_use_leads_nowhere() {
    for world in World::all() {
        let kept = a_version(&world);
        let before = snapshot(&world.outside);
        symlink(&world.outside, world.inside.join("link")).unwrap();
        let done = AtomicBool::new(false);
        let (mut went, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            let _ends = Ends(&done);
            scope.spawn(|| {
                let (a, link) = (world.inside.join("a"), world.inside.join("link"));
                while !done.load(Ordering::Relaxed) {
                    fs::renameat_with(CWD, &a, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                }
            });
            for round in 0..ROUNDS_MAX {
                if round >= ROUNDS && went > 0 && refused > 0 {
                    break;
                }
                let at = path(["a/b/c/f", "a/b/f", "a/f"][round % 3]);
                if round < ROUNDS || went == 0 {
                    went += everything(&world, &at, &kept);
                }
                refused += usize::from(matches!(
                    world.root.stat(&at),
                    Err(FolderError { trouble: Trouble::Way, .. })
                ));
            }
        });
        assert_eq!(snapshot(&world.outside), before);
        assert!(went > 0, "the folder was never there");
        assert!(refused > 0, "the link was never there");
    }
}

/// The same with the file itself, and a link to one outside.
#[test]
fn a_link_swapped_in_for_a_file_is_not_followed() {
    for world in World::all() {
        let before = snapshot(&world.outside);
        let (f, link) = (world.inside.join("a/b/c/f"), world.inside.join("a/b/c/link"));
        symlink(world.outside.join("f"), &link).unwrap();
        let done = AtomicBool::new(false);
        let at = path("a/b/c/f");
        let (mut files, mut links) = (0, 0);
        std::thread::scope(|scope| {
            let _ends = Ends(&done);
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    fs::renameat_with(CWD, &f, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                }
            });
            let folder = world.root.beneath().folder(Some(&path("a/b/c"))).unwrap();
            for round in 0..ROUNDS_MAX {
                if round >= ROUNDS && files > 0 && links > 0 {
                    break;
                }
                if let Ok(file) = folder.open_file("f") {
                    assert_eq!(io::read_to_string(file).unwrap(), "inside");
                    files += 1;
                }
                links += usize::from(folder.read_link("f").is_ok_and(|text| text.ends_with("outside/f")));
                let Some(stat) = world.root.stat(&at).unwrap().filter(|_| round < ROUNDS) else { continue };
                let attributes =
                    Attributes { mtime: i64::try_from(round).unwrap(), executable: round % 2 == 0 };
                let mut unsettled = Unsettled::default();
                let _refused = apply::set_attributes(&world.root, &at, stat, attributes, &mut unsettled);
                world.root.settle(unsettled).unwrap();
            }
        });
        assert_eq!(snapshot(&world.outside), before);
        assert!(files > 0 && links > 0, "{files} files, {links} links");
    }
}

/// Names that lead astray, or deceive, or mean something to a shell, another system or us. Those that are no path of a
/// folder are refused by [`TreePath`].
const NASTY: &[&str] = &[
    "~",
    "~root",
    "-rf",
    "a b",
    " ",
    "C:\\x",
    "C:x",
    "\\\\server\\x",
    "\\\\?\\x",
    "\\\\.\\x",
    "..\\..\\x",
    "file:stream",
    "file::$DATA",
    "GIT~1",
    "GI7EBA~1",
    "con",
    "prn",
    "aux",
    "nul",
    "clock$",
    "conin$",
    "conout$",
    "com1",
    "lpt9",
    "com¹",
    "NUL.tar.gz",
    "nul.",
    "nul ",
    "x...",
    "x. ",
    "...",
    "....",
    "\u{1}",
    "\u{7f}",
    "\u{9b}2J",
    "\u{1b}[2J",
    "x\ny",
    "x\r",
    "\u{202e}gpj.exe",
    "\u{2066}x",
    "\u{200f}x",
    "\u{61c}",
    "a\u{200b}b",
    "\u{feff}x",
    "x\u{fe0f}",
    "\u{ff0e}\u{ff0e}",
    "a\u{ff0f}b",
    "é",
    "e\u{301}",
    "É",
    "A",
    "a'b",
    "a\"b",
    "$(id)",
    "`id`",
    "%s%n",
    "*",
    "?",
    "<x>",
    "|",
    ".git",
    ".g\u{200c}it",
    ".orchestraignore",
    ".orchestra~",
    "tmp",
    "marker",
    "lock",
    "archive",
    "passing-0",
    "x.conflict-01234567.txt",
    "x~135508.123456789-0a1b2c3d",
    "2026-11-21",
    "2026-11-21.long",
    "\u{fffd}",
    "\u{10ffff}",
];

#[test]
fn nasty_names_are_names() {
    let long = [
        "x".repeat(255),
        "é".repeat(127),
        format!("{}.txt", "y".repeat(251)),
        "z".repeat(230),
        "z".repeat(229),
    ];
    let mut names: Vec<String> = NASTY.iter().map(|&name| name.to_owned()).chain(long).collect();
    names.sort();
    for world in World::all() {
        let before = snapshot(&world.outside);
        let folder = path("a/b/c");
        for name in &names {
            for at in [path(name), folder.join(name).unwrap()] {
                // The world's own folder is called so.
                if at == path("a") {
                    continue;
                }
                for text in ["one", name, "two"] {
                    world.put(&at, text).unwrap();
                }
                let content = io::read_to_string(world.root.beneath().open_file(&at).unwrap()).unwrap();
                assert_eq!(content, "two");
                let kept = world.root.archive().versions(&at).unwrap();
                assert_eq!(kept.len(), 2, "{at}");
                assert!(kept.iter().all(|kept| kept.path == at));
            }
        }
        let mut listed = world.root.beneath().list(Some(&folder)).unwrap();
        assert_eq!(listed.not_text, Vec::<OsString>::new());
        listed.names.retain(|name| name != "f");
        listed.names.sort();
        assert_eq!(listed.names, names);
        let mut found = 0;
        world.root.archive().each(|_kept| found += 1).unwrap();
        assert_eq!(found, names.len() * 4);
        for name in &names {
            let at = folder.join(name).unwrap();
            let stat = world.root.stat(&at).unwrap().unwrap();
            apply::remove(&world.root, &at, stat, &mut Unsettled::default()).unwrap();
            apply::put(&world.root, New::Link(name.clone()), &at, None, &mut Unsettled::default()).unwrap();
            assert_eq!(world.root.beneath().read_link(&at).unwrap(), *name);
        }
        assert_eq!(snapshot(&world.outside), before);
    }
}

#[test]
fn a_name_is_never_a_path() {
    for world in World::all() {
        let folder = world.root.beneath().folder(Some(&path("a"))).unwrap();
        for name in ["", ".", "..", "b/c", "/etc", "../inside", "x\0"] {
            assert!(matches!(folder.stat(name), Err(Trouble::Name)), "{name:?}");
            assert!(matches!(folder.folder(name), Err(Trouble::Name)));
            assert!(matches!(folder.open_file(name), Err(Trouble::Name)));
            assert!(matches!(folder.make_folder(name), Err(Trouble::Name)));
            assert!(matches!(folder.remove_file(name), Err(Trouble::Name)));
            assert!(matches!(folder.rename_new("b", &folder, name), Err(Trouble::Name)));
        }
        for text in ["", "a\0b", &"x".repeat(LINK_TEXT_LEN_MAX + 1)] {
            assert!(matches!(folder.make_link("l", text), Err(Trouble::BadLink)));
        }
    }
}

#[test]
fn names_that_are_no_text_are_told_and_not_lost() {
    for world in World::all() {
        for bad in [b"\xff".as_slice(), b"a\x80b", b"\xc0\xaf", b"\xed\xa0\x80"] {
            std::fs::write(world.inside.join("a").join(std::ffi::OsStr::from_bytes(bad)), "x").unwrap();
        }
        let listed = world.root.beneath().list(Some(&path("a"))).unwrap();
        assert_eq!((listed.names, listed.not_text.len()), (vec!["b".to_owned()], 4));
        symlink(std::ffi::OsStr::from_bytes(b"\xff"), world.inside.join("l")).unwrap();
        assert!(matches!(world.root.beneath().read_link(&path("l")).unwrap_err().trouble, Trouble::NotText));
        let top = world.root.beneath().list(None).unwrap();
        assert!(!top.names.contains(&OWN_FOLDER.to_owned()), "what is ours is not listed");
    }
}

#[test]
fn another_file_system_is_left_alone() {
    for world in World::all() {
        let at = world.inside.join("a/b");
        let mount = |flags| rustix::mount::mount("none", &at, "tmpfs", flags, c"size=64k");
        if mount(rustix::mount::MountFlags::empty()).is_err() {
            writeln!(io::stderr(), "skipped: needs root, to mount something in the folder").unwrap();
            return;
        }
        std::fs::create_dir(at.join("c")).unwrap();
        let kept = a_version(&world);
        let went = everything(&world, &path("a/b/c/f"), &kept);
        let stat = world.root.stat(&path("a/b/c/f"));
        let left = std::fs::read_dir(at.join("c")).unwrap().count();
        let as_folder = world.root.beneath().folder(Some(&path("a"))).unwrap().folder("b");
        rustix::mount::unmount(&at, rustix::mount::UnmountFlags::DETACH).unwrap();
        assert_eq!((went, left), (0, 0));
        assert!(matches!(stat.unwrap_err().trouble, Trouble::Mounted), "and it is not said to be missing");
        assert!(matches!(as_folder, Err(Trouble::Mounted)));
        assert_eq!(world.root.stat(&path("a/b/c/f")).unwrap().unwrap().size, 6);
    }
}

#[test]
fn a_folder_that_may_not_be_written_keeps_what_it_has() {
    for world in World::all() {
        let folder = File::open(world.inside.join("a/b/c")).unwrap();
        if fs::ioctl_setflags(&folder, fs::IFlags::IMMUTABLE).is_err() {
            writeln!(io::stderr(), "skipped: needs root and ext4, to make a folder immutable").unwrap();
            return;
        }
        let (file, new) = (path("a/b/c/f"), path("a/b/c/new"));
        let stat = world.root.stat(&file).unwrap().unwrap();
        let put = [world.put(&file, "x"), world.put(&new, "x")];
        let removed = apply::remove(&world.root, &file, stat, &mut Unsettled::default());
        let moved = apply::move_aside(&world.root, &file, stat, &path("g"), &mut Unsettled::default());
        let made = apply::make_folder(&world.root, &new, &mut Unsettled::default());
        fs::ioctl_setflags(&folder, fs::IFlags::empty()).unwrap();
        for refused in put.into_iter().chain([moved, made, removed.map(|()| stat)]) {
            let trouble = refused.unwrap_err().trouble;
            assert!(matches!(trouble, Trouble::Denied(_)), "{trouble:?}");
        }
        assert_eq!(world.root.stat(&file).unwrap(), Some(stat));
        assert_eq!(world.root.archive().versions(&file).unwrap(), []);
    }
}

#[test]
fn a_path_goes_deep() {
    for world in World::all() {
        let mut at = path("d");
        for _ in 0..60 {
            apply::make_folder(&world.root, &at, &mut Unsettled::default()).unwrap();
            at = at.join("some folder or other with a name of fifty letters.").unwrap();
        }
        world.put(&at, "one").unwrap();
        world.put(&at, "two").unwrap();
        assert_eq!(world.root.archive().versions(&at).unwrap().len(), 1);
        let mut found = 0;
        world.root.archive().each(|_kept| found += 1).unwrap();
        assert_eq!(found, 1);
    }
}
