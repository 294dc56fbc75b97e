//! What users may rely on, as somebody sees it who watches all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::Wrong;
use super::disk::{Disk, Node};
use crate::entry::{Content, ContentHash, TreePath};

/// Contents that must still be there, and places where some must not.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Written, and replaced or deleted by nobody who had it before them.
    owed: BTreeMap<ContentHash, u64>,
    /// Deleted or replaced here by somebody who had it before them.
    deleted: BTreeMap<(TreePath, ContentHash), u64>,
    /// Every content that was ever deleted or replaced.
    replaced: BTreeSet<ContentHash>,
    numbers: BTreeMap<ContentHash, u64>,
    /// Where a machine wrote anew what it had: others could not tell it from an edit.
    reasserted: BTreeSet<TreePath>,
}

impl Owed {
    pub(super) fn written(&mut self, path: &TreePath, node: &Node, number: u64) {
        if let Some(hash) = node.content.hash() {
            // What names a content as the one that it replaced replaces it wherever somebody writes it again.
            if !self.replaced.contains(&hash) {
                self.owed.insert(hash, number);
            }
            self.numbers.insert(hash, number);
            self.deleted.remove(&(path.clone(), hash));
        }
    }

    /// Somebody who had this before them deleted or replaced it.
    pub(super) fn deleted(&mut self, path: &TreePath, node: &Node) {
        if let Some(hash) = node.content.hash().filter(|_| node.content != Content::Folder) {
            self.owed.remove(&hash);
            self.replaced.insert(hash);
            let number = self.numbers.get(&hash).copied().unwrap_or_default();
            self.deleted.insert((path.clone(), hash), number);
        }
    }

    /// It was written, and the machine stopped before it had reached any disk.
    pub(super) fn never_was(&mut self, hash: ContentHash) {
        self.owed.remove(&hash);
    }

    pub(super) fn reasserted(&mut self, path: &TreePath) {
        self.reasserted.insert(path.clone());
    }

    pub(super) fn judge(&self, disk: &Disk, archived: &BTreeSet<ContentHash>, gentle: bool) -> Option<Wrong> {
        let there: BTreeSet<ContentHash> = disk.hashes().collect();
        let is_lost = |hash: &ContentHash| !there.contains(hash) && !archived.contains(hash);
        if let Some((_, &number)) = self.owed.iter().find(|(hash, _)| is_lost(hash)) {
            return Some(Wrong::Lost(number));
        }
        let back = |((path, hash), number): (&(TreePath, ContentHash), &u64)| {
            let is_there = disk.get(path).is_some_and(|node| node.content.hash() == Some(*hash));
            (is_there && !self.reasserted.contains(path)).then(|| Wrong::Back(*number, path.clone()))
        };
        if gentle { self.deleted.iter().find_map(back) } else { None }
    }
}
