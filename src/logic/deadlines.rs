//! Which of many slots is due next, when every wait has one of a few lengths.
//!
//! Slots that wait equally long become due in the order in which they were armed, so each length has a queue
//! and nothing is ever sorted: arming, re-arming and disarming take the same few steps however many wait.
//! This room does not know what a slot stands for.

use std::time::Duration;

use crate::time::Moment;

/// Deadlines are kept in steps of this length, rounded up: 32 bits then last for 13 years.
const STEP_MICROS: u64 = 100_000;
/// No slot. The numbers of slots stay below it.
const NONE: u32 = u32::MAX;

/// A deadline per slot, and which comes first.
#[derive(Debug)]
pub struct Deadlines {
    queues: Vec<Queue>,
    /// Indexed by slot.
    links: Vec<Link>,
}

/// All slots that wait for one length of time.
/// Invariant: along `next`, the dues never fall.
#[derive(Debug)]
struct Queue {
    wait: Duration,
    first: u32,
    last: u32,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
    due: u32,
    /// The queue that the slot waits in, if any; it takes what alignment leaves over of 16 bytes.
    queue: Option<u8>,
}

const IDLE: Link = Link { previous: NONE, next: NONE, due: 0, queue: None };

impl Deadlines {
    /// Deadlines that are one of these lengths away when they are set.
    ///
    /// # Panics
    /// There are more than 256 lengths.
    #[must_use]
    pub fn new(waits: &[Duration]) -> Deadlines {
        assert!(waits.len() <= 256, "the number of a length fits a byte");
        let queues = waits.iter().map(|&wait| Queue { wait, first: NONE, last: NONE }).collect();
        Deadlines { queues, links: Vec::new() }
    }

    /// Makes the slot due when the wait with this number is over, whatever it waited for before.
    ///
    /// # Panics
    /// There is no wait with this number, or the slot is `u32::MAX`.
    pub fn arm(&mut self, now: Moment, slot: u32, wait: u8) {
        assert!(slot != NONE, "slots are numbered below the mark for none");
        self.disarm(slot);
        self.make_room_for(slot);
        let queue = &mut self.queues[usize::from(wait)];
        let last = queue.last;
        let due = step_of(now + queue.wait).max(self.links.get(last as usize).map_or(0, |link| link.due));
        queue.last = slot;
        if last == NONE {
            queue.first = slot;
        } else {
            self.links[last as usize].next = slot;
        }
        self.links[slot as usize] = Link { previous: last, next: NONE, due, queue: Some(wait) };
    }

    /// The slot waits for nothing any more.
    pub fn disarm(&mut self, slot: u32) {
        let Some(&Link { previous, next, queue: Some(wait), .. }) = self.links.get(slot as usize) else {
            return;
        };
        let queue = &mut self.queues[usize::from(wait)];
        match previous {
            NONE => queue.first = next,
            _ => self.links[previous as usize].next = next,
        }
        match next {
            NONE => queue.last = previous,
            _ => self.links[next as usize].previous = previous,
        }
        self.links[slot as usize] = IDLE;
    }

    /// A slot that is due, the one that waits longest; it stays due until it is armed again or disarmed.
    #[must_use]
    pub fn due(&self, now: Moment) -> Option<u32> {
        self.first().filter(|&(due, _)| moment_of(due) <= now).map(|(_, slot)| slot)
    }

    /// Whether this slot waits for anything.
    #[must_use]
    pub fn is_armed(&self, slot: u32) -> bool {
        self.links.get(slot as usize).is_some_and(|link| link.queue.is_some())
    }

    /// Whether this slot is due.
    #[must_use]
    pub fn is_due(&self, now: Moment, slot: u32) -> bool {
        self.links.get(slot as usize).is_some_and(|link| link.queue.is_some() && moment_of(link.due) <= now)
    }

    /// When the next slot becomes due.
    #[must_use]
    pub fn next(&self) -> Option<Moment> {
        self.first().map(|(due, _)| moment_of(due))
    }

    /// The bytes that this takes of the heap.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.links.capacity() * size_of::<Link>() + self.queues.capacity() * size_of::<Queue>()
    }

    fn first(&self) -> Option<(u32, u32)> {
        let heads = self.queues.iter().filter(|queue| queue.first != NONE);
        heads.map(|queue| (self.links[queue.first as usize].due, queue.first)).min()
    }

    fn make_room_for(&mut self, slot: u32) {
        let len = slot as usize + 1;
        if len > self.links.len() {
            grow_to(&mut self.links, len);
            self.links.resize(len, IDLE);
        }
    }
}

/// Makes room for `len` elements in all. By a sixteenth at a time: doubling would leave up to half of the
/// memory unused, and a sixteenth still moves each element only about seventeen times.
pub(super) fn grow_to<T>(list: &mut Vec<T>, len: usize) {
    if len > list.capacity() {
        let room = len.max(list.capacity() + (list.capacity() / 16).max(8));
        list.reserve_exact(room - list.len());
    }
}

fn step_of(moment: Moment) -> u32 {
    u32::try_from(moment.as_micros().div_ceil(STEP_MICROS)).unwrap_or(u32::MAX)
}

fn moment_of(step: u32) -> Moment {
    Moment::from_micros(u64::from(step) * STEP_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(2)];

    #[test]
    fn a_link_takes_sixteen_bytes() {
        assert_eq!(size_of::<Link>(), 16);
    }

    #[test]
    fn what_is_armed_again_waits_again() {
        let mut deadlines = Deadlines::new(&WAITS);
        let start = Moment::START;
        deadlines.arm(start, 3, 0);
        deadlines.arm(start, 5, 0);
        assert_eq!(deadlines.next(), Some(start + WAITS[0]));
        deadlines.arm(start + WAITS[0], 3, 1);
        assert_eq!(deadlines.due(start + WAITS[0]), Some(5));
        deadlines.disarm(5);
        assert_eq!(deadlines.due(start + WAITS[0]), None);
        assert_eq!(deadlines.next(), Some(start + Duration::from_secs(6)));
    }

    #[derive(Clone, Debug)]
    enum Act {
        Arm(u32, u8),
        Disarm(u32),
        Pass(u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (0u32..20, 0u8..3).prop_map(|(slot, wait)| Act::Arm(slot, wait)),
            (0u32..25).prop_map(Act::Disarm),
            (0u64..3_000_000).prop_map(Act::Pass),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_a_sorted_list(acts in proptest::collection::vec(act(), 0..200)) {
            let (mut deadlines, mut model, mut now) = (Deadlines::new(&WAITS), BTreeMap::new(), Moment::START);
            for act in acts {
                match act {
                    Act::Arm(slot, wait) => {
                        deadlines.arm(now, slot, wait);
                        model.insert(slot, moment_of(step_of(now + WAITS[usize::from(wait)])));
                    }
                    Act::Disarm(slot) => {
                        deadlines.disarm(slot);
                        model.remove(&slot);
                    }
                    Act::Pass(micros) => now = now + Duration::from_micros(micros),
                }
                prop_assert_eq!(deadlines.next(), model.values().min().copied());
                for slot in 0..25 {
                    let due = model.get(&slot).is_some_and(|&due| due <= now);
                    prop_assert_eq!(deadlines.is_due(now, slot), due);
                }
                while let Some(slot) = deadlines.due(now) {
                    prop_assert_eq!(model.remove(&slot), deadlines.next());
                    deadlines.disarm(slot);
                }
            }
        }
    }
}
