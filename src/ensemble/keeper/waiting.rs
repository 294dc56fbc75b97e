//! Paths that wait for something: so many by name; of more it is only known that there are some, and what is to be done
//! is then found again in the index.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::entry::{ContentHash, TreePath};
use crate::limits::WAITING_MAX;

/// Paths, and for which content each waits, if that is what it waits for.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Invariant: at most [`WAITING_MAX`].
    paths: BTreeMap<TreePath, Option<ContentHash>>,
    /// The same by content.
    contents: BTreeMap<ContentHash, BTreeSet<TreePath>>,
    /// There are some beyond these.
    has_more: bool,
}

impl Waiting {
    /// How many there are at least.
    pub(super) fn count(&self) -> usize {
        self.paths.len() + usize::from(self.has_more)
    }

    /// Whether there are some without a name.
    pub(super) const fn has_more(&self) -> bool {
        self.has_more
    }

    /// There are some without a name.
    pub(super) const fn note_more(&mut self) {
        self.has_more = true;
    }

    /// Those without a name are about to be found.
    pub(super) const fn forget_more(&mut self) {
        self.has_more = false;
    }

    /// This path waits.
    pub(super) fn insert(&mut self, path: TreePath, content: Option<ContentHash>) {
        self.remove(&path);
        if self.paths.len() >= WAITING_MAX {
            self.has_more = true;
            return;
        }
        if let Some(content) = content {
            self.contents.entry(content).or_default().insert(path.clone());
        }
        self.paths.insert(path, content);
    }

    /// This path waits no longer; whether it did.
    pub(super) fn remove(&mut self, path: &TreePath) -> bool {
        let Some(content) = self.paths.remove(path) else { return false };
        if let Some(content) = content
            && let Some(paths) = self.contents.get_mut(&content)
        {
            paths.remove(path);
            if paths.is_empty() {
                self.contents.remove(&content);
            }
        }
        true
    }

    /// Those that waited for this content wait no longer.
    pub(super) fn take_content(&mut self, content: &ContentHash) -> BTreeSet<TreePath> {
        let paths = self.contents.remove(content).unwrap_or_default();
        for path in &paths {
            self.paths.remove(path);
        }
        paths
    }

    /// Nobody waits any longer: those with a name, and whether there were more.
    pub(super) fn take(&mut self) -> (Vec<TreePath>, bool) {
        let Waiting { paths, has_more, .. } = std::mem::take(self);
        (paths.into_keys().collect(), has_more)
    }

    /// What of it is in this folder.
    pub(super) fn beneath(&self, folder: &TreePath) -> Vec<TreePath> {
        let after = self.paths.range((Bound::Excluded(folder.clone()), Bound::Unbounded));
        after.map(|(path, _)| path).take_while(|path| path.is_beneath(folder)).cloned().collect()
    }

    /// Whether something of it is in this folder, or may be.
    pub(super) fn may_be_beneath(&self, folder: &TreePath) -> bool {
        let mut after = self.paths.range((Bound::Excluded(folder.clone()), Bound::Unbounded));
        self.has_more || after.next().is_some_and(|(path, _)| path.is_beneath(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text).unwrap()
    }

    fn content(number: u64) -> ContentHash {
        ContentHash::of(&number.to_le_bytes())
    }

    #[test]
    fn of_very_many_it_is_known_that_there_are_more() {
        let mut waiting = Waiting::default();
        for number in 0..=WAITING_MAX {
            waiting.insert(path(&format!("{number:06}")), Some(content(number as u64)));
        }
        assert_eq!((waiting.paths.len(), waiting.contents.len()), (WAITING_MAX, WAITING_MAX));
        assert!(waiting.has_more() && waiting.may_be_beneath(&path("zzz")), "nobody knows where they are");
        assert!((0..WAITING_MAX).all(|number| waiting.remove(&path(&format!("{number:06}")))));
        assert_eq!(waiting.count(), 1, "all is not as it should be");
        assert_eq!(waiting.take(), (vec![], true));
        assert_eq!(waiting.count(), 0);
    }

    #[test]
    fn they_are_found_by_content_and_by_folder() {
        let mut waiting = Waiting::default();
        for (name, number) in [("d/a", 1), ("d/b", 2), ("c", 1), ("d", 3), ("da", 3)] {
            waiting.insert(path(name), Some(content(number)));
        }
        waiting.insert(path("d/b"), Some(content(1)));
        waiting.insert(path("e"), None);
        assert_eq!(waiting.beneath(&path("d")), ["d/a", "d/b"].map(path));
        assert!(waiting.may_be_beneath(&path("d")) && !waiting.may_be_beneath(&path("da")));
        assert_eq!(waiting.take_content(&content(2)), BTreeSet::new(), "it waits for another one by now");
        assert!(waiting.remove(&path("d/a")) && !waiting.remove(&path("d/a")));
        assert_eq!(waiting.take_content(&content(1)), BTreeSet::from(["c", "d/b"].map(path)));
        assert_eq!(waiting.take(), (["d", "da", "e"].map(path).to_vec(), false));
    }
}
