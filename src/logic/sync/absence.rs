//! When what is not seen counts as deleted.
//!
//! A folder that is not mounted, a disk that fails and a listing that is denied look like a deletion of everything.
//! (Syncthing issues 154 and 1496, Mutagen issues 275 and 292, Nextcloud issue 2233 tell what follows.)

use crate::limits::{BRAKE_PATHS, BRAKE_SHARE};

/// What is known about the look that missed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Our marker is in the folder.
    pub marked: bool,
    /// The folder is the same one, on the same device, as when we began.
    pub same_root: bool,
    /// Its parent was listed to the end, without an error.
    pub parent_listed: bool,
}

impl Look {
    /// Whether an absence in this look is one.
    #[must_use]
    pub const fn proves_absence(self) -> bool {
        self.marked && self.same_root && self.parent_listed
    }
}

/// Whether so many deletions at once wait for the user's word: more than [`BRAKE_PATHS`], and more than one of
/// [`BRAKE_SHARE`] of all that was there.
#[must_use]
pub const fn brakes(vanished: u64, known: u64) -> bool {
    vanished > BRAKE_PATHS && vanished > known / BRAKE_SHARE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absence_needs_all_of_its_proof() {
        let proof = Look { marked: true, same_root: true, parent_listed: true };
        assert!(proof.proves_absence());
        for look in [
            Look { marked: false, ..proof },
            Look { same_root: false, ..proof },
            Look { parent_listed: false, ..proof },
        ] {
            assert!(!look.proves_absence(), "{look:?}");
        }
    }

    #[test]
    fn many_at_once_are_braked_if_they_are_most() {
        assert!(!brakes(100, 100), "all of a small folder");
        assert!(brakes(101, 101) && brakes(101, 201));
        assert!(!brakes(101, 202), "half");
        assert!(!brakes(10_000, 1_000_000) && brakes(600_000, 1_000_000));
    }
}
