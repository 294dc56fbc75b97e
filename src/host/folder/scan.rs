//! A look at the folder, or at something in it: what is there, what could not be seen, and what is proven absent.
//!
//! A [`Walk`] goes by directory handles and follows no symbolic link. What it sees comes in the order of paths, a folder
//! before what is in it, as from the index: so the two can be compared as they come, in constant memory.
//! What could not be seen is not absent: [`Look`] knows the difference.
//! Whether something was changed, and what that means, is decided elsewhere.

use std::collections::{BTreeSet, HashMap, VecDeque, hash_map};
use std::ffi::OsString;
use std::fmt;
use std::iter;
use std::vec;

use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

use super::beneath::{Beneath, Folder, Kind, Names, Stat};
use super::facts::Facts;
use super::rules::Rules;
use super::trouble::{Action, FolderError, Place, Trouble};
use crate::entry::path::OWN_FOLDER;
use crate::entry::{BadPath, TreePath};
use crate::limits::LOOK_FOLDERS_MAX;
use crate::text::Escaped;

/// Something that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where.
    pub path: TreePath,
    /// What it is.
    pub what: What,
    /// What tells whether it was changed.
    pub facts: Facts,
}

/// What kind of thing is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A folder.
    Folder,
    /// A file.
    File,
    /// A symbolic link, with its text.
    Link(String),
    /// Something that is not carried.
    Other(Kind),
}

/// Something that a walk comes by.
#[derive(Debug)]
pub enum Sight {
    /// Something is there.
    Seen(Seen),
    /// Something is not as it should be.
    Trouble(LookTrouble),
}

/// What the user may want to put right.
#[derive(Debug, Error)]
pub enum LookTrouble {
    /// What is in a folder cannot be told: it is neither there nor absent.
    #[error(transparent)]
    Unlisted(FolderError),
    /// What has this path cannot be told.
    #[error(transparent)]
    Unseen(FolderError),
    /// A name that no other machine could have.
    #[error("the name {name} in {folder} is not UTF-8; rename it", name = Escaped(&name.to_string_lossy()), folder = Where(folder.as_ref()))]
    NotText {
        /// In which folder; none is the topmost.
        folder: Option<TreePath>,
        /// The name.
        name: OsString,
    },
    /// A name that makes no path.
    #[error("{name} in {folder} is not carried", name = Escaped(name), folder = Where(folder.as_ref()))]
    BadName {
        /// In which folder; none is the topmost.
        folder: Option<TreePath>,
        /// The name.
        name: String,
        /// Why not.
        source: BadPath,
    },
    /// Two names that some file systems cannot tell apart.
    #[error("{other} and {one} are the same name on some systems; rename one")]
    Twins {
        /// One of them.
        one: TreePath,
        /// The other.
        other: TreePath,
    },
}

impl LookTrouble {
    /// Where it is; none if that is the topmost folder.
    #[must_use]
    pub fn path(&self) -> Option<&TreePath> {
        match self {
            LookTrouble::Unlisted(error) | LookTrouble::Unseen(error) => match &error.place {
                Place::Tree(path) => Some(path),
                Place::Root | Place::Own(_) => None,
            },
            LookTrouble::NotText { folder, .. } | LookTrouble::BadName { folder, .. } => folder.as_ref(),
            LookTrouble::Twins { one, .. } => Some(one),
        }
    }
}

/// A walk through the folder, or a part of it.
#[derive(Debug)]
pub struct Walk<'a> {
    folder: &'a Beneath,
    rules: &'a Rules,
    before_listing: BeforeListing<'a>,
    /// Whether anything was looked at yet.
    began: bool,
    /// The folders on the way to where it is, each with the names that are left.
    /// Invariant: at most [`LOOK_FOLDERS_MAX`] are open.
    levels: Vec<Level>,
    waiting: VecDeque<Sight>,
    look: Look,
}

/// What a whole walk proves.
#[derive(Clone, Debug)]
pub struct Look {
    scope: Option<TreePath>,
    /// What could not be seen, and so nothing beneath it.
    gaps: BTreeSet<TreePath>,
    /// Whether it came to its end, and saw anything of where it began.
    proves: bool,
}

/// What is there, and its handle if it is a folder.
type Glance = (Seen, Option<Result<Folder, Trouble>>);

/// What is called before a folder is listed.
struct BeforeListing<'a>(Option<Before<'a>>);

type Before<'a> = &'a dyn Fn(Option<&TreePath>);

#[derive(Debug)]
struct Level {
    path: Option<TreePath>,
    /// None while others are open; it is opened again then.
    open: Option<Folder>,
    /// Which folder it was: another one may have its name by then.
    identity: (u64, u64),
    names: vec::IntoIter<String>,
    /// Whether the names are those that were listed, and not the one that was asked for.
    listed: bool,
}

impl<'a> Walk<'a> {
    /// A walk through everything, or through what has this path and is beneath it.
    #[must_use]
    pub fn new(folder: &'a Beneath, rules: &'a Rules, scope: Option<&TreePath>) -> Walk<'a> {
        let look = Look { scope: scope.cloned(), gaps: BTreeSet::new(), proves: true };
        let before_listing = BeforeListing(None);
        let (levels, waiting) = (Vec::new(), VecDeque::new());
        Walk { folder, rules, before_listing, began: false, levels, waiting, look }
    }

    /// Calls `before` with the path of each folder before it is listed (none is the topmost): whoever begins to watch the
    /// folder then misses nothing that is not on the list.
    #[must_use]
    pub const fn before_listing(mut self, before: &'a dyn Fn(Option<&TreePath>)) -> Walk<'a> {
        self.before_listing = BeforeListing(Some(before));
        self
    }

    /// What it proves, if it came to its end.
    #[must_use]
    pub fn end(mut self) -> Look {
        self.look.proves &= self.began && self.levels.is_empty() && self.waiting.is_empty();
        self.look
    }

    fn begin(&mut self) {
        self.began = true;
        match self.look.scope.clone() {
            None => match self.folder.folder(None) {
                Ok(topmost) => self.enter(None, topmost),
                Err(error) => self.gap(None, Some(LookTrouble::Unlisted(error))),
            },
            Some(path) => self.begin_at(&path),
        }
    }

    fn begin_at(&mut self, path: &TreePath) {
        let parent = self.folder.parent(path).and_then(|parent| Ok((parent.itself()?, parent)));
        match parent {
            Ok((stat, parent)) => self.levels.push(Level {
                path: path.parent(),
                open: Some(parent),
                identity: identity(&stat),
                names: vec![path.name().to_owned()].into_iter(),
                listed: false,
            }),
            // Nothing is there, not even the folder.
            Err(Trouble::Missing) => {}
            Err(trouble) => {
                self.gap(Some(path), Some(LookTrouble::Unseen(trouble.at(Action::Inspect, path))));
            }
        }
    }

    /// Lists a folder, and goes on in it.
    fn enter(&mut self, path: Option<TreePath>, open: Folder) {
        if let BeforeListing(Some(before)) = self.before_listing {
            before(path.as_ref());
        }
        let listed = open.list().and_then(|names| Ok((open.itself()?, names)));
        let (stat, Names { mut names, not_text }) = match listed {
            Ok(listed) => listed,
            Err(trouble) => {
                let place = path.clone().map_or(Place::Root, Place::Tree);
                let error = FolderError { action: Action::List, place, trouble };
                return self.gap(path.as_ref(), Some(LookTrouble::Unlisted(error)));
            }
        };
        for name in not_text {
            self.trouble(LookTrouble::NotText { folder: path.clone(), name });
        }
        names.sort_unstable();
        for (one, other) in twins(&names) {
            if let (Ok(one), Ok(other)) = (join(path.as_ref(), one), join(path.as_ref(), other)) {
                self.trouble(LookTrouble::Twins { one, other });
            }
        }
        if self.levels.len() >= LOOK_FOLDERS_MAX
            && let Some(last) = self.levels.last_mut()
        {
            last.open = None;
        }
        let names = names.into_iter();
        self.levels.push(Level { path, open: Some(open), identity: identity(&stat), names, listed: true });
    }

    /// Looks at the next name of the last folder.
    fn look_at(&mut self, name: String) {
        let Some(level) = self.levels.last() else { return };
        let path = match join(level.path.as_ref(), &name) {
            Ok(path) => path,
            Err(_) if level.path.is_none() && name == OWN_FOLDER => return,
            Err(source) => {
                let folder = level.path.clone();
                return self.trouble(LookTrouble::BadName { folder, name, source });
            }
        };
        if !self.reopen() {
            return;
        }
        let (seen, inside) = match self.glance(&name, path.clone()) {
            Ok(Some(glance)) => glance,
            Ok(None) => return,
            Err(trouble) => return self.gap(Some(&path), trouble),
        };
        self.waiting.push_back(Sight::Seen(seen));
        match inside {
            None => {}
            Some(Ok(inside)) => self.enter(Some(path), inside),
            Some(Err(trouble)) => {
                let error = trouble.at(Action::List, &path);
                self.gap(Some(&path), Some(LookTrouble::Unlisted(error)));
            }
        }
    }

    /// Looks at one name in the last folder, which is open; nothing if it is absent or left out. Of a folder also the
    /// folder itself, while the handle is at hand. If there is no telling, why; nothing more if it just changed.
    fn glance(&self, name: &str, path: TreePath) -> Result<Option<Glance>, Option<LookTrouble>> {
        let Some(Level { open: Some(open), listed, .. }) = self.levels.last() else { return Err(None) };
        let unseen = |action, trouble: Trouble| Some(LookTrouble::Unseen(trouble.at(action, &path)));
        let stat = match open.stat(name).map_err(|trouble| unseen(Action::Inspect, trouble))? {
            Some(stat) => stat,
            // It was there a moment ago: who knows where it is now.
            None if *listed => return Err(None),
            None => return Ok(None),
        };
        let is_folder = stat.kind == Kind::Folder;
        let is_ignored = match listed {
            true => self.rules.ignore_here(&path, is_folder),
            false => self.rules.ignore(&path, is_folder),
        };
        if is_ignored {
            return Ok(None);
        }
        let inside = is_folder.then(|| open.folder(name));
        let what = match stat.kind {
            Kind::Folder => What::Folder,
            Kind::File => What::File,
            Kind::Link => match open.read_link(name) {
                Ok(text) => What::Link(text),
                Err(Trouble::Missing | Trouble::Changed | Trouble::Is(_)) => return Err(None),
                Err(trouble) => return Err(unseen(Action::Read, trouble)),
            },
            other => What::Other(other),
        };
        Ok(Some((Seen { path, what, facts: stat.into() }, inside)))
    }

    /// Opens the last folder again if it had to make room; false if that cannot be done any more.
    fn reopen(&mut self) -> bool {
        let Some(Level { path: Some(path), open: None, identity: before, .. }) = self.levels.last() else {
            return true;
        };
        let again = self.folder.folder(Some(path)).and_then(|folder| match folder.itself() {
            Ok(stat) if identity(&stat) == *before => Ok(folder),
            Ok(_) => Err(Trouble::Changed.at(Action::List, path)),
            Err(trouble) => Err(trouble.at(Action::List, path)),
        });
        match again {
            Ok(folder) => {
                self.levels.last_mut().expect("it was there").open = Some(folder);
                true
            }
            Err(error) => {
                let path = path.clone();
                self.levels.pop();
                self.gap(Some(&path), Some(LookTrouble::Unlisted(error)));
                false
            }
        }
    }

    fn gap(&mut self, path: Option<&TreePath>, trouble: Option<LookTrouble>) {
        match path {
            Some(path) => drop(self.look.gaps.insert(path.clone())),
            None => self.look.proves = false,
        }
        if let Some(trouble) = trouble {
            self.trouble(trouble);
        }
    }

    fn trouble(&mut self, trouble: LookTrouble) {
        self.waiting.push_back(Sight::Trouble(trouble));
    }
}

impl Iterator for Walk<'_> {
    type Item = Sight;

    fn next(&mut self) -> Option<Sight> {
        if !self.began {
            self.begin();
        }
        while self.waiting.is_empty() {
            match self.levels.last_mut()?.names.next() {
                Some(name) => self.look_at(name),
                None => drop(self.levels.pop()),
            }
        }
        self.waiting.pop_front()
    }
}

impl Look {
    /// Which known paths are proven absent: every folder on their way was listed without error, and they were not in
    /// it, and are not left out by the rules.
    ///
    /// `known` says of each path whether a folder is known there. Both, what is known and what was seen, are in the
    /// order of paths; they may be the same stretch of all.
    pub fn absent<'k, 's>(
        &self,
        rules: &Rules,
        known: impl IntoIterator<Item = (&'k TreePath, bool)>,
        seen: impl IntoIterator<Item = &'s TreePath>,
    ) -> Vec<&'k TreePath> {
        let mut seen = seen.into_iter().peekable();
        let mut was_seen = |path: &TreePath| {
            while seen.next_if(|next| *next < path).is_some() {}
            seen.peek().is_some_and(|next| *next == path)
        };
        let known = known.into_iter().filter(|(path, _)| !was_seen(path));
        known
            .filter(|(path, is_folder)| self.proves_absent(rules, path, *is_folder))
            .map(|(path, _)| path)
            .collect()
    }

    /// The same of a single path that was not seen.
    #[must_use]
    pub fn proves_absent(&self, rules: &Rules, path: &TreePath, is_folder: bool) -> bool {
        let in_scope = self.scope.as_ref().is_none_or(|scope| path == scope || path.is_beneath(scope));
        let mut way = iter::successors(Some(path.clone()), TreePath::parent);
        let has_gap = !self.gaps.is_empty() && way.any(|path| self.gaps.contains(&path));
        self.proves && in_scope && !has_gap && !rules.ignore(path, is_folder)
    }
}

const fn identity(stat: &Stat) -> (u64, u64) {
    (stat.device, stat.inode)
}

fn join(folder: Option<&TreePath>, name: &str) -> Result<TreePath, BadPath> {
    folder.map_or_else(|| TreePath::parse(name), |folder| folder.join(name))
}

/// Names that are the same where case does not count, or how a letter is put together.
fn twins(names: &[String]) -> Vec<(&str, &str)> {
    let mut first: HashMap<String, &str> = HashMap::with_capacity(names.len());
    let mut found = Vec::new();
    for name in names {
        let plain = if name.is_ascii() {
            name.to_ascii_lowercase()
        } else {
            name.nfd().flat_map(char::to_lowercase).nfc().collect()
        };
        match first.entry(plain) {
            hash_map::Entry::Vacant(entry) => drop(entry.insert(name)),
            hash_map::Entry::Occupied(entry) => found.push((*entry.get(), name.as_str())),
        }
    }
    found
}

impl fmt::Debug for BeforeListing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "BeforeListing(Some(..))" } else { "BeforeListing(None)" })
    }
}

/// A folder as people say it.
struct Where<'a>(Option<&'a TreePath>);

impl fmt::Display for Where<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(path) => path.fmt(f),
            None => f.write_str("the folder of the ensemble"),
        }
    }
}

#[cfg(test)]
mod tests;
