//! The directory that a file is in, and making a rename in it last.

use std::fs::File;
use std::io;
use std::path::Path;

use super::HostError;
use super::error::FileAction;

/// The directory of a file.
#[must_use]
pub fn of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a directory if nothing is there; whether it did. What it is in must be there: if that is missing, perhaps a disk
/// is not mounted.
///
/// # Errors
/// The system refuses.
pub fn make_missing(path: &Path) -> Result<bool, HostError> {
    match std::fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(HostError::file(FileAction::Create, path)(error)),
    }
}

/// Makes the name of a file last, after it was renamed.
///
/// # Errors
/// The disk fails.
pub fn sync_of(file: &Path) -> Result<(), HostError> {
    match File::open(of(file)).and_then(|directory| directory.sync_all()) {
        // The directory may be writable but not readable, or the file system has no such operation: then
        // there is no way to ask for more, and the file itself is already safe.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        result => result.map_err(HostError::file(FileAction::Sync, of(file))),
    }
}
