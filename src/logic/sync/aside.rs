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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Attributes, ContentHash, Device};
    use crate::logic::sync::observe::observe;

    fn author(device: u64) -> Author {
        Author { device: Device::from_bits(device), seconds: 10 }
    }

    fn see(entry: Option<&Entry>, text: Option<&str>, device: u64) -> Entry {
        let content = text.map_or(Content::Gone, |text| Content::File {
            size: text.len() as u64,
            hash: ContentHash::of(text.as_bytes()),
        });
        observe(entry, content, Attributes::default(), author(device)).unwrap()
    }

    fn path() -> TreePath {
        TreePath::parse("d/a.txt").unwrap()
    }

    fn kept(loser: &Entry) -> (TreePath, Entry) {
        match aside(&path(), loser, author(3), |_| None) {
            Aside::Kept(path, entry) => (path, entry),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_who_keep_it_write_the_same() {
        let loser = see(None, Some("a"), 1);
        let (name, copy) = kept(&loser);
        assert!(name.is_conflict() && copy.content == loser.content);
        assert_eq!(aside(&path(), &loser, author(4), |_| None), Aside::Kept(name.clone(), copy.clone()));
        assert_eq!(aside(&path(), &loser, author(4), |_| Some(copy.clone())), Aside::There(name, copy));
    }

    #[test]
    fn who_deletes_one_copy_has_deleted_them_all() {
        let loser = see(None, Some("a"), 1);
        let gone = see(Some(&kept(&loser).1), None, 2);
        assert_eq!(aside(&path(), &loser, author(3), |_| Some(gone.clone())), Aside::Known);
    }

    #[test]
    fn what_was_deleted_there_before_is_another_matter() {
        let loser = see(None, Some("a"), 1);
        // The same device had written and deleted something at that name, later by its counter.
        let gone = see(Some(&see(None, Some("x"), 1)), None, 1);
        assert!(gone.dot > loser.dot);
        let Aside::Kept(_, copy) = aside(&path(), &loser, author(3), |_| Some(gone.clone())) else {
            panic!("it is kept")
        };
        assert!(copy.content == loser.content && copy.dot > gone.dot);
    }

    #[test]
    fn a_name_that_is_taken_gives_way_to_a_longer_one() {
        let loser = see(None, Some("a"), 1);
        let (short, _) = kept(&loser);
        let taken = see(None, Some("edited"), 2);
        let at = |path: &TreePath| (*path == short).then(|| taken.clone());
        let Aside::Kept(longer, _) = aside(&path(), &loser, author(3), at) else { panic!("it is kept") };
        assert!(longer.name().len() > short.name().len());
        assert_eq!(aside(&path(), &loser, author(3), |_| Some(taken.clone())), Aside::Nowhere);
    }
}
