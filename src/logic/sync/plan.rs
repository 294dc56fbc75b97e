//! Our entry and those of others make a step, the same on every machine that knows the same.

use super::observe::reassert;
use crate::entry::{Author, Content, Entry};

/// What stands around the path here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    /// What it is in.
    pub parent: Parent,
    /// Whether anything is in it here that is not gone.
    pub inhabited: bool,
}

/// What the path is in, as this machine has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// A folder, so something can be put there.
    Folder,
    /// Nothing yet, or something else.
    Missing,
}

/// What to do at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: all is as it should be, or the next step is another machine's.
    Rest,
    /// The folder that it belongs in has to come first.
    Wait,
    /// The content is there already: this becomes our entry, and its attributes those of the file.
    Note(Entry),
    /// The content of this entry comes in the place of ours, which goes into the archive; then it becomes our entry.
    Take(Entry),
    /// Ours is kept [aside](super::aside()) first: the other's author did not know it.
    TakeBeside(Entry),
    /// What we hold stays, and this is our new entry, to be told to all.
    Reassert(Entry),
}

/// What to do at a path where we have this entry, or none, and others have these.
///
/// The greatest entry wins. It is taken as it is if anybody's entry knows ours, or names its content as the one that
/// was replaced; if not, ours is kept as well. A deletion that did not know ours never wins, nor does anything
/// over a folder in which something is.
#[must_use]
pub fn plan<'a>(
    ours: Option<&Entry>,
    others: impl IntoIterator<Item = &'a Entry>,
    around: Around,
    author: Author,
) -> Step {
    let others: Vec<&Entry> = others.into_iter().collect();
    let Some(&greatest) = others.iter().max_by_key(|other| other.dot) else { return Step::Rest };
    let Some(ours) = ours else { return first(greatest, around) };
    let mut noted = ours.clone();
    // Who has the same content knows more about it, perhaps; that is no reason to move anything.
    for same in others.iter().filter(|other| other.content == ours.content) {
        noted.known.merge(&same.known);
        if same.dot > noted.dot {
            noted = Entry { known: noted.known, ..(*same).clone() };
        }
    }
    if greatest.dot <= noted.dot || greatest.content == ours.content {
        return if noted == *ours { Step::Rest } else { Step::Note(noted) };
    }
    let taken = greatest.clone().knowing(&noted.known);
    let is_known = others.iter().any(|other| other.content != ours.content && ours.is_known_to(other));
    match (&ours.content, &greatest.content) {
        (Content::Gone, _) => arrival(taken, around),
        (Content::Folder, _) if around.inhabited => Step::Reassert(reassert(&noted, &greatest.known, author)),
        (Content::Folder, Content::Gone) if !is_known => {
            Step::Reassert(reassert(&noted, &greatest.known, author))
        }
        (Content::Folder, _) => Step::Take(taken),
        (_, Content::Gone) if !is_known => Step::Reassert(reassert(&noted, &greatest.known, author)),
        _ if is_known || greatest.replaced == ours.content.hash() => Step::Take(taken),
        _ => Step::TakeBeside(taken),
    }
}

/// Of a path that we have never held.
fn first(greatest: &Entry, around: Around) -> Step {
    match greatest.content {
        // Who comes later learns from us that it is gone.
        Content::Gone => Step::Note(greatest.clone()),
        _ => arrival(greatest.clone(), around),
    }
}

fn arrival(entry: Entry, around: Around) -> Step {
    match around.parent {
        Parent::Folder => Step::Take(entry),
        Parent::Missing => Step::Wait,
    }
}
