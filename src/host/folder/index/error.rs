//! What goes wrong with an index, sorted by what can be done about it.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rusqlite::types::FromSqlError;
use thiserror::Error;

use super::database::VERSION;
use super::row::BadRow;
use crate::host::{HostError, sqlite};
use crate::text::Escaped;

/// What goes wrong with an index.
#[derive(Debug, Error)]
pub enum IndexError {
    /// It is no database of ours, or damaged.
    #[error("the index {path} is damaged; a new one is made from the folder", path = Escaped(&path.to_string_lossy()))]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What SQLite said; none if it found nothing wrong.
        source: Option<rusqlite::Error>,
    },
    /// One row is damaged.
    #[error("the row of {path} in the index is damaged", path = Escaped(path))]
    Row {
        /// Of which path, or content; as text, because it may be neither.
        path: String,
        /// What is wrong.
        source: BadRow,
    },
    /// A later program made it.
    #[error("the index {path} is of a later version of this program (format {version}, known is {VERSION}); run that one",
        path = Escaped(&path.to_string_lossy()))]
    Later {
        /// Where.
        path: PathBuf,
        /// Its version.
        version: i32,
    },
    /// Another process has it, or another thread.
    #[error("the index {path} is in use: another ensemble runs in this folder", path = Escaped(&path.to_string_lossy()))]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// The disk is full. What was to be written was not.
    #[error("cannot write the index {path}: the disk is full, or the quota used up; free some space", path = Escaped(&path.to_string_lossy()))]
    Full {
        /// Where.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot use the index {path}", path = Escaped(&path.to_string_lossy()))]
    Failed {
        /// Where.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file of the stamp, or a name.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl IndexError {
    /// Whether the disk has no room for what was to be written. Then nothing of it was, and it can be tried again.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, IndexError::Full { .. })
    }

    /// Whether what is in the index cannot be trusted any more.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, IndexError::Damaged { .. } | IndexError::Row { .. })
    }
}

/// What SQLite said, sorted by what can be done about it.
pub(super) fn error_at(path: &Path, source: rusqlite::Error) -> IndexError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => IndexError::Damaged { path, source: Some(source) },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => IndexError::InUse { path },
        Some(ErrorCode::DiskFull) => IndexError::Full { path },
        _ if sqlite::is_damage(&source) => IndexError::Damaged { path, source: Some(source) },
        _ => IndexError::Failed { path, source },
    }
}

/// What goes wrong inside: what SQLite says does not yet tell where.
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Index(IndexError),
}

impl Failure {
    pub(super) fn at(self, path: &Path) -> IndexError {
        match self {
            Failure::Sqlite(error) => error_at(path, error),
            Failure::Index(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        Failure::Sqlite(error)
    }
}

impl From<FromSqlError> for Failure {
    fn from(error: FromSqlError) -> Failure {
        Failure::Sqlite(error.into())
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Failure {
        Failure::Index(error)
    }
}
