//! A running program: its lines as they come, its end, and that it does not outlive the test.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// No event takes longer, on any machine, unless something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The path of one of our programs.
pub(crate) fn binary(name: &str) -> PathBuf {
    let built = match name {
        "composer" => option_env!("CARGO_BIN_EXE_composer"),
        "conductor" => option_env!("CARGO_BIN_EXE_conductor"),
        "ensemble" => option_env!("CARGO_BIN_EXE_ensemble"),
        "member" => option_env!("CARGO_BIN_EXE_member"),
        _ => None,
    };
    // Cargo tells tests where the programs are, but not examples; those are built into a folder beside them.
    built.map_or_else(
        || {
            let this = env::current_exe().unwrap();
            let path = this.parent().and_then(Path::parent).unwrap().join(name);
            assert!(path.exists(), "{} is missing: run `cargo build` with the same profile", path.display());
            path
        },
        PathBuf::from,
    )
}

/// Patience is counted in waits of this length, so that it does not end while the whole machine is asleep.
const BEAT: Duration = Duration::from_millis(5);

/// Waits for the end of a process, and ends it when it hangs.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    for _ in 0..PATIENCE.as_millis() / BEAT.as_millis() {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        thread::sleep(BEAT);
    }
    child.kill().unwrap();
    panic!("the program never ended");
}

/// A program at work; killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
}

/// What is left of a program.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None if a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it printed after the last line that was asked for.
    pub(crate) lines: Vec<String>,
    /// What it said on standard error.
    pub(crate) errors: String,
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Program {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut stderr = child.stderr.take().unwrap();
        let errors = thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).unwrap();
            String::from_utf8(text).unwrap()
        });
        Program { child, lines, errors: Some(errors) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The next line of its output; none at the end.
    pub(crate) fn next_line(&self) -> Option<String> {
        for _ in 0..PATIENCE.as_millis() / BEAT.as_millis() {
            match self.lines.recv_timeout(BEAT) {
                Ok(line) => return Some(line),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        panic!("it says nothing");
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(mut self) -> Ended {
        let status = wait(&mut self.child);
        let lines = std::iter::from_fn(|| self.next_line()).collect();
        let errors = self.errors.take().unwrap().join().unwrap();
        Ended { code: status.code(), lines, errors }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A conductor at work, in a directory of its own for its log.
pub(crate) struct ConductorProgram {
    pub(crate) address: SocketAddr,
    program: Program,
    dir: tempfile::TempDir,
}

impl ConductorProgram {
    /// Starts it and waits until it listens. Its address is unspecified if that is every one.
    pub(crate) fn start(command: &mut Command) -> ConductorProgram {
        let dir = tempfile::tempdir().unwrap();
        let program = Program::start(command.current_dir(dir.path()));
        let line = program.next_line().unwrap_or_default();
        let place = line.strip_prefix("conductor: listens on ").and_then(|rest| rest.split(',').next());
        let every = |place: &str| {
            let port = place.strip_prefix("port ")?.strip_suffix(" of every address")?;
            Some(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port.parse().ok()?)))
        };
        let address = place.and_then(|place| every(place).or_else(|| place.parse().ok()));
        let address = address.unwrap_or_else(|| panic!("it said {line:?}"));
        ConductorProgram { address, program, dir }
    }

    /// Starts it on this address.
    pub(crate) fn on(listen: &str) -> ConductorProgram {
        ConductorProgram::start(Command::new(binary("conductor")).args(["--listen", listen]))
    }

    pub(crate) fn id(&self) -> u32 {
        self.program.id()
    }

    /// The next line of what it prints after where it listens.
    pub(crate) fn next_line(&self) -> Option<String> {
        self.program.next_line()
    }

    pub(crate) fn log(&self) -> String {
        read_log(&self.dir, self.program.id())
    }

    /// Ends it with a signal; its exit code and its log.
    pub(crate) fn stop(self, signal: Signal) -> (Option<i32>, String) {
        let id = self.program.id();
        self.program.signal(signal);
        (self.program.ended().code, read_log(&self.dir, id))
    }
}

fn read_log(dir: &tempfile::TempDir, id: u32) -> String {
    fs::read_to_string(dir.path().join(format!("logs/conductor-{id}.log"))).unwrap()
}
