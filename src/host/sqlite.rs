//! What the databases of this program have in common, whatever they keep.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Error, ErrorCode};

use crate::limits::KIB;

/// How many statements stay compiled: more than any database has.
const STATEMENTS: usize = 64;

/// Does not trust what is in the file; to be called first.
pub(super) fn harden(database: &Connection) -> rusqlite::Result<()> {
    // A database may come from anywhere: nothing in it is run, and its pages are looked at before they are used.
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Else a statement is compiled anew for each value that is bound, to look whether that calls for another plan.
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    database.pragma_update(None, "cell_size_check", true)
}

/// Brings what is acknowledged to the disk. `cache` and `log` are in bytes: what is kept in memory, and how long the log
/// may stay.
pub(super) fn tune(database: &Connection, cache: usize, log: usize) -> rusqlite::Result<()> {
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    database.pragma_update(None, "cache_size", -kibibytes(cache))?;
    database.pragma_update(None, "journal_size_limit", kibibytes(log) * 1024)?;
    // Nothing is written outside of the file's folder, not even for a moment.
    database.pragma_update(None, "temp_store", "MEMORY")?;
    database.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// Whether the tables or rows of a database are not as we made them.
pub(super) fn is_damage(error: &Error) -> bool {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseCorrupt
            | ErrorCode::ConstraintViolation
            | ErrorCode::Unknown
            | ErrorCode::TypeMismatch,
        ) => true,
        Some(_) => false,
        // A value is not of the kind that we wrote.
        None => matches!(
            error,
            Error::FromSqlConversionFailure(..)
                | Error::IntegralValueOutOfRange(..)
                | Error::InvalidColumnType(..)
                | Error::QueryReturnedNoRows
        ),
    }
}

fn kibibytes(bytes: usize) -> i64 {
    i64::try_from(bytes / KIB).unwrap_or(i64::MAX)
}
