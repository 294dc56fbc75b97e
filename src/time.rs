//! Time as a value.
//!
//! Machines are told the time; only `host::clock` reads it.
//! A [`Moment`] counts microseconds since a start that the host chose, so it never goes backwards and says
//! nothing about the date.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// A point in time: microseconds since the process (or the simulated world) began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The moment at which time begins.
    pub const START: Moment = Moment(0);

    /// The moment `micros` microseconds after the start.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Moment {
        Moment(micros)
    }

    /// Microseconds since the start.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Moment) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, span: Duration) -> Moment {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Moment(self.0.saturating_add(micros))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_moment_is_never_negative_ago() {
        let start = Moment::from_micros(5);
        let later = start + Duration::from_secs(2);
        assert_eq!(later.since(start), Duration::from_secs(2));
        assert_eq!(start.since(later), Duration::ZERO);
        assert_eq!(later.to_string(), "2.000005");
    }

    #[test]
    fn time_saturates_instead_of_wrapping() {
        assert_eq!(Moment::from_micros(1) + Duration::MAX, Moment::from_micros(u64::MAX));
    }
}
