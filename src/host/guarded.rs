//! A file whose lock ends with it.
//!
//! A lock belongs to the open file and not to the program (`flock(2)`): a process that was started meanwhile has the
//! file open as well until it runs its own program, and a lock that merely loses its owner would stay for that long. So
//! it is given back in so many words.

use std::fs::{File, TryLockError};
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};

/// An open file, perhaps locked, that is not locked any more once this is dropped.
#[derive(Debug)]
pub(crate) struct Guarded(File);

impl Guarded {
    /// Takes the lock, which all programs that work on the file in place ask for. On file systems without locks, as some
    /// network file systems are, the user's own care has to do.
    ///
    /// # Errors
    /// Another one has it, or the system would not do it.
    pub(crate) fn locked(file: File) -> Result<Guarded, TryLockError> {
        match file.try_lock() {
            Ok(()) => Ok(Guarded(file)),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(Guarded(file))
            }
            Err(error) => Err(error),
        }
    }

    /// A file that is only read, which needs no lock.
    pub(crate) const fn unlocked(file: File) -> Guarded {
        Guarded(file)
    }
}

impl Deref for Guarded {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl AsFd for Guarded {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // What is closed in this moment is unlocked by that, unless somebody else has it open.
        let _closed = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_who_inherited_the_file_keeps_it_locked() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || File::open(file.path()).unwrap();
        let owner = Guarded::locked(open()).unwrap();
        let inherited = owner.try_clone().unwrap();
        assert!(matches!(Guarded::locked(open()), Err(TryLockError::WouldBlock)));
        drop(owner);
        drop(Guarded::locked(open()).unwrap());
        drop(inherited);
    }

    #[test]
    fn who_only_reads_keeps_nobody_away() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let reader = Guarded::unlocked(File::open(file.path()).unwrap());
        let locked = Guarded::locked(File::open(file.path()).unwrap()).unwrap();
        drop(reader);
        assert!(Guarded::locked(File::open(file.path()).unwrap()).is_err(), "the other one still has it");
        drop(locked);
    }
}
