//! Folders, and the programs that work on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::common::program::{Ended, PATIENCE, Program, binary};
use crate::common::swarm::{Member, number, parsed};

/// A scratch directory with a folder for each member.
pub(crate) struct Folders {
    dir: tempfile::TempDir,
}

impl Folders {
    pub(crate) fn new() -> Folders {
        Folders { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The program with these arguments, in the scratch directory.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("ensemble"));
        command.current_dir(self.dir.path()).env_remove("ORCHESTRA_KEY").args(arguments);
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Program::start(&mut self.command(arguments)).ended()
    }

    /// What it prints, if it ends well.
    #[track_caller]
    pub(crate) fn told(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{arguments:?}: {:?}", ended.lines);
        ended.lines.join("\n")
    }

    /// What it complains of.
    #[track_caller]
    pub(crate) fn refused(&self, arguments: &[&str], code: i32) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {:?} {}", ended.lines, ended.errors);
        ended.errors
    }

    /// The command for a member that nobody finds by itself.
    pub(crate) fn member_command(&self, folder: &str, arguments: &[&str]) -> Command {
        let mut command = self.command(&[folder, "--no-lan", "--listen", "127.0.0.1:0"]);
        command.args(arguments);
        command
    }

    /// Starts the first member of an ensemble, or the one of a folder that has a key.
    pub(crate) fn start(&self, folder: &str, arguments: &[&str]) -> Member {
        Member::start(self.member_command(folder, arguments).arg("--json"))
    }

    /// The key of a folder, in a file.
    pub(crate) fn key_of(&self, folder: &str) -> String {
        let key = self.told(&["key", folder]);
        self.write("key", &key);
        self.path("key").to_str().unwrap().to_owned()
    }

    /// Starts a member with the key of another one's folder.
    pub(crate) fn join(&self, folder: &str, other: &Member, others: &str, arguments: &[&str]) -> Member {
        let (key, address) = (self.key_of(others), other.address.to_string());
        self.start(folder, &[&["--key-file", &key, "--member", &address], arguments].concat())
    }

    /// How a folder stands.
    pub(crate) fn status(&self, folder: &str) -> Value {
        parsed(&self.told(&["status", folder, "--json"]))
    }

    /// Asks how a folder stands until it is so.
    #[track_caller]
    pub(crate) fn until(&self, folder: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let since = std::time::Instant::now();
        loop {
            let status = self.status(folder);
            if is_so(&status) {
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "never: {what}; last {status}");
        }
    }
}

/// Whether so many files are there, and everywhere.
pub(crate) fn has_files(count: u64) -> impl Fn(&Value) -> bool {
    move |event| event["united"] == true && number(event, "files") == count
}
