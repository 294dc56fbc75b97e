//! Signals as messages: ^C, SIGTERM and SIGHUP.
//!
//! One thread, `signals`, waits for them.
//! It does not know what stopping means, but it does see to it that a second ^C ends the process: the threads
//! that should do so may be the ones that are stuck.

use std::fs;
use std::process;
use std::sync::Mutex;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::HostError;
use super::error::SystemAction;
use crate::limits::{SIGNALS_INBOX, STOP_NOW_GRACE};

/// What the user, or the system, wants of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Stop in order: the first ^C, SIGTERM, SIGHUP.
    Stop,
    /// End at once: the second ^C. The process ends with 130 within [`STOP_NOW_GRACE`], whatever else happens.
    StopNow,
}

/// How shells report that ^C ended a program.
const INTERRUPTED: i32 = 128 + SIGINT;

static LAST_ACT: Mutex<Option<fn()>> = Mutex::new(None);

/// Starts to watch for signals. To be called once in a process.
///
/// A signal that the process was started to ignore stays ignored: `nohup` means it.
///
/// # Errors
/// The system grants no handler or no thread.
pub fn watch() -> Result<Receiver<Signal>, HostError> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| !is_ignored(signal, &status));
    let signals = Signals::new(wanted).map_err(HostError::system(SystemAction::WatchSignals))?;
    let (sender, receiver) = bounded(SIGNALS_INBOX);
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || run(signals, &sender))
        .map_err(HostError::system(SystemAction::StartThread))?;
    Ok(receiver)
}

/// What is done last when a second ^C ends the process: it gives the terminal back. It must not wait.
pub fn before_exit(last_act: fn()) {
    *LAST_ACT.lock().expect("nobody panics while holding this lock") = Some(last_act);
}

fn run(mut signals: Signals, sender: &Sender<Signal>) {
    let mut interrupted = false;
    for signal in signals.forever() {
        if signal == SIGINT && interrupted {
            log::warn!("second interrupt: ends at once");
            // If nobody listens, the lines below end the process all the same.
            let _unread = sender.try_send(Signal::StopNow);
            thread::sleep(STOP_NOW_GRACE);
            let last_act = *LAST_ACT.lock().expect("nobody panics while holding this lock");
            last_act.inspect(|act| act());
            process::exit(INTERRUPTED);
        }
        interrupted |= signal == SIGINT;
        log::info!("signal {signal}: stops");
        // When the channel is full, nobody has read the first of these yet.
        let _unread = sender.try_send(Signal::Stop);
    }
}

/// Whether the process with this `/proc/PID/status` ignores the signal. Where the system has no such file, it
/// does not.
fn is_ignored(signal: i32, status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Bit 0 is signal 1.
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::low_level::raise;
    use std::time::Duration;

    #[test]
    fn only_a_second_interrupt_is_urgent() {
        let signals = watch().unwrap();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        // The one interrupt that this process may have: the second one would end it.
        let sent = [SIGTERM, SIGTERM, SIGHUP, SIGINT, SIGTERM];
        for signal in sent.into_iter().filter(|&signal| !is_ignored(signal, &status)) {
            raise(signal).unwrap();
            assert_eq!(signals.recv_timeout(Duration::from_secs(10)), Ok(Signal::Stop));
        }
    }

    #[test]
    fn nohup_is_respected() {
        let nohup = "Name:\tmember\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        assert!(is_ignored(SIGHUP, nohup));
        assert!(!is_ignored(SIGINT, nohup));
        assert!(!is_ignored(SIGHUP, ""));
        assert!(!is_ignored(SIGHUP, "SigIgn:\tnonsense"));
    }
}
