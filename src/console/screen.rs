//! The loop that shows something at work until it has ended, whatever it is.

use std::io;
use std::path::Path;
use std::time::Duration;

use crossbeam_channel::{Receiver, never, select};

use super::keys::{Key, Keys};
use super::{End, View};
use crate::host::error::FileAction;
use crate::host::signal::Signal;
use crate::host::{HostError, terminal};
use crate::limits::VIEW_BEAT;

/// A look at something at work.
pub(super) trait Sight {
    /// How long it has been at work.
    fn elapsed(&self) -> Duration;
    /// Whether all is done, for now or for good.
    fn is_done(&self) -> bool;
    /// Whether it shows the same as the other one, but for the time.
    fn is_as(&self, other: &Self) -> bool;
}

/// What each view can show.
pub(super) trait Show<S> {
    /// It has begun.
    fn start(&mut self, sight: &S) -> io::Result<()>;
    /// How it stands; called at each beat.
    fn progress(&mut self, sight: &S, leaving: bool) -> io::Result<()>;
    /// All is done; called each time when that becomes so.
    fn done(&mut self, sight: &S) -> io::Result<()>;
    /// It has ended.
    fn left(&mut self, sight: &S) -> io::Result<()>;
}

/// What is watched, and what is heard meanwhile.
pub struct Watched<'w, S> {
    /// Looks at it.
    pub snapshot: &'w dyn Fn() -> S,
    /// Asks it to end.
    pub stop: &'w dyn Fn(),
    /// Says when a look is worth it.
    pub news: &'w Receiver<()>,
    /// Yields anything, or is disconnected, when it has ended.
    pub ended: &'w Receiver<()>,
    /// What the system says.
    pub signals: &'w Receiver<Signal>,
}

/// A view at work.
pub(super) struct Screen<V: ?Sized> {
    /// None if it is quiet, or failed.
    show: Option<Box<V>>,
    keys: Option<Keys>,
    is_done: bool,
    failure: Option<io::Error>,
}

/// The keys of a view that reads any. A program without keys is better than none.
pub(super) fn keys_for(view: View) -> Option<Keys> {
    if view != View::Live || !terminal::has_keys() {
        return None;
    }
    Keys::start().inspect_err(|error| log::warn!("keys are not read: {error}: {}", error.io())).ok()
}

impl<V: ?Sized> Screen<V> {
    pub(super) fn new(show: Option<Box<V>>, keys: Option<Keys>) -> Screen<V> {
        Screen { show, keys, is_done: false, failure: None }
    }

    /// Shows it until it has ended; false if a second ^C came before.
    ///
    /// Looks at it a few times a second, and whenever there is news. Calls `stop` once: at `q`, at a signal, or when
    /// standard output is closed.
    pub(super) fn watch<S: Sight>(&mut self, watched: &Watched<'_, S>) -> bool
    where
        V: Show<S>,
    {
        let mut pressed = self.keys.as_ref().map_or_else(never, |keys| keys.pressed().clone());
        let (mut signals, mut news) = (watched.signals.clone(), watched.news.clone());
        let mut leaving = false;
        self.tell(|show| show.start(&(watched.snapshot)()));
        loop {
            self.progress(&(watched.snapshot)(), leaving);
            let wish = match hear(&news, watched.ended, &signals, &pressed) {
                Heard::Ended => break,
                Heard::Signal(signal) => Some(signal),
                Heard::Key(Key::Interrupt) if leaving => Some(Signal::StopNow),
                Heard::Key(Key::Quit | Key::Interrupt) => Some(Signal::Stop),
                Heard::NoMoreSignals => {
                    signals = never();
                    None
                }
                Heard::NoMoreNews => {
                    news = never();
                    None
                }
                Heard::NoMoreKeys => {
                    pressed = never();
                    None
                }
                Heard::Nothing => self.failure.is_some().then_some(Signal::Stop),
            };
            match wish {
                Some(Signal::StopNow) => return false,
                Some(Signal::Stop) if !leaving => {
                    leaving = true;
                    (watched.stop)();
                }
                Some(Signal::Stop) | None => {}
            }
        }
        self.progress(&(watched.snapshot)(), leaving);
        true
    }

    fn progress<S: Sight>(&mut self, sight: &S, leaving: bool)
    where
        V: Show<S>,
    {
        let was_done = std::mem::replace(&mut self.is_done, sight.is_done());
        if self.is_done && !was_done {
            self.tell(|show| show.done(sight));
        }
        self.tell(|show| show.progress(sight, leaving));
    }

    /// Lets the view do something. A view that fails is not asked again.
    pub(super) fn tell(&mut self, act: impl FnOnce(&mut V) -> io::Result<()>) {
        if let Some(show) = &mut self.show
            && let Err(error) = act(show.as_mut())
        {
            log::warn!("nothing more is shown: {error}");
            self.failure = Some(error);
            self.show = None;
        }
    }

    /// How it came that watching is over.
    ///
    /// # Errors
    /// Standard output could not be written, for a reason other than a closed pipe.
    pub(super) fn end(self) -> Result<End, HostError> {
        match self.failure {
            None => Ok(End::Ended),
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(End::PipeClosed),
            Some(error) => Err(HostError::file(FileAction::Write, Path::new("standard output"))(error)),
        }
    }
}

/// What happened while the loop waited for one beat.
enum Heard {
    Nothing,
    Ended,
    Signal(Signal),
    NoMoreSignals,
    Key(Key),
    NoMoreKeys,
    NoMoreNews,
}

fn hear(
    news: &Receiver<()>,
    ended: &Receiver<()>,
    signals: &Receiver<Signal>,
    pressed: &Receiver<Key>,
) -> Heard {
    select! {
        recv(news) -> word => word.map_or(Heard::NoMoreNews, |()| Heard::Nothing),
        recv(ended) -> _ => Heard::Ended,
        recv(signals) -> signal => signal.map_or(Heard::NoMoreSignals, Heard::Signal),
        recv(pressed) -> key => key.map_or(Heard::NoMoreKeys, Heard::Key),
        default(VIEW_BEAT) => Heard::Nothing,
    }
}

/// When a view that writes lines writes the next one.
#[derive(Debug)]
pub(super) struct Due<S> {
    last: Option<S>,
}

impl<S> Default for Due<S> {
    fn default() -> Due<S> {
        Due { last: None }
    }
}

impl<S: Sight + Clone> Due<S> {
    /// Whether it is time: `changed` after the last line if something changed since, `unchanged` after it
    /// in any case. The first sight counts as shown: it came with the start.
    pub(super) fn is(&mut self, sight: &S, changed: Duration, unchanged: Duration) -> bool {
        let last = self.last.get_or_insert_with(|| sight.clone());
        let since = sight.elapsed().saturating_sub(last.elapsed());
        let is_due = since >= unchanged || (since >= changed && !sight.is_as(last));
        if is_due {
            self.last = Some(sight.clone());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::progress::Snapshot;

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
