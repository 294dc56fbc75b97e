//! Contents on their way into the folder: `.orchestra/tmp`.
//!
//! A content that comes in chunks is in a file that has its name, so that what arrived is found again after any crash and
//! used. Which stretches were written the file system knows; that they are right only the hashes of the chunks say.
//! Each chunk is compared once, when it comes. A [`Temp`] becomes [`Whole`] when every chunk is there, because the list of
//! chunks was compared with the name; and [`Synced`] when it is on the disk: only that can be put in place.

use std::fs::{File, TryLockError};
use std::io;
use std::iter;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FallocateFlags, Mode, SeekFrom, fallocate, seek};
use rustix::io::Errno;

use super::beneath::{self, Kind, Stat};
use super::disk::Age;
use super::root::{PASSING, Root};
use super::trouble::{Action, FolderError, Trouble};
use crate::entry::chunk::makes_content;
use crate::entry::{Attributes, Chunk, ContentHash};
use crate::host::guarded::Guarded;
use crate::limits::{FOLDER_FLUSH_BYTES, READ_SLICE, SYNC_EACH_MAX, WHOLE_LEN_MAX, WRITE_SLICE};

/// The permissions that new files ask for; the user's mask takes from it.
const FILE_MODE: Mode =
    Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP).union(Mode::WGRP).union(Mode::ROTH).union(Mode::WOTH);

const WORD_BITS: usize = 64;

/// A content of which some has arrived. Many threads may work on it at a time; nobody waits for another.
#[derive(Debug)]
pub struct Temp {
    part: Part,
    file: Guarded,
    chunks: Vec<Chunk>,
    /// Where each chunk begins, and the last one ends.
    offsets: Vec<u64>,
    /// Invariant: a bit that is set means that the chunk is in the file, and right; it never turns off while others see
    /// it.
    there: Vec<AtomicU64>,
    /// How many bits are not set.
    missing: AtomicUsize,
    /// How many bytes were written since somebody last was told to flush them.
    unflushed: AtomicU64,
    /// A sync failed: what was written before it may be lost, and no later sync says so again.
    sync_failed: Mutex<bool>,
}

/// A content that is all there, and right.
#[derive(Debug)]
pub struct Whole {
    part: Part,
    /// Open since before it was written, or not at all.
    file: Option<Guarded>,
}

/// A content that is safely on the disk.
#[derive(Debug)]
pub struct Synced {
    pub(super) part: Part,
    pub(super) stat: Stat,
}

/// Something in `.orchestra/tmp`. Dropped, it stays if its name says what it is, and goes if not.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) root: Arc<Root>,
    pub(super) name: String,
    age: Age,
    /// It has another name by now.
    pub(super) moved: bool,
}

/// A content that a program that ended left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The name that it is to have.
    pub hash: ContentHash,
    /// What there is: the size is the announced one, the time that of the last write.
    pub stat: Stat,
}

impl Temp {
    /// Opens what arrived of a content, or begins it. No chunk counts as there before it was read ([`Temp::resume`]).
    ///
    /// # Errors
    /// The chunks do not make this content ([`Trouble::Wrong`]); it is open already ([`Trouble::Busy`]), or cannot be
    /// opened.
    pub fn open(
        root: &Arc<Root>,
        content: ContentHash,
        size: u64,
        chunks: Vec<Chunk>,
    ) -> Result<Temp, FolderError> {
        let part =
            Part { root: Arc::clone(root), name: content.to_string(), age: root.disk.age(), moved: false };
        let open = || {
            if !makes_content(&chunks, content, size) {
                return Err(Trouble::Wrong);
            }
            let file = part.open()?;
            if Stat::of(&file)?.size != size {
                // Never begun in earnest, or harmed: a name has only one size.
                file.set_len(0)?;
                file.set_len(size)?;
            }
            Ok(file)
        };
        let file = open().map_err(|trouble| part.error(Action::Open, trouble))?;
        let end_of = |end: &mut u64, chunk: &Chunk| {
            *end += u64::from(chunk.len);
            Some(*end)
        };
        let offsets = iter::once(0).chain(chunks.iter().scan(0, end_of)).collect();
        let there = (0..chunks.len().div_ceil(WORD_BITS)).map(|_| AtomicU64::new(0)).collect();
        let missing = AtomicUsize::new(chunks.len());
        let (unflushed, sync_failed) = (AtomicU64::new(0), Mutex::new(false));
        Ok(Temp { part, file, chunks, offsets, there, missing, unflushed, sync_failed })
    }

    /// The size of the whole in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.offset(self.chunks.len())
    }

    /// All its chunks, in their order.
    #[must_use]
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Where a chunk begins; the size for the one after the last.
    ///
    /// # Panics
    /// There are fewer chunks.
    #[must_use]
    pub fn offset(&self, at: usize) -> u64 {
        self.offsets[at]
    }

    /// Whether a chunk is there, and right.
    #[must_use]
    pub fn has(&self, at: usize) -> bool {
        let word = self.there.get(at / WORD_BITS);
        // Acquire: who sees the bit reads what was written before it was set.
        word.is_some_and(|word| word.load(Ordering::Acquire) & (1 << (at % WORD_BITS)) != 0)
    }

    /// How many chunks are not there yet.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing.load(Ordering::Acquire)
    }

    /// Reserves room for all of it, so that a full disk is found before the content is fetched.
    ///
    /// # Errors
    /// There is not so much room.
    pub fn reserve(&self) -> Result<(), FolderError> {
        let reserved = if self.size() == 0 {
            Ok(())
        } else {
            fallocate(&self.file, FallocateFlags::empty(), 0, self.size())
        };
        match reserved {
            // FAT, NFS before 4.2 and others cannot reserve.
            Err(errno) if beneath::cannot(errno) => Ok(()),
            result => result.map_err(|errno| self.error(Action::Write, errno)),
        }
    }

    /// Reads what an earlier program wrote, or what was shared, and finds the chunks that are right; of how many bytes,
    /// those left out that were known to be there. With `stop` set not all may have been read.
    ///
    /// # Errors
    /// The disk fails.
    pub fn resume(&self, stop: &AtomicBool) -> Result<u64, FolderError> {
        let mut found = 0;
        let mut buffer = Vec::new();
        let mut at = 0;
        // A chunk may have a hole in it where a file was shared, and is read if anything of it was written.
        while let Some(stretch) =
            self.written(self.offset(at)).map_err(|trouble| self.error(Action::Read, trouble))?
        {
            at = self.offsets.partition_point(|&offset| offset <= stretch.start) - 1;
            while at < self.chunks.len() && self.offset(at) < stretch.end {
                if stop.load(Ordering::Relaxed) {
                    return Ok(found);
                }
                if !self.has(at) {
                    let bytes = self.room(&mut buffer, at);
                    self.file
                        .read_exact_at(bytes, self.offset(at))
                        .map_err(|error| self.error(Action::Read, error))?;
                    if self.is_right(at, bytes) {
                        self.mark(at);
                        found += bytes.len() as u64;
                    }
                }
                at += 1;
            }
        }
        Ok(found)
    }

    /// Writes a chunk, if it is right. One that is there is not written again.
    ///
    /// # Errors
    /// It is not right ([`Trouble::Wrong`]), there is no such chunk ([`Trouble::Beyond`]), or the disk is full or fails.
    pub fn put(&self, at: usize, bytes: &[u8]) -> Result<(), FolderError> {
        if at >= self.chunks.len() {
            return Err(self.error(Action::Write, Trouble::Beyond));
        }
        if !self.is_right(at, bytes) {
            return Err(self.error(Action::Write, Trouble::Wrong));
        }
        self.write(at, bytes).map_err(|trouble| self.error(Action::Write, trouble))
    }

    /// Reads of a chunk that is there, from this offset in the file on.
    ///
    /// # Errors
    /// The chunk is not there ([`Trouble::Incomplete`]), it does not have so much there ([`Trouble::Beyond`]), or the
    /// disk fails.
    pub fn read(&self, at: usize, from: u64, buffer: &mut [u8]) -> Result<(), FolderError> {
        let mut read = || {
            if at >= self.chunks.len() {
                return Err(Trouble::Beyond);
            }
            let end = from.checked_add(buffer.len() as u64);
            if from < self.offset(at) || end.is_none_or(|end| end > self.offset(at + 1)) {
                return Err(Trouble::Beyond);
            }
            if !self.has(at) {
                return Err(Trouble::Incomplete);
            }
            Ok(self.file.read_exact_at(buffer, from)?)
        };
        read().map_err(|trouble: Trouble| self.error(Action::Read, trouble))
    }

    /// Takes consecutive chunks from a local file that may have them from this offset on; says how many were right,
    /// those left out that were there already. If the file has something else, or ends, it has fewer of them.
    ///
    /// # Errors
    /// There are no such chunks ([`Trouble::Beyond`]); the source cannot be read ([`Action::Read`], at the place of this
    /// one, as the path of the source is not known here); or the disk is full or fails ([`Action::Write`]).
    pub fn take(
        &self,
        chunks: Range<usize>,
        source: &File,
        offset: u64,
        stop: &AtomicBool,
    ) -> Result<usize, FolderError> {
        if chunks.end > self.chunks.len() || chunks.start > chunks.end {
            return Err(self.error(Action::Write, Trouble::Beyond));
        }
        let first = self.offset(chunks.start);
        let mut taken = 0;
        let mut buffer = Vec::new();
        for at in chunks {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if self.has(at) {
                continue;
            }
            let Some(from) = offset.checked_add(self.offset(at) - first) else { break };
            let bytes = self.room(&mut buffer, at);
            match source.read_exact_at(bytes, from) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(self.error(Action::Read, error)),
            }
            if self.is_right(at, bytes) {
                self.write(at, bytes).map_err(|trouble| self.error(Action::Write, trouble))?;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// Copies consecutive chunks from a local file that has them from this offset on, as the caller knows: nothing is
    /// compared. They count as there only if `is_as_known` says afterwards that the file is still the one of which that is
    /// known. The system copies by itself where it can, so it costs a quarter of [`Temp::take`].
    ///
    /// # Errors
    /// As for [`Temp::take`]; a file that is shorter is no error.
    pub fn copy(
        &self,
        chunks: Range<usize>,
        source: &File,
        offset: u64,
        is_as_known: impl FnOnce() -> bool,
    ) -> Result<(), FolderError> {
        if chunks.end > self.chunks.len() || chunks.start > chunks.end {
            return Err(self.error(Action::Write, Trouble::Beyond));
        }
        let (first, end) = (self.offset(chunks.start), self.offset(chunks.end));
        match copy(source, offset, &self.file, first, end - first) {
            Err(Trouble::Short) => return Ok(()),
            copied => copied.map_err(|trouble| self.error(Action::Write, trouble))?,
        }
        self.unflushed.fetch_add(end - first, Ordering::Relaxed);
        if is_as_known() {
            chunks.for_each(|at| self.mark(at));
        }
        Ok(())
    }

    /// Shares the bytes of a local file that may be this content, if the file system can let two files share them; says
    /// whether. No chunk is there after it, as what the file has is not known before it is read ([`Temp::resume`]).
    ///
    /// # Errors
    /// The disk fails.
    pub fn share(&mut self, source: &File) -> Result<bool, FolderError> {
        match share(&self.file, source) {
            Ok(()) => {
                self.there.iter_mut().for_each(|word| *word.get_mut() = 0);
                *self.missing.get_mut() = self.chunks.len();
                // It has the end of the source now.
                self.file
                    .set_len(self.size())
                    .map(|()| true)
                    .map_err(|error| self.error(Action::Write, error))
            }
            Err(errno)
                if beneath::cannot(errno) || matches!(errno, Errno::XDEV | Errno::PERM | Errno::TXTBSY) =>
            {
                Ok(false)
            }
            Err(errno) => Err(self.error(Action::Write, errno)),
        }
    }

    /// Whether so much was written that somebody should [flush](Temp::flush) it; says so once.
    #[must_use]
    pub fn is_flush_due(&self) -> bool {
        self.unflushed.load(Ordering::Relaxed) >= FOLDER_FLUSH_BYTES
            && self.unflushed.swap(0, Ordering::Relaxed) >= FOLDER_FLUSH_BYTES
    }

    /// Brings to the disk what was written so far, so that little is left to sync at the end, and forgets in memory what
    /// an earlier call brought there. If that fails, the content never becomes whole.
    pub fn flush(&self) {
        // Before the sync, because only what is on the disk already is forgotten; a system that does not take the
        // advice keeps more in memory, and nothing else.
        #[cfg(target_os = "linux")]
        let _advice = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed);
        let mut failed = self.sync_failed.lock().unwrap_or_else(PoisonError::into_inner);
        *failed |= self.file.sync_data().is_err();
    }

    /// The content, when every chunk is there. It is not read again: each was compared, and their list has its name.
    ///
    /// # Errors
    /// A chunk is missing ([`Trouble::Incomplete`]); what arrived is found again by whoever opens it next. Or a flush
    /// failed, and the file is thrown away.
    pub fn whole(self) -> Result<Whole, FolderError> {
        if *self.sync_failed.lock().unwrap_or_else(PoisonError::into_inner) {
            let error = self.error(Action::Sync, Errno::IO);
            self.part.throw_away();
            return Err(error);
        }
        match self.missing() {
            0 => Ok(Whole { part: self.part, file: Some(self.file) }),
            _ => Err(self.error(Action::Read, Trouble::Incomplete)),
        }
    }

    /// Throws away what arrived.
    pub fn throw_away(self) {
        self.part.throw_away();
    }

    /// The next stretch, at this offset or after it, in which something may have been written; what is outside of all
    /// stretches certainly was not. None if nothing follows.
    fn written(&self, from: u64) -> Result<Option<Range<u64>>, Trouble> {
        let size = self.size();
        if from >= size {
            return Ok(None);
        }
        let start = match seek(&self.file, SeekFrom::Data(from)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(None),
            // The file system does not know its holes.
            Err(errno) if beneath::cannot(errno) => from,
            Err(errno) => return Err(errno.into()),
        };
        let end = seek(&self.file, SeekFrom::Hole(start)).unwrap_or(size).min(size);
        Ok((start < end).then_some(start..end))
    }

    fn room<'b>(&self, buffer: &'b mut Vec<u8>, at: usize) -> &'b mut [u8] {
        let len = self.chunks[at].len as usize;
        buffer.resize(buffer.len().max(len), 0);
        &mut buffer[..len]
    }

    fn is_right(&self, at: usize, bytes: &[u8]) -> bool {
        let chunk = &self.chunks[at];
        bytes.len() == chunk.len as usize && ContentHash::of(bytes) == chunk.hash
    }

    /// Writes a chunk that is right.
    fn write(&self, at: usize, bytes: &[u8]) -> Result<(), Trouble> {
        if !self.has(at) {
            // Another thread may write the same bytes at the same time, which changes nothing.
            let mut offset = self.offset(at);
            for slice in bytes.chunks(WRITE_SLICE) {
                self.file.write_all_at(slice, offset)?;
                offset += slice.len() as u64;
            }
            self.unflushed.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            self.mark(at);
        }
        Ok(())
    }

    fn mark(&self, at: usize) {
        let bit = 1 << (at % WORD_BITS);
        // Release: who sees the bit reads what was written before.
        if self.there[at / WORD_BITS].fetch_or(bit, Ordering::AcqRel) & bit == 0 {
            self.missing.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn error(&self, action: Action, trouble: impl Into<Trouble>) -> FolderError {
        self.part.error(action, trouble)
    }
}

impl Whole {
    /// A content of at most [`WHOLE_LEN_MAX`] bytes that is all there at once. It has no open file, so there may be many of
    /// them.
    ///
    /// # Errors
    /// It is longer, or the hash is another one; or the disk is full or fails.
    pub fn of_bytes(root: &Arc<Root>, hash: ContentHash, bytes: &[u8]) -> Result<Whole, FolderError> {
        let part = Part::passing(root);
        if bytes.len() as u64 > WHOLE_LEN_MAX || ContentHash::of(bytes) != hash {
            return Err(part.error(Action::Write, Trouble::Wrong));
        }
        let write = || {
            let file = root.temps.create_file(&part.name, FILE_MODE)?;
            file.write_all_at(bytes, 0)?;
            Ok(())
        };
        write().map_err(|trouble: Trouble| part.error(Action::Write, trouble))?;
        Ok(Whole { part, file: None })
    }

    /// Sets time and executable bit. The other permissions are those of `like`, what it is to replace; or those of any
    /// new file.
    ///
    /// # Errors
    /// The system refuses.
    pub fn set_attributes(&self, attributes: Attributes, like: Option<&Stat>) -> Result<(), FolderError> {
        let set = || {
            let file = self.file()?;
            let like = like.filter(|like| like.kind == Kind::File);
            let mode = like.map_or_else(|| Ok(Stat::of(&file)?.mode), |like| Ok::<u32, Trouble>(like.mode));
            beneath::set_attributes(&file, attributes, mode?)
        };
        set().map_err(|trouble| self.part.error(Action::SetAttributes, trouble))
    }

    /// Brings it to the disk.
    ///
    /// # Errors
    /// The disk fails, and the file is thrown away.
    pub fn sync(self) -> Result<Synced, FolderError> {
        let sync = || {
            self.file()?.sync_all()?;
            self.stat()
        };
        let outcome = sync();
        self.finish(outcome)
    }

    /// What `sync` found.
    fn finish(self, outcome: Result<Stat, Trouble>) -> Result<Synced, FolderError> {
        match outcome {
            Ok(stat) => Ok(Synced { part: self.part, stat }),
            Err(trouble) => {
                let error = self.part.error(Action::Sync, trouble);
                self.part.throw_away();
                Err(error)
            }
        }
    }

    fn stat(&self) -> Result<Stat, Trouble> {
        self.part.stat()
    }

    fn file(&self) -> Result<File, Trouble> {
        match &self.file {
            Some(file) => Ok(file.try_clone()?),
            None => self.part.root.temps.open_own_file(&self.part.name),
        }
    }
}

/// Brings several to the disk, with one sync if they are many. The answers are in the order of the contents.
///
/// If the disk fails, all that this sync was for are thrown away.
pub fn sync_together(root: &Root, wholes: Vec<Whole>) -> Vec<Result<Synced, FolderError>> {
    if wholes.len() <= SYNC_EACH_MAX || !root.disk.syncs_together() {
        return wholes.into_iter().map(Whole::sync).collect();
    }
    match root.disk.sync_all() {
        Ok(age) => wholes.into_iter().map(|whole| whole.synced_at(age)).collect(),
        Err(trouble) => {
            let failed = |whole: Whole| {
                let again = io::Error::other(trouble.to_string());
                whole.finish(Err(Trouble::Io(again)))
            };
            wholes.into_iter().map(failed).collect()
        }
    }
}

impl Whole {
    fn synced_at(self, age: Age) -> Result<Synced, FolderError> {
        let outcome = if self.part.age == age { self.stat() } else { Err(Trouble::Io(Errno::IO.into())) };
        self.finish(outcome)
    }
}

/// What programs that ended left behind of contents that were on their way.
///
/// # Errors
/// The folder cannot be read.
pub fn left(root: &Root) -> Result<Vec<Left>, FolderError> {
    let look = || {
        let mut found = Vec::new();
        for name in root.temps.list()?.names {
            let Some(hash) = hash_named(&name) else { continue };
            found.extend(root.temps.stat(&name)?.map(|stat| Left { hash, stat }));
        }
        Ok(found)
    };
    look().map_err(|trouble: Trouble| trouble.at_own(Action::List, "tmp"))
}

fn hash_named(name: &str) -> Option<ContentHash> {
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(name.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    let hash = ContentHash::from_bytes(bytes);
    (hash.to_string() == name).then_some(hash)
}

impl Part {
    /// With a name that says nothing.
    pub(super) fn passing(root: &Arc<Root>) -> Part {
        Part { root: Arc::clone(root), name: root.passing_name(), age: root.disk.age(), moved: false }
    }

    pub(super) fn error(&self, action: Action, trouble: impl Into<Trouble>) -> FolderError {
        trouble.into().at_own(action, format!("tmp/{}", self.name))
    }

    pub(super) fn stat(&self) -> Result<Stat, Trouble> {
        self.root.temps.stat(&self.name)?.ok_or(Trouble::Missing)
    }

    /// Opens or creates it, for this one only.
    fn open(&self) -> Result<Guarded, Trouble> {
        let temps = &self.root.temps;
        let found = temps.stat(&self.name)?;
        if let Some(stat) = found {
            if stat.kind == Kind::Folder {
                return Err(Trouble::Is(stat.kind));
            }
            // What has another name as well is in place already, and must not be written to.
            if stat.kind != Kind::File || stat.links != 1 {
                temps.remove_file(&self.name)?;
            }
        }
        let file = match temps.create_file(&self.name, FILE_MODE) {
            Err(Trouble::Occupied) => match temps.open_own_file(&self.name) {
                // It was whole, and like a file that may not be written to.
                Err(Trouble::Denied(_)) => {
                    temps.make_writable(&self.name)?;
                    temps.open_own_file(&self.name)?
                }
                opened => opened?,
            },
            created => created?,
        };
        let file = Guarded::locked(file).map_err(|error| match error {
            TryLockError::WouldBlock => Trouble::Busy,
            TryLockError::Error(error) => error.into(),
        })?;
        // Whoever held the lock may have put it in place meanwhile.
        let stat = Stat::of(&file)?;
        match temps.stat(&self.name)? {
            Some(named) if named.is_same_thing(&stat) && named.links == 1 => Ok(file),
            _ => Err(Trouble::Busy),
        }
    }

    fn throw_away(mut self) {
        self.remove();
    }

    fn remove(&mut self) {
        self.moved = true;
        // What cannot be removed is found again at the next start, and never taken for a whole file before it is read.
        let _left = self.root.temps.remove_file(&self.name);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.moved && self.name.starts_with(PASSING) {
            self.remove();
        }
    }
}

#[cfg(target_os = "linux")]
fn share(file: &File, source: &File) -> rustix::io::Result<()> {
    rustix::fs::ioctl_ficlone(file, source)
}

#[cfg(not(target_os = "linux"))]
fn share(_file: &File, _source: &File) -> rustix::io::Result<()> {
    Err(Errno::NOSYS)
}

/// Copies within the system where it can.
pub(super) fn copy(
    source: &File,
    mut from: u64,
    file: &File,
    mut to: u64,
    mut len: u64,
) -> Result<(), Trouble> {
    #[cfg(target_os = "linux")]
    while len > 0 {
        let step = usize::try_from(len).unwrap_or(usize::MAX);
        match rustix::fs::copy_file_range(source, Some(&mut from), file, Some(&mut to), step) {
            Ok(0) => return Err(Trouble::Short),
            Ok(copied) => len -= copied as u64,
            Err(Errno::INTR) => {}
            Err(errno) if beneath::cannot(errno) || matches!(errno, Errno::XDEV | Errno::PERM) => break,
            Err(errno) => return Err(errno.into()),
        }
    }
    let mut buffer = vec![0; if len > 0 { READ_SLICE } else { 0 }];
    while len > 0 {
        let step = usize::try_from(len).map_or(READ_SLICE, |left| left.min(READ_SLICE));
        match source.read_at(&mut buffer[..step], from) {
            Ok(0) => return Err(Trouble::Short),
            Ok(read) => {
                file.write_all_at(&buffer[..read], to)?;
                (from, to, len) = (from + read as u64, to + read as u64, len - read as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
