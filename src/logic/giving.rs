//! Whether a part is given to somebody who asks for it.
//!
//! Several members that fetch from one complete member cannot know what the others have just asked for; it
//! does. It gives each part to one of them, and refuses it to the others until that one had time to share it:
//! so its upload carries every part once, which is the most that it can do for all of them together.
//! After [`GIVEN_PATIENCE`] anybody gets it: the first one may be slow, gone, or out of reach for the asker.
//! Incomplete members give to everybody: what they hold, others hold as well.

use crate::identity::MemberId;
use crate::limits::{GIVEN_AGAIN_PAUSE, GIVEN_PATIENCE};
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

/// Whether a member that is `complete` or not gives a part to the member with this tag.
#[must_use]
pub fn may_give(now: Moment, complete: bool, last: Option<Given>, to: u32) -> bool {
    !complete || last.is_none_or(|given| given.to == to || now.since(given.at) >= GIVEN_PATIENCE)
}

/// Whether giving a part to the member with this tag keeps it from the others for a while.
#[must_use]
pub fn may_reserve(now: Moment, last: Option<Given>, to: u32) -> bool {
    last.is_none_or(|given| {
        let pause = if given.to == to { GIVEN_AGAIN_PAUSE } else { GIVEN_PATIENCE };
        now.since(given.at) >= pause
    })
}

/// The longest stretch of a run of which every part may be given, if any may.
///
/// What lies before and after it is refused, so a want has at most three answers, however the parts that were
/// given to others lie.
#[must_use]
pub fn longest_to_give(run: Run, may_give: impl Fn(PartIndex) -> bool) -> Option<Run> {
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

    #[test]
    fn the_longest_stretch_is_given() {
        let layout = crate::part::Layout::new(10, 1).unwrap();
        let run = layout.run(1, 8).unwrap();
        let given =
            |drawn: &'static str| longest_to_give(run, move |part| drawn.as_bytes()[part.at()] == b'+');
        assert_eq!(given("++++++++++"), Some(run));
        assert_eq!(given("+........+"), None);
        assert_eq!(given("++.+++.++."), layout.run(3, 3));
        assert_eq!(given("+.+.+.+.++"), layout.run(2, 1));
    }

    #[test]
    fn nobody_reserves_a_part_for_ever() {
        let now = Moment::from_micros(5_000_000);
        assert!(may_reserve(now, None, 1));
        let given = Some(Given { to: 1, at: now });
        assert!(!may_reserve(now + GIVEN_PATIENCE, given, 1), "its time is over");
        assert!(!may_reserve(now, given, 2) && may_reserve(now + GIVEN_PATIENCE, given, 2));
        assert!(may_reserve(now + GIVEN_AGAIN_PAUSE, given, 1));
    }

    #[test]
    fn a_part_is_given_once_for_a_while() {
        let now = Moment::from_micros(5_000_000);
        assert!(may_give(now, true, None, 1));
        let given = Some(Given { to: 1, at: now });
        assert!(may_give(now, true, given, 1), "its own again");
        assert!(!may_give(now, true, given, 2));
        assert!(!may_give(now + (GIVEN_PATIENCE - Duration::from_millis(1)), true, given, 2));
        assert!(may_give(now, false, given, 2), "an incomplete member gives to all");
        assert!(may_give(now + GIVEN_PATIENCE, true, given, 2));
    }
}
