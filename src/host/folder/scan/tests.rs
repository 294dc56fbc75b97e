use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, mkdirat, mknodat};

use super::*;
use crate::entry::path::OWN_FOLDER;
use crate::text::chain;

fn tree(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

/// What a walk saw, in its order, what was wrong, and what it proves.
struct Walked {
    seen: Vec<Seen>,
    troubles: Vec<String>,
    look: Look,
}

impl Walked {
    fn paths(&self) -> Vec<&str> {
        self.seen.iter().map(|seen| seen.path.as_str()).collect()
    }

    fn what(&self, path: &str) -> &What {
        &self.seen.iter().find(|seen| seen.path.as_str() == path).unwrap().what
    }

    fn absent<'a>(&self, rules: &Rules, known: &'a [TreePath]) -> Vec<&'a str> {
        let known = known.iter().map(|path| (path, false));
        let absent = self.look.absent(rules, known, self.seen.iter().map(|seen| &seen.path));
        absent.into_iter().map(TreePath::as_str).collect()
    }
}

fn walk_with(dir: &Path, rules: &Rules, scope: Option<&str>) -> Walked {
    let folder = Beneath::open(dir).unwrap();
    let mut walk = Walk::new(&folder, rules, scope.map(tree).as_ref());
    let (mut seen, mut troubles) = (Vec::new(), Vec::new());
    for sight in &mut walk {
        match sight {
            Sight::Seen(one) => seen.push(one),
            Sight::Trouble(trouble) => troubles.push(chain(&trouble)),
        }
    }
    assert!(seen.is_sorted_by(|a, b| a.path < b.path), "in the order of paths");
    Walked { seen, troubles, look: walk.end() }
}

fn walk(dir: &Path) -> Walked {
    walk_with(dir, &Rules::none(), None)
}

fn known(paths: &[&str]) -> Vec<TreePath> {
    let mut paths: Vec<TreePath> = paths.iter().map(|path| tree(path)).collect();
    paths.sort();
    paths
}

#[test]
fn everything_is_seen_as_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir_all(path("d/e")).unwrap();
    fs::create_dir(path(OWN_FOLDER)).unwrap();
    fs::write(path(".orchestra/x"), b"ours").unwrap();
    fs::create_dir(path("d/.orchestra")).unwrap();
    fs::write(path("d/f"), b"abc").unwrap();
    fs::write(path("d-x"), b"").unwrap();
    symlink("../../etc/passwd", path("link")).unwrap();
    symlink("d", path("to a folder")).unwrap();
    symlink(".", path("d/loop")).unwrap();
    mknodat(CWD, path("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _socket = UnixListener::bind(path("socket")).unwrap();

    let walked = walk(dir.path());
    assert_eq!(walked.troubles, [""; 0]);
    let paths = ["d", "d/.orchestra", "d/e", "d/f", "d/loop", "d-x", "link", "pipe", "socket", "to a folder"];
    assert_eq!(walked.paths(), paths);
    assert_eq!(walked.what("d"), &What::Folder);
    assert_eq!(walked.what("d/f"), &What::File);
    assert_eq!(walked.what("link"), &What::Link("../../etc/passwd".into()));
    assert_eq!(walked.what("to a folder"), &What::Link("d".into()));
    assert_eq!(walked.what("pipe"), &What::Other(Kind::Pipe));
    assert_eq!(walked.what("socket"), &What::Other(Kind::Socket));
    let metadata = fs::metadata(path("d/f")).unwrap();
    let facts = walked.seen.iter().find(|seen| seen.path == tree("d/f")).unwrap().facts;
    assert_eq!((facts.size, facts.inode), (3, metadata.ino()));
    assert_eq!(facts.mtime, metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec());
}

#[test]
fn whoever_watches_a_folder_hears_of_it_before_it_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    fs::create_dir_all(dir.path().join("left out/c")).unwrap();
    let folder = Beneath::open(dir.path()).unwrap();
    let (rules, _) = Rules::parse("left out/").unwrap();
    let add = |path: Option<&TreePath>| {
        fs::write(dir.path().join(path.map_or("", TreePath::as_str)).join("new"), "").unwrap();
    };
    let walk = |scope: Option<&TreePath>| {
        let walk = Walk::new(&folder, &rules, scope).before_listing(&add);
        walk.map(|sight| match sight {
            Sight::Seen(seen) => seen.path.as_str().to_owned(),
            Sight::Trouble(trouble) => panic!("{trouble}"),
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(walk(Some(&tree("a/b"))), ["a/b", "a/b/new"]);
    assert!(!dir.path().join("a/new").exists(), "only what is listed");
    assert_eq!(walk(None), ["a", "a/b", "a/b/new", "a/new", "new"]);
    assert!(!dir.path().join("left out/new").exists());
    assert!(
        !Walk::new(&folder, &rules, None).end().proves_absent(&rules, &tree("x"), false),
        "before it began"
    );
}

#[test]
fn a_look_at_a_part_sees_that_part() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("a/b/c")).unwrap();
    fs::write(dir.path().join("a/b/f"), b"x").unwrap();
    let look = |scope: &str| walk_with(dir.path(), &Rules::none(), Some(scope));
    assert_eq!(look("a/b").paths(), ["a/b", "a/b/c", "a/b/f"]);
    assert_eq!(look("a/b/f").paths(), ["a/b/f"]);

    let all = known(&["a/b", "a/b/x", "a/x", "x"]);
    assert_eq!(look("a/b").absent(&Rules::none(), &all), ["a/b/x"]);
    assert_eq!(look("x").absent(&Rules::none(), &all), ["x"]);
    let all = known(&["x/y", "x/y/z", "y"]);
    assert_eq!(look("x/y").absent(&Rules::none(), &all), ["x/y", "x/y/z"], "not even the folder is there");
    // A link in place of a folder on the way says nothing of what was in the folder.
    symlink("a", dir.path().join("l")).unwrap();
    let walked = look("l/b");
    assert_eq!(walked.absent(&Rules::none(), &known(&["l/b"])), [""; 0]);
    assert_eq!(walked.troubles, ["cannot look at l/b: something on the way to it is not a folder"]);
}

#[test]
fn what_was_not_there_is_absent_and_what_is_left_out_is_not() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("d/build")).unwrap();
    fs::write(dir.path().join("d/build/x"), b"x").unwrap();
    fs::write(dir.path().join("d/f.o"), b"x").unwrap();
    fs::write(dir.path().join("d/f"), b"x").unwrap();
    let (rules, _) = Rules::parse("build/\n*.o").unwrap();
    let walked = walk_with(dir.path(), &rules, None);
    assert_eq!(walked.paths(), ["d", "d/f"]);
    let all = known(&["d", "d/build/x", "d/build/y", "d/f", "d/f.o", "d/g", "d/g.o", "d/gone/x", "e"]);
    assert_eq!(walked.absent(&rules, &all), ["d/g", "d/gone/x", "e"]);
    // In stretches as well.
    let seen: Vec<&TreePath> = walked.seen.iter().map(|seen| &seen.path).collect();
    let absent = walked.look.absent(&rules, [(&all[3], false), (&all[5], false)], seen[1..].iter().copied());
    assert_eq!(absent, [&all[5]]);
    let single = walk_with(dir.path(), &rules, Some("d/build/x"));
    assert_eq!(single.paths(), [""; 0]);
    assert_eq!(single.absent(&rules, &all), [""; 0]);
}

#[test]
fn a_walk_that_was_not_ended_proves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"x").unwrap();
    let (folder, rules) = (Beneath::open(dir.path()).unwrap(), Rules::none());
    let mut walk = Walk::new(&folder, &rules, None);
    assert!(walk.next().is_some());
    assert!(!walk.end().proves_absent(&rules, &tree("x"), false));
}

const CHILD: &str = "ORCHESTRA_TEST_SCAN";
/// Permissions do not bind root, so root runs this test as somebody whom they bind.
const NOBODY: u32 = 65_534;

#[test]
fn what_is_in_a_folder_that_cannot_be_listed_is_unknown() {
    if let Some(dir) = env::var_os(CHILD) {
        return unlisted(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for folder in ["shut/in", "blind", "open"] {
        fs::create_dir_all(path(folder)).unwrap();
    }
    fs::write(path("blind/f"), b"x").unwrap();
    fs::write(path("open/f"), b"x").unwrap();
    let set = |name: &str, mode| fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
    // One cannot be listed; in the other nothing can be reached.
    set("shut", 0o311);
    set("blind", 0o644);
    set("", 0o755);
    if rustix::process::geteuid().is_root() {
        set("shut", 0o711);
        let name = "host::folder::scan::tests::what_is_in_a_folder_that_cannot_be_listed_is_unknown";
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", name])
            .env(CHILD, dir.path())
            .current_dir("/")
            .uid(NOBODY)
            .gid(NOBODY)
            .output();
        match child {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success() && text.contains("1 passed"), "{text}");
            }
            Err(error) => {
                let line =
                    format!("skipped: needs a user other than root who may run this program: {error}\n");
                std::io::stderr().write_all(line.as_bytes()).unwrap();
            }
        }
    } else {
        unlisted(dir.path());
    }
    for name in ["shut", "blind"] {
        set(name, 0o755);
    }
}

fn unlisted(dir: &Path) {
    let walked = walk(dir);
    assert_eq!(walked.paths(), ["blind", "open", "open/f", "shut"]);
    assert_eq!(
        walked.troubles,
        ["cannot list blind: permission denied", "cannot list shut: permission denied"]
    );
    let all = known(&["blind/f", "blind/f/x", "blind/gone", "open/gone", "shut/in", "shut/in/x", "shut/x"]);
    assert_eq!(walked.absent(&Rules::none(), &all), ["open/gone"]);
    let part = walk_with(dir, &Rules::none(), Some("shut/gone"));
    assert_eq!(part.absent(&Rules::none(), &known(&["shut/gone"])), ["shut/gone"], "its name was looked up");
}

#[test]
fn a_tree_that_is_deeper_than_folders_are_kept_open_is_walked_whole() {
    const DEPTH: usize = 60;
    let dir = tempfile::tempdir().unwrap();
    let mut path = dir.path().to_owned();
    let mut expected = Vec::new();
    let mut names = String::new();
    for level in 0..DEPTH {
        for name in ["a", "z"] {
            fs::write(path.join(name), b"x").unwrap();
            expected.push(tree(&format!("{names}{name}")));
        }
        path.push("m");
        fs::create_dir(&path).unwrap();
        names += "m";
        expected.push(tree(&names));
        names += "/";
        assert_eq!(level + 1, expected.last().unwrap().depth());
    }
    expected.sort();
    // On a stack as small as that of any thread of ours.
    let walked = crate::host::thread::spawn("deep", {
        let dir = dir.path().to_owned();
        move || walk(&dir)
    });
    let walked = walked.unwrap().join().unwrap();
    assert_eq!(walked.troubles, [""; 0]);
    assert!(walked.seen.iter().map(|seen| &seen.path).eq(&expected));
    assert_eq!(walked.absent(&Rules::none(), &expected), [""; 0]);
}

#[test]
fn a_walk_holds_few_folders_open_however_deep_it_is() {
    let dir = tempfile::tempdir().unwrap();
    // Deeper than a path may be: by handles, as nobody can name it in one call.
    let mut folder = rustix::fs::open(dir.path(), rustix::fs::OFlags::PATH, Mode::empty()).unwrap();
    let levels = crate::limits::TREE_PATH_LEN_MAX / 2 + 10;
    for _ in 0..levels {
        mkdirat(&folder, "d", Mode::RWXU).unwrap();
        folder = rustix::fs::openat(&folder, "d", rustix::fs::OFlags::PATH, Mode::empty()).unwrap();
    }
    let (beneath, rules) = (Beneath::open(dir.path()).unwrap(), Rules::none());
    let mut walk = Walk::new(&beneath, &rules, None);
    let (mut seen, mut troubles, mut open_most) = (0, Vec::new(), 0);
    while let Some(sight) = walk.next() {
        match sight {
            Sight::Seen(_) => seen += 1,
            Sight::Trouble(trouble) => troubles.push(chain(&trouble)),
        }
        open_most = open_most.max(walk.levels.iter().filter(|level| level.open.is_some()).count());
    }
    assert_eq!(open_most, LOOK_FOLDERS_MAX);
    assert_eq!(seen, crate::limits::TREE_PATH_LEN_MAX.div_ceil(2));
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    assert!(troubles[0].ends_with("is not carried: it is longer than 3072 bytes"), "{}", troubles[0]);
    drop(walk);
    // The usual way to remove a tree needs paths as well, or as many handles as levels.
    let removed = Command::new("rm").arg("-rf").arg(dir.path()).status().unwrap();
    assert!(removed.success());
}

#[test]
fn odd_names_are_seen_or_named() {
    let dir = tempfile::tempdir().unwrap();
    let good =
        ["~", " a ", "x\ny", "C:x", "\u{202e}gpj", "-rf", "日本", "NUL.txt", "...", "a\\b", "x\u{1b}[2Jy"];
    for name in good {
        fs::write(dir.path().join(name), b"x").unwrap();
    }
    fs::write(dir.path().join(OsStr::from_bytes(b"caf\xe9")), b"x").unwrap();
    fs::create_dir(dir.path().join(".Orchestra")).unwrap();
    fs::write(dir.path().join(".Orchestra/x"), b"x").unwrap();
    for name in ["Read", "read", "READ", "nai\u{308}ve", "na\u{ef}ve"] {
        fs::write(dir.path().join(name), b"x").unwrap();
    }
    fs::create_dir(dir.path().join("d")).unwrap();
    fs::write(dir.path().join(OsStr::from_bytes(b"d/\xff\n")), b"x").unwrap();

    let walked = walk(dir.path());
    for name in good {
        assert_eq!(walked.what(name), &What::File, "{name:?}");
    }
    for name in ["Read", "read", "READ"] {
        assert_eq!(walked.what(name), &What::File, "{name:?}");
    }
    let mut troubles = walked.troubles;
    troubles.sort();
    assert_eq!(
        troubles,
        [
            ".Orchestra in the folder of the ensemble is not carried: `.orchestra` is not part of the ensemble",
            "Read and READ are the same name on some systems; rename one",
            "na\u{ef}ve and nai\u{308}ve are the same name on some systems; rename one",
            "read and READ are the same name on some systems; rename one",
            "the name caf\u{fffd} in the folder of the ensemble is not UTF-8; rename it",
            "the name \u{fffd}\\u{a} in d is not UTF-8; rename it",
        ]
    );
}

#[test]
fn what_changes_while_it_is_looked_at_is_not_absent() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for name in ["a/x", "b/x", "c/x", "d"] {
        fs::create_dir_all(path(name)).unwrap();
    }
    let (folder, rules) = (Beneath::open(dir.path()).unwrap(), Rules::none());
    let mut walk = Walk::new(&folder, &rules, None);
    let mut seen = vec![walk.next()];
    // Already listed, and moved to where the walk will not come.
    fs::remove_dir_all(path("c")).unwrap();
    fs::remove_dir(path("d")).unwrap();
    symlink("b", path("d")).unwrap();
    seen.extend(walk.by_ref().map(Some));
    let seen: Vec<TreePath> = seen
        .into_iter()
        .map(|sight| match sight {
            Some(Sight::Seen(seen)) => seen.path,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seen, ["a", "a/x", "b", "b/x", "d"].map(tree));
    let look = walk.end();
    for (name, absent) in [("a/y", true), ("c", false), ("c/x", false), ("d/x", true), ("e", true)] {
        assert_eq!(look.proves_absent(&rules, &tree(name), false), absent, "{name}");
    }
}
