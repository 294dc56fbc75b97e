//! What a conductor remembers: accounts, their sessions, the compositions that they publish, and how links went.
//!
//! A catalogue is one SQLite database, of which its user alone can read anything, and a file beside it with the
//! conductor's key. One thread of the conductor owns it; meanwhile the operator's `conductor account` may change it from
//! another process.
//! What is written in one transaction is there as a whole after any crash, or not at all; when the call returns, it is on
//! the disk. When a call fails nothing was written, and it can be tried again.
//!
//! This does not know passwords, only their hashes; nor who holds a composition, which the registry does; nor how counts
//! fade, which the caller computes.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::FromSql;
use rusqlite::{Connection, Params, Row, TransactionBehavior};

use self::error::Failure;
use crate::account::AccountId;

mod accounts;
mod database;
mod error;
mod listings;
mod reports;
mod sessions;
mod static_key;
#[cfg(test)]
mod tests;

pub use self::accounts::{Account, AccountLine, NotRegistered, Removed};
pub use self::error::CatalogueError;
pub use self::listings::{After, Found, Listing, ListingId, NewListing, NotPublished, Page, Published};
pub use self::reports::{Report, Uncounted};
pub use self::sessions::{EndedSessions, NotOpened, OpenedSession, Session, SessionOwner};
pub use self::static_key::ConductorKey;

/// The catalogue of a conductor. Whoever owns it may be any thread, but only one.
#[derive(Debug)]
pub struct Catalogue {
    database: Connection,
    path: PathBuf,
    /// What SQLite said of the version of the data before [`Catalogue::changed_elsewhere`] last read it with success.
    seen: i64,
}

/// A transaction that reads: all of it sees the same moment.
#[derive(Debug)]
pub struct Reader<'a> {
    transaction: &'a Connection,
    path: &'a Path,
}

/// A transaction that writes, and reads what it wrote.
#[derive(Debug)]
pub struct Writer<'a>(Reader<'a>);

impl Catalogue {
    /// Opens the catalogue in this file, and makes it if there is none, for its user alone. One of an earlier version is
    /// brought up to date.
    ///
    /// # Errors
    /// The file is something else, or of a later version: then it is left as it is. Or it cannot be read and written, or
    /// another process changes it for long.
    pub fn open(path: &Path) -> Result<Catalogue, CatalogueError> {
        Catalogue::connect(path, true)
    }

    /// The same, if there is one.
    ///
    /// # Errors
    /// There is none, and as for [`Catalogue::open`].
    pub fn open_existing(path: &Path) -> Result<Catalogue, CatalogueError> {
        Catalogue::connect(path, false)
    }

    fn connect(path: &Path, may_make: bool) -> Result<Catalogue, CatalogueError> {
        let database = database::open(path, may_make)?;
        let mut catalogue = Catalogue { database, path: path.to_owned(), seen: 0 };
        catalogue.seen = catalogue.version()?;
        Ok(catalogue)
    }

    /// The conductor's key, in the file beside the catalogue, `FILE.key`; it is made if there is none. As long as somebody has
    /// it, no other conductor can.
    ///
    /// # Errors
    /// Another conductor has it; or the file cannot be read or made, holds no key, or others can read it.
    pub fn conductor_key(&self) -> Result<ConductorKey, CatalogueError> {
        static_key::load(&self.path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does all of this on what is there at one moment.
    ///
    /// # Errors
    /// That of `work`, or the database fails.
    pub fn read<R>(
        &mut self,
        work: impl FnOnce(&Reader<'_>) -> Result<R, CatalogueError>,
    ) -> Result<R, CatalogueError> {
        self.within(TransactionBehavior::Deferred, |reader| work(&reader))
    }

    /// Does all of this, or, if `work` fails, nothing of it. Many changes in one call wait for the disk once.
    ///
    /// # Errors
    /// That of `work`, or the database fails: see [`CatalogueError`]. Then nothing was written.
    pub fn write<R>(
        &mut self,
        work: impl FnOnce(&mut Writer<'_>) -> Result<R, CatalogueError>,
    ) -> Result<R, CatalogueError> {
        // It has to be alone from the start: a reader that turns into a writer fails if another one wrote meanwhile.
        self.within(TransactionBehavior::Immediate, |reader| work(&mut Writer(reader)))
    }

    /// Reads this if another process changed anything since that last succeeded, or since the catalogue was opened. When
    /// reading fails, the next call tries it again.
    ///
    /// # Errors
    /// That of `work`, or the database fails.
    pub fn changed_elsewhere<R>(
        &mut self,
        work: impl FnOnce(&Reader<'_>) -> Result<R, CatalogueError>,
    ) -> Result<Option<R>, CatalogueError> {
        // Asked before, so that what is changed after it is read leads to another look.
        let version = self.version()?;
        if version == self.seen {
            return Ok(None);
        }
        let read = self.read(work)?;
        self.seen = version;
        Ok(Some(read))
    }

    /// Another number after another process changed anything, and only then.
    fn version(&self) -> Result<i64, CatalogueError> {
        let version = self.database.pragma_query_value(None, "data_version", |row| row.get(0));
        version.map_err(|error| Failure::from(error).at(&self.path))
    }

    fn within<R>(
        &mut self,
        behavior: TransactionBehavior,
        work: impl FnOnce(Reader<'_>) -> Result<R, CatalogueError>,
    ) -> Result<R, CatalogueError> {
        let path = &self.path;
        let failed = |error| Failure::from(error).at(path);
        let transaction = self.database.transaction_with_behavior(behavior).map_err(failed)?;
        let result = work(Reader { transaction: &transaction, path })?;
        transaction.commit().map_err(failed)?;
        Ok(result)
    }
}

impl Reader<'_> {
    /// All rows that a query yields.
    fn rows<T>(
        &self,
        query: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T, Failure>,
    ) -> Result<Vec<T>, CatalogueError> {
        let mut found = Vec::new();
        self.each(query, params, |row| {
            found.push(read(row)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// Reads one row after the other that a query yields, as long as `read` wants more.
    fn each(
        &self,
        query: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<bool, Failure>,
    ) -> Result<(), CatalogueError> {
        let run = || {
            let mut statement = self.transaction.prepare_cached(query)?;
            let mut rows = statement.query(params)?;
            while let Some(row) = rows.next()? {
                if !read(row)? {
                    break;
                }
            }
            Ok(())
        };
        run().map_err(|failure: Failure| failure.at(self.path))
    }

    /// The first row that a query yields.
    fn row<T>(
        &self,
        query: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, Failure>,
    ) -> Result<Option<T>, CatalogueError> {
        let run = || {
            let mut statement = self.transaction.prepare_cached(query)?;
            let mut rows = statement.query(params)?;
            rows.next()?.map(read).transpose()
        };
        run().map_err(|failure: Failure| failure.at(self.path))
    }

    /// The one value of a query that always yields one.
    fn value<T: FromSql>(&self, query: &str, params: impl Params) -> Result<T, CatalogueError> {
        let value = self.row(query, params, |row| Ok(row.get(0)?))?;
        value.ok_or_else(|| Failure::from(rusqlite::Error::QueryReturnedNoRows).at(self.path))
    }
}

impl Writer<'_> {
    /// Changes rows; how many.
    fn change(&mut self, statement: &str, params: impl Params) -> Result<usize, CatalogueError> {
        let run = || self.0.transaction.prepare_cached(statement)?.execute(params);
        run().map_err(|error| Failure::from(error).at(self.0.path))
    }
}

impl<'a> Deref for Writer<'a> {
    type Target = Reader<'a>;

    fn deref(&self) -> &Reader<'a> {
        &self.0
    }
}

/// `FILE.end` for a catalogue `FILE`.
fn beside(catalogue: &Path, end: &str) -> PathBuf {
    let mut name = catalogue.as_os_str().to_owned();
    name.push(".");
    name.push(end);
    name.into()
}

fn id_of(number: i64) -> AccountId {
    AccountId::from_number(number.cast_unsigned())
}

/// A time, as it is kept.
fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// A time that was kept; one before 1970 is none of ours.
fn time(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}
