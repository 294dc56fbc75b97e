//! The terminal: single keys, its width, and whether it is ours at this moment.
//!
//! A process in the background must not touch its terminal: reading a key or setting a mode there stops the
//! process. So everything here looks first whether the process is in the foreground.
//! This room does not know what keys mean.

use std::io::{self, IsTerminal, Write as _};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::termios::{
    LocalModes, OptionalActions, OutputModes, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr,
};
use zeroize::Zeroizing;

use super::HostError;
use super::error::SystemAction;
use crate::credential::Secret;
use crate::limits::POLL_INTERVAL;

static TAKEN: Mutex<Taken> = Mutex::new(Taken { found: None, for_good: false });

/// What is known of a terminal that was taken.
#[derive(Debug)]
struct Taken {
    /// The mode in which it was found first, for who gives it back.
    found: Option<Termios>,
    /// Whether it was given back for good: from then on nobody takes it again.
    for_good: bool,
}

/// Whether keys are there to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Something is there to be read.
    Ready,
    /// Nothing came in time.
    Nothing,
    /// The terminal is gone.
    Gone,
}

/// Whether a line on standard error can be drawn again and again, and nobody collects standard output.
#[must_use]
pub fn draws() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    // A terminal that is not this session's own cannot tell whether the process is in its foreground.
    let is_ours = tcgetpgrp(io::stderr()).is_ok();
    !dumb && is_ours && io::stdout().is_terminal()
}

/// Whether keys come from a terminal.
#[must_use]
pub fn has_keys() -> bool {
    io::stdin().is_terminal()
}

/// Whether this process is in the foreground of the terminal behind `stream`. False if there is none.
#[must_use]
pub fn is_foreground(stream: impl AsFd) -> bool {
    tcgetpgrp(stream).is_ok_and(|group| group == getpgrp())
}

/// The width of the terminal behind standard error in columns, if it has one.
#[must_use]
pub fn columns() -> Option<usize> {
    let size = tcgetwinsize(io::stderr()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Waits for keys on standard input, at most for `timeout`.
#[must_use]
pub fn wait_for_input(timeout: Duration) -> Input {
    let stdin = io::stdin();
    match wait(&stdin, PollFlags::IN, timeout) {
        None => Input::Nothing,
        Some(events) if events.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) => Input::Gone,
        Some(_) => Input::Ready,
    }
}

/// Waits until a line can be written to standard output without waiting, at most for `timeout`; says
/// whether it can. A closed pipe can be written to: the write tells that it is closed.
#[must_use]
pub fn wait_for_output(timeout: Duration) -> bool {
    wait(&io::stdout(), PollFlags::OUT, timeout).is_some()
}

/// What happened on the stream, if anything did in time. A signal that comes in between counts as nothing.
fn wait(stream: &impl AsFd, events: PollFlags, timeout: Duration) -> Option<PollFlags> {
    let mut streams = [PollFd::new(stream, events)];
    let timeout =
        Timespec { tv_sec: timeout.as_secs().try_into().ok()?, tv_nsec: timeout.subsec_nanos().into() };
    match poll(&mut streams, Some(&timeout)) {
        Ok(1..) => Some(streams[0].revents()),
        _ => None,
    }
}

/// Asks for a line that is not shown while it is typed, at most `most` bytes of it; none if `give_up` says so before.
/// Where standard input is no terminal, a line of it is read and nothing is asked.
///
/// # Errors
/// The terminal cannot be used, or standard input fails or is at its end.
pub fn ask_secret(
    question: &str,
    most: u64,
    give_up: impl Fn() -> bool,
) -> Result<Option<Secret>, HostError> {
    let ask = || {
        let mode = if has_keys() { Some(tcgetattr(io::stdin())?) } else { None };
        if let Some(mode) = &mode {
            let mut unseen = mode.clone();
            unseen.local_modes -= LocalModes::ECHO;
            tcsetattr(io::stdin(), OptionalActions::Now, &unseen)?;
            // Only now: whoever sees the question may type at once, and nothing of it is shown or lost.
            io::stderr().write_all(question.as_bytes())?;
        }
        let line = read_line(most, give_up);
        if let Some(mode) = &mode {
            tcsetattr(io::stdin(), OptionalActions::Now, mode)?;
            io::stderr().write_all(b"\n")?;
        }
        line
    };
    ask().map_err(HostError::system(SystemAction::UseTerminal))
}

fn read_line(most: u64, give_up: impl Fn() -> bool) -> io::Result<Option<Secret>> {
    let mut line = Zeroizing::new(Vec::with_capacity(usize::try_from(most).unwrap_or(0)));
    loop {
        match wait(&io::stdin(), PollFlags::IN, POLL_INTERVAL) {
            _ if give_up() => return Ok(None),
            None => {}
            Some(_) => {
                let mut byte = [0];
                // Not through a buffer: what is behind the line stays where it is.
                match rustix::io::read(io::stdin(), &mut byte) {
                    Ok(0) if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(0) => break,
                    Ok(_) if byte == *b"\n" => break,
                    Ok(_) if (line.len() as u64) < most => line.extend(byte),
                    // The rest of the line is read all the same: whoever reads next, say a shell, is not to get it.
                    Ok(_) => {}
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned().into()))
}

/// Makes the terminal hand over each key at once and unseen; ^C, ^Z and newlines work as always.
/// Does nothing if it does so already, in the background, and after [`give_back_for_good`]. To be called
/// again from time to time: a shell takes the terminal back when the process is stopped with ^Z.
///
/// A panic gives the terminal back, until the next call.
///
/// # Errors
/// The terminal cannot be set.
pub fn take() -> Result<(), HostError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            tell(panic);
        }));
    });
    let mut taken = taken();
    if taken.for_good || !is_foreground(io::stdin()) {
        return Ok(());
    }
    taken.take().map_err(HostError::system(SystemAction::UseTerminal))
}

/// Puts the terminal back into the mode in which it was found.
pub fn give_back() {
    taken().give_back();
}

/// Like [`give_back`]; from now on [`take`] does nothing.
pub fn give_back_for_good() {
    let mut taken = taken();
    taken.for_good = true;
    taken.give_back();
}

/// Also for the hook of a panic, which must not panic again: what is inside is right at any moment.
fn taken() -> MutexGuard<'static, Taken> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Taken {
    /// Sets the mode in one step: whatever another thread writes meanwhile is never shown in a mode between the two.
    fn take(&mut self) -> io::Result<()> {
        let mut mode = tcgetattr(io::stdin())?;
        let is_right =
            !mode.local_modes.contains(LocalModes::ICANON) && mode.local_modes.contains(LocalModes::ISIG);
        if is_right && self.found.is_some() {
            return Ok(());
        }
        self.found.get_or_insert_with(|| mode.clone());
        mode.make_raw();
        // Lines of other threads and of the panic handler must not become stairs.
        mode.output_modes |= OutputModes::OPOST;
        // ^C must work even if the thread that reads keys is stuck.
        mode.local_modes |= LocalModes::ISIG;
        tcsetattr(io::stdin(), OptionalActions::Now, &mode)?;
        Ok(())
    }

    fn give_back(&self) {
        // In the background the shell has the terminal, and has put it right already.
        if let Some(found) = &self.found
            && is_foreground(io::stdin())
            && let Err(error) = tcsetattr(io::stdin(), OptionalActions::Now, found)
        {
            log::warn!("cannot give the terminal back: {error}");
        }
    }
}
