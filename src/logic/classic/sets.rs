//! How often sets of parts are read and told.
//!
//! In the classic protocol a set is one decimal integer, and making bits of its digits, or digits of its bits, costs the
//! square of its size. So all links of a member together read one only every so often, however many links there are and
//! however often they begin anew, they write one only as often, and each link asks for one and tells one so seldom that all of them get by.

use std::time::Duration;

use crate::limits::{CLASSIC_SET_PAUSE, LINKS_MAX, PARTS_MAX};
use crate::part::Layout;
use crate::part_set::PartSet;
use crate::time::Moment;
use crate::wire::classic::mask::{Mask, digits_max};

/// How long all links together wait after a set of such a composition was read.
#[must_use]
pub fn pause(layout: Layout) -> Duration {
    pause_of_digits(digits_max(layout.parts()))
}

/// The same after so many digits were read.
fn pause_of_digits(digits: usize) -> Duration {
    let (digits, most) = (digits as u128, digits_max(PARTS_MAX) as u128);
    // Moments are counted in microseconds.
    let micros = CLASSIC_SET_PAUSE.as_micros() * digits * digits / (most * most);
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// How long one link waits between two sets at least, so that there is room for those of all the others.
#[must_use]
pub fn pause_of_link(layout: Layout) -> Duration {
    let links = u32::try_from(LINKS_MAX).expect("LINKS_MAX is far below 2^32");
    pause(layout) * links
}

/// When the next set may be read, for all links of a member together. Whoever waits leaves no debt: those that come and go
/// while they wait cost nobody anything, and what is too short for a set costs as little as it takes.
#[derive(Debug)]
pub struct Sets {
    next: Moment,
}

impl Sets {
    /// None was read yet.
    #[must_use]
    pub const fn new() -> Sets {
        Sets { next: Moment::START }
    }

    /// Takes the right to read this now.
    ///
    /// # Errors
    /// It is too early: how long to wait before asking again.
    pub fn take(&mut self, now: Moment, mask: &Mask) -> Result<(), Duration> {
        if now < self.next {
            return Err(self.next.since(now));
        }
        self.next = now + pause_of_digits(mask.len());
        Ok(())
    }
}

/// The set that is told, as it was written last, for all links of a member together.
#[derive(Debug, Default)]
pub struct Written(Option<(Moment, u32, Mask)>);

impl Written {
    /// None was written yet.
    #[must_use]
    pub const fn new() -> Written {
        Written(None)
    }

    /// How this set is written, which never loses a part: or how it was a moment ago, if writing it again would cost too much.
    pub fn tell(&mut self, now: Moment, set: &PartSet) -> Mask {
        if let Some((since, count, mask)) = &self.0
            && (*count == set.count() || now.since(*since) < pause(set.layout()))
        {
            return mask.clone();
        }
        let mask = Mask::of(set);
        self.0 = Some((now, set.count(), mask.clone()));
        mask
    }
}

impl Default for Sets {
    fn default() -> Sets {
        Sets::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CLASSIC_LIST_PAUSE;
    use proptest::prelude::*;

    const NOW: Moment = Moment::from_micros(1_000_000_000);

    fn layout(parts: u32) -> Layout {
        Layout::new(parts.into(), 1).unwrap()
    }

    #[test]
    fn the_pause_grows_with_the_cost() {
        assert_eq!(pause(layout(PARTS_MAX)), CLASSIC_SET_PAUSE);
        let of_half = pause(layout(PARTS_MAX / 2));
        assert!(of_half.abs_diff(CLASSIC_SET_PAUSE / 4) < CLASSIC_SET_PAUSE / 1_000, "{of_half:?}");
        assert_eq!(pause(layout(0)), Duration::ZERO);
        // The largest that the original members can read are told as often as any.
        assert!(pause_of_link(layout(14_280)) < CLASSIC_LIST_PAUSE);
    }

    #[test]
    fn what_is_too_short_for_a_set_takes_no_time_of_others() {
        let mut sets = Sets::new();
        let short = Mask::of(&PartSet::full(layout(9)));
        for _ in 0..99 {
            assert_eq!(sets.take(NOW, &short), Ok(()));
        }
        let long = Mask::of(&PartSet::full(layout(PARTS_MAX / 16)));
        assert_eq!(sets.take(NOW, &long), Ok(()));
        assert!(sets.take(NOW, &short).is_err());
    }

    #[test]
    fn what_is_told_is_written_only_so_often() {
        let layout = layout(PARTS_MAX / 4);
        let (mut written, mut set) = (Written::new(), PartSet::empty(layout));
        let empty = Mask::of(&set);
        assert!(written.tell(NOW, &set) == empty);
        set.insert(layout.part(7).unwrap());
        let later = NOW + pause(layout);
        let soon = NOW + (pause(layout) - Duration::from_millis(1));
        assert!(written.tell(soon, &set) == empty, "it was so a moment ago");
        assert!(written.tell(later, &set) == Mask::of(&set));
        // What is not new is not written again, however late.
        written.tell(later + pause(layout) * 9, &set);
        assert!(matches!(written.0, Some((since, 1, _)) if since == later));
    }

    proptest! {
        /// However many links try, and however they come and go, no more are read than the pauses let through.
        #[test]
        fn all_links_together_read_only_so_many(
            tries in proptest::collection::vec((0u64..8, 1usize..60), 1..200),
        ) {
            let (mut sets, mut now, mut read) = (Sets::new(), NOW, 0u32);
            let mask = Mask::of(&PartSet::full(layout(PARTS_MAX / 16)));
            let pause = pause(layout(PARTS_MAX / 16));
            // The digits that there are and those that there may be differ by one.
            let (shortest, longest) = (pause.mul_f64(0.999), pause);
            for (wait, links) in tries {
                now = now + Duration::from_millis(wait);
                for _ in 0..links {
                    match sets.take(now, &mask) {
                        Ok(()) => read += 1,
                        Err(wait) => prop_assert!(wait > Duration::ZERO && wait <= longest),
                    }
                }
            }
            let span = now.since(NOW);
            prop_assert!(read >= 1 && shortest * (read - 1) <= span, "{} in {:?}", read, span);
        }
    }
}
