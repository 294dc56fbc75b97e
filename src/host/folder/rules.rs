//! What of the folder is left out of the ensemble: `.orchestraignore`, in the syntax of gitignore.
//!
//! The file is the topmost folder's; what is beneath a folder that is left out is left out as well, whatever later
//! lines say.

use std::io::Read;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use thiserror::Error;

use super::beneath::Beneath;
use super::trouble::{Action, FolderError, Trouble};
use crate::entry::TreePath;
use crate::limits::IGNORE_LEN_MAX;

/// The name of the file.
pub const IGNORE_FILE: &str = ".orchestraignore";

/// Which paths are left out.
#[derive(Clone, Debug)]
pub struct Rules(Gitignore);

/// A line that means nothing, and leaves nothing out.
#[derive(Debug, Error)]
#[error("line {line} of {IGNORE_FILE} means nothing")]
pub struct BadLine {
    /// Which, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub source: ignore::Error,
}

/// Why there are no rules. Without them nobody knows what must stay here, so nothing is looked at.
#[derive(Debug, Error)]
pub enum RulesError {
    /// The file is there and cannot be read.
    #[error(transparent)]
    Disk(#[from] FolderError),
    /// It is too long.
    #[error("{IGNORE_FILE} is longer than {IGNORE_LEN_MAX} bytes; make it shorter")]
    TooLong,
    /// It is not text.
    #[error("{IGNORE_FILE} is not UTF-8; save it as that")]
    NotText,
    /// All lines together are more than can be matched.
    #[error("the lines of {IGNORE_FILE} are too many or too long; make it shorter")]
    TooMuch(#[source] ignore::Error),
}

impl Rules {
    /// Leaves nothing out.
    #[must_use]
    pub fn none() -> Rules {
        Rules(Gitignore::empty())
    }

    /// Reads the file of a folder, if it has one.
    ///
    /// # Errors
    /// It is there, and cannot be read or used as a whole. Single lines that mean nothing come with the rules.
    pub fn read(folder: &Beneath) -> Result<(Rules, Vec<BadLine>), RulesError> {
        let path = TreePath::parse(IGNORE_FILE).expect("the name is a path");
        let file = match folder.open_file(&path) {
            Ok(file) => file,
            Err(FolderError { trouble: Trouble::Missing, .. }) => return Ok((Rules::none(), Vec::new())),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        file.take(IGNORE_LEN_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Trouble::from(error).at(Action::Read, &path))?;
        if bytes.len() as u64 > IGNORE_LEN_MAX {
            return Err(RulesError::TooLong);
        }
        Rules::parse(&String::from_utf8(bytes).map_err(|_| RulesError::NotText)?)
    }

    /// Reads the lines of such a file.
    ///
    /// # Errors
    /// They are too many.
    pub fn parse(text: &str) -> Result<(Rules, Vec<BadLine>), RulesError> {
        let mut rules = GitignoreBuilder::new("");
        let mut bad = Vec::new();
        // Some editors begin a text with this mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (line, text) in (1..).zip(text.lines()) {
            if let Err(source) = rules.add_line(None, text) {
                bad.push(BadLine { line, source });
            }
        }
        Ok((Rules(rules.build().map_err(RulesError::TooMuch)?), bad))
    }

    /// Whether a path is left out, by itself or by a folder that it is in.
    #[must_use]
    pub fn ignore(&self, path: &TreePath, is_folder: bool) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let ends = path.as_str().match_indices('/').map(|(at, _)| at);
        ends.into_iter().any(|end| self.names(&path.as_str()[..end], true))
            || self.ignore_here(path, is_folder)
    }

    /// The same of a path in a folder that is not left out.
    pub(super) fn ignore_here(&self, path: &TreePath, is_folder: bool) -> bool {
        self.names(path.as_str(), is_folder)
    }

    fn names(&self, path: &str, is_folder: bool) -> bool {
        self.0.matched(path, is_folder).is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::chain;
    use std::fs;
    use std::path::Path;

    fn rules(text: &str) -> Rules {
        let (rules, bad) = Rules::parse(text).unwrap();
        assert!(bad.is_empty(), "{bad:?}");
        rules
    }

    fn ignored(rules: &Rules, path: &str) -> bool {
        let is_folder = path.ends_with('/');
        rules.ignore(&TreePath::parse(path.trim_end_matches('/')).unwrap(), is_folder)
    }

    #[test]
    fn lines_mean_what_they_mean_to_git() {
        let rules = rules("\u{feff}*.o\r\n# no\n\nbuild/\n/top\na/**/z\n!keep.o\n\\#odd\nends\\ \n");
        for path in [
            "x.o",
            "d/x.o",
            "build/",
            "d/build/",
            "d/build/deep/x",
            "top",
            "top/x",
            "a/z",
            "a/b/c/z",
            "#odd",
            "ends ",
        ] {
            assert!(ignored(&rules, path), "{path}");
        }
        for path in
            ["x.c", "build", "d/top", "keep.o", "d/keep.o", "# no", "ends", "~/x.c", ".orchestraignore"]
        {
            assert!(!ignored(&rules, path), "{path}");
        }
        // As with git: what is in a folder that is left out cannot be taken in again.
        assert!(ignored(&rules, "build/keep.o"));
        assert!(!ignored(&Rules::none(), "x.o"));
    }

    #[test]
    fn a_line_that_means_nothing_is_named_and_the_others_hold() {
        let (rules, bad) = Rules::parse("*.o\n{a\n*.tmp\n").unwrap();
        assert!(ignored(&rules, "x.o") && ignored(&rules, "x.tmp"));
        assert_eq!(bad.len(), 1);
        assert!(
            chain(&bad[0]).starts_with("line 2 of .orchestraignore means nothing: "),
            "{}",
            chain(&bad[0])
        );
    }

    #[test]
    fn without_readable_rules_there_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(IGNORE_FILE);
        let read = || Rules::read(&Beneath::open(dir.path()).unwrap());
        let told = || chain(&read().unwrap_err());
        assert!(!ignored(&read().unwrap().0, "x.o"));
        fs::write(&path, "*.o").unwrap();
        assert!(ignored(&read().unwrap().0, "x.o"));
        fs::write(&path, b"*.\xff").unwrap();
        assert_eq!(told(), ".orchestraignore is not UTF-8; save it as that");
        fs::write(&path, "#".repeat(1 << 20)).unwrap();
        assert_eq!(told(), ".orchestraignore is longer than 262144 bytes; make it shorter");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(Path::new("/etc/passwd"), &path).unwrap();
        assert!(told().starts_with("cannot open .orchestraignore: "), "{}", told());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(told().starts_with("cannot open .orchestraignore: "), "{}", told());
    }
}
