//! What the database does next, when more waits for it than it can do at once.
//!
//! What is asked waits behind what the same source has asked before, and sources take turns: whoever asks without end
//! waits behind themselves. Kinds of work take turns as well, for a span each, so that neither those who search nor those
//! who publish keep others from logging in. It knows neither the database nor who hears the answers.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::limits::{
    DATABASE_BATCH, DATABASE_QUEUE, DATABASE_TURN_SPAN, QUESTIONS_WAITING_PER_SOURCE, REPORTS_WAITING_MAX,
};
use crate::time::Moment;

/// How work is done. The order is that of their turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is looked up: accounts, sessions, what is known by its name.
    Lookup,
    /// It may walk over all listings.
    Walk,
    /// It changes something: many together, in one transaction.
    Write,
}

/// Whose work it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asker {
    /// Somebody at this [source of connections](crate::logic::addresses::source_of).
    Source(IpAddr),
    /// The conductor's own thread, with what was reported to it.
    Conductor,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn<T> {
    /// Read this.
    Read(T),
    /// Write all of these: at least one, at most [`DATABASE_BATCH`].
    Write(Vec<T>),
}

/// See the module.
#[derive(Debug)]
pub struct Turns<T> {
    /// By [`Kind`].
    queues: [Queue<T>; 3],
    /// Invariant: the sum of what waits in `queues`, at most [`DATABASE_QUEUE`].
    waiting: usize,
    /// The kind whose turn it is, and when that turn began, if it has.
    kind: Kind,
    since: Option<Moment>,
}

#[derive(Debug)]
struct Queue<T> {
    /// Invariant: nobody is here with nothing.
    work: HashMap<Asker, VecDeque<T>>,
    /// Who is in `work`, each once, in the order of their turns.
    askers: VecDeque<Asker>,
}

impl<T> Default for Turns<T> {
    fn default() -> Turns<T> {
        Turns {
            queues: [Queue::new(), Queue::new(), Queue::new()],
            waiting: 0,
            kind: Kind::Lookup,
            since: None,
        }
    }
}

impl<T> Turns<T> {
    /// Nothing waits.
    #[must_use]
    pub fn new() -> Turns<T> {
        Turns::default()
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Has this wait for its turn.
    ///
    /// # Errors
    /// Too much waits, of this asker and kind or in all: here it is again.
    pub fn push(&mut self, asker: Asker, kind: Kind, work: T) -> Result<(), T> {
        let queue = &mut self.queues[kind as usize];
        let most = match asker {
            Asker::Source(_) => QUESTIONS_WAITING_PER_SOURCE,
            Asker::Conductor => REPORTS_WAITING_MAX,
        };
        if self.waiting >= DATABASE_QUEUE || queue.work.get(&asker).map_or(0, VecDeque::len) >= most {
            return Err(work);
        }
        queue.push(asker, work);
        self.waiting += 1;
        Ok(())
    }

    /// Nobody wants to know any more what comes of this work of an asker.
    pub fn forget(&mut self, asker: Asker, is_it: impl Fn(&T) -> bool) {
        for queue in &mut self.queues {
            self.waiting -= queue.forget(asker, &is_it);
        }
    }

    /// What is to be done now, if anything waits.
    pub fn next(&mut self, now: Moment) -> Option<Turn<T>> {
        if self.is_empty() {
            return None;
        }
        // Whoever begins its turn may do something, however late it is.
        let is_over = self.since.is_some_and(|since| now >= since + DATABASE_TURN_SPAN);
        if is_over {
            self.pass_on();
        }
        while self.queues[self.kind as usize].askers.is_empty() {
            self.pass_on();
        }
        self.since.get_or_insert(now);
        let queue = &mut self.queues[self.kind as usize];
        if self.kind != Kind::Write {
            self.waiting -= 1;
            return queue.pop().map(Turn::Read);
        }
        let batch: Vec<T> = std::iter::from_fn(|| queue.pop()).take(DATABASE_BATCH).collect();
        self.waiting -= batch.len();
        self.pass_on();
        Some(Turn::Write(batch))
    }

    const fn pass_on(&mut self) {
        self.since = None;
        self.kind = match self.kind {
            Kind::Lookup => Kind::Walk,
            Kind::Walk => Kind::Write,
            Kind::Write => Kind::Lookup,
        };
    }
}

impl<T> Queue<T> {
    fn new() -> Queue<T> {
        Queue { work: HashMap::new(), askers: VecDeque::new() }
    }

    fn push(&mut self, asker: Asker, work: T) {
        let waiting = self.work.entry(asker).or_default();
        if waiting.is_empty() {
            self.askers.push_back(asker);
        }
        waiting.push_back(work);
    }

    fn pop(&mut self) -> Option<T> {
        let asker = self.askers.pop_front()?;
        let waiting = self.work.get_mut(&asker)?;
        let work = waiting.pop_front();
        if waiting.is_empty() {
            self.work.remove(&asker);
        } else {
            self.askers.push_back(asker);
        }
        work
    }

    /// How much was forgotten.
    fn forget(&mut self, asker: Asker, is_it: impl Fn(&T) -> bool) -> usize {
        let Some(waiting) = self.work.get_mut(&asker) else { return 0 };
        let before = waiting.len();
        waiting.retain(|work| !is_it(work));
        let forgotten = before - waiting.len();
        if waiting.is_empty() {
            self.work.remove(&asker);
            self.askers.retain(|other| *other != asker);
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    const NOW: Moment = Moment::from_micros(1_000_000);

    fn source(number: u8) -> Asker {
        Asker::Source(IpAddr::from([192, 0, 2, number]))
    }

    fn read(turns: &mut Turns<u32>, now: Moment) -> Option<u32> {
        match turns.next(now)? {
            Turn::Read(work) => Some(work),
            Turn::Write(batch) => panic!("{batch:?} is not read"),
        }
    }

    #[test]
    fn who_asks_without_end_waits_behind_themselves() {
        let mut turns = Turns::new();
        let taken = (0..1_000).filter(|&n| turns.push(source(1), Kind::Walk, n).is_ok()).count();
        assert_eq!(taken, QUESTIONS_WAITING_PER_SOURCE);
        turns.push(source(2), Kind::Walk, 2_000).unwrap();
        turns.push(source(3), Kind::Walk, 3_000).unwrap();
        let first: Vec<u32> = (0..5).map(|_| read(&mut turns, NOW).unwrap()).collect();
        assert_eq!(first, [0, 2_000, 3_000, 1, 2]);
        // Their other questions wait in another line.
        turns.push(source(1), Kind::Lookup, 4_000).unwrap();
        assert!(std::iter::from_fn(|| read(&mut turns, NOW)).any(|work| work == 4_000));
    }

    #[test]
    fn a_class_behind_one_address_asks_at_once() {
        let mut turns = Turns::new();
        assert!((0..50).all(|n| turns.push(source(1), Kind::Walk, n).is_ok()));
        assert!(std::iter::from_fn(|| read(&mut turns, NOW)).eq(0..50));
    }

    #[test]
    fn no_kind_of_work_keeps_others_from_their_turn() {
        let mut turns = Turns::new();
        let mut now = NOW;
        let refill = |turns: &mut Turns<Kind>| {
            for kind in [Kind::Lookup, Kind::Walk, Kind::Write] {
                while turns.push(source(1), kind, kind).is_ok() {}
            }
        };
        // Each of these takes longer than a turn.
        let mut done = Vec::new();
        for _ in 0..6 {
            refill(&mut turns);
            done.push(match turns.next(now).unwrap() {
                Turn::Read(kind) => (kind, 1),
                Turn::Write(batch) => (batch[0], batch.len()),
            });
            now = now + 2 * DATABASE_TURN_SPAN;
        }
        let all = QUESTIONS_WAITING_PER_SOURCE;
        let round = [(Kind::Lookup, 1), (Kind::Walk, 1), (Kind::Write, all)];
        assert_eq!(done, [round, round].concat());
        // What takes less is done together; but of what is written no second batch, however much waits again.
        let mut turns = Turns::new();
        let step = DATABASE_TURN_SPAN / 4;
        let mut kinds = Vec::new();
        for n in 0..18 {
            refill(&mut turns);
            match turns.next(NOW + step * n).unwrap() {
                Turn::Read(kind) => kinds.push(kind),
                Turn::Write(batch) => kinds.push(batch[0]),
            }
        }
        let round = [[Kind::Lookup; 4].as_slice(), &[Kind::Walk; 4], &[Kind::Write]].concat();
        assert_eq!(kinds, round.repeat(2));
    }

    #[test]
    fn no_more_waits_than_there_is_room_for() {
        let mut turns = Turns::new();
        let mut taken = 0;
        for number in 0..=u8::MAX {
            for kind in [Kind::Lookup, Kind::Walk, Kind::Write] {
                while turns.push(source(number), kind, number).is_ok() {
                    taken += 1;
                }
            }
        }
        assert_eq!(taken, DATABASE_QUEUE);
        assert_eq!(turns.push(Asker::Conductor, Kind::Write, 7), Err(7), "here it is again");
        // What is done or forgotten leaves room, for so much and no more.
        assert_eq!(turns.next(NOW), Some(Turn::Read(0)));
        assert_eq!(turns.push(Asker::Conductor, Kind::Write, 7), Ok(()));
        assert_eq!(turns.push(Asker::Conductor, Kind::Write, 7), Err(7));
        turns.forget(Asker::Conductor, |_| true);
        assert_eq!(turns.push(Asker::Conductor, Kind::Write, 7), Ok(()));
        assert_eq!(turns.push(Asker::Conductor, Kind::Write, 7), Err(7));
    }

    #[test]
    fn writes_of_many_go_together_and_reports_fill_what_is_left() {
        let mut turns = Turns::new();
        while turns.push(Asker::Conductor, Kind::Write, 0).is_ok() {}
        for number in 1..=200 {
            turns.push(source(number), Kind::Write, u32::from(number)).unwrap();
        }
        let Some(Turn::Write(batch)) = turns.next(NOW) else { panic!() };
        assert_eq!(batch.len(), DATABASE_BATCH);
        assert!((1..=200).all(|number| batch.contains(&number)), "nobody waits behind the reports");
    }

    #[test]
    fn what_nobody_waits_for_is_not_done() {
        let mut turns = Turns::new();
        for kind in [Kind::Lookup, Kind::Walk, Kind::Write] {
            for n in 0..10 {
                turns.push(source(1), kind, (kind, n)).unwrap();
                turns.push(source(2), kind, (kind, n)).unwrap();
            }
        }
        turns.forget(source(1), |_| true);
        turns.forget(source(2), |&(_, n)| n != 7);
        turns.forget(source(3), |_| true);
        let left =
            [Turn::Read((Kind::Lookup, 7)), Turn::Read((Kind::Walk, 7)), Turn::Write(vec![(Kind::Write, 7)])];
        assert_eq!(std::iter::from_fn(|| turns.next(NOW)).collect::<Vec<_>>(), left);
        assert!(turns.is_empty());
    }

    proptest! {
        #[test]
        fn all_that_was_taken_and_not_forgotten_is_done_once_in_the_order_of_its_source(
            steps in proptest::collection::vec((0u8..4, 0u8..16, 0u64..30), 0..600)
        ) {
            let (mut turns, mut now) = (Turns::new(), NOW);
            let (mut taken, mut done) = (Vec::<(u8, u8, usize)>::new(), Vec::new());
            let run = |turns: &mut Turns<(u8, u8, usize)>, now, done: &mut Vec<_>| match turns.next(now) {
                None => false,
                Some(Turn::Read(work)) => { done.push(work); true }
                Some(Turn::Write(batch)) => { done.extend(batch); true }
            };
            for (n, (from, what, pause)) in steps.into_iter().enumerate() {
                now = now + Duration::from_millis(pause);
                match what {
                    0..4 => {
                        run(&mut turns, now, &mut done);
                    }
                    4 => {
                        let goes = |&(_, _, n): &(u8, u8, usize)| n % 3 == 0;
                        turns.forget(source(from), goes);
                        taken.retain(|work| work.0 != from || !goes(work) || done.contains(work));
                    }
                    _ => {
                        let kind = [Kind::Lookup, Kind::Walk, Kind::Write][usize::from(what % 3)];
                        let work = (from, what % 3, n);
                        if turns.push(source(from), kind, work).is_ok() {
                            taken.push(work);
                        }
                    }
                }
                prop_assert_eq!(turns.waiting, taken.len() - done.len());
            }
            while run(&mut turns, now, &mut done) {}
            prop_assert!(turns.is_empty() && turns.queues.iter().all(|queue| queue.work.is_empty()));
            // The same, and of one source and kind in the same order.
            done.sort_by_key(|&(from, kind, _)| (from, kind));
            taken.sort_by_key(|&(from, kind, _)| (from, kind));
            prop_assert_eq!(done, taken);
        }
    }
}
