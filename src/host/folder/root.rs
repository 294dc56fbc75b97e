//! Which folder is the ensemble's, and whether it still is the one that was opened.
//!
//! In it is a folder of ours, [`OWN_FOLDER`], with a marker: where the marker is missing nothing is believed, for then
//! the disk is perhaps not mounted, and an empty folder must not look like one whose files were all deleted.

use std::fs::TryLockError;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::Mode;
use thiserror::Error;

use super::archive::Archive;
use super::beneath::{Beneath, Folder, Kind, Stat};
use super::disk::{Disk, Space, Unsettled};
use super::trouble::{Action, FolderError, Place, Trouble};
use crate::entry::TreePath;
use crate::entry::path::OWN_FOLDER;
use crate::host::HostError;
use crate::host::entropy;
use crate::host::guarded::Guarded;
use crate::limits::MARKER_LEN_MAX;
use crate::text::Escaped;

/// The file that says whose folder this is.
const MARKER: &str = "marker";
/// What the marker is before it is whole.
const MARKER_NEW: &str = "marker.new";
/// The file that is locked by the program that works on the folder.
const LOCK: &str = "lock";
/// What is on its way.
const TEMPS: &str = "tmp";
/// What was replaced or deleted.
const ARCHIVE: &str = "archive";
/// The only version of the layout of [`OWN_FOLDER`].
const VERSION: u32 = 1;
/// Names of what is not used again when the program ends before it is in place.
pub(super) const PASSING: &str = "passing-";

/// The folder of an ensemble, opened by the one program that works on it.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    pub(super) beneath: Beneath,
    /// The folder when it was opened.
    stat: Stat,
    own: Folder,
    own_stat: Stat,
    pub(super) temps: Folder,
    pub(super) archive: Archive,
    pub(super) disk: Disk,
    /// Whether this file system lets two things change their names at one moment.
    pub(super) exchanges: bool,
    id: FolderId,
    is_copy: bool,
    made: bool,
    passing: AtomicU64,
    /// Held, never read.
    _lock: Guarded,
}

/// The name of a folder among all that were ever made. Random.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FolderId(u128);

/// What to do if the folder is not an ensemble's yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfNew {
    /// Make it one.
    Make,
    /// Say so.
    Refuse,
}

/// What a look at the folder's path finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The folder that was opened, and its marker.
    There {
        /// Whether nothing is in it but what is ours.
        empty: bool,
    },
    /// Nothing, or something that is no folder.
    Missing,
    /// Another folder: it was replaced, or something was mounted or unmounted there.
    Another,
    /// The folder, but the marker in it is gone or another's.
    Unmarked,
}

/// Why a folder cannot be used.
#[derive(Debug, Error)]
pub enum RootError {
    /// It does not exist, or cannot be opened.
    #[error("cannot open the folder {path}", path = Escaped(&path.to_string_lossy()))]
    Open {
        /// What the user named.
        path: PathBuf,
        /// Why not.
        #[source]
        trouble: Trouble,
    },
    /// It is no ensemble's folder.
    #[error("{path} is not the folder of an ensemble; `ensemble {path}` makes it one", path = Escaped(&path.to_string_lossy()))]
    NotOurs {
        /// What the user named.
        path: PathBuf,
    },
    /// Another program works on it.
    #[error("another ensemble works on {path}; stop that one first", path = Escaped(&path.to_string_lossy()))]
    InUse {
        /// What the user named.
        path: PathBuf,
    },
    /// [`OWN_FOLDER`] is there, but its marker is missing or says nothing that we know.
    #[error(
        "{path}/{OWN_FOLDER} has no marker of ours; if nothing in it is needed, move it away to begin anew",
        path = Escaped(&path.to_string_lossy())
    )]
    Unmarked {
        /// What the user named.
        path: PathBuf,
    },
    /// A later version of this program made it.
    #[error("{path} was made by a later version of ensemble; update this one", path = Escaped(&path.to_string_lossy()))]
    Later {
        /// What the user named.
        path: PathBuf,
    },
    /// Something of ours in it cannot be read or made.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The system fails.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl Root {
    /// Opens the folder, for this program alone.
    ///
    /// # Errors
    /// See [`RootError`].
    pub fn open(path: &Path, if_new: IfNew) -> Result<Root, RootError> {
        let open = |trouble| RootError::Open { path: path.to_owned(), trouble };
        let beneath = Beneath::open(path).map_err(open)?;
        let top = beneath.folder(None)?;
        let stat = top.itself().map_err(open)?;
        match (top.stat(OWN_FOLDER).map_err(open)?, if_new) {
            (None, IfNew::Refuse) => return Err(RootError::NotOurs { path: path.to_owned() }),
            (None, IfNew::Make) => {
                top.make_own_folder(OWN_FOLDER).map_err(|trouble| trouble.at_own(Action::Create, ""))?;
            }
            (Some(_), _) => {}
        }
        let own = top.folder(OWN_FOLDER).map_err(|trouble| trouble.at_own(Action::Open, ""))?;
        let own_stat = own.itself().map_err(|trouble| trouble.at_own(Action::Inspect, ""))?;
        let lock = lock(&own, path)?;
        let (marker, made) =
            match read_marker(&own).map_err(|trouble| trouble.at_own(Action::Read, MARKER))? {
                Some(text) => (parse_marker(&text, path)?, false),
                None if if_new == IfNew::Make && is_bare(&own)? => (make_marker(&top, &own)?, true),
                None => return Err(RootError::Unmarked { path: path.to_owned() }),
            };
        let folder =
            |name: &str| own.folder_or_new(name).map_err(|trouble| trouble.at_own(Action::Create, name));
        let (temps, archive) = (folder(TEMPS)?, Archive::of(folder(ARCHIVE)?)?);
        let disk = Disk::of(&own).map_err(|trouble| trouble.at_own(Action::Open, ""))?;
        clear(&temps)?;
        let exchanges = try_exchange(&temps).map_err(|trouble| trouble.at_own(Action::Move, TEMPS))?;
        Ok(Root {
            path: path.to_owned(),
            beneath,
            stat,
            own,
            own_stat,
            temps,
            archive,
            disk,
            exchanges,
            id: marker.id,
            is_copy: marker.inode != marker.found,
            made,
            passing: AtomicU64::new(0),
            _lock: lock,
        })
    }

    /// The path that the user named.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The paths beneath it.
    #[must_use]
    pub const fn beneath(&self) -> &Beneath {
        &self.beneath
    }

    /// The folder of ours, for what else is kept there.
    #[must_use]
    pub const fn own(&self) -> &Folder {
        &self.own
    }

    /// Where [`Root::own`] is, for libraries that open files by their path.
    #[must_use]
    pub fn own_path(&self) -> PathBuf {
        self.path.join(OWN_FOLDER)
    }

    /// The archive.
    #[must_use]
    pub const fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Its name among all folders.
    #[must_use]
    pub const fn id(&self) -> FolderId {
        self.id
    }

    /// Whether it was made an ensemble's when it was opened.
    #[must_use]
    pub const fn was_made(&self) -> bool {
        self.made
    }

    /// Whether the marker is not the file that was made with the folder: what is here was copied, moved to another
    /// disk or restored from a backup, so another folder may have the same id and index.
    #[must_use]
    pub const fn is_copy(&self) -> bool {
        self.is_copy
    }

    /// Whether one sync of the whole disk tells of failures as well as one of each file does (Linux since 5.8).
    #[must_use]
    pub const fn syncs_together(&self) -> bool {
        self.disk.syncs_together()
    }

    /// Looks whether the path still leads to the folder that was opened.
    ///
    /// # Errors
    /// The system does not say, which means nothing.
    pub fn look(&self) -> Result<Standing, FolderError> {
        let found = self.find();
        found.map_err(|trouble| FolderError { action: Action::Inspect, place: Place::Root, trouble })
    }

    fn find(&self) -> Result<Standing, Trouble> {
        let beneath = match Beneath::open(&self.path) {
            Ok(beneath) => beneath,
            Err(Trouble::Missing | Trouble::Way) => return Ok(Standing::Missing),
            Err(trouble) => return Err(trouble),
        };
        let top = beneath.folder(None).map_err(|error| error.trouble)?;
        if !top.itself()?.is_same_thing(&self.stat) {
            return Ok(Standing::Another);
        }
        match top.stat(OWN_FOLDER)? {
            Some(stat) if stat.is_same_thing(&self.own_stat) => {}
            _ => return Ok(Standing::Unmarked),
        }
        match read_marker(&self.own)?.and_then(|text| parse(&text)) {
            Some(marker) if marker.id == self.id => {}
            _ => return Ok(Standing::Unmarked),
        }
        let names = top.list()?;
        Ok(Standing::There { empty: names.names.len() == 1 && names.not_text.is_empty() })
    }

    /// Brings changed names and attributes to the disk.
    ///
    /// # Errors
    /// The disk fails; nothing that was changed is certain then.
    pub fn settle(&self, unsettled: Unsettled) -> Result<(), FolderError> {
        let settled = unsettled.settle_on(&self.disk);
        settled.map_err(|trouble| FolderError { action: Action::Sync, place: Place::Root, trouble })
    }

    /// Brings everything to the disk that anybody wrote to the file system of the folder.
    ///
    /// # Errors
    /// The disk fails; nothing that was written since the last time is certain then.
    pub fn sync(&self) -> Result<(), FolderError> {
        let synced = self.disk.sync_all().map(|_age| ());
        synced.map_err(|trouble| FolderError { action: Action::Sync, place: Place::Root, trouble })
    }

    /// How much room there is on its file system.
    ///
    /// # Errors
    /// The system does not say.
    pub fn space(&self) -> Result<Space, FolderError> {
        let space = self.disk.space();
        space.map_err(|trouble| FolderError { action: Action::Inspect, place: Place::Root, trouble })
    }

    /// Where its file system is mounted, as far as the system says: for people, who are to make room there.
    #[must_use]
    pub fn mount_point(&self) -> PathBuf {
        let mut at = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        while let Some(parent) = at.parent()
            && std::fs::metadata(parent).is_ok_and(|found| found.dev() == self.beneath.device())
        {
            at = parent.to_owned();
        }
        at
    }

    /// What a small file of ours holds, up to `most` bytes; none if it is not there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_own(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, FolderError> {
        read_small(&self.own, name, most).map_err(|trouble| trouble.at_own(Action::Read, name))
    }

    /// Puts a small file of ours in place, which only this user may read: the old one, or the new one, is whole after any
    /// crash.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn write_own(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let new = self.passing_name();
        let write = || {
            let file = self.temps.create_file(&new, Mode::RUSR | Mode::WUSR)?;
            file.write_all_at(bytes, 0)?;
            file.sync_all()?;
            self.temps.rename_over(&new, &self.own, name)?;
            self.own.sync()
        };
        write().map_err(|trouble: Trouble| trouble.at_own(Action::Write, name))
    }

    /// Looks at a path; none if nothing is there.
    ///
    /// # Errors
    /// As for [`Beneath::stat`].
    pub fn stat(&self, path: &TreePath) -> Result<Option<Stat>, FolderError> {
        self.beneath.stat(path)
    }

    /// A name in `tmp` that nothing had, for what is not used again after a crash.
    pub(super) fn passing_name(&self) -> String {
        format!("{PASSING}{}", self.passing.fetch_add(1, Ordering::Relaxed))
    }
}

/// What a small file of ours holds in a folder on which a program may work right now; none if the folder is no
/// ensemble's, or has no such file.
///
/// # Errors
/// There is no folder, or the file cannot be read.
pub fn peek_own(path: &Path, name: &str, most: u64) -> Result<Option<Vec<u8>>, RootError> {
    let Some(own) = peek(path)? else { return Ok(None) };
    Ok(read_small(&own, name, most).map_err(|trouble| trouble.at_own(Action::Read, name))?)
}

/// The archive of a folder on which a program may work right now; none if the folder is no ensemble's.
///
/// # Errors
/// There is no folder, or the archive cannot be opened.
pub fn peek_archive(path: &Path) -> Result<Option<Archive>, RootError> {
    let Some(own) = peek(path)? else { return Ok(None) };
    match own.folder(ARCHIVE) {
        Ok(folder) => Ok(Some(Archive::of(folder)?)),
        Err(Trouble::Missing) => Ok(None),
        Err(trouble) => Err(trouble.at_own(Action::Open, ARCHIVE).into()),
    }
}

/// The folder of ours in a folder on which a program may work right now; none if there is none.
///
/// # Errors
/// There is no folder, or ours cannot be opened.
pub fn peek(path: &Path) -> Result<Option<Folder>, RootError> {
    let open = |trouble| RootError::Open { path: path.to_owned(), trouble };
    let top = Beneath::open(path).map_err(open)?.folder(None)?;
    match top.folder(OWN_FOLDER) {
        Ok(own) => Ok(Some(own)),
        Err(Trouble::Missing) => Ok(None),
        Err(trouble) => Err(trouble.at_own(Action::Open, "").into()),
    }
}

fn read_small(own: &Folder, name: &str, most: u64) -> Result<Option<Vec<u8>>, Trouble> {
    let file = match own.open_file(name) {
        Ok(file) => file,
        Err(Trouble::Missing) => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// What a marker says.
struct Marker {
    id: FolderId,
    /// The inode that it had when it was made.
    inode: u64,
    /// The one that it has.
    found: u64,
}

/// A marker as it is on the disk.
struct MarkerText {
    text: String,
    inode: u64,
}

fn read_marker(own: &Folder) -> Result<Option<MarkerText>, Trouble> {
    let file = match own.open_file(MARKER) {
        Ok(file) => file,
        Err(Trouble::Missing) => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    let mut bytes = Vec::new();
    let inode = Stat::of(&file)?.inode;
    file.take(MARKER_LEN_MAX).read_to_end(&mut bytes)?;
    Ok(Some(MarkerText { text: String::from_utf8_lossy(&bytes).into_owned(), inode }))
}

fn parse_marker(marker: &MarkerText, path: &Path) -> Result<Marker, RootError> {
    if value(&marker.text, "version ")
        .and_then(|text| text.parse().ok())
        .is_some_and(|version: u32| version > VERSION)
    {
        return Err(RootError::Later { path: path.to_owned() });
    }
    parse(marker).ok_or_else(|| RootError::Unmarked { path: path.to_owned() })
}

fn parse(marker: &MarkerText) -> Option<Marker> {
    if value(&marker.text, "version ")?.parse() != Ok(VERSION) {
        return None;
    }
    let id = u128::from_str_radix(value(&marker.text, "folder ")?, 16).ok()?;
    let inode = value(&marker.text, "inode ")?.parse().ok()?;
    Some(Marker { id: FolderId(id), inode, found: marker.inode })
}

fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key))
}

/// Whether nothing was ever kept here: whoever made it was stopped before the marker was there.
fn is_bare(own: &Folder) -> Result<bool, FolderError> {
    let bare = || {
        let names = own.list()?;
        let ours = |name: &String| [LOCK, MARKER_NEW].contains(&name.as_str());
        Ok(names.not_text.is_empty() && names.names.iter().all(ours))
    };
    bare().map_err(|trouble: Trouble| trouble.at_own(Action::List, ""))
}

/// Makes the marker, which is whole as soon as it has its name.
fn make_marker(top: &Folder, own: &Folder) -> Result<Marker, RootError> {
    let id = FolderId(u128::from_le_bytes(entropy::bytes()?));
    let make = || {
        match own.remove_file(MARKER_NEW) {
            Ok(()) | Err(Trouble::Missing) => {}
            Err(trouble) => return Err(trouble),
        }
        let file = own.create_file(MARKER_NEW, Mode::RUSR | Mode::WUSR)?;
        let inode = Stat::of(&file)?.inode;
        let text = format!("version {VERSION}\nfolder {:032x}\ninode {inode}\n", id.0);
        file.write_all_at(text.as_bytes(), 0)?;
        file.sync_all()?;
        own.rename_new(MARKER_NEW, own, MARKER)?;
        own.sync()?;
        top.sync()?;
        Ok(Marker { id, inode, found: inode })
    };
    make().map_err(|trouble: Trouble| trouble.at_own(Action::Create, MARKER).into())
}

/// Keeps a second program from working on the same folder.
fn lock(own: &Folder, path: &Path) -> Result<Guarded, RootError> {
    let open = || match own.open_own_file(LOCK) {
        Err(Trouble::Missing) => match own.create_file(LOCK, Mode::RUSR | Mode::WUSR) {
            Err(Trouble::Occupied) => own.open_own_file(LOCK),
            created => created,
        },
        opened => opened,
    };
    let file = open().map_err(|trouble| trouble.at_own(Action::Open, LOCK))?;
    Guarded::locked(file).map_err(|error| match error {
        TryLockError::WouldBlock => RootError::InUse { path: path.to_owned() },
        TryLockError::Error(error) => Trouble::from(error).at_own(Action::Open, LOCK).into(),
    })
}

/// Removes what was on its way and is not used again.
fn clear(temps: &Folder) -> Result<(), FolderError> {
    let names = temps.list().map_err(|trouble| trouble.at_own(Action::List, TEMPS))?;
    for name in names.names.iter().filter(|name| name.starts_with(PASSING)) {
        let remove = || match temps.stat(name)? {
            Some(stat) if stat.kind == Kind::Folder => temps.remove_folder(name),
            Some(_) => temps.remove_file(name),
            None => Ok(()),
        };
        remove().map_err(|trouble: Trouble| trouble.at_own(Action::Remove, format!("{TEMPS}/{name}")))?;
    }
    Ok(())
}

/// Finds out whether two things can change their names at one moment here.
fn try_exchange(temps: &Folder) -> Result<bool, Trouble> {
    let names = [format!("{PASSING}this"), format!("{PASSING}that")];
    for name in &names {
        temps.make_folder(name)?;
    }
    let exchanges = temps.exchange(&names[0], temps, &names[1]);
    for name in &names {
        temps.remove_folder(name)?;
    }
    exchanges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::chain;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn open(path: &Path) -> Result<Root, RootError> {
        Root::open(path, IfNew::Make)
    }

    #[test]
    fn a_folder_is_made_once_and_known_again() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("user's"), "x").unwrap();
        assert!(matches!(Root::open(dir.path(), IfNew::Refuse), Err(RootError::NotOurs { .. })));
        let root = open(dir.path()).unwrap();
        assert!(root.was_made() && !root.is_copy());
        let mode = fs::metadata(root.own_path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(root.look().unwrap(), Standing::There { empty: false });
        let id = root.id();
        drop(root);
        let root = Root::open(dir.path(), IfNew::Refuse).unwrap();
        assert!(!root.was_made() && root.id() == id);
        fs::remove_file(dir.path().join("user's")).unwrap();
        assert_eq!(root.look().unwrap(), Standing::There { empty: true });
    }

    #[test]
    fn two_programs_do_not_share_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path()).unwrap();
        let error = open(dir.path()).unwrap_err();
        assert!(matches!(error, RootError::InUse { .. }) && chain(&error).contains("stop that one first"));
        drop(first);
        open(dir.path()).unwrap();
    }

    #[test]
    fn a_folder_that_is_another_or_gone_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (at, aside) = (dir.path().join("at"), dir.path().join("aside"));
        fs::create_dir(&at).unwrap();
        let root = open(&at).unwrap();
        fs::rename(&at, &aside).unwrap();
        assert_eq!(root.look().unwrap(), Standing::Missing);
        fs::write(&at, "a file").unwrap();
        assert_eq!(root.look().unwrap(), Standing::Missing);
        fs::remove_file(&at).unwrap();
        fs::create_dir(&at).unwrap();
        assert_eq!(root.look().unwrap(), Standing::Another);
        fs::remove_dir(&at).unwrap();
        symlink(&aside, &at).unwrap();
        assert_eq!(root.look().unwrap(), Standing::There { empty: true }, "the same folder by another path");
    }

    #[test]
    fn a_folder_that_something_is_mounted_on_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let root = open(dir.path()).unwrap();
        let flags = rustix::mount::MountFlags::empty();
        if rustix::mount::mount("none", dir.path(), "tmpfs", flags, c"size=64k").is_err() {
            use std::io::Write;
            writeln!(std::io::stderr(), "skipped: needs root, to mount something on the folder").unwrap();
            return;
        }
        let standing = root.look();
        rustix::mount::unmount(dir.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
        assert_eq!(standing.unwrap(), Standing::Another);
        assert_eq!(root.look().unwrap(), Standing::There { empty: true });
    }

    #[test]
    fn a_marker_that_is_gone_is_noticed_and_never_made_again_over_what_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let root = open(dir.path()).unwrap();
        let (marker, aside) = (root.own_path().join(MARKER), dir.path().join("aside"));
        fs::rename(&marker, &aside).unwrap();
        assert_eq!(root.look().unwrap(), Standing::Unmarked);
        fs::write(&marker, "version 1\nfolder 0\ninode 0\n").unwrap();
        assert_eq!(root.look().unwrap(), Standing::Unmarked, "another's");
        fs::rename(&aside, &marker).unwrap();
        assert_eq!(root.look().unwrap(), Standing::There { empty: true });
        fs::rename(root.own_path(), &aside).unwrap();
        assert_eq!(root.look().unwrap(), Standing::Unmarked);
        fs::rename(&aside, root.own_path()).unwrap();
        drop(root);
        fs::remove_file(&marker).unwrap();
        assert!(matches!(open(dir.path()), Err(RootError::Unmarked { .. })));
        for text in ["", "version 1", "version 1\nfolder x\ninode 1", "\u{1b}[2J"] {
            fs::write(&marker, text).unwrap();
            assert!(matches!(open(dir.path()), Err(RootError::Unmarked { .. })), "{text:?}");
        }
        fs::write(&marker, "version 2\nwhatever").unwrap();
        assert!(matches!(open(dir.path()), Err(RootError::Later { .. })));
    }

    #[test]
    fn whoever_was_stopped_while_making_it_begins_again() {
        for files in [vec![], vec![LOCK], vec![LOCK, MARKER_NEW]] {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join(OWN_FOLDER)).unwrap();
            for file in files {
                fs::write(dir.path().join(OWN_FOLDER).join(file), "vers").unwrap();
            }
            assert!(open(dir.path()).unwrap().was_made());
        }
    }

    #[test]
    fn a_copy_is_known_from_the_folder_itself() {
        let dir = tempfile::tempdir().unwrap();
        let (at, moved) = (dir.path().join("at"), dir.path().join("moved"));
        fs::create_dir(&at).unwrap();
        drop(open(&at).unwrap());
        fs::rename(&at, &moved).unwrap();
        assert!(!open(&moved).unwrap().is_copy(), "only renamed");
        let marker = moved.join(OWN_FOLDER).join(MARKER);
        fs::copy(&marker, moved.join("new")).unwrap();
        fs::rename(moved.join("new"), &marker).unwrap();
        assert!(open(&moved).unwrap().is_copy());
    }

    #[test]
    fn ours_is_no_link_to_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let (at, outside) = (dir.path().join("at"), dir.path().join("outside"));
        fs::create_dir(&at).unwrap();
        fs::create_dir(&outside).unwrap();
        symlink(&outside, at.join(OWN_FOLDER)).unwrap();
        assert!(matches!(open(&at), Err(RootError::Folder(_))));
        fs::remove_file(at.join(OWN_FOLDER)).unwrap();
        drop(open(&at).unwrap());
        for name in [TEMPS, ARCHIVE] {
            fs::remove_dir(at.join(OWN_FOLDER).join(name)).unwrap();
            symlink(&outside, at.join(OWN_FOLDER).join(name)).unwrap();
            assert!(open(&at).is_err());
            fs::remove_file(at.join(OWN_FOLDER).join(name)).unwrap();
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }
}
