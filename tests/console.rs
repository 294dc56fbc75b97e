//! The console on a real terminal: keys, signals, job control, and how the terminal is left behind; and on pipes.
//!
//! Each test runs a shell in tmux and in it this test program again, which then shows a made-up transfer.
//! What is made up is only what the console is shown; the terminal, the shell and the signals are real.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "everything here is part of a test")]

mod common;

use std::cell::Cell;
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{self, Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, never};
use orchestra::console::{self, About, End, View, Watched};
use orchestra::host::{signal, terminal};
use orchestra::identity::SwarmId;
use orchestra::member::progress::{Phase, Snapshot};
use rustix::process::{Pid, Signal, kill_process};

use common::program::{binary, wait};
use common::terminal::Shell;

/// Set for the program in the terminal: what it should do.
const ROLE: &str = "ORCHESTRA_TEST_CONSOLE";

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
fn q_quits_an_ensemble_and_a_key_that_is_typed_is_not_shown() {
    let Some(shell) = Shell::open(100) else { return };
    let dir = tempfile::tempdir().unwrap();
    let ensemble = binary("ensemble");
    shell.types(&format!("cd {}; clear", dir.path().display()));
    let options = "--no-lan --listen 127.0.0.1:0; echo code=$?";
    shell.types(&format!("{} notes {options}", ensemble.display()));
    shell.shows("waiting: nobody else is here");
    shell.shows("q quits");
    let screen = shell.shows("This is a new ensemble.");
    let key = screen.lines().find(|line| line.matches('-').count() == 13).unwrap().trim().to_owned();
    shell.types_key("q");
    shell.shows("left after");
    shell.shows("code=0");
    shell.has_its_mode();
    shell.types_on_a_clean_screen(&format!("{} other --key - {options}", ensemble.display()));
    shell.shows("Key: ");
    shell.types_key("C-c");
    shell.shows("code=3");
    shell.has_its_mode();
    shell.types_on_a_clean_screen(&format!("{} other --key - {options}", ensemble.display()));
    shell.shows("Key: ");
    shell.types(&key);
    let screen = shell.shows("waiting: nobody else is here");
    assert!(!screen.contains(&key[..8]), "{screen}");
    shell.types_key("q");
    shell.shows("code=0");
    shell.has_its_mode();
    let told = Command::new(&ensemble).args(["key", "other"]).current_dir(dir.path()).output().unwrap();
    assert_eq!(String::from_utf8(told.stdout).unwrap().trim(), key);
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
    shell.types_on_a_clean_screen(&format!("{}; echo code=$?", program("leave")));
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
    assert_eq!(wait(&mut child).code(), Some(0));
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
    assert_eq!(wait(&mut child).code(), Some(0));
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
        classic: false,
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
    let watched =
        Watched { snapshot: &snapshot, stop: &stop, news: &never(), ended: &ended, signals: &signals };
    let end = console::watch(view, &about, &watched).unwrap();
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
