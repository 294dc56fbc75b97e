//! Cutting and hashing one file, by one thread or several.
//!
//! Where a chunk ends follows from where it begins, so cutting has to begin at the front. But cuts are where the
//! content says: who begins somewhere in the middle soon cuts where everybody does. So the file is cut in *segments*:
//! whoever has nothing else to do takes the next one and begins a little before it, and the owner of the file, who knows
//! the true cuts from the front on, takes what was found from the first place on at which both cut, and cuts by itself
//! up to there. The chunks are always those of one thread that began at the front; only how long it takes is up to luck.
//!
//! Looking for cuts takes as long as hashing. Of a file that was read before it is known what it was cut into, so what has
//! the same hash at the same place is not looked through for cuts again.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, bounded};

use super::chunk_average;
use super::crew::{Crew, Invitation};
use super::cutter::{Cutter, WINDOW};
use super::former::Former;
use crate::entry::{Chunk, ContentHash};
use crate::host::folder::Trouble;
use crate::limits::{CHUNK_LEN_MAX, CONTENT_THREADS_MAX, KIB, WHOLE_LEN_MAX};

/// What one read takes: small enough to be cut and hashed while it is in the core's cache.
const READ: usize = 256 * KIB;
/// The most that a buffer holds: the longest chunk, and as much again so that bytes are seldom moved to its front.
const BUFFER: usize = 2 * CHUNK_LEN_MAX;
/// How many of the longest chunks a segment has: so many that those around its begin, which are cut twice, hardly count.
const SEGMENT_CHUNKS: u64 = 32;
/// How many average chunks before its segment a helper begins to cut, and mostly cuts where everybody does when it is
/// there. They are not hashed.
const RUN_UP_CHUNKS: u64 = 6;

/// What a thread reads files with, one after the other.
#[derive(Default)]
pub(super) struct Reader {
    buffer: Vec<u8>,
}

/// A name, and the list of chunks; no chunks if it is short.
pub(super) type Named = (ContentHash, Vec<Chunk>);

/// The name and the chunks of the first `size` bytes of a file, which has no more; nothing if `stop` was set meanwhile.
/// `before` are the chunks that it had when it was read last, as far as they are known.
///
/// # Errors
/// It has more or fewer bytes ([`Trouble::Changed`]), or the disk fails.
pub(super) fn name<'a>(
    file: File,
    size: u64,
    before: &[Chunk],
    stop: &'a AtomicBool,
    crew: &Crew<'a>,
    reader: &mut Reader,
) -> Result<Option<Named>, Trouble> {
    if stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    if size <= WHOLE_LEN_MAX {
        return reader.short(&file, size).map(|hash| Some((hash, Vec::new())));
    }
    let cutter = Cutter::new(chunk_average(size));
    let job = Arc::new(Job {
        former: Former::new(before, &cutter),
        cutter,
        next: AtomicUsize::new(0),
        file,
        size,
        stop,
    });
    let Some(chunks) = Owner::cut(&job, crew, reader)? else { return Ok(None) };
    if read_some(&job.file, &mut [0], size)? > 0 {
        return Err(Trouble::Changed);
    }
    Ok(Some((ContentHash::of_chunks(&chunks), chunks)))
}

/// Whether a file of this length is worth a crew.
pub(super) fn is_long(size: u64) -> bool {
    size > segment_len(&Cutter::new(chunk_average(size)))
}

impl Reader {
    fn short(&mut self, file: &File, size: u64) -> Result<ContentHash, Trouble> {
        let len = usize::try_from(size).expect("a short file has a few KiB");
        // One more, to see whether there is more.
        let buffer = self.room(len + 1);
        let mut filled = 0;
        while filled < buffer.len() {
            match read_some(file, &mut buffer[filled..], filled as u64)? {
                0 => break,
                got => filled += got,
            }
        }
        if filled == len { Ok(ContentHash::of(&buffer[..len])) } else { Err(Trouble::Changed) }
    }

    fn room(&mut self, len: usize) -> &mut [u8] {
        self.buffer.resize(self.buffer.len().max(len), 0);
        &mut self.buffer[..len]
    }
}

/// A file that is cut.
#[derive(Debug)]
pub(super) struct Job<'a> {
    file: File,
    size: u64,
    cutter: Cutter,
    former: Former,
    /// The first segment that nobody has taken.
    next: AtomicUsize,
    stop: &'a AtomicBool,
}

/// What was found in one segment.
#[derive(Debug)]
pub(super) struct Piece {
    segment: usize,
    /// Where the first chunk begins.
    from: u64,
    /// Those that begin in the segment; none if it was stopped.
    chunks: Result<Option<Vec<Chunk>>, Trouble>,
}

impl Job<'_> {
    /// Whether a segment is left that nobody has taken.
    pub(super) fn has_more(&self) -> bool {
        self.next.load(Ordering::Relaxed) < self.segments()
    }

    /// Takes the next segment and cuts it; none if all are taken.
    pub(super) fn help(&self, reader: &mut Reader) -> Option<Piece> {
        self.take().map(|segment| self.guess(segment, reader))
    }

    /// Nobody takes a segment any more.
    pub(super) fn end(&self) {
        self.next.store(self.segments(), Ordering::Relaxed);
    }

    fn take(&self) -> Option<usize> {
        let segments = self.segments();
        let more = |next| (next < segments).then_some(next + 1);
        self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()
    }

    fn segments(&self) -> usize {
        usize::try_from(self.size.div_ceil(segment_len(&self.cutter))).expect("a file has at most a million")
    }

    fn begin(&self, segment: usize) -> u64 {
        segment_len(&self.cutter) * segment as u64
    }

    /// Cuts a segment of which nobody knows yet where its first chunk begins.
    fn guess(&self, segment: usize, reader: &mut Reader) -> Piece {
        let (begin, end) = (self.begin(segment), self.begin(segment + 1));
        // If none begins here, nothing can be joined.
        let mut from = u64::MAX;
        let mut chunks = Vec::new();
        let cut = self.cut(self.run_up(begin), reader, |at, found| {
            if at >= begin {
                from = from.min(at);
                chunks.push(found.chunk());
            }
            at + (found.bytes.len() as u64) < end
        });
        Piece { segment, from, chunks: cut.map(|whole| whole.then_some(chunks)) }
    }

    /// Where to begin to cut so as to cut where everybody does from this place on.
    fn run_up(&self, begin: u64) -> u64 {
        let is_cut = |at: &u64| {
            let mut window = [0; WINDOW];
            let from = at.checked_sub(WINDOW as u64 - 1);
            // What cannot be read is found out by whoever cuts there.
            from.is_some_and(|from| self.file.read_exact_at(&mut window, from).is_ok())
                && self.cutter.may_end(&window)
        };
        let run_up = RUN_UP_CHUNKS * self.cutter.average as u64;
        self.former.next_begins(begin, self.size).find(is_cut).unwrap_or(begin - run_up.min(begin))
    }

    /// Cuts the file from this place on, and shows each chunk and its place until no more are wanted. Says whether it was
    /// not stopped.
    fn cut(
        &self,
        mut at: u64,
        reader: &mut Reader,
        mut show: impl FnMut(u64, Found<'_>) -> bool,
    ) -> Result<bool, Trouble> {
        let longest = self.cutter.longest;
        let buffer = reader.room((4 * longest).min(BUFFER));
        let (mut start, mut end) = (0, 0);
        while at < self.size {
            let left = usize::try_from(self.size - at).unwrap_or(usize::MAX);
            // One more byte than the longest has: it decides about the longest but one.
            while end - start < (longest + 1).min(left) {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(false);
                }
                if buffer.len() - end < READ {
                    buffer.copy_within(start..end, 0);
                    (start, end) = (0, end - start);
                }
                let want = READ.min(left - (end - start));
                match read_some(&self.file, &mut buffer[end..end + want], at + (end - start) as u64)? {
                    0 => return Err(Trouble::Changed),
                    got => end += got,
                }
            }
            let found = self.first(at, &buffer[start..end]);
            let len = found.bytes.len();
            if !show(at, found) {
                break;
            }
            at += len as u64;
            start += len;
        }
        Ok(true)
    }

    /// The first chunk of these bytes, which are at this place.
    fn first<'b>(&self, at: u64, bytes: &'b [u8]) -> Found<'b> {
        for chunk in self.former.at(at, self.size) {
            let len = chunk.len as usize;
            if self.cutter.ends_as_before(bytes, len) && ContentHash::of(&bytes[..len]) == chunk.hash {
                return Found { bytes: &bytes[..len], hash: Some(chunk.hash) };
            }
        }
        Found { bytes: &bytes[..self.cutter.first(bytes)], hash: None }
    }
}

/// The bytes of a chunk, and their hash if it is known already.
struct Found<'b> {
    bytes: &'b [u8],
    hash: Option<ContentHash>,
}

impl Found<'_> {
    fn chunk(&self) -> Chunk {
        let len = u32::try_from(self.bytes.len()).expect("the longest chunk has a few MiB");
        Chunk { hash: self.hash.unwrap_or_else(|| ContentHash::of(self.bytes)), len }
    }
}

/// The length of a segment.
const fn segment_len(cutter: &Cutter) -> u64 {
    SEGMENT_CHUNKS * cutter.longest as u64
}

/// The thread whose file it is: it knows the true cuts, from the front on.
struct Owner<'j, 'a> {
    job: &'j Job<'a>,
    /// While there are segments to be taken.
    invitation: Option<Invitation<'j, 'a>>,
    found: Receiver<Piece>,
    /// Up to here the cuts are known.
    at: u64,
    chunks: Vec<Chunk>,
    /// What was found of each segment and not used yet.
    pieces: Vec<Option<Piece>>,
}

impl<'a> Owner<'_, 'a> {
    fn cut(job: &Arc<Job<'a>>, crew: &Crew<'a>, reader: &mut Reader) -> Result<Option<Vec<Chunk>>, Trouble> {
        let (sender, found) = bounded(CONTENT_THREADS_MAX);
        let mut owner = Owner {
            job,
            invitation: (job.segments() > 1).then(|| crew.invite(job, sender)),
            found,
            at: 0,
            chunks: Vec::new(),
            pieces: (0..job.segments()).map(|_| None).collect(),
        };
        while owner.at < job.size {
            if !owner.step(reader)? {
                return Ok(None);
            }
        }
        Ok(Some(owner.chunks))
    }

    /// Does what is to be done next; says whether it was not stopped.
    fn step(&mut self, reader: &mut Reader) -> Result<bool, Trouble> {
        let segment =
            usize::try_from(self.at / segment_len(&self.job.cutter)).expect("it is one of the segments");
        if let Some(piece) = self.pieces[segment].take() {
            let Some(chunks) = piece.chunks? else { return Ok(false) };
            return self.join(segment, piece.from, &chunks, reader);
        }
        let piece = match self.job.take() {
            // Nobody is ahead, so nothing has to be guessed.
            Some(taken) if taken == segment => return self.join(segment, u64::MAX, &[], reader),
            Some(taken) => self.job.guess(taken, reader),
            None => {
                // From here on only those can send who took a segment.
                self.invitation = None;
                self.found.recv().expect("whoever takes a segment says what is in it")
            }
        };
        self.keep(piece);
        while let Ok(piece) = self.found.try_recv() {
            self.keep(piece);
        }
        Ok(true)
    }

    fn keep(&mut self, piece: Piece) {
        let segment = piece.segment;
        self.pieces[segment] = Some(piece);
    }

    /// Cuts up to the first place at which one of these chunks begins, and goes on with them; or up to the end of the
    /// segment. Says whether it was not stopped.
    fn join(
        &mut self,
        segment: usize,
        from: u64,
        guessed: &[Chunk],
        reader: &mut Reader,
    ) -> Result<bool, Trouble> {
        let end = self.job.begin(segment + 1);
        // Where the next guessed chunk begins.
        let (mut guessed, mut begin) = (guessed.iter(), from);
        let mut meets = |at: u64| {
            while begin < at {
                begin = guessed.next().map_or(u64::MAX, |chunk| begin + u64::from(chunk.len));
            }
            begin == at
        };
        if !meets(self.at) {
            let went_on = self.job.cut(self.at, reader, |at, found| {
                self.chunks.push(found.chunk());
                self.at = at + found.bytes.len() as u64;
                self.at < end && !meets(self.at)
            })?;
            if !went_on {
                return Ok(false);
            }
        }
        if meets(self.at) {
            self.at += guessed.as_slice().iter().map(|chunk| u64::from(chunk.len)).sum::<u64>();
            self.chunks.extend(guessed);
        }
        Ok(true)
    }
}

fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> Result<usize, Trouble> {
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return Ok(result?),
        }
    }
}
