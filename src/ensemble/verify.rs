//! Reads everything that should be in a folder, and compares.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::control::Row;
use super::visit::{Visit, VisitError};
use crate::entry::{Content, TreePath};
use crate::host::HostError;
use crate::host::folder::content::{self, ContentError};
use crate::host::folder::root::RootError;
use crate::host::folder::{Beneath, Kind, Trouble};
use crate::text::chain;

/// What is wrong with a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Its content is another one, and nothing shows that anybody wrote it: the disk or the memory changed it.
    Damaged,
    /// It was changed since the last look, or is being written to.
    Changed,
    /// It is not there.
    Missing,
    /// There is no telling, and why.
    Unknown(String),
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many paths were compared.
    pub paths: u64,
    /// How many bytes were read.
    pub bytes: u64,
    /// What is wrong, by path.
    pub wrong: BTreeMap<TreePath, Wrong>,
}

/// Reads everything; `progress` is told so many bytes of so many.
///
/// # Errors
/// The member, or the index, does not tell what should be there.
pub fn verify(
    dir: &Path,
    visit: &Visit,
    progress: impl FnMut(u64, u64) + Send,
) -> Result<Verified, VisitError> {
    let all = visit.status()?.snapshot.standing.totals.bytes;
    let open = |trouble| RootError::Open { path: dir.to_owned(), trouble };
    let folder = Beneath::open(dir).map_err(open)?;
    let (done, progress) = (AtomicU64::new(0), Mutex::new(progress));
    let tell = |bytes| {
        let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // What others wrote meanwhile makes it more than all.
        progress.lock().expect("no thread panics while it holds this lock")(done.min(all), all);
    };
    let mut verified = Verified::default();
    let mut after = None;
    loop {
        let (rows, next) = visit.rows(after.as_ref())?;
        verified.paths += rows.len() as u64;
        verified.wrong.extend(compare(&folder, rows, &tell).map_err(RootError::Host)?);
        if next.is_none() {
            break;
        }
        after = next;
    }
    verified.bytes = done.load(Ordering::Relaxed);
    Ok(verified)
}

fn compare(
    folder: &Beneath,
    rows: Vec<Row>,
    tell: &(impl Fn(u64) + Sync),
) -> Result<BTreeMap<TreePath, Wrong>, HostError> {
    let mut wrong = BTreeMap::new();
    let mut files = Vec::new();
    for row in rows {
        let found = match &row.content {
            Content::File { .. } => {
                files.push(row);
                continue;
            }
            Content::Link(text) => folder.read_link(&row.path).map(|found| found == *text),
            Content::Folder => match folder.stat(&row.path) {
                Ok(None) => {
                    Err(Trouble::Missing.at(crate::host::folder::trouble::Action::Inspect, &row.path))
                }
                found => found.map(|stat| stat.is_some_and(|stat| stat.kind == Kind::Folder)),
            },
            Content::Gone => continue,
        };
        let found = found.map_err(ContentError::Disk).map(|is_same| (!is_same).then_some(Wrong::Changed));
        wrong.extend(found.unwrap_or_else(|error| Some(trouble(&error))).map(|what| (row.path, what)));
    }
    // Nothing of what was known before is believed.
    let task = |row: &Row| content::Task { path: row.path.clone(), before: Vec::new() };
    let tasks: Vec<content::Task> = files.iter().map(task).collect();
    let found = Mutex::new(Vec::new());
    content::read_many(folder, &tasks, &AtomicBool::new(false), |at, outcome| {
        let row = &files[at];
        let what = match outcome {
            Ok(contents) => {
                tell(contents.facts.size);
                let is_same = row.content.hash() == Some(contents.hash);
                let is_untouched = row.facts == Some(contents.facts);
                (!is_same).then_some(if is_untouched { Wrong::Damaged } else { Wrong::Changed })
            }
            Err(error) => Some(trouble(&error)),
        };
        let mut found = found.lock().expect("no thread panics while it holds this lock");
        found.extend(what.map(|what| (row.path.clone(), what)));
    })?;
    wrong.extend(found.into_inner().expect("no thread panics while it holds this lock"));
    Ok(wrong)
}

fn trouble(error: &ContentError) -> Wrong {
    match error {
        ContentError::Changed(_) => Wrong::Changed,
        ContentError::Disk(error) => match error.trouble {
            Trouble::Missing | Trouble::Way => Wrong::Missing,
            Trouble::Changed | Trouble::Is(_) => Wrong::Changed,
            _ => Wrong::Unknown(chain(error)),
        },
        ContentError::TooLong(_) => Wrong::Unknown(chain(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::ContentHash;
    use crate::host::folder::facts::Facts;
    use std::fs;

    #[test]
    fn damage_is_told_from_change() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "abc").unwrap();
        let folder = Beneath::open(dir.path()).unwrap();
        let path = TreePath::parse("a").unwrap();
        let facts: Facts = folder.stat(&path).unwrap().unwrap().into();
        let found = |bytes: &[u8], facts, path: &str| {
            let content = Content::File { size: 3, hash: ContentHash::of(bytes) };
            let row = Row { path: TreePath::parse(path).unwrap(), content, facts };
            compare(&folder, vec![row], &|_| {}).unwrap().into_values().next()
        };
        assert_eq!(found(b"abc", Some(facts), "a"), None);
        assert_eq!(found(b"abc", None, "a"), None);
        assert_eq!(found(b"abd", Some(facts), "a"), Some(Wrong::Damaged));
        let later = Facts { ctime: facts.ctime + 1, ..facts };
        assert_eq!(found(b"abd", Some(later), "a"), Some(Wrong::Changed));
        assert_eq!(found(b"abd", Some(facts), "b"), Some(Wrong::Missing));
        assert_eq!(found(b"abd", Some(facts), "a/b"), Some(Wrong::Missing));
        let link = Row { path, content: Content::Link("x".to_owned()), facts: None };
        let wrong = compare(&folder, vec![link], &|_| {}).unwrap().into_values().next();
        assert!(wrong.is_some_and(|wrong| wrong != Wrong::Missing));
    }
}
