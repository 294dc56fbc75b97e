//! One content that comes from several members, against a model that is simple enough to be believed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use orchestra::logic::sync::gather::Gather;
use orchestra::time::Moment;

use super::script::Script;

/// The most chunks of a content here.
const CHUNKS_MAX: usize = 24;
/// How many members there are.
const SOURCES: usize = 4;

/// How long a member has for what it was asked for, until somebody else takes over.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a member has, as far as it said.
enum Held {
    All,
    Some(BTreeSet<usize>),
}

/// Which chunks are where.
struct Model {
    here: BTreeSet<usize>,
    asked: BTreeMap<usize, (u64, Moment)>,
    held: BTreeMap<u64, Held>,
}

/// Whatever members say and in whatever order: a chunk is asked only of who has it, of one at a time, and not when it is
/// here; what can be asked for is; and somebody else takes over only what is late.
pub fn gather(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let count = script.below(CHUNKS_MAX);
    let seed = u64::from(script.byte());
    let mask = script.bytes(CHUNKS_MAX / 8).to_vec();
    let is_here = |at: usize| mask.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
    let mut gather = Gather::new(count, is_here, seed);
    let here = (0..count).filter(|&at| is_here(at)).collect();
    let mut model = Model { here, asked: BTreeMap::new(), held: BTreeMap::new() };
    let mut now = Moment::from_micros(0);
    while !script.is_over() {
        let kind = script.byte();
        let source = u64::from(kind >> 4) % SOURCES as u64;
        match kind % 8 {
            0 => {
                gather.holds_all(source);
                model.held.insert(source, Held::All);
            }
            1 => {
                let (first, some) = (place(&mut script), place(&mut script));
                gather.holds(source, first, some);
                let held = model.held.entry(source).or_insert_with(|| Held::Some(BTreeSet::new()));
                if let Held::Some(held) = held {
                    held.extend((0..count).filter(|&at| at >= first && at - first < some));
                }
            }
            2 => {
                gather.gone(source);
                model.held.remove(&source);
                model.asked.retain(|_, (asked, _)| *asked != source);
            }
            3 => {
                let at = place(&mut script);
                gather.came(at);
                if at < count {
                    model.here.insert(at);
                    model.asked.remove(&at);
                }
            }
            4 => {
                let at = place(&mut script);
                gather.lacking(source, at);
                model.lacks(source, at);
            }
            5 => now = now + Duration::from_secs(script.byte().into()),
            6 => {
                let taken = gather.take_over(source, now, PATIENCE);
                model.may_take_over(source, taken, now);
                if let Some(at) = taken {
                    model.asked.insert(at, (source, now));
                }
            }
            _ => {
                let next = gather.next(source, now);
                model.is_right(source, count, next);
                if let Some(at) = next {
                    model.asked.insert(at, (source, now));
                }
            }
        }
        assert_eq!(gather.missing(), count - model.here.len());
        assert_eq!(gather.has_sources(), !model.held.is_empty());
    }
}

impl Model {
    fn lacks(&mut self, source: u64, at: usize) {
        if self.asked.get(&at).is_some_and(|(asked, _)| *asked == source) {
            self.asked.remove(&at);
        }
        match self.held.get_mut(&source) {
            Some(Held::Some(held)) => drop(held.remove(&at)),
            Some(Held::All) => drop(self.held.remove(&source)),
            None => {}
        }
    }

    fn has(&self, source: u64, at: usize) -> bool {
        match self.held.get(&source) {
            Some(Held::All) => true,
            Some(Held::Some(held)) => held.contains(&at),
            None => false,
        }
    }

    /// Whether this is what this member may take over: the newest of what is late.
    fn may_take_over(&self, source: u64, taken: Option<usize>, now: Moment) {
        let late = self.asked.iter().filter(|&(&at, &(asked, since))| {
            asked != source && now.since(since) >= PATIENCE && self.has(source, at)
        });
        let newest = late.map(|(_, (_, since))| *since).max();
        assert_eq!(taken.and_then(|at| self.asked.get(&at)).map(|(_, since)| *since), newest);
    }

    /// Whether this is what may be asked of this member next.
    fn is_right(&self, source: u64, count: usize, next: Option<usize>) {
        let is_missing = |at: &usize| !self.here.contains(at) && !self.asked.contains_key(at);
        let has = |at: &usize| self.has(source, *at);
        let possible: BTreeSet<usize> = (0..count).filter(is_missing).filter(has).collect();
        let Some(at) = next else {
            assert!(possible.is_empty(), "{possible:?} could be asked of {source}");
            return;
        };
        assert!(possible.contains(&at), "{at} is not among {possible:?}");
        let others =
            |at: &usize| self.held.values().any(|held| matches!(held, Held::Some(held) if held.contains(at)));
        if matches!(self.held.get(&source), Some(Held::All)) && others(&at) {
            assert!(possible.iter().all(others), "what nobody else has comes first");
        }
    }
}

/// A place in the content, or beyond its end, or far beyond.
fn place(script: &mut Script<'_>) -> usize {
    match script.byte() {
        255 => usize::MAX,
        byte => usize::from(byte) % (CHUNKS_MAX + 2),
    }
}
