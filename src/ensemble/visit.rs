//! Looking at a folder from outside: through the member that works on it, or, where none runs, at the folder itself.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::control::{Answer, Question, Row, page_of, restore};
use super::progress::{Snapshot, Standing, Status};
use crate::entry::TreePath;
use crate::host::control::Talk;
use crate::host::folder::archive::Kept;
use crate::host::folder::index::{self, Found, Index, IndexError};
use crate::host::folder::root::{self, IfNew, RootError};
use crate::host::folder::{FolderError, Root};
use crate::limits::{
    CONTROL_ANSWER_MAX, CONTROL_ANSWER_PATIENCE, CONTROL_PATIENCE, CONTROL_RESTORE_PATIENCE, INDEX_PAGE_ROWS,
};
use crate::text::Escaped;

/// Why a folder cannot be looked at, or a wish not be fulfilled.
#[derive(Debug, Error)]
pub enum VisitError {
    /// The folder.
    #[error(transparent)]
    Root(#[from] RootError),
    /// Something in it.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Only a running member can do this.
    #[error("no member works on {path}; start one: ensemble {path}", path = Escaped(&path.to_string_lossy()))]
    NoMember {
        /// The folder.
        path: PathBuf,
    },
    /// The member did not answer.
    #[error("the member that works on {path} does not answer; try again, or look into its log", path = Escaped(&path.to_string_lossy()))]
    Silent {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What it said makes no sense: it is another version of this program.
    #[error("the member that works on {path} speaks otherwise; stop it, and start it with this version", path = Escaped(&path.to_string_lossy()))]
    Strange {
        /// The folder.
        path: PathBuf,
    },
    /// The member could not.
    #[error("{}", Escaped(.0))]
    Failed(String),
}

/// A folder that is looked at.
#[derive(Debug)]
pub enum Visit {
    /// A member works on it.
    Running(PathBuf),
    /// Nobody else does.
    Alone(Arc<Root>, Option<Box<Index>>),
}

impl Visit {
    /// Looks who is there.
    ///
    /// # Errors
    /// It is no ensemble's folder, or something in it cannot be opened.
    pub fn to(dir: &Path) -> Result<Visit, VisitError> {
        if Talk::to(dir)?.is_some() {
            return Ok(Visit::Running(dir.to_owned()));
        }
        let root = Root::open(dir, IfNew::Refuse).map_err(|error| match error {
            // It begins or ends just now, or its socket could not be made.
            RootError::InUse { path } => {
                VisitError::Silent { path, source: io::ErrorKind::ConnectionRefused.into() }
            }
            error => error.into(),
        });
        let root = Arc::new(root?);
        let index = match index::open(&root.own_path())? {
            Found::Nothing { .. } => None,
            Found::Whole { index, .. } | Found::Restored(index) => Some(index),
            Found::Damaged(error) => return Err(error.into()),
        };
        Ok(Visit::Alone(root, index))
    }

    /// How the member stands, or what the index says.
    ///
    /// # Errors
    /// See [`VisitError`].
    pub fn status(&self) -> Result<Status, VisitError> {
        match self {
            Visit::Running(dir) => match one(dir, &Question::Status, CONTROL_ANSWER_PATIENCE)? {
                Answer::Status { status } => Ok(*status),
                answer => Err(unexpected(dir, answer)),
            },
            Visit::Alone(_, None) => Ok(Status { listen: None, snapshot: Snapshot::default() }),
            Visit::Alone(_, Some(index)) => {
                let (mut behind, mut after) = (0, None);
                loop {
                    let page = index.behind(after.as_ref())?;
                    behind += page.len() as u64;
                    after = page.last().cloned();
                    if page.len() < INDEX_PAGE_ROWS {
                        break;
                    }
                }
                let (totals, conflicts) = (index.totals()?, index.conflicts()?);
                let standing = Standing { totals, conflicts, behind, ..Standing::default() };
                Ok(Status { listen: None, snapshot: Snapshot { standing, ..Snapshot::default() } })
            }
        }
    }

    /// Lets the deletions go that are held back; how many they are.
    ///
    /// # Errors
    /// See [`VisitError`]; only a running member holds any back.
    pub fn approve(&self) -> Result<u64, VisitError> {
        match self {
            Visit::Running(dir) => match one(dir, &Question::Approve, CONTROL_ANSWER_PATIENCE)? {
                Answer::Approved { count } => Ok(count),
                answer => Err(unexpected(dir, answer)),
            },
            Visit::Alone(root, _) => Err(VisitError::NoMember { path: root.path().to_owned() }),
        }
    }

    /// Brings a version back to where it was; what is there now goes to the archive.
    ///
    /// # Errors
    /// See [`VisitError`].
    pub fn restore(&self, kept: &Kept) -> Result<(), VisitError> {
        match self {
            Visit::Running(dir) => {
                let question = Question::Restore { path: kept.path.clone(), at: kept.at };
                match one(dir, &question, CONTROL_RESTORE_PATIENCE)? {
                    Answer::Restored => Ok(()),
                    answer => Err(unexpected(dir, answer)),
                }
            }
            Visit::Alone(root, _) => Ok(restore(root, kept)?),
        }
    }

    /// A page of what should be in the folder, and after which path the next one begins; none after the last.
    pub(super) fn rows(&self, after: Option<&TreePath>) -> Result<(Vec<Row>, Option<TreePath>), VisitError> {
        match self {
            Visit::Running(dir) => {
                let mut talk = ask(dir, &Question::Rows { after: after.cloned() })?;
                let mut rows = Vec::new();
                loop {
                    match hear(dir, &mut talk, CONTROL_ANSWER_PATIENCE)? {
                        Answer::Row { row } if rows.len() < INDEX_PAGE_ROWS => rows.push(row),
                        Answer::Page { next } => return Ok((rows, next)),
                        answer => return Err(unexpected(dir, answer)),
                    }
                }
            }
            Visit::Alone(_, None) => Ok((Vec::new(), None)),
            Visit::Alone(_, Some(index)) => Ok(page_of(index.own_beneath(None, after)?)),
        }
    }
}

/// What the archive of a folder has, of one path or of all; by path, the latest of each first.
///
/// # Errors
/// The folder is no ensemble's, or the archive cannot be read.
pub fn archived(dir: &Path, path: Option<&TreePath>) -> Result<Vec<Kept>, VisitError> {
    let not_ours = || RootError::NotOurs { path: dir.to_owned() };
    root::peek(dir)?.ok_or_else(not_ours)?;
    let Some(archive) = root::peek_archive(dir)? else { return Ok(Vec::new()) };
    if let Some(path) = path {
        return Ok(archive.versions(path)?);
    }
    let mut all = Vec::new();
    archive.each(|kept| all.push(kept))?;
    all.sort_by(|a, b| a.path.cmp(&b.path).then(b.at.cmp(&a.at)));
    Ok(all)
}

fn one(dir: &Path, question: &Question, patience: Duration) -> Result<Answer, VisitError> {
    hear(dir, &mut ask(dir, question)?, patience)
}

fn ask(dir: &Path, question: &Question) -> Result<Talk, VisitError> {
    let talk = Talk::to(dir)?.ok_or_else(|| VisitError::NoMember { path: dir.to_owned() })?;
    let line = serde_json::to_string(question).expect("words and paths are always JSON") + "\n";
    let said = talk.say(&line, CONTROL_PATIENCE, || false);
    said.map_err(|source| VisitError::Silent { path: dir.to_owned(), source })?;
    Ok(talk)
}

fn hear(dir: &Path, talk: &mut Talk, patience: Duration) -> Result<Answer, VisitError> {
    let silent = |source| VisitError::Silent { path: dir.to_owned(), source };
    let line = talk.hear(CONTROL_ANSWER_MAX, patience, || false).map_err(silent)?;
    let line = line.ok_or_else(|| silent(io::ErrorKind::UnexpectedEof.into()))?;
    serde_json::from_str(&line).map_err(|_| VisitError::Strange { path: dir.to_owned() })
}

fn unexpected(dir: &Path, answer: Answer) -> VisitError {
    match answer {
        Answer::Failed { why } => VisitError::Failed(why),
        _ => VisitError::Strange { path: dir.to_owned() },
    }
}
