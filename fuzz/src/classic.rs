//! Lines of the classic protocol, and any messages on one classic link.

use std::time::Duration;

use orchestra::digest::Digest;
use orchestra::limits::CLASSIC_QUESTIONS_MAX;
use orchestra::logic::classic::duties::{Deed, Duties};
use orchestra::logic::classic::session::{Question, Reaction, Session};
use orchestra::name::Name;
use orchestra::part::{Layout, PartIndex, Run};
use orchestra::part_set::PartSet;
use orchestra::time::Moment;
use orchestra::wire::classic::desk::{Replies, Request, Requests, Told};
use orchestra::wire::classic::mask::Mask;
use orchestra::wire::classic::member::{Decoder, Message};
use orchestra::wire::classic::{LineError, Subject};

use super::script::Script;

/// Messages come out the same however the stream is cut, and encode to what is decoded as the same again.
pub fn messages(bytes: &[u8]) {
    let asked = |bytes: &[u8], step| {
        let mut requests = Requests::default();
        taken(bytes, step, |input| requests.next(input))
    };
    let told = |bytes: &[u8], step| {
        let mut replies = Replies::default();
        taken(bytes, step, |input| replies.next(input))
    };
    let questions: (Vec<Request>, _) = asked(bytes, bytes.len());
    let answers: (Vec<Told>, _) = told(bytes, bytes.len());
    for step in [1, 3] {
        assert_eq!(asked(bytes, step), questions, "cut every {step} bytes");
        assert_eq!(told(bytes, step), answers, "cut every {step} bytes");
    }
    let mut encoded = Vec::new();
    questions.0.iter().for_each(|question| question.append_to(&mut encoded));
    assert_eq!(asked(&encoded, encoded.len()), (questions.0, None));
    for parts in [9, 64, 1_000] {
        between_members(bytes, Layout::new(parts, 1).expect("these are layouts"));
    }
}

/// The same of members of a composition with this layout, and of the sets that they tell.
fn between_members(bytes: &[u8], layout: Layout) {
    let between = |bytes: &[u8], step| {
        let mut decoder = Decoder::new(layout);
        taken(bytes, step, |input| decoder.next(input))
    };
    let whole: (Vec<Message>, _) = between(bytes, bytes.len());
    for step in [1, 3] {
        assert_eq!(between(bytes, step), whole, "cut every {step} bytes");
    }
    let mut encoded = Vec::new();
    for message in &whole.0 {
        message.append_to(&mut encoded);
        if let Message::Send(_, mask) = message
            && let Ok(set) = mask.read(layout)
        {
            assert_eq!(Mask::of(&set), *mask, "a set is written in one way");
        }
    }
    assert_eq!(between(&encoded, encoded.len()), (whole.0, None));
}

/// Everything that comes out of a stream until its end or its first fault, taken in slices of `step` bytes.
fn taken<T>(
    bytes: &[u8],
    step: usize,
    mut next: impl FnMut(&mut &[u8]) -> Result<Option<T>, LineError>,
) -> (Vec<T>, Option<LineError>) {
    let mut found = Vec::new();
    for mut input in bytes.chunks(step.max(1)) {
        loop {
            match next(&mut input) {
                Ok(Some(message)) => found.push(message),
                Ok(None) if input.is_empty() => break,
                // Only an answer that is over leaves bytes.
                Ok(None) => return (found, None),
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

/// Whatever the other side says and the swarm wants: one question at a time, parts that exist, every question answered
/// once, and no more of them kept than may be.
pub fn link(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let size = [1, 2, 9, 40, 300, 5_000][script.below(6)];
    let layout = Layout::new(size, 1).expect("these are layouts");
    let name = Name::parse("abc.txt").expect("this is a name");
    let digest = Digest::of(b"abc");
    let ours = Subject::new(&name, digest);
    let other = Subject::new(&name, Digest::of(b"abd"));
    let part = |script: &mut Script<'_>| layout.part(number(script, layout.parts()).try_into().unwrap_or(0));
    let mut session = Session::new(layout, name, digest);
    let mut duties = Duties::new(layout);
    let (mut asked, mut owed): (Option<Question>, u32) = (None, 0);
    let mut held = PartSet::empty(layout);
    let mut now = Moment::from_micros(1_000_000_000);
    let (mut wanted, mut settled) = (0, 0);
    while !script.is_over() {
        let message = match script.below(11) {
            0 => Message::Down(if script.below(8) == 7 { other.clone() } else { ours.clone() }),
            1 => Message::Part(ours.clone(), number(&mut script, layout.parts() + 2)),
            2 => Message::None(ours.clone(), number(&mut script, layout.parts() + 2)),
            3 => Message::Start(other.clone(), 1),
            4 => Message::Part(other.clone(), 7),
            5 => {
                let (first, step) = (u32::from(script.byte() % 3), u32::from(script.byte() % 9) + 1);
                let mut set = PartSet::empty(layout);
                for part in layout.all().filter(|part| part.get() % step == first) {
                    set.insert(part);
                }
                Message::Send(ours.clone(), Mask::of(&set))
            }
            kind @ (6 | 10) => {
                let Some(first) = part(&mut script) else { continue };
                let count = (u32::from(script.byte() % 40) + 1).min(layout.parts() - first.get());
                let run = layout.run(first.get(), count).expect("it fits");
                if kind == 6 {
                    wanted += run.count();
                    duties.want(run);
                } else {
                    settled += duties.cancel(run).into_iter().map(Run::count).sum::<u32>();
                }
                act(&mut duties, now, &held, &mut asked, &mut owed, &mut settled);
                continue;
            }
            7 => match asked {
                Some(Question::Part(part)) => Message::Start(ours.clone(), u64::from(part.get()) + 1),
                _ => Message::Send(ours.clone(), Mask::of(&PartSet::full(layout))),
            },
            8 => {
                if let Some(part) = part(&mut script) {
                    held.insert(part);
                }
                act(&mut duties, now, &held, &mut asked, &mut owed, &mut settled);
                continue;
            }
            _ => {
                now = now + Duration::from_millis(script.below(256) as u64 * 100);
                act(&mut duties, now, &held, &mut asked, &mut owed, &mut settled);
                continue;
            }
        };
        let Ok(reaction) = session.on_message(message, asked, owed) else { return };
        match reaction {
            Reaction::ListAsked(subject) => {
                owed += 1;
                duties.on_list_asked(subject);
            }
            Reaction::PartAsked(subject, part) => {
                assert!(part.get() < layout.parts());
                owed += 1;
                duties.on_part_asked(now, subject, part);
            }
            Reaction::OtherAsked(subject) => {
                owed += 1;
                assert_eq!(subject, other);
                duties.on_other_asked(subject);
            }
            Reaction::Holds(_) | Reaction::HoldsAlso(_) => {
                assert_eq!(asked.take(), Some(Question::List));
                duties.on_answer(now, session.is_theirs_complete());
            }
            Reaction::Receive(part) | Reaction::Refused(part) => {
                assert_eq!(asked.take(), Some(Question::Part(part)));
                duties.on_answer(now, session.is_theirs_complete());
            }
            Reaction::Disowned => return,
        }
        assert!(owed <= CLASSIC_QUESTIONS_MAX, "{owed} questions are kept");
        act(&mut duties, now, &held, &mut asked, &mut owed, &mut settled);
        assert!(settled <= wanted, "{settled} of {wanted}");
    }
}

/// A number below the bound. One byte reaches all of the small ones.
fn number(script: &mut Script<'_>, bound: u32) -> u64 {
    let high = if bound > 256 { script.below(bound.div_ceil(256) as usize) * 256 } else { 0 };
    (high + script.below(256)) as u64 % u64::from(bound)
}

/// Does all that is to be done now.
fn act(
    duties: &mut Duties,
    now: Moment,
    held: &PartSet,
    asked: &mut Option<Question>,
    owed: &mut u32,
    settled: &mut u32,
) {
    let holds = |part: PartIndex| held.contains(part);
    let mut answered = || *owed = owed.checked_sub(1).expect("every question is answered once");
    while let Some(deed) = duties.next(now, holds) {
        match deed {
            Deed::Ask(question) => {
                assert_eq!(asked.replace(question), None, "one question at a time");
                *settled += u32::from(question != Question::List);
            }
            Deed::Deny(_, part) => {
                assert!(!holds(part), "it is here");
                answered();
            }
            Deed::TellList(_) | Deed::Disown(_) => answered(),
            Deed::End | Deed::GiveUp => break,
        }
    }
    while let Some(part) = duties.next_part(holds) {
        assert!(holds(part) && duties.give(part).is_some());
        answered();
    }
}
