//! When which changes are told: bursts as one hint, files when they are closed.
//!
//! It is told the time and what changed, and knows neither the system nor whether anything is true.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::Hint;
use crate::entry::TreePath;
use crate::limits::{
    HINT_EVERYTHING_PAUSE, HINT_GATHER, HINT_PATHS_MAX, HINT_QUIET, HINT_WRITING_FILES_MAX, HINT_WRITING_MAX,
};
use crate::time::Moment;

/// Something that the system told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// What has this path is as it will stay for now: closed after writing, made, gone, here under another name.
    Done(TreePath),
    /// Its attributes were changed.
    Attributes(TreePath),
    /// A file is being written; that it is closed will be told as well, if it was opened for that.
    Writing(TreePath),
    /// Nobody knows what.
    Anything,
}

/// What was changed and is not told yet.
#[derive(Debug, Default)]
pub(super) struct Gather {
    /// What is told next.
    /// Invariant: none of these is beneath another, and there are at most [`HINT_PATHS_MAX`].
    paths: BTreeSet<TreePath>,
    /// When the first of them came.
    since: Option<Moment>,
    /// Files that may be closed soon. Invariant: at most [`HINT_WRITING_FILES_MAX`].
    writing: BTreeMap<TreePath, Writing>,
    /// When everything is to be told.
    everything: Option<Moment>,
    /// When everything was told last.
    everything_told: Option<Moment>,
}

/// Since when, and until when, something wrote.
#[derive(Clone, Copy, Debug)]
struct Writing {
    first: Moment,
    last: Moment,
}

impl Gather {
    /// Takes what the system told.
    pub(super) fn step(&mut self, now: Moment, change: Change) {
        match change {
            Change::Done(path) => {
                self.writing.remove(&path);
                self.insert(now, path);
            }
            Change::Attributes(path) => match self.writing.get_mut(&path) {
                // Who writes a file may set its mode and time before closing it.
                Some(writing) => writing.last = now,
                None => self.insert(now, path),
            },
            Change::Writing(path) => {
                if let Some(writing) = self.writing.get_mut(&path) {
                    writing.last = now;
                } else if self.writing.len() < HINT_WRITING_FILES_MAX {
                    self.writing.insert(path, Writing { first: now, last: now });
                } else {
                    self.insert(now, path);
                }
            }
            Change::Anything => self.everything(now),
        }
    }

    /// What is to be told now; to be called until there is nothing more.
    pub(super) fn tell(&mut self, now: Moment) -> Option<Hint> {
        if self.everything.is_some_and(|due| due <= now) {
            self.everything = None;
            self.everything_told = Some(now);
            self.paths.clear();
            self.since = None;
            return Some(Hint::Everything);
        }
        if self.writing.values().any(|writing| writing.due() <= now) {
            for (path, writing) in mem::take(&mut self.writing) {
                if writing.due() <= now {
                    self.insert(now, path);
                } else {
                    self.writing.insert(path, writing);
                }
            }
        }
        if self.since? + HINT_GATHER > now {
            return None;
        }
        self.since = None;
        Some(Hint::Look(mem::take(&mut self.paths).into_iter().collect()))
    }

    /// When something is to be told, if nothing more changes.
    pub(super) fn deadline(&self) -> Option<Moment> {
        let paths = self.since.map(|since| since + HINT_GATHER);
        let writing = self.writing.values().map(|writing| writing.due()).min();
        [paths, writing, self.everything].into_iter().flatten().min()
    }

    fn everything(&mut self, now: Moment) {
        let pause_over = self.everything_told.map_or(now, |told| told + HINT_EVERYTHING_PAUSE);
        self.everything.get_or_insert(pause_over.max(now + HINT_GATHER));
    }

    fn insert(&mut self, now: Moment, path: TreePath) {
        // None is beneath another, so a folder that it is in would be the last one before it.
        if self
            .paths
            .range(..=&path)
            .next_back()
            .is_some_and(|before| *before == path || path.is_beneath(before))
        {
            return;
        }
        self.since.get_or_insert(now);
        while let Some(inside) =
            self.paths.range(&path..).next().filter(|next| next.is_beneath(&path)).cloned()
        {
            self.paths.remove(&inside);
        }
        self.paths.insert(path);
        while self.paths.len() > HINT_PATHS_MAX {
            self.fold(now);
        }
    }

    /// Puts folders in place of the deepest paths in them.
    fn fold(&mut self, now: Moment) {
        let deepest = self.paths.iter().map(TreePath::depth).max().unwrap_or(0);
        if deepest <= 1 {
            self.paths.clear();
            return self.everything(now);
        }
        let (deep, others) = mem::take(&mut self.paths).into_iter().partition(|path| path.depth() == deepest);
        self.paths = others;
        let deep: BTreeSet<TreePath> = deep;
        for folder in deep.iter().filter_map(TreePath::parent) {
            self.insert(now, folder);
        }
    }
}

impl Writing {
    fn due(self) -> Moment {
        (self.last + HINT_QUIET).min(self.first + HINT_WRITING_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::HINT_PATHS_MAX;
    use proptest::prelude::*;
    use std::iter::successors;
    use std::time::Duration;

    const START: Moment = Moment::from_micros(1_000_000);

    fn tree(text: &str) -> TreePath {
        TreePath::parse(text).unwrap()
    }

    fn after(millis: u64) -> Moment {
        START + Duration::from_millis(millis)
    }

    /// Lets time pass from one deadline to the next, and says what is told, and how many milliseconds after the start.
    fn told(gather: &mut Gather) -> Vec<(u128, Vec<String>)> {
        let mut told = Vec::new();
        while let Some(due) = gather.deadline() {
            while let Some(hint) = gather.tell(due) {
                let paths = match hint {
                    Hint::Look(paths) => paths.iter().map(|path| path.as_str().to_owned()).collect(),
                    Hint::Everything => vec!["everything".to_owned()],
                };
                told.push((due.since(START).as_millis(), paths));
            }
        }
        told
    }

    fn hint(millis: u128, paths: &[&str]) -> (u128, Vec<String>) {
        (millis, paths.iter().map(|&path| path.to_owned()).collect())
    }

    #[test]
    fn a_burst_is_one_hint_and_folders_swallow_what_is_in_them() {
        let mut gather = Gather::default();
        for (millis, path) in
            [(0, "a/b/c"), (3, "x"), (5, "a-b"), (6, "a/b/d"), (9, "a"), (14, "a/e"), (14, "x")]
        {
            assert_eq!(gather.tell(after(millis)), None);
            gather.step(after(millis), Change::Done(tree(path)));
        }
        assert_eq!(told(&mut gather), [hint(15, &["a", "a-b", "x"])]);
        gather.step(after(20), Change::Done(tree("x")));
        assert_eq!(told(&mut gather), [hint(35, &["x"])]);
        assert_eq!(gather.deadline(), None);
    }

    #[test]
    fn a_file_is_told_when_it_is_closed_or_nothing_is_written_any_more() {
        let mut gather = Gather::default();
        for (millis, change) in [
            (0, Change::Writing(tree("closed"))),
            (0, Change::Writing(tree("open"))),
            (400, Change::Writing(tree("open"))),
            (500, Change::Attributes(tree("open"))),
            (500, Change::Done(tree("closed"))),
        ] {
            gather.step(after(millis), change);
        }
        assert_eq!(told(&mut gather), [hint(515, &["closed"]), hint(1_515, &["open"])]);
        gather.step(after(2_000), Change::Attributes(tree("open")));
        assert_eq!(told(&mut gather), [hint(2_015, &["open"])]);
    }

    #[test]
    fn a_file_that_is_never_quiet_is_told_now_and_then() {
        let mut gather = Gather::default();
        let mut hints = Vec::new();
        for millis in (0..95_000).step_by(500) {
            gather.step(after(millis), Change::Writing(tree("log")));
            while let Some(hint) = gather.tell(after(millis)) {
                assert_eq!(hint, Hint::Look(vec![tree("log")]));
                hints.push(millis);
            }
        }
        // It is due at 30 s, and told with what came in the next moments.
        assert_eq!(hints, [30_500, 61_000, 91_500]);
    }

    #[test]
    fn too_many_paths_become_their_folders() {
        let mut gather = Gather::default();
        gather.step(START, Change::Done(tree("x/y")));
        for number in 0..=HINT_PATHS_MAX {
            gather.step(START, Change::Done(tree(&format!("d/e/{number}"))));
        }
        gather.step(START, Change::Done(tree("d/f")));
        assert_eq!(told(&mut gather), [hint(15, &["d/e", "d/f", "x/y"])]);
        for number in 0..=HINT_PATHS_MAX {
            gather.step(START, Change::Done(tree(&number.to_string())));
        }
        assert_eq!(told(&mut gather), [hint(15, &["everything"])]);
    }

    #[test]
    fn everything_is_told_once_in_a_while_and_the_rest_goes_on() {
        let mut gather = Gather::default();
        gather.step(START, Change::Done(tree("a")));
        gather.step(START, Change::Anything);
        gather.step(START, Change::Anything);
        assert_eq!(told(&mut gather), [hint(15, &["everything"])]);
        gather.step(after(100), Change::Anything);
        gather.step(after(100), Change::Done(tree("a")));
        assert_eq!(told(&mut gather), [hint(115, &["a"]), hint(10_015, &["everything"])]);
    }

    /// What is told goes out of what is still to be told.
    fn tell_all(gather: &mut Gather, now: Moment, open: &mut BTreeSet<TreePath>) {
        while let Some(hint) = gather.tell(now) {
            let Hint::Look(paths) = hint else {
                open.clear();
                continue;
            };
            assert!(!paths.is_empty() && paths.len() <= HINT_PATHS_MAX);
            assert!(paths.is_sorted_by(|a, b| a < b && !b.is_beneath(a)));
            let paths: BTreeSet<TreePath> = paths.into_iter().collect();
            open.retain(|path| {
                let mut way = successors(Some(path.clone()), TreePath::parent);
                !way.any(|folder| paths.contains(&folder))
            });
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn nothing_is_forgotten_and_all_stays_bounded(
            bursts in prop::collection::vec((0_u64..2_000, 0_u8..8, "[ab]{1}(/[ab]{1}){0,3}", 0_usize..900), 0..12)
        ) {
            let mut gather = Gather::default();
            let (mut now, mut open) = (START, BTreeSet::new());
            for (millis, kind, folder, len) in bursts {
                now = now + Duration::from_millis(millis.saturating_sub(1_000));
                tell_all(&mut gather, now, &mut open);
                let names = (0..len).map(|number| tree(&format!("{folder}/{number}")));
                for path in names.chain([tree(&folder)]) {
                    open.insert(path.clone());
                    gather.step(now, match kind {
                        0..4 => Change::Done(path),
                        4 => Change::Attributes(path),
                        5..7 => Change::Writing(path),
                        _ => Change::Anything,
                    });
                    prop_assert!(gather.writing.len() <= HINT_WRITING_FILES_MAX);
                    prop_assert!(gather.paths.len() <= HINT_PATHS_MAX);
                }
            }
            while let Some(due) = gather.deadline() {
                now = now.max(due);
                tell_all(&mut gather, now, &mut open);
            }
            prop_assert!(open.is_empty(), "{open:?}");
        }
    }
}
