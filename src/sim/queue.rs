//! What will happen, in the order of its time; what falls on the same moment happens in the order of its making.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::time::Moment;

/// Events that are to come.
#[derive(Debug)]
pub(super) struct Queue<E> {
    heap: BinaryHeap<Entry<E>>,
    made: u64,
}

#[derive(Debug)]
struct Entry<E> {
    when: Moment,
    number: u64,
    event: E,
}

impl<E> Queue<E> {
    pub(super) const fn new() -> Queue<E> {
        Queue { heap: BinaryHeap::new(), made: 0 }
    }

    /// The event will happen then.
    pub(super) fn at(&mut self, when: Moment, event: E) {
        self.heap.push(Entry { when, number: self.made, event });
        self.made += 1;
    }

    /// The next event.
    pub(super) fn pop(&mut self) -> Option<(Moment, E)> {
        self.heap.pop().map(|entry| (entry.when, entry.event))
    }
}

impl<E> Entry<E> {
    const fn key(&self) -> (Moment, u64) {
        (self.when, self.number)
    }
}

/// The earliest is the greatest, because the heap yields the greatest.
impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Entry<E>) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Entry<E>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Entry<E>) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Entry<E> {}
