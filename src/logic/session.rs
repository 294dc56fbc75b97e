//! What a link does with one message: answer, report, or end.
//!
//! One session stands on each link, beside the reader. It checks every number against the layout and every
//! message against the order that the protocol demands; what comes out can be trusted.
//! It does not know other links, what was asked of this one, or whether bytes are right: the manifest decides
//! about bytes, the swarm about wants.

use std::net::SocketAddr;

use thiserror::Error;

use crate::limits::{HAVE_RUNS_MAX, OWED_RUNS_MAX, PART_LEN_MAX, ROSTER_MAX, WINDOW_BYTES_MAX};
use crate::part::{Layout, Run};
use crate::part_set::PartSet;
use crate::wire::WireError;
use crate::wire::member::{Denial, Have, Hello, Message, Reason, Span};

/// What to do about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// The other side introduced itself.
    Introduced(Hello),
    /// These are all the parts that it holds.
    Holds(PartSet),
    /// It holds these as well.
    HoldsAlso(Vec<Run>),
    /// Serve these parts.
    Serve(Run),
    /// It no longer needs these; answer what is still queued with a refusal.
    Withdraw(Run),
    /// The bytes of these parts follow in the stream.
    Receive(Run),
    /// These will not come.
    Refused(Run, Denial),
    /// Other members listen there.
    Roster(Vec<SocketAddr>),
    /// The other side ends the link.
    Ended(Reason),
}

/// What the other side was asked to and has not yet been sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    /// Bytes of parts.
    pub bytes: u64,
    /// Runs.
    pub runs: u32,
}

/// How the other side broke the protocol. The link ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The bytes are not what the protocol says.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The first message was another one.
    #[error("the first message was not a hello")]
    NoHello,
    /// A second hello.
    #[error("a second hello")]
    SecondHello,
    /// The second message was another one.
    #[error("the parts it holds were expected after its hello")]
    NoFullSet,
    /// A full set after the first.
    #[error("a second full set of parts")]
    SecondFullSet,
    /// A set of parts that does not fit the composition.
    #[error("a set of parts that does not fit the composition")]
    SetShape,
    /// Parts that do not exist.
    #[error("parts {first} to {first}+{count} do not exist")]
    NoSuchParts {
        /// The first of them, counted from 0.
        first: u32,
        /// How many.
        count: u32,
    },
    /// A part that does not exist, by the number that the classic protocol gives it.
    #[error("there is no part {number}")]
    NoSuchNumber {
        /// The number.
        number: u64,
    },
    /// More was asked of us at a time than may be.
    #[error("more was asked for than the window allows")]
    WindowOverrun,
    /// More addresses or runs in one message than may be.
    #[error("a list longer than it may be")]
    ListTooLong,
    /// An answer to what was not asked.
    #[error("parts came or were refused that were not asked for")]
    NotAsked,
    /// The same parts said to be new again and again.
    #[error("more parts were said to be new than there are")]
    StaleNews,
}

/// The protocol's order on one link, as the receiving side sees it.
#[derive(Debug)]
pub struct Session {
    layout: Layout,
    stage: Stage,
    /// How many more parts the other side may say it holds as well. Each is news once, so a short message
    /// that names a million old ones cannot cost us their handling over and over.
    news_left: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Hello,
    FullSet,
    Open,
}

impl Session {
    /// The session of a new link.
    #[must_use]
    pub const fn new(layout: Layout) -> Session {
        Session { layout, stage: Stage::Hello, news_left: layout.parts() }
    }

    /// What to do about the next message; `owed` is what the other side asked for before and was not sent.
    ///
    /// # Errors
    /// The message breaks the protocol; nothing that follows it means anything.
    pub fn on_message(&mut self, message: Message, owed: Owed) -> Result<Reaction, Fault> {
        match (self.stage, message) {
            // A last word may come at any time, so that a refused link learns why.
            (_, Message::Bye(reason)) => Ok(Reaction::Ended(reason)),
            (Stage::Hello, Message::Hello(hello)) => {
                self.stage = Stage::FullSet;
                Ok(Reaction::Introduced(hello))
            }
            (Stage::Hello, _) => Err(Fault::NoHello),
            (_, Message::Hello(_)) => Err(Fault::SecondHello),
            (Stage::FullSet, Message::Have(have)) => {
                self.stage = Stage::Open;
                self.full_set(have).map(Reaction::Holds)
            }
            (Stage::FullSet, _) => Err(Fault::NoFullSet),
            (Stage::Open, Message::Have(Have::Runs(spans))) => {
                let runs = self.runs(&spans)?;
                self.news(runs)
            }
            (Stage::Open, Message::Have(Have::All)) => self.news(self.layout.whole().into_iter().collect()),
            (Stage::Open, Message::Have(Have::Bits(_))) => Err(Fault::SecondFullSet),
            (Stage::Open, Message::Want(span)) => self.want(span, owed),
            (Stage::Open, Message::Parts(span)) => self.run(span).map(Reaction::Receive),
            (Stage::Open, Message::Refuse(span, denial)) => {
                self.run(span).map(|run| Reaction::Refused(run, denial))
            }
            (Stage::Open, Message::Cancel(span)) => self.run(span).map(Reaction::Withdraw),
            (Stage::Open, Message::Roster(addresses)) if addresses.len() > ROSTER_MAX => {
                Err(Fault::ListTooLong)
            }
            (Stage::Open, Message::Roster(addresses)) => Ok(Reaction::Roster(addresses)),
        }
    }

    fn run(&self, span: Span) -> Result<Run, Fault> {
        let Span { first, count } = span;
        self.layout.run(first, count).ok_or(Fault::NoSuchParts { first, count })
    }

    fn runs(&self, spans: &[Span]) -> Result<Vec<Run>, Fault> {
        if spans.len() > HAVE_RUNS_MAX {
            return Err(Fault::ListTooLong);
        }
        spans.iter().map(|&span| self.run(span)).collect()
    }

    fn news(&mut self, runs: Vec<Run>) -> Result<Reaction, Fault> {
        let left = runs.iter().try_fold(self.news_left, |left, run| left.checked_sub(run.count()));
        self.news_left = left.ok_or(Fault::StaleNews)?;
        Ok(Reaction::HoldsAlso(runs))
    }

    fn full_set(&self, have: Have) -> Result<PartSet, Fault> {
        match have {
            Have::All => Ok(PartSet::full(self.layout)),
            Have::Bits(bytes) => PartSet::from_bytes(self.layout, &bytes).ok_or(Fault::SetShape),
            Have::Runs(spans) => {
                let mut set = PartSet::empty(self.layout);
                for part in self.runs(&spans)?.into_iter().flat_map(Run::parts) {
                    // A part named twice would let a short message cost much work.
                    if !set.insert(part) {
                        return Err(Fault::SetShape);
                    }
                }
                Ok(set)
            }
        }
    }

    fn want(&self, span: Span, owed: Owed) -> Result<Reaction, Fault> {
        let run = self.run(span)?;
        let within = owed.runs < OWED_RUNS_MAX
            && owed.bytes.saturating_add(self.layout.bytes_of(run)) <= owed_bytes_max(self.layout);
        if within { Ok(Reaction::Serve(run)) } else { Err(Fault::WindowOverrun) }
    }
}

/// The first have of a link: the parts that are held, in the shortest form that does for it.
#[must_use]
pub fn full_set_of(held: &PartSet) -> Have {
    if held.is_full() && !held.is_empty() {
        return Have::All;
    }
    let runs = held.runs();
    if runs.len() <= HAVE_RUNS_MAX / 8 {
        Have::Runs(runs.into_iter().map(Span::from).collect())
    } else {
        Have::Bits(held.to_bytes())
    }
}

/// The most bytes that may be owed on a link: the full window, and one part or run that began below it.
#[must_use]
pub fn owed_bytes_max(layout: Layout) -> u64 {
    WINDOW_BYTES_MAX + u64::from(layout.part_len().max(crate::limits::RUN_BYTES_U32))
}

const _: () = assert!(PART_LEN_MAX as u64 <= WINDOW_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::MemberId;
    use proptest::prelude::*;

    const HELLO: Hello = Hello { member: MemberId::from_bytes([1; 16]), port: 10_001, abilities: 0 };

    fn layout() -> Layout {
        Layout::new(100 * 1_048_576, 1_048_576).unwrap()
    }

    fn open() -> Session {
        let mut session = Session::new(layout());
        session.on_message(Message::Hello(HELLO), Owed::default()).unwrap();
        session.on_message(Message::Have(Have::All), Owed::default()).unwrap();
        session
    }

    fn span(first: u32, count: u32) -> Span {
        Span { first, count }
    }

    #[test]
    fn hello_then_set_then_anything() {
        let mut session = Session::new(layout());
        let none = Owed::default();
        assert_eq!(session.on_message(Message::Have(Have::All), none), Err(Fault::NoHello));
        let mut session = Session::new(layout());
        assert_eq!(session.on_message(Message::Hello(HELLO), none), Ok(Reaction::Introduced(HELLO)));
        assert_eq!(session.on_message(Message::Want(span(0, 1)), none), Err(Fault::NoFullSet));
        let mut session = open();
        assert_eq!(session.on_message(Message::Hello(HELLO), none), Err(Fault::SecondHello));
        assert_eq!(session.on_message(Message::Have(Have::Bits(vec![])), none), Err(Fault::SecondFullSet));
        let run = layout().run(3, 2).unwrap();
        assert_eq!(session.on_message(Message::Want(span(3, 2)), none), Ok(Reaction::Serve(run)));
        assert_eq!(session.on_message(Message::Parts(span(3, 2)), none), Ok(Reaction::Receive(run)));
    }

    #[test]
    fn a_last_word_may_come_first() {
        let mut session = Session::new(layout());
        let bye = Message::Bye(Reason::TooMany);
        assert_eq!(session.on_message(bye, Owed::default()), Ok(Reaction::Ended(Reason::TooMany)));
    }

    #[test]
    fn parts_that_do_not_exist_end_the_link() {
        let refuse = |span| Message::Refuse(span, Denial::NotHeld);
        for message in [Message::Want, Message::Parts, refuse, Message::Cancel] {
            for (first, count) in [(100, 1), (99, 2), (0, 0), (u32::MAX, 1), (1, u32::MAX)] {
                let fault = open().on_message(message(span(first, count)), Owed::default());
                assert_eq!(fault, Err(Fault::NoSuchParts { first, count }));
            }
        }
        let have = Message::Have(Have::Runs(vec![span(0, 101)]));
        assert!(open().on_message(have, Owed::default()).is_err());
    }

    #[test]
    fn an_overrun_window_ends_the_link() {
        let most = owed_bytes_max(layout());
        let want = || Message::Want(span(0, 1));
        let owed = Owed { bytes: most - 1_048_576, runs: OWED_RUNS_MAX - 1 };
        assert!(open().on_message(want(), owed).is_ok());
        let bytes = Owed { bytes: owed.bytes + 1, ..owed };
        assert_eq!(open().on_message(want(), bytes), Err(Fault::WindowOverrun));
        let runs = Owed { runs: OWED_RUNS_MAX, ..owed };
        assert_eq!(open().on_message(want(), runs), Err(Fault::WindowOverrun));
        assert_eq!(
            open().on_message(Message::Want(span(0, 100)), Owed::default()),
            Err(Fault::WindowOverrun)
        );
    }

    #[test]
    fn every_part_is_news_once() {
        let runs = |spans: &[Span]| Message::Have(Have::Runs(spans.to_vec()));
        let none = Owed::default();
        let mut session = open();
        assert!(session.on_message(runs(&[span(0, 60), span(60, 39)]), none).is_ok());
        assert!(session.on_message(runs(&[span(0, 1)]), none).is_ok(), "a race may tell it twice");
        assert_eq!(session.on_message(runs(&[span(0, 1)]), none), Err(Fault::StaleNews));
        assert_eq!(open().on_message(runs(&[span(0, 100); 2]), none), Err(Fault::StaleNews));
        let mut session = open();
        assert!(session.on_message(Message::Have(Have::All), none).is_ok());
        assert_eq!(session.on_message(Message::Have(Have::All), none), Err(Fault::StaleNews));
    }

    #[test]
    fn overlapping_runs_in_a_full_set_end_the_link() {
        let mut session = Session::new(layout());
        session.on_message(Message::Hello(HELLO), Owed::default()).unwrap();
        let have = Message::Have(Have::Runs(vec![span(0, 50), span(49, 1)]));
        assert_eq!(session.on_message(have, Owed::default()), Err(Fault::SetShape));
    }

    proptest! {
        /// Whatever comes out of a session fits the layout.
        #[test]
        fn runs_that_come_out_exist(first in any::<u32>(), count in any::<u32>(), kind in 0u8..4) {
            let message = match kind {
                0 => Message::Want(span(first, count)),
                1 => Message::Parts(span(first, count)),
                2 => Message::Refuse(span(first, count), Denial::NotHeld),
                _ => Message::Cancel(span(first, count)),
            };
            if let Ok(Reaction::Serve(run) | Reaction::Receive(run) | Reaction::Refused(run, _) | Reaction::Withdraw(run)) =
                open().on_message(message, Owed::default())
            {
                prop_assert!(u64::from(run.last().get()) < 100 && run.count() == count);
            }
        }
    }
}
