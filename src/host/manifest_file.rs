//! Manifests on disk, read within bounds.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::error::FileAction;
use super::{HostError, regular};
use crate::limits::MANIFEST_LEN_MAX;
use crate::manifest::{Manifest, ManifestError};
use crate::text::Escaped;

/// Why a file did not give a manifest.
#[derive(Debug, Error)]
pub enum ManifestFileError {
    /// It cannot be read.
    #[error(transparent)]
    Host(#[from] HostError),
    /// It is longer than any manifest.
    #[error(
        "{path} is not a manifest: it has {len} bytes, and {MANIFEST_LEN_MAX} are the most",
        path = Escaped(&path.to_string_lossy())
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// How long it is at least, in bytes.
        len: u64,
    },
    /// It is something else, or damaged.
    #[error("{path} is not a manifest", path = Escaped(&path.to_string_lossy()))]
    NotAManifest {
        /// The file.
        path: PathBuf,
        /// The line and what was expected there.
        source: ManifestError,
    },
}

/// Reads the manifest in a file.
///
/// # Errors
/// It cannot be read, is not a regular file, or is not a manifest.
pub fn read(path: &Path) -> Result<Manifest, ManifestFileError> {
    let file = regular::open(path)?;
    let too_long = |len| ManifestFileError::TooLong { path: path.to_owned(), len };
    let len = file.metadata().map_err(HostError::file(FileAction::Inspect, path))?.len();
    if len > MANIFEST_LEN_MAX {
        return Err(too_long(len));
    }
    let mut bytes = Vec::new();
    // It may grow while it is read, and some files of the system do not tell their length.
    let read = file.take(MANIFEST_LEN_MAX + 1).read_to_end(&mut bytes);
    let len = read.map_err(HostError::file(FileAction::Read, path))? as u64;
    if len > MANIFEST_LEN_MAX {
        return Err(too_long(len));
    }
    Manifest::parse(&bytes)
        .map_err(|source| ManifestFileError::NotAManifest { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::host::atomic::{self, Readers};
    use crate::text::chain;
    use std::fs::{self, File};

    #[test]
    fn what_is_written_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.orch");
        let text = format!("h:1\nx\n{0}\n0\n1\n0\n", Digest::of(b""));
        atomic::check_writable(&path).unwrap();
        atomic::write(&path, text.as_bytes(), Readers::AsBefore).unwrap();
        assert_eq!(read(&path).unwrap().render(), text);
    }

    #[test]
    fn refusals_name_the_file_and_the_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.orch");
        fs::write(&path, b"host\nname\nnonsense\n").unwrap();
        let says = |why: &str| format!("{} is not a manifest: {why}", path.display());
        let why = "line 3 (SHA-1 of the whole): 40 hex digits were expected";
        assert_eq!(chain(&read(&path).unwrap_err()), says(why));

        File::create(&path).unwrap().set_len(MANIFEST_LEN_MAX + 1).unwrap();
        let why = "it has 100663297 bytes, and 100663296 are the most";
        assert_eq!(chain(&read(&path).unwrap_err()), says(why));

        // The system claims a length of 0 for this one; it is read all the same.
        assert!(matches!(read(Path::new("/proc/self/maps")), Err(ManifestFileError::NotAManifest { .. })));
        assert!(matches!(read(dir.path()), Err(ManifestFileError::Host(_))));
    }
}
