use std::env;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::entry::{Attributes, Content, Dot, Known};
use crate::text::chain;

const US: Device = Device::from_bits(7);
const OTHER: Device = Device::from_bits(u64::MAX);
const THIRD: Device = Device::from_bits(1);

fn tree(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

fn entry(content: Content, device: Device, counter: u64) -> Entry {
    let dot = Dot { device, counter };
    Entry { content, attributes: Attributes::default(), replaced: None, dot, known: Known::only(dot) }
}

fn content(text: &str) -> Content {
    Content::File { size: text.len() as u64, hash: ContentHash::of(text.as_bytes()) }
}

fn file(text: &str, counter: u64) -> Entry {
    entry(content(text), US, counter)
}

fn facts(inode: u64) -> Facts {
    Facts { size: 1, mtime: -1, ctime: i64::MAX, inode, mode: 0o644 }
}

fn put(index: &mut Index, path: &str, entry: &Entry) {
    let path = tree(path);
    index.write([Change::Own { path: &path, entry, facts: Some(&facts(1)) }]).unwrap();
}

fn put_remote(index: &mut Index, path: &str, entry: &Entry) {
    let (path, device) = (tree(path), entry.dot.device);
    index.write([Change::Remote { device, path: &path, entry, sequence: 1 }]).unwrap();
}

fn whole(folder: &Path) -> (Index, bool) {
    match open(folder).unwrap() {
        Found::Whole { index, clean } => (*index, clean),
        found => panic!("{found:?}"),
    }
}

fn paths(rows: &[Own]) -> Vec<&str> {
    rows.iter().map(|row| row.path.as_str()).collect()
}

fn new() -> (tempfile::TempDir, Index) {
    let dir = tempfile::tempdir().unwrap();
    let index = create(dir.path(), US).unwrap();
    (dir, index)
}

#[test]
fn rows_are_there_again_after_a_restart() {
    let (dir, mut index) = new();
    let (a, b) = (tree("a"), tree("a/ü\n"));
    let (folder, link) = (entry(Content::Folder, US, 1), entry(Content::Link("../x".into()), US, 2));
    index
        .write([
            Change::Own { path: &a, entry: &folder, facts: None },
            Change::Own { path: &b, entry: &link, facts: Some(&facts(9)) },
            Change::Remote { device: OTHER, path: &a, entry: &link, sequence: u64::MAX },
            Change::Through { device: OTHER, sequence: u64::MAX },
        ])
        .unwrap();
    index.mark_clean().unwrap();
    drop(index);

    let (index, clean) = whole(dir.path());
    assert!(clean);
    assert_eq!(index.device(), US);
    let row = index.own(&b).unwrap().unwrap();
    assert_eq!((row.entry, row.facts, row.sequence), (link.clone(), Some(facts(9)), 2));
    assert_eq!(index.own(&a).unwrap().unwrap().facts, None);
    assert_eq!(index.own(&tree("b")).unwrap(), None);
    assert_eq!(index.remote(&a).unwrap(), [(OTHER, link)]);
    assert_eq!(index.devices().unwrap(), [(OTHER, u64::MAX)]);
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|name| name.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name.to_str().unwrap().starts_with("index.")), "{names:?}");
}

#[test]
fn a_sequence_number_is_never_given_twice() {
    let (dir, mut index) = new();
    for path in ["a", "b", "a"] {
        put(&mut index, path, &file("x", 1));
    }
    let rows = index.own_since(0).unwrap();
    assert_eq!(
        rows.iter().map(|row| (row.path.as_str(), row.sequence)).collect::<Vec<_>>(),
        [("b", 2), ("a", 3)]
    );
    assert_eq!(paths(&index.own_since(2).unwrap()), ["a"]);

    // The row with the greatest number goes, and its number does not come again.
    index
        .write([Change::Own { path: &tree("c"), entry: &entry(Content::Gone, US, 1), facts: None }])
        .unwrap();
    assert_eq!(index.forget_gone(1 << 40).unwrap(), 1);
    index.mark_clean().unwrap();
    drop(index);
    let (mut index, _) = whole(dir.path());
    assert_eq!(index.last_sequence(), 4);
    put(&mut index, "c", &file("x", 1));
    assert_eq!(index.own(&tree("c")).unwrap().unwrap().sequence, 5);

    // A disk that lies may have forgotten what others have read already.
    drop(index);
    let (mut index, clean) = whole(dir.path());
    assert!(!clean);
    put(&mut index, "c", &file("y", 1));
    assert_eq!(index.last_sequence(), 6 + SEQUENCE_GAP);

    // What the disk tells is not news for others.
    index.write([Change::Looked { path: &tree("c"), facts: Some(&facts(5)) }]).unwrap();
    let row = index.own(&tree("c")).unwrap().unwrap();
    assert_eq!((row.sequence, row.facts), (6 + SEQUENCE_GAP, Some(facts(5))));
    assert_eq!(row.entry, file("y", 1));
}

#[test]
fn a_write_is_all_or_nothing() {
    let (dir, mut index) = new();
    let (a, b) = (tree("a"), tree("b"));
    let new = file("new", 1);
    put(&mut index, "b", &file("old", 1));
    // What is in the way of the second change is a damaged row.
    index.database.execute("UPDATE own SET entry = x'00'", []).unwrap();
    let changes =
        [Change::Own { path: &a, entry: &new, facts: None }, Change::Looked { path: &b, facts: None }];
    let error = index.write(changes).unwrap_err();
    assert!(error.is_damage());
    assert_eq!(chain(&error), "the row of b in the index is damaged: its bytes mean nothing");
    assert_eq!(index.own(&a).unwrap(), None);
    assert_eq!(index.last_sequence(), 1);
    drop(index);
    assert_eq!(whole(dir.path()).0.own(&a).unwrap(), None);
}

#[test]
fn pages_are_in_the_order_of_paths_and_miss_nothing() {
    let (_dir, mut index) = new();
    let mut all: Vec<TreePath> =
        (0..INDEX_PAGE_ROWS + 50).map(|number| tree(&format!("a/{number}"))).collect();
    all.extend(["a", "a-b", "a.txt", "a/7/x", "ab", "é/日本"].map(tree));
    let row = file("x", 1);
    index.write(all.iter().rev().map(|path| Change::Own { path, entry: &row, facts: None })).unwrap();
    all.sort();

    let all_pages = |folder: Option<&TreePath>| {
        let mut found: Vec<TreePath> = Vec::new();
        loop {
            let page = index.own_beneath(folder, found.last()).unwrap();
            assert!(page.len() <= INDEX_PAGE_ROWS);
            if page.is_empty() {
                return found;
            }
            found.extend(page.into_iter().map(|row| row.path));
        }
    };
    assert_eq!(all_pages(None), all);
    let a = tree("a");
    let beneath: Vec<TreePath> = all.iter().filter(|path| path.is_beneath(&a)).cloned().collect();
    assert_eq!(all_pages(Some(&a)), beneath);
    assert_eq!(paths(&index.own_beneath(Some(&tree("a/7")), None).unwrap()), ["a/7/x"]);
    assert_eq!(index.own_since(0).unwrap().len(), INDEX_PAGE_ROWS);
}

#[test]
fn a_folder_has_live_rows_until_all_are_gone() {
    let (_dir, mut index) = new();
    put(&mut index, "a", &entry(Content::Folder, US, 1));
    put(&mut index, "a.b", &file("x", 1));
    assert!(!index.has_live_beneath(&tree("a")).unwrap());
    put(&mut index, "a/b/c", &file("x", 1));
    assert!(index.has_live_beneath(&tree("a")).unwrap());
    put(&mut index, "a/b/c", &entry(Content::Gone, US, 2));
    assert!(!index.has_live_beneath(&tree("a")).unwrap());
    let totals = Totals { files: 1, bytes: 1, folders: 1, links: 0, gone: 1 };
    assert_eq!(index.totals().unwrap(), totals);
}

#[test]
fn what_others_have_and_we_do_not_is_on_its_way() {
    let (_dir, mut index) = new();
    put(&mut index, "same", &entry(content("x"), OTHER, 5));
    put_remote(&mut index, "same", &entry(content("x"), OTHER, 5));
    put(&mut index, "ours is later", &file("x", 600));
    put_remote(&mut index, "ours is later", &entry(content("y"), OTHER, 513));
    put(&mut index, "theirs is later", &file("x", 255));
    put_remote(&mut index, "theirs is later", &entry(content("y"), OTHER, 256));
    put_remote(&mut index, "theirs is later", &entry(content("z"), THIRD, 257));
    put_remote(&mut index, "new", &entry(content("z"), OTHER, 1));
    put_remote(&mut index, "was never here", &entry(Content::Gone, OTHER, 1));
    put(&mut index, "deleted there", &file("x", 1));
    put_remote(&mut index, "deleted there", &entry(Content::Gone, OTHER, 2));

    let behind = ["deleted there", "new", "theirs is later"].map(tree);
    assert_eq!(index.behind(None).unwrap(), behind);
    assert_eq!(index.behind(Some(&behind[0])).unwrap(), behind[1..]);
    let remote = index.remote(&tree("theirs is later")).unwrap();
    assert_eq!(remote.len(), 2);
    let z = ContentHash::of(b"z");
    assert_eq!(index.holders(z).unwrap(), [OTHER, THIRD]);

    index.write([Change::Forget { device: OTHER }]).unwrap();
    assert_eq!(index.behind(None).unwrap(), [tree("theirs is later")]);
    assert_eq!(index.holders(z).unwrap(), [THIRD]);
}

#[test]
fn deletions_are_forgotten_after_a_year_and_nothing_else_is() {
    let (_dir, mut index) = new();
    let now = 2_000_000_000;
    let year = TOMBSTONE_SPAN.as_secs();
    put(&mut index, "old", &entry(Content::Gone, US, now - year - 1));
    put(&mut index, "young", &entry(Content::Gone, US, now - year));
    put(&mut index, "live", &file("x", 1));
    put_remote(&mut index, "old", &entry(Content::Gone, OTHER, now - year - 1));
    put_remote(&mut index, "live", &entry(content("x"), OTHER, 1));
    assert_eq!(index.forget_gone(now).unwrap(), 1);
    assert_eq!(paths(&index.own_beneath(None, None).unwrap()), ["live", "young"]);
    assert_eq!(index.remote(&tree("old")).unwrap(), []);
    assert_eq!(index.remote(&tree("live")).unwrap().len(), 1);
    assert_eq!(index.forget_gone(0).unwrap(), 0);
}

#[test]
fn chunks_are_found_in_files_that_are_here() {
    let (_dir, mut index) = new();
    let chunk = |text: &str, len| Chunk { hash: ContentHash::of(text.as_bytes()), len };
    let (big, absent) = (ContentHash::of(b"big"), ContentHash::of(b"absent"));
    let chunks = [chunk("one", 10), chunk("two", 20), chunk("one", 10), chunk("three", 1)];
    index
        .write([
            Change::Chunks { content: big, chunks: &[chunk("a lie", 1)] },
            Change::Chunks { content: big, chunks: &chunks },
            Change::Chunks { content: absent, chunks: &chunks[..2] },
        ])
        .unwrap();
    put(&mut index, "d/big", &file("big", 1));
    put(&mut index, "copy", &file("big", 1));
    put(&mut index, "small", &file("two", 1));

    assert_eq!(index.chunks(big).unwrap().as_deref(), Some(&chunks[..]));
    assert_eq!(index.chunks(ContentHash::of(b"x")).unwrap(), None);
    let places = |text: &str| {
        let mut places = index.places(ContentHash::of(text.as_bytes()), 10).unwrap();
        places.sort();
        places
    };
    assert_eq!(places("one"), [(tree("copy"), 0), (tree("d/big"), 0)]);
    assert_eq!(places("two"), [(tree("copy"), 10), (tree("d/big"), 10), (tree("small"), 0)]);
    assert_eq!(places("three"), [(tree("copy"), 40), (tree("d/big"), 40)]);
    assert_eq!(places("a lie"), []);
    assert_eq!(index.places(ContentHash::of(b"two"), 1).unwrap().len(), 1);
    assert_eq!(paths(&index.own_with(big).unwrap()), ["d/big", "copy"]);

    assert_eq!(index.forget_chunks().unwrap(), 1);
    assert_eq!(index.chunks(absent).unwrap(), None);
    assert!(index.chunks(big).unwrap().is_some());
    assert_eq!(index.places(ContentHash::of(b"two"), 10).unwrap().len(), 3);
    put_remote(&mut index, "wanted", &entry(content("absent"), OTHER, 1));
    index.write([Change::Chunks { content: absent, chunks: &chunks[..2] }]).unwrap();
    assert_eq!(index.forget_chunks().unwrap(), 0, "it is on its way");
}

#[test]
fn rows_after_the_last_clean_mark_are_suspects() {
    let (dir, mut index) = new();
    put(&mut index, "before", &file("x", 1));
    put(&mut index, "looked", &file("x", 1));
    index.mark_clean().unwrap();
    assert_eq!(index.suspects(None).unwrap(), []);
    put(&mut index, "after", &file("x", 1));
    put(&mut index, "after/too", &file("x", 1));
    index.write([Change::Looked { path: &tree("looked"), facts: Some(&facts(2)) }]).unwrap();
    drop(index);

    let (mut index, clean) = whole(dir.path());
    assert!(!clean);
    assert_eq!(paths(&index.suspects(None).unwrap()), ["after", "after/too", "looked"]);
    assert_eq!(paths(&index.suspects(Some(&tree("after"))).unwrap()), ["after/too", "looked"]);
    index.mark_clean().unwrap();
    drop(index);
    let (index, clean) = whole(dir.path());
    assert!(clean && index.suspects(None).unwrap().is_empty());
}

#[test]
fn an_index_from_a_backup_is_noticed() {
    let (dir, mut index) = new();
    let (path, backup) = (dir.path().join(NAME), dir.path().join("backup"));
    put(&mut index, "a", &file("x", 1));
    index.mark_clean().unwrap();
    drop(index);
    fs::copy(&path, &backup).unwrap();
    let (mut index, _) = whole(dir.path());
    put(&mut index, "a", &file("y", 2));
    // Not even a clean mark is needed for it to be noticed.
    drop(index);
    fs::copy(&backup, &path).unwrap();

    // Also by whoever comes after somebody who noticed, and did nothing.
    for _ in 0..2 {
        assert!(matches!(open(dir.path()).unwrap(), Found::Restored(_)));
    }
    let Found::Restored(mut index) = open(dir.path()).unwrap() else { panic!("it is not the latest") };
    index.renew(THIRD).unwrap();
    assert_eq!(index.own(&tree("a")).unwrap().unwrap().entry, file("x", 1));
    drop(index);
    assert_eq!(whole(dir.path()).0.device(), THIRD);

    // All of it was copied, stamp and all.
    let copied = tempfile::tempdir().unwrap();
    for name in fs::read_dir(dir.path()).unwrap() {
        let name = name.unwrap();
        fs::copy(name.path(), copied.path().join(name.file_name())).unwrap();
    }
    assert!(matches!(open(copied.path()).unwrap(), Found::Restored(_)));
    assert!(matches!(open(dir.path()).unwrap(), Found::Whole { .. }));
    fs::remove_file(dir.path().join("index.stamp")).unwrap();
    assert!(matches!(open(dir.path()).unwrap(), Found::Restored(_)));
}

#[test]
fn a_stop_between_stamp_and_index_is_no_backup() {
    let (dir, mut index) = new();
    for put_in_place in [false, true] {
        let stamp = stamp::prepare(dir.path()).unwrap();
        index.database.execute("UPDATE meta SET coming = ?", [&stamp]).unwrap();
        if put_in_place {
            stamp::put(dir.path()).unwrap();
        }
        drop(index);
        index = whole(dir.path()).0;
    }
}

#[test]
fn a_missing_index_is_told_from_a_lost_one() {
    let (dir, index) = new();
    drop(index);
    fs::remove_file(dir.path().join(NAME)).unwrap();
    assert!(matches!(open(dir.path()).unwrap(), Found::Nothing { lost: true }));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(open(empty.path()).unwrap(), Found::Nothing { lost: false }));
    assert!(open(&empty.path().join("missing")).is_ok_and(|found| matches!(found, Found::Nothing { .. })));
}

#[test]
fn a_second_owner_is_refused() {
    let (dir, mut index) = new();
    put(&mut index, "a", &file("x", 1));
    assert!(matches!(open(dir.path()), Err(IndexError::InUse { .. })));
    assert!(create(dir.path(), US).is_err());
    put(&mut index, "a", &file("x", 1));
}

#[test]
fn an_index_of_a_later_program_is_left_alone() {
    let (dir, index) = new();
    index.database.pragma_update(None, "user_version", VERSION + 1).unwrap();
    drop(index);
    assert!(matches!(open(dir.path()), Err(IndexError::Later { version: 2, .. })));
}

/// Rows with unlike contents, so that damage anywhere matters.
fn fill(index: &mut Index, count: u64) {
    let paths: Vec<TreePath> =
        (0..count).map(|number| tree(&format!("folder {}/{number}", number % 7))).collect();
    let entries: Vec<Entry> = (0..count).map(|number| file(&number.to_string(), number + 1)).collect();
    let rows = paths.iter().zip(&entries);
    let facts = facts(1);
    index.write(rows.map(|(path, entry)| Change::Own { path, entry, facts: Some(&facts) })).unwrap();
}

/// Reads everything; whatever is wrong must be told, and what is told must be right.
fn read_all(index: &Index, count: u64) -> Result<(), IndexError> {
    let mut seen = 0;
    let mut after: Option<TreePath> = None;
    loop {
        let page = index.own_beneath(None, after.as_ref())?;
        let Some(last) = page.last() else { break };
        after = Some(last.path.clone());
        for row in &page {
            let number: u64 = row.path.name().parse().unwrap();
            assert_eq!(row.entry, file(&number.to_string(), number + 1), "{}", row.path);
        }
        seen += page.len() as u64;
    }
    assert!(seen <= count);
    for number in 0..count {
        let path = tree(&format!("folder {}/{number}", number % 7));
        drop(index.own(&path)?);
    }
    index.totals()?;
    index.suspects(None)?;
    index.behind(None)?;
    index.places(ContentHash::of(b"1"), 9)?;
    Ok(())
}

#[test]
fn a_garbled_index_is_noticed_and_never_a_panic() {
    let (dir, mut index) = new();
    fill(&mut index, 2_000);
    index.mark_clean().unwrap();
    drop(index);
    let path = dir.path().join(NAME);
    let good = fs::read(&path).unwrap();
    let mut random = fastrand::Rng::with_seed(5);
    let (mut refused, mut found_later, mut harmless) = (0, 0, 0);
    type Damage = fn(&mut Vec<u8>, &mut fastrand::Rng);
    let damage: [Damage; 5] = [
        |bytes, random| bytes.truncate(random.usize(..bytes.len())),
        |bytes, random| {
            let at = random.usize(..bytes.len());
            bytes[at] ^= 1 << random.u8(..8);
        },
        |bytes, random| {
            let at = random.usize(..bytes.len() - 512);
            random.fill(&mut bytes[at..at + 512]);
        },
        |bytes, random| {
            let at = random.usize(..bytes.len() / 4096) * 4096;
            bytes[at..at + 4096].fill(0);
        },
        |bytes, random| random.fill(bytes),
    ];
    for round in 0..200 {
        let mut bytes = good.clone();
        damage[round % damage.len()](&mut bytes, &mut random);
        fs::write(&path, &bytes).unwrap();
        match open(dir.path()) {
            Ok(Found::Damaged(_)) => refused += 1,
            Ok(Found::Whole { index, .. } | Found::Restored(index)) => match read_all(&index, 2_000) {
                Ok(()) => harmless += 1,
                Err(error) => {
                    assert!(error.is_damage(), "{}", chain(&error));
                    found_later += 1;
                }
            },
            // A number that says a later version.
            Err(IndexError::Later { .. }) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > 100 && found_later > 0, "{refused} {found_later} {harmless}");
}

#[test]
fn a_damaged_index_is_kept_and_a_new_one_made() {
    let (dir, mut index) = new();
    fill(&mut index, 10);
    drop(index);
    let path = dir.path().join(NAME);
    for number in 1..3 {
        OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&[0; 64], 0).unwrap();
        fs::write(dir.path().join(format!("{NAME}-wal")), b"left behind").unwrap();
        assert!(matches!(open(dir.path()).unwrap(), Found::Damaged(_)));
        let aside = set_aside(dir.path()).unwrap();
        assert_eq!(aside, dir.path().join(format!("{NAME}.damaged-{number}")));
        assert!(fs::metadata(&aside).unwrap().len() > 64);
        assert!(matches!(open(dir.path()).unwrap(), Found::Nothing { lost: true }));
        let index = create(dir.path(), THIRD).unwrap();
        assert_eq!(index.totals().unwrap(), Totals::default());
    }
    assert_eq!(whole(dir.path()).0.device(), THIRD);
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    assert!(matches!(open(dir.path()).unwrap(), Found::Damaged(_)));
}

/// Rows that the child of the next test writes at a time: enough that most of its time is amid a transaction.
const BATCH: u64 = 2_000;
const CHILD: &str = "ORCHESTRA_TEST_INDEX_WRITER";

#[test]
fn a_writer_that_is_killed_loses_nothing_that_was_written() {
    if let Some(folder) = env::var_os(CHILD) {
        return write_until_killed(Path::new(&folder));
    }
    let dir = tempfile::tempdir().unwrap();
    drop(create(dir.path(), US).unwrap());
    let mut random = fastrand::Rng::with_seed(3);
    let (mut greatest, mut kept, mut torn) = (0, 0, 0);
    for round in 0..12 {
        let name = "host::folder::index::tests::a_writer_that_is_killed_loses_nothing_that_was_written";
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It says after each write how far it is; the lines of the test runner say nothing.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let told = |line: String| line.strip_prefix("written ").map(|number| number.parse::<u64>().unwrap());
        let mut last = lines.by_ref().find_map(told).unwrap();
        for _ in 0..random.u32(..3) {
            last = lines.by_ref().find_map(told).unwrap();
        }
        // Not in the hope that something happens meanwhile: it is the random moment.
        std::thread::sleep(Duration::from_micros(random.u64(..20_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        last = lines.filter_map(told).last().unwrap_or(last);
        torn += u32::from(dir.path().join(format!("{NAME}-wal")).metadata().is_ok_and(|wal| wal.len() > 0));

        let (index, clean) = whole(dir.path());
        assert!(!clean);
        assert!(last > greatest, "round {round}: a number that was given before");
        let rows = index.totals().unwrap().files;
        assert_eq!(rows % BATCH, 0, "round {round}: half a transaction");
        assert!(rows >= kept, "round {round}");
        let newest = index.own_since(last - 1).unwrap();
        assert_eq!(
            newest.first().map(|row| row.sequence),
            Some(last),
            "round {round}: what was written is there"
        );
        assert!(index.last_sequence() >= last + SEQUENCE_GAP);
        greatest = index.own_since(last - 1).unwrap().last().map_or(last, |row| row.sequence);
        kept = rows;
    }
    assert!(torn > 0, "none was killed at work");
}

fn write_until_killed(folder: &Path) {
    let (mut index, _) = whole(folder);
    let mut number = index.totals().unwrap().files;
    loop {
        let paths: Vec<TreePath> =
            (number..number + BATCH).map(|number| tree(&format!("f{}/{number}", number % 99))).collect();
        let (row, facts) = (file("x", 1), facts(1));
        index.write(paths.iter().map(|path| Change::Own { path, entry: &row, facts: Some(&facts) })).unwrap();
        number += BATCH;
        println!("written {}", index.last_sequence());
        io::stdout().flush().unwrap();
    }
}
