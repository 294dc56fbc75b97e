//! A file's content, read once: the hash of all of it, and the chunks that it is cut into.
//!
//! Cuts are where the content says (FastCDC: Xia and others, "The design of fast content-defined chunking for data
//! deduplication based storage systems", 2020), so bytes that are inserted or removed change the chunks around them,
//! and the others stay what they are.
//!
//! How long chunks are on average follows from the length of the file, by the square root, as with rsync: half of what
//! a change costs is then the list of chunks, and half the chunk itself.
//! It follows in steps, each of four times the length, and not smoothly: two versions of a file have chunks in common
//! only if they are cut with the same average.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fastcdc::v2020::{self, Normalization};
use thiserror::Error;

use super::beneath::{Beneath, Stat};
use super::facts::Facts;
use super::trouble::{Action, FolderError, Trouble};
use crate::entry::{Chunk, ContentHash, TreePath};
use crate::host::{HostError, thread};
use crate::limits::{
    CHUNK_AVERAGE_MAX, CHUNK_AVERAGE_MIN, CHUNK_CLASS_LEN, CHUNK_LEN_MAX, CHUNK_SPREAD, CONTENT_THREADS_MAX,
    FILE_LEN_MAX, KIB, WHOLE_LEN_MAX,
};

/// What one read takes: hashed as part of the whole while it is in the core's cache.
const READ: usize = 256 * KIB;
/// The most that a buffer holds: the longest chunk, and as much again so that bytes are seldom moved to its front.
const BUFFER: usize = 2 * CHUNK_LEN_MAX;

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The hash of all of it.
    pub hash: ContentHash,
    /// Its chunks in their order; none if it is no longer than [`WHOLE_LEN_MAX`] and so one chunk as a whole.
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
    Reader::default().read(folder, path, stop)
}

/// Reads files, on all cores.
///
/// `found` is told of each by its place among the paths, from several threads and in no particular order; with `stop`
/// set not of all. The calling thread does its share.
///
/// # Errors
/// The system has no room for a thread; some files may have been read before that.
pub fn read_many(
    folder: &Beneath,
    paths: &[TreePath],
    stop: &AtomicBool,
    found: impl Fn(usize, Result<Contents, ContentError>) + Sync,
) -> Result<(), HostError> {
    let next = AtomicUsize::new(0);
    let take = || {
        let mut reader = Reader::default();
        while !stop.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = paths.get(at) else { break };
            if let Some(contents) = reader.read(folder, path, stop).transpose() {
                found(at, contents);
            }
        }
    };
    let helpers = thread::cores().min(CONTENT_THREADS_MAX).min(paths.len()).saturating_sub(1);
    std::thread::scope(|scope| {
        let threads = (1..=helpers).map(|number| thread::scoped(scope, format!("read{number}"), take));
        let threads: Vec<_> = threads.collect();
        take();
        let join = |thread: Result<_, HostError>| thread.map(thread::join_scoped);
        threads.into_iter().map(join).fold(Ok(()), Result::and)
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

/// Reads files, one after the other.
#[derive(Default)]
struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    fn read(
        &mut self,
        folder: &Beneath,
        path: &TreePath,
        stop: &AtomicBool,
    ) -> Result<Option<Contents>, ContentError> {
        let file = folder.open_file(path)?;
        let look = || Stat::of(&file).map_err(|trouble| trouble.at(Action::Inspect, path));
        let before = look()?;
        if before.size > FILE_LEN_MAX {
            return Err(ContentError::TooLong(path.clone()));
        }
        let read = self.cut(&file, before.size, stop).map_err(|trouble| trouble.at(Action::Read, path));
        let Some((hash, chunks, len)) = read? else { return Ok(None) };
        let after = look()?;
        // A rename over it, or a further name for it, shows in its time of change as well.
        if len != before.size || !before.is_untouched(&after) {
            return Err(ContentError::Changed(path.clone()));
        }
        Ok(Some(Contents { hash, chunks, facts: after.into() }))
    }

    /// The hash of the whole, the chunks and the length; as far as it goes, if the file is longer or shorter by now.
    fn cut(
        &mut self,
        file: &File,
        size: u64,
        stop: &AtomicBool,
    ) -> Result<Option<(ContentHash, Vec<Chunk>, u64)>, Trouble> {
        let cutter = (size > WHOLE_LEN_MAX).then(|| Cutter::new(chunk_average(size)));
        let ahead = cutter.as_ref().map_or(1, |cutter| cutter.longest);
        let room = cutter.as_ref().map_or(READ, |cutter| (4 * cutter.longest).min(BUFFER));
        self.buffer.resize(self.buffer.len().max(room), 0);
        let buffer = &mut self.buffer[..room];

        let mut whole = blake3::Hasher::new();
        let mut chunks = Vec::new();
        let (mut start, mut end, mut len) = (0, 0, 0_u64);
        let mut ended = false;
        // A file that grows faster than it is read has an end as well.
        while len <= size {
            while !ended && end - start < ahead && len <= size {
                if stop.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                if buffer.len() - end < READ {
                    buffer.copy_within(start..end, 0);
                    (start, end) = (0, end - start);
                }
                let got = read_some(file, &mut buffer[end..end + READ], len)?;
                whole.update(&buffer[end..end + got]);
                end += got;
                len += got as u64;
                ended = got == 0;
            }
            if start == end {
                break;
            }
            let next = match &cutter {
                Some(cutter) => {
                    let chunk = cutter.first(&buffer[start..end]);
                    chunks.push(Chunk {
                        hash: ContentHash::of(chunk),
                        len: u32::try_from(chunk.len()).expect("the longest chunk has a few MiB"),
                    });
                    chunk.len()
                }
                None => end - start,
            };
            start += next;
        }
        Ok(Some((ContentHash::from_bytes(whole.finalize().into()), chunks, len)))
    }
}

fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> Result<usize, Trouble> {
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            result => return Ok(result?),
        }
    }
}

/// Where to cut, for one average.
struct Cutter {
    shortest: usize,
    average: usize,
    longest: usize,
    masks: (u64, u64),
}

impl Cutter {
    fn new(average: usize) -> Cutter {
        // The second level of the paper, which it finds best: most chunks are about as long as the average, and few
        // are cut because they are too long, which is where cuts do not follow the content.
        let masks = v2020::select_masks(average, Normalization::Level2);
        Cutter { shortest: average / CHUNK_SPREAD, average, longest: average * CHUNK_SPREAD, masks }
    }

    /// The first chunk of these bytes, which are as many as the longest one has, or all that are left.
    fn first<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let (strict, loose) = self.masks;
        let (shortest, average, longest) = (self.shortest, self.average, self.longest);
        let (_, len) = v2020::cut(bytes, shortest, average, longest, strict, loose, strict << 1, loose << 1);
        &bytes[..len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::fs;
    use std::io::Write;
    use std::path::Path;
    use std::sync::Mutex;

    static GO: AtomicBool = AtomicBool::new(false);
    const MIB: usize = 1024 * KIB;
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
        assert_eq!(contents.hash, ContentHash::of(bytes));
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
                    && (rest.is_empty() || bytes.len() >= average / CHUNK_SPREAD)
            );
            left = rest;
        }
        assert!(left.is_empty());
    }

    #[test]
    fn chunks_are_those_of_the_whole_file_at_once() {
        for len in [WHOLE + 1, 3 * MIB + 1, 9 * MIB] {
            let bytes = noise(len, 1);
            let contents = contents_of(&bytes);
            check(&bytes, &contents.chunks);
            let average = chunk_average(len as u64);
            let reference = v2020::FastCDC::with_level(
                &bytes,
                average / CHUNK_SPREAD,
                average,
                average * CHUNK_SPREAD,
                Normalization::Level2,
            );
            let lens: Vec<usize> = reference.map(|chunk| chunk.length).collect();
            assert!(contents.chunks.iter().map(|chunk| chunk.len as usize).eq(lens), "{len}");
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
            let (_, _, len) = Reader::default().cut(&file, before.size, &GO).unwrap().unwrap();
            let after = Stat::of(&file).unwrap();
            assert!(len != before.size || !before.is_untouched(&after));
        }
    }

    #[test]
    fn a_file_that_never_ends_is_not_read_for_ever() {
        let (_, _, len) =
            Reader::default().cut(&File::open("/dev/zero").unwrap(), 100, &GO).unwrap().unwrap();
        assert!(len > 100);
    }

    #[test]
    fn many_files_are_read_and_each_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Beneath::open(dir.path()).unwrap();
        let paths: Vec<TreePath> = (0..100).map(|number| tree(&number.to_string())).collect();
        for (at, path) in paths.iter().enumerate().skip(2) {
            fs::write(dir.path().join(path.as_str()), noise(at * 3_000, at as u64)).unwrap();
        }
        fs::create_dir(dir.path().join("1")).unwrap();
        let told: Mutex<Vec<Option<String>>> = Mutex::new(vec![None; paths.len()]);
        read_many(&folder, &paths, &GO, |at, contents| {
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
            assert_eq!(*told, ContentHash::of(&noise(at * 3_000, at as u64)).to_string());
        }

        let stop = AtomicBool::new(true);
        read_many(&folder, &paths, &stop, |_, _| panic!("it was stopped")).unwrap();
        assert!(read(&folder, &tree("5"), &stop).unwrap().is_none());
    }
}
