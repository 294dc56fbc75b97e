//! Whose reports are looked at now: each one costs the database a little, also those that do not count.

use super::pauses::Pauses;
use crate::account::AccountId;
use crate::limits::{REPORTS_PAUSE_MAX, REPORTS_PER_DAY_MAX};
use crate::time::Moment;

/// See the module.
#[derive(Debug)]
pub struct Reporters(Pauses<AccountId>);

impl Default for Reporters {
    fn default() -> Reporters {
        let free = u32::try_from(REPORTS_PER_DAY_MAX).expect("it is small");
        Reporters(Pauses::new(free, REPORTS_PAUSE_MAX))
    }
}

impl Reporters {
    /// Nobody reported anything.
    #[must_use]
    pub fn new() -> Reporters {
        Reporters::default()
    }

    /// Whether this one may report something now; then it has.
    pub fn may_report(&mut self, now: Moment, reporter: AccountId) -> bool {
        self.0.try_begin(now, reporter).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_flood_is_not_looked_at_and_a_day_later_all_is_well() {
        let mut reporters = Reporters::new();
        let now = Moment::from_micros(1);
        let (flood, other) = (AccountId::from_number(1), AccountId::from_number(2));
        let looked_at = (0..100_000).filter(|_| reporters.may_report(now, flood)).count() as u64;
        assert_eq!(looked_at, REPORTS_PER_DAY_MAX + 1);
        assert!(reporters.may_report(now, other));
        let later = now + Duration::from_secs(86_400);
        let looked_at = (0..100_000).filter(|_| reporters.may_report(later, flood)).count() as u64;
        assert!((REPORTS_PER_DAY_MAX - 1..=REPORTS_PER_DAY_MAX + 1).contains(&looked_at), "{looked_at}");
    }
}
