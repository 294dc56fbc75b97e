//! What the disk would not do with a path of the folder, and why, sorted by what can be done about it.

use std::fmt;
use std::io;

use rustix::io::Errno;
use thiserror::Error;

use super::beneath::Kind;
use crate::entry::TreePath;
use crate::text::Escaped;

/// Something that could not be done in the folder.
#[derive(Debug, Error)]
#[error("cannot {action} {place}")]
pub struct FolderError {
    /// What was tried.
    pub action: Action,
    /// With what.
    pub place: Place,
    /// Why not.
    #[source]
    pub trouble: Trouble,
}

/// Where something was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The folder itself.
    Root,
    /// A path beneath it.
    Tree(TreePath),
    /// Something of ours, beneath [`crate::entry::path::OWN_FOLDER`].
    Own(String),
}

/// What is tried with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// See what is there.
    Inspect,
    /// Read the names in a folder.
    List,
    /// Open a file for reading.
    Open,
    /// Read a file, or the text of a symbolic link.
    Read,
    /// Write a file that is on its way.
    Write,
    /// Make a folder, a symbolic link or a file of ours.
    Create,
    /// Put something in place, instead of what was there.
    Put,
    /// Remove.
    Remove,
    /// Give another name.
    Move,
    /// Set the time and the executable bit.
    SetAttributes,
    /// Bring safely to the disk.
    Sync,
    /// Keep in the archive.
    Archive,
}

/// Why something could not be done.
#[derive(Debug, Error)]
pub enum Trouble {
    /// Nothing is there, or a folder on the way is missing.
    #[error("it is not there")]
    Missing,
    /// What should be a folder on the way is a symbolic link or a file.
    #[error("something on the way to it is not a folder")]
    Way,
    /// It lies on another file system than the folder.
    #[error("another file system is mounted there, which is left alone")]
    Mounted,
    /// It is of another kind.
    #[error("it is {0}")]
    Is(Kind),
    /// Something is where nothing should be.
    #[error("something is there already")]
    Occupied,
    /// A folder that is to go has something in it.
    #[error("the folder is not empty")]
    NotEmpty,
    /// It is not what it was when it was last looked at; whoever gave the order looks again.
    #[error("it changed meanwhile; look at it again")]
    Changed,
    /// The file has other names, perhaps outside of the folder, that would change with it.
    #[error("the file has other names, which would change with it; replace it instead")]
    Linked,
    /// The same content is on its way already.
    #[error("the same content is on its way already")]
    Busy,
    /// The content is not what it was said to be.
    #[error("the content is not what was announced; it is fetched again")]
    Wrong,
    /// Some of the content has not arrived.
    #[error("some of it has not arrived yet; it is fetched")]
    Incomplete,
    /// The file ends earlier than expected.
    #[error("it is shorter than it was")]
    Short,
    /// It reaches beyond the end of a chunk, or of the chunks.
    #[error("it reaches beyond the announced end")]
    Beyond,
    /// The text of a symbolic link is empty, too long, or has a NUL.
    #[error("no symbolic link can have this text")]
    BadLink,
    /// A text is not UTF-8.
    #[error("it is not UTF-8")]
    NotText,
    /// The file system does not take this name.
    #[error("the file system does not take this name")]
    Name,
    /// No space, or no quota, is left.
    #[error("the disk is full; free some space")]
    Full,
    /// The system does not allow it.
    #[error(transparent)]
    Denied(io::Error),
    /// Anything else that the system said.
    #[error(transparent)]
    Io(io::Error),
}

impl Trouble {
    /// The error that says what was tried with which path.
    #[must_use]
    pub fn at(self, action: Action, path: &TreePath) -> FolderError {
        FolderError { action, place: Place::Tree(path.clone()), trouble: self }
    }

    /// The same for something of ours.
    #[must_use]
    pub fn at_own(self, action: Action, name: impl Into<String>) -> FolderError {
        FolderError { action, place: Place::Own(name.into()), trouble: self }
    }
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Trouble {
        match errno {
            Errno::NOENT => Trouble::Missing,
            Errno::NOTDIR | Errno::LOOP => Trouble::Way,
            Errno::XDEV => Trouble::Mounted,
            Errno::EXIST => Trouble::Occupied,
            Errno::NOTEMPTY => Trouble::NotEmpty,
            Errno::NAMETOOLONG | Errno::ILSEQ => Trouble::Name,
            Errno::NOSPC | Errno::DQUOT => Trouble::Full,
            Errno::ACCESS | Errno::PERM | Errno::ROFS => Trouble::Denied(errno.into()),
            _ => Trouble::Io(errno.into()),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        match Errno::from_io_error(&error) {
            Some(errno) => errno.into(),
            None => Trouble::Io(error),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Root => f.write_str("the folder of the ensemble"),
            Place::Tree(path) => path.fmt(f),
            Place::Own(name) => write!(f, "{}/{}", crate::entry::path::OWN_FOLDER, Escaped(name)),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Inspect => "look at",
            Action::List => "list",
            Action::Open => "open",
            Action::Read => "read",
            Action::Write => "write",
            Action::Create => "create",
            Action::Put => "put in place",
            Action::Remove => "remove",
            Action::Move => "move",
            Action::SetAttributes => "set the time and mode of",
            Action::Sync => "bring to the disk",
            Action::Archive => "keep in the archive",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::chain;

    #[test]
    fn trouble_names_what_was_tried_where_and_why() {
        let path = TreePath::parse("a\u{1b}[2J/b").unwrap();
        let told = |errno: Errno| chain(&Trouble::from(errno).at(Action::Put, &path));
        assert_eq!(
            told(Errno::NOSPC),
            "cannot put in place a\\u{1b}[2J/b: the disk is full; free some space"
        );
        assert_eq!(told(Errno::ACCESS), "cannot put in place a\\u{1b}[2J/b: permission denied");
        assert_eq!(told(Errno::IO), "cannot put in place a\\u{1b}[2J/b: input/output error");
    }
}
