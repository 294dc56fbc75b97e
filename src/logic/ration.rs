//! How many lines of a log a flood may fill: so many of each kind in a span; what is left out is counted.
//!
//! It does not know what a line says, nor where it goes.

use std::time::Duration;

use crate::time::Moment;

/// The lines of so many kinds. A kind is a number below `KINDS`.
#[derive(Debug)]
pub struct Rations<const KINDS: usize> {
    most: u32,
    span: Duration,
    /// When the span that is being counted is over.
    until: Moment,
    written: [u32; KINDS],
    left_out: [u64; KINDS],
}

impl<const KINDS: usize> Rations<KINDS> {
    /// At most so many lines of each kind in each span.
    #[must_use]
    pub const fn new(most: u32, span: Duration) -> Rations<KINDS> {
        Rations { most, span, until: Moment::START, written: [0; KINDS], left_out: [0; KINDS] }
    }

    /// Whether there is room for one more line of this kind; if not, it counts as left out.
    pub const fn take(&mut self, kind: usize) -> bool {
        let room = self.written[kind] < self.most;
        if room {
            self.written[kind] += 1;
        } else {
            self.left_out[kind] += 1;
        }
        room
    }

    /// Begins to count anew if the span is over; returns what was left out of each kind meanwhile.
    pub fn turn_page(&mut self, now: Moment) -> [u64; KINDS] {
        if now < self.until {
            return [0; KINDS];
        }
        self.until = now + self.span;
        self.written = [0; KINDS];
        std::mem::replace(&mut self.left_out, [0; KINDS])
    }

    /// When the page must be turned if nothing happens first: something was left out, and is to be told.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        self.left_out.iter().any(|&left_out| left_out > 0).then_some(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_counted_for_each_kind() {
        let span = Duration::from_secs(1);
        let (mut rations, start) = (Rations::<2>::new(3, span), Moment::START);
        assert_eq!(rations.turn_page(start), [0, 0]);
        let taken = (0..5).filter(|_| rations.take(0)).count();
        assert_eq!((taken, rations.take(1), rations.deadline()), (3, true, Some(start + span)));
        assert_eq!(rations.turn_page(start + span / 2), [0, 0], "not yet");
        assert_eq!(rations.turn_page(start + span), [2, 0]);
        assert!(rations.take(0) && rations.deadline().is_none());
    }
}
