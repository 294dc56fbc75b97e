//! Files that are written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::error::FileAction;
use super::{HostError, directory, regular};

/// The permissions of a file that only its owner may read.
const PRIVATE_MODE: u32 = 0o600;

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Those who could read the file that it replaces; of a new one, those whom the user's mask leaves.
    AsBefore,
    /// Its owner, from its first byte on.
    Owner,
}

/// Looks whether [`write()`] to this path could work, so that long work is not done in vain.
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
/// A symbolic link stays, and the file that it leads to is replaced.
///
/// # Errors
/// Anything that the system refuses. Nothing half-written is left behind.
pub fn write(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), HostError> {
    let target = resolve(path)?;
    let folder = directory::of(&target);
    let (mut file, temporary) =
        Temporary::create(folder, readers).map_err(HostError::file(FileAction::Create, path))?;
    let mut write = || {
        file.write_all(bytes)?;
        if readers == Readers::Owner {
            return Ok(());
        }
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
    fn create(directory: &Path, readers: Readers) -> io::Result<(File, Temporary)> {
        let path = directory.join(format!(".orch-{:016x}", fastrand::u64(..)));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        if readers == Readers::Owner {
            options.mode(PRIVATE_MODE);
        }
        let file = options.open(&path)?;
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
    fn what_only_the_owner_may_read_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        write(&path, b"new", Readers::Owner).unwrap();
        assert_eq!(mode(), 0o600);
        // Whoever loosened it does not loosen what comes.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, b"newer", Readers::Owner).unwrap();
        assert_eq!((mode(), fs::read(&path).unwrap().as_slice()), (0o600, b"newer".as_slice()));
    }

    #[test]
    fn a_replaced_file_hands_on_its_permissions_and_links_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("x.orch"), dir.path().join("link"));
        fs::write(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        symlink("x.orch", &link).unwrap();
        write(&link, b"new", Readers::AsBefore).unwrap();
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
        assert!(write(&path, b"new", Readers::AsBefore).is_err());
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
            assert_eq!(chain(&write(path, b"new", Readers::AsBefore).unwrap_err()), says);
        }
    }
}
