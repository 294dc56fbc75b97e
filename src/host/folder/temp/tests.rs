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

/// The name and the chunks of bytes that are cut into pieces of this length.
fn list(bytes: &[u8], len: usize) -> (ContentHash, Vec<Chunk>) {
    let chunk =
        |piece: &[u8]| Chunk { hash: ContentHash::of(piece), len: u32::try_from(piece.len()).unwrap() };
    let chunks: Vec<Chunk> = bytes.chunks(len).map(chunk).collect();
    let short = bytes.len() as u64 <= WHOLE_LEN_MAX;
    (if short { ContentHash::of(bytes) } else { ContentHash::of_chunks(&chunks) }, chunks)
}

fn open(root: &Arc<Root>, bytes: &[u8], len: usize) -> Result<Temp, FolderError> {
    let (content, chunks) = list(bytes, len);
    Temp::open(root, content, bytes.len() as u64, chunks)
}

fn go() -> AtomicBool {
    AtomicBool::new(false)
}

/// What `Temp` says of each chunk, and what its file has where it says so.
fn check(temp: &Temp, bytes: &[u8], there: &[usize]) {
    assert_eq!(temp.missing(), temp.chunks().len() - there.len());
    for at in 0..temp.chunks().len() {
        assert_eq!(temp.has(at), there.contains(&at), "chunk {at}");
        let from = temp.offset(at);
        let mut back = vec![0; temp.chunks()[at].len as usize];
        let read = temp.read(at, from, &mut back);
        if there.contains(&at) {
            read.unwrap();
            let from = usize::try_from(from).unwrap();
            assert!(back == bytes[from..from + back.len()], "chunk {at}");
        } else {
            assert!(matches!(read.unwrap_err().trouble, Trouble::Incomplete), "chunk {at}");
        }
    }
}

#[test]
fn what_arrived_is_found_again_after_the_program_ended() {
    let (dir, root) = world();
    let bytes = content();
    let (content, _) = list(&bytes, BLOCK);
    let temp = open(&root, &bytes, BLOCK).unwrap();
    assert_eq!(temp.resume(&go()).unwrap(), 0);
    temp.put(1, &bytes[BLOCK..2 * BLOCK]).unwrap();
    temp.put(3, &bytes[3 * BLOCK..]).unwrap();
    // Written, but not as it should be: a disk that lost it, or a program that ended in the middle.
    temp.file.write_all_at(&bytes[..100], 0).unwrap();
    assert!(matches!(open(&root, &bytes, BLOCK).unwrap_err().trouble, Trouble::Busy));
    check(&temp, &bytes, &[1, 3]);
    drop((temp, root));

    let root = Arc::new(Root::open(dir.path(), IfNew::Refuse).unwrap());
    assert_eq!(left(&root).unwrap()[0].hash, content);
    let temp = open(&root, &bytes, BLOCK).unwrap();
    check(&temp, &bytes, &[]);
    assert_eq!(temp.resume(&AtomicBool::new(true)).unwrap(), 0);
    assert_eq!(temp.resume(&go()).unwrap(), 2 * BLOCK as u64);
    assert_eq!(temp.resume(&go()).unwrap(), 0, "what is known to be there is not read again");
    check(&temp, &bytes, &[1, 3]);
    temp.put(0, &bytes[..BLOCK]).unwrap();
    let temp = match temp.whole().map_err(|error| error.trouble) {
        Err(Trouble::Incomplete) => open(&root, &bytes, BLOCK).unwrap(),
        other => panic!("one is missing: {other:?}"),
    };
    assert_eq!(temp.resume(&go()).unwrap(), 3 * BLOCK as u64);
    temp.put(2, &bytes[2 * BLOCK..3 * BLOCK]).unwrap();
    check(&temp, &bytes, &[0, 1, 2, 3]);
    temp.whole().unwrap();
    assert_eq!(fs::read(dir.path().join(format!(".orchestra/tmp/{content}"))).unwrap(), bytes);
}

/// Only what was written is read again, as far as the file system knows it.
#[test]
fn what_was_not_written_is_not_read_again() {
    let (_dir, root) = world();
    let bytes = content();
    let temp = open(&root, &bytes, BLOCK).unwrap();
    temp.reserve().unwrap();
    temp.put(1, &bytes[BLOCK..2 * BLOCK]).unwrap();
    let block = BLOCK as u64;
    match temp.written(0).unwrap() {
        Some(stretch) if stretch == (0..4 * block) => {
            writeln!(io::stderr(), "skipped: needs a file system that knows its holes").unwrap();
        }
        stretch => assert_eq!((stretch, temp.written(2 * block).unwrap()), (Some(block..2 * block), None)),
    }
}

#[test]
fn a_wrong_chunk_is_refused() {
    let (_dir, root) = world();
    let bytes = content();
    let temp = open(&root, &bytes, BLOCK).unwrap();
    let wrong = |result: Result<(), FolderError>| matches!(result.unwrap_err().trouble, Trouble::Wrong);
    let mut other = bytes[..BLOCK].to_vec();
    other[BLOCK - 1] ^= 1;
    assert!(wrong(temp.put(0, &other)));
    assert!(wrong(temp.put(0, &bytes[..BLOCK - 1])));
    assert!(wrong(temp.put(0, &bytes[..=BLOCK])));
    assert!(wrong(temp.put(0, &bytes[BLOCK..2 * BLOCK])), "at another's place");
    let file = root.own_path().join("tmp").join(list(&bytes, BLOCK).0.to_string());
    assert!(fs::read(file).unwrap().iter().all(|&byte| byte == 0), "nothing was written");
    check(&temp, &bytes, &[]);
    temp.put(0, &bytes[..BLOCK]).unwrap();
    assert!(wrong(temp.put(0, &other)), "nor is it when the right one is there");
    temp.put(0, &bytes[..BLOCK]).unwrap();
    check(&temp, &bytes, &[0]);
    assert!(Whole::of_bytes(&root, ContentHash::of(b"right"), b"wrong").is_err());
    let (_, long) = list(&bytes, bytes.len());
    assert!(Whole::of_bytes(&root, long[0].hash, &bytes).is_err(), "a long content has another name");
}

#[test]
fn a_list_that_lies_is_refused() {
    let (_dir, root) = world();
    let bytes = content();
    let (content, chunks) = list(&bytes, BLOCK);
    let size = bytes.len() as u64;
    let mut other = chunks.clone();
    other.swap(0, 1);
    for (content, size, chunks) in [
        (content, size, other),
        (content, size + 1, chunks.clone()),
        (content, size, chunks[1..].to_vec()),
        (ContentHash::of(&bytes), size, chunks.clone()),
        (content, size, Vec::new()),
        (content, 0, Vec::new()),
        (content, u64::MAX, chunks),
        (ContentHash::of(b"x"), 1 << 63, vec![]),
    ] {
        let refused = Temp::open(&root, content, size, chunks);
        assert!(matches!(refused.unwrap_err().trouble, Trouble::Wrong), "{size}");
    }
    assert!(left(&root).unwrap().is_empty(), "none was begun");
    let empty = open(&root, b"", 1).unwrap();
    empty.reserve().unwrap();
    assert_eq!((empty.resume(&go()).unwrap(), empty.missing()), (0, 0));
    empty.whole().unwrap().sync().unwrap();
}

#[test]
fn nothing_reaches_beyond_a_chunk() {
    let (_dir, root) = world();
    let bytes = content();
    let temp = open(&root, &bytes, BLOCK).unwrap();
    temp.put(1, &bytes[BLOCK..2 * BLOCK]).unwrap();
    let beyond = |result: Result<(), FolderError>| matches!(result.unwrap_err().trouble, Trouble::Beyond);
    let block = BLOCK as u64;
    let mut two = [0; 2];
    temp.read(1, 2 * block - 2, &mut two).unwrap();
    assert_eq!(two, bytes[2 * BLOCK - 2..2 * BLOCK]);
    assert!(beyond(temp.read(1, 2 * block - 1, &mut two)));
    assert!(beyond(temp.read(1, block - 1, &mut two)));
    assert!(beyond(temp.read(1, u64::MAX, &mut two)));
    assert!(beyond(temp.read(4, 4 * block, &mut [])));
    assert!(beyond(temp.put(4, b"")));
    assert!(!temp.has(4) && !temp.has(usize::MAX));
    let source = tempfile::tempfile().unwrap();
    assert!(beyond(temp.take(3..5, &source, 0, &go()).map(|_| ())));
    drop(temp);

    // A file that somebody made longer is not believed.
    let name = format!(".orchestra/tmp/{}", list(&bytes, BLOCK).0);
    File::options().write(true).open(root.path().join(name)).unwrap().set_len(9 * block).unwrap();
    assert_eq!(open(&root, &bytes, BLOCK).unwrap().resume(&go()).unwrap(), 0);
}

#[test]
fn what_a_local_file_has_is_taken() {
    let (dir, root) = world();
    let bytes = content();
    let mut other = bytes[7..].to_vec();
    other[BLOCK + 5] ^= 1;
    let source = |bytes: &[u8]| {
        fs::write(dir.path().join("source"), bytes).unwrap();
        File::open(dir.path().join("source")).unwrap()
    };
    let wanted = &bytes[7..7 + 3 * BLOCK + 5];
    let temp = open(&root, wanted, BLOCK).unwrap();
    let file = source(&other);
    assert_eq!(temp.take(0..4, &file, 0, &AtomicBool::new(true)).unwrap(), 0);
    assert_eq!(temp.take(2..3, &file, 2 * BLOCK as u64, &go()).unwrap(), 1);
    check(&temp, wanted, &[2]);
    assert_eq!(temp.take(0..4, &file, 0, &go()).unwrap(), 2, "one of them is there, and one is wrong");
    check(&temp, wanted, &[0, 2, 3]);
    assert_eq!(temp.take(1..2, &file, u64::MAX - 1, &go()).unwrap_or(0), 0);
    assert_eq!(
        temp.take(1..2, &source(&bytes[..7 + 2 * BLOCK - 1]), 7 + BLOCK as u64, &go()).unwrap(),
        0,
        "short"
    );
    assert_eq!(temp.take(1..2, &source(&bytes), 7 + BLOCK as u64, &go()).unwrap(), 1);
    check(&temp, wanted, &[0, 1, 2, 3]);
    temp.whole().unwrap();
}

#[test]
fn what_is_shared_is_read_before_it_is_believed() {
    let (dir, root) = world();
    let bytes = content();
    fs::write(dir.path().join("source"), &bytes).unwrap();
    let source = File::open(dir.path().join("source")).unwrap();
    let wanted = &bytes[..3 * BLOCK];
    let mut temp = open(&root, wanted, BLOCK).unwrap();
    temp.put(0, &bytes[..BLOCK]).unwrap();
    if temp.share(&source).unwrap() {
        check(&temp, wanted, &[]);
        temp.resume(&go()).unwrap();
    } else {
        writeln!(io::stderr(), "skipped: needs a file system on which files share bytes").unwrap();
        check(&temp, wanted, &[0]);
        temp.take(0..3, &source, 0, &go()).unwrap();
    }
    check(&temp, wanted, &[0, 1, 2]);
    temp.whole().unwrap();
}

/// Links put what they fetched, copiers take what is there already, and others are served, all at a time.
#[test]
fn many_threads_fill_it_together() {
    let (dir, root) = world();
    let bytes = content();
    fs::write(dir.path().join("source"), &bytes).unwrap();
    let source = File::open(dir.path().join("source")).unwrap();
    let len = BLOCK / 16;
    let temp = open(&root, &bytes, len).unwrap();
    let count = temp.chunks().len();
    let barrier = std::sync::Barrier::new(6);
    std::thread::scope(|scope| {
        let (temp, bytes, source, barrier) = (&temp, &bytes, &source, &barrier);
        for thread in 0..2 {
            scope.spawn(move || {
                barrier.wait();
                for number in 0..count {
                    let at = if thread == 0 { number } else { count - 1 - number };
                    temp.put(at, &bytes[at * len..(at + 1) * len]).unwrap();
                }
            });
            scope.spawn(move || {
                barrier.wait();
                temp.take(thread * count / 2..count, source, (thread * count / 2 * len) as u64, &go())
                    .unwrap();
            });
            scope.spawn(move || {
                barrier.wait();
                let mut back = vec![0; len];
                while temp.missing() > 0 {
                    for at in (0..count).filter(|&at| temp.has(at)) {
                        temp.read(at, temp.offset(at), &mut back).unwrap();
                        assert!(back == bytes[at * len..(at + 1) * len], "chunk {at}");
                    }
                }
            });
        }
    });
    let all: Vec<usize> = (0..count).collect();
    check(&temp, &bytes, &all);
    temp.whole().unwrap();
}

/// A program that was killed between two names of a file must not write to the one in place.
#[test]
fn what_is_in_place_is_never_written_to() {
    let (dir, root) = world();
    let (hash, tmp) = (ContentHash::of(b"right"), dir.path().join(".orchestra/tmp"));
    fs::write(dir.path().join("user's"), "right").unwrap();
    fs::hard_link(dir.path().join("user's"), tmp.join(hash.to_string())).unwrap();
    let write = || open(&root, b"right", 5).unwrap().file.write_all_at(b"wrong", 0).unwrap();
    write();
    assert_eq!(fs::read(dir.path().join("user's")).unwrap(), b"right");

    fs::remove_file(tmp.join(hash.to_string())).unwrap();
    std::os::unix::fs::symlink("../../user's", tmp.join(hash.to_string())).unwrap();
    write();
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
