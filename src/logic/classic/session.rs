//! What a classic link does with one message: answer, report, or end.
//!
//! It checks what a message is about, whether its parts exist, and whether it answers the question that was asked. It does
//! not know which parts are here, nor whether bytes are right.

use crate::digest::Digest;
use crate::limits::CLASSIC_QUESTIONS_MAX;
use crate::logic::session::Fault;
use crate::name::Name;
use crate::part::{Layout, PartIndex, Run};
use crate::part_set::PartSet;
use crate::wire::WireError;
use crate::wire::classic::Subject;
use crate::wire::classic::member::Message;

/// A question of ours that waits for its answer. There is one at a time on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which parts the other side has.
    List,
    /// A part.
    Part(PartIndex),
}

/// What to do about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// The other side asks which parts are here.
    ListAsked(Subject),
    /// It asks for this part.
    PartAsked(Subject, PartIndex),
    /// It asks for something of a composition that is not shared here.
    OtherAsked(Subject),
    /// These are all the parts that it holds.
    Holds(PartSet),
    /// It holds these as well.
    HoldsAlso(Vec<Run>),
    /// The bytes of this part follow in the stream.
    Receive(PartIndex),
    /// It does not have this part.
    Refused(PartIndex),
    /// It does not share this composition.
    Disowned,
}

/// The order of messages on one classic link, as the receiving side sees it.
#[derive(Debug)]
pub struct Session {
    layout: Layout,
    name: Name,
    digest: Digest,
    /// What the other side told that it holds; what it once told stays true.
    theirs: Option<PartSet>,
}

impl Session {
    /// The session of a new link of a member of this composition.
    #[must_use]
    pub const fn new(layout: Layout, name: Name, digest: Digest) -> Session {
        Session { layout, name, digest, theirs: None }
    }

    /// What to do about the next message; `asked` is our question that waits for its answer, and `owed` is how many of the
    /// other side's wait for theirs.
    ///
    /// # Errors
    /// The message breaks the protocol; nothing that follows it means anything.
    pub fn on_message(
        &mut self,
        message: Message,
        asked: Option<Question>,
        owed: u32,
    ) -> Result<Reaction, Fault> {
        let is_question = matches!(message, Message::Down(_) | Message::Part(..));
        if is_question && owed >= CLASSIC_QUESTIONS_MAX {
            return Err(Fault::WindowOverrun);
        }
        match message {
            Message::Down(subject) | Message::Part(subject, _) if !self.is_ours(&subject) => {
                Ok(Reaction::OtherAsked(subject))
            }
            Message::Down(subject) => Ok(Reaction::ListAsked(subject)),
            Message::Part(subject, number) => {
                self.part(number).map(|part| Reaction::PartAsked(subject, part))
            }
            Message::Send(subject, _) | Message::Start(subject, _) | Message::None(subject, _)
                if !self.is_ours(&subject) =>
            {
                Err(Fault::NotAsked)
            }
            Message::Send(_, mask) if asked == Some(Question::List) => mask
                .read(self.layout)
                .map(|set| self.told(set))
                .map_err(|error| WireError::from(error).into()),
            Message::Send(..) => Err(Fault::NotAsked),
            Message::None(_, 0) if asked.is_some() => Ok(Reaction::Disowned),
            Message::Start(_, number) => self.answered(number, asked).map(Reaction::Receive),
            Message::None(_, number) => self.answered(number, asked).map(Reaction::Refused),
        }
    }

    fn is_ours(&self, subject: &Subject) -> bool {
        subject.is_of(&self.name, self.digest)
    }

    /// The part with this number, counted from 1.
    fn part(&self, number: u64) -> Result<PartIndex, Fault> {
        let index = number.checked_sub(1).and_then(|index| u32::try_from(index).ok());
        let part = index.and_then(|index| self.layout.part(index));
        part.ok_or(Fault::NoSuchNumber { number })
    }

    fn answered(&self, number: u64, asked: Option<Question>) -> Result<PartIndex, Fault> {
        let part = self.part(number)?;
        if asked == Some(Question::Part(part)) { Ok(part) } else { Err(Fault::NotAsked) }
    }

    /// The other side told its set again, or for the first time.
    fn told(&mut self, set: PartSet) -> Reaction {
        let Some(theirs) = &mut self.theirs else {
            self.theirs = Some(set.clone());
            return Reaction::Holds(set);
        };
        let new: Vec<PartIndex> = set.iter().filter(|&part| theirs.insert(part)).collect();
        let (runs, _) = Run::gather(new, usize::MAX);
        Reaction::HoldsAlso(runs)
    }

    /// Whether the other side told that it holds everything.
    #[must_use]
    pub fn is_theirs_complete(&self) -> bool {
        self.theirs.as_ref().is_some_and(PartSet::is_full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::classic::LineError;
    use crate::wire::classic::mask::Mask;
    use proptest::prelude::*;

    fn layout() -> Layout {
        Layout::new(9, 1).unwrap()
    }

    fn name() -> Name {
        Name::parse("abc.txt").unwrap()
    }

    fn ours() -> Subject {
        Subject::new(&name(), Digest::of(b"abc"))
    }

    fn other() -> Subject {
        Subject::new(&name(), Digest::of(b"abd"))
    }

    fn session() -> Session {
        Session::new(layout(), name(), Digest::of(b"abc"))
    }

    fn part(index: u32) -> PartIndex {
        layout().part(index).unwrap()
    }

    fn mask(indices: &[u32]) -> Mask {
        Mask::of(&set(indices))
    }

    fn set(indices: &[u32]) -> PartSet {
        let mut set = PartSet::empty(layout());
        for &index in indices {
            set.insert(part(index));
        }
        set
    }

    #[test]
    fn what_is_told_again_is_news_once() {
        let mut session = session();
        let list = Some(Question::List);
        let mut told = |indices: &[u32]| session.on_message(Message::Send(ours(), mask(indices)), list, 0);
        assert_eq!(told(&[0, 2]), Ok(Reaction::Holds(set(&[0, 2]))));
        assert_eq!(told(&[0, 2]), Ok(Reaction::HoldsAlso(vec![])));
        // That it held the part before stays true.
        assert_eq!(told(&[2, 3, 4]), Ok(Reaction::HoldsAlso(vec![layout().run(3, 2).unwrap()])));
        assert!(!session.is_theirs_complete());
        session.on_message(Message::Send(ours(), Mask::of(&PartSet::full(layout()))), list, 0).unwrap();
        assert!(session.is_theirs_complete());
    }

    #[test]
    fn a_set_of_another_composition_is_none() {
        let theirs = Layout::new(8, 1).unwrap();
        let mask = Mask::of(&PartSet::full(theirs));
        let told = session().on_message(Message::Send(ours(), mask), Some(Question::List), 0);
        assert_eq!(told, Err(WireError::from(LineError::Mask).into()));
    }

    #[test]
    fn an_answer_needs_its_question() {
        let asked = Some(Question::Part(part(4)));
        let answer = |message, asked| session().on_message(message, asked, 0);
        assert_eq!(answer(Message::Start(ours(), 5), asked), Ok(Reaction::Receive(part(4))));
        assert_eq!(answer(Message::None(ours(), 5), asked), Ok(Reaction::Refused(part(4))));
        assert_eq!(answer(Message::None(ours(), 0), asked), Ok(Reaction::Disowned));
        assert_eq!(answer(Message::None(ours(), 0), Some(Question::List)), Ok(Reaction::Disowned));
        for (message, asked) in [
            (Message::Start(ours(), 5), None),
            (Message::Start(ours(), 4), asked),
            (Message::Start(ours(), 5), Some(Question::List)),
            (Message::Start(other(), 5), asked),
            (Message::None(ours(), 6), asked),
            (Message::None(other(), 0), Some(Question::List)),
            (Message::Send(ours(), mask(&[])), None),
            (Message::Send(ours(), mask(&[])), asked),
            (Message::Send(other(), mask(&[])), Some(Question::List)),
        ] {
            assert_eq!(answer(message.clone(), asked), Err(Fault::NotAsked), "{message:?} to {asked:?}");
        }
        for number in [0, 10, u64::MAX] {
            assert_eq!(answer(Message::Start(ours(), number), asked), Err(Fault::NoSuchNumber { number }));
        }
        assert_eq!(answer(Message::None(ours(), 0), None), Err(Fault::NoSuchNumber { number: 0 }));
    }

    #[test]
    fn questions_are_about_what_is_shared_here() {
        let question = |message| session().on_message(message, None, 0);
        assert_eq!(question(Message::Down(ours())), Ok(Reaction::ListAsked(ours())));
        assert_eq!(question(Message::Part(ours(), 9)), Ok(Reaction::PartAsked(ours(), part(8))));
        assert_eq!(question(Message::Down(other())), Ok(Reaction::OtherAsked(other())));
        assert_eq!(question(Message::Part(other(), 77)), Ok(Reaction::OtherAsked(other())));
        for number in [0, 10] {
            assert_eq!(question(Message::Part(ours(), number)), Err(Fault::NoSuchNumber { number }));
        }
    }

    #[test]
    fn whoever_asks_too_much_at_a_time_is_left() {
        let ask = |message, owed| session().on_message(message, None, owed);
        for message in [Message::Down(ours()), Message::Part(ours(), 1), Message::Down(other())] {
            assert!(ask(message.clone(), CLASSIC_QUESTIONS_MAX - 1).is_ok());
            assert_eq!(ask(message, CLASSIC_QUESTIONS_MAX), Err(Fault::WindowOverrun));
        }
    }

    proptest! {
        /// Whatever comes out exists, and was asked for if it is an answer.
        #[test]
        fn parts_that_come_out_exist(number in any::<u64>(), asked in 0u32..9, kind in 0u8..3) {
            let message = match kind {
                0 => Message::Part(ours(), number % 12),
                1 => Message::Start(ours(), number % 12),
                _ => Message::None(ours(), number % 12),
            };
            match session().on_message(message, Some(Question::Part(part(asked))), 0) {
                Ok(Reaction::PartAsked(_, out)) => prop_assert_eq!(u64::from(out.get()) + 1, number % 12),
                Ok(Reaction::Receive(out) | Reaction::Refused(out)) => prop_assert_eq!(out, part(asked)),
                Ok(Reaction::Disowned) => prop_assert_eq!(number % 12, 0),
                Ok(other) => prop_assert!(false, "{:?}", other),
                Err(_) => {}
            }
        }
    }
}
