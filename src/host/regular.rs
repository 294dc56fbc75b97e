//! Opening what must be a regular file, and telling whether it stayed the same.
//!
//! Directories, pipes, devices and sockets are refused by what they are, and nothing here waits for the
//! other end of a pipe.

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use thiserror::Error;

use super::HostError;
use super::error::FileAction;

/// Something that has a path but is not a regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotAFile {
    /// A directory.
    #[error("it is a directory, not a file")]
    Directory,
    /// A pipe that has a path.
    #[error("it is a pipe, not a file")]
    Pipe,
    /// A socket that has a path.
    #[error("it is a socket, not a file")]
    Socket,
    /// A block or character device.
    #[error("it is a device, not a file")]
    Device,
}

/// What one look at a regular file tells: if two looks agree, most likely nobody wrote in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

/// Opens a regular file for reading.
///
/// # Errors
/// It cannot be opened, or it is something else: then the cause is [`NotAFile`].
pub fn open(path: &Path) -> Result<File, HostError> {
    // Looked at before it is opened, because opening a device may already do something.
    fs::metadata(path).and_then(check).map_err(HostError::file(FileAction::Open, path))?;
    // Between the look and here it may have been replaced by a pipe, for which a plain open would wait.
    let no_wait = OFlags::NONBLOCK.bits().cast_signed();
    let open = || {
        let file = OpenOptions::new().read(true).custom_flags(no_wait).open(path)?;
        file.metadata().and_then(check)?;
        Ok(file)
    };
    open().map_err(HostError::file(FileAction::Open, path))
}

/// Refuses everything but a regular file.
///
/// # Errors
/// It is something else; the cause is [`NotAFile`].
#[expect(clippy::needless_pass_by_value, reason = "so that it follows a look at a file with `and_then`")]
pub(super) fn check(metadata: Metadata) -> io::Result<()> {
    match kind_of(metadata.file_type()) {
        None => Ok(()),
        Some(kind) => Err(io::Error::new(io::ErrorKind::InvalidInput, kind)),
    }
}

fn kind_of(file_type: FileType) -> Option<NotAFile> {
    if file_type.is_file() {
        None
    } else if file_type.is_dir() {
        Some(NotAFile::Directory)
    } else if file_type.is_fifo() {
        Some(NotAFile::Pipe)
    } else if file_type.is_socket() {
        Some(NotAFile::Socket)
    } else {
        Some(NotAFile::Device)
    }
}

impl Stamp {
    /// Looks at an open file.
    ///
    /// # Errors
    /// The system does not say.
    pub fn of(file: &File, path: &Path) -> Result<Stamp, HostError> {
        file.metadata().map(Stamp::from).map_err(HostError::file(FileAction::Inspect, path))
    }

    /// Looks at the file that has this path now; none if there is none.
    ///
    /// # Errors
    /// The system does not say.
    pub fn at(path: &Path) -> Result<Option<Stamp>, HostError> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(metadata.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(HostError::file(FileAction::Inspect, path)(error)),
        }
    }

    /// The size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Whether both looks were at the same file, under whatever name.
    #[must_use]
    pub const fn is_same_file(&self, other: &Stamp) -> bool {
        self.device == other.device && self.inode == other.inode
    }
}

impl From<Metadata> for Stamp {
    fn from(metadata: Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::chain;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::io::Write;

    #[test]
    fn only_regular_files_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        mknodat(CWD, path("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        fs::write(path("file"), b"abc").unwrap();
        std::os::unix::fs::symlink("pipe", path("link")).unwrap();

        let refused = |path: &Path| chain(&open(path).unwrap_err());
        let says = |path: &Path, why: &str| format!("cannot open {}: {why}", path.display());
        for (name, why) in [
            (".", "it is a directory, not a file"),
            ("pipe", "it is a pipe, not a file"),
            ("link", "it is a pipe, not a file"),
            ("socket", "it is a socket, not a file"),
            ("missing", "no such file or directory"),
            ("file/x", "not a directory"),
        ] {
            assert_eq!(refused(&path(name)), says(&path(name), why));
        }
        let null = Path::new("/dev/null");
        assert_eq!(refused(null), says(null, "it is a device, not a file"));
        assert!(open(&path("file")).is_ok());
    }

    #[test]
    fn a_stamp_tells_growth_and_replacement() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("file"), dir.path().join("other"));
        assert_eq!(Stamp::at(&path).unwrap(), None);
        fs::write(&path, b"abc").unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        let before = Stamp::of(&file, &path).unwrap();
        assert_eq!(Stamp::at(&path).unwrap(), Some(before));

        file.write_all(b"d").unwrap();
        let grown = Stamp::at(&path).unwrap().unwrap();
        assert_ne!(grown, before);
        assert!(grown.is_same_file(&before));

        fs::write(&other, b"abcd").unwrap();
        fs::rename(&other, &path).unwrap();
        let replaced = Stamp::at(&path).unwrap().unwrap();
        assert_ne!(replaced, grown);
        assert!(!replaced.is_same_file(&grown));
    }
}
