//! A real terminal, in tmux: what is typed into it and what it shows.

use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::program::PATIENCE;
use super::skipped;

/// A shell in a terminal of its own.
pub(crate) struct Shell {
    /// The server of this terminal; every test has one, so that they may run side by side.
    server: String,
    mode: String,
}

impl Shell {
    /// None, with a word about it, where there is no tmux.
    pub(crate) fn open(columns: u32) -> Option<Shell> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = format!("orchestra-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let size = columns.to_string();
        let mut shell = Shell { server, mode: String::new() };
        let start =
            ["-f", "/dev/null", "new-session", "-d", "-x", &size, "-y", "24", "bash --norc --noprofile"];
        if !shell.tmux(&start).is_some_and(|output| output.status.success()) {
            skipped("needs tmux and bash");
            return None;
        }
        shell.types("PS1='> '; clear; echo ready");
        shell.shows("ready\n>");
        shell.mode = shell.settings();
        Some(shell)
    }

    fn tmux(&self, arguments: &[&str]) -> Option<process::Output> {
        Command::new("tmux").args(["-L", &self.server]).args(arguments).stdin(Stdio::null()).output().ok()
    }

    pub(crate) fn types(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.types_key("Enter");
    }

    /// Types a line on a screen that shows nothing else, so that whatever is seen afterwards came after it.
    pub(crate) fn types_on_a_clean_screen(&self, line: &str) {
        self.types("clear");
        self.until("a clean screen", |screen| screen.trim() == ">");
        self.types(line);
    }

    pub(crate) fn types_key(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    pub(crate) fn screen(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p", "-J"]).unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn shows(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    /// Waits until the screen is as expected.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(start.elapsed() < PATIENCE, "{what} never came:\n{screen}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// How the terminal is set while no program runs in it.
    fn settings(&self) -> String {
        let tty = self.tmux(&["display-message", "-p", "#{pane_tty}"]).unwrap();
        let tty = String::from_utf8(tty.stdout).unwrap();
        let stty = Command::new("stty").args(["-F", tty.trim(), "-g"]).output().unwrap();
        String::from_utf8(stty.stdout).unwrap()
    }

    pub(crate) fn has_its_mode(&self) {
        self.until("the mode before", |_| self.settings() == self.mode);
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
