//! What is seen on the disk, beside the entry, makes a new version or none.

use crate::entry::{Attributes, Author, Content, Entry, Known};

/// The version that this author writes by what is seen; none if it is what the entry says.
///
/// [`Content::Gone`] is seen only where an absence is [proven](super::absence).
#[must_use]
pub fn observe(
    entry: Option<&Entry>,
    content: Content,
    attributes: Attributes,
    author: Author,
) -> Option<Entry> {
    let Some(entry) = entry else {
        return content.is_live().then(|| written(content, attributes, author, None));
    };
    let same = entry.content == content;
    if same && (entry.attributes == attributes || !matches!(content, Content::File { .. })) {
        return None;
    }
    Some(written(content, attributes, author, Some(entry)))
}

/// The same after the machine stopped without warning, for an entry of which nobody knows whether its content had
/// reached the disk.
///
/// What differs then may be what was there before, and nobody's wish. So it is an entry of which nothing is known:
/// any other wins over it, and if that did not replace this very content, this is kept aside. The author's device
/// must be a new one, for others may have heard of what was lost, under a dot of the old one.
#[must_use]
pub fn observe_suspect(
    entry: &Entry,
    content: Content,
    attributes: Attributes,
    author: Author,
) -> Option<Entry> {
    if content == entry.content {
        return observe(Some(entry), content, attributes, author);
    }
    let dot = author.least_dot();
    Some(Entry { content, attributes, replaced: None, dot, known: Known::only(dot) })
}

/// Writes the entry's content anew, greater than these: what it says stays, whatever others wrote not knowing of it.
///
/// The new version does not know those, so whoever holds one of them keeps it aside.
#[must_use]
pub fn reassert(entry: &Entry, against: &Known, author: Author) -> Entry {
    let dot = author.dot_after(&[&entry.known, against]);
    let mut new = Entry { dot, ..entry.clone() };
    new.known.insert(dot);
    new
}

fn written(content: Content, attributes: Attributes, author: Author, before: Option<&Entry>) -> Entry {
    let mut known = before.map(|entry| entry.known.clone()).unwrap_or_default();
    let dot = author.dot_after(&[&known]);
    known.insert(dot);
    // A touch replaces nothing: what the content replaced is still what it replaced.
    let replaced =
        before.and_then(|entry| if entry.content == content { entry.replaced } else { entry.content.hash() });
    Entry { content, attributes, replaced, dot, known }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{ContentHash, Device};

    fn author(seconds: u64) -> Author {
        Author { device: Device::from_bits(1), seconds }
    }

    fn file(text: &str) -> Content {
        Content::File { size: text.len() as u64, hash: ContentHash::of(text.as_bytes()) }
    }

    fn at(mtime: i64) -> Attributes {
        Attributes { mtime, executable: false }
    }

    #[test]
    fn what_is_as_it_was_makes_no_version() {
        let entry = observe(None, file("a"), at(1), author(10)).unwrap();
        assert_eq!(observe(Some(&entry), file("a"), at(1), author(20)), None);
        assert_eq!(observe(None, Content::Gone, at(0), author(20)), None);
        let folder = observe(None, Content::Folder, at(0), author(10)).unwrap();
        assert_eq!(observe(Some(&folder), Content::Folder, at(7), author(20)), None, "folders have no time");
    }

    #[test]
    fn a_change_names_what_it_replaced_and_knows_it() {
        let first = observe(None, file("a"), at(1), author(10)).unwrap();
        let second = observe(Some(&first), file("b"), at(2), author(5)).unwrap();
        assert_eq!(second.replaced, first.content.hash());
        assert!(first.dot < second.dot && first.is_known_to(&second) && !second.is_known_to(&first));
        let touched = observe(Some(&second), file("b"), at(3), author(5)).unwrap();
        assert_eq!(touched.replaced, first.content.hash(), "a touch replaces nothing");
        let gone = observe(Some(&touched), Content::Gone, at(0), author(5)).unwrap();
        assert_eq!(gone.replaced, second.content.hash());
        let again = observe(Some(&gone), file("a"), at(1), author(5)).unwrap();
        assert!(gone.is_known_to(&again) && again.replaced.is_none());
    }

    #[test]
    fn what_is_reasserted_is_greater_and_knows_no_more_than_itself() {
        let ours = observe(None, file("a"), at(1), author(10)).unwrap();
        let theirs =
            observe(None, file("b"), at(1), Author { device: Device::from_bits(2), seconds: 99 }).unwrap();
        let again = reassert(&ours, &theirs.known, author(10));
        assert!(again.dot > theirs.dot && !theirs.is_known_to(&again) && ours.is_known_to(&again));
        assert_eq!(again.content, ours.content);
    }
}
