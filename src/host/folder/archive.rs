//! What was replaced or deleted, for a month, the older the fewer versions of a path: `.orchestra/archive`.
//!
//! A version keeps its inode, and with it its time and mode; its path and when it came here are in its names, so that
//! keeping it is one rename and needs no room on a full disk but for a name:
//!
//! - `2026-11-21/FOLDERS/NAME~135508.123456789-0a1b2c3d`: folders as in the ensemble, then the time of day (UTC) and
//!   a random number;
//! - `2026-11-21.long/135508.123456789-0a1b2c3d/FOLDERS/NAME` where the name would be too long.

use std::fs::File;
use std::time::{Duration, SystemTime};

use super::beneath::{Beneath, Folder, Kind, Stat};
use super::trouble::{Action, FolderError, Trouble};
use crate::entry::TreePath;
use crate::host::entropy;
use crate::limits::NAME_LEN_MAX;

mod pruning;
mod thinning;

pub use self::pruning::{Given, Tidied};

/// Between the name of a version and when it was archived.
const MARK: char = '~';
/// What the folder of a day is called that has long names, beyond its day.
const LONG: &str = ".long";
/// The length of `135508.123456789-0a1b2c3d`.
const MOMENT_LEN: usize = 25;
const DAY_SECONDS: u64 = 86_400;
/// Days from the first of March of the year 0 to the first of January 1970.
const EPOCH_DAYS: u64 = 719_468;
/// The last day that is written with four digits of a year.
const LAST_DAY: u64 = 2_932_896;

/// The archive of one folder.
#[derive(Debug)]
pub struct Archive {
    folder: Folder,
    beneath: Beneath,
}

/// A version in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Where it was.
    pub path: TreePath,
    /// When it was replaced or deleted, since 1970, by this computer's clock.
    pub at: Duration,
    /// What it is: kind, size, time and mode are those that it had.
    pub stat: Stat,
    /// The folder in the archive that holds it.
    shelf: Shelf,
    /// Its name there.
    name: String,
}

impl Kept {
    /// When it was replaced or deleted, as people write it and a shell takes it: `2026-11-21T13:55:08Z` (UTC).
    #[must_use]
    pub fn when(&self) -> String {
        when(self.at)
    }
}

/// A time since 1970 as people write it and a shell takes it: `2026-11-21T13:55:08Z` (UTC).
#[must_use]
pub fn when(at: Duration) -> String {
    let seconds = at.as_secs() % DAY_SECONDS;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", day_name(at.as_secs() / DAY_SECONDS))
}

/// A folder in the archive, by the names that lead there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shelf {
    /// The day, and the moment if names are long.
    tops: Vec<String>,
    parent: Option<TreePath>,
}

/// Where a version is about to be kept.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) shelf: Folder,
    pub(super) name: String,
}

impl Archive {
    pub(super) fn of(folder: Folder) -> Result<Archive, FolderError> {
        let open = || Beneath::of(folder.handle()?);
        let beneath = open().map_err(|trouble| own(trouble, Action::Open))?;
        Ok(Archive { folder, beneath })
    }

    /// A place for what is at this path, made ready so that only a rename is missing.
    pub(super) fn slot(&self, path: &TreePath) -> Result<Slot, FolderError> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.slot_at(path, now)
    }

    fn slot_at(&self, path: &TreePath, now: Duration) -> Result<Slot, FolderError> {
        let random = u32::from_le_bytes(
            entropy::bytes()
                .map_err(|_| own(Trouble::Io(std::io::Error::other("no randomness")), Action::Archive))?,
        );
        let day = day_name(now.as_secs() / DAY_SECONDS);
        let moment = moment_name(now, random);
        let is_long = path.name().len() + MARK.len_utf8() + moment.len() > NAME_LEN_MAX;
        let (tops, name) = if is_long {
            (vec![format!("{day}{LONG}"), moment], path.name().to_owned())
        } else {
            (vec![day], format!("{}{MARK}{moment}", path.name()))
        };
        let shelf = self.make_shelf(&tops, path.parent().as_ref());
        Ok(Slot { shelf: shelf.map_err(|trouble| trouble.at(Action::Archive, path))?, name })
    }

    fn make_shelf(&self, tops: &[String], parent: Option<&TreePath>) -> Result<Folder, Trouble> {
        // All folders are there already, unless it is the first of its folder today.
        let whole =
            tops.iter().map(String::as_str).chain(parent.map(TreePath::as_str)).collect::<Vec<_>>().join("/");
        if let Ok(path) = TreePath::parse(&whole)
            && let Ok(folder) = self.beneath.folder(Some(&path))
        {
            return Ok(folder);
        }
        let names = tops.iter().map(String::as_str).chain(parent.iter().flat_map(|parent| parent.names()));
        let mut made = None;
        for name in names {
            made = Some(made.as_ref().unwrap_or(&self.folder).folder_or_new(name)?);
        }
        made.ok_or(Trouble::Missing)
    }

    /// The versions of a path, the latest first.
    ///
    /// # Errors
    /// The archive cannot be read.
    pub fn versions(&self, path: &TreePath) -> Result<Vec<Kept>, FolderError> {
        let mut found = Vec::new();
        self.each_shelf(|shelf| {
            let Some(folder) = self.open_shelf(shelf, path.parent())? else { return Ok(()) };
            let names =
                if shelf.tops.len() > 1 { vec![path.name().to_owned()] } else { folder.list()?.names };
            let shelf = Shelf { tops: shelf.tops.clone(), parent: path.parent() };
            found.extend(
                names
                    .into_iter()
                    .filter_map(|name| kept(&shelf, &folder, name))
                    .filter(|kept| kept.path == *path),
            );
            Ok(())
        })?;
        found.sort_by_key(|kept| std::cmp::Reverse(kept.at));
        Ok(found)
    }

    /// Shows all versions of all paths, day by day.
    ///
    /// # Errors
    /// The archive cannot be read.
    pub fn each(&self, mut show: impl FnMut(Kept)) -> Result<(), FolderError> {
        self.each_shelf(|top| {
            self.each_on(top, |_, versions| {
                versions.into_iter().for_each(&mut show);
                Ok(())
            })
        })
    }

    /// Shows the versions that stand beneath this, folder by folder.
    fn each_on(
        &self,
        top: &Shelf,
        mut show: impl FnMut(&Folder, Vec<Kept>) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let mut parents = vec![None];
        while let Some(parent) = parents.pop() {
            let Some(folder) = self.open_shelf(top, parent.clone())? else { continue };
            let shelf = Shelf { tops: top.tops.clone(), parent };
            let mut versions = Vec::new();
            for name in folder.list()?.names {
                let is_folder = folder.stat(&name)?.is_some_and(|stat| stat.kind == Kind::Folder);
                if is_folder {
                    // A folder that is no path was not made by us.
                    parents.extend(beneath(shelf.parent.as_ref(), &name).map(Some));
                } else {
                    versions.extend(kept(&shelf, &folder, name));
                }
            }
            show(&folder, versions)?;
        }
        Ok(())
    }

    /// Opens the content of a version that is a file.
    ///
    /// # Errors
    /// It is not there any more, or it is a link.
    pub fn open_file(&self, kept: &Kept) -> Result<File, FolderError> {
        let file = self.shelf_of(kept).and_then(|shelf| shelf.open_file(&kept.name));
        file.map_err(|trouble| trouble.at(Action::Open, &kept.path))
    }

    /// The text of a version that is a symbolic link.
    ///
    /// # Errors
    /// It is not there any more, or it is a file.
    pub fn read_link(&self, kept: &Kept) -> Result<String, FolderError> {
        let text = self.shelf_of(kept).and_then(|shelf| shelf.read_link(&kept.name));
        text.map_err(|trouble| trouble.at(Action::Read, &kept.path))
    }

    /// All that stand where paths begin.
    fn each_shelf(&self, visit: impl FnMut(&Shelf) -> Result<(), Trouble>) -> Result<(), FolderError> {
        let all = || {
            let mut days = self.folder.list()?.names;
            days.sort();
            self.each_shelf_of(&days, visit)
        };
        all().map_err(|trouble: Trouble| own(trouble, Action::List))
    }

    /// Those of these days.
    fn each_shelf_of(
        &self,
        days: &[String],
        mut visit: impl FnMut(&Shelf) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        for day in days {
            if day_of(day).is_some() {
                visit(&Shelf { tops: vec![day.clone()], parent: None })?;
            } else if day.strip_suffix(LONG).and_then(day_of).is_some() {
                for moment in self.folder.folder(day)?.list()?.names {
                    if time_of(&moment).is_some() {
                        visit(&Shelf { tops: vec![day.clone(), moment], parent: None })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Where a version is.
    fn shelf_of(&self, kept: &Kept) -> Result<Folder, Trouble> {
        self.open_shelf(&kept.shelf, kept.shelf.parent.clone())?.ok_or(Trouble::Missing)
    }

    /// None if nothing of this folder was kept there, or it was pruned meanwhile.
    fn open_shelf(&self, shelf: &Shelf, parent: Option<TreePath>) -> Result<Option<Folder>, Trouble> {
        let open = || {
            let mut top = self.folder.folder(&shelf.tops[0])?;
            for name in &shelf.tops[1..] {
                top = top.folder(name)?;
            }
            match parent {
                Some(parent) => {
                    Beneath::of(top.handle()?)?.folder(Some(&parent)).map_err(|error| error.trouble)
                }
                None => Ok(top),
            }
        };
        match open() {
            Ok(folder) => Ok(Some(folder)),
            Err(Trouble::Missing | Trouble::Way) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }
}

/// The version with this name; none if it is no version, or gone.
fn kept(shelf: &Shelf, folder: &Folder, name: String) -> Option<Kept> {
    let stat = folder.stat(&name).ok()?.filter(|stat| matches!(stat.kind, Kind::File | Kind::Link))?;
    let day = day_of(shelf.tops[0].strip_suffix(LONG).unwrap_or(&shelf.tops[0]))?;
    let (original, moment) = match shelf.tops.get(1) {
        Some(moment) => (name.as_str(), moment.as_str()),
        None => name.split_at_checked(name.len().checked_sub(MOMENT_LEN)?)?,
    };
    let original = if shelf.tops.len() > 1 { original } else { original.strip_suffix(MARK)? };
    let at = Duration::from_secs(day * DAY_SECONDS) + time_of(moment)?;
    Some(Kept { path: beneath(shelf.parent.as_ref(), original)?, at, stat, shelf: shelf.clone(), name })
}

fn beneath(parent: Option<&TreePath>, name: &str) -> Option<TreePath> {
    parent.map_or_else(|| TreePath::parse(name), |parent| parent.join(name)).ok()
}

fn own(trouble: Trouble, action: Action) -> FolderError {
    trouble.at_own(action, "archive")
}

/// `2026-11-21`, of so many days after the first of January 1970.
///
/// The arithmetic is Howard Hinnant's `civil_from_days`: years begin in March, so that the odd day is their last.
fn day_name(days: u64) -> String {
    let days = days.min(LAST_DAY) + EPOCH_DAYS;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The day with this name.
fn day_of(name: &str) -> Option<u64> {
    let mut numbers = name.splitn(3, '-').map(|number| number.parse::<u64>().ok());
    let (year, month, day) = (numbers.next()??, numbers.next()??, numbers.next()??);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * march_month + 2) / 5 + day - 1;
    let year_of_era = year % 400;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    let days = (year / 400 * 146_097 + of_era).checked_sub(EPOCH_DAYS)?;
    // Of a day that is not in the calendar, or written in another way, the name is another one.
    (day_name(days) == name).then_some(days)
}

/// `135508.123456789-0a1b2c3d`, of a time of day and a number that makes it unique.
fn moment_name(now: Duration, random: u32) -> String {
    let seconds = now.as_secs() % DAY_SECONDS;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}{minute:02}{second:02}.{:09}-{random:08x}", now.subsec_nanos())
}

/// The time of day with this name.
fn time_of(name: &str) -> Option<Duration> {
    let (time, random) = name.split_once('-')?;
    let (clock, nanos) = time.split_once('.')?;
    let digits = |text: &str, len: usize| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(clock, 6)
        || !digits(nanos, 9)
        || random.len() != 8
        || !random.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return None;
    }
    let part = |at: usize| clock[at..at + 2].parse::<u64>().ok();
    let (hour, minute, second) = (part(0)?, part(2)?, part(4)?);
    let seconds = Duration::from_secs(hour * 3_600 + minute * 60 + second);
    (hour < 24 && minute < 60 && second < 60).then_some(seconds + Duration::from_nanos(nanos.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    pub(super) const DAY: Duration = Duration::from_secs(DAY_SECONDS);

    pub(super) fn archive(at: &std::path::Path) -> Archive {
        Archive::of(Beneath::open(at).unwrap().folder(None).unwrap()).unwrap()
    }

    pub(super) fn keep(archive: &Archive, path: &str, at: Duration) {
        let slot = archive.slot_at(&TreePath::parse(path).unwrap(), at).unwrap();
        slot.shelf.create_file(&slot.name, rustix::fs::Mode::RUSR).unwrap();
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (days, name) in
            [(0, "1970-01-01"), (11_016, "2000-02-29"), (20_778, "2026-11-21"), (LAST_DAY, "9999-12-31")]
        {
            assert_eq!((day_name(days).as_str(), day_of(name)), (name, Some(days)));
        }
        for name in [
            "",
            "2026-02-29",
            "2026-1-01",
            "2026-13-01",
            "2026-11-21.long",
            "+026-11-21",
            "1969-12-31",
            "-1-1-1",
        ] {
            assert_eq!(day_of(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_not_ours_in_it_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let archive = archive(dir.path());
        keep(&archive, "a", 20_778 * DAY);
        let day = dir.path().join("2026-11-21");
        fs::write(day.join("stray"), "x").unwrap();
        fs::write(day.join("~135508.123456789-0a1b2c3d"), "of no name").unwrap();
        fs::write(day.join("b~995508.123456789-0a1b2c3d"), "no time").unwrap();
        fs::create_dir(day.join("c~135508.123456789-0a1b2c3d")).unwrap();
        symlink("/", day.join("link")).unwrap();
        symlink("/", dir.path().join("2026-11-20")).unwrap();
        fs::write(dir.path().join("2026-11-19.long"), "x").unwrap();
        fs::remove_file(dir.path().join("2026-11-19.long")).unwrap();
        fs::remove_file(dir.path().join("2026-11-20")).unwrap();
        let mut found = Vec::new();
        archive.each(|kept| found.push(kept.path.to_string())).unwrap();
        assert_eq!(found, ["a"]);
    }

    proptest! {
        #[test]
        fn each_day_and_moment_has_its_name(days in 0..=LAST_DAY, nanos in 0..DAY_SECONDS * 1_000_000_000, random: u32) {
            prop_assert_eq!(day_of(&day_name(days)), Some(days));
            let time = Duration::from_nanos(nanos);
            let name = moment_name(time, random);
            prop_assert_eq!((name.len(), time_of(&name)), (MOMENT_LEN, Some(time)));
        }

        #[test]
        fn no_name_makes_a_look_panic(name in any::<String>()) {
            let _parsed = (day_of(&name), time_of(&name));
        }
    }
}
