//! The database of a catalogue: its tables in each version, and opening it beside other processes.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{self, Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::error::{CatalogueError, Failure};
use crate::host::error::FileAction;
use crate::host::{HostError, directory, regular, sqlite};
use crate::limits::{CATALOGUE_CACHE_BYTES, CATALOGUE_LOCK_PATIENCE, CATALOGUE_LOG_BYTES};

/// Says that a database is a catalogue: `orca`.
const APPLICATION: i32 = 0x6f72_6361;
/// What leads from each version to the next one. What was released is never changed.
const STEPS: &[&str] = &[FIRST, SECOND];
/// The version of the tables; a greater one is of a later program.
pub(super) const VERSION: i32 = 2;
const _: () = assert!(STEPS.len() == VERSION as usize);
/// For the user of the conductor alone: hashes of passwords, and keys of sessions.
const MODE: u32 = 0o600;

/// Times are in seconds since 1970.
const FIRST: &str = "
    CREATE TABLE totals (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        listings INTEGER NOT NULL,
        parts INTEGER NOT NULL,         -- of which there are digests
        sessions INTEGER NOT NULL
    ) STRICT;
    INSERT INTO totals VALUES (1, 0, 0, 0);
    CREATE TABLE accounts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        folded TEXT NOT NULL UNIQUE,
        password TEXT NOT NULL,         -- its hash, as a PHC string
        made INTEGER NOT NULL,
        disabled INTEGER NOT NULL DEFAULT 0,
        listings INTEGER NOT NULL DEFAULT 0,
        parts INTEGER NOT NULL DEFAULT 0,
        downloads REAL NOT NULL DEFAULT 0,
        failures REAL NOT NULL DEFAULT 0,
        counted INTEGER NOT NULL DEFAULT 0,
        sessions INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX accounts_disabled ON accounts (id) WHERE disabled;
    CREATE INDEX accounts_sessions ON accounts (sessions);
    CREATE TABLE sessions (
        id BLOB PRIMARY KEY,
        account INTEGER NOT NULL REFERENCES accounts (id),
        key BLOB NOT NULL,
        opened INTEGER NOT NULL,
        expires INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX sessions_account ON sessions (account, opened);
    CREATE INDEX sessions_expires ON sessions (expires);
    CREATE TABLE listings (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        account INTEGER NOT NULL REFERENCES accounts (id),
        name TEXT NOT NULL,
        folded TEXT NOT NULL,
        digest BLOB NOT NULL,
        size INTEGER NOT NULL,
        part_len INTEGER NOT NULL,
        swarm BLOB NOT NULL,
        published INTEGER NOT NULL,
        UNIQUE (account, swarm, name)
    ) STRICT;
    CREATE INDEX listings_folded ON listings (folded, id, account);
    CREATE INDEX listings_swarm ON listings (swarm);
    CREATE TABLE digests (              -- of parts; apart, so that a list does not walk over them
        listing INTEGER PRIMARY KEY REFERENCES listings (id) ON DELETE CASCADE,
        parts BLOB NOT NULL
    ) STRICT;
    CREATE TABLE reports (
        day INTEGER NOT NULL,           -- since 1970, UTC
        reporter INTEGER NOT NULL REFERENCES accounts (id),
        about INTEGER NOT NULL REFERENCES accounts (id),
        swarm BLOB NOT NULL,
        PRIMARY KEY (day, reporter, about, swarm)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX reports_reporter ON reports (reporter);
    CREATE INDEX reports_about ON reports (about);
";

/// What one account publishes under one name, and what else is in a swarm, is found without a walk.
const SECOND: &str = "
    CREATE INDEX listings_account ON listings (account, folded);
    DROP INDEX listings_swarm;
    CREATE INDEX listings_swarm ON listings (swarm, name);
";

/// Opens the database, and makes it if it may.
pub(super) fn open(path: &Path, may_make: bool) -> Result<Connection, CatalogueError> {
    prepare(path, may_make)?;
    let failed = |error| Failure::from(error).at(path);
    // Else a path that begins with `file:` would be a URI.
    let absolute = path::absolute(path).map_err(HostError::file(FileAction::Open, path))?;
    // Before SQLite looks into it: what it makes beside it gets the same rights.
    let exposed = protect(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut database = Connection::open_with_flags(absolute, flags).map_err(failed)?;
    database.busy_timeout(CATALOGUE_LOCK_PATIENCE).map_err(failed)?;
    if let Err(error) = check(&database, path) {
        drop(database);
        expose(exposed);
        return Err(error);
    }
    set_up(&database).map_err(failed)?;
    migrate(&mut database, STEPS, path)?;
    Ok(database)
}

/// Makes sure that there is a file, which may be empty, and that it is one.
fn prepare(path: &Path, may_make: bool) -> Result<(), CatalogueError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(regular::check(metadata).map_err(HostError::file(FileAction::Open, path))?),
        Err(error) if error.kind() == io::ErrorKind::NotFound && may_make => {
            let made = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path);
            match made {
                // Somebody else was faster.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => drop(result.map_err(HostError::file(FileAction::Create, path))?),
            }
            Ok(directory::sync_of(path)?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(CatalogueError::Missing { path: path.to_owned() })
        }
        Err(error) => Err(HostError::file(FileAction::Inspect, path)(error).into()),
    }
}

/// Looks whether it is ours, or empty, before anything in it is changed.
fn check(database: &Connection, path: &Path) -> Result<(), CatalogueError> {
    let look = || {
        // At one moment: another process may be making it.
        let moment = database.unchecked_transaction()?;
        let tables = "SELECT count(*) FROM sqlite_schema";
        let tables: i64 = moment.query_row(tables, [], |row| row.get(0))?;
        Ok((number(&moment, "application_id")?, number(&moment, "user_version")?, tables))
    };
    let (application, version, tables) =
        look().map_err(|error: rusqlite::Error| Failure::from(error).at(path))?;
    match (application, version) {
        (APPLICATION, version) if version > VERSION => {
            Err(CatalogueError::Later { path: path.to_owned(), version })
        }
        (APPLICATION, _) => Ok(()),
        (0, 0) if tables == 0 => Ok(()),
        _ => Err(CatalogueError::NotOurs { path: path.to_owned() }),
    }
}

/// Takes the right to read it from all others, and that to read SQLite's files beside it, which may have come with a backup;
/// what had which rights before.
fn protect(path: &Path) -> Result<Vec<(PathBuf, Permissions)>, CatalogueError> {
    // SQLite's files are where the file itself is, not where a link to it is.
    let file = fs::canonicalize(path).map_err(HostError::file(FileAction::Inspect, path))?;
    let beside = |end: &str| {
        let mut name = file.clone().into_os_string();
        name.push(end);
        PathBuf::from(name)
    };
    let mut exposed = Vec::new();
    for path in [beside(""), beside("-wal"), beside("-shm")] {
        let permissions = match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => metadata.permissions(),
            // SQLite follows no link there.
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(HostError::file(FileAction::Inspect, &path)(error).into()),
        };
        if permissions.mode() & 0o077 != 0 {
            let only_its_user = Permissions::from_mode(MODE);
            fs::set_permissions(&path, only_its_user).map_err(HostError::file(FileAction::Protect, &path))?;
            exposed.push((path, permissions));
        }
    }
    Ok(exposed)
}

/// Gives what is not ours its rights back.
fn expose(exposed: Vec<(PathBuf, Permissions)>) {
    for (path, permissions) in exposed {
        match fs::set_permissions(&path, permissions) {
            // The last who closes a database removes what is beside it.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::error!("{}", HostError::file(FileAction::Protect, &path)(error));
            }
            _ => {}
        }
    }
}

fn set_up(database: &Connection) -> rusqlite::Result<()> {
    sqlite::harden(database)?;
    database.pragma_update(None, "foreign_keys", true)?;
    sqlite::tune(database, CATALOGUE_CACHE_BYTES, CATALOGUE_LOG_BYTES)
}

/// Brings the tables to the latest version, one step after the other, all of them or none.
fn migrate(database: &mut Connection, steps: &[&str], path: &Path) -> Result<(), CatalogueError> {
    let mut run = || {
        // What is as it should be waits for nobody who writes.
        if usize::try_from(number(database, "user_version")?).is_ok_and(|version| version >= steps.len()) {
            return Ok(());
        }
        let transaction = Transaction::new(database, TransactionBehavior::Immediate)?;
        // Read here, because another process may have done it meanwhile.
        let version = number(&transaction, "user_version")?;
        let missing = steps.iter().zip(1_i32..).filter(|&(_, reached)| reached > version);
        for (step, reached) in missing {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", reached)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
        }
        transaction.commit()
    };
    run().map_err(|error| Failure::from(error).at(path))
}

fn number(database: &Connection, pragma: &str) -> rusqlite::Result<i32> {
    database.pragma_query_value(None, pragma, |row| row.get(0))
}
