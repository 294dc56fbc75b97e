//! A running member, and what it must still be able to do after everything.

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use orchestra::ensemble::{Config, Ensemble};
use orchestra::entry::{ContentHash, TreePath};
use orchestra::host::folder::{Beneath, content};
use orchestra::key::EnsembleKey;
use tempfile::TempDir;

/// Nothing here takes longer on any machine, unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// What all members of this program together may take of the memory, whatever others do.
const MEMORY_MAX_KIB: u64 = 512 * 1024;

/// Waits until `done`; fails with `what` after the deadline.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < DEADLINE, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn key() -> EnsembleKey {
    EnsembleKey::from_bytes([7; 32])
}

/// Bytes that nothing else has, and that do not compress.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// The name of a content with these bytes, and its chunks.
pub(crate) fn contents(bytes: &[u8]) -> content::Contents {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), bytes).unwrap();
    let folder = Beneath::open(dir.path()).unwrap();
    let go_on = std::sync::atomic::AtomicBool::new(false);
    content::read(&folder, &TreePath::parse("a").unwrap(), &go_on).unwrap().unwrap()
}

pub(crate) fn name_of(bytes: &[u8]) -> ContentHash {
    contents(bytes).hash
}

/// A member with its folder; beside the folder is a place where nothing may ever appear.
pub(crate) struct Home {
    dir: TempDir,
    ensemble: Option<Ensemble>,
}

impl Home {
    /// A member with these files.
    pub(crate) fn with(files: &[(&str, &[u8])]) -> Home {
        Home::begin(files, &[], None)
    }

    /// The same, sending so many bytes a second at most.
    pub(crate) fn slow(files: &[(&str, &[u8])], up: u64) -> Home {
        Home::begin(files, &[], NonZeroU64::new(up))
    }

    /// The same, dialling this one.
    pub(crate) fn beside(home: &Home, files: &[(&str, &[u8])]) -> Home {
        Home::begin(files, &[home.address()], None)
    }

    fn begin(files: &[(&str, &[u8])], members: &[SocketAddr], up: Option<NonZeroU64>) -> Home {
        let dir = tempfile::tempdir().unwrap();
        for name in ["folder", "outside"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let mut home = Home { dir, ensemble: None };
        files.iter().for_each(|(path, bytes)| home.write(path, bytes));
        home.start(members, up);
        home
    }

    fn start(&mut self, members: &[SocketAddr], up: Option<NonZeroU64>) {
        let config = Config {
            dir: self.path(""),
            key: Some(key()),
            listen: Some("127.0.0.1:0".parse().unwrap()),
            members: members.iter().map(|address| address.to_string().parse().unwrap()).collect(),
            conductor: None,
            lan: false,
            up,
            down: None,
            once: None,
        };
        self.ensemble = Some(Ensemble::start(config).unwrap());
        let files = self.files().len() as u64;
        until("it knows its files", || self.ensemble().snapshot().standing.totals.files >= files);
    }

    /// Ends the member and starts it again.
    pub(crate) fn starts_again(&mut self) {
        self.ensemble.take().unwrap().stop();
        self.start(&[], None);
    }

    pub(crate) fn ensemble(&self) -> &Ensemble {
        self.ensemble.as_ref().unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.ensemble().address()
    }

    /// How many others are there, as far as it knows.
    pub(crate) fn members(&self) -> usize {
        self.ensemble().snapshot().standing.members.len()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join("folder").join(path)
    }

    pub(crate) fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn has(&self, path: &str, bytes: &[u8]) -> bool {
        fs::read(self.path(path)).is_ok_and(|there| there == bytes)
    }

    pub(crate) fn gets(&self, path: &str, bytes: &[u8]) {
        until(&format!("it gets {path}"), || self.has(path, bytes));
    }

    /// The names in its folder but ours.
    pub(crate) fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.path("")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != ".orchestra").collect();
        names.sort();
        names
    }

    /// It still lives: what an honest member writes comes here, and what is written here comes there.
    pub(crate) fn is_well(&self) {
        let honest = Home::beside(self, &[("from there", b"there")]);
        self.gets("from there", b"there");
        let here = format!("here {}", fastrand::u64(..));
        self.write("from here", here.as_bytes());
        honest.gets("from here", here.as_bytes());
        drop(honest);
        assert!(fs::read_dir(self.outside()).unwrap().next().is_none(), "something came outside");
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(peak < MEMORY_MAX_KIB, "{peak} KiB of memory");
        assert!(self.ensemble().ended().try_recv() != Err(crossbeam_channel::TryRecvError::Disconnected));
    }
}
