//! The database of an index: its tables, and opening it for one process alone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Row};

use super::device;
use super::error::{IndexError, error_at};
use super::stamp::Stamp;
use crate::entry::Device;
use crate::host::sqlite;
use crate::limits::{INDEX_CACHE_BYTES, INDEX_LOG_BYTES};

/// The database, in the folder that is ours.
pub(super) const NAME: &str = "index.sqlite";
/// What SQLite keeps beside it.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
/// The version of the tables; a greater one is of a later program.
pub(super) const VERSION: i32 = 1;
/// Says that a database is one of ours: `orch`.
pub(super) const APPLICATION: i32 = 0x6f72_6368;

/// `short` is the first 8 bytes of a content's hash, and none for what is no file; see `row` for the encodings.
pub(super) const TABLES: &str = "
    CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        device INTEGER NOT NULL,    -- ours
        next INTEGER NOT NULL,      -- the next sequence number
        era INTEGER NOT NULL,       -- how many clean marks there were
        dirty INTEGER NOT NULL,     -- whether anything was written since the last one
        stamp BLOB NOT NULL,        -- what is in the file beside
        coming BLOB                 -- what was being written there
    );
    CREATE TABLE own (
        sequence INTEGER PRIMARY KEY,
        path BLOB NOT NULL UNIQUE,
        kind INTEGER NOT NULL,
        size INTEGER,
        short INTEGER,
        dot BLOB NOT NULL,
        era INTEGER NOT NULL,       -- in which it was written last
        entry BLOB NOT NULL
    );
    CREATE INDEX own_short ON own (short) WHERE short IS NOT NULL;
    CREATE TABLE remote (
        path BLOB NOT NULL,
        device INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        short INTEGER,
        dot BLOB NOT NULL,
        entry BLOB NOT NULL,
        PRIMARY KEY (path, device)
    ) WITHOUT ROWID;
    CREATE INDEX remote_short ON remote (short) WHERE short IS NOT NULL;
    CREATE TABLE devices (device INTEGER PRIMARY KEY, through INTEGER NOT NULL);
    CREATE TABLE lists (
        id INTEGER PRIMARY KEY,
        content BLOB NOT NULL UNIQUE,
        short INTEGER NOT NULL,
        chunks BLOB NOT NULL
    );
    CREATE TABLE chunks (
        short INTEGER NOT NULL,
        list INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        PRIMARY KEY (short, list)
    ) WITHOUT ROWID;
";

/// A database and what SQLite keeps beside it.
pub(super) fn files_of(path: &Path) -> Vec<PathBuf> {
    let beside = BESIDE.iter().map(|end| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        name.into()
    });
    std::iter::once(path.to_owned()).chain(beside).collect()
}

/// Opens the database, for this process alone.
pub(super) fn connect(path: &Path, more: OpenFlags) -> Result<Connection, IndexError> {
    let failed = |error| error_at(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let database = Connection::open_with_flags(path, flags).map_err(failed)?;
    let set_up = || {
        // Who has it now will not soon be done with it.
        database.busy_timeout(Duration::ZERO)?;
        sqlite::harden(&database)?;
        database.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        sqlite::tune(&database, INDEX_CACHE_BYTES, INDEX_LOG_BYTES)?;
        // From here on nobody else has it.
        database.execute_batch("BEGIN EXCLUSIVE; COMMIT")
    };
    set_up().map_err(failed)?;
    Ok(database)
}

/// What the index says of itself.
pub(super) struct Meta {
    pub(super) device: Device,
    pub(super) next: u64,
    pub(super) era: i64,
    pub(super) dirty: bool,
    pub(super) stamp: Option<Stamp>,
    pub(super) coming: Option<Stamp>,
}

impl Meta {
    pub(super) fn read(row: &Row<'_>) -> Result<Meta, rusqlite::Error> {
        Ok(Meta {
            device: device(row.get(0)?),
            next: row.get::<_, i64>(1)?.cast_unsigned(),
            era: row.get(2)?,
            dirty: row.get(3)?,
            stamp: Some(row.get(4)?),
            coming: row.get(5)?,
        })
    }
}
