//! A composition, its conductor and its members: real programs on loopback, in one scratch directory.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::program::{ConductorProgram, Ended, PATIENCE, Program, binary};

/// Nothing that a member is waited for takes longer, unless it hangs.
const MOST_PATIENCE: Duration = PATIENCE.saturating_mul(4);

pub(crate) const MIB: usize = 1 << 20;
/// The name of the composition.
pub(crate) const NAME: &str = "song.bin";
/// Where the composition comes from, within the scratch directory.
pub(crate) const SOURCE: &str = "source";

/// A scratch directory with a manifest, a directory for each member, and a conductor.
pub(crate) struct Swarm {
    pub(crate) content: Vec<u8>,
    /// None once it was killed.
    pub(crate) conductor: Option<ConductorProgram>,
    // Dropped last: programs work in it.
    dir: tempfile::TempDir,
}

impl Swarm {
    /// A composition of this many random bytes in parts of the default size.
    pub(crate) fn new(len: usize) -> Swarm {
        Swarm::with(len, &[], "127.0.0.1:0")
    }

    /// The same in parts of this size.
    pub(crate) fn cut(len: usize, part_size: &str) -> Swarm {
        Swarm::with(len, &[part_size], "127.0.0.1:0")
    }

    /// The same with a conductor on this address.
    pub(crate) fn with(len: usize, part_size: &[&str], conductor: &str) -> Swarm {
        Swarm::of(ConductorProgram::on(conductor), len, part_size)
    }

    /// The same with this conductor, wherever it runs.
    pub(crate) fn of(conductor: ConductorProgram, len: usize, part_size: &[&str]) -> Swarm {
        let dir = tempfile::tempdir().unwrap();
        let mut content = vec![0; len];
        fastrand::Rng::with_seed(len as u64).fill(&mut content);
        fs::create_dir(dir.path().join(SOURCE)).unwrap();
        fs::write(dir.path().join(SOURCE).join(NAME), &content).unwrap();
        let mut composer = Command::new(binary("composer"));
        composer.current_dir(dir.path()).arg(Path::new(SOURCE).join(NAME));
        composer.arg(conductor.address.to_string()).args(part_size).args(["-o", "song.orch"]);
        let ended = Program::start(&mut composer).ended();
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        Swarm { content, conductor: Some(conductor), dir }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where the composition of this member is.
    pub(crate) fn whole(&self, place: &str) -> PathBuf {
        self.path(place).join(NAME)
    }

    /// Where it is while it is being fetched.
    pub(crate) fn partial(&self, place: &str) -> PathBuf {
        self.path(place).join(format!("{NAME}.part"))
    }

    /// A line of the manifest, counted from 1.
    pub(crate) fn manifest_line(&self, number: usize) -> String {
        let text = fs::read_to_string(self.path("song.orch")).unwrap();
        text.lines().nth(number - 1).unwrap().to_owned()
    }

    /// Replaces a line of the manifest.
    pub(crate) fn edit_manifest(&self, number: usize, new: &str) {
        let text = fs::read_to_string(self.path("song.orch")).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines[number - 1] = new;
        fs::write(self.path("song.orch"), lines.join("\n") + "\n").unwrap();
    }

    pub(crate) fn part_len(&self) -> usize {
        self.manifest_line(5).parse().unwrap()
    }

    /// The command for a member that has, or puts, the composition in this directory.
    pub(crate) fn command(&self, place: &str, arguments: &[&str]) -> Command {
        let mut command = self.plain_command(place);
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        command
    }

    /// The same for a member that listens where it does if nobody says where.
    pub(crate) fn plain_command(&self, place: &str) -> Command {
        fs::create_dir_all(self.path(place)).unwrap();
        let mut command = Command::new(binary("member"));
        command.current_dir(self.dir.path()).args(["song.orch", "--dir", place]);
        command
    }

    /// What this member has written to its log so far.
    pub(crate) fn log(&self, member: &Member) -> String {
        let path = self.path(format!("logs/member-{}.log", member.program.id()));
        fs::read_to_string(path).unwrap_or_default()
    }

    /// Starts a member.
    pub(crate) fn member(&self, place: &str, arguments: &[&str]) -> Member {
        Member::start(self.command(place, arguments).arg("--json"))
    }

    /// Starts a member that knows another one from the start, so that it need not wait for the conductor.
    pub(crate) fn member_of(&self, other: &Member, place: &str, arguments: &[&str]) -> Member {
        let address = other.address.to_string();
        self.member(place, &[&["--member", &address], arguments].concat())
    }

    /// Starts the member that has the composition, and waits until it has checked it.
    pub(crate) fn source(&self) -> Member {
        let mut member = self.member(SOURCE, &[]);
        member.until_complete();
        member
    }

    /// Asserts that this member has the composition, whole and under its name.
    #[track_caller]
    pub(crate) fn assert_has(&self, place: &str) {
        assert!(self.is_content(&self.whole(place)), "{place} has other bytes");
        assert!(!self.partial(place).exists(), "{place} has left something behind");
    }

    /// Whether the file has exactly the bytes of the composition.
    pub(crate) fn is_content(&self, path: &Path) -> bool {
        let file = File::open(path).unwrap();
        file.metadata().unwrap().len() == self.content.len() as u64
            && self.right_bytes(path) == self.content.len()
    }

    /// How many bytes of this file are in parts that are right.
    pub(crate) fn right_bytes(&self, path: &Path) -> usize {
        let mut file = BufReader::new(File::open(path).unwrap());
        let mut found = Vec::new();
        let mut right = 0;
        for part in self.content.chunks(self.part_len()) {
            found.clear();
            file.by_ref().take(part.len() as u64).read_to_end(&mut found).unwrap();
            if found == part {
                right += part.len();
            }
        }
        right
    }
}

/// A member that prints JSON.
pub(crate) struct Member {
    pub(crate) program: Program,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// How a member ended.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) code: Option<i32>,
    /// The last object that it printed.
    pub(crate) last: Value,
    pub(crate) errors: String,
}

impl Member {
    /// Starts it and waits until it listens.
    pub(crate) fn start(command: &mut Command) -> Member {
        let program = Program::start(command);
        let Some(line) = program.next_line() else { panic!("it did not start: {:?}", program.ended()) };
        let start = parsed(&line);
        assert_eq!(start["event"], "start");
        let address = start["listen"].as_str().unwrap().parse().unwrap();
        Member { program, address }
    }

    /// Waits for an object that fulfils the condition.
    pub(crate) fn until(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let since = Instant::now();
        while let Some(line) = self.program.next_line() {
            // It says something every half a minute even if nothing moves any more.
            assert!(since.elapsed() < MOST_PATIENCE, "never: {what}; last {line}");
            let event = parsed(&line);
            if is_so(&event) {
                return event;
            }
        }
        panic!("it ended before this: {what}");
    }

    pub(crate) fn until_complete(&mut self) -> Value {
        self.until("complete", |event| event["event"] == "complete")
    }

    /// Waits until it holds so many hundredths of the parts, and asserts that it was not too late for the test.
    pub(crate) fn until_percent(&mut self, percent: u64) -> Value {
        let event = self.until("a share of the parts", |event| {
            number(event, "parts") * 100 >= number(event, "parts_total") * percent
        });
        assert_ne!(event["phase"], "complete", "the transfer was too fast for this test");
        event
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.program.signal(signal);
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(self) -> Left {
        let Ended { code, lines, errors } = self.program.ended();
        let last = lines.last().map_or(Value::Null, |line| parsed(line));
        Left { code, last, errors }
    }

    /// Waits until it has ended by itself with this exit code; its last object.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Value {
        let left = self.ended();
        assert_eq!(left.code, Some(code), "{}", left.errors);
        assert_eq!(left.errors.is_empty(), code != 1, "{}", left.errors);
        assert_eq!(left.last["event"], "left");
        left.last
    }

    /// Asks it to leave; its last object.
    #[track_caller]
    pub(crate) fn leaves(self) -> Value {
        self.signal(Signal::TERM);
        self.ends_with(0)
    }
}

pub(crate) fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line} is not JSON: {error}"))
}

/// A field that is a number.
#[track_caller]
pub(crate) fn number(event: &Value, field: &str) -> u64 {
    event[field].as_u64().unwrap_or_else(|| panic!("no {field} in {event}"))
}

/// The bytes that a member received and kept.
#[track_caller]
pub(crate) fn fetched(event: &Value) -> u64 {
    number(event, "down_bytes") - number(event, "wasted_bytes")
}
