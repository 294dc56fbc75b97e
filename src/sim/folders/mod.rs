//! Random histories of one folder on several machines, against what users may rely on.
//!
//! A seed draws machines, edits, who hears of whom and when, crashes that forget what was not synced, lost and old
//! indexes, and clocks that are wrong.
//! The decisions are those of [`logic::sync`](crate::logic::sync); disks, indexes and the network are made up.
//! Then everybody hears everybody, and:
//!
//! - after a bounded number of rounds nothing moves any more;
//! - all disks are equal;
//! - whatever somebody wrote, and nobody replaced or deleted who had it before them, is still there, in its place
//!   or in a conflict copy; if a machine has crashed, in an archive;
//! - what was deleted, and nobody wrote anew, is not.
//!
//! The model is that of Hughes, Pierce, Arts and Norell, "Mysteries of Dropbox" (2016), with trees instead of one file.

mod disk;
mod owed;
mod replica;

use std::fmt::{self, Write as _};

use fastrand::Rng;
use thiserror::Error;

use self::disk::Node;
use self::owed::Owed;
use self::replica::Replica;
use crate::entry::{Attributes, Content, ContentHash, TreePath};

/// Where things happen: few places, so that they clash; some are in others.
const PLACES: [&str; 9] = ["a", "b.txt", "d", "d/a", "d/b.txt", "d/e", "d/e/a", "f", "f/a"];
/// Machines with the folder.
const MACHINES: std::ops::RangeInclusive<usize> = 2..=4;
/// Things that happen before everybody hears everybody.
const EVENTS: std::ops::Range<usize> = 5..60;
/// Each round everybody hears everybody once; a conflict needs a few, and its copies a few more.
const ROUNDS_MAX: usize = 40;
/// Clocks are wrong by up to this many seconds, in either direction.
const SKEW: u64 = 1_000;

/// What is wrong at the end of a history.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Wrong {
    /// Things go on moving.
    #[error("after {ROUNDS_MAX} rounds it still moves")]
    Restless,
    /// Two disks differ.
    #[error("machine {0} has another tree than machine 0 at {1}")]
    Differ(usize, TreePath),
    /// A content is nowhere.
    #[error("content {0} was lost")]
    Lost(u64),
    /// A content came back.
    #[error("content {0} is at {1} again, where it was deleted")]
    Back(u64, TreePath),
    /// An entry does not say what is on the disk.
    #[error("the entry of {1} on machine {0} does not say what is there")]
    Untrue(usize, TreePath),
}

/// What a history was like.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What happened, a line each, if it was asked for.
    pub trace: String,
    /// What is wrong in the end.
    pub wrong: Option<Wrong>,
    /// Copies that were kept aside.
    pub copies: usize,
    /// Rounds until nothing moved.
    pub rounds: usize,
}

/// Plays the history of this seed; with a trace, if somebody reads it.
#[must_use]
pub fn play(seed: u64, traced: bool) -> Report {
    History::new(seed, traced).run()
}

struct History {
    rng: Rng,
    /// Nothing but edits and hearsay: what is deleted must be gone.
    gentle: bool,
    traced: bool,
    /// A machine has crashed.
    crashed: bool,
    machines: Vec<Replica>,
    owed: Owed,
    /// What was written last.
    content: u64,
    seconds: u64,
    trace: String,
}

impl History {
    fn new(seed: u64, traced: bool) -> History {
        let mut rng = Rng::with_seed(seed);
        let count = rng.usize(MACHINES);
        let gentle = rng.u8(..4) == 0;
        let mut machines: Vec<Replica> =
            (0..count).map(|at| Replica::new(at, count, rng.u64(0..=2 * SKEW), traced)).collect();
        let mut owed = Owed::default();
        let mut content = 0;
        // Most begin with different contents, some with some of the same.
        for machine in &mut machines {
            for _ in 0..rng.usize(0..4) {
                let place = place(&mut rng);
                content += 1;
                let shared = !gentle && rng.u8(..4) == 0;
                let number = if shared { 1 } else { content };
                write(machine, &mut owed, &place, number, &mut rng);
            }
        }
        History {
            rng,
            gentle,
            traced,
            crashed: false,
            machines,
            owed,
            content,
            seconds: 2 * SKEW,
            trace: String::new(),
        }
    }

    fn run(mut self) -> Report {
        for _ in 0..self.rng.usize(EVENTS) {
            self.seconds += self.rng.u64(0..3);
            self.happens();
        }
        let mut rounds = 0;
        let mut wrong = None;
        while self.round() {
            rounds += 1;
            if rounds == ROUNDS_MAX {
                wrong = Some(Wrong::Restless);
                break;
            }
        }
        let copies = self.machines[0].disk.paths().filter(|path| path.is_conflict()).count();
        let wrong = wrong.or_else(|| self.judge());
        Report { trace: self.trace, wrong, copies, rounds }
    }

    fn say(&mut self, line: fmt::Arguments<'_>) {
        if self.traced {
            writeln!(self.trace, "{line}").expect("a string takes every line");
        }
    }

    fn happens(&mut self) {
        let at = self.rng.usize(..self.machines.len());
        match self.rng.u8(..20) {
            0..=5 => self.edit(at),
            6 => self.delete(at),
            7 => self.rename(at),
            8 => self.make_folder(at),
            9 => self.touch(at),
            10 => {
                self.look(at);
            }
            11 => {
                self.machines[at].sync();
                self.say(format_args!("{at}: syncs its disk"));
            }
            12..=16 => {
                let from = self.rng.usize(..self.machines.len());
                let part = self.rng.u8(..6) == 0;
                let limit = if part { self.rng.usize(0..4) } else { usize::MAX };
                self.hear(at, from, limit);
                let stop = (!self.gentle && self.rng.u8(..8) == 0).then(|| self.rng.usize(0..4));
                self.act(at, stop);
            }
            _ if self.gentle => {
                self.look(at);
            }
            17 => self.crash(at),
            18 => self.lose_index(at),
            _ => self.machines[at].skew = self.rng.u64(0..=2 * SKEW),
        }
    }

    fn edit(&mut self, at: usize) {
        let place = place(&mut self.rng);
        // Now and then the same is written twice.
        let again = !self.gentle && self.rng.u8(..6) == 0;
        let number = if again { self.rng.u64(0..=self.content) } else { self.content + 1 };
        self.content = self.content.max(number);
        self.say(format_args!("{at}: writes {number} to {place}"));
        write(&mut self.machines[at], &mut self.owed, &place, number, &mut self.rng);
        if self.rng.bool() {
            self.look(at);
        }
    }

    fn delete(&mut self, at: usize) {
        let Some(path) = self.some_path(at) else { return };
        self.say(format_args!("{at}: deletes {path}"));
        let removed = self.machines[at].disk.remove(&path);
        let machine = &mut self.machines[at];
        machine.changed();
        for (path, node) in removed {
            self.owed.deleted(&path, &node);
        }
        if self.rng.bool() {
            self.look(at);
        }
    }

    fn rename(&mut self, at: usize) {
        if self.gentle {
            return;
        }
        let Some(from) = self.some_path(at) else { return };
        let to = place(&mut self.rng);
        if from == to || to.is_beneath(&from) || from.is_beneath(&to) {
            return;
        }
        self.say(format_args!("{at}: renames {from} to {to}"));
        let machine = &mut self.machines[at];
        let moved = machine.disk.remove(&from);
        // Whatever stood in the way was seen by who renames over it.
        for (path, node) in machine.disk.clear_way(&to) {
            self.owed.deleted(&path, &node);
        }
        for (path, node) in moved {
            let suffix = &path.as_str()[from.as_str().len()..];
            let path = TreePath::parse(&format!("{to}{suffix}")).expect("short names make short paths");
            machine.disk.put(&path, node);
        }
        machine.changed();
    }

    fn make_folder(&mut self, at: usize) {
        let place = place(&mut self.rng);
        let machine = &mut self.machines[at];
        if machine.disk.get(&place).is_none() && machine.disk.can_hold(&place) {
            machine.disk.put(&place, Node::folder());
            machine.changed();
            self.say(format_args!("{at}: makes the folder {place}"));
        }
    }

    fn touch(&mut self, at: usize) {
        if self.gentle {
            return;
        }
        let Some(path) = self.some_path(at) else { return };
        let (mtime, executable) = (self.rng.i64(1..1_000), self.rng.bool());
        let machine = &mut self.machines[at];
        if machine.disk.touch(&path, Attributes { mtime, executable }) {
            machine.changed();
            self.say(format_args!("{at}: touches {path}"));
        }
    }

    /// Whether it saw anything new.
    fn look(&mut self, at: usize) -> bool {
        let seconds = self.seconds;
        let lines = self.machines[at].look(seconds);
        for line in &lines {
            self.say(format_args!("{at}: {line}"));
        }
        !lines.is_empty()
    }

    /// Whether there was anything new.
    fn hear(&mut self, at: usize, from: usize, limit: usize) -> bool {
        let Ok([listener, speaker]) = self.machines.get_disjoint_mut([at, from]) else { return false };
        let count = listener.hear(speaker, limit);
        self.say(format_args!("{at}: hears {count} rows of {from}"));
        count > 0
    }

    /// The machine does what it has to, as far as others can give it what it needs.
    ///
    /// It stops before its `stop`-th step, if it is told to. Whether it did anything.
    fn act(&mut self, at: usize, stop: Option<usize>) -> bool {
        let held: Vec<ContentHash> = self
            .machines
            .iter()
            .filter(|machine| machine.at != at)
            .flat_map(|machine| machine.disk.hashes())
            .collect();
        let seconds = self.seconds;
        let machine = &mut self.machines[at];
        let done = machine.act(&held, seconds, stop);
        for line in &done.lines {
            self.say(format_args!("{at}: {line}"));
        }
        for path in done.reasserted {
            self.owed.reasserted(&path);
        }
        !done.lines.is_empty()
    }

    fn crash(&mut self, at: usize) {
        self.crashed = true;
        let rng = &mut self.rng;
        let machine = &mut self.machines[at];
        let before: Vec<(TreePath, Node)> = machine.disk.nodes();
        machine.crash(rng);
        let others: Vec<ContentHash> =
            self.machines.iter().flat_map(|machine| machine.disk.hashes()).collect();
        for (_, node) in before {
            if let Some(hash) = node.content.hash()
                && !others.contains(&hash)
            {
                self.owed.never_was(hash);
            }
        }
        self.say(format_args!("{at}: crashes"));
    }

    fn lose_index(&mut self, at: usize) {
        let old = self.rng.bool();
        self.machines[at].lose_index(old);
        self.say(format_args!("{at}: {}", if old { "has an old index again" } else { "loses its index" }));
    }

    /// Everybody looks, hears everybody and acts. Whether anything moved.
    fn round(&mut self) -> bool {
        let mut moved = false;
        for at in 0..self.machines.len() {
            moved |= self.look(at);
            for from in 0..self.machines.len() {
                moved |= self.hear(at, from, usize::MAX);
            }
            moved |= self.act(at, None);
        }
        moved
    }

    fn judge(&self) -> Option<Wrong> {
        let first = &self.machines[0].disk;
        for machine in &self.machines {
            if let Some(path) = first.differs_from(&machine.disk) {
                return Some(Wrong::Differ(machine.at, path));
            }
            if let Some(path) = machine.untrue() {
                return Some(Wrong::Untrue(machine.at, path));
            }
        }
        // A file that was renamed and announced, and lost with its new name in a crash, others have only in the archive.
        let archived = self.machines.iter().flat_map(|machine| machine.archive.iter().copied());
        self.owed.judge(first, &archived.filter(|_| self.crashed).collect(), self.gentle)
    }

    fn some_path(&mut self, at: usize) -> Option<TreePath> {
        let paths: Vec<TreePath> = self.machines[at].disk.paths().cloned().collect();
        self.rng.choice(paths)
    }
}

fn place(rng: &mut Rng) -> TreePath {
    TreePath::parse(PLACES[rng.usize(..PLACES.len())]).expect("places are paths")
}

/// A user writes a file, or a link, with its folders; what stands in the way was seen and is replaced.
fn write(machine: &mut Replica, owed: &mut Owed, path: &TreePath, number: u64, rng: &mut Rng) {
    for (path, node) in machine.disk.clear_way(path) {
        owed.deleted(&path, &node);
    }
    let content = match number % 7 {
        0 => Content::Link(number.to_string()),
        _ => Content::File { size: number, hash: ContentHash::of(&number.to_le_bytes()) },
    };
    let attributes = match content {
        Content::File { .. } => Attributes { mtime: rng.i64(1..1_000), executable: rng.bool() },
        _ => Attributes::default(),
    };
    let node = Node { content, attributes };
    owed.written(path, &node, number);
    machine.disk.put(path, node);
    machine.changed();
}
