//! Manifests on disk: read within bounds, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use thiserror::Error;

use super::error::FileAction;
use super::{HostError, directory, regular};
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

/// Looks whether [`write_atomic`] to this path could work, so that long work is not done in vain.
///
/// # Errors
/// The path is taken by something that is not a regular file, or its directory cannot be written to.
pub fn check_writable(path: &Path) -> Result<(), HostError> {
    let target = resolve(path)?;
    access(directory::of(&target), Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| HostError::file(FileAction::Create, path)(error.into()))
}

/// Writes a file so that at every moment, even through a power cut, its path leads to all of the old bytes or
/// all of the new ones.
///
/// A file that is replaced hands on its permissions; a symbolic link stays and the file that it leads to is
/// replaced.
///
/// # Errors
/// Anything that the system refuses. Nothing half-written is left behind.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), HostError> {
    let target = resolve(path)?;
    let folder = directory::of(&target);
    let (mut file, temporary) =
        Temporary::create(folder).map_err(HostError::file(FileAction::Create, path))?;
    let mut write = || {
        file.write_all(bytes)?;
        match fs::metadata(&target) {
            Ok(replaced) => file.set_permissions(replaced.permissions()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    };
    write().map_err(HostError::file(FileAction::Write, path))?;
    file.sync_all().map_err(HostError::file(FileAction::Sync, path))?;
    temporary.rename_to(&target).map_err(HostError::file(FileAction::Rename, path))?;
    directory::sync_of(&target)
}

/// The path at which a file is to be put, after any symbolic link to an existing one.
fn resolve(path: &Path) -> Result<PathBuf, HostError> {
    let resolved = match fs::metadata(path) {
        // Renaming over a device or a pipe would replace it.
        Ok(metadata) => regular::check(metadata).and_then(|()| fs::canonicalize(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        Err(error) => Err(error),
    };
    resolved.map_err(HostError::file(FileAction::Create, path))
}

/// A file under a name that nobody uses; removed when dropped.
struct Temporary {
    /// None once the file has its final name.
    path: Option<PathBuf>,
}

impl Temporary {
    fn create(directory: &Path) -> io::Result<(File, Temporary)> {
        let path = directory.join(format!(".orch-{:016x}", fastrand::u64(..)));
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok((file, Temporary { path: Some(path) }))
    }

    fn rename_to(mut self, target: &Path) -> io::Result<()> {
        let path = self.path.as_ref().expect("the path is taken only here, and this consumes the value");
        fs::rename(path, target)?;
        self.path = None;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // The error that led here is the one to report.
            drop(fs::remove_file(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::text::chain;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn names_in(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_written_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.orch");
        let text = format!("h:1\nx\n{0}\n0\n1\n0\n", Digest::of(b""));
        check_writable(&path).unwrap();
        write_atomic(&path, text.as_bytes()).unwrap();
        assert_eq!(read(&path).unwrap().render(), text);
        assert_eq!(names_in(dir.path()), ["x.orch"]);
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

    #[test]
    fn a_replaced_file_hands_on_its_permissions_and_links_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("x.orch"), dir.path().join("link"));
        fs::write(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        symlink("x.orch", &link).unwrap();
        write_atomic(&link, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("x.orch"));
        assert_eq!(names_in(dir.path()), ["link", "x.orch"]);
    }

    #[test]
    fn nothing_is_left_behind_when_the_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        // The trailing slash makes the last step, the rename, fail.
        let path = dir.path().join("x.orch/");
        assert!(write_atomic(&path, b"new").is_err());
        assert_eq!(names_in(dir.path()), [""; 0]);
    }

    #[test]
    fn devices_and_directories_are_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        for (path, why) in [
            (dir.path(), "it is a directory, not a file"),
            (Path::new("/dev/null"), "it is a device, not a file"),
            (&dir.path().join("missing/x.orch"), "no such file or directory"),
        ] {
            let says = format!("cannot create {}: {why}", path.display());
            assert_eq!(chain(&check_writable(path).unwrap_err()), says);
            assert_eq!(chain(&write_atomic(path, b"new").unwrap_err()), says);
        }
    }
}
