use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::*;
use crate::host::folder::beneath::Beneath;
use crate::host::folder::rules::Rules;
use crate::host::folder::scan::{Sight, Walk};

/// Far longer than a hint takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn tree(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

/// A watched folder, beside it a place outside, and what is known of it from looks after hints.
struct Folder {
    dir: TempDir,
    beneath: Beneath,
    rules: Rules,
    watch: Watch,
    hints: Receiver<Hint>,
    known: BTreeSet<String>,
}

impl Folder {
    /// With these folders in it.
    fn new(folders: &[&str], rules: &str) -> Folder {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        for folder in folders {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let (sender, hints) = crossbeam_channel::unbounded();
        let watch = Watch::start(&root, move |hint| sender.send(hint).unwrap()).unwrap();
        let beneath = Beneath::open(&root).unwrap();
        let rules = Rules::parse(rules).unwrap().0;
        let mut folder = Folder { dir, beneath, rules, watch, hints, known: BTreeSet::new() };
        folder.look(None);
        folder
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join("root").join(path)
    }

    fn outside(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn paths(&self, scope: Option<&TreePath>) -> BTreeSet<String> {
        let cover = |path: Option<&TreePath>| drop(self.watch.cover(path));
        let walk = Walk::new(&self.beneath, &self.rules, scope).before_listing(&cover);
        walk.filter_map(|sight| match sight {
            Sight::Seen(seen) => Some(seen.path.as_str().to_owned()),
            Sight::Trouble(_) => None,
        })
        .collect()
    }

    fn look(&mut self, scope: Option<&TreePath>) {
        self.known.retain(|path| {
            scope.is_some_and(|scope| path != scope.as_str() && !tree(path).is_beneath(scope))
        });
        let seen = self.paths(scope);
        self.known.extend(seen);
    }

    /// The paths of the next hint.
    #[track_caller]
    fn next(&self) -> Vec<String> {
        match self.hints.recv_timeout(PATIENCE).unwrap() {
            Hint::Look(paths) => paths.iter().map(|path| path.as_str().to_owned()).collect(),
            Hint::Everything => panic!("nothing was lost"),
        }
    }

    /// Follows hints until all these paths were named by one.
    #[track_caller]
    fn told(&self, paths: &[&str]) {
        let mut left: BTreeSet<&str> = paths.iter().copied().collect();
        while !left.is_empty() {
            for path in self.next() {
                left.remove(path.as_str());
            }
        }
    }

    /// Looks where hints say until what is known is what is there.
    #[track_caller]
    fn follow(&mut self) {
        // A look of its own would cover what the hints are to cover.
        let there = |folder: &Folder| -> BTreeSet<String> {
            Walk::new(&folder.beneath, &folder.rules, None)
                .map(|sight| match sight {
                    Sight::Seen(seen) => seen.path.as_str().to_owned(),
                    Sight::Trouble(trouble) => panic!("{trouble}"),
                })
                .collect()
        };
        while self.known != there(self) {
            match self.hints.recv_timeout(PATIENCE) {
                Ok(Hint::Everything) => self.look(None),
                Ok(Hint::Look(paths)) => paths.iter().for_each(|path| self.look(Some(path))),
                Err(_) => {
                    let there = there(self);
                    let missed: Vec<_> = there.symmetric_difference(&self.known).collect();
                    panic!("no hint led to {missed:?}");
                }
            }
        }
    }
}

#[test]
fn each_change_is_told_by_its_name() {
    let folder = Folder::new(&["d"], "");
    let at = |path: &str| folder.at(path);
    fs::write(at("file"), "content").unwrap();
    folder.told(&["file"]);
    File::create(at("d/empty")).unwrap();
    folder.told(&["d/empty"]);
    fs::create_dir(at("d/e")).unwrap();
    folder.told(&["d/e"]);
    symlink("nowhere", at("d/link")).unwrap();
    folder.told(&["d/link"]);
    fs::hard_link(at("file"), at("d/hard")).unwrap();
    folder.told(&["d/hard"]);
    mknodat(CWD, at("d/node"), FileType::RegularFile, Mode::RUSR, 0).unwrap();
    folder.told(&["d/node"]);
    fs::set_permissions(at("file"), Permissions::from_mode(0o755)).unwrap();
    folder.told(&["file"]);
    // A handle that cannot write is not closed after writing.
    File::open(at("file")).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    folder.told(&["file"]);
    fs::rename(at("file"), at("d/moved")).unwrap();
    folder.told(&["file", "d/moved"]);
    fs::rename(at("d/moved"), folder.outside("away")).unwrap();
    folder.told(&["d/moved"]);
    fs::rename(folder.outside("away"), at("d/back")).unwrap();
    folder.told(&["d/back"]);
    fs::write(at("d/back"), "again").unwrap();
    folder.told(&["d/back"]);
    fs::remove_file(at("d/back")).unwrap();
    folder.told(&["d/back"]);
    fs::remove_dir(at("d/e")).unwrap();
    folder.told(&["d/e"]);
    fs::rename(at("d"), at("f")).unwrap();
    folder.told(&["d", "f"]);
}

#[test]
fn a_file_that_stays_open_is_told_when_it_is_quiet_and_again_when_it_is_closed() {
    let folder = Folder::new(&[], "");
    let mut log = File::options().append(true).create(true).open(folder.at("log")).unwrap();
    log.write_all(b"a line\n").unwrap();
    assert_eq!(folder.next(), ["log"]);
    log.write_all(b"another\n").unwrap();
    assert_eq!(folder.next(), ["log"]);
    drop(log);
    assert_eq!(folder.next(), ["log"]);
}

#[test]
fn what_is_ours_and_what_is_left_out_is_not_watched() {
    let folder = Folder::new(&[".orchestra/tmp", "build/deep", "src"], "build/\n");
    fs::write(folder.at(".orchestra/index"), "x").unwrap();
    fs::write(folder.at(".orchestra/tmp/x"), "x").unwrap();
    fs::write(folder.at("build/x"), "x").unwrap();
    fs::write(folder.at("build/deep/x"), "x").unwrap();
    fs::write(folder.at("src/x"), "x").unwrap();
    assert_eq!(folder.next(), ["src/x"]);
}

#[test]
fn reading_is_no_change() {
    let folder = Folder::new(&["d"], "");
    fs::write(folder.at("d/x"), "x").unwrap();
    folder.told(&["d/x"]);
    fs::read(folder.at("d/x")).unwrap();
    assert_eq!(folder.paths(None).len(), 2);
    fs::write(folder.at("y"), "y").unwrap();
    assert_eq!(folder.next(), ["y"]);
}

#[test]
fn a_tree_that_is_made_at_once_is_found_whole() {
    let mut folder = Folder::new(&[], "");
    for round in 0..20 {
        let mut path = folder.at(&format!("{round}"));
        for level in 0..10 {
            path.push(format!("level {level}"));
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("file"), "x").unwrap();
        }
    }
    folder.follow();
    assert_eq!(folder.known.len(), 20 + 20 * 10 * 2);
}

#[test]
fn thousands_of_files_at_once_are_found() {
    let mut folder = Folder::new(&["d/e"], "");
    for number in 0..5_000 {
        fs::write(folder.at(&format!("d/e/{number}")), "x").unwrap();
    }
    folder.follow();
    assert_eq!(folder.known.len(), 5_002);
}

#[test]
fn a_renamed_folder_is_watched_under_its_new_name_and_what_takes_the_old_one_as_well() {
    let mut folder = Folder::new(&["a/b/c"], "");
    for _ in 0..20 {
        fs::rename(folder.at("a"), folder.at("z")).unwrap();
        fs::create_dir_all(folder.at("a/b/c")).unwrap();
        folder.follow();
        for file in ["a/b/c/new", "z/b/c/old", "z/b/old"] {
            fs::write(folder.at(file), "x").unwrap();
        }
        folder.follow();
        fs::remove_dir_all(folder.at("z")).unwrap();
        folder.follow();
    }
}

#[test]
fn whatever_is_done_is_found() {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut folder = Folder::new(&["0", "1/2"], "");
    for round in 0..60 {
        for _ in 0..rng.u8(1..40) {
            let mut place = || -> String {
                (0..rng.u8(1..4)).map(|_| rng.u8(0..3).to_string()).collect::<Vec<_>>().join("/")
            };
            let (one, other) = (folder.at(&place()), folder.at(&place()));
            // Most of these fail, for what is there may be anything.
            match rng.u8(0..6) {
                0 => drop(fs::create_dir_all(&one)),
                1 => drop(fs::write(&one, "x")),
                2 | 3 => drop(fs::rename(&one, &other)),
                4 => drop(fs::remove_file(&one)),
                _ if round % 4 == 0 => drop(fs::remove_dir_all(&one)),
                _ => drop(symlink("0", &one)),
            }
        }
        folder.follow();
    }
}

#[test]
fn a_folder_that_is_gone_is_an_answer() {
    let folder = Folder::new(&["d/e"], "");
    assert!(matches!(folder.watch.cover(Some(&tree("d/e"))), Cover::Watched), "as before");
    fs::write(folder.at("d/file"), "x").unwrap();
    assert!(matches!(folder.watch.cover(Some(&tree("missing"))), Cover::Gone));
    assert!(matches!(folder.watch.cover(Some(&tree("d/file/x"))), Cover::Gone));
    folder.told(&["d/file"]);

    folder.watch.forget(&tree("d"));
    fs::write(folder.at("d/e/unheard"), "x").unwrap();
    fs::write(folder.at("heard"), "x").unwrap();
    assert_eq!(folder.next(), ["heard"]);
    assert!(matches!(folder.watch.cover(Some(&tree("d/e"))), Cover::Watched));
    fs::write(folder.at("d/e/heard"), "x").unwrap();
    folder.told(&["d/e/heard"]);
}

#[test]
fn a_folder_that_moves_as_a_whole_is_told() {
    let folder = Folder::new(&[], "");
    fs::rename(folder.at(""), folder.outside("elsewhere")).unwrap();
    assert_eq!(folder.hints.recv_timeout(PATIENCE).unwrap(), Hint::Everything);
}

#[test]
fn no_thread_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (held, ended) = bounded::<()>(0);
    let watch = Watch::start(dir.path(), move |_| drop(held.clone())).unwrap();
    assert!(matches!(watch.cover(None), Cover::Watched));
    drop(watch);
    // Whoever calls it is gone, and is so only when the system's thread is.
    assert_eq!(ended.try_recv(), Err(TryRecvError::Disconnected));
    let missing = Watch::start(&dir.path().join("missing"), |_| {});
    assert!(matches!(missing, Err(WatchError::Host(_))));
}
