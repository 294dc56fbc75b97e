//! Under which name the loser of a conflict is kept.

use super::observe::reassert;
use crate::entry::path::CONFLICT_DIGITS;
use crate::entry::{Author, Content, Dot, Entry, Known, TreePath};

/// Where the loser of a conflict goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aside {
    /// To this path, and this is the entry there.
    Kept(TreePath, Entry),
    /// The content is at this path already; this is the entry there.
    There(TreePath, Entry),
    /// Whoever deleted what is at its name knew this version: nobody wants it.
    Known,
    /// Every name that it could have is taken by something else.
    Nowhere,
}

/// Where to keep `loser`, which is at `path`, if these entries are at the paths beside it.
///
/// The entry there follows from the loser's alone, so all who keep it write the same, and who deletes one copy has
/// deleted them all.
#[must_use]
pub fn aside(
    path: &TreePath,
    loser: &Entry,
    author: Author,
    entry_at: impl Fn(&TreePath) -> Option<Entry>,
) -> Aside {
    let Some(hash) = loser.content.hash() else { return Aside::Known };
    // Dots name versions of one path: what the loser's author knew of that says nothing about this one.
    let dot = Dot { device: loser.dot.device.beside(path), counter: loser.dot.counter };
    let copy = Entry { replaced: None, dot, known: Known::only(dot), ..loser.clone() };
    for digits in CONFLICT_DIGITS {
        let Ok(name) = path.conflict(hash, digits) else { continue };
        if name == *path {
            continue;
        }
        let Some(there) = entry_at(&name) else { return Aside::Kept(name, copy) };
        match there.content {
            Content::Gone if copy.is_known_to(&there) => return Aside::Known,
            Content::Gone => return Aside::Kept(name, reassert(&copy, &there.known, author)),
            _ if there.content == copy.content => return Aside::There(name, there.knowing(&copy.known)),
            _ => {}
        }
    }
    Aside::Nowhere
}
