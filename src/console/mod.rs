//! What a member shows while it runs, and what it hears from the keyboard and the system.
//!
//! One loop in the main thread looks at the member a few times a second, shows what it sees in one of four
//! views, and passes the wish to stop on. It owns no state of the member and decides nothing for it.

mod json;
mod keys;
mod lines;
mod live;
mod output;
mod rates;
mod words;
mod work;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam_channel::{Receiver, never, select};

use self::keys::{Key, Keys};
pub use self::work::{QUIET_AT_FIRST, WorkBar};
use crate::host::error::FileAction;
use crate::host::signal::Signal;
use crate::host::{HostError, terminal};
use crate::identity::SwarmId;
use crate::limits::VIEW_BEAT;
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

/// Shows a member until it has ended, that is until `ended` yields anything or is disconnected.
/// Calls `stop` once: at `q`, at a signal, or when standard output is closed.
///
/// # Errors
/// Standard output cannot be written, for a reason other than a closed pipe. The member was stopped.
pub fn watch(
    view: View,
    about: &About,
    snapshot: impl Fn() -> Snapshot,
    stop: impl Fn(),
    ended: &Receiver<()>,
    signals: &Receiver<Signal>,
) -> Result<End, HostError> {
    let keys = if view == View::Live && terminal::has_keys() { start_keys() } else { None };
    let mut screen = Screen::new(view, about, keys.is_some());
    let mut pressed = keys.as_ref().map_or_else(never, |keys| keys.pressed().clone());
    let mut signals = signals.clone();
    let mut leaving = false;
    screen.tell(|show| show.start(about, &snapshot()));
    loop {
        screen.progress(&snapshot(), leaving);
        let wish = match hear(ended, &signals, &pressed) {
            Heard::Ended => break,
            Heard::Signal(signal) => Some(signal),
            Heard::Key(Key::Interrupt) if leaving => Some(Signal::StopNow),
            Heard::Key(Key::Quit | Key::Interrupt) => Some(Signal::Stop),
            Heard::NoMoreSignals => {
                signals = never();
                None
            }
            Heard::NoMoreKeys => {
                pressed = never();
                None
            }
            Heard::Nothing => screen.failure.is_some().then_some(Signal::Stop),
        };
        match wish {
            Some(Signal::StopNow) => return Ok(End::Interrupted),
            Some(Signal::Stop) if !leaving => {
                leaving = true;
                stop();
            }
            Some(Signal::Stop) | None => {}
        }
    }
    let last = snapshot();
    screen.progress(&last, leaving);
    screen.tell(|show| show.left(&last));
    match screen.failure {
        None => Ok(End::Ended),
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(End::PipeClosed),
        Some(error) => Err(HostError::file(FileAction::Write, Path::new("standard output"))(error)),
    }
}

/// A program without keys is better than none.
fn start_keys() -> Option<Keys> {
    Keys::start().inspect_err(|error| log::warn!("keys are not read: {error}: {}", error.io())).ok()
}

/// What happened while the loop waited for one beat.
enum Heard {
    Nothing,
    Ended,
    Signal(Signal),
    NoMoreSignals,
    Key(Key),
    NoMoreKeys,
}

fn hear(ended: &Receiver<()>, signals: &Receiver<Signal>, pressed: &Receiver<Key>) -> Heard {
    select! {
        recv(ended) -> _ => Heard::Ended,
        recv(signals) -> signal => signal.map_or(Heard::NoMoreSignals, Heard::Signal),
        recv(pressed) -> key => key.map_or(Heard::NoMoreKeys, Heard::Key),
        default(VIEW_BEAT) => Heard::Nothing,
    }
}

/// What each view can show.
trait Show {
    /// The member listens.
    fn start(&mut self, about: &About, snapshot: &Snapshot) -> io::Result<()>;
    /// How it stands; called at each beat.
    fn progress(&mut self, snapshot: &Snapshot, leaving: bool) -> io::Result<()>;
    /// Everything is there; called once, if ever.
    fn complete(&mut self, snapshot: &Snapshot) -> io::Result<()>;
    /// The member has ended.
    fn left(&mut self, snapshot: &Snapshot) -> io::Result<()>;
}

/// A view at work.
struct Screen {
    /// None if it is quiet, or failed.
    show: Option<Box<dyn Show>>,
    is_complete: bool,
    failure: Option<io::Error>,
}

impl Screen {
    fn new(view: View, about: &About, has_keys: bool) -> Screen {
        let show: Option<Box<dyn Show>> = match view {
            View::Live => Some(Box::new(live::Live::new(about, has_keys))),
            View::Lines => Some(Box::new(lines::Lines::default())),
            View::Json => Some(Box::new(json::Json::default())),
            View::Quiet => None,
        };
        Screen { show, is_complete: false, failure: None }
    }

    fn progress(&mut self, snapshot: &Snapshot, leaving: bool) {
        if snapshot.phase == Phase::Complete && !self.is_complete {
            self.is_complete = true;
            self.tell(|show| show.complete(snapshot));
        }
        self.tell(|show| show.progress(snapshot, leaving));
    }

    /// Lets the view do something. A view that fails is not asked again.
    fn tell(&mut self, act: impl FnOnce(&mut dyn Show) -> io::Result<()>) {
        if let Some(show) = &mut self.show
            && let Err(error) = act(show.as_mut())
        {
            log::warn!("nothing more is shown: {error}");
            self.failure = Some(error);
            self.show = None;
        }
    }
}

/// When a view that writes lines writes the next one.
#[derive(Debug, Default)]
struct Due {
    last: Option<Snapshot>,
}

impl Due {
    /// Whether it is time: `changed` after the last line if something changed since, `unchanged` after it
    /// in any case. The first snapshot counts as shown: it came with the start.
    fn is(&mut self, snapshot: &Snapshot, changed: Duration, unchanged: Duration) -> bool {
        let last = *self.last.get_or_insert(*snapshot);
        let since = snapshot.elapsed.saturating_sub(last.elapsed);
        let is_changed = Snapshot { elapsed: last.elapsed, ..*snapshot } != last;
        let is_due = since >= unchanged || (is_changed && since >= changed);
        if is_due {
            self.last = Some(*snapshot);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_when_something_changed() {
        let second = Duration::from_secs(1);
        let at = |seconds: u32, parts| Snapshot { elapsed: second * seconds, parts, ..Snapshot::default() };
        let mut due = Due::default();
        let shown: Vec<u32> = (0..70)
            .filter(|&now| due.is(&at(now, u32::from(now > 2) + u32::from(now > 7)), 5 * second, 30 * second))
            .collect();
        assert_eq!(shown, [5, 10, 40]);
    }
}
