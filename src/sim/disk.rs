//! The disk of a member: what is written may be lost until it was synced.

use fastrand::Rng;

use crate::part::{Layout, PartIndex};

/// What lies at the place of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Nothing,
    Right,
    Wrong,
}

/// The disk has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// One file in parts, as its reader sees it and as it would be after a power cut.
#[derive(Debug)]
pub(super) struct Disk {
    seen: Vec<Content>,
    /// Parts that were written and not synced since.
    unsynced: Vec<PartIndex>,
    pub(super) full: bool,
}

impl Disk {
    pub(super) fn new(layout: Layout) -> Disk {
        Disk { seen: vec![Content::Nothing; layout.parts() as usize], unsynced: Vec::new(), full: false }
    }

    pub(super) fn read(&self, part: PartIndex) -> Content {
        self.seen[part.at()]
    }

    /// Puts a part there from the start on.
    pub(super) fn plant(&mut self, part: PartIndex, content: Content) {
        self.seen[part.at()] = content;
    }

    pub(super) fn write(&mut self, part: PartIndex) -> Result<(), Full> {
        if self.full {
            return Err(Full);
        }
        self.seen[part.at()] = Content::Right;
        self.unsynced.push(part);
        Ok(())
    }

    pub(super) fn sync(&mut self) {
        self.unsynced.clear();
    }

    /// The power goes: each part that was not synced is there, torn, or gone. Says whether any is not there.
    pub(super) fn crash(&mut self, rng: &mut Rng) -> bool {
        let mut lost = false;
        for part in std::mem::take(&mut self.unsynced) {
            self.seen[part.at()] = match rng.u8(0..4) {
                0 => Content::Right,
                1 => Content::Wrong,
                _ => Content::Nothing,
            };
            lost |= self.read(part) != Content::Right;
        }
        lost
    }
}
