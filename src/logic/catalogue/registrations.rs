//! Who may ask for a new account now: back-off for each source.
//!
//! Without it, whoever wants fills the catalogue with accounts in hours, or learns from the refusals which names have one.
//! So each question counts, whatever its answer.

use std::net::IpAddr;
use std::time::Duration;

use super::pauses::Pauses;
use crate::limits::{REGISTRATIONS_FREE_PER_SOURCE, REGISTRATIONS_PAUSE_MAX};
use crate::logic::addresses::source_of;
use crate::time::Moment;

/// See the module.
#[derive(Debug)]
pub struct Registrations(Pauses<IpAddr>);

impl Default for Registrations {
    fn default() -> Registrations {
        Registrations(Pauses::new(REGISTRATIONS_FREE_PER_SOURCE, REGISTRATIONS_PAUSE_MAX))
    }
}

impl Registrations {
    /// Nobody asked for anything.
    #[must_use]
    pub fn new() -> Registrations {
        Registrations::default()
    }

    /// Somebody wants to have an account.
    ///
    /// # Errors
    /// How long they have to wait before it is looked at; then nothing was counted.
    pub fn begin(&mut self, now: Moment, from: IpAddr) -> Result<(), Duration> {
        self.0.try_begin(now, source_of(from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(from: impl Fn(u32) -> IpAddr, count: u32, step: Duration) -> u32 {
        let (mut registrations, mut now, mut looked_at) = (Registrations::new(), Moment::from_micros(1), 0);
        for number in 0..count {
            looked_at += u32::from(registrations.begin(now, from(number)).is_ok());
            now = now + step;
        }
        looked_at
    }

    #[test]
    fn a_class_registers_at_once_and_nobody_fills_the_table() {
        let one = |_| std::net::Ipv4Addr::new(192, 0, 2, 1).into();
        assert_eq!(asked(one, 1_000, Duration::ZERO), REGISTRATIONS_FREE_PER_SOURCE + 1);
        let in_a_day = asked(one, 86_400 / 73, Duration::from_secs(73));
        assert!(in_a_day <= REGISTRATIONS_FREE_PER_SOURCE + 11 + 96, "{in_a_day}");
        let of_a_site = |number: u32| {
            IpAddr::V6(std::net::Ipv6Addr::from_bits(0x2001_0db8_u128 << 96 | u128::from(number)))
        };
        assert_eq!(asked(of_a_site, 1_000, Duration::ZERO), REGISTRATIONS_FREE_PER_SOURCE + 1);
    }

    #[test]
    fn others_do_not_wait_for_one_who_asks_too_much() {
        let many = |number: u32| std::net::Ipv4Addr::from_bits(0x0a00_0000 | number).into();
        assert_eq!(asked(many, 1_000, Duration::ZERO), 1_000);
    }
}
