//! Digests of files that are already on disk, on all cores and in constant memory.
//!
//! [`hash_parts`] tells which parts of a file are right; [`digest_whole_and_parts`] is for a file of which
//! nothing is known yet.
//! This does not know what the digests should be.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::HostError;
use super::error::FileAction;
use super::holes::Holes;
use super::thread::{join_scoped, scoped};
use crate::digest::{self, Digest, Hasher, SideBySide};
use crate::limits::{
    HASH_BUFFERS, HASH_STRETCH, HASH_STRETCH_MAX, HASH_STRETCH_PARTS_MAX, HASH_THREADS_MAX, HASH_TOGETHER,
    READ_SLICE,
};
use crate::part::{Layout, PartIndex, Run};

/// Finds the digest of every part of a file, on all cores.
///
/// `found` is told the digests of some consecutive parts at a time, from several threads and in no particular
/// order; each part comes once.
/// A part that is a hole in the file is not read; its digest is that of as many zero bytes.
/// The position of `file` moves; positional reads and writes may go on at the same time.
/// With `stop` set it returns early, and not every part was found.
///
/// # Errors
/// A part cannot be read, or the file ends before the layout says ([`io::ErrorKind::UnexpectedEof`]); some parts
/// may have been found before that.
pub fn hash_parts(
    file: &File,
    path: &Path,
    layout: Layout,
    stop: &AtomicBool,
    found: impl Fn(Run, &[Digest]) + Sync,
) -> Result<(), HostError> {
    let file_len = file.metadata().map_err(HostError::file(FileAction::Inspect, path))?.len();
    if file_len < layout.size() {
        let missing = layout.all().find(|part| layout.range(Run::one(*part)).end > file_len);
        let missing = missing.expect("the last part ends where the composition does");
        return Err(HostError::file(FileAction::ReadPart(missing), path)(
            io::ErrorKind::UnexpectedEof.into(),
        ));
    }
    let cores = super::thread::cores();
    let parts_per_stretch = parts_per_thread(layout, cores);
    let job = PartsJob {
        source: Source { file, path, layout },
        file_len,
        parts_per_stretch,
        next: AtomicU32::new(0),
        stop,
        failed: AtomicBool::new(false),
        zeros: [OnceLock::new(), OnceLock::new()],
        found,
    };
    let stretches = layout.parts().div_ceil(parts_per_stretch) as usize;
    let helpers = cores.min(HASH_THREADS_MAX).min(stretches).saturating_sub(1);
    thread::scope(|scope| {
        let mut threads = Vec::with_capacity(helpers);
        for number in 1..=helpers {
            match scoped(scope, format!("hash{number}"), || job.run()) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    job.failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        // The calling thread takes its share, so small files start no thread at all.
        let own = job.run();
        threads.into_iter().map(join_scoped).fold(own, Result::and)
    })
}

/// Finds the digests of a whole file and of every part of it, reading each byte once.
///
/// One thread reads and hashes parts, another one hashes the whole.
/// `progress` is called from the calling thread with the number of bytes that were read so far.
/// With `stop` set it returns early, with nothing.
///
/// # Errors
/// The file cannot be read, or is shorter than the layout says ([`io::ErrorKind::UnexpectedEof`]).
pub fn digest_whole_and_parts(
    file: &File,
    path: &Path,
    layout: Layout,
    stop: &AtomicBool,
    progress: impl FnMut(u64),
) -> Result<Option<(Digest, Vec<Digest>)>, HostError> {
    thread::scope(|scope| {
        let (filled, to_hash) = bounded::<Vec<u8>>(HASH_BUFFERS);
        let (hashed, empty) = bounded::<Vec<u8>>(HASH_BUFFERS);
        for _ in 0..HASH_BUFFERS {
            hashed.send(Vec::new()).expect("the channel has room for every buffer");
        }
        let whole = scoped(scope, "hash-whole".to_owned(), move || {
            let mut hasher = Hasher::default();
            for buffer in to_hash {
                hasher.update(&buffer);
                // Once the reader has ended, nobody needs the buffer.
                drop(hashed.send(buffer));
            }
            hasher.finish()
        })?;
        let source = Source { file, path, layout };
        let reader = OnePass { source, empty, filled, stop, progress, read: 0 };
        let parts = reader.run();
        // The reader has ended and dropped its side, so the hasher runs dry.
        let whole = join_scoped(whole);
        Ok(parts?.map(|parts| (whole, parts)))
    })
}

/// How many consecutive parts a thread of [`hash_parts`] takes at a time: [`HASH_STRETCH`] bytes, or
/// [`HASH_TOGETHER`] parts if the other cores have their share then, too.
fn parts_per_thread(layout: Layout, cores: usize) -> u32 {
    const { assert!(HASH_TOGETHER as usize == digest::LANES, "no lane stays empty") };
    let share = layout.parts().div_ceil(u32::try_from(cores).unwrap_or(u32::MAX));
    (HASH_STRETCH / layout.part_len()).max(HASH_TOGETHER.min(share)).clamp(1, HASH_STRETCH_PARTS_MAX)
}

/// How many consecutive parts [`digest_whole_and_parts`] reads at a time: [`HASH_STRETCH`] bytes, or as much more (up to
/// [`HASH_STRETCH_MAX`]) as [`HASH_TOGETHER`] parts need.
fn parts_per_stretch(layout: Layout) -> u32 {
    let part_len = layout.part_len();
    let together = HASH_TOGETHER.min(HASH_STRETCH_MAX / part_len);
    (HASH_STRETCH / part_len).max(together).clamp(1, HASH_STRETCH_PARTS_MAX)
}

/// The stretch with this number, counted from 0.
fn stretch(layout: Layout, parts_per_stretch: u32, number: u32) -> Option<Run> {
    let first = number.checked_mul(parts_per_stretch)?;
    let left = layout.parts().checked_sub(first)?;
    layout.run(first, left.min(parts_per_stretch))
}

/// A file and how it is cut into parts.
#[derive(Clone, Copy)]
struct Source<'a> {
    file: &'a File,
    path: &'a Path,
    layout: Layout,
}

impl Source<'_> {
    /// Reads all bytes of a run.
    fn read_run(&self, run: Run, buffer: &mut Vec<u8>) -> Result<(), HostError> {
        let len = usize::try_from(self.layout.bytes_of(run)).expect("a stretch fits in memory");
        buffer.resize(len, 0);
        fill(self.file, buffer, self.layout.offset(run.first())).map_err(|(got, error)| {
            let part = run.parts().nth(got / self.layout.part_len() as usize);
            HostError::file(FileAction::ReadPart(part.unwrap_or(run.last())), self.path)(error)
        })
    }

    /// Fills `slice` with bytes of one part, from `start` bytes after its beginning on.
    fn read_slice(&self, part: PartIndex, start: usize, slice: &mut [u8]) -> Result<(), HostError> {
        fill(self.file, slice, self.layout.offset(part) + start as u64)
            .map_err(|(_, error)| HostError::file(FileAction::ReadPart(part), self.path)(error))
    }

    /// The digests of all parts of a run whose bytes were read.
    fn digests(&self, bytes: &[u8]) -> Vec<Digest> {
        let parts: Vec<&[u8]> = bytes.chunks(self.layout.part_len() as usize).collect();
        digest::of_many(&parts)
    }

    /// Whether a part is too long for a stretch and goes through memory in slices.
    const fn has_long_parts(&self) -> bool {
        self.layout.part_len() > HASH_STRETCH_MAX
    }
}

/// Fills a buffer from a file, or tells how many bytes came before the trouble.
fn fill(file: &File, buffer: &mut [u8], offset: u64) -> Result<(), (usize, io::Error)> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read_at(&mut buffer[got..], offset + got as u64) {
            Ok(0) => return Err((got, io::ErrorKind::UnexpectedEof.into())),
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((got, error)),
        }
    }
    Ok(())
}

/// What the threads of [`hash_parts`] share.
struct PartsJob<'a, F> {
    source: Source<'a>,
    file_len: u64,
    parts_per_stretch: u32,
    /// The number of the stretch that is taken next.
    next: AtomicU32,
    stop: &'a AtomicBool,
    /// Whether a thread met an error, so that the others need not go on.
    failed: AtomicBool,
    /// The digests of zeros: as many as a part has, and as many as the last part has.
    zeros: [OnceLock<Digest>; 2],
    found: F,
}

impl<F: Fn(Run, &[Digest]) + Sync> PartsJob<'_, F> {
    /// Takes stretches until there is none left.
    fn run(&self) -> Result<(), HostError> {
        let mut holes = Holes::new(self.source.file, self.file_len);
        let mut buffer = Vec::new();
        while !self.stop.load(Ordering::Relaxed) && !self.failed.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(stretch) = stretch(self.source.layout, self.parts_per_stretch, number) else { break };
            self.hash_stretch(stretch, &mut holes, &mut buffer)
                .inspect_err(|_| self.failed.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    }

    fn hash_stretch(
        &self,
        stretch: Run,
        holes: &mut Holes<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), HostError> {
        let in_hole: Vec<bool> =
            stretch.parts().map(|part| holes.contain(&self.source.layout.range(Run::one(part)))).collect();
        for (run, is_hole) in stretch.cut_by(&in_hole) {
            if is_hole {
                let zeros: Vec<Digest> = run.parts().map(|part| self.digest_of_zeros(part)).collect();
                (self.found)(run, &zeros);
            } else {
                self.hash_run(run, buffer)?;
            }
        }
        Ok(())
    }

    fn hash_run(&self, run: Run, buffer: &mut Vec<u8>) -> Result<(), HostError> {
        if self.source.layout.part_len() as usize > READ_SLICE {
            return self.hash_side_by_side(run, buffer);
        }
        self.source.read_run(run, buffer)?;
        (self.found)(run, &self.source.digests(buffer));
        Ok(())
    }

    /// Reads a slice of each part in turn, so that what is hashed is still in the core's cache.
    fn hash_side_by_side(&self, run: Run, buffer: &mut Vec<u8>) -> Result<(), HostError> {
        const { assert!(READ_SLICE.is_multiple_of(SideBySide::SLICE_UNIT), "slices are whole") };
        let layout = self.source.layout;
        let (first, last) = (layout.len_of(run.first()) as usize, layout.len_of(run.last()) as usize);
        if first != last {
            // The last part of the composition goes alone, unless it is as long as the others.
            let (others, last) = run.split_at(run.count() - 1);
            self.hash_side_by_side(others, buffer)?;
            return last.map_or(Ok(()), |last| self.hash_side_by_side(last, buffer));
        }
        let mut digests = SideBySide::new(run.count() as usize);
        let mut start = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let len = READ_SLICE.min(first - start);
            buffer.resize(len * run.count() as usize, 0);
            for (part, slice) in run.parts().zip(buffer.chunks_mut(len)) {
                self.source.read_slice(part, start, slice)?;
            }
            let slices: Vec<&[u8]> = buffer.chunks(len).collect();
            start += len;
            if start == first {
                (self.found)(run, &digests.finish(&slices));
                break;
            }
            digests.update(&slices);
        }
        Ok(())
    }

    fn digest_of_zeros(&self, part: PartIndex) -> Digest {
        let len = self.source.layout.len_of(part);
        let shorter = usize::from(len != self.source.layout.part_len());
        *self.zeros[shorter].get_or_init(|| {
            let zeros = [0; 4096];
            let mut hasher = Hasher::default();
            let mut left = len as usize;
            while left > 0 {
                let slice = &zeros[..left.min(zeros.len())];
                hasher.update(slice);
                left -= slice.len();
            }
            hasher.finish()
        })
    }
}

/// The thread of [`digest_whole_and_parts`] that reads.
struct OnePass<'a, F> {
    source: Source<'a>,
    empty: Receiver<Vec<u8>>,
    filled: Sender<Vec<u8>>,
    stop: &'a AtomicBool,
    progress: F,
    /// Bytes so far.
    read: u64,
}

impl<F: FnMut(u64)> OnePass<'_, F> {
    /// Reads all of the file; the digests of its parts, or nothing if it was stopped.
    fn run(mut self) -> Result<Option<Vec<Digest>>, HostError> {
        let layout = self.source.layout;
        let mut digests = Vec::with_capacity(layout.parts() as usize);
        for number in 0.. {
            let Some(stretch) = stretch(layout, parts_per_stretch(layout), number) else { break };
            if self.source.has_long_parts() {
                let mut hasher = Hasher::default();
                let part = stretch.first();
                let len = layout.len_of(part) as usize;
                for start in (0..len).step_by(READ_SLICE) {
                    let Some(mut buffer) = self.next_buffer() else { return Ok(None) };
                    buffer.resize(READ_SLICE.min(len - start), 0);
                    self.source.read_slice(part, start, &mut buffer)?;
                    hasher.update(&buffer);
                    self.pass_on(buffer);
                }
                digests.push(hasher.finish());
            } else {
                let Some(mut buffer) = self.next_buffer() else { return Ok(None) };
                self.source.read_run(stretch, &mut buffer)?;
                digests.extend(self.source.digests(&buffer));
                self.pass_on(buffer);
            }
        }
        Ok(Some(digests))
    }

    /// A buffer to read into; none if it is time to stop.
    fn next_buffer(&self) -> Option<Vec<u8>> {
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        // The other side only hashes what it has, so the wait is short; it ends only by a panic, which the
        // join passes on.
        self.empty.recv().ok()
    }

    fn pass_on(&mut self, buffer: Vec<u8>) {
        self.read += buffer.len() as u64;
        // A failed send means that the other side panicked; the join passes that on.
        drop(self.filled.send(buffer));
        (self.progress)(self.read);
    }
}

#[cfg(test)]
mod tests;
