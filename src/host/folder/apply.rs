//! Changing what is in the folder, without losing a byte.
//!
//! Something new is put in place in three steps: it is checked that the target still is what the order was given for
//! ([`check`]); the new thing takes a name in the archive ([`Checked::stage`]); and both change their names at one
//! moment ([`Staged::put`]). So what was there is in the archive in the same moment in which the new one is in its
//! place, *whatever* it was: if somebody saved the file since the check, the two change back, and the order was for
//! something that is no more ([`Trouble::Changed`]).
//! A program that ends between any two of these steps leaves the old or the new one, whole, at its place.
//!
//! A removal is one rename, into the archive. Nothing of the user's is ever unlinked, but for empty folders.
//! File systems that cannot exchange names get the old version into the archive by a second name or a copy, and then
//! a rename over it; there a save between the last look and the rename ends up nowhere, as with other programs.
//!
//! Names are on the disk when [`Root::settle`] says so.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::fs::Mode;

use super::archive::{Kept, Slot};
use super::beneath::{Folder, Kind, Stat};
use super::content;
use super::disk::Unsettled;
use super::root::Root;
use super::temp::{self, Part, Synced, Temp, Whole, sync_together};
use super::trouble::{Action, FolderError, Trouble};
use crate::entry::chunk::list_of_short;
use crate::entry::{Attributes, TreePath};

/// What is to be in place.
#[derive(Debug)]
pub enum New {
    /// A file.
    File(Synced),
    /// An empty folder.
    Folder,
    /// A symbolic link with this text.
    Link(String),
}

/// One of many files that are put in place together.
#[derive(Debug)]
pub struct Order {
    /// Its content.
    pub whole: Whole,
    /// Its time and executable bit.
    pub attributes: Attributes,
    /// Where it goes.
    pub path: TreePath,
    /// What is there now; nothing, if it is none.
    pub expected: Option<Stat>,
}

/// Something new, and a target that was as expected a moment ago.
#[derive(Debug)]
#[must_use = "nothing is in place yet"]
pub struct Checked {
    part: Part,
    new: Stat,
    target: Target,
}

/// Something new that has its place in the archive, from where it changes places with what it replaces.
#[derive(Debug)]
#[must_use = "nothing is in place yet"]
pub struct Staged {
    part: Part,
    new: Stat,
    target: Target,
    slot: Option<Slot>,
}

/// A path by the handle of the folder that it is in.
#[derive(Debug)]
struct Target {
    folder: Folder,
    path: TreePath,
    expected: Option<Stat>,
}

/// First step: makes the new thing ready, and looks whether the target is what is expected: the same thing, untouched.
///
/// # Errors
/// It is not ([`Trouble::Changed`]); or it is a folder with something in it, or neither file, folder nor link.
pub fn check(
    root: &Arc<Root>,
    new: New,
    path: &TreePath,
    expected: Option<Stat>,
) -> Result<Checked, FolderError> {
    let target = Target::find(root, path, expected).map_err(|trouble| trouble.at(Action::Put, path))?;
    let (part, new) = match new {
        New::File(synced) => (synced.part, synced.stat),
        New::Folder => make(root, |name| root.temps.make_folder(name))?,
        New::Link(text) => make(root, |name| root.temps.make_link(name, &text))?,
    };
    Ok(Checked { part, new, target })
}

fn make(
    root: &Arc<Root>,
    make: impl FnOnce(&str) -> Result<(), Trouble>,
) -> Result<(Part, Stat), FolderError> {
    let part = Part::passing(root);
    let stat = make(&part.name).and_then(|()| part.stat());
    stat.map_err(|trouble| part.error(Action::Create, trouble)).map(|stat| (part, stat))
}

impl Checked {
    /// Second step: the new thing is where the old one is to be kept. If nothing is there to be kept, nothing is done.
    ///
    /// # Errors
    /// The archive cannot be written; the new thing is still on its way.
    pub fn stage(self) -> Result<Staged, FolderError> {
        let Checked { part, new, target } = self;
        let root = &part.root;
        let slot = match target.expected {
            None => None,
            Some(_) => {
                let slot = root.archive.slot(&target.path)?;
                let kept = match root.exchanges {
                    true => root.temps.rename_new(&part.name, &slot.shelf, &slot.name),
                    // Gone since the check, or of another kind.
                    false => target.keep(root, &slot).map_err(|trouble| match trouble {
                        Trouble::Missing | Trouble::Is(_) => Trouble::Changed,
                        trouble => trouble,
                    }),
                };
                kept.map_err(|trouble| trouble.at(Action::Archive, &target.path))?;
                Some(slot)
            }
        };
        Ok(Staged { part, new, target, slot })
    }
}

impl Staged {
    /// Third step: the new thing is in place, and what was there is in the archive. Says what is there now.
    ///
    /// # Errors
    /// The target changed since it was checked, and is as it was; or the system refuses.
    pub fn put(mut self, unsettled: &mut Unsettled) -> Result<Stat, FolderError> {
        let placed = match &self.slot {
            None => self.put_new(),
            Some(slot) if self.part.root.exchanges => self.exchange(slot),
            Some(slot) => self.put_over().inspect_err(|_| slot.give_up()),
        };
        let placed = placed.and_then(|()| {
            self.part.moved = true;
            unsettled.add_folder(&self.target.folder);
            self.slot.iter().for_each(|slot| unsettled.add_folder(&slot.shelf));
            // Whoever wrote to it since then changed it.
            let stat = self.target.now()?.filter(|stat| stat.is_same_version(&self.new));
            stat.ok_or(Trouble::Changed)
        });
        placed.map_err(|trouble| trouble.at(Action::Put, &self.target.path))
    }

    fn put_new(&self) -> Result<(), Trouble> {
        let target = &self.target;
        match self.part.root.temps.rename_new(&self.part.name, &target.folder, target.path.name()) {
            Err(Trouble::Occupied) => Err(Trouble::Changed),
            result => result,
        }
    }

    fn exchange(&self, slot: &Slot) -> Result<(), Trouble> {
        let Target { folder, path, expected } = &self.target;
        let swap = || match slot.shelf.exchange(&slot.name, folder, path.name()) {
            Ok(true) => Ok(()),
            // The file system of this folder is said to be the one where it was tried.
            Ok(false) => Err(Trouble::Mounted),
            Err(Trouble::Missing) => Err(Trouble::Changed),
            Err(trouble) => Err(trouble),
        };
        let take_back = || slot.shelf.rename_new(&slot.name, &self.part.root.temps, &self.part.name);
        if let Err(trouble) = swap() {
            take_back()?;
            return Err(trouble);
        }
        let displaced = slot.shelf.stat(&slot.name)?.ok_or(Trouble::Missing)?;
        let wrong = if !expected.is_some_and(|expected| displaced.is_same_version(&expected)) {
            Trouble::Changed
        } else if displaced.kind == Kind::Folder {
            match slot.shelf.remove_folder(&slot.name) {
                Ok(()) => return Ok(()),
                Err(trouble) => trouble,
            }
        } else {
            return Ok(());
        };
        swap()?;
        if slot.shelf.stat(&slot.name)?.is_some_and(|stat| stat.is_same_thing(&self.new)) {
            take_back()?;
        } else {
            // Replaced once more in between: the later one belongs there, and the earlier one stays in the archive.
            swap()?;
        }
        Err(wrong)
    }

    /// Where names cannot be exchanged: the old version is in the archive already.
    fn put_over(&self) -> Result<(), Trouble> {
        let Target { folder, path, expected } = &self.target;
        let expected = expected.ok_or(Trouble::Changed)?;
        if !self.target.now()?.is_some_and(|stat| stat.is_same_version(&expected)) {
            return Err(Trouble::Changed);
        }
        let temps = &self.part.root.temps;
        match (expected.kind, self.new.kind) {
            (Kind::Folder, _) => {
                folder.remove_folder(path.name())?;
                self.put_new()
            }
            (_, Kind::Folder) => {
                folder.remove_file(path.name())?;
                self.put_new()
            }
            _ => temps.rename_over(&self.part.name, folder, path.name()),
        }
    }
}

impl Target {
    fn find(root: &Root, path: &TreePath, expected: Option<Stat>) -> Result<Target, Trouble> {
        let target = Target { folder: root.beneath().parent(path)?, path: path.clone(), expected };
        let same = match (target.now()?, &target.expected) {
            (None, None) => true,
            (Some(found), Some(expected)) => found.is_untouched(expected),
            _ => false,
        };
        if !same {
            return Err(Trouble::Changed);
        }
        match expected.map(|stat| stat.kind) {
            None | Some(Kind::File | Kind::Link) => {}
            Some(Kind::Folder) => {
                let names = target.folder.folder(path.name())?.list()?;
                if !names.names.is_empty() || !names.not_text.is_empty() {
                    return Err(Trouble::NotEmpty);
                }
            }
            Some(kind) => return Err(Trouble::Is(kind)),
        }
        Ok(target)
    }

    fn now(&self) -> Result<Option<Stat>, Trouble> {
        self.folder.stat(self.path.name())
    }

    /// Keeps the old version beside the one in place: by a second name, or as a copy.
    fn keep(&self, root: &Root, slot: &Slot) -> Result<(), Trouble> {
        let name = self.path.name();
        match self.expected.map(|stat| stat.kind) {
            Some(Kind::File) => match self.folder.link(name, &slot.shelf, &slot.name) {
                Err(Trouble::Denied(_) | Trouble::Io(_)) => {
                    let source = self.folder.open_file(name)?;
                    copy_into(root, &source, slot)?;
                }
                result => result?,
            },
            Some(Kind::Link) => slot.shelf.make_link(&slot.name, &self.folder.read_link(name)?)?,
            _ => {}
        }
        slot.shelf.sync()
    }
}

impl Slot {
    /// A second name of what stays in place is none of a version that was replaced.
    fn give_up(&self) {
        if self.shelf.stat(&self.name).is_ok_and(|stat| stat.is_some_and(|stat| stat.links > 1)) {
            // If it stays it is one version more in the archive.
            let _left = self.shelf.remove_file(&self.name);
        }
    }
}

/// A copy that is whole when it has its name in the archive.
fn copy_into(root: &Root, source: &File, slot: &Slot) -> Result<(), Trouble> {
    let stat = Stat::of(source)?;
    let name = root.passing_name();
    let copy = || {
        let file = root.temps.create_file(&name, Mode::RUSR | Mode::WUSR)?;
        temp::copy(source, 0, &file, 0, stat.size)?;
        let attributes = Attributes { mtime: stat.mtime, executable: stat.is_executable() };
        super::beneath::set_attributes(&file, attributes, stat.mode)?;
        file.sync_all()?;
        root.temps.rename_new(&name, &slot.shelf, &slot.name)
    };
    copy().inspect_err(|_: &Trouble| {
        // It goes at the next start if it does not now.
        let _left = root.temps.remove_file(&name);
    })
}

/// All three steps.
///
/// # Errors
/// As for each of them.
pub fn put(
    root: &Arc<Root>,
    new: New,
    path: &TreePath,
    expected: Option<Stat>,
    unsettled: &mut Unsettled,
) -> Result<Stat, FolderError> {
    check(root, new, path, expected)?.stage()?.put(unsettled)
}

/// Puts many files in place, with few syncs of the disk for all of them. The answers are in the order of the orders, and
/// name what is there now, safely on the disk.
#[must_use]
pub fn put_together(root: &Arc<Root>, orders: Vec<Order>) -> Vec<Result<Stat, FolderError>> {
    let mut refused = Vec::with_capacity(orders.len());
    let (mut wholes, mut targets) = (Vec::new(), Vec::new());
    for Order { whole, attributes, path, expected } in orders {
        let set = whole.set_attributes(attributes, expected.as_ref());
        if set.is_ok() {
            wholes.push(whole);
            targets.push((path, expected));
        }
        refused.push(set.err());
    }
    let mut unsettled = Unsettled::default();
    let mut placed = Vec::with_capacity(wholes.len());
    for (synced, (path, expected)) in sync_together(root, wholes).into_iter().zip(targets) {
        let outcome = synced.and_then(|synced| put(root, New::File(synced), &path, expected, &mut unsettled));
        placed.push((path, outcome));
    }
    let settled = root.settle(unsettled);
    let mut placed = placed.into_iter().map(|(path, outcome)| match &settled {
        Err(error) if outcome.is_ok() => {
            Err(Trouble::Io(io::Error::other(error.trouble.to_string())).at(Action::Sync, &path))
        }
        _ => outcome,
    });
    let outcome = |refused: Option<FolderError>| match refused {
        Some(error) => Err(error),
        None => placed.next().expect("each order that was not refused was put"),
    };
    refused.into_iter().map(outcome).collect()
}

/// Removes a file or a link, which goes to the archive, or an empty folder.
///
/// # Errors
/// It is not what is expected ([`Trouble::Changed`]), or the archive cannot be written: it is still there then.
pub fn remove(
    root: &Root,
    path: &TreePath,
    expected: Stat,
    unsettled: &mut Unsettled,
) -> Result<(), FolderError> {
    let target =
        Target::find(root, path, Some(expected)).map_err(|trouble| trouble.at(Action::Remove, path))?;
    let name = path.name();
    let removed = if expected.kind == Kind::Folder {
        target.folder.remove_folder(name)
    } else {
        let slot = root.archive.slot(path)?;
        let kept = move_if(&target.folder, name, &slot.shelf, &slot.name, &expected);
        kept.map(|_stat| unsettled.add_folder(&slot.shelf))
    };
    let removed = removed.map(|()| unsettled.add_folder(&target.folder));
    removed.map_err(|trouble| trouble.at(Action::Remove, path))
}

/// Gives a file, link or folder another path, at which nothing may be ([`Trouble::Occupied`]). Says what is there now.
///
/// # Errors
/// It is not what is expected, or the system refuses: it is where it was then.
pub fn move_aside(
    root: &Root,
    path: &TreePath,
    expected: Stat,
    to: &TreePath,
    unsettled: &mut Unsettled,
) -> Result<Stat, FolderError> {
    let mut move_it = || {
        let folder = root.beneath().parent(path)?;
        if !folder.stat(path.name())?.is_some_and(|stat| stat.is_untouched(&expected)) {
            return Err(Trouble::Changed);
        }
        let other = root.beneath().parent(to)?;
        let stat = move_if(&folder, path.name(), &other, to.name(), &expected)?;
        unsettled.add_folder(&folder);
        unsettled.add_folder(&other);
        Ok(stat)
    };
    move_it().map_err(|trouble| trouble.at(Action::Move, path))
}

/// Moves what is there, and back if it is not what was expected.
fn move_if(from: &Folder, name: &str, to: &Folder, new: &str, expected: &Stat) -> Result<Stat, Trouble> {
    match from.rename_new(name, to, new) {
        Err(Trouble::Missing) => return Err(Trouble::Changed),
        result => result?,
    }
    match to.stat(new)? {
        Some(stat) if stat.is_same_version(expected) => Ok(stat),
        _ => match to.rename_new(new, from, name) {
            // Something new is there already; what was moved stays where it is now.
            Ok(()) | Err(Trouble::Occupied) => Err(Trouble::Changed),
            Err(trouble) => Err(trouble),
        },
    }
}

/// Makes a folder where nothing is. Says what is there now.
///
/// # Errors
/// Something is there ([`Trouble::Occupied`]), or the system refuses.
pub fn make_folder(root: &Root, path: &TreePath, unsettled: &mut Unsettled) -> Result<Stat, FolderError> {
    let mut make = || {
        let folder = root.beneath().parent(path)?;
        folder.make_folder(path.name())?;
        unsettled.add_folder(&folder);
        let stat = folder.stat(path.name())?.ok_or(Trouble::Changed)?;
        stat.must_be(Kind::Folder).map_err(|_| Trouble::Changed)?;
        Ok(stat)
    };
    make().map_err(|trouble: Trouble| trouble.at(Action::Create, path))
}

/// Sets time and executable bit of a file in place. Says what is there now.
///
/// # Errors
/// It is not what is expected; or it has other names, perhaps outside of the folder ([`Trouble::Linked`]).
pub fn set_attributes(
    root: &Root,
    path: &TreePath,
    expected: Stat,
    attributes: Attributes,
    unsettled: &mut Unsettled,
) -> Result<Stat, FolderError> {
    let mut set = || {
        let folder = root.beneath().parent(path)?;
        let file = folder.open_file(path.name())?;
        let found = Stat::of(&file)?;
        if !found.is_untouched(&expected) {
            return Err(Trouble::Changed);
        }
        if found.links > 1 {
            return Err(Trouble::Linked);
        }
        super::beneath::set_attributes(&file, attributes, found.mode)?;
        let stat = Stat::of(&file)?;
        unsettled.add_file(&stat, file);
        if stat.size == found.size { Ok(stat) } else { Err(Trouble::Changed) }
    };
    set().map_err(|trouble| trouble.at(Action::SetAttributes, path))
}

/// Brings a version of the archive back to a path, as a copy: the archive keeps it. Says what is there now.
///
/// # Errors
/// It is not in the archive any more, or as for [`put`].
pub fn restore(
    root: &Arc<Root>,
    kept: &Kept,
    path: &TreePath,
    expected: Option<Stat>,
    unsettled: &mut Unsettled,
) -> Result<Stat, FolderError> {
    if kept.stat.kind == Kind::Link {
        let text = root.archive.read_link(kept)?;
        return put(root, New::Link(text), path, expected, unsettled);
    }
    let source = root.archive.open_file(kept)?;
    let size = kept.stat.size;
    let read = |trouble: Trouble| trouble.at(Action::Read, &kept.path);
    let stop = AtomicBool::new(false);
    let same = source.try_clone().map_err(|error| read(error.into()))?;
    let (content, mut chunks) = content::name(same, size, &stop).map_err(read)?.expect("nobody stops it");
    if let Some(list) = list_of_short(content, size) {
        chunks = list;
    }
    let mut temp = Temp::open(root, content, size, chunks)?;
    if temp.share(&source)? {
        temp.resume(&stop)?;
    }
    // All that was not shared, or that is a hole in what was.
    temp.take(0..temp.chunks().len(), &source, 0, &stop)?;
    let whole = temp.whole()?;
    let attributes = Attributes { mtime: kept.stat.mtime, executable: kept.stat.is_executable() };
    whole.set_attributes(attributes, Some(&kept.stat))?;
    put(root, New::File(whole.sync()?), path, expected, unsettled)
}

#[cfg(test)]
mod tests;
