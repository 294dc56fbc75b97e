//! A conductor with a catalogue, and the people who use it, each with a home of their own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::program::{ConductorProgram, Ended, PATIENCE, Program, binary};
use crate::common::swarm::{Member, parsed};

/// Everybody's.
pub(crate) const PASSWORD: &str = "engine number 9";
/// What is said of who is not logged in.
pub(crate) const LOGIN_FIRST: &str =
    "first, type: member login NAME, or to make an account: member register NAME";

/// A conductor with a catalogue.
pub(crate) struct Group {
    pub(crate) conductor: ConductorProgram,
    /// Of its key, as it printed it.
    pub(crate) fingerprint: String,
    options: Vec<&'static str>,
    dir: tempfile::TempDir,
}

/// Somebody with a home.
pub(crate) struct User {
    pub(crate) home: tempfile::TempDir,
    conductor: SocketAddr,
}

impl Group {
    /// One that everybody may ask.
    pub(crate) fn public() -> Group {
        Group::with(&[])
    }

    /// One that only members may ask.
    pub(crate) fn private() -> Group {
        Group::with(&["--private"])
    }

    /// One at which nobody can register.
    pub(crate) fn closed() -> Group {
        Group::with(&["--closed"])
    }

    /// What the operator types: `conductor account ...`; the lines of the answer.
    pub(crate) fn operator(&self, arguments: &[&str]) -> Vec<String> {
        let ended = self.conductor_says(&[&["account"], arguments].concat());
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended.lines
    }

    /// What another `conductor ... --catalogue` says, on the catalogue of this one.
    pub(crate) fn conductor_says(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(binary("conductor"));
        command.args(arguments).args(["--catalogue", "c.sqlite"]).current_dir(self.dir.path());
        Program::start(&mut command).ended()
    }

    fn with(options: &[&'static str]) -> Group {
        let dir = tempfile::tempdir().unwrap();
        let (conductor, fingerprint) = start(&dir.path().join("c.sqlite"), "127.0.0.1:0", options);
        Group { conductor, fingerprint, options: options.to_vec(), dir }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.conductor.address
    }

    /// Somebody new, who knows where the conductor is.
    pub(crate) fn user(&self) -> User {
        User { home: tempfile::tempdir().unwrap(), conductor: self.address() }
    }

    /// Somebody new with an account.
    pub(crate) fn member(&self, name: &str) -> User {
        let user = self.user();
        user.does(&["register", name]);
        user
    }

    /// Another conductor takes its place, at the same address, with an empty catalogue.
    pub(crate) fn replaced(self) -> Group {
        let address = self.address().to_string();
        self.conductor.stop(rustix::process::Signal::TERM);
        let (conductor, fingerprint) = start(&self.dir.path().join("other.sqlite"), &address, &self.options);
        assert_ne!(fingerprint, self.fingerprint);
        Group { conductor, fingerprint, options: self.options, dir: self.dir }
    }
}

fn start(catalogue: &Path, listen: &str, options: &[&str]) -> (ConductorProgram, String) {
    let mut command = Command::new(binary("conductor"));
    command.args(["--listen", listen, "--catalogue"]).arg(catalogue).args(options);
    let conductor = ConductorProgram::start(&mut command);
    let line = conductor.next_line().unwrap();
    let fingerprint = line.strip_prefix("its fingerprint: ").unwrap_or_else(|| panic!("it said {line:?}"));
    (conductor, fingerprint.to_owned())
}

impl User {
    /// Somebody who asks whoever listens there.
    pub(crate) fn of(conductor: SocketAddr) -> User {
        User { home: tempfile::tempdir().unwrap(), conductor }
    }

    /// Somebody else at the same computer, or the same one at another: everything in the home is the same.
    pub(crate) fn copy(&self) -> User {
        let other = User::of(self.conductor);
        let conductors = other.state_dir();
        fs::create_dir_all(&conductors).unwrap();
        for entry in fs::read_dir(self.state_dir()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), conductors.join(entry.file_name())).unwrap();
        }
        other
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.home.path().join(name)
    }

    /// Where what is known of conductors is kept.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.path("state/orchestra/conductors")
    }

    /// The file with what is known of the conductor.
    pub(crate) fn state_file(&self) -> PathBuf {
        self.state_dir().join(format!("127.0.0.1_{}.json", self.conductor.port()))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("member"));
        command.current_dir(self.home.path()).args(arguments);
        command.env("HOME", self.home.path()).env("XDG_STATE_HOME", self.path("state"));
        command.env("ORCHESTRA_CONDUCTOR", self.conductor.to_string()).env("ORCHESTRA_PASSWORD", PASSWORD);
        command
    }

    pub(crate) fn runs(&self, arguments: &[&str]) -> Ended {
        Program::start(&mut self.command(arguments)).ended()
    }

    /// Runs a command that works; what it printed.
    #[track_caller]
    pub(crate) fn does(&self, arguments: &[&str]) -> String {
        let ended = self.runs(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended.lines.join("\n")
    }

    /// Runs a command that works; the last object that it printed.
    #[track_caller]
    pub(crate) fn told(&self, arguments: &[&str]) -> Value {
        let text = self.does(&[arguments, &["--json"]].concat());
        parsed(text.lines().last().unwrap())
    }

    /// Runs a command that does not; what it said.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str], code: i32) -> String {
        let ended = self.runs(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        assert_eq!(ended.lines, [""; 0], "{arguments:?}");
        ended.errors
    }

    /// Writes a file of so many random bytes.
    pub(crate) fn writes(&self, name: &str, len: usize, seed: u64) -> Vec<u8> {
        let mut content = vec![0; len];
        fastrand::Rng::with_seed(seed).fill(&mut content);
        fs::write(self.path(name), &content).unwrap();
        content
    }

    /// A member that prints JSON and goes on; its first object is that of the catalogue.
    pub(crate) fn starts(&self, arguments: &[&str]) -> (Value, Member) {
        let all = [arguments, &["--json", "--listen", "127.0.0.1:0"]].concat();
        let program = Program::start(&mut self.command(&all));
        let mut first = Value::Null;
        loop {
            let Some(line) = program.next_line() else { panic!("it did not start: {:?}", program.ended()) };
            let object = parsed(&line);
            if object["event"] == "start" {
                let address = object["listen"].as_str().unwrap().parse().unwrap();
                return (first, Member { program, address });
            }
            first = object;
        }
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let since = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(last) => assert!(since.elapsed() < PATIENCE, "never: {what}; last {last}"),
        }
        thread::sleep(Duration::from_millis(50));
    }
}
