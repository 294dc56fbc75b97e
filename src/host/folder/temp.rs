//! Contents on their way into the folder: `.orchestra/tmp`.
//!
//! A content that comes in pieces is in a file that is named by its hash, so that what arrived is found again after any
//! crash and used. Which stretches were written the file system knows; that they are right only their hashes say.
//! A [`Temp`] becomes [`Whole`] when all of it was read and has the hash, and [`Synced`] when it is on the disk: only that
//! can be put in place.

use std::fs::{File, TryLockError};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, Mode, SeekFrom, fallocate, seek};
use rustix::io::Errno;

use super::beneath::{self, Kind, Stat};
use super::disk::Age;
use super::root::{PASSING, Root};
use super::trouble::{Action, FolderError, Trouble};
use crate::entry::{Attributes, ContentHash};
use crate::limits::{READ_SLICE, SYNC_EACH_MAX};

/// The permissions that new files ask for; the user's mask takes from it.
const FILE_MODE: Mode =
    Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP).union(Mode::WGRP).union(Mode::ROTH).union(Mode::WOTH);

/// A content of which some has arrived.
#[derive(Debug)]
pub struct Temp {
    part: Part,
    file: File,
    hash: ContentHash,
    size: u64,
}

/// A content that is all there, and right.
#[derive(Debug)]
pub struct Whole {
    part: Part,
    /// Open since before it was written, or not at all.
    file: Option<File>,
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
    /// The hash that it is to have.
    pub hash: ContentHash,
    /// What there is: the size is the announced one, the time that of the last write.
    pub stat: Stat,
}

impl Temp {
    /// Opens what arrived of a content, or begins it.
    ///
    /// # Errors
    /// It is open already ([`Trouble::Busy`]), or cannot be opened.
    pub fn open(root: &Arc<Root>, hash: ContentHash, size: u64) -> Result<Temp, FolderError> {
        let part =
            Part { root: Arc::clone(root), name: hash.to_string(), age: root.disk.age(), moved: false };
        let open = || {
            let file = part.open()?;
            if Stat::of(&file)?.size != size {
                // Begun for another size, or never begun in earnest.
                file.set_len(0)?;
                file.set_len(size)?;
            }
            Ok(file)
        };
        let file = open().map_err(|trouble: Trouble| part.error(Action::Open, trouble))?;
        Ok(Temp { part, file, hash, size })
    }

    /// The announced size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Reserves room for all of it, so that a full disk is found before the content is fetched.
    ///
    /// # Errors
    /// There is not so much room.
    pub fn reserve(&self) -> Result<(), FolderError> {
        let reserved = if self.size == 0 {
            Ok(())
        } else {
            fallocate(&self.file, FallocateFlags::empty(), 0, self.size)
        };
        match reserved {
            // FAT, NFS before 4.2 and others cannot reserve.
            Err(errno) if beneath::cannot(errno) => Ok(()),
            result => result.map_err(|errno| self.error(Action::Write, errno)),
        }
    }

    /// Writes a piece at its place.
    ///
    /// # Errors
    /// It reaches beyond the end, or the disk is full or fails.
    pub fn write(&self, bytes: &[u8], offset: u64) -> Result<(), FolderError> {
        self.check_range(offset, bytes.len() as u64)?;
        self.file.write_all_at(bytes, offset).map_err(|error| self.error(Action::Write, error))
    }

    /// Reads a piece back.
    ///
    /// # Errors
    /// It reaches beyond the end, or the disk fails.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), FolderError> {
        self.check_range(offset, buffer.len() as u64)?;
        self.file.read_exact_at(buffer, offset).map_err(|error| self.error(Action::Read, error))
    }

    /// The next stretch, at this offset or after it, in which something may have been written; what is outside of all
    /// stretches certainly was not. None if nothing follows.
    ///
    /// # Errors
    /// The disk fails.
    pub fn written(&self, from: u64) -> Result<Option<Range<u64>>, FolderError> {
        if from >= self.size {
            return Ok(None);
        }
        let start = match seek(&self.file, SeekFrom::Data(from)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(None),
            // The file system does not know its holes.
            Err(errno) if beneath::cannot(errno) => from,
            Err(errno) => return Err(self.error(Action::Read, errno)),
        };
        let end = seek(&self.file, SeekFrom::Hole(start)).unwrap_or(self.size).min(self.size);
        Ok((start < end).then_some(start..end))
    }

    /// Shares the bytes of a local file from its begin, if the file system can let two files share them; says whether.
    ///
    /// # Errors
    /// The disk fails.
    pub fn share(&self, source: &File) -> Result<bool, FolderError> {
        match share(&self.file, source) {
            // It has the end of the source now if that is longer.
            Ok(()) => {
                self.file.set_len(self.size).map(|()| true).map_err(|error| self.error(Action::Write, error))
            }
            Err(errno)
                if beneath::cannot(errno) || matches!(errno, Errno::XDEV | Errno::PERM | Errno::TXTBSY) =>
            {
                Ok(false)
            }
            Err(errno) => Err(self.error(Action::Write, errno)),
        }
    }

    /// Copies from a local file, by sharing where the file system can. What was copied is as right as the source is.
    ///
    /// # Errors
    /// The source is shorter ([`Trouble::Short`]), it reaches beyond the end, or the disk is full or fails.
    pub fn copy(&self, source: &File, from: Range<u64>, to: u64) -> Result<(), FolderError> {
        let len = from.end.saturating_sub(from.start);
        self.check_range(to, len)?;
        copy(source, from.start, &self.file, to, len).map_err(|trouble| self.error(Action::Write, trouble))
    }

    /// Reads all of it, and compares.
    ///
    /// # Errors
    /// The disk fails; or the hash is another one ([`Trouble::Wrong`]), and the file is thrown away.
    pub fn verify(self) -> Result<Whole, FolderError> {
        let hash = hash_of(&self.file, self.size).map_err(|trouble| self.error(Action::Read, trouble))?;
        if hash != self.hash {
            let error = self.error(Action::Read, Trouble::Wrong);
            self.part.throw_away();
            return Err(error);
        }
        Ok(Whole { part: self.part, file: Some(self.file) })
    }

    /// Throws away what arrived.
    pub fn throw_away(self) {
        self.part.throw_away();
    }

    fn check_range(&self, offset: u64, len: u64) -> Result<(), FolderError> {
        match offset.checked_add(len) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(self.error(Action::Write, Trouble::Beyond)),
        }
    }

    fn error(&self, action: Action, trouble: impl Into<Trouble>) -> FolderError {
        self.part.error(action, trouble)
    }
}

impl Whole {
    /// A content that is all there at once. It has no open file, so there may be many of them.
    ///
    /// # Errors
    /// The hash is another one, or the disk is full or fails.
    pub fn of_bytes(root: &Arc<Root>, hash: ContentHash, bytes: &[u8]) -> Result<Whole, FolderError> {
        let part = Part::passing(root);
        if ContentHash::of(bytes) != hash {
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
    fn open(&self) -> Result<File, Trouble> {
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
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Trouble::Busy),
            // Some network file systems have no locks.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
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

/// The hash of the first `size` bytes of an open file.
///
/// # Errors
/// It is shorter, or the disk fails.
pub(super) fn hash_of(file: &File, size: u64) -> Result<ContentHash, Trouble> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ_SLICE];
    let mut offset = 0;
    while offset < size {
        let len = usize::try_from(size - offset).map_or(READ_SLICE, |left| left.min(READ_SLICE));
        match file.read_at(&mut buffer[..len], offset) {
            Ok(0) => return Err(Trouble::Short),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ContentHash::from_bytes(*hasher.finalize().as_bytes()))
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
