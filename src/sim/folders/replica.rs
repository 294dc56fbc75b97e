//! One machine with the folder: its disk, its entries, and what it has heard.

use std::collections::BTreeMap;
use std::fmt;

use fastrand::Rng;

use super::disk::{Disk, Node};
use crate::entry::{Attributes, Author, Content, ContentHash, Device, Entry, TreePath};
use crate::logic::sync::aside::Aside;
use crate::logic::sync::observe::{observe, observe_suspect};
use crate::logic::sync::{Around, Parent, Step, aside, plan};

/// States of the disk that a crash may bring back.
const STATES_MAX: usize = 4;

/// An entry, and when it was written here.
type Row = (u64, Entry);

/// What was heard of another machine.
#[derive(Clone, Default)]
struct Heard {
    device: Option<Device>,
    /// Up to where.
    upto: u64,
    rows: BTreeMap<TreePath, Entry>,
}

pub(super) struct Replica {
    pub(super) at: usize,
    pub(super) disk: Disk,
    pub(super) skew: u64,
    /// Whether somebody reads what it did.
    traced: bool,
    device: Device,
    /// How many devices it has been.
    epoch: u64,
    sequence: u64,
    rows: BTreeMap<TreePath, Row>,
    /// An index that was saved, to come back one day.
    saved: BTreeMap<TreePath, Row>,
    heard: Vec<Heard>,
    /// What the disk was since it was synced, oldest first.
    states: Vec<Disk>,
    /// What was replaced or deleted here for others' sake.
    pub(super) archive: Vec<ContentHash>,
    /// Rows up to this one say what is synced.
    clean: u64,
    /// After a crash, until the next look: rows after this one are suspect.
    suspect_after: Option<u64>,
}

/// What a machine did.
#[derive(Default)]
pub(super) struct Done {
    pub(super) lines: Vec<String>,
    pub(super) reasserted: Vec<TreePath>,
}

impl Replica {
    pub(super) fn new(at: usize, count: usize, skew: u64, traced: bool) -> Replica {
        let mut replica = Replica {
            at,
            disk: Disk::default(),
            skew,
            traced,
            device: Device::from_bits(0),
            epoch: 0,
            sequence: 0,
            rows: BTreeMap::new(),
            saved: BTreeMap::new(),
            heard: vec![Heard::default(); count],
            states: vec![Disk::default()],
            archive: Vec::new(),
            clean: 0,
            suspect_after: None,
        };
        replica.renew_device();
        replica
    }

    fn renew_device(&mut self) {
        self.epoch += 1;
        self.device = Device::from_bits(self.at as u64 + 100 * self.epoch);
    }

    fn author(&self, seconds: u64) -> Author {
        Author { device: self.device, seconds: (seconds + self.skew).saturating_sub(2 * super::SKEW) }
    }

    /// The user changed the disk; nothing of it is synced yet.
    pub(super) fn changed(&mut self) {
        self.states.push(self.disk.clone());
        if self.states.len() > STATES_MAX {
            self.states.remove(0);
        }
    }

    fn line(&self, line: fmt::Arguments<'_>) -> String {
        if self.traced { line.to_string() } else { String::new() }
    }

    fn row(&self, path: &TreePath) -> Option<&Entry> {
        self.rows.get(path).map(|(_, entry)| entry)
    }

    fn write_row(&mut self, path: &TreePath, entry: Entry) {
        self.sequence += 1;
        self.rows.insert(path.clone(), (self.sequence, entry));
    }

    /// Compares the disk with the entries. What is gone comes last, and the deepest of it first.
    pub(super) fn look(&mut self, seconds: u64) -> Vec<String> {
        let suspect_after = self.suspect_after.take();
        let mut seen: Vec<(TreePath, Content, Attributes)> =
            self.disk.nodes().into_iter().map(|(path, node)| (path, node.content, node.attributes)).collect();
        let gone = self
            .rows
            .iter()
            .rev()
            .filter(|(path, (_, entry))| entry.content.is_live() && self.disk.get(path).is_none());
        seen.extend(gone.map(|(path, _)| (path.clone(), Content::Gone, Attributes::default())));
        if let Some(after) = suspect_after {
            let lost = seen.iter().any(|(path, content, _)| {
                self.rows.get(path).is_some_and(|(at, entry)| *at > after && entry.content != *content)
            });
            if lost {
                self.renew_device();
            }
        }
        let mut lines = Vec::new();
        for (path, content, attributes) in seen {
            let author = self.author(seconds);
            let new = match (self.rows.get(&path), suspect_after) {
                (Some((at, entry)), Some(after)) if *at > after => {
                    observe_suspect(entry, content, attributes, author)
                }
                (row, _) => observe(row.map(|(_, entry)| entry), content, attributes, author),
            };
            if let Some(entry) = new {
                lines.push(self.line(format_args!("sees {path}: {entry:?}")));
                self.write_row(&path, entry);
            }
        }
        lines
    }

    /// Hears so many rows of another machine that it has not heard yet. Returns how many came.
    pub(super) fn hear(&mut self, from: &Replica, limit: usize) -> usize {
        let heard = &mut self.heard[from.at];
        if heard.device != Some(from.device) {
            *heard = Heard { device: Some(from.device), ..Heard::default() };
        }
        let mut rows: Vec<(&TreePath, &Row)> =
            from.rows.iter().filter(|(_, (at, _))| *at > heard.upto).collect();
        rows.sort_by_key(|(_, (at, _))| *at);
        rows.truncate(limit);
        for &(path, (at, entry)) in &rows {
            heard.upto = *at;
            heard.rows.insert(path.clone(), entry.clone());
        }
        rows.len()
    }

    /// Does what is to be done. `held` is what others can give; it stops before its `stop`-th step, if it is told to.
    pub(super) fn act(&mut self, held: &[ContentHash], seconds: u64, stop: Option<usize>) -> Done {
        let mut done = Done::default();
        let mut paths: Vec<TreePath> =
            self.heard.iter().flat_map(|heard| heard.rows.keys().cloned()).collect();
        paths.sort();
        paths.dedup();
        // Folders before what is in them; but what goes, goes from the inside.
        let forward = paths.iter().map(|path| (path, false));
        let backward = paths.iter().rev().map(|path| (path, true));
        for (path, goes) in forward.chain(backward) {
            let step = self.step_at(path, seconds);
            if Self::goes(&step) == goes && stop.is_none_or(|stop| done.lines.len() < stop) {
                self.carry_out(path, step, held, seconds, &mut done);
            }
        }
        done
    }

    fn goes(step: &Step) -> bool {
        match step {
            Step::Note(entry) | Step::Take(entry) | Step::TakeBeside(entry) => !entry.content.is_live(),
            // Only when what is in it has gone does it show whether the folder may.
            Step::Reassert(_) => true,
            Step::Rest | Step::Wait => false,
        }
    }

    fn step_at(&self, path: &TreePath, seconds: u64) -> Step {
        let parent = match path.parent() {
            Some(parent) if self.row(&parent).is_none_or(|entry| entry.content != Content::Folder) => {
                Parent::Missing
            }
            _ => Parent::Folder,
        };
        let inhabited =
            self.rows.iter().any(|(other, (_, entry))| other.is_beneath(path) && entry.content.is_live());
        let others = self.heard.iter().filter_map(|heard| heard.rows.get(path));
        plan(self.row(path), others, Around { parent, inhabited }, self.author(seconds))
    }

    fn carry_out(
        &mut self,
        path: &TreePath,
        step: Step,
        held: &[ContentHash],
        seconds: u64,
        done: &mut Done,
    ) {
        let line = self.line(format_args!("{path}: {step:?}"));
        let carried_out = match step {
            Step::Rest | Step::Wait => false,
            Step::Note(entry) => {
                let fits = self.is_as_known(path);
                if fits {
                    self.disk.touch(path, entry.attributes);
                    self.synced(path);
                    self.write_row(path, entry);
                }
                fits
            }
            Step::Reassert(entry) => {
                done.reasserted.push(path.clone());
                self.write_row(path, entry);
                true
            }
            Step::Take(entry) => self.take(path, entry, held),
            Step::TakeBeside(entry) => {
                self.can_take(path, &entry, held)
                    && self.put_aside(path, seconds)
                    && self.take(path, entry, held)
            }
        };
        if carried_out {
            done.lines.push(line);
        }
    }

    /// Whether the disk is as the entry says: else somebody looks first.
    fn is_as_known(&self, path: &TreePath) -> bool {
        let known = self.row(path).filter(|entry| entry.content.is_live());
        match (self.disk.get(path), known) {
            (None, None) => true,
            (Some(node), Some(entry)) => node.content == entry.content && node.attributes == entry.attributes,
            _ => false,
        }
    }

    fn can_take(&self, path: &TreePath, entry: &Entry, held: &[ContentHash]) -> bool {
        let available = match &entry.content {
            Content::File { hash, .. } => held.contains(hash) || self.disk.hashes().any(|ours| ours == *hash),
            _ => true,
        };
        available && self.is_as_known(path) && self.disk.is_empty_folder(path) && self.disk.can_hold(path)
    }

    fn take(&mut self, path: &TreePath, entry: Entry, held: &[ContentHash]) -> bool {
        if !self.can_take(path, &entry, held) {
            return false;
        }
        self.archive.extend(self.disk.remove(path).into_iter().filter_map(|(_, node)| node.content.hash()));
        if entry.content.is_live() {
            let node = Node { content: entry.content.clone(), attributes: entry.attributes };
            self.disk.put(path, node);
        }
        self.synced(path);
        self.write_row(path, entry);
        true
    }

    /// Moves what is at the path aside. Whether it is out of the way.
    fn put_aside(&mut self, path: &TreePath, seconds: u64) -> bool {
        let Some(loser) = self.row(path).cloned() else { return false };
        match aside(path, &loser, self.author(seconds), |path| self.row(path).cloned()) {
            Aside::Kept(name, entry) => {
                let Some(node) = self.disk.get(path).cloned() else { return false };
                if self.disk.get(&name).is_some() {
                    return false;
                }
                self.disk.put(&name, node);
                self.synced(&name);
                self.write_row(&name, entry);
                true
            }
            Aside::There(name, entry) => {
                self.write_row(&name, entry);
                true
            }
            Aside::Known => true,
            Aside::Nowhere => false,
        }
    }

    /// What is at this path is on the disk before its row is written; what else the user did may not be.
    fn synced(&mut self, path: &TreePath) {
        for state in &mut self.states {
            state.clear_way(path);
            if let Some(node) = self.disk.get(path) {
                state.put(path, node.clone());
            }
        }
    }

    /// Everything so far is on the disk.
    pub(super) fn sync(&mut self) {
        self.states = vec![self.disk.clone()];
        self.clean = self.sequence;
    }

    /// The machine stops without warning and starts again: its disk is as it was at some moment since the last sync.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        self.states.push(self.disk.clone());
        if let Some(state) = rng.choice(std::mem::take(&mut self.states)) {
            self.disk = state;
        }
        self.states = vec![self.disk.clone()];
        self.suspect_after = Some(self.clean);
    }

    /// The index is lost, or an old one is there in its place.
    pub(super) fn lose_index(&mut self, old: bool) {
        let rows = if old { self.saved.clone() } else { BTreeMap::new() };
        self.saved = std::mem::replace(&mut self.rows, rows);
        // It was clean at another time.
        self.clean = 0;
        self.heard.fill(Heard::default());
        self.renew_device();
    }

    /// The first path whose entry does not say what is on the disk.
    pub(super) fn untrue(&self) -> Option<TreePath> {
        let paths = self.disk.paths().chain(self.rows.keys());
        paths.into_iter().find(|path| !self.is_as_known(path)).cloned()
    }
}
