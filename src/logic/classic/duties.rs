//! What a classic link says next.
//!
//! Our questions, one at a time: first which parts the other side has, and now and then again, for it does not tell by
//! itself; between, the parts that the swarm wants.
//! The answers to the other side's questions: a part that is not here is not refused at once, because an original member
//! that was refused asks nothing more on that link. It is given as soon as it has come, and refused after
//! [`CLASSIC_KEPT_PATIENCE`]. If then nothing is asked for a while, the link is of no more use to the other side: it ends,
//! so that there can be another one.
//!
//! A link whose other side leaves our question unanswered for very long ends as well, whatever else it says, or half says.
//!
//! It does not know which parts are here, nor whose turn it is to be sent one.

use std::collections::VecDeque;
use std::time::Duration;

use super::session::Question;
use super::sets;
use crate::limits::{
    CLASSIC_ANSWER_PATIENCE, CLASSIC_KEPT_PATIENCE, CLASSIC_LIST_INTERVAL, CLASSIC_LIST_INTERVAL_COMPLETE,
    CLASSIC_LIST_PAUSE, CLASSIC_MUTE_PATIENCE, LANDING_RATE_MIN,
};
use crate::part::{Layout, PartIndex, Run};
use crate::time::Moment;
use crate::wire::classic::Subject;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Ask this.
    Ask(Question),
    /// Tell which parts are here.
    TellList(Subject),
    /// Say that this part does not come.
    Deny(Subject, PartIndex),
    /// Say that this composition is not shared here.
    Disown(Subject),
    /// End the link: the other side asks nothing more on it.
    End,
    /// End the link: the other side does not answer.
    GiveUp,
}

/// See the module.
#[derive(Debug)]
pub struct Duties {
    layout: Layout,
    /// What the swarm wants of the other side and was not asked yet, oldest first.
    wanted: VecDeque<Run>,
    /// What was asked and not answered, and how long that may stay so.
    asked: Option<(Question, Moment)>,
    /// When the list is asked for, if that is not under way.
    list_due: Moment,
    /// The other side's questions, oldest first. Invariant: at most as many as the session lets through.
    owed: VecDeque<Owed>,
    list_told: Option<Moment>,
    /// When it was last refused a part, if it has asked for none since.
    denied: Option<Moment>,
}

#[derive(Clone, Debug)]
enum Owed {
    List(Subject),
    Part(Subject, PartIndex, Moment),
    Other(Subject),
}

impl Duties {
    /// The duties of a new link of a composition with this layout: the list is asked for at once.
    #[must_use]
    pub const fn new(layout: Layout) -> Duties {
        Duties {
            layout,
            wanted: VecDeque::new(),
            asked: None,
            list_due: Moment::START,
            owed: VecDeque::new(),
            list_told: None,
            denied: None,
        }
    }

    /// The swarm wants these.
    pub fn want(&mut self, run: Run) {
        self.wanted.push_back(run);
    }

    /// The swarm no longer needs these. Returns those that were not asked for yet, and will not be.
    pub fn cancel(&mut self, run: Run) -> Vec<Run> {
        let mut cancelled = Vec::new();
        let mut kept = VecDeque::with_capacity(self.wanted.len() + 1);
        for wanted in self.wanted.drain(..) {
            match wanted.intersect(run) {
                None => kept.push_back(wanted),
                Some(common) => {
                    cancelled.push(common);
                    kept.extend(wanted.minus(common).into_iter().flatten());
                }
            }
        }
        self.wanted = kept;
        cancelled
    }

    /// Our question was answered; `complete` if neither side, or only one of them, can hold anything new soon.
    pub fn on_answer(&mut self, now: Moment, complete: bool) {
        if matches!(self.asked.take(), Some((Question::List, _))) {
            let interval = if complete { CLASSIC_LIST_INTERVAL_COMPLETE } else { CLASSIC_LIST_INTERVAL };
            self.list_due = now + interval.max(sets::pause_of_link(self.layout));
        }
    }

    /// The other side asks which parts are here.
    pub fn on_list_asked(&mut self, subject: Subject) {
        self.owed.push_back(Owed::List(subject));
    }

    /// It asks for this part.
    pub fn on_part_asked(&mut self, now: Moment, subject: Subject, part: PartIndex) {
        self.denied = None;
        self.owed.push_back(Owed::Part(subject, part, now));
    }

    /// It asks for something that is not shared here.
    pub fn on_other_asked(&mut self, subject: Subject) {
        self.owed.push_back(Owed::Other(subject));
    }

    /// The next words, if there are any to say now; `holds` says which parts are here. They pass before parts.
    pub fn next(&mut self, now: Moment, holds: impl Fn(PartIndex) -> bool) -> Option<Deed> {
        if let Some(question) = self.next_question(now) {
            self.asked = Some((question, now + self.patience(question)));
            return Some(Deed::Ask(question));
        }
        if self.asked.is_some_and(|(_, until)| now >= until) {
            return Some(Deed::GiveUp);
        }
        if let Some(deed) = self.next_answer(now, holds) {
            return Some(deed);
        }
        let is_mute = self.denied.is_some_and(|since| now.since(since) >= CLASSIC_MUTE_PATIENCE);
        let is_useless = self.wanted.is_empty()
            && !matches!(self.asked, Some((Question::Part(_), _)))
            && self.owed.is_empty();
        (is_mute && is_useless).then_some(Deed::End)
    }

    /// The oldest question for a part that is here, if there is any.
    pub fn next_part(&self, holds: impl Fn(PartIndex) -> bool) -> Option<PartIndex> {
        self.owed.iter().find_map(|owed| match owed {
            Owed::Part(_, part, _) if holds(*part) => Some(*part),
            _ => None,
        })
    }

    /// The oldest question for this part is answered now. Returns how it was spelled.
    pub fn give(&mut self, part: PartIndex) -> Option<Subject> {
        let place =
            self.owed.iter().position(|owed| matches!(owed, Owed::Part(_, asked, _) if *asked == part));
        match self.owed.remove(place?)? {
            Owed::Part(subject, ..) | Owed::List(subject) | Owed::Other(subject) => Some(subject),
        }
    }

    /// When to look again if nothing else happens.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        let question = self.asked.map_or(self.list_due, |(_, until)| until);
        let owed = self.owed.iter().map(|owed| match owed {
            Owed::List(_) => self.list_told.map_or(Moment::START, |told| told + self.list_pause()),
            Owed::Part(_, _, since) => *since + CLASSIC_KEPT_PATIENCE,
            Owed::Other(_) => Moment::START,
        });
        let mute = self.denied.map(|since| since + CLASSIC_MUTE_PATIENCE);
        owed.chain([question]).chain(mute).min()
    }

    /// How long an answer to this question may take until it is whole.
    fn patience(&self, question: Question) -> Duration {
        match question {
            Question::List => CLASSIC_ANSWER_PATIENCE,
            Question::Part(part) => {
                let len = u64::from(self.layout.len_of(part));
                CLASSIC_ANSWER_PATIENCE + Duration::from_secs(len / LANDING_RATE_MIN)
            }
        }
    }

    /// How often the list is told at most.
    fn list_pause(&self) -> Duration {
        CLASSIC_LIST_PAUSE.max(sets::pause_of_link(self.layout))
    }

    fn next_question(&mut self, now: Moment) -> Option<Question> {
        if self.asked.is_some() {
            return None;
        }
        if now >= self.list_due {
            return Some(Question::List);
        }
        let (first, rest) = self.wanted.pop_front()?.split_at(1);
        if let Some(rest) = rest {
            self.wanted.push_front(rest);
        }
        Some(Question::Part(first.first()))
    }

    fn next_answer(&mut self, now: Moment, holds: impl Fn(PartIndex) -> bool) -> Option<Deed> {
        let (list_told, list_pause) = (self.list_told, self.list_pause());
        let is_due = |owed: &Owed| match owed {
            Owed::Other(_) => true,
            Owed::List(_) => list_told.is_none_or(|told| now.since(told) >= list_pause),
            Owed::Part(_, part, since) => now.since(*since) >= CLASSIC_KEPT_PATIENCE && !holds(*part),
        };
        let place = self.owed.iter().position(is_due)?;
        Some(match self.owed.remove(place)? {
            Owed::Other(subject) => Deed::Disown(subject),
            Owed::List(subject) => {
                self.list_told = Some(now);
                Deed::TellList(subject)
            }
            Owed::Part(subject, part, _) => {
                self.denied = Some(now);
                Deed::Deny(subject, part)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::limits::{LINKS_MAX, PARTS_MAX};
    use crate::name::Name;
    use proptest::prelude::*;

    const NOW: Moment = Moment::from_micros(1_000_000_000);

    fn layout() -> Layout {
        Layout::new(100, 1).unwrap()
    }

    fn run(first: u32, count: u32) -> Run {
        layout().run(first, count).unwrap()
    }

    fn part(index: u32) -> PartIndex {
        layout().part(index).unwrap()
    }

    fn subject() -> Subject {
        Subject::new(&Name::parse("a").unwrap(), Digest::of(b"a"))
    }

    fn none(_: PartIndex) -> bool {
        false
    }

    /// Duties of a link whose list was told.
    fn introduced() -> Duties {
        let mut duties = Duties::new(layout());
        assert_eq!(duties.next(NOW, none), Some(Deed::Ask(Question::List)));
        assert_eq!(duties.next(NOW, none), None);
        duties.on_answer(NOW, false);
        duties
    }

    #[test]
    fn one_question_at_a_time() {
        let mut duties = introduced();
        duties.want(run(3, 2));
        duties.want(run(50, 1));
        for index in [3, 4, 50] {
            assert_eq!(duties.next(NOW, none), Some(Deed::Ask(Question::Part(part(index)))));
            assert_eq!(duties.next(NOW, none), None, "it waits for the answer");
            duties.on_answer(NOW, false);
        }
        assert_eq!(duties.next(NOW, none), None);
        assert_eq!(duties.deadline(), Some(NOW + CLASSIC_LIST_INTERVAL));
    }

    #[test]
    fn the_list_is_asked_for_again_between_parts() {
        let mut duties = introduced();
        duties.want(run(0, 10));
        let later = NOW + CLASSIC_LIST_INTERVAL;
        assert_eq!(duties.next(NOW, none), Some(Deed::Ask(Question::Part(part(0)))));
        assert_eq!(duties.next(later, none), None);
        duties.on_answer(later, false);
        assert_eq!(duties.next(later, none), Some(Deed::Ask(Question::List)));
        duties.on_answer(later, true);
        assert_eq!(
            duties.next(later + CLASSIC_LIST_INTERVAL, none),
            Some(Deed::Ask(Question::Part(part(1))))
        );
    }

    #[test]
    fn what_is_cancelled_is_not_asked_for() {
        let mut duties = introduced();
        duties.want(run(0, 10));
        assert_eq!(duties.next(NOW, none), Some(Deed::Ask(Question::Part(part(0)))));
        assert_eq!(duties.cancel(run(0, 3)), [run(1, 2)], "the first one was asked for");
        assert_eq!(duties.cancel(run(5, 2)), [run(5, 2)]);
        assert_eq!(duties.cancel(run(5, 2)), [], "once");
        let mut rest = Vec::new();
        for _ in 0..5 {
            duties.on_answer(NOW, false);
            rest.push(duties.next(NOW, none));
        }
        assert_eq!(rest, [3, 4, 7, 8, 9].map(|index| Some(Deed::Ask(Question::Part(part(index))))));
    }

    #[test]
    fn a_question_for_what_is_not_here_is_kept_for_a_while() {
        let mut duties = introduced();
        duties.on_part_asked(NOW, subject(), part(7));
        duties.on_part_asked(NOW, subject(), part(8));
        let soon = NOW + (CLASSIC_KEPT_PATIENCE - Duration::from_millis(1));
        duties.list_due = NOW + CLASSIC_KEPT_PATIENCE * 9;
        assert_eq!((duties.next(soon, none), duties.next_part(none)), (None, None));
        assert_eq!(duties.next_part(|held| held == part(8)), Some(part(8)), "it has come");
        assert_eq!(duties.give(part(8)), Some(subject()));
        assert_eq!(duties.give(part(8)), None);
        let late = NOW + CLASSIC_KEPT_PATIENCE;
        assert_eq!(duties.deadline(), Some(late));
        assert_eq!(duties.next(late, |_| true), None, "what is here is given, however late");
        assert_eq!(duties.next(late, none), Some(Deed::Deny(subject(), part(7))));
        assert_eq!(duties.next(late, none), None, "once");
    }

    #[test]
    fn a_link_on_which_nothing_is_asked_after_a_refusal_ends() {
        let mut duties = introduced();
        duties.on_part_asked(NOW, subject(), part(7));
        duties.list_due = NOW + CLASSIC_KEPT_PATIENCE * 9;
        let denied = NOW + CLASSIC_KEPT_PATIENCE;
        assert_eq!(duties.next(denied, none), Some(Deed::Deny(subject(), part(7))));
        let mute = denied + CLASSIC_MUTE_PATIENCE;
        assert_eq!(duties.deadline(), Some(mute));
        duties.want(run(0, 1));
        assert_eq!(duties.next(mute, none), Some(Deed::Ask(Question::Part(part(0)))));
        assert_eq!(duties.next(mute, none), None, "we have something to ask");
        duties.on_answer(mute, false);
        assert_eq!(duties.next(mute, none), Some(Deed::End));
        duties.on_part_asked(mute, subject(), part(9));
        assert_eq!(duties.next(mute, none), None, "it asks again after all");
        assert_eq!(duties.give(part(9)), Some(subject()));
        assert_eq!(duties.next(mute, none), None);
    }

    #[test]
    fn a_flood_of_questions_for_the_list_is_answered_slowly() {
        let mut duties = introduced();
        (0..3).for_each(|_| duties.on_list_asked(subject()));
        duties.on_other_asked(subject());
        assert_eq!(duties.next(NOW, none), Some(Deed::TellList(subject())));
        assert_eq!(duties.next(NOW, none), Some(Deed::Disown(subject())), "others need not wait for it");
        assert_eq!(duties.next(NOW, none), None);
        assert_eq!(duties.deadline(), Some(NOW + CLASSIC_LIST_PAUSE));
        assert_eq!(duties.next(NOW + CLASSIC_LIST_PAUSE, none), Some(Deed::TellList(subject())));
    }

    #[test]
    fn who_does_not_answer_is_left() {
        let mut duties = Duties::new(layout());
        duties.next(NOW, none);
        let late = NOW + CLASSIC_ANSWER_PATIENCE;
        assert_eq!(duties.deadline(), Some(late));
        // Whatever else it asks.
        let soon = NOW + (CLASSIC_ANSWER_PATIENCE - Duration::from_millis(1));
        duties.on_list_asked(subject());
        assert_eq!(duties.next(soon, none), Some(Deed::TellList(subject())));
        duties.on_list_asked(subject());
        assert_eq!(duties.next(late, none), Some(Deed::GiveUp));
        duties.on_answer(late, false);
        assert_eq!(
            duties.next(late + CLASSIC_LIST_PAUSE, none),
            Some(Deed::TellList(subject())),
            "it answered"
        );
    }

    #[test]
    fn a_long_part_may_take_long() {
        let layout = Layout::new(32 << 20, 16 << 20).unwrap();
        let mut duties = Duties::new(layout);
        duties.next(NOW, none);
        duties.on_answer(NOW, false);
        duties.want(layout.run(0, 1).unwrap());
        assert_eq!(duties.next(NOW, none), Some(Deed::Ask(Question::Part(layout.part(0).unwrap()))));
        let at_least = CLASSIC_ANSWER_PATIENCE + Duration::from_secs((16 << 20) / LANDING_RATE_MIN);
        assert_eq!(duties.next(NOW + (at_least - Duration::from_secs(1)), none), None);
        assert_eq!(duties.next(NOW + at_least, none), Some(Deed::GiveUp));
    }

    /// Sets of many parts cost much, so they are asked for and told more seldom: all links together within the pause.
    #[test]
    fn large_sets_are_asked_for_and_told_seldom() {
        let layout = Layout::new(PARTS_MAX.into(), 1).unwrap();
        let pause = sets::pause(layout) * u32::try_from(LINKS_MAX).unwrap();
        assert!(pause > CLASSIC_LIST_INTERVAL_COMPLETE);
        let mut duties = Duties::new(layout);
        (0..2).for_each(|_| duties.on_list_asked(subject()));
        assert_eq!(duties.next(NOW, none), Some(Deed::Ask(Question::List)), "at once");
        assert_eq!(duties.next(NOW, none), Some(Deed::TellList(subject())), "at once");
        duties.on_answer(NOW, false);
        let soon = NOW + (pause - Duration::from_millis(1));
        assert_eq!(duties.next(soon, none), None);
        assert_eq!(duties.deadline(), Some(NOW + pause));
        assert_eq!(duties.next(NOW + pause, none), Some(Deed::Ask(Question::List)));
        assert_eq!(duties.next(NOW + pause, none), Some(Deed::TellList(subject())));
    }

    proptest! {
        /// Every part that the swarm wants is asked for or given back, once; every question is answered once.
        #[test]
        fn nothing_is_lost_or_doubled(
            steps in proptest::collection::vec((0u8..6, 0u32..100, 1u32..20), 0..60), held in any::<u64>(),
        ) {
            let mut duties = Duties::new(layout());
            let mut now = NOW;
            let (mut wanted, mut asked, mut returned) = (0, 0, 0);
            let (mut questions, mut answers) = (0, 0);
            let holds = |part: PartIndex| held >> (part.get() % 64) & 1 == 1;
            for (kind, first, count) in steps {
                let run = run(first, count.min(100 - first));
                match kind {
                    0 => { wanted += run.count(); duties.want(run); }
                    1 => returned += duties.cancel(run).into_iter().map(Run::count).sum::<u32>(),
                    2 => { questions += 1; duties.on_part_asked(now, subject(), run.first()); }
                    3 => { questions += 1; duties.on_list_asked(subject()); }
                    4 => duties.on_answer(now, first > 50),
                    _ => now = now + Duration::from_millis(u64::from(count) * 500),
                }
                while let Some(deed) = duties.next(now, holds) {
                    match deed {
                        Deed::Ask(Question::Part(_)) => asked += 1,
                        Deed::Ask(Question::List) => {}
                        Deed::End | Deed::GiveUp => break,
                        Deed::TellList(_) | Deed::Deny(..) | Deed::Disown(_) => answers += 1,
                    }
                }
                while let Some(part) = duties.next_part(holds) {
                    prop_assert!(holds(part) && duties.give(part).is_some());
                    answers += 1;
                }
            }
            let waits = duties.wanted.iter().map(|run| run.count()).sum::<u32>();
            prop_assert_eq!(wanted, asked + returned + waits);
            prop_assert_eq!(questions, answers + duties.owed.len());
        }
    }
}
