//! What a member, of a composition or of an ensemble, shows while it runs, and what it hears from the keyboard and the system.
//!
//! One loop in the main thread looks at the member a few times a second, shows what it sees in one of four
//! views, and passes the wish to stop on. It owns no state of the member and decides nothing for it.

pub mod catalogue;
pub mod ensemble;
mod json;
mod keys;
mod line;
mod lines;
mod live;
mod notice;
mod output;
mod rates;
mod screen;
mod table;
mod words;
mod work;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use self::screen::Watched;
use self::screen::{Screen, Show, Sight, keys_for};
pub use self::work::{QUIET_AT_FIRST, WorkBar};
use crate::host::{HostError, terminal};
use crate::identity::SwarmId;
use crate::member::progress::{Phase, Snapshot};

/// How a program shows what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// One live line on the terminal; `q` quits.
    Live,
    /// A plain line every few seconds on standard output.
    Lines,
    /// One JSON object a line on standard output.
    Json,
    /// Nothing.
    Quiet,
}

/// What does not change while a member runs.
#[derive(Clone, Debug)]
pub struct About {
    /// The program.
    pub program: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The name of the composition.
    pub name: String,
    /// Where the manifest is.
    pub manifest: PathBuf,
    /// Where the composition is, or will be, on disk.
    pub file: PathBuf,
    /// Where the member listens.
    pub listen: SocketAddr,
    /// What identifies the composition.
    pub swarm: SwarmId,
    /// Whether the member speaks the classic protocol as well.
    pub classic: bool,
}

/// Why watching is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The member has ended.
    Ended,
    /// The member has ended because nobody reads standard output any longer: that is no failure.
    PipeClosed,
    /// A second ^C: the program exits at once, without waiting for anything.
    Interrupted,
}

impl View {
    /// The view that these options and the surroundings ask for.
    #[must_use]
    pub fn choose(json: bool, quiet: bool) -> View {
        match (json, quiet) {
            (true, _) => View::Json,
            (false, true) => View::Quiet,
            (false, false) if terminal::draws() => View::Live,
            (false, false) => View::Lines,
        }
    }
}

/// Shows a member until it has ended.
///
/// # Errors
/// Standard output cannot be written, for a reason other than a closed pipe. The member was stopped.
pub fn watch(view: View, about: &About, watched: &Watched<'_, Snapshot>) -> Result<End, HostError> {
    let keys = keys_for(view);
    let show: Option<Box<dyn Show<Snapshot>>> = match view {
        View::Live => Some(Box::new(live::Live::new(about, keys.is_some()))),
        View::Lines => Some(Box::new(lines::Lines::new(about))),
        View::Json => Some(Box::new(json::Json::new(about))),
        View::Quiet => None,
    };
    let mut screen = Screen::new(show, keys);
    if !screen.watch(watched) {
        return Ok(End::Interrupted);
    }
    screen.tell(|show| show.left(&(watched.snapshot)()));
    screen.end()
}

impl Sight for Snapshot {
    fn elapsed(&self) -> Duration {
        self.elapsed
    }

    fn is_done(&self) -> bool {
        self.phase == Phase::Complete
    }

    fn is_as(&self, other: &Snapshot) -> bool {
        Snapshot { elapsed: other.elapsed, ..*self } == *other
    }
}
