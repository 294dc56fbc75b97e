//! Whether a database failed for want of room.
//!
//! SQLite says so itself when the disk is full, but tells a used-up quota, or a full disk that a sync finds out about,
//! from a broken disk by no word. So the same is tried once more with a file of ours, and the system asked why not.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::limits::ROOM_BYTES;

/// Whether the file with this path, which is ours to remove, cannot be written for want of room. It is gone when this
/// returns, or is replaced by the next one.
pub(super) fn is_missing(path: &Path) -> bool {
    // What was left behind by a crash, or put there by somebody: never written to.
    let _none = fs::remove_file(path);
    let tried = File::create_new(path).and_then(|file| fill(&file));
    let _gone = fs::remove_file(path);
    tried.is_err_and(|error| is_for_room(&error))
}

/// Whether the system has no space, or no more of the user's quota.
pub(super) fn is_for_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn fill(mut file: &File) -> io::Result<()> {
    file.write_all(&[0; ROOM_BYTES])?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_whether_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_missing(&dir.path().join("index.room")));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing stays");
        assert!(!is_missing(&dir.path().join("nowhere/index.room")), "another trouble");
        let full = File::options().write(true).open("/dev/full").unwrap();
        assert!(is_for_room(&fill(&full).unwrap_err()));
        assert!(is_for_room(&rustix::io::Errno::DQUOT.into()));
        assert!(!is_for_room(&rustix::io::Errno::IO.into()));
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::write(&outside, "x").unwrap();
        std::os::unix::fs::symlink(&outside, dir.path().join("index.room")).unwrap();
        assert!(!is_missing(&dir.path().join("index.room")));
        assert_eq!(fs::read(&outside).unwrap(), b"x");
    }
}
