//! What happens to folders while their members work, or do not: in the end all are the same, and nothing is lost.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;

use crate::common::program::PATIENCE;
use crate::common::swarm::Member;
use crate::folders::Folders;

/// What is in a folder: paths, and bytes, texts of links, or nothing for folders.
pub(crate) type Tree = BTreeMap<String, Option<Vec<u8>>>;

pub(crate) fn tree(root: &Path) -> Tree {
    let mut found = Tree::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        // What vanishes while it is looked at is seen the next time.
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if name == ".orchestra" {
                continue;
            }
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                found.insert(name, None);
                folders.push(path);
            } else if kind.is_symlink() {
                let text = fs::read_link(&path).map(|text| text.to_str().unwrap().as_bytes().to_vec());
                found.extend(text.ok().map(|text| (name, Some(text))));
            } else {
                found.extend(fs::read(&path).ok().map(|bytes| (name, Some(bytes))));
            }
        }
    }
    found
}

/// Members on loopback that all know each other's folder by the first one's address.
pub(crate) struct Scene {
    pub(crate) folders: Folders,
    members: BTreeMap<&'static str, Member>,
}

impl Scene {
    /// Starts a member for each of these folders.
    pub(crate) fn new(names: &[&'static str]) -> Scene {
        let mut scene = Scene { folders: Folders::new(), members: BTreeMap::new() };
        names.iter().for_each(|name| scene.start(name));
        scene
    }

    /// Starts the member of a folder.
    pub(crate) fn start(&mut self, name: &'static str) {
        let member = match self.members.iter().next() {
            None => self.folders.start(name, &[]),
            Some((others, other)) => self.folders.join(name, other, others, &[]),
        };
        self.members.insert(name, member);
    }

    pub(crate) fn stop(&mut self, name: &'static str) {
        let member = self.members.remove(name).unwrap();
        member.signal(Signal::TERM);
        member.ended();
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        self.folders.write(path, text);
    }

    pub(crate) fn tree(&self, name: &str) -> Tree {
        tree(&self.folders.path(name))
    }

    /// Waits until all these folders are equal and the first one's tree is so.
    #[track_caller]
    pub(crate) fn until(&self, names: &[&str], what: &str, is_so: impl Fn(&Tree) -> bool) -> Tree {
        let since = Instant::now();
        loop {
            let first = self.tree(names[0]);
            if is_so(&first) && names[1..].iter().all(|name| self.tree(name) == first) {
                return first;
            }
            if since.elapsed() > PATIENCE {
                let trees: Vec<Vec<String>> =
                    names.iter().map(|name| self.tree(name).into_keys().collect()).collect();
                panic!("never: {what}; there is {trees:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Whether a tree has this text at a path.
fn has<'a>(path: &'a str, text: &'a str) -> impl Fn(&Tree) -> bool + 'a {
    move |tree| tree.get(path) == Some(&Some(text.as_bytes().to_vec()))
}

fn lacks(path: &str) -> impl Fn(&Tree) -> bool + '_ {
    move |tree| !tree.contains_key(path)
}

#[test]
fn folders_with_different_content_become_one_tree() {
    let mut scene = Scene::new(&[]);
    scene.write("a/one", "1");
    scene.write("b/two", "2");
    scene.write("b/d/e/f", "3");
    scene.write("c/d/e/g", "4");
    ["a", "b", "c"].into_iter().for_each(|name| scene.start(name));
    let all = scene.until(&["a", "b", "c"], "one tree", |tree| tree.len() == 6);
    assert!(has("d/e/f", "3")(&all) && has("d/e/g", "4")(&all));
    // Members that were told of one find each other.
    scene.stop("a");
    scene.write("b/later", "5");
    scene.until(&["b", "c"], "without the first one", has("later", "5"));
}

#[test]
fn changes_of_all_kinds_travel() {
    let scene = Scene::new(&["a", "b"]);
    let (a, b) = (scene.folders.path("a"), scene.folders.path("b"));
    let both = ["a", "b"];
    scene.write("a/doc", "first");
    scene.until(&both, "a file", has("doc", "first"));
    scene.write("b/doc", "second");
    scene.until(&both, "an edit on the other side", has("doc", "second"));
    fs::set_permissions(a.join("doc"), fs::Permissions::from_mode(0o755)).unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(a.join("doc")).unwrap().set_modified(then).unwrap();
    until("time and mode", || {
        let meta = fs::metadata(b.join("doc")).unwrap();
        meta.permissions().mode() & 0o100 != 0 && meta.modified().unwrap() == then
    });
    symlink("/etc/passwd", a.join("link")).unwrap();
    fs::write(a.join("empty"), "").unwrap();
    fs::copy(b.join("doc"), b.join("copy")).unwrap();
    scene.until(&both, "a link, an empty file and a copy", |tree| {
        has("link", "/etc/passwd")(tree) && has("empty", "")(tree) && has("copy", "second")(tree)
    });
    let deep: String = (0..60).map(|at| format!("d{at}/")).collect();
    scene.write(&format!("a/{deep}leaf"), "deep");
    scene.until(&both, "sixty levels", has(&format!("{deep}leaf"), "deep"));
    fs::rename(b.join("d0"), b.join("e0")).unwrap();
    scene.until(&both, "they are renamed", |tree| lacks("d0")(tree) && tree.len() == 65);
    fs::remove_dir_all(a.join("e0")).unwrap();
    scene.until(&both, "they are removed", |tree| tree.len() == 4);
    // Editors write beside a file and rename.
    for number in 0..30 {
        scene.write("b/.doc.new", &number.to_string());
        fs::rename(b.join(".doc.new"), b.join("doc")).unwrap();
    }
    let end = scene.until(&both, "the last of many saves", has("doc", "29"));
    assert!(!end.keys().any(|path| path.contains("conflict")), "{:?}", end.keys());
    fs::remove_file(a.join("link")).unwrap();
    scene.until(&both, "a link is removed", lacks("link"));
}

#[test]
fn the_chunks_of_what_nobody_has_any_more_are_forgotten() {
    let mut scene = Scene::new(&["a", "b"]);
    for text in ["1", "2", "3"] {
        let text = text.repeat(200_000);
        scene.write("a/doc", &text);
        scene.until(&["a", "b"], "an edit", has("doc", &text));
    }
    scene.stop("b");
    scene.stop("a");
    let index = scene.folders.path("b").join(".orchestra/index.sqlite");
    let lists = || {
        let index = rusqlite::Connection::open(&index).unwrap();
        index.query_row("SELECT count(*) FROM lists", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(lists(), 3);
    // They are forgotten after a look at everything, such as the one at the start.
    scene.start("b");
    scene.write("b/next", "4");
    scene.start("a");
    scene.until(&["a", "b"], "they met", has("next", "4"));
    scene.stop("b");
    assert_eq!(lists(), 1);
}

#[test]
fn two_edits_at_once_are_both_kept() {
    let mut scene = Scene::new(&["a", "b", "c"]);
    let all = ["a", "b", "c"];
    scene.write("a/doc.txt", "before");
    scene.until(&all, "a file", has("doc.txt", "before"));
    scene.stop("b");
    scene.write("a/doc.txt", "one");
    scene.until(&["a", "c"], "an edit", has("doc.txt", "one"));
    scene.write("b/doc.txt", "other");
    scene.start("b");
    let end = scene.until(&all, "a conflict copy", |tree| tree.len() == 2);
    let texts: Vec<&[u8]> = end.values().flatten().map(Vec::as_slice).collect();
    assert!(texts.contains(&b"one".as_slice()) && texts.contains(&b"other".as_slice()), "{end:?}");
    assert!(end.keys().any(|path| path.starts_with("doc.conflict-") && path.ends_with(".txt")), "{end:?}");
    // The user decides, and that is that.
    let copy = end.keys().find(|path| path.contains("conflict")).unwrap();
    fs::remove_file(scene.folders.path("c").join(copy)).unwrap();
    scene.until(&all, "the copy is gone", |tree| tree.len() == 1);
}

#[test]
fn an_edit_beats_a_deletion_and_a_deletion_survives_an_absence() {
    let mut scene = Scene::new(&["a", "b"]);
    scene.write("a/edited", "1");
    scene.write("a/deleted", "2");
    scene.until(&["a", "b"], "two files", |tree| tree.len() == 2);
    scene.stop("b");
    fs::remove_file(scene.folders.path("a").join("edited")).unwrap();
    fs::remove_file(scene.folders.path("b").join("deleted")).unwrap();
    scene.write("b/edited", "new");
    scene.start("b");
    scene.until(&["a", "b"], "the edit alone", |tree| has("edited", "new")(tree) && tree.len() == 1);
}

#[test]
fn a_file_and_a_folder_of_one_name_are_both_kept() {
    let mut scene = Scene::new(&["a", "b"]);
    scene.write("a/x", "file");
    scene.until(&["a", "b"], "a file", has("x", "file"));
    scene.stop("b");
    fs::remove_file(scene.folders.path("a").join("x")).unwrap();
    scene.write("a/x/y", "inside");
    scene.write("b/x", "edited");
    scene.start("b");
    let end = scene.until(&["a", "b"], "both", |tree| tree.len() == 3);
    assert!(has("x/y", "inside")(&end) && end.values().flatten().any(|bytes| bytes == b"edited"), "{end:?}");
}

#[test]
fn what_is_ignored_stays_where_it_is() {
    let scene = Scene::new(&["a", "b"]);
    scene.write("a/.orchestraignore", "*.tmp\nbuild/\n");
    scene.until(&["a", "b"], "the rules", |tree| tree.len() == 1);
    scene.write("a/x.tmp", "1");
    scene.write("a/build/out", "2");
    scene.write("a/seen", "3");
    scene.until(&["b"], "what is not ignored", |tree| has("seen", "3")(tree));
    assert_eq!(scene.tree("b").len(), 2);
    // Neither is it a deletion when something becomes ignored.
    scene.write("b/.orchestraignore", "seen\n");
    scene.write("b/mark", "4");
    scene.until(&["a"], "a mark", has("mark", "4"));
    assert!(has("seen", "3")(&scene.tree("a")) && has("seen", "3")(&scene.tree("b")));
}

#[track_caller]
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
