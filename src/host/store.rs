//! A composition on disk: positional reads and writes, and which parts are there.
//!
//! The store is shared by all threads without a lock. Bytes at the place of a part that is on the shelf never
//! change, so readers and writers need not know of each other.
//!
//! What is being fetched is `NAME.part`, at full size from the start, so a full disk is found before the
//! first byte; it becomes `NAME` by one rename, after its content is safely on the disk.
//! A `NAME` that was there before is only read, unless the user asked for a repair.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
#[cfg(target_os = "linux")]
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};

#[cfg(target_os = "linux")]
use rustix::fs::Advice;
use rustix::fs::{FallocateFlags, OFlags, fallocate};
use thiserror::Error;

use super::error::FileAction;
use super::guarded::Guarded;
use super::regular::Stamp;
use super::shelf::Shelf;
use super::{HostError, directory};
use crate::limits::WRITE_SLICE;
use crate::part::{Layout, PartIndex, Run};
use crate::text::{self, Escaped};

/// One composition on disk.
#[derive(Debug)]
pub struct Store {
    layout: Layout,
    file: Guarded,
    path: PathBuf,
    origin: Origin,
    shelf: Shelf,
    /// What the file looked like when nobody had reason to change it any more; none while we write to it.
    settled: OnceLock<Stamp>,
    /// Held while parts are written: shared by writers, alone by whoever settles the file. A write that is late, of what
    /// another one has written meanwhile, would look like a change by somebody else.
    writing: RwLock<()>,
    /// Whether bringing something to the disk has failed. The system tells of that once, so it is remembered:
    /// whatever is synced after it proves nothing.
    sync_failed: Mutex<bool>,
}

/// What the store was opened on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    /// The user's complete file: only read.
    Whole,
    /// The user's file, to be repaired in place.
    Repair,
    /// What is being fetched; it will be renamed to this path.
    Fetched { to: PathBuf },
}

/// Where a composition is and what may be done about it.
#[derive(Clone, Debug)]
pub struct Place {
    /// The final path.
    pub whole: PathBuf,
    /// The path while it is being fetched, in the same directory.
    pub partial: PathBuf,
    /// Whether a file under the final name may be changed.
    pub repair: bool,
}

/// Why a composition cannot be opened.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The system would not do what we asked.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Under the name is something that is not a file.
    #[error("{path} is there and is not a file; move it away, or choose another directory with --dir",
        path = Escaped(&path.to_string_lossy()))]
    NotAFile {
        /// What is there.
        path: PathBuf,
    },
    /// Under the name is a file of another size.
    #[error("{path} is there with {found}, and the manifest says {expected}; it was not touched; \
        --repair makes it right in place, or move it away",
        path = Escaped(&path.to_string_lossy()), found = exact(*found), expected = exact(*expected))]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        found: u64,
        /// The size in the manifest.
        expected: u64,
    },
    /// Under the name is a link, and the user asked for a repair.
    #[error("{path} is a link, and --repair changes only files; put the file itself there, or move the link away",
        path = Escaped(&path.to_string_lossy()))]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// Another member works on the same file.
    #[error("another member is getting {path}; stop it, or choose another directory with --dir",
        path = Escaped(&path.to_string_lossy()))]
    InUse {
        /// The file.
        path: PathBuf,
    },
}

/// What the system has no words for: a file that had its full size when it was opened.
#[derive(Clone, Copy, Debug, Error)]
#[error("the file was cut short meanwhile")]
struct CutShort;

/// The file is not the one that was checked.
#[derive(Clone, Copy, Debug, Error)]
#[error("somebody changed the file meanwhile; run it again to check what is there")]
struct Changed;

/// An earlier sync failed, and what it was about is lost.
#[derive(Debug, Error)]
#[error("an earlier write did not reach the disk; run it again to check what is there")]
struct SyncFailed;

/// A size that people can compare digit by digit.
fn exact(bytes: u64) -> String {
    if bytes < 1024 { format!("{bytes} bytes") } else { format!("{bytes} bytes ({})", text::bytes(bytes)) }
}

impl Store {
    /// Opens what is there, or makes room for what is to come. Nothing is believed about its content: the
    /// shelf is empty until [`Store::put`] is told what was found.
    ///
    /// # Errors
    /// The file under the final name is not the composition and may not be changed, another member works on
    /// it, or the disk has no room.
    pub fn open(place: &Place, layout: Layout) -> Result<Store, StoreError> {
        match fs::metadata(&place.whole) {
            Ok(meta) if !meta.is_file() => Err(StoreError::NotAFile { path: place.whole.clone() }),
            // Whoever put a link there must not choose what is written to.
            Ok(_) if place.repair && place.whole.is_symlink() => {
                Err(StoreError::Link { path: place.whole.clone() })
            }
            Ok(meta) if place.repair => Store::open_repair(place, layout, meta.len()),
            Ok(meta) if meta.len() == layout.size() => Store::open_whole(place, layout),
            Ok(meta) => Err(StoreError::WrongSize {
                path: place.whole.clone(),
                found: meta.len(),
                expected: layout.size(),
            }),
            // A link that leads nowhere takes the name as well.
            Err(error) if error.kind() == io::ErrorKind::NotFound && place.whole.is_symlink() => {
                Err(StoreError::NotAFile { path: place.whole.clone() })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Store::open_partial(place, layout),
            Err(error) => Err(HostError::file(FileAction::Inspect, &place.whole)(error).into()),
        }
    }

    fn open_whole(place: &Place, layout: Layout) -> Result<Store, StoreError> {
        let file = File::open(&place.whole).map_err(HostError::file(FileAction::Open, &place.whole))?;
        let store = Store::new(layout, Guarded::unlocked(file), place.whole.clone(), Origin::Whole);
        // Before anything is checked, so that no change goes unnoticed.
        store.settle()?;
        Ok(store)
    }

    fn open_repair(place: &Place, layout: Layout, len: u64) -> Result<Store, StoreError> {
        let path = &place.whole;
        let nofollow = i32::try_from(OFlags::NOFOLLOW.bits()).expect("the flag is one bit");
        let file = OpenOptions::new().read(true).write(true).custom_flags(nofollow).open(path);
        let file = file.map_err(HostError::file(FileAction::Open, path))?;
        let file = lock(file, path)?;
        if len != layout.size() {
            file.set_len(layout.size()).map_err(HostError::file(FileAction::Reserve, path))?;
        }
        reserve(&file, layout.size()).map_err(HostError::file(FileAction::Reserve, path))?;
        Ok(Store::new(layout, file, path.clone(), Origin::Repair))
    }

    fn open_partial(place: &Place, layout: Layout) -> Result<Store, StoreError> {
        let path = &place.partial;
        // A link that somebody else put there must not lead our writes elsewhere.
        let nofollow = i32::try_from(OFlags::NOFOLLOW.bits()).expect("the flag is one bit");
        let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).expect("the flag is one bit");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(nofollow | nonblock)
            .open(path)
            .map_err(HostError::file(FileAction::Create, path))?;
        let meta = file.metadata().map_err(HostError::file(FileAction::Inspect, path))?;
        if !meta.is_file() {
            return Err(StoreError::NotAFile { path: path.clone() });
        }
        let file = lock(file, path)?;
        let fresh = meta.len() == 0;
        if let Err(error) = reserve(&file, layout.size()) {
            if fresh {
                // Nothing of value is lost: it was empty. Its removal is a courtesy that may fail.
                drop(fs::remove_file(path));
            }
            return Err(HostError::file(FileAction::Reserve, path)(error).into());
        }
        let to = place.whole.clone();
        Ok(Store::new(layout, file, path.clone(), Origin::Fetched { to }))
    }

    fn new(layout: Layout, file: Guarded, path: PathBuf, origin: Origin) -> Store {
        Store {
            layout,
            file,
            path,
            origin,
            shelf: Shelf::new(layout),
            settled: OnceLock::new(),
            writing: RwLock::new(()),
            sync_failed: Mutex::new(false),
        }
    }

    /// The file, for hashing what is in it.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where the file is until it is finished.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file is once it is finished.
    #[must_use]
    pub fn final_path(&self) -> &Path {
        match &self.origin {
            Origin::Whole | Origin::Repair => &self.path,
            Origin::Fetched { to } => to,
        }
    }

    /// Whether parts may be written: false for a file that is only shared.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.origin != Origin::Whole
    }

    /// Which parts are there.
    #[must_use]
    pub const fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// A part was found to be on disk and right; says whether that is new.
    pub fn put(&self, part: PartIndex) -> bool {
        self.shelf.put(part)
    }

    /// Reads bytes of a part that is on the shelf.
    ///
    /// # Errors
    /// The disk fails, or somebody else changed the file: whoever gets the part would take us for a liar.
    pub fn read(&self, part: PartIndex, offset: u64, buffer: &mut [u8]) -> Result<(), HostError> {
        self.file
            .read_exact_at(buffer, self.layout.offset(part) + offset)
            .and_then(|()| self.check_unchanged())
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), CutShort),
                _ => error,
            })
            .map_err(HostError::file(FileAction::ReadPart(part), &self.path))
    }

    fn check_unchanged(&self) -> io::Result<()> {
        let Some(settled) = self.settled.get() else { return Ok(()) };
        if Stamp::from(self.file.metadata()?) == *settled { Ok(()) } else { Err(io::Error::other(Changed)) }
    }

    /// From now on the file should stay as it is.
    fn settle(&self) -> Result<(), HostError> {
        let stamp = Stamp::of(&self.file, &self.path)?;
        self.settled.get_or_init(|| stamp);
        Ok(())
    }

    /// Writes verified parts and puts them on the shelf; returns how many parts and bytes were new.
    /// If all of them were there already, the file is not touched.
    ///
    /// # Errors
    /// The disk is full or fails; none of the parts is on the shelf then.
    pub fn write(&self, run: Run, bytes: &[u8]) -> Result<(u32, u64), HostError> {
        // It guards no data: a panic elsewhere left nothing half done.
        let _writing = self.writing.read().unwrap_or_else(PoisonError::into_inner);
        if run.parts().all(|part| self.shelf.has(part)) {
            return Ok((0, 0));
        }
        let mut offset = self.layout.offset(run.first());
        for slice in bytes.chunks(WRITE_SLICE) {
            self.file
                .write_all_at(slice, offset)
                .map_err(HostError::file(FileAction::WritePart(run.first()), &self.path))?;
            offset += slice.len() as u64;
        }
        let new = run.parts().filter(|&part| self.shelf.put(part));
        Ok(new.fold((0, 0), |(parts, bytes), part| (parts + 1, bytes + u64::from(self.layout.len_of(part)))))
    }

    /// Brings what was written so far to the disk, to shorten the wait at the end.
    ///
    /// # Errors
    /// The disk fails.
    pub fn flush(&self) -> Result<(), HostError> {
        self.sync(File::sync_data)
    }

    /// Lets the system forget these parts in memory, as far as they are on the disk.
    pub fn forget_cached(&self, run: Run) {
        #[cfg(target_os = "linux")]
        {
            let (offset, len) = (self.layout.offset(run.first()), self.layout.bytes_of(run));
            // A system that does not take the advice keeps more in memory, and nothing else.
            let _advice = rustix::fs::fadvise(&self.file, offset, NonZeroU64::new(len), Advice::DontNeed);
        }
    }

    fn sync(&self, sync: impl Fn(&File) -> io::Result<()>) -> Result<(), HostError> {
        let mut failed = self.sync_failed.lock().expect("no thread panics while it holds this lock");
        let outcome = if *failed { Err(io::Error::other(SyncFailed)) } else { sync(&self.file) };
        *failed = outcome.is_err();
        outcome.map_err(HostError::file(FileAction::Sync, &self.path))
    }

    /// Everything is there: brings it safely to the disk and gives it its final name.
    /// Must be called once, when the shelf is full.
    ///
    /// # Errors
    /// The disk fails, or something else has taken the name meanwhile; what was fetched stays in `NAME.part`.
    pub fn finish(&self) -> Result<(), HostError> {
        if self.origin == Origin::Whole {
            return Ok(());
        }
        {
            let _nobody_writes = self.writing.write().unwrap_or_else(PoisonError::into_inner);
            self.sync(File::sync_all)?;
            self.settle()?;
        }
        let Origin::Fetched { to } = &self.origin else { return Ok(()) };
        rename_new(&self.path, to).map_err(HostError::file(FileAction::Rename, to))?;
        directory::sync_of(to)
    }
}

/// Renames without replacing what may have appeared under the new name.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // File systems that cannot do this in one step: a look before the rename is the next best.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            if fs::symlink_metadata(to).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        Err(error) => Err(error.into()),
    }
}

/// Keeps a second member from working on the same file.
fn lock(file: File, path: &Path) -> Result<Guarded, StoreError> {
    Guarded::locked(file).map_err(|error| match error {
        TryLockError::WouldBlock => StoreError::InUse { path: path.to_owned() },
        TryLockError::Error(error) => HostError::file(FileAction::Lock, path)(error).into(),
    })
}

/// Gives the file its full size on the disk, keeping what is in it.
fn reserve(file: &File, size: u64) -> io::Result<()> {
    if size == 0 {
        return file.set_len(0);
    }
    match fallocate(file, FallocateFlags::empty(), 0, size) {
        Ok(()) => {}
        // FAT, NFS before 4.2 and others cannot reserve; then at least the size is set.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    file.set_len(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::chain;

    fn place(dir: &Path) -> Place {
        Place { whole: dir.join("song"), partial: dir.join("song.part"), repair: false }
    }

    fn layout() -> Layout {
        Layout::new(25, 10).unwrap()
    }

    #[test]
    fn a_file_gets_its_name_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        let store = Store::open(&place, layout()).unwrap();
        assert_eq!(fs::metadata(&place.partial).unwrap().len(), 25, "full size from the start");
        assert_eq!(store.write(layout().run(1, 2).unwrap(), b"bbbbbbbbbbccccc").unwrap(), (2, 15));
        assert_eq!(store.write(layout().run(0, 1).unwrap(), b"aaaaaaaaaa").unwrap(), (1, 10));
        assert_eq!(store.write(layout().run(0, 1).unwrap(), b"aaaaaaaaaa").unwrap(), (0, 0), "not new");
        assert!(store.shelf().is_full() && !place.whole.exists());
        let mut buffer = [0; 5];
        store.read(layout().part(2).unwrap(), 0, &mut buffer).unwrap();
        assert_eq!(&buffer, b"ccccc");
        store.finish().unwrap();
        assert_eq!(fs::read(&place.whole).unwrap(), b"aaaaaaaaaabbbbbbbbbbccccc");
        assert!(!place.partial.exists());
    }

    /// Two links may bring the last part at the same time, to two threads.
    #[test]
    fn a_late_write_of_what_is_there_is_no_change_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&place(dir.path()), layout()).unwrap();
        let all = layout().whole().unwrap();
        assert_eq!(store.write(all, &[7; 25]).unwrap(), (3, 25));
        let slow_writer = store.writing.read().unwrap();
        std::thread::scope(|scope| {
            let finishing = scope.spawn(|| store.finish());
            // No more writers are let in as soon as it waits for this one.
            while !finishing.is_finished() && store.writing.try_read().is_ok() {
                std::thread::yield_now();
            }
            assert!(!finishing.is_finished() && store.settled.get().is_none());
            drop(slow_writer);
            finishing.join().unwrap().unwrap();
        });
        let before = Stamp::of(&store.file, &store.path).unwrap();
        assert_eq!(store.write(all, &[8; 25]).unwrap(), (0, 0));
        assert!(Stamp::of(&store.file, &store.path).unwrap() == before);
        let mut byte = [0];
        store.read(all.first(), 0, &mut byte).unwrap();
        assert_eq!(byte, [7]);
    }

    #[test]
    fn a_name_that_was_taken_meanwhile_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        let store = Store::open(&place, layout()).unwrap();
        store.write(layout().whole().unwrap(), &[7; 25]).unwrap();
        fs::write(&place.whole, "the user's").unwrap();
        let error = store.finish().unwrap_err();
        assert_eq!(error.io().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&place.whole).unwrap(), b"the user's");
        assert!(place.partial.exists());
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        fs::write(&place.whole, "short").unwrap();
        let error = Store::open(&place, layout()).unwrap_err();
        assert!(chain(&error).contains("5 bytes") && chain(&error).contains("--repair"), "{}", chain(&error));
        fs::remove_file(&place.whole).unwrap();
        fs::create_dir(&place.whole).unwrap();
        assert!(matches!(Store::open(&place, layout()), Err(StoreError::NotAFile { .. })));
        fs::remove_dir(&place.whole).unwrap();
        std::os::unix::fs::symlink("nowhere", &place.whole).unwrap();
        assert!(
            matches!(Store::open(&place, layout()), Err(StoreError::NotAFile { .. })),
            "a link to nothing"
        );
        fs::remove_file(&place.whole).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &place.partial).unwrap();
        assert!(matches!(Store::open(&place, layout()), Err(StoreError::Host(_))), "a planted link");
    }

    #[test]
    fn two_members_do_not_share_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let first = Store::open(&place(dir.path()), layout()).unwrap();
        assert!(matches!(Store::open(&place(dir.path()), layout()), Err(StoreError::InUse { .. })));
        drop(first);
        assert!(Store::open(&place(dir.path()), layout()).is_ok());
    }

    #[test]
    fn reopening_keeps_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&place(dir.path()), layout()).unwrap();
        store.write(layout().run(1, 1).unwrap(), &[9; 10]).unwrap();
        drop(store);
        let store = Store::open(&place(dir.path()), layout()).unwrap();
        assert_eq!(store.shelf().count(), 0, "nothing is believed");
        let mut buffer = [0; 10];
        store.read(layout().part(1).unwrap(), 0, &mut buffer).unwrap();
        assert_eq!(buffer, [9; 10]);
    }

    #[test]
    fn a_file_cut_short_while_it_is_shared_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        fs::write(&place.whole, [1; 25]).unwrap();
        let store = Store::open(&place, layout()).unwrap();
        assert!(!store.is_writable());
        OpenOptions::new().write(true).open(&place.whole).unwrap().set_len(12).unwrap();
        let error = store.read(layout().part(2).unwrap(), 0, &mut [0; 5]).unwrap_err();
        let told =
            format!("cannot read part 3 of {}: the file was cut short meanwhile", place.whole.display());
        assert_eq!(chain(&error), told);
    }

    #[test]
    fn a_file_that_changed_while_it_is_shared_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        fs::write(&place.whole, [1; 25]).unwrap();
        let store = Store::open(&place, layout()).unwrap();
        let read = || store.read(layout().part(2).unwrap(), 0, &mut [0; 5]);
        read().unwrap();
        let writer = OpenOptions::new().write(true).open(&place.whole).unwrap();
        writer.write_all_at(&[2], 0).unwrap();
        // The time of the write may be the time of the one before, as the system's clock ticks.
        writer.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let error = chain(&read().unwrap_err());
        assert!(error.ends_with("somebody changed the file meanwhile; run it again to check what is there"));
    }

    #[test]
    fn a_file_that_was_fetched_and_then_changed_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        let store = Store::open(&place, layout()).unwrap();
        store.write(layout().whole().unwrap(), &[7; 25]).unwrap();
        store.finish().unwrap();
        let read = || store.read(layout().part(0).unwrap(), 0, &mut [0; 10]);
        read().unwrap();
        let writer = OpenOptions::new().write(true).open(&place.whole).unwrap();
        writer.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        read().unwrap_err();
    }

    #[test]
    fn a_repair_does_not_follow_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { repair: true, ..place(dir.path()) };
        let victim = dir.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, &place.whole).unwrap();
        assert!(matches!(Store::open(&place, layout()), Err(StoreError::Link { .. })));
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }

    #[test]
    fn repair_changes_the_file_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { repair: true, ..place(dir.path()) };
        fs::write(&place.whole, [1; 40]).unwrap();
        let store = Store::open(&place, layout()).unwrap();
        store.write(layout().run(2, 1).unwrap(), &[2; 5]).unwrap();
        store.finish().unwrap();
        assert_eq!(fs::read(&place.whole).unwrap(), [[1; 20].as_slice(), &[2; 5]].concat());
    }
}
