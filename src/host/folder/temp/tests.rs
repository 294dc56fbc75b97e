use super::*;
use crate::host::folder::root::IfNew;
use std::fs;
use std::io::Write;

/// Larger than the blocks of any file system in use.
const BLOCK: usize = 1 << 20;

fn world() -> (tempfile::TempDir, Arc<Root>) {
    let dir = tempfile::tempdir().unwrap();
    let root = Arc::new(Root::open(dir.path(), IfNew::Make).unwrap());
    (dir, root)
}

fn content() -> Vec<u8> {
    (0..4 * BLOCK).map(|at| u8::try_from(at / 7 % 251).unwrap()).collect()
}

#[test]
fn what_arrived_is_found_again_after_the_program_ended() {
    let (dir, root) = world();
    let bytes = content();
    let (hash, size) = (ContentHash::of(&bytes), bytes.len() as u64);
    let temp = Temp::open(&root, hash, size).unwrap();
    assert_eq!(temp.written(0).unwrap(), None);
    temp.write(&bytes[BLOCK..2 * BLOCK], BLOCK as u64).unwrap();
    temp.write(&bytes[3 * BLOCK..], 3 * BLOCK as u64).unwrap();
    assert!(matches!(Temp::open(&root, hash, size).unwrap_err().trouble, Trouble::Busy));
    drop((temp, root));

    let root = Arc::new(Root::open(dir.path(), IfNew::Refuse).unwrap());
    assert_eq!(left(&root).unwrap()[0].hash, hash);
    let temp = Temp::open(&root, hash, size).unwrap();
    let mut stretches = Vec::new();
    let mut at = 0;
    while let Some(stretch) = temp.written(at).unwrap() {
        at = stretch.end;
        stretches.push(stretch);
    }
    let block = BLOCK as u64;
    if stretches.len() == 1 {
        writeln!(io::stderr(), "skipped: needs a file system that knows its holes").unwrap();
    } else {
        assert_eq!(stretches, [block..2 * block, 3 * block..4 * block]);
    }
    let mut back = vec![0; BLOCK];
    temp.read(&mut back, block).unwrap();
    assert_eq!(back, bytes[BLOCK..2 * BLOCK]);
    temp.write(&bytes[..BLOCK], 0).unwrap();
    temp.write(&bytes[2 * BLOCK..3 * BLOCK], 2 * block).unwrap();
    temp.verify().unwrap();
}

#[test]
fn what_is_wrong_is_thrown_away() {
    let (_dir, root) = world();
    let temp = Temp::open(&root, ContentHash::of(b"right"), 5).unwrap();
    temp.write(b"wrong", 0).unwrap();
    assert!(matches!(temp.verify().unwrap_err().trouble, Trouble::Wrong));
    assert!(left(&root).unwrap().is_empty());
    assert!(Whole::of_bytes(&root, ContentHash::of(b"right"), b"wrong").is_err());
}

#[test]
fn nothing_reaches_beyond_the_announced_end() {
    let (_dir, root) = world();
    let temp = Temp::open(&root, ContentHash::of(b"right"), 5).unwrap();
    let beyond = |result: Result<(), FolderError>| matches!(result.unwrap_err().trouble, Trouble::Beyond);
    assert!(beyond(temp.write(b"xx", 4)));
    assert!(beyond(temp.write(b"x", u64::MAX)));
    assert!(beyond(temp.read(&mut [0; 2], 4)));
    let source = tempfile::tempfile().unwrap();
    assert!(beyond(temp.copy(&source, 0..u64::MAX, 1)));
    assert!(matches!(temp.copy(&source, 0..5, 0).unwrap_err().trouble, Trouble::Short));
    // Another size than the last time: nothing of that time is taken.
    temp.write(b"right", 0).unwrap();
    drop(temp);
    assert_eq!(Temp::open(&root, ContentHash::of(b"right"), 6).unwrap().written(0).unwrap(), None);
}

#[test]
fn an_absurd_size_is_refused() {
    let (_dir, root) = world();
    for size in [u64::MAX, 1 << 63, (1 << 63) - 1] {
        let refused = Temp::open(&root, ContentHash::of(b""), size).and_then(|temp| temp.reserve());
        assert!(refused.is_err(), "{size}");
    }
    let empty = Temp::open(&root, ContentHash::of(b""), 0).unwrap();
    empty.reserve().unwrap();
    empty.verify().unwrap().sync().unwrap();
}

#[test]
fn a_local_file_is_copied() {
    let (dir, root) = world();
    let bytes = content();
    fs::write(dir.path().join("source"), &bytes).unwrap();
    let source = File::open(dir.path().join("source")).unwrap();
    let size = 3 * BLOCK as u64 + 5;
    let temp = Temp::open(&root, ContentHash::of(&bytes[7..7 + 3 * BLOCK + 5]), size).unwrap();
    temp.copy(&source, 7..7 + size, 0).unwrap();
    temp.verify().unwrap();
    let temp = Temp::open(&root, ContentHash::of(&bytes[..100]), 100).unwrap();
    if !temp.share(&source).unwrap() {
        writeln!(io::stderr(), "skipped: needs a file system on which files share bytes").unwrap();
        temp.copy(&source, 0..100, 0).unwrap();
    }
    temp.verify().unwrap();
}

/// A program that was killed between two names of a file must not write to the one in place.
#[test]
fn what_is_in_place_is_never_written_to() {
    let (dir, root) = world();
    let (hash, tmp) = (ContentHash::of(b"right"), dir.path().join(".orchestra/tmp"));
    fs::write(dir.path().join("user's"), "right").unwrap();
    fs::hard_link(dir.path().join("user's"), tmp.join(hash.to_string())).unwrap();
    Temp::open(&root, hash, 5).unwrap().write(b"wrong", 0).unwrap();
    assert_eq!(fs::read(dir.path().join("user's")).unwrap(), b"right");

    fs::remove_file(tmp.join(hash.to_string())).unwrap();
    std::os::unix::fs::symlink("../../user's", tmp.join(hash.to_string())).unwrap();
    Temp::open(&root, hash, 5).unwrap().write(b"wrong", 0).unwrap();
    assert_eq!(fs::read(dir.path().join("user's")).unwrap(), b"right");
}

#[test]
fn what_is_not_used_again_goes() {
    let (dir, root) = world();
    let tmp = dir.path().join(".orchestra/tmp");
    let whole = Whole::of_bytes(&root, ContentHash::of(b"x"), b"x").unwrap();
    assert_eq!(fs::read_dir(&tmp).unwrap().count(), 1);
    drop(whole);
    assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0);
    for name in ["passing-7", "stray"] {
        fs::write(tmp.join(name), "x").unwrap();
    }
    drop(root);
    let root = Arc::new(Root::open(dir.path(), IfNew::Refuse).unwrap());
    let names: Vec<_> = fs::read_dir(&tmp).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!((names, left(&root).unwrap()), (vec!["stray".into()], vec![]));
}
