//! Kill -9 at a random moment of a transfer, look at what is there, run again.

use std::fmt;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::program::Program;
use super::swarm::{Member, Swarm, fetched};

/// The directory of the member that is killed.
const PLACE: &str = "killed";

/// What was seen in all rounds. That a round is counted means that nothing was wrong in it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Killed before anything was on disk.
    pub(crate) before: u32,
    /// Killed with some of the composition on disk.
    pub(crate) amid: u32,
    /// Killed when the file was whole and had its name.
    pub(crate) after: u32,
    /// Bytes that second runs did not have to fetch, of `all`.
    pub(crate) kept: u64,
    pub(crate) all: u64,
}

impl Tally {
    pub(crate) fn rounds(&self) -> u32 {
        self.before + self.amid + self.after
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rounds of kill -9: {} before the first part, {} amid the transfer, {} after it; second runs kept \
             {} of {} bytes and fetched exactly the rest; no wrong byte, no name too early",
            self.rounds(),
            self.before,
            self.amid,
            self.after,
            self.kept,
            self.all
        )
    }
}

/// Plays rounds with a composition of `len` bytes, at moments that follow from the seed.
///
/// # Panics
/// When anything is not as it should be.
pub(crate) fn play(rounds: u32, len: usize, seed: u64) -> Tally {
    let swarm = Swarm::new(len);
    let source = swarm.source();
    let mut random = fastrand::Rng::with_seed(seed);
    let span = undisturbed(&swarm, &source);
    let mut tally = Tally::default();
    for round in 0..rounds {
        let moment = span.mul_f64(random.f64());
        let what = format!("round {round} of seed {seed}, killed after {moment:?}");
        remove(&swarm.path(PLACE));
        let member = start(&swarm, &source);
        // Not in the hope that something happens meanwhile: it is the random moment.
        thread::sleep(moment);
        member.signal(Signal::KILL);
        member.ended();

        let (whole, partial) = (swarm.whole(PLACE), swarm.partial(PLACE));
        let right = if whole.exists() {
            assert!(swarm.is_content(&whole), "{what}: a finished name before the content is whole");
            tally.after += 1;
            len
        } else {
            let right = if partial.exists() { swarm.right_bytes(&partial) } else { 0 };
            *(if right == 0 { &mut tally.before } else { &mut tally.amid }) += 1;
            right
        };

        let left = swarm.member_of(&source, PLACE, &["--leave"]).ended();
        assert_eq!(left.code, Some(0), "{what}: {}", left.errors);
        assert!(swarm.is_content(&whole), "{what}: wrong bytes");
        assert!(!partial.exists(), "{what}: something is left behind");
        assert_eq!(fetched(&left.last), (len - right) as u64, "{what}: {} {right}", left.last);
        tally.kept += right as u64;
        tally.all += len as u64;
    }
    tally
}

/// How long a transfer takes that nobody disturbs, from the start of the program to its end.
fn undisturbed(swarm: &Swarm, source: &Member) -> Duration {
    let start_of_it = Instant::now();
    let ended = start(swarm, source).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    start_of_it.elapsed()
}

fn start(swarm: &Swarm, source: &Member) -> Program {
    let address = source.address.to_string();
    Program::start(&mut swarm.command(PLACE, &["--leave", "--quiet", "--member", &address]))
}

fn remove(dir: &Path) {
    if dir.exists() {
        fs::remove_dir_all(dir).unwrap();
    }
}
