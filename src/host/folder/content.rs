//! A file's content, read once: the chunks that it is cut into, and its name, which follows from them.
//!
//! Cuts are where the content says (FastCDC: Xia and others, "The design of fast content-defined chunking for data
//! deduplication based storage systems", 2020), so bytes that are inserted or removed change the chunks around them,
//! and the others stay what they are.
//!
//! How long chunks are on average follows from the length of the file, by the square root, as with rsync: half of what
//! a change costs is then the list of chunks, and half the chunk itself.
//! It follows in steps, each of four times the length, and not smoothly: two versions of a file have chunks in common
//! only if they are cut with the same average.
//!
//! The name of a short file is the hash of its bytes, of a longer one that of the list of its chunks. So the same bytes
//! have the same name only because everybody cuts them alike: cuts are part of what members agree on.

mod crew;
mod cutter;
mod cutting;
mod former;

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use thiserror::Error;

use self::crew::Crew;
use self::cutting::Named;
use super::beneath::{Beneath, Stat};
use super::facts::Facts;
use super::trouble::{Action, FolderError, Trouble};
use crate::entry::{Chunk, ContentHash, TreePath};
use crate::host::HostError;
use crate::limits::{
    CHUNK_AVERAGE_MAX, CHUNK_AVERAGE_MIN, CHUNK_CLASS_LEN, CHUNK_LEAST_SHARE, CHUNKS_MAX, FILE_LEN_MAX,
};

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Its name.
    pub hash: ContentHash,
    /// Its chunks in their order; none if it is no longer than [`WHOLE_LEN_MAX`](crate::limits::WHOLE_LEN_MAX), and so
    /// one chunk as a whole ([`crate::entry::chunk::list_of_short`]).
    pub chunks: Vec<Chunk>,
    /// What the disk told, before and after it was read.
    pub facts: Facts,
}

/// Why it is not known what is in a file.
#[derive(Debug, Error)]
pub enum ContentError {
    /// Somebody wrote to it meanwhile, or put something else in its place.
    #[error("{0} changed while it was read; it is looked at again")]
    Changed(TreePath),
    /// It is longer than anything that is carried.
    #[error("{0} is longer than {limit}, which is not carried", limit = crate::text::bytes(FILE_LEN_MAX))]
    TooLong(TreePath),
    /// The disk would not.
    #[error(transparent)]
    Disk(FolderError),
}

impl From<FolderError> for ContentError {
    fn from(error: FolderError) -> ContentError {
        match error {
            FolderError { trouble: Trouble::Changed, place: super::trouble::Place::Tree(path), .. } => {
                ContentError::Changed(path)
            }
            error => ContentError::Disk(error),
        }
    }
}

/// Reads a file; nothing if `stop` was set meanwhile.
///
/// # Errors
/// It is not a file, cannot be read, or changed meanwhile.
pub fn read(folder: &Beneath, path: &TreePath, stop: &AtomicBool) -> Result<Option<Contents>, ContentError> {
    Opened::open(folder, path)?.read(|file, size| name(file, size, stop))
}

/// A file to read.
#[derive(Clone, Debug)]
pub struct Task {
    /// Where it is.
    pub path: TreePath,
    /// The chunks that it had when it was read last, as far as they are known: what is as it was is then read in half the
    /// time. What is found is the same without them.
    pub before: Vec<Chunk>,
}

/// Reads files, on all cores: a file a core, and the last ones together.
///
/// `found` is told of each by its place among the tasks, from several threads and in no particular order; with `stop`
/// set not of all. The calling thread does its share.
///
/// # Errors
/// The system has no room for a thread; some files may have been read before that.
pub fn read_many(
    folder: &Beneath,
    tasks: &[Task],
    stop: &AtomicBool,
    found: impl Fn(usize, Result<Contents, ContentError>) + Sync,
) -> Result<(), HostError> {
    let next = AtomicUsize::new(0);
    Crew::all_own(crew::threads(), |crew, reader| {
        while !stop.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(Task { path, before }) = tasks.get(at) else { break };
            let name = |file, size| cutting::name(file, size, before, stop, crew, reader);
            let contents = Opened::open(folder, path).and_then(|opened| opened.read(name));
            if let Some(contents) = contents.transpose() {
                found(at, contents);
            }
        }
    })
}

/// The average length of the chunks of a file of this length.
#[must_use]
pub const fn chunk_average(len: u64) -> usize {
    let (mut average, mut class) = (CHUNK_AVERAGE_MIN, CHUNK_CLASS_LEN);
    while average < CHUNK_AVERAGE_MAX && len >= class {
        average *= 2;
        class *= 4;
    }
    average
}

/// The most chunks that a file of this length has: all but the last one have at least the least length.
#[must_use]
pub fn chunks_max(len: u64) -> usize {
    let least = (chunk_average(len) / CHUNK_LEAST_SHARE) as u64;
    usize::try_from(len.div_ceil(least)).unwrap_or(usize::MAX).min(CHUNKS_MAX)
}

/// The name and the chunks of an open file with this many bytes, on all cores; nothing if `stop` was set meanwhile.
///
/// # Errors
/// It has more or fewer bytes ([`Trouble::Changed`]), or the disk fails.
pub(super) fn name(file: File, size: u64, stop: &AtomicBool) -> Result<Option<Named>, Trouble> {
    let threads = if cutting::is_long(size) { crew::threads() } else { 1 };
    Crew::one_owns(threads, |crew, reader| cutting::name(file, size, &[], stop, crew, reader))
}

/// A file that is open to be read.
struct Opened<'p> {
    path: &'p TreePath,
    file: File,
    before: Stat,
}

impl Opened<'_> {
    fn open<'p>(folder: &Beneath, path: &'p TreePath) -> Result<Opened<'p>, ContentError> {
        let file = folder.open_file(path)?;
        let before = Stat::of(&file).map_err(|trouble| trouble.at(Action::Inspect, path))?;
        if before.size > FILE_LEN_MAX {
            return Err(ContentError::TooLong(path.clone()));
        }
        Ok(Opened { path, file, before })
    }

    /// What is in it, as `name` reads it.
    fn read(
        self,
        name: impl FnOnce(File, u64) -> Result<Option<Named>, Trouble>,
    ) -> Result<Option<Contents>, ContentError> {
        let Opened { path, file, before } = self;
        let same = file.try_clone().map_err(|error| Trouble::from(error).at(Action::Read, path))?;
        let named = name(file, before.size).map_err(|trouble| trouble.at(Action::Read, path))?;
        let Some((hash, chunks)) = named else { return Ok(None) };
        let after = Stat::of(&same).map_err(|trouble| trouble.at(Action::Inspect, path))?;
        // A rename over it, or a further name for it, shows in its time of change as well.
        if !before.is_untouched(&after) {
            return Err(ContentError::Changed(path.clone()));
        }
        Ok(Some(Contents { hash, chunks, facts: after.into() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{CHUNK_SPREAD, KIB, MIB, WHOLE_LEN_MAX};
    use fastcdc::v2020::{FastCDC, Normalization};
    use std::collections::HashSet;
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::FileExt;
    use std::path::Path;
    use std::sync::Mutex;

    static GO: AtomicBool = AtomicBool::new(false);
    const WHOLE: usize = 128 * KIB;

    fn noise(len: usize, seed: u64) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = vec![0; len];
        random.fill(&mut bytes);
        bytes
    }

    fn tree(text: &str) -> TreePath {
        TreePath::parse(text).unwrap()
    }

    fn contents_of(bytes: &[u8]) -> Contents {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), bytes).unwrap();
        let contents = read(&Beneath::open(dir.path()).unwrap(), &tree("a"), &GO).unwrap().unwrap();
        let long = bytes.len() > WHOLE;
        let name = if long { ContentHash::of_chunks(&contents.chunks) } else { ContentHash::of(bytes) };
        assert_eq!(contents.hash, name);
        assert_eq!(contents.facts.size, bytes.len() as u64);
        contents
    }

    /// The chunks are what they say, and all of it.
    fn check(bytes: &[u8], chunks: &[Chunk]) {
        let average = chunk_average(bytes.len() as u64);
        let mut left = bytes;
        for (at, chunk) in chunks.iter().enumerate() {
            let (bytes, rest) = left.split_at(chunk.len as usize);
            assert_eq!(chunk.hash, ContentHash::of(bytes), "chunk {at}");
            assert!(
                bytes.len() <= CHUNK_SPREAD * average
                    && (rest.is_empty() || bytes.len() >= average / CHUNK_LEAST_SHARE)
            );
            left = rest;
        }
        assert!(left.is_empty());
        assert!(chunks.len() <= chunks_max(bytes.len() as u64));
    }

    /// The lengths of the chunks of these bytes, by the crate that says where cuts are.
    fn reference(bytes: &[u8]) -> Vec<usize> {
        let average = chunk_average(bytes.len() as u64);
        let (shortest, longest) = (average / CHUNK_LEAST_SHARE, average * CHUNK_SPREAD);
        let reference = FastCDC::with_level(bytes, shortest, average, longest, Normalization::Level2);
        reference.map(|chunk| chunk.length).collect()
    }

    #[test]
    fn chunks_are_those_of_the_whole_file_at_once() {
        for len in [WHOLE + 1, 3 * MIB + 1, 9 * MIB] {
            let bytes = noise(len, 1);
            let contents = contents_of(&bytes);
            check(&bytes, &contents.chunks);
            assert!(contents.chunks.iter().map(|chunk| chunk.len as usize).eq(reference(&bytes)), "{len}");
        }
    }

    /// Whoever begins in the middle of zeros, or of what repeats, cuts elsewhere than the owner, for as long as they last.
    #[test]
    fn helpers_change_no_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let zeros = [noise(5 * MIB + 77, 6), vec![0; 21 * MIB], noise(3 * MIB, 7)].concat();
        let repeating = [noise(MIB + 5, 8), noise(3_001, 9).repeat(9_000)].concat();
        // The last segment is one in which no chunk begins, or few.
        let tail = noise(24 * MIB + 3, 10);
        let short_tail = noise(16 * MIB + 70 * KIB, 11);
        for bytes in [zeros, repeating, tail, short_tail] {
            fs::write(&path, &bytes).unwrap();
            for threads in [1, 2, 3, 9] {
                let named = Crew::one_owns(threads, |crew, reader| {
                    cutting::name(File::open(&path).unwrap(), bytes.len() as u64, &[], &GO, crew, reader)
                });
                let (hash, chunks) = named.unwrap().unwrap();
                check(&bytes, &chunks);
                assert!(
                    chunks.iter().map(|chunk| chunk.len as usize).eq(reference(&bytes)),
                    "{threads} threads"
                );
                assert_eq!(hash, ContentHash::of_chunks(&chunks));
            }
        }
    }

    /// Also where a change is right behind a cut, which the byte there decides, or near the end of the file, which does.
    #[test]
    fn what_was_known_before_changes_no_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut random = fastrand::Rng::with_seed(12);
        let old = [noise(17 * MIB + 5, 13), vec![0; 2 * MIB], noise(MIB + 9, 14)].concat();
        let before = contents_of(&old).chunks;
        let mut cut = 0;
        let cuts: Vec<usize> = before
            .iter()
            .map(|chunk| {
                cut += chunk.len as usize;
                cut
            })
            .collect();
        let near_a_cut = |random: &mut fastrand::Rng| {
            let cut = cuts[random.usize(..cuts.len() - 1)];
            if random.bool() { cut + random.usize(..2) } else { cut - random.usize(..70) }
        };
        let mut versions = vec![old.clone(), old[..old.len() - 3].to_vec(), [&old[..], &[1, 2]].concat()];
        versions.extend(
            cuts.iter()
                .rev()
                .take(5)
                .flat_map(|cut| [cut - 1, *cut, cut + 1].map(|len| old[..len.min(old.len())].to_vec())),
        );
        for round in 0..40 {
            let mut new = old.clone();
            for _ in 0..=round % 3 {
                let at = near_a_cut(&mut random).min(new.len() - 1);
                let len = random.usize(1..70).min(new.len() - at);
                match random.usize(..3) {
                    0 => new[at] ^= 1 << random.usize(..8),
                    1 => drop(new.splice(at..at, noise(len, round))),
                    _ => drop(new.splice(at..at + len, [])),
                }
            }
            versions.push(new);
        }
        for bytes in &versions {
            fs::write(&path, bytes).unwrap();
            for threads in [1, 2] {
                let named = Crew::one_owns(threads, |crew, reader| {
                    cutting::name(File::open(&path).unwrap(), bytes.len() as u64, &before, &GO, crew, reader)
                });
                let (_, chunks) = named.unwrap().unwrap();
                check(bytes, &chunks);
                assert!(chunks.iter().map(|chunk| chunk.len as usize).eq(reference(bytes)));
            }
        }
    }

    #[test]
    fn a_short_file_is_one_chunk() {
        assert_eq!(WHOLE as u64, WHOLE_LEN_MAX);
        for len in [0, 1, 4_095, WHOLE - 1, WHOLE] {
            let bytes = noise(len, 2);
            assert_eq!(contents_of(&bytes).chunks, []);
        }
    }

    #[test]
    fn bytes_that_are_inserted_change_the_chunks_around_them() {
        let old = noise(64 * MIB, 3);
        let before = contents_of(&old).chunks;
        for at in [0, 20 * MIB + 7] {
            let mut new = old.clone();
            new.splice(at..at, noise(KIB, 4));
            let after = contents_of(&new).chunks;
            check(&new, &after);
            let known: HashSet<ContentHash> = before.iter().map(|chunk| chunk.hash).collect();
            let fresh: Vec<usize> = (0..after.len()).filter(|&at| !known.contains(&after[at].hash)).collect();
            assert!((1..=3).contains(&fresh.len()), "{} of {} chunks are new", fresh.len(), after.len());
            assert!(at > 0 || fresh.iter().all(|&at| at < 3), "the first ones: {fresh:?}");
        }
    }

    #[test]
    fn zeros_are_cut_as_well() {
        let bytes = vec![0; 5 * MIB + 3];
        let chunks = contents_of(&bytes).chunks;
        check(&bytes, &chunks);
        assert!(chunks.len() <= 5 * MIB / (CHUNK_AVERAGE_MIN * CHUNK_SPREAD) + 1);
    }

    #[test]
    fn averages_change_only_where_nobody_expects_a_file_to_end() {
        assert_eq!(chunk_average(0), CHUNK_AVERAGE_MIN);
        assert_eq!(chunk_average(CHUNK_CLASS_LEN - 1), CHUNK_AVERAGE_MIN);
        assert_eq!(chunk_average(CHUNK_CLASS_LEN), 2 * CHUNK_AVERAGE_MIN);
        assert_eq!(chunk_average(4 * CHUNK_CLASS_LEN - 1), 2 * CHUNK_AVERAGE_MIN);
        assert_eq!(chunk_average(u64::MAX), CHUNK_AVERAGE_MAX);
        for power in 10..42 {
            // A file of a round length, in either meaning, may grow by a quarter or shrink by one.
            for round in [1_u64 << power, 10_u64.pow(power / 10 * 3)] {
                assert_eq!(chunk_average(round - round / 4), chunk_average(round + round / 4), "{round}");
            }
        }
    }

    #[test]
    fn a_file_that_is_written_to_while_it_is_read_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let folder = Beneath::open(dir.path()).unwrap();
        type Write = fn(&Path);
        let append: Write = |path| File::options().append(true).open(path).unwrap().write_all(b"x").unwrap();
        let truncate: Write =
            |path| File::options().write(true).open(path).unwrap().set_len(MIB as u64).unwrap();
        let replace: Write = |path| {
            fs::write(path.with_extension("new"), b"x").unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        };
        // The time of what was written is set back, as some programs do.
        let hide: Write = |path| {
            let file = File::options().write(true).open(path).unwrap();
            let time = file.metadata().unwrap().modified().unwrap();
            file.write_all_at(b"xyz", 5 * MIB as u64).unwrap();
            file.set_modified(time).unwrap();
        };
        for change in [append, truncate, replace, hide] {
            fs::write(&path, noise(6 * MIB, 5)).unwrap();
            let file = folder.open_file(&tree("a")).unwrap();
            let before = Stat::of(&file).unwrap();
            change(&path);
            // As if it happened between the look and the first read.
            let opened = Opened { path: &tree("a"), file, before };
            let read = opened.read(|file, size| name(file, size, &GO));
            assert!(matches!(read, Err(ContentError::Changed(_))), "{read:?}");
        }
    }

    #[test]
    fn a_file_that_never_ends_is_not_read_for_ever() {
        for size in [0, 100, 20 * MIB as u64] {
            let endless = name(File::open("/dev/zero").unwrap(), size, &GO);
            assert!(matches!(endless, Err(Trouble::Changed)), "{size}");
            let empty = name(File::open("/dev/null").unwrap(), size + 1, &GO);
            assert!(matches!(empty, Err(Trouble::Changed)), "{size}");
        }
    }

    #[test]
    fn many_files_are_read_and_each_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Beneath::open(dir.path()).unwrap();
        let task = |number: u32| Task { path: tree(&number.to_string()), before: Vec::new() };
        let tasks: Vec<Task> = (0..100).map(task).collect();
        for (at, task) in tasks.iter().enumerate().skip(2) {
            fs::write(dir.path().join(task.path.as_str()), noise(at * 3_000, at as u64)).unwrap();
        }
        fs::create_dir(dir.path().join("1")).unwrap();
        // One for which there are helpers when the others are done, or even before.
        fs::write(dir.path().join("2"), noise(20 * MIB, 2)).unwrap();
        let told: Mutex<Vec<Option<String>>> = Mutex::new(vec![None; tasks.len()]);
        read_many(&folder, &tasks, &GO, |at, contents| {
            let text = match contents {
                Ok(contents) => contents.hash.to_string(),
                Err(error) => crate::text::chain(&error),
            };
            assert_eq!(told.lock().unwrap()[at].replace(text), None);
        })
        .unwrap();
        let told: Vec<String> = told.into_inner().unwrap().into_iter().map(Option::unwrap).collect();
        assert_eq!(told[0], "cannot open 0: it is not there");
        assert_eq!(told[1], "cannot open 1: it is a folder");
        for (at, told) in told.iter().enumerate().skip(2) {
            let bytes = fs::read(dir.path().join(tasks[at].path.as_str())).unwrap();
            assert_eq!(*told, contents_of(&bytes).hash.to_string());
        }

        let stop = AtomicBool::new(true);
        read_many(&folder, &tasks, &stop, |_, _| panic!("it was stopped")).unwrap();
        assert!(read(&folder, &tree("5"), &stop).unwrap().is_none());
    }
}
