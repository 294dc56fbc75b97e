//! What is known of every path: ours, what others told of theirs, and which chunks contents have.
//!
//! An index is one SQLite database (`.orchestra/index.sqlite`), in the hands of one thread of one process.
//! What is written with one call is there as a whole after any crash, or not at all; when the call returns, it is on
//! the disk. Whoever writes rows of files brings those files to the disk before.
//!
//! Every write of a row of ours has a *sequence number*, greater than all before, which no other write ever gets: by it
//! others ask for what is new. That only holds if nobody puts an older index in place of this one, so its *stamp* is
//! also in a file beside it, with a new value at each start and each clean mark: where the two differ, the index is not
//! the latest, and the caller renews the device.
//!
//! This does not know what rows are for: which version is right, and what is to be done, is decided elsewhere.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, Params, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use self::database::{APPLICATION, Meta, NAME, TABLES, VERSION, connect, files_of};
use self::error::{Failure, error_at};
use self::writing::{apply, forget_list};
use super::facts::Facts;
use crate::entry::path::CONFLICT_MARK;
use crate::entry::{Chunk, ContentHash, Device, Entry, TreePath};
use crate::host::error::FileAction;
use crate::host::{HostError, room};
use crate::limits::{INDEX_PAGE_ROWS, SEQUENCE_GAP, TOMBSTONE_SPAN};

mod database;
mod error;
mod row;
mod stamp;
#[cfg(test)]
mod tests;
mod writing;

pub use self::error::IndexError;
pub use self::row::BadRow;

/// The index of a folder. Whoever owns it may be any thread, but only one.
#[derive(Debug)]
pub struct Index {
    database: Connection,
    /// Where it is.
    folder: PathBuf,
    device: Device,
    /// Invariant: greater than every sequence number that was ever committed.
    next: u64,
    era: i64,
}

/// What is where the index should be.
#[derive(Debug)]
pub enum Found {
    /// No index.
    Nothing {
        /// Whether there was one: then it was lost, and what it knew of deletions with it.
        lost: bool,
    },
    /// The index, as it was left.
    Whole {
        /// It.
        index: Box<Index>,
        /// Whether nothing was written after the last clean mark. If not, see [`Index::suspects`].
        clean: bool,
    },
    /// An index that is not the latest: it was restored from a backup, or copied from elsewhere. Its device may have
    /// written versions, and used sequence numbers, that it does not know of: see [`Index::renew`].
    Restored(Box<Index>),
    /// Something that is not an index, or is damaged: see [`set_aside`].
    Damaged(IndexError),
}

/// A row of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Where.
    pub path: TreePath,
    /// The version.
    pub entry: Entry,
    /// What the last look at the disk told; none if nobody looked.
    pub facts: Option<Facts>,
    /// When it was written, among all writes.
    pub sequence: u64,
}

/// One change of the index.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// The version that is here now. It gets a new sequence number.
    Own {
        /// Where.
        path: &'a TreePath,
        /// The version.
        entry: &'a Entry,
        /// What the disk told of it.
        facts: Option<&'a Facts>,
    },
    /// The disk tells something else of the version that is here. Others hear nothing of it. Without a row of this path
    /// nothing changes.
    Looked {
        /// Where.
        path: &'a TreePath,
        /// What it tells.
        facts: Option<&'a Facts>,
    },
    /// The version that another device has now.
    Remote {
        /// Whose.
        device: Device,
        /// Where.
        path: &'a TreePath,
        /// The version.
        entry: &'a Entry,
        /// Its sequence number there.
        sequence: u64,
    },
    /// What another device has written was read up to this sequence number.
    Through {
        /// Whose.
        device: Device,
        /// Up to which.
        sequence: u64,
    },
    /// Everything of another device is forgotten.
    Forget {
        /// Whose.
        device: Device,
    },
    /// The chunks of a content.
    Chunks {
        /// Of what.
        content: ContentHash,
        /// In their order. No more than files have, see [`crate::limits::FILE_LEN_MAX`].
        chunks: &'a [Chunk],
    },
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Folders.
    pub folders: u64,
    /// Symbolic links.
    pub links: u64,
    /// Paths of which is remembered that what was there was deleted.
    pub gone: u64,
}

/// Opens the index in this folder, which is ours.
///
/// # Errors
/// Another process has it, a later program made it, or the disk fails. A damaged one is no error but [`Found::Damaged`].
pub fn open(folder: &Path) -> Result<Found, IndexError> {
    match Index::open(folder) {
        Err(error) if error.is_damage() => Ok(Found::Damaged(error)),
        found => found,
    }
}

/// Makes a new index. Nothing may be where it will be.
///
/// # Errors
/// There is one, or the disk fails.
pub fn create(folder: &Path, device: Device) -> Result<Index, IndexError> {
    let path = folder.join(NAME);
    // A log without its database would be taken for that of the new one.
    for taken in files_of(&path) {
        if fs::symlink_metadata(&taken).is_ok() {
            let taken_already = HostError::file(FileAction::Create, &taken);
            return Err(taken_already(io::ErrorKind::AlreadyExists.into()).into());
        }
    }
    let database = connect(&path, OpenFlags::SQLITE_OPEN_CREATE)?;
    let mut index = Index { database, folder: folder.to_owned(), device, next: 1, era: 1 };
    let made = index.within(|transaction| {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        let meta = "INSERT INTO meta VALUES (1, ?, 1, 1, 0, x'', NULL)";
        transaction.execute(meta, [device.bits().cast_signed()])?;
        Ok(())
    });
    if let Err(error) = made {
        // What has no tables yet would be taken for a damaged index by the next start.
        drop(index);
        files_of(&path).iter().for_each(|file| drop(fs::remove_file(file)));
        return Err(error);
    }
    index.restamp()?;
    Ok(index)
}

/// Gives a damaged index another name, so that a new one can be made and nothing of the old one is lost; the name.
///
/// # Errors
/// The disk fails.
pub fn set_aside(folder: &Path) -> Result<PathBuf, HostError> {
    let path = folder.join(NAME);
    let free = |aside: &PathBuf| files_of(aside).iter().all(|path| fs::symlink_metadata(path).is_err());
    let aside = (1_u64..).map(|number| folder.join(format!("{NAME}.damaged-{number}"))).find(free);
    let aside = aside.expect("some number is free");
    // What is beside it first: a log without its database would be taken for that of the next one.
    for (from, to) in files_of(&path).iter().zip(files_of(&aside)).rev() {
        match fs::rename(from, to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result.map_err(HostError::file(FileAction::Rename, from))?,
        }
    }
    crate::host::directory::sync_of(&path)?;
    Ok(aside)
}

impl Index {
    fn open(folder: &Path) -> Result<Found, IndexError> {
        let path = folder.join(NAME);
        let written = stamp::read(folder)?;
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Err(IndexError::Damaged { path, source: None }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Found::Nothing { lost: written.is_some() });
            }
            Err(error) => return Err(HostError::file(FileAction::Inspect, &path)(error).into()),
        }
        let database = connect(&path, OpenFlags::empty())?;
        let failed = |error| error_at(&path, error);
        let number = |pragma| database.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
        if number("application_id").map_err(failed)? != APPLICATION {
            return Err(IndexError::Damaged { path, source: None });
        }
        match number("user_version").map_err(failed)? {
            VERSION => {}
            version if version > VERSION => return Err(IndexError::Later { path, version }),
            _ => return Err(IndexError::Damaged { path, source: None }),
        }
        // One line if all is well.
        let check = |row: &Row<'_>| row.get::<_, String>(0);
        let whole: String = database.query_row("PRAGMA quick_check(1)", [], check).map_err(failed)?;
        if whole != "ok" {
            return Err(IndexError::Damaged { path, source: None });
        }

        let meta = "SELECT device, next, era, dirty, stamp, coming FROM meta WHERE one = 1";
        let meta = database.query_row(meta, [], Meta::read).map_err(failed)?;
        let last = "SELECT coalesce(max(sequence), 0) FROM own";
        let last: i64 = database.query_row(last, [], |row| row.get(0)).map_err(failed)?;
        if meta.next <= last.cast_unsigned() || meta.next > i64::MAX.cast_unsigned() {
            return Err(IndexError::Damaged { path, source: None });
        }
        let latest = written.is_some() && (written == meta.stamp || written == meta.coming);
        let gap = if meta.dirty { SEQUENCE_GAP } else { 0 };
        let mut index = Index {
            database,
            folder: folder.to_owned(),
            device: meta.device,
            // Sequence numbers that a disk forgot although it had promised not to are not given away again.
            next: meta.next.saturating_add(gap),
            era: meta.era,
        };
        if !latest {
            // Its stamp stays wrong until it is renewed, however often that is begun.
            return Ok(Found::Restored(Box::new(index)));
        }
        index.restamp()?;
        Ok(Found::Whole { index: Box::new(index), clean: !meta.dirty })
    }

    /// Who writes here.
    #[must_use]
    pub const fn device(&self) -> Device {
        self.device
    }

    /// The greatest sequence number that was given away; 0 if none was.
    #[must_use]
    pub const fn last_sequence(&self) -> u64 {
        self.next - 1
    }

    /// Writes all of this, or nothing of it; when this returns, it is on the disk.
    ///
    /// # Errors
    /// The disk is full or fails. Then nothing was written.
    pub fn write<'a>(&mut self, changes: impl IntoIterator<Item = Change<'a>>) -> Result<(), IndexError> {
        let (mut next, era) = (self.next, self.era);
        self.within(|transaction| {
            for change in changes {
                apply(transaction, change, &mut next, era)?;
            }
            transaction
                .prepare_cached("UPDATE meta SET next = ?, dirty = 1")?
                .execute([next.cast_signed()])?;
            Ok(())
        })?;
        self.next = next;
        Ok(())
    }

    /// Says that everything that was written so far is true of the disk: the files are synced, and nobody is amid
    /// anything.
    ///
    /// # Errors
    /// The disk fails.
    pub fn mark_clean(&mut self) -> Result<(), IndexError> {
        let (era, next) = (self.era + 1, self.next);
        self.within(|transaction| {
            let mark = "UPDATE meta SET era = ?, next = ?, dirty = 0";
            transaction.execute(mark, params![era, next.cast_signed()])?;
            Ok(())
        })?;
        self.era = era;
        self.restamp()
    }

    /// Makes this the index of another device: what the old one wrote after the index was copied is unknown here.
    ///
    /// # Errors
    /// The disk fails.
    pub fn renew(&mut self, device: Device) -> Result<(), IndexError> {
        self.within(|transaction| {
            transaction.execute("UPDATE meta SET device = ?, dirty = 1", [device.bits().cast_signed()])?;
            Ok(())
        })?;
        self.device = device;
        self.restamp()
    }

    /// Forgets deletions that are older than [`TOMBSTONE_SPAN`]; how many of ours.
    ///
    /// How old one is says its version's counter, so that all machines forget it at about the same time.
    ///
    /// # Errors
    /// The disk fails.
    pub fn forget_gone(&mut self, seconds: u64) -> Result<u64, IndexError> {
        let before = u128::from(seconds.saturating_sub(TOMBSTONE_SPAN.as_secs())) << 64;
        let before = before.to_be_bytes();
        let mut forgotten = 0;
        self.within(|transaction| {
            let kind = row::GONE;
            forgotten =
                transaction.execute("DELETE FROM own WHERE kind = ? AND dot < ?", params![kind, before])?;
            transaction.execute("DELETE FROM remote WHERE kind = ? AND dot < ?", params![kind, before])?;
            Ok(())
        })?;
        Ok(forgotten as u64)
    }

    /// Forgets the chunks of contents that neither we nor others have; of how many.
    ///
    /// # Errors
    /// The disk fails, or a list is damaged.
    pub fn forget_chunks(&mut self) -> Result<u64, IndexError> {
        let mut forgotten = 0;
        self.within(|transaction| {
            let mut lists = transaction.prepare("SELECT id, content, chunks FROM lists")?;
            let mut lists = lists.query([])?;
            while let Some(list) = lists.next()? {
                let id: i64 = list.get(0)?;
                let content = ContentHash::from_bytes(list.get(1)?);
                let used = "SELECT EXISTS (SELECT 1 FROM own WHERE short = ?1) \
                            OR EXISTS (SELECT 1 FROM remote WHERE short = ?1)";
                let used: bool =
                    transaction.prepare_cached(used)?.query_row([row::short(content)], |row| row.get(0))?;
                if !used {
                    forget_list(transaction, id, &chunks_of(content, list.get_ref(2)?.as_blob()?)?)?;
                    forgotten += 1;
                }
            }
            Ok(())
        })?;
        Ok(forgotten)
    }

    /// Our row of a path.
    ///
    /// # Errors
    /// The disk fails, or the row is damaged.
    pub fn own(&self, path: &TreePath) -> Result<Option<Own>, IndexError> {
        let rows = self.own_where("path = ?", [row::key(path)])?;
        Ok(rows.into_iter().next())
    }

    /// Our rows of what is in a folder, however deep, or of everything; in the order of paths, those after this one, at
    /// most [`INDEX_PAGE_ROWS`].
    ///
    /// # Errors
    /// The disk fails, or a row is damaged.
    pub fn own_beneath(
        &self,
        folder: Option<&TreePath>,
        after: Option<&TreePath>,
    ) -> Result<Vec<Own>, IndexError> {
        let (from, to) = keys_beneath(folder);
        let from = after.map(row::key).map_or(from.clone(), |after| after.max(from));
        self.own_where("path > ? AND path < ? ORDER BY path LIMIT ?", params![from, to, page()])
    }

    /// Our rows that were written after this sequence number, in the order of writing, at most [`INDEX_PAGE_ROWS`].
    ///
    /// # Errors
    /// The disk fails, or a row is damaged.
    pub fn own_since(&self, sequence: u64) -> Result<Vec<Own>, IndexError> {
        let after = i64::try_from(sequence).unwrap_or(i64::MAX);
        self.own_where("sequence > ? ORDER BY sequence LIMIT ?", params![after, page()])
    }

    /// Our rows that were written, or looked at, after the last clean mark, those after this path; at most
    /// [`INDEX_PAGE_ROWS`]. After an unclean stop what they say may not be what is on the disk.
    ///
    /// # Errors
    /// The disk fails, or a row is damaged.
    pub fn suspects(&self, after: Option<&TreePath>) -> Result<Vec<Own>, IndexError> {
        let after = after.map(row::key).unwrap_or_default();
        self.own_where("path > ? AND era >= ? ORDER BY path LIMIT ?", params![after, self.era, page()])
    }

    /// Whether anything in the folder is not gone, as far as we know.
    ///
    /// # Errors
    /// The disk fails.
    pub fn has_live_beneath(&self, folder: &TreePath) -> Result<bool, IndexError> {
        let (from, to) = keys_beneath(Some(folder));
        let any = "SELECT EXISTS (SELECT 1 FROM own WHERE path > ? AND path < ? AND kind <> ?)";
        let found = self.all(any, params![from, to, row::GONE], |row| Ok(row.get::<_, bool>(0)?))?;
        Ok(found == [true])
    }

    /// Some of our files with this content, at most [`INDEX_PAGE_ROWS`].
    ///
    /// # Errors
    /// The disk fails, or a row is damaged.
    pub fn own_with(&self, content: ContentHash) -> Result<Vec<Own>, IndexError> {
        let mut rows = self.own_where("short = ? LIMIT ?", params![row::short(content), page()])?;
        rows.retain(|row| row.entry.content.hash() == Some(content));
        Ok(rows)
    }

    /// What other devices have at a path.
    ///
    /// # Errors
    /// The disk fails, or a row is damaged.
    pub fn remote(&self, path: &TreePath) -> Result<Vec<(Device, Entry)>, IndexError> {
        let key = row::key(path);
        self.all("SELECT device, dot, entry FROM remote WHERE path = ? ORDER BY device", [&key], |row| {
            let (entry, _) = row::decode(&key, row.get_ref(1)?.as_blob()?, row.get_ref(2)?.as_blob()?)
                .map_err(|source| bad_row(&key, source))?;
            Ok((device(row.get(0)?), entry))
        })
    }

    /// Paths of which others have a later version than we, those after this one, at most [`INDEX_PAGE_ROWS`]: what is
    /// on its way. What is gone there, and was never here, is not.
    ///
    /// # Errors
    /// The disk fails, or a row is damaged.
    pub fn behind(&self, after: Option<&TreePath>) -> Result<Vec<TreePath>, IndexError> {
        // In the order of the key, so that nothing is sorted or kept.
        let later = "SELECT DISTINCT remote.path FROM remote LEFT JOIN own ON own.path = remote.path \
                     WHERE remote.path > ? AND (remote.dot > own.dot OR (own.dot IS NULL AND remote.kind <> ?)) \
                     ORDER BY remote.path LIMIT ?";
        let after = after.map(row::key).unwrap_or_default();
        self.all(later, params![after, row::GONE, page()], |row| Ok(path_of(row.get_ref(0)?.as_blob()?)?))
    }

    /// Which other devices have this content, at whatever path.
    ///
    /// # Errors
    /// The disk fails.
    pub fn holders(&self, content: ContentHash) -> Result<Vec<Device>, IndexError> {
        let holders = "SELECT DISTINCT device FROM remote WHERE short = ? ORDER BY device";
        self.all(holders, [row::short(content)], |row| Ok(device(row.get(0)?)))
    }

    /// The other devices, and up to which sequence number of theirs was read.
    ///
    /// # Errors
    /// The disk fails.
    pub fn devices(&self) -> Result<Vec<(Device, u64)>, IndexError> {
        self.all("SELECT device, through FROM devices ORDER BY device", [], |row| {
            Ok((device(row.get(0)?), row.get::<_, i64>(1)?.cast_unsigned()))
        })
    }

    /// The chunks of a content, if they are known.
    ///
    /// # Errors
    /// The disk fails, or the list is damaged.
    pub fn chunks(&self, content: ContentHash) -> Result<Option<Vec<Chunk>>, IndexError> {
        let list = "SELECT chunks FROM lists WHERE content = ?";
        let lists =
            self.all(list, [content.as_bytes()], |row| chunks_of(content, row.get_ref(0)?.as_blob()?))?;
        Ok(lists.into_iter().next())
    }

    /// Where in files of ours a chunk may be, at most `max` places: paths and offsets. Whoever reads it there compares
    /// its hash.
    ///
    /// # Errors
    /// The disk fails, or a row is damaged.
    pub fn places(&self, chunk: ContentHash, max: usize) -> Result<Vec<(TreePath, u64)>, IndexError> {
        // A short file is a chunk of its own; no list is kept for it.
        let whole = "SELECT path, 0 FROM own WHERE short = ?1 UNION ALL \
                     SELECT own.path, chunks.offset FROM chunks \
                     JOIN lists ON lists.id = chunks.list JOIN own ON own.short = lists.short \
                     WHERE chunks.short = ?1 LIMIT ?2";
        let max = i64::try_from(max.min(INDEX_PAGE_ROWS)).unwrap_or(i64::MAX);
        self.all(whole, params![row::short(chunk), max], |row| {
            Ok((path_of(row.get_ref(0)?.as_blob()?)?, row.get::<_, i64>(1)?.cast_unsigned()))
        })
    }

    /// How much there is of ours.
    ///
    /// # Errors
    /// The disk fails.
    pub fn totals(&self) -> Result<Totals, IndexError> {
        let kinds = [row::FILE, row::FOLDER, row::LINK, row::GONE];
        let totals = "SELECT total(kind = ?1), total(size), total(kind = ?2), total(kind = ?3), total(kind = ?4) FROM own";
        let totals = self.all(totals, kinds, |row| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "sums of what is not negative, far below what is exact"
            )]
            let number = |at| Ok::<_, rusqlite::Error>(row.get::<_, f64>(at)? as u64);
            Ok(Totals {
                files: number(0)?,
                bytes: number(1)?,
                folders: number(2)?,
                links: number(3)?,
                gone: number(4)?,
            })
        })?;
        Ok(totals.into_iter().next().unwrap_or_default())
    }

    /// How many of our paths have the name of a conflict copy.
    ///
    /// # Errors
    /// The disk fails, or a row is damaged.
    pub fn conflicts(&self) -> Result<u64, IndexError> {
        let marked = "SELECT path FROM own WHERE kind <> ? AND instr(path, ?) > 0";
        let are = self.all(marked, params![row::GONE, CONFLICT_MARK.as_bytes()], |row| {
            Ok(path_of(row.get_ref(0)?.as_blob()?)?.is_conflict())
        })?;
        Ok(are.into_iter().filter(|is_copy| *is_copy).count() as u64)
    }

    fn own_where(&self, which: &str, params: impl Params) -> Result<Vec<Own>, IndexError> {
        self.all(&format!("SELECT path, dot, entry, sequence FROM own WHERE {which}"), params, |row| {
            let key = row.get_ref(0)?.as_blob()?;
            let (entry, facts) = row::decode(key, row.get_ref(1)?.as_blob()?, row.get_ref(2)?.as_blob()?)
                .map_err(|source| bad_row(key, source))?;
            Ok(Own { path: path_of(key)?, entry, facts, sequence: row.get::<_, i64>(3)?.cast_unsigned() })
        })
    }

    /// All rows that a query yields.
    fn all<T>(
        &self,
        query: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T, Failure>,
    ) -> Result<Vec<T>, IndexError> {
        let run = || {
            let mut statement = self.database.prepare_cached(query)?;
            let mut rows = statement.query(params)?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(read(row)?);
            }
            Ok(found)
        };
        run().map_err(|failure: Failure| failure.at(&self.path()))
    }

    /// Does all of this, or nothing of it.
    fn within(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<(), Failure>,
    ) -> Result<(), IndexError> {
        let path = self.path();
        let run = || {
            let transaction = self.database.transaction()?;
            work(&transaction)?;
            Ok(transaction.commit()?)
        };
        match run().map_err(|failure: Failure| failure.at(&path)) {
            Err(IndexError::Failed { source, .. })
                if source.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
                    && room::is_missing(&self.folder.join("index.room")) =>
            {
                Err(IndexError::Full { path })
            }
            result => result,
        }
    }

    /// Gives the index and the file beside it the same new stamp.
    fn restamp(&mut self) -> Result<(), IndexError> {
        let stamp = stamp::prepare(&self.folder).map_err(|error| self.of_stamp(error))?;
        // After a crash in between either of the two is right.
        self.within(|transaction| {
            transaction.execute("UPDATE meta SET coming = ?", [&stamp])?;
            Ok(())
        })?;
        stamp::put(&self.folder).map_err(|error| self.of_stamp(error))?;
        self.within(|transaction| {
            transaction.execute("UPDATE meta SET stamp = coming, coming = NULL", [])?;
            Ok(())
        })
    }

    fn of_stamp(&self, error: HostError) -> IndexError {
        if room::is_for_room(error.io()) { IndexError::Full { path: self.path() } } else { error.into() }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }
}

fn device(bits: i64) -> Device {
    Device::from_bits(bits.cast_unsigned())
}

fn path_of(key: &[u8]) -> Result<TreePath, IndexError> {
    row::path(key).map_err(|source| bad_row(key, source))
}

fn chunks_of(content: ContentHash, bytes: &[u8]) -> Result<Vec<Chunk>, Failure> {
    let damaged = |source| IndexError::Row { path: format!("content {content}"), source };
    Ok(row::decode_chunks(content, bytes).map_err(damaged)?)
}

fn bad_row(key: &[u8], source: BadRow) -> IndexError {
    let text: Vec<u8> = key.iter().map(|&byte| if byte == 0 { b'/' } else { byte }).collect();
    IndexError::Row { path: String::from_utf8_lossy(&text).into_owned(), source }
}

/// The keys before and after those of everything in a folder.
fn keys_beneath(folder: Option<&TreePath>) -> (Vec<u8>, Vec<u8>) {
    // No text has this byte.
    let Some(folder) = folder else { return (Vec::new(), vec![0xff]) };
    let (mut from, mut to) = (row::key(folder), row::key(folder));
    from.push(0);
    to.push(1);
    (from, to)
}

fn page() -> i64 {
    i64::try_from(INDEX_PAGE_ROWS).unwrap_or(i64::MAX)
}
