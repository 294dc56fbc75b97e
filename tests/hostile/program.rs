//! The real programs: started, watched from outside, and held to what they must never do.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use orchestra::composer::{Request, compose};
use orchestra::manifest::Manifest;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Nothing here takes longer on any machine, unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
/// What a member may take of the memory, whatever others do.
const MEMORY_MAX_KIB: u64 = 128 * 1024;

/// Waits until `done`; fails with `what` after the deadline.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < DEADLINE, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A composition, its manifest, and the directories of those who share it.
#[derive(Debug)]
pub(crate) struct World {
    dir: TempDir,
    pub(crate) manifest: Manifest,
    pub(crate) content: Vec<u8>,
}

impl World {
    pub(crate) fn new(size: usize, part_len: u64) -> World {
        let dir = tempfile::tempdir().unwrap();
        let mut content = vec![0; size];
        fastrand::Rng::with_seed(size as u64).fill(&mut content);
        fs::create_dir(dir.path().join("source")).unwrap();
        let file = dir.path().join("source/song");
        fs::write(&file, &content).unwrap();
        let request = Request {
            file,
            // Nobody listens there: these members meet by name.
            conductor: "127.0.0.1:9".parse().unwrap(),
            part_len: Some(part_len),
            output: Some(dir.path().join("song.orch")),
        };
        let manifest = compose(&request, &AtomicBool::new(false), |_, _| {}).unwrap().manifest;
        World { dir, manifest, content }
    }

    /// The bytes of consecutive parts.
    pub(crate) fn bytes(&self, first: u32, count: u32) -> &[u8] {
        let part_len = self.manifest.layout().part_len() as usize;
        let start = first as usize * part_len;
        &self.content[start..self.content.len().min(start + count as usize * part_len)]
    }

    /// A member that holds everything, and knows it.
    pub(crate) fn source(&self, options: &[String]) -> Program {
        let source = Program::start(self, "source", options);
        source.logs("complete:", 1);
        source
    }

    /// A member that holds nothing yet; its name is its directory.
    pub(crate) fn getter(&self, name: &str, options: &[String]) -> Program {
        fs::create_dir_all(self.dir.path().join(name)).unwrap();
        Program::start(self, name, options)
    }
}

/// The options that name these members.
pub(crate) fn members(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<String> {
    addresses.into_iter().flat_map(|address| ["--member".to_owned(), address.to_string()]).collect()
}

/// A running member.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
    dir: PathBuf,
    events: Receiver<Value>,
    last: Value,
}

impl Program {
    fn start(world: &World, name: &str, options: &[String]) -> Program {
        let dir = world.dir.path().join(name);
        let mut child = Command::new(env!("CARGO_BIN_EXE_member"))
            .arg(world.dir.path().join("song.orch"))
            .args(["--json", "--listen", "127.0.0.1:0", "--dir"])
            .arg(&dir)
            .arg("--logs")
            .arg(dir.join("logs"))
            .args(options)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, events) = mpsc::channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                drop(sender.send(serde_json::from_str(&line).unwrap()));
            }
        });
        let last: Value = events.recv_timeout(DEADLINE).unwrap();
        let address = last["listen"].as_str().unwrap().parse().unwrap();
        Program { child, address, dir, events, last }
    }

    /// Waits for an event of this name, and returns it.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        let since = Instant::now();
        while self.last["event"] != name {
            let left = DEADLINE.saturating_sub(since.elapsed());
            match self.events.recv_timeout(left) {
                Ok(event) => self.last = event,
                Err(_) => panic!("no {name} from {}; last {}\n{}", self.dir.display(), self.last, self.log()),
            }
        }
        self.last.clone()
    }

    /// Waits until the member holds everything, and checks that it is right.
    pub(crate) fn completes(&mut self, world: &World) -> Value {
        let event = self.event("complete");
        assert!(fs::read(self.dir.join("song")).unwrap() == world.content, "another content");
        event
    }

    pub(crate) fn log(&self) -> String {
        let path = self.dir.join(format!("logs/member-{}.log", self.child.id()));
        fs::read_to_string(path).unwrap_or_default()
    }

    /// Waits until the log has `text` at least so many times.
    pub(crate) fn logs(&self, text: &str, times: usize) {
        let since = Instant::now();
        while self.log().matches(text).count() < times {
            assert!(since.elapsed() < DEADLINE, "not {times} times {text:?} in\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The processor time that it has taken so far.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(self.proc("stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
        Duration::from_millis((ticks(11) + ticks(12)) * 10)
    }

    /// The threads that work for links.
    pub(crate) fn link_threads(&self) -> usize {
        let tasks = fs::read_dir(self.proc("task")).unwrap();
        let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("link")).count()
    }

    /// Waits until no link has a thread.
    pub(crate) fn is_left_alone(&self) {
        until("no link has a thread", || self.link_threads() == 0);
    }

    /// Ends the member and checks how it lived. Returns its last word and its log.
    pub(crate) fn ends(mut self) -> (Value, String) {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(peak < MEMORY_MAX_KIB, "{peak} KiB of memory");
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let last = self.event("left");
        until("the program ends", || self.child.try_wait().unwrap().is_some());
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let log = self.log();
        for text in [&said, &log] {
            assert!(!text.contains("panick") && !text.contains("a thread failed"), "{text}");
        }
        assert!(said.is_empty(), "{said}");
        (last, log)
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join(file)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended unless the test failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
