//! Keys that are pressed while a program runs.
//!
//! One thread, `keys`, reads them. It waits on the terminal only, so that a half-sent key or a terminal that
//! hangs up stalls nobody else. It does not know what stopping means.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use crate::host::error::SystemAction;
use crate::host::terminal::{self, Input};
use crate::host::{HostError, signal, thread};
use crate::limits::{KEYS_INBOX, POLL_INTERVAL};

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// `q` or `Q`.
    Quit,
    /// ^C from a terminal that reports it as a key instead of a signal.
    Interrupt,
}

/// The reader of keys. Dropping it gives the terminal back.
#[derive(Debug)]
pub(super) struct Keys {
    pressed: Receiver<Key>,
    stop: Arc<AtomicBool>,
}

impl Keys {
    /// Takes the terminal and begins to read keys. To be called once in a process, when it is interactive.
    ///
    /// # Errors
    /// The system grants no thread.
    pub(super) fn start() -> Result<Keys, HostError> {
        signal::before_exit(terminal::give_back_for_good);
        let (sender, pressed) = bounded(KEYS_INBOX);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        // Nobody joins this thread: it may sit in a read that only the next key ends, and it owns nothing.
        thread::spawn("keys", move || {
            if let Err(error) = run(&sender, &stopped) {
                log::warn!("keys are no longer read: {error}: {}", error.io());
            }
        })?;
        Ok(Keys { pressed, stop })
    }

    /// Where keys arrive.
    #[must_use]
    pub(super) const fn pressed(&self) -> &Receiver<Key> {
        &self.pressed
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        terminal::give_back_for_good();
    }
}

fn run(sender: &Sender<Key>, stopped: &AtomicBool) -> Result<(), HostError> {
    while !stopped.load(Ordering::Relaxed) {
        if !terminal::is_foreground(io::stdin()) {
            thread::pause(POLL_INTERVAL, POLL_INTERVAL, || stopped.load(Ordering::Relaxed));
            continue;
        }
        // Each time: after ^Z and `fg` the shell's mode is set.
        terminal::take()?;
        match terminal::wait_for_input(POLL_INTERVAL) {
            Input::Nothing => {}
            // SIGHUP tells the rest of the program. Reading on would spin.
            Input::Gone => return Ok(()),
            Input::Ready if terminal::is_foreground(io::stdin()) => {
                read(sender).map_err(HostError::system(SystemAction::UseTerminal))?;
            }
            Input::Ready => {}
        }
    }
    Ok(())
}

/// Reads all keys that are there.
fn read(sender: &Sender<Key>) -> io::Result<()> {
    let mut any = false;
    while event::poll(Duration::ZERO)? {
        any = true;
        if let Some(key) = meaning(&event::read()?) {
            // A full channel holds the same wish already.
            let _unread = sender.try_send(key);
        }
    }
    if !any {
        // Half a key, or one that was dropped: waiting for it here keeps this loop from spinning.
        thread::pause(POLL_INTERVAL, POLL_INTERVAL, || false);
    }
    Ok(())
}

fn meaning(event: &Event) -> Option<Key> {
    let Event::Key(key) = event else { return None };
    if key.kind == KeyEventKind::Release {
        return None;
    }
    match (key.code, key.modifiers.difference(KeyModifiers::SHIFT)) {
        (KeyCode::Char('q' | 'Q'), KeyModifiers::NONE) => Some(Key::Quit),
        (KeyCode::Char('c' | 'C'), KeyModifiers::CONTROL) => Some(Key::Interrupt),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossterm::event::KeyEvent;

    #[test]
    fn few_keys_mean_something() {
        let key = |code, modifiers| meaning(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::NONE), Some(Key::Quit));
        assert_eq!(key(KeyCode::Char('Q'), KeyModifiers::SHIFT), Some(Key::Quit));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Interrupt));
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::CONTROL), None);
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(key(KeyCode::Esc, KeyModifiers::NONE), None);
        assert_eq!(meaning(&Event::Resize(80, 24)), None);
    }
}
