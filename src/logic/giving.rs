//! Whether a part is given to somebody who asks for it.
//!
//! Several members that fetch from one complete member cannot know what the others have just asked for; it
//! does. It gives each part to one of them, and refuses it to the others until that one had time to share it:
//! so its upload carries every part once, which is the most that it can do for all of them together.
//! [`GIVEN_PATIENCE`] after a part was sent, others get it while nobody waits for anything: the first one may be slow,
//! gone, or out of reach for the asker. If others wait for something new, they get it after [`GIVEN_PATIENCE_BUSY`]: those
//! who always wait could be friends of the first one, which shares nothing. A part that was promised and not sent is free
//! after [`PROMISE_PATIENCE`].
//!
//! That is so once for each part. Then the part is somewhere, and it is kept from others for a while at later times as well,
//! but never again because somebody waits, nor without [`GIVEN_AGAIN_PAUSE`] between: else a few who take turns would keep
//! it. For that long, everybody gets what was promised to one who cancelled or left, until it is sent.
//! Incomplete members give to everybody: what they hold, others hold as well.

use crate::identity::MemberId;
use crate::limits::{GIVEN_AGAIN_PAUSE, GIVEN_PATIENCE, GIVEN_PATIENCE_BUSY, PROMISE_PATIENCE};
use crate::part::{PartIndex, Run};
use crate::time::Moment;

/// To whom a part was last given, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// The member, by the tag of [`tag_of`].
    pub to: u32,
    /// When.
    pub at: Moment,
}

/// What is kept of each part: to whom it was last given, when, whether it was sent, and whether that was the first time. One
/// word, so that threads can share it without a lock; 0 if it was never given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry(u64);

/// Moments are kept in units of 2.048 ms; 30 bits of them last 25 days, and then parts are not reserved any more.
const MICROS_SHIFT: u32 = 11;
const MOMENT_MASK: u64 = (1 << 30) - 1;
const TAG_MASK: u64 = (1 << 32) - 1;
/// The part had been sent to somebody else before.
const AGAIN: u64 = 1 << 62;
/// The part was sent to whom it is reserved for: its time to share it began then, and does not begin again.
const SENT: u64 = 1 << 63;

/// No member's tag, but for one in four billion, who only cannot keep a part from others.
const NOBODY: u32 = 0;

impl Entry {
    /// The entry with these bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Entry {
        Entry(bits)
    }

    /// The bits of the entry.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The last time that the part was given away.
    #[must_use]
    pub fn last(self) -> Option<Given> {
        (self.0 != 0).then(|| Given { to: self.tag(), at: self.at() })
    }

    /// Whether a member that is `complete` or not gives the part to the member with this tag; `busy` if others wait
    /// for their turn to be sent something.
    #[must_use]
    pub fn may_give(self, now: Moment, complete: bool, busy: bool, to: u32) -> bool {
        !complete || self.0 == 0 || self.tag() == to || (self.is_free(now) && !(busy && self.is_new(now)))
    }

    /// The entry after the part was promised to somebody; none if it stays as it is.
    #[must_use]
    pub fn promised(self, given: Given) -> Option<Entry> {
        let to_another = self.is_sent() && self.tag() != given.to && self.is_free(given.at);
        let paused = given.at.since(self.at()) >= GIVEN_AGAIN_PAUSE;
        let anew = match (self.is_sent(), self.0 & AGAIN != 0) {
            (true, false) => to_another,
            (true, true) => to_another && paused,
            (false, _) => self.0 == 0 || paused,
        };
        anew.then(|| Entry(Entry::of(given).0 | if self.is_sent() { AGAIN } else { self.0 & AGAIN }))
    }

    /// The entry after the part was sent; none if it stays as it is. What was kept for nobody is shared by who has it now.
    #[must_use]
    pub fn sent(self, given: Given) -> Option<Entry> {
        (!self.is_sent() && (self.is_for(given.to) || self.is_for(NOBODY)))
            .then(|| Entry(Entry::of(given).0 | SENT | self.0 & AGAIN))
    }

    /// The entry after the part will not be sent after all; none if it stays as it is. It is nobody's then, and for
    /// [`GIVEN_AGAIN_PAUSE`] nobody's for a while again: else some who ask and cancel in turn would keep it for ever.
    #[must_use]
    pub fn withdrawn(self, to: u32) -> Option<Entry> {
        if self.is_sent() { None } else { self.left(to) }
    }

    /// The entry after the member with this tag has left; none if it stays as it is. What it was given is nobody's: the
    /// next one must not wait for what it would have shared. That it was given stays known, for it may come again.
    #[must_use]
    pub fn left(self, to: u32) -> Option<Entry> {
        self.is_for(to).then_some(Entry(self.0 & !TAG_MASK | NOBODY as u64))
    }

    /// Whether the part was last given to the member with this tag.
    #[must_use]
    pub fn is_for(self, to: u32) -> bool {
        self.0 != 0 && self.tag() == to
    }

    const fn is_sent(self) -> bool {
        self.0 & SENT != 0
    }

    /// Whether it was sent to the first one not long ago, and that one is there.
    fn is_new(self, now: Moment) -> bool {
        self.tag() != NOBODY && self.0 & (SENT | AGAIN) == SENT && now.since(self.at()) < GIVEN_PATIENCE_BUSY
    }

    /// Whether nobody has more right to the part than others.
    fn is_free(self, now: Moment) -> bool {
        let patience = if self.is_sent() { GIVEN_PATIENCE } else { PROMISE_PATIENCE };
        self.tag() == NOBODY || now.since(self.at()) >= patience
    }

    fn at(self) -> Moment {
        Moment::from_micros((self.0 >> 32 & MOMENT_MASK) << MICROS_SHIFT)
    }

    fn of(given: Given) -> Entry {
        let at = (given.at.as_micros() >> MICROS_SHIFT & MOMENT_MASK).max(1);
        Entry(at << 32 | u64::from(given.to))
    }

    fn tag(self) -> u32 {
        u32::try_from(self.0 & TAG_MASK).expect("32 bits were kept")
    }
}

/// What a want is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// These are given, if any.
    pub give: Option<Run>,
    /// These are refused.
    pub refuse: [Option<Run>; 2],
}

/// The answer to a want for `run`: the longest stretch that may be given is given, and the rest refused.
#[must_use]
pub fn answer(run: Run, may_give: impl Fn(PartIndex) -> bool) -> Answer {
    match longest_to_give(run, may_give) {
        Some(give) => Answer { give: Some(give), refuse: run.minus(give) },
        None => Answer { give: None, refuse: [Some(run), None] },
    }
}

/// The longest stretch of a run of which every part may be given, if any may.
///
/// What lies before and after it is refused, so a want has at most three answers, however the parts that were
/// given to others lie.
fn longest_to_give(run: Run, may_give: impl Fn(PartIndex) -> bool) -> Option<Run> {
    let mut longest: Option<Run> = None;
    let mut current: Option<Run> = None;
    for part in run.parts() {
        current =
            may_give(part).then(|| current.and_then(|run| run.extended_by(part)).unwrap_or(Run::one(part)));
        if current.map_or(0, Run::count) > longest.map_or(0, Run::count) {
            longest = current;
        }
    }
    longest
}

/// A short name for a member, to tell it from others. Two members with the same tag cost an upload, no more.
#[must_use]
pub fn tag_of(member: MemberId) -> u32 {
    let bytes = member.as_bytes();
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Moments are kept a little less exactly than that.
    const STEP: Duration = Duration::from_millis(3);

    #[test]
    fn the_longest_stretch_is_given() {
        let layout = crate::part::Layout::new(10, 1).unwrap();
        let run = layout.run(1, 8).unwrap();
        let given = |drawn: &'static str| answer(run, move |part| drawn.as_bytes()[part.at()] == b'+').give;
        assert_eq!(given("++++++++++"), Some(run));
        assert_eq!(given("+........+"), None);
        assert_eq!(given("++.+++.++."), layout.run(3, 3));
        assert_eq!(given("+.+.+.+.++"), layout.run(2, 1));
    }

    fn promised_to(to: u32, at: Moment) -> Entry {
        Entry::default().promised(Given { to, at }).unwrap()
    }

    #[test]
    fn nobody_reserves_a_part_for_ever() {
        let now = Moment::from_micros(5_000_000);
        let entry = promised_to(1, now);
        let by = |to, later: Duration| entry.promised(Given { to, at: now + later }).is_some();
        assert!(!by(1, PROMISE_PATIENCE), "its time is over");
        assert!(!by(2, PROMISE_PATIENCE + STEP), "nor anybody else's: some might take turns");
        assert!(entry.may_give(now + PROMISE_PATIENCE + STEP, true, true, 2), "but they get it");
        assert!(by(1, GIVEN_AGAIN_PAUSE + STEP) && by(2, GIVEN_AGAIN_PAUSE + STEP));
        let withdrawn = entry.withdrawn(1).unwrap();
        assert!(withdrawn.may_give(now, true, true, 2));
        assert_eq!(withdrawn.promised(Given { to: 2, at: now + PROMISE_PATIENCE }), None);
        assert_eq!(entry.withdrawn(2), None);
        let sent = withdrawn.sent(Given { to: 3, at: now }).unwrap();
        assert!(!sent.may_give(now, true, false, 2) && sent.is_for(3), "it was sent, so it is shared now");
    }

    #[test]
    fn the_time_to_share_begins_once_with_the_sending() {
        let promise = Given { to: 7, at: Moment::from_micros(5_000_000) };
        let later = Given { to: 7, at: promise.at + GIVEN_PATIENCE };
        let entry = promised_to(7, promise.at);
        assert_eq!(entry.sent(Given { to: 8, ..later }), None, "to somebody else");
        let sent = entry.sent(later).unwrap();
        assert!(sent.last().unwrap().at > entry.last().unwrap().at);
        assert_eq!(sent.sent(later), None, "once");
        assert!(sent.is_for(7) && !sent.is_for(8));
        assert_eq!(Entry::from_bits(sent.bits()), sent);
    }

    #[test]
    fn a_part_is_given_once_for_a_while() {
        let now = Moment::from_micros(5_000_000);
        let given = |entry: Entry, later, busy, to| entry.may_give(now + later, true, busy, to);
        assert!(given(Entry::default(), Duration::ZERO, true, 1));
        let promised = promised_to(1, now);
        assert!(given(promised, Duration::ZERO, true, 1), "its own again");
        assert!(!given(promised, PROMISE_PATIENCE - STEP, false, 2), "it is still to be sent");
        assert!(given(promised, PROMISE_PATIENCE + STEP, true, 2));
        assert!(promised.may_give(now, false, true, 2), "an incomplete member gives to all");
        let sent = promised.sent(Given { to: 1, at: now }).unwrap();
        assert!(!given(sent, GIVEN_PATIENCE - STEP, false, 2), "it was not shared yet");
        assert!(given(sent, GIVEN_PATIENCE + STEP, false, 2));
        assert!(!given(sent, GIVEN_PATIENCE_BUSY - STEP, true, 2), "others wait for something new");
        assert!(given(sent, GIVEN_PATIENCE_BUSY + STEP, true, 2), "it was shared by now");
        assert!(given(sent.left(1).unwrap(), Duration::ZERO, true, 2), "nobody will share it");
        assert_eq!(sent.left(2), None);
    }

    #[test]
    fn after_the_first_one_a_part_is_kept_for_less() {
        let now = Moment::from_micros(5_000_000);
        let first = promised_to(1, now).sent(Given { to: 1, at: now }).unwrap();
        let later = now + GIVEN_PATIENCE + STEP;
        let promised = first.promised(Given { to: 2, at: later }).unwrap();
        assert!(!promised.may_give(later, true, false, 3));
        let second = promised.sent(Given { to: 2, at: later }).unwrap();
        assert!(!second.may_give(later + GIVEN_PATIENCE.saturating_sub(STEP), true, true, 3));
        assert!(second.may_give(later + GIVEN_PATIENCE + STEP, true, true, 3), "though others wait");
        let by = |entry: Entry, to, span| entry.promised(Given { to, at: later + span }).is_some();
        assert!(!by(second, 3, GIVEN_AGAIN_PAUSE - STEP) && by(second, 3, GIVEN_AGAIN_PAUSE + STEP));
        let third = second.promised(Given { to: 3, at: later + GIVEN_AGAIN_PAUSE + STEP }).unwrap();
        let withdrawn = third.withdrawn(3).unwrap();
        let fourth = withdrawn.promised(Given { to: 3, at: later + GIVEN_AGAIN_PAUSE * 3 }).unwrap();
        let fourth = fourth.sent(Given { to: 3, at: later + GIVEN_AGAIN_PAUSE * 3 }).unwrap();
        assert!(
            fourth.may_give(later + GIVEN_AGAIN_PAUSE * 3 + GIVEN_PATIENCE + STEP, true, true, 4),
            "it was sent before"
        );
    }

    /// Some who take turns in asking, leaving and coming keep a part from an honest one for no longer than this.
    #[test]
    fn nobody_renews_what_is_kept_for_it() {
        let now = Moment::from_micros(5_000_000);
        let sent = promised_to(1, now).sent(Given { to: 1, at: now }).unwrap();
        assert_eq!(sent.promised(Given { to: 1, at: now + GIVEN_PATIENCE_BUSY * 3 }), None, "its own again");
        let left = sent.left(1).unwrap();
        let back = left
            .promised(Given { to: 1, at: now + STEP })
            .unwrap()
            .sent(Given { to: 1, at: now + STEP })
            .unwrap();
        assert!(back.may_give(now + GIVEN_PATIENCE + STEP * 3, true, true, 2));
        let promised = promised_to(1, now);
        assert_eq!(promised.left(1).unwrap().promised(Given { to: 1, at: now + STEP }), None);
    }
}
