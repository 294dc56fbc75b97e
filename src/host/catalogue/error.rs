//! What goes wrong with a catalogue, sorted by what can be done about it.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rusqlite::types::FromSqlError;
use thiserror::Error;

use super::beside;
use super::database::VERSION;
use crate::host::{HostError, room, sqlite};
use crate::text::Escaped;

/// What goes wrong with a catalogue. Whatever was to be written was not, and what was written before is still there.
#[derive(Debug, Error)]
pub enum CatalogueError {
    /// There is none.
    #[error("there is no catalogue {path}; a conductor makes it: conductor --catalogue {path}", path = Escaped(&path.to_string_lossy()))]
    Missing {
        /// Where.
        path: PathBuf,
    },
    /// The file is no database, or one of another program.
    #[error("{path} is not the catalogue of a conductor; name another file", path = Escaped(&path.to_string_lossy()))]
    NotOurs {
        /// Where.
        path: PathBuf,
    },
    /// A later program made it.
    #[error("the catalogue {path} is of a later version of this program (format {version}, known is {VERSION}); run that one",
        path = Escaped(&path.to_string_lossy()))]
    Later {
        /// Where.
        path: PathBuf,
        /// Its version.
        version: i32,
    },
    /// It is one, and damaged.
    #[error("the catalogue {path} is damaged; put a backup in its place, with the conductor stopped", path = Escaped(&path.to_string_lossy()))]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What SQLite said; none if it found nothing wrong.
        source: Option<rusqlite::Error>,
    },
    /// Another process is changing it, for longer than [`CATALOGUE_LOCK_PATIENCE`](crate::limits::CATALOGUE_LOCK_PATIENCE).
    #[error("the catalogue {path} is locked by another program that is changing it; try again when that is done",
        path = Escaped(&path.to_string_lossy()))]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// Another conductor has it.
    #[error("another conductor runs with the catalogue {path}; stop that one first, or name another file", path = Escaped(&path.to_string_lossy()))]
    Conducted {
        /// Where.
        path: PathBuf,
    },
    /// The disk is full, or the user's quota used up.
    #[error("cannot write the catalogue {path}: the disk is full, or the quota used up; free some space",
        path = Escaped(&path.to_string_lossy()))]
    Full {
        /// Where.
        path: PathBuf,
    },
    /// It may not be written.
    #[error("cannot write the catalogue {path}: this user may not, or the disk is mounted to be read only; allow it for the file and its folder",
        path = Escaped(&path.to_string_lossy()))]
    ReadOnly {
        /// Where.
        path: PathBuf,
    },
    /// The file beside it holds no key.
    #[error("{path} does not hold a conductor's key; put a backup in its place, or remove it: then a new key is made, which members refuse until their users agree to it",
        path = Escaped(&path.to_string_lossy()))]
    NoKey {
        /// Where.
        path: PathBuf,
    },
    /// Others can read the conductor's key.
    #[error("others can read the conductor's key {path}; if none of them did: chmod 600 {path}", path = Escaped(&path.to_string_lossy()))]
    KeyExposed {
        /// Where.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot use the catalogue {path}", path = Escaped(&path.to_string_lossy()))]
    Failed {
        /// Where.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A file, for another reason.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl CatalogueError {
    /// Whether another process is the reason, so that nothing else can be written now either.
    #[must_use]
    pub const fn is_others(&self) -> bool {
        matches!(self, CatalogueError::InUse { .. })
    }
}

/// What goes wrong inside: what SQLite says does not yet tell where.
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    /// A row is not as we wrote it.
    BadRow,
}

impl Failure {
    pub(super) fn at(self, path: &Path) -> CatalogueError {
        let at = path;
        let path = path.to_owned();
        let source = match self {
            Failure::Sqlite(source) => source,
            Failure::BadRow => return CatalogueError::Damaged { path, source: None },
        };
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => CatalogueError::NotOurs { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => CatalogueError::InUse { path },
            Some(ErrorCode::DiskFull) => CatalogueError::Full { path },
            Some(ErrorCode::ReadOnly) => CatalogueError::ReadOnly { path },
            Some(ErrorCode::SystemIoFailure) if room::is_missing(&beside(at, "room")) => {
                CatalogueError::Full { path }
            }
            _ if sqlite::is_damage(&source) => CatalogueError::Damaged { path, source: Some(source) },
            _ => CatalogueError::Failed { path, source },
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
