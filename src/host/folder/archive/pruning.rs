//! What goes from the archive: what is too old, what is one of too many, and what gives way when space is short.
//!
//! Each removal is one of a name in a folder of ours, by its handle, so a stop at any moment leaves less to do. Folders
//! of a day that somebody may still put something into stay until the day goes.

use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use super::thinning::surplus;
use super::{Archive, DAY_SECONDS, Folder, Kept, LONG, Shelf, beneath, day_of, own};
use crate::entry::TreePath;
use crate::host::folder::beneath::{Beneath, Kind};
use crate::host::folder::trouble::{Action, FolderError, Trouble};
use crate::limits::{ARCHIVE_DAYS, ARCHIVE_GIVE_BATCH, ARCHIVE_SAFE};

/// What was removed because it was old, or one of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Versions older than [`ARCHIVE_DAYS`].
    pub old: u64,
    /// Versions of which others of the same hour or day stay.
    pub surplus: u64,
    /// All days through this one were thinned out for good: days since 1970.
    pub through: u64,
}

/// What gave way because space was short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// How many versions.
    pub versions: u64,
    /// Their bytes; of what has other names none, for nothing was won by it.
    pub bytes: u64,
    /// When the youngest of them was replaced or deleted, since 1970.
    pub until: Duration,
}

impl Given {
    /// Adds what gave way later.
    pub fn add(&mut self, more: Given) {
        self.versions += more.versions;
        self.bytes += more.bytes;
        self.until = self.until.max(more.until);
    }
}

/// A version by its age, where the oldest is the least.
#[derive(PartialEq, Eq)]
struct Old(Kept);

impl Ord for Old {
    fn cmp(&self, other: &Old) -> std::cmp::Ordering {
        (self.0.at, &self.0.path).cmp(&(other.0.at, &other.0.path))
    }
}

impl PartialOrd for Old {
    fn partial_cmp(&self, other: &Old) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Archive {
    /// Removes what is older than [`ARCHIVE_DAYS`], and thins out what is not that old. Days through `through` were
    /// thinned out for good before, and are not looked at; nothing is looked at twice but the last two days.
    ///
    /// `now` is the time since 1970. It ends early if `give_up` says so; then some is left to do.
    ///
    /// # Errors
    /// Something cannot be read or removed.
    pub fn tidy(
        &self,
        now: Duration,
        through: u64,
        give_up: impl Fn() -> bool,
    ) -> Result<Tidied, FolderError> {
        let old = self.prune(now)?;
        // Of these days everything is as old as a version must be for one a day to stay.
        let settled = (now.as_secs() / DAY_SECONDS).saturating_sub(2);
        let mut tidied = Tidied { old, surplus: 0, through: settled };
        // A mark from a time when the clock was wrong is none.
        let done = if through > settled { 0 } else { through };
        for name in self.names()? {
            let Some(day) = day_of(name.strip_suffix(LONG).unwrap_or(&name)) else { continue };
            if day <= done {
                continue;
            }
            if give_up() {
                tidied.through = done;
                break;
            }
            let thin = if name.ends_with(LONG) { Archive::thin_long } else { Archive::thin };
            tidied.surplus += thin(self, &name, now).map_err(|trouble| own(trouble, Action::Remove))?;
        }
        Ok(tidied)
    }

    /// Removes the oldest versions, until so many bytes were won or `enough` says so; none that is younger than
    /// [`ARCHIVE_SAFE`] at `now`, since 1970: who fills the disk must not be able to flush away what they replaced before
    /// anybody noticed.
    ///
    /// # Errors
    /// Something cannot be read or removed.
    pub fn give_way(
        &self,
        now: Duration,
        bytes: u64,
        mut enough: impl FnMut() -> bool,
    ) -> Result<Given, FolderError> {
        let mut given = Given::default();
        let Some(before) = now.checked_sub(ARCHIVE_SAFE) else { return Ok(given) };
        let mut days: Vec<(u64, Vec<String>)> = Vec::new();
        for name in self.names()? {
            let Some(day) = day_of(name.strip_suffix(LONG).unwrap_or(&name)) else { continue };
            match days.last_mut() {
                Some((last, names)) if *last == day => names.push(name),
                _ => days.push((day, vec![name])),
            }
        }
        for (day, names) in days {
            if Duration::from_secs(day * DAY_SECONDS) >= before {
                break;
            }
            loop {
                let oldest = self.oldest_of(&names, before).map_err(|trouble| own(trouble, Action::List))?;
                let is_last = oldest.len() < ARCHIVE_GIVE_BATCH;
                for Old(kept) in oldest {
                    if given.bytes >= bytes || enough() {
                        return Ok(given);
                    }
                    given.add(self.remove(&kept).map_err(|trouble| own(trouble, Action::Remove))?);
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(given)
    }

    /// Removes what came here more than [`ARCHIVE_DAYS`] before now, whole days at a time; says how many versions.
    /// What seems to have come after now stays.
    pub(super) fn prune(&self, now: Duration) -> Result<u64, FolderError> {
        // The last of a day came nearly a day after its begin.
        let oldest = (now.as_secs() / DAY_SECONDS).saturating_sub(ARCHIVE_DAYS);
        let mut removed = 0;
        for name in self.names()? {
            let Some(day) = day_of(name.strip_suffix(LONG).unwrap_or(&name)) else { continue };
            if day < oldest {
                removed += remove_all(&self.folder, &name).map_err(|trouble| own(trouble, Action::Remove))?;
            }
        }
        Ok(removed)
    }

    /// The names in it, in order: by days.
    fn names(&self) -> Result<Vec<String>, FolderError> {
        let mut names = self.folder.list().map_err(|trouble| own(trouble, Action::List))?.names;
        names.sort_unstable();
        Ok(names)
    }

    /// Thins out a day.
    fn thin(&self, day: &str, now: Duration) -> Result<u64, Trouble> {
        let mut removed = 0;
        let top = Shelf { tops: vec![day.to_owned()], parent: None };
        self.each_on(&top, |folder, mut versions| {
            versions.sort_unstable_by(|a, b| (&a.path, a.at).cmp(&(&b.path, b.at)));
            for versions in versions.chunk_by(|a, b| a.path == b.path) {
                let times: Vec<Duration> = versions.iter().map(|kept| kept.at).collect();
                for at in surplus(&times, now) {
                    folder.remove_file(&versions[at].name)?;
                    removed += 1;
                }
            }
            Ok(())
        })?;
        Ok(removed)
    }

    /// The same for long names, where each version has a folder of its own.
    fn thin_long(&self, day: &str, now: Duration) -> Result<u64, Trouble> {
        let folder = self.folder.folder(day)?;
        let mut of_paths: BTreeMap<TreePath, Vec<(Duration, String)>> = BTreeMap::new();
        for moment in folder.list()?.names {
            let top = Shelf { tops: vec![day.to_owned(), moment.clone()], parent: None };
            if super::time_of(&moment).is_none() {
                continue;
            }
            let mut found = Vec::new();
            self.each_on(&top, |_, versions| {
                found.extend(versions);
                Ok(())
            })?;
            // Of a folder with more in it we know nothing.
            if let [kept] = found.as_slice() {
                of_paths.entry(kept.path.clone()).or_default().push((kept.at, moment));
            }
        }
        let mut removed = 0;
        for versions in of_paths.values_mut() {
            versions.sort_unstable();
            let times: Vec<Duration> = versions.iter().map(|(at, _)| *at).collect();
            for at in surplus(&times, now) {
                removed += remove_all(&folder, &versions[at].1)?;
            }
        }
        Ok(removed)
    }

    /// The oldest versions on these shelves that came before this, in order, at most [`ARCHIVE_GIVE_BATCH`].
    fn oldest_of(&self, days: &[String], before: Duration) -> Result<Vec<Old>, Trouble> {
        let mut oldest = BinaryHeap::new();
        self.each_shelf_of(days, |top| {
            self.each_on(top, |_, versions| {
                for kept in versions.into_iter().filter(|kept| kept.at < before) {
                    oldest.push(Old(kept));
                    if oldest.len() > ARCHIVE_GIVE_BATCH {
                        oldest.pop();
                    }
                }
                Ok(())
            })
        })?;
        Ok(oldest.into_sorted_vec())
    }

    fn remove(&self, kept: &Kept) -> Result<Given, Trouble> {
        match self.shelf_of(kept).and_then(|shelf| shelf.remove_file(&kept.name)) {
            Ok(()) => {}
            // Somebody was faster.
            Err(Trouble::Missing) => return Ok(Given::default()),
            Err(trouble) => return Err(trouble),
        }
        let bytes = if kept.stat.links <= 1 { kept.stat.size } else { 0 };
        Ok(Given { versions: 1, bytes, until: kept.at })
    }
}

/// Removes a folder and what is in it; says how many versions that were.
fn remove_all(within: &Folder, name: &str) -> Result<u64, Trouble> {
    let top = Beneath::of(within.folder(name)?.handle()?)?;
    let (mut removed, mut at) = (0, 0);
    // Each folder comes after the one that it is in.
    let mut folders = vec![None];
    while let Some(path) = folders.get(at).cloned() {
        let folder = top.folder(path.as_ref()).map_err(|error| error.trouble)?;
        for name in folder.list()?.names {
            match folder.stat(&name)? {
                Some(stat) if stat.kind == Kind::Folder => {
                    folders.extend(beneath(path.as_ref(), &name).map(Some));
                }
                _ => {
                    folder.remove_file(&name)?;
                    removed += 1;
                }
            }
        }
        at += 1;
    }
    for path in folders.iter().flatten().rev() {
        top.parent(path)?.remove_folder(path.name())?;
    }
    within.remove_folder(name)?;
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{DAY, archive, keep};
    use super::super::{LAST_DAY, day_name};
    use super::*;
    use crate::limits::NAME_LEN_MAX;
    use std::fs;
    use std::os::unix::fs::symlink;

    const HOUR: Duration = Duration::from_secs(3_600);
    const TODAY: u32 = 20_778;

    fn noon() -> Duration {
        TODAY * DAY + 12 * HOUR
    }

    /// The ages of all versions of a path at noon, in seconds, the oldest first.
    fn ages(archive: &Archive, path: &str) -> Vec<u64> {
        let versions = archive.versions(&TreePath::parse(path).unwrap()).unwrap();
        versions.iter().rev().map(|kept| (noon() - kept.at).as_secs()).collect()
    }

    #[test]
    fn what_is_older_than_a_month_goes_by_days() {
        let dir = tempfile::tempdir().unwrap();
        let archive = archive(dir.path());
        let now = 20_778 * DAY + Duration::from_secs(5);
        let long = "x".repeat(NAME_LEN_MAX);
        for days in [0, 1, 29, 30, 31, 32, 400] {
            keep(&archive, "a/b/c", now - days * DAY);
            keep(&archive, &format!("a/{long}"), now - days * DAY);
        }
        keep(&archive, "future", now + 5 * DAY);
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("f"), "x").unwrap();
        let old = dir.path().join(day_name(20_778 - 31));
        symlink(outside.path(), old.join("a/link")).unwrap();
        fs::create_dir(dir.path().join("not ours")).unwrap();

        assert_eq!(archive.prune(now).unwrap(), 2 * 3 + 1);
        let mut days: Vec<u32> = Vec::new();
        let mut future = 0;
        archive
            .each(|kept| match now.checked_sub(kept.at) {
                Some(ago) => days.push(u32::try_from(ago.as_secs() / DAY_SECONDS).unwrap()),
                None => future += 1,
            })
            .unwrap();
        days.sort_unstable();
        assert_eq!((days, future), (vec![0, 0, 1, 1, 29, 29, 30, 30], 1));
        assert!(dir.path().join("not ours").exists() && !old.exists());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        assert_eq!(archive.prune(now).unwrap(), 0);
    }

    #[test]
    fn the_older_the_fewer_whatever_their_names_are() {
        let dir = tempfile::tempdir().unwrap();
        let archive = archive(dir.path());
        // One that looks like a version of another, and one whose folder looks like a version.
        let long = format!("a/{}", "x".repeat(NAME_LEN_MAX));
        let paths = ["a/b", "a/b~135508.123456789-0a1b2c3d", "a/c~135508.123456789-0a1b2c3d/d", &long];
        let minutes = |minutes: u32| Duration::from_secs(60) * minutes;
        let morning = 3 * HOUR - minutes(5);
        let written =
            [minutes(10), minutes(20), morning, morning + minutes(1), morning + minutes(2), 5 * DAY];
        for path in paths {
            for ago in written.into_iter().chain([5 * DAY + minutes(1), 5 * DAY + minutes(2)]) {
                keep(&archive, path, noon() - ago);
            }
        }
        fs::write(dir.path().join(day_name(u64::from(TODAY))).join("a/stray"), "x").unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("b~115800.000000000-00000000"), "x").unwrap();
        fs::write(outside.path().join("b~115801.000000000-00000000"), "x").unwrap();
        symlink(outside.path(), dir.path().join(day_name(u64::from(TODAY - 5))).join("link")).unwrap();

        let tidied = archive.tidy(noon(), 0, || false).unwrap();
        let settled = u64::from(TODAY - 2);
        assert_eq!(tidied, Tidied { old: 0, surplus: 2 * paths.len() as u64, through: settled });
        // Of the three five days ago the first had stood, as far as it shows there, and so had that of this morning.
        let left = [5 * DAY + minutes(2), 5 * DAY, morning + minutes(2), morning, minutes(20), minutes(10)];
        let left = left.map(|ago| ago.as_secs());
        for path in paths {
            assert_eq!(ages(&archive, path), left, "{path}");
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 2);
        assert_eq!(archive.tidy(noon(), 0, || false).unwrap().surplus, 0, "done twice is done once");
    }

    #[test]
    fn days_that_are_done_are_not_looked_at_again() {
        let dir = tempfile::tempdir().unwrap();
        let archive = archive(dir.path());
        let minute = Duration::from_secs(60);
        let fill = |days: u32| (0..3).for_each(|at| keep(&archive, "a", noon() - days * DAY + at * minute));
        [1, 4, 6].into_iter().for_each(fill);
        let tidy = |through: u32, give_up| {
            let tidied = archive.tidy(noon(), through.into(), || give_up).unwrap();
            (tidied.surplus, tidied.through)
        };
        assert_eq!(tidy(TODAY - 5, true), (0, u64::from(TODAY - 5)), "what was not done is done later");
        assert_eq!(tidy(TODAY - 5, false), (2, u64::from(TODAY - 2)));
        assert_eq!(tidy(TODAY - 2, false).0, 0);
        // A mark of a day that has not come.
        assert_eq!(tidy(u32::try_from(LAST_DAY).unwrap(), false).0, 1);
    }

    #[test]
    fn the_oldest_give_way_and_none_of_the_last_day() {
        let dir = tempfile::tempdir().unwrap();
        let archive = archive(dir.path());
        let long = "x".repeat(NAME_LEN_MAX);
        let written = [("c", 20 * DAY), ("b", 20 * DAY + HOUR), (&*long, 21 * DAY), ("a", DAY + HOUR)];
        let young = [("a", DAY - HOUR), ("b", Duration::from_secs(1))];
        for (path, ago) in written.into_iter().chain(young) {
            keep(&archive, path, noon() - ago);
        }
        for entry in archive_files(dir.path()) {
            fs::OpenOptions::new().write(true).open(entry).unwrap().set_len(10).unwrap();
        }
        let names = |archive: &Archive| {
            let mut names = Vec::new();
            archive.each(|kept| names.push((kept.path.to_string(), noon() - kept.at))).unwrap();
            names
        };
        let given = archive.give_way(noon(), 11, || false).unwrap();
        assert_eq!(given, Given { versions: 2, bytes: 20, until: noon() - (20 * DAY + HOUR) });
        assert_eq!(archive.give_way(noon(), u64::MAX, || true).unwrap(), Given::default());
        let given = archive.give_way(noon(), u64::MAX, || false).unwrap();
        assert_eq!((given.versions, given.bytes), (2, 20));
        let left = young.map(|(path, ago)| (path.to_owned(), ago));
        assert_eq!(names(&archive), left, "however much is wanted");
        assert_eq!(archive.give_way(Duration::from_secs(5), 1, || false).unwrap(), Given::default());
    }

    #[test]
    fn what_has_another_name_wins_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let archive = archive(dir.path());
        keep(&archive, "a", noon() - 3 * DAY);
        keep(&archive, "b", noon() - 2 * DAY);
        let first = archive_files(dir.path()).remove(0);
        let outside = tempfile::tempdir().unwrap();
        fs::hard_link(&first, outside.path().join("other")).unwrap();
        fs::OpenOptions::new().write(true).open(&first).unwrap().set_len(10).unwrap();
        let given = archive.give_way(noon(), 5, || false).unwrap();
        assert_eq!((given.versions, given.bytes), (2, 0));
        assert!(outside.path().join("other").exists());
    }

    /// All files, by day.
    fn archive_files(top: &std::path::Path) -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![top.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found.sort();
        found
    }
}
