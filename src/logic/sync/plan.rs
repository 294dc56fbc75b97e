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
    let is_folder = ours.content == Content::Folder;
    let unknowing_deletion = greatest.content == Content::Gone && !is_known;
    if ours.content == Content::Gone {
        arrival(taken, around)
    } else if is_folder && around.inhabited || unknowing_deletion {
        Step::Reassert(reassert(&noted, &greatest.known, author))
    } else if is_folder || is_known || greatest.replaced == ours.content.hash() {
        Step::Take(taken)
    } else {
        Step::TakeBeside(taken)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Attributes, ContentHash, Device};
    use crate::logic::sync::observe::observe;

    const OPEN: Around = Around { parent: Parent::Folder, inhabited: false };

    fn author(device: u64) -> Author {
        Author { device: Device::from_bits(device), seconds: device }
    }

    fn file(text: &str) -> Content {
        Content::File { size: text.len() as u64, hash: ContentHash::of(text.as_bytes()) }
    }

    fn see(entry: Option<&Entry>, content: Content, device: u64) -> Entry {
        observe(entry, content, Attributes::default(), author(device)).unwrap()
    }

    fn plan_one(ours: &Entry, other: &Entry) -> Step {
        plan(Some(ours), [other], OPEN, author(9))
    }

    #[test]
    fn what_replaced_ours_is_taken() {
        let first = see(None, file("a"), 1);
        let second = see(Some(&first), file("b"), 2);
        assert_eq!(plan_one(&first, &second), Step::Take(second.clone()));
        assert_eq!(plan_one(&second, &first), Step::Rest);
        let gone = see(Some(&second), Content::Gone, 1);
        assert_eq!(plan_one(&second, &gone), Step::Take(gone));
    }

    #[test]
    fn the_holder_of_the_loser_keeps_it_and_nobody_else() {
        let (low, high) = (see(None, file("a"), 1), see(None, file("b"), 2));
        assert_eq!(plan_one(&low, &high), Step::TakeBeside(high.clone().knowing(&low.known)));
        assert_eq!(plan_one(&high, &low), Step::Rest);
        // Somebody kept it already, or had it and replaced it.
        let both = high.clone().knowing(&low.known);
        assert_eq!(plan_one(&low, &both), Step::Take(both.clone()));
        assert_eq!(plan_one(&high, &both), Step::Note(both));
    }

    #[test]
    fn the_same_content_is_no_conflict() {
        let (low, high) = (see(None, file("a"), 1), see(None, file("a"), 2));
        let merged = high.clone().knowing(&low.known);
        assert_eq!(plan_one(&low, &high), Step::Note(merged.clone()));
        assert_eq!(plan_one(&high, &low), Step::Note(merged.clone()));
        assert_eq!(plan_one(&merged, &low), Step::Rest);
    }

    #[test]
    fn a_content_that_the_winner_replaced_need_not_be_kept() {
        let ours = see(None, file("a"), 1);
        let theirs = see(Some(&see(None, file("a"), 2)), file("b"), 2);
        assert!(!ours.is_known_to(&theirs));
        assert!(matches!(plan_one(&ours, &theirs), Step::Take(_)));
    }

    #[test]
    fn an_edit_beats_a_deletion_that_did_not_know_it() {
        let first = see(None, file("a"), 1);
        let edit = see(Some(&first), file("b"), 1);
        let gone = see(Some(&first), Content::Gone, 5);
        let Step::Reassert(again) = plan_one(&edit, &gone) else { panic!("it answers") };
        assert!(again.content == edit.content && again.dot > gone.dot);
        assert!(matches!(plan_one(&gone, &again), Step::Take(_)));
        assert_eq!(plan_one(&gone, &edit), Step::Rest, "whoever holds the edit answers");
    }

    #[test]
    fn a_folder_in_which_something_is_stays() {
        let folder = see(None, Content::Folder, 1);
        for content in [Content::Gone, file("a")] {
            let other = see(Some(&folder), content, 2);
            let around = Around { inhabited: true, ..OPEN };
            assert!(matches!(plan(Some(&folder), [&other], around, author(9)), Step::Reassert(_)));
            assert_eq!(plan_one(&folder, &other), Step::Take(other), "an empty one does not");
        }
    }

    #[test]
    fn what_is_in_a_folder_waits_for_it() {
        let entry = see(None, file("a"), 1);
        let around = Around { parent: Parent::Missing, ..OPEN };
        assert_eq!(plan(None, [&entry], around, author(9)), Step::Wait);
        assert_eq!(plan(None, [&entry], OPEN, author(9)), Step::Take(entry.clone()));
        let gone = see(Some(&entry), Content::Gone, 1);
        assert_eq!(plan(None, [&gone], around, author(9)), Step::Note(gone), "so that others learn of it");
    }

    #[test]
    fn of_several_the_greatest_wins_whoever_knows_whom() {
        let ours = see(None, file("a"), 1);
        let knowing = see(Some(&ours), file("b"), 2);
        let greatest = see(None, file("c"), 7);
        let step = plan(Some(&ours), [&greatest, &knowing], OPEN, author(9));
        assert_eq!(step, Step::Take(greatest.knowing(&ours.known)), "somebody replaced ours knowingly");
    }
}
