//! The console on a real terminal: keys, signals, job control, and how the terminal is left behind; and on pipes.
//!
//! Each test runs a shell in tmux and in it this test program again, which then shows a made-up transfer.
//! What is made up is only what the console is shown; the terminal, the shell and the signals are real.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "everything here is part of a test")]

use std::cell::Cell;
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use orchestra::console::{self, About, End, View};
use orchestra::host::{signal, terminal};
use orchestra::identity::SwarmId;
use orchestra::member::progress::{Phase, Snapshot};
use rustix::process::{Pid, Signal, kill_process};

/// Set for the program in the terminal: what it should do.
const ROLE: &str = "ORCHESTRA_TEST_CONSOLE";
/// How long anything may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

#[test]
fn q_quits_and_the_terminal_is_as_before() {
    let Some(shell) = Shell::open(80) else { return };
    shell.types(&format!("{}; echo code=$?", program("leave")));
    shell.shows("q quits");
    shell.shows("% (");
    shell.types_key("x");
    shell.types_key("q");
    shell.shows("left after");
    shell.shows("code=0");
    shell.has_its_mode();
}

#[test]
fn the_second_interrupt_ends_a_stuck_member() {
    let Some(shell) = Shell::open(80) else { return };
    shell.types(&format!("{}; echo code=$?", program("stay")));
    shell.shows("% (");
    shell.types_key("C-c");
    shell.shows("leaving");
    shell.types_key("C-c");
    shell.shows("code=130");
    shell.has_its_mode();
}

#[test]
fn the_second_interrupt_ends_a_stuck_main_thread() {
    let Some(shell) = Shell::open(80) else { return };
    shell.types(&format!("{}; echo code=$?", program("hang")));
    shell.shows("hangs now");
    shell.types_key("C-c");
    shell.types_key("C-c");
    // Two signals that come at once may be taken for one.
    shell.types_key("C-c");
    shell.shows("code=130");
    shell.has_its_mode();
}

#[test]
fn a_panic_leaves_the_terminal_as_before() {
    let Some(shell) = Shell::open(80) else { return };
    shell.types(&format!("{}; echo code=$?", program("panic")));
    shell.shows("on purpose");
    shell.shows("code=101");
    shell.has_its_mode();
}

#[test]
fn the_line_fits_a_narrow_window() {
    let Some(shell) = Shell::open(30) else { return };
    shell.types("clear");
    shell.types(&format!("clear; {}; echo code=$?", program("leave")));
    shell.shows("% (");
    // Several beats later there is still one line.
    let first = shell.shows("of 1000)").matches("% (").count();
    shell.until("the share has grown", |screen| screen.contains("\n9% ("));
    assert_eq!((first, shell.screen().matches("% (").count()), (1, 1), "{}", shell.screen());
    shell.types_key("q");
    shell.shows("code=0");
}

#[test]
fn in_the_background_it_runs_on_and_draws_nothing() {
    let Some(shell) = Shell::open(80) else { return };
    shell.types(&format!("{} & sleep 2; jobs", program("leave")));
    shell.until("the job runs on", |screen| screen.contains("Running"));
    assert!(!shell.screen().contains("% ("), "{}", shell.screen());
    shell.has_its_mode();
    shell.types("fg; echo code=$?");
    shell.shows("% (");
    shell.types_key("q");
    shell.shows("code=0");
    shell.has_its_mode();
}

#[test]
fn after_a_stop_it_has_the_keys_again() {
    let Some(shell) = Shell::open(80) else { return };
    shell.types(&program("leave"));
    shell.shows("% (");
    shell.types_key("C-z");
    shell.shows("Stopped");
    shell.has_its_mode();
    shell.types("clear; bg");
    shell.types("sleep 1; jobs");
    shell.shows("Running");
    shell.types("fg; echo code=$?");
    shell.shows("% (");
    shell.types_key("q");
    shell.shows("code=0");
    shell.has_its_mode();
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child = piped("json");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let start = lines.find(|line| line.starts_with('{')).unwrap();
    assert!(start.contains("\"event\":\"start\""), "{start}");
    drop(lines);
    assert_eq!(wait(&mut child), Some(0));
}

#[test]
fn a_reader_that_sleeps_does_not_keep_it_from_stopping() {
    let mut child = piped("full");
    // The pipe is full when this comes; nobody reads a byte of it.
    let mut told = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut told).unwrap();
    assert_eq!(told, "full\n");
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(wait(&mut child), Some(0));
}

/// This program with a role, and with pipes instead of a terminal.
fn piped(role: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "program_in_the_terminal", "--nocapture"])
        .env(ROLE, role)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn wait(child: &mut Child) -> Option<i32> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if start.elapsed() > DEADLINE {
            child.kill().unwrap();
            panic!("it never ended");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The program in the terminal. As a test of its own it has nothing to do.
#[test]
fn program_in_the_terminal() {
    let Ok(role) = env::var(ROLE) else { return };
    let signals = signal::watch().unwrap();
    let about = About {
        program: "member",
        version: "0",
        name: "a.flac".to_owned(),
        manifest: "song.orch".into(),
        file: "a.flac".into(),
        listen: "127.0.0.1:10001".parse().unwrap(),
        swarm: SwarmId::from_bytes([0; 32]),
    };
    let start = Instant::now();
    let beats = Cell::new(0);
    let snapshot = || {
        beats.set(beats.get() + 1);
        match role.as_str() {
            "panic" if beats.get() == 5 => panic!("on purpose"),
            "hang" if beats.get() == 5 => {
                println!("hangs now");
                thread::sleep(Duration::MAX);
            }
            _ => {}
        }
        let parts = (beats.get() * 10).min(1000);
        let bytes = u64::from(parts) << 20;
        Snapshot {
            phase: Phase::Getting,
            parts,
            parts_total: 1000,
            bytes,
            bytes_total: 1000 << 20,
            down_bytes: bytes,
            members: 2,
            elapsed: start.elapsed(),
            ..Snapshot::default()
        }
    };
    let (sender, ended) = bounded(1);
    let stop = || {
        if role != "stay" {
            sender.send(()).unwrap();
        }
    };
    let view = View::choose(["json", "full"].contains(&role.as_str()), false);
    if role == "full" {
        while terminal::wait_for_output(Duration::ZERO) {
            io::stdout().write_all(&[b'\n'; 4096]).unwrap();
        }
        eprintln!("full");
    }
    let end = console::watch(view, &about, snapshot, stop, &ended, &signals).unwrap();
    process::exit(match end {
        End::Ended | End::PipeClosed => 0,
        End::Interrupted => 130,
    });
}

/// The command that runs this program with a role.
fn program(role: &str) -> String {
    let path = env::current_exe().unwrap();
    format!("{ROLE}={role} {} --exact program_in_the_terminal --nocapture", path.display())
}

/// A shell in a terminal of its own.
struct Shell {
    /// The server of this terminal; every test has one, so that they may run side by side.
    server: String,
    mode: String,
}

impl Shell {
    /// None, with a word about it, where there is no tmux.
    fn open(columns: u32) -> Option<Shell> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = format!("orchestra-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let size = columns.to_string();
        let mut shell = Shell { server, mode: String::new() };
        let start =
            ["-f", "/dev/null", "new-session", "-d", "-x", &size, "-y", "24", "bash --norc --noprofile"];
        if !shell.tmux(&start).is_some_and(|output| output.status.success()) {
            eprintln!("skipped: needs tmux and bash");
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

    fn types(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.types_key("Enter");
    }

    fn types_key(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn screen(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p", "-J"]).unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn shows(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    /// Waits until the screen is as expected.
    fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(start.elapsed() < DEADLINE, "{what} never came:\n{screen}");
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

    fn has_its_mode(&self) {
        self.until("the mode before", |_| self.settings() == self.mode);
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
