//! In which dialect an address is dialled.
//!
//! Ours, unless only a classic conductor told of the address, because in ours everything is sealed. Where somebody
//! answers but does not understand, the other one is tried next; but not where ours is known to be spoken, for anybody who
//! can break a connection can make that look so.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use crate::limits::{ADDRESSES_MAX, CLASSIC_NATIVE_SPAN};
use crate::time::Moment;

/// How members speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Ours, which is sealed.
    Native,
    /// The classic protocol, which is not.
    Classic,
}

/// What is known of how addresses speak.
#[derive(Debug, Default)]
pub struct Dialects {
    known: BTreeMap<SocketAddr, Known>,
    /// The same addresses, in the order in which they came: of too many the oldest are forgotten, and guesses before all
    /// others.
    order: VecDeque<SocketAddr>,
}

/// How an address is dialled, and why.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// Ours was spoken there, or a conductor of ours says so: nothing else is spoken there before this.
    Native { until: Moment },
    /// This is most likely understood there.
    Guess(Dialect),
}

impl Dialects {
    /// Nothing is known.
    #[must_use]
    pub const fn new() -> Dialects {
        Dialects { known: BTreeMap::new(), order: VecDeque::new() }
    }

    /// In which dialect to dial this address.
    #[must_use]
    pub fn of(&self, address: SocketAddr) -> Dialect {
        match self.known.get(&address) {
            Some(Known::Guess(dialect)) => *dialect,
            Some(Known::Native { .. }) | None => Dialect::Native,
        }
    }

    /// A member that speaks our dialect is there: it did, or somebody says so to whom it did.
    pub fn on_native(&mut self, now: Moment, address: SocketAddr) {
        self.set(address, Known::Native { until: now + CLASSIC_NATIVE_SPAN });
    }

    /// A classic conductor told of it: whoever is there may speak ours as well.
    pub fn on_classic(&mut self, address: SocketAddr) {
        if !self.known.contains_key(&address) {
            self.set(address, Known::Guess(Dialect::Classic));
        }
    }

    /// Somebody is there, and did not understand this dialect, or somebody between us makes it look so.
    pub fn on_misunderstood(&mut self, now: Moment, address: SocketAddr, spoken: Dialect) {
        let is_sure = matches!(self.known.get(&address), Some(Known::Native { until }) if now < *until);
        if is_sure || self.of(address) != spoken {
            return;
        }
        let other = match spoken {
            Dialect::Native => Dialect::Classic,
            Dialect::Classic => Dialect::Native,
        };
        self.set(address, Known::Guess(other));
    }

    fn set(&mut self, address: SocketAddr, known: Known) {
        if self.known.insert(address, known).is_some() {
            return;
        }
        self.order.push_back(address);
        if self.order.len() > ADDRESSES_MAX {
            let is_guess = |address| matches!(self.known.get(address), Some(Known::Guess(_)));
            let place = self.order.iter().position(is_guess).unwrap_or(0);
            if let Some(oldest) = self.order.remove(place) {
                self.known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_micros(1_000_000);

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    #[test]
    fn ours_is_preferred() {
        let mut dialects = Dialects::new();
        assert_eq!(dialects.of(address(1)), Dialect::Native);
        dialects.on_classic(address(1));
        assert_eq!(dialects.of(address(1)), Dialect::Classic);
        dialects.on_native(NOW, address(1));
        dialects.on_classic(address(1));
        assert_eq!(dialects.of(address(1)), Dialect::Native);
    }

    #[test]
    fn who_does_not_understand_is_spoken_to_in_the_other_one() {
        let mut dialects = Dialects::new();
        dialects.on_misunderstood(NOW, address(1), Dialect::Classic);
        assert_eq!(dialects.of(address(1)), Dialect::Native, "that was not what would be spoken next");
        for next in [Dialect::Classic, Dialect::Native] {
            dialects.on_misunderstood(NOW, address(1), dialects.of(address(1)));
            assert_eq!(dialects.of(address(1)), next);
        }
    }

    #[test]
    fn broken_connections_do_not_unseal_what_is_said_where_ours_is_spoken() {
        let mut dialects = Dialects::new();
        dialects.on_native(NOW, address(1));
        let soon = NOW + CLASSIC_NATIVE_SPAN / 2;
        for _ in 0..99 {
            dialects.on_misunderstood(soon, address(1), Dialect::Native);
            assert_eq!(dialects.of(address(1)), Dialect::Native);
        }
        dialects.on_native(soon, address(1));
        let late = NOW + CLASSIC_NATIVE_SPAN;
        dialects.on_misunderstood(late, address(1), Dialect::Native);
        assert_eq!(dialects.of(address(1)), Dialect::Native, "it was spoken again");
        dialects.on_misunderstood(soon + CLASSIC_NATIVE_SPAN, address(1), Dialect::Native);
        assert_eq!(dialects.of(address(1)), Dialect::Classic, "somebody else may be there now");
    }

    #[test]
    fn a_flood_of_addresses_costs_no_more_and_hides_nothing() {
        let mut dialects = Dialects::new();
        dialects.on_native(NOW, address(1));
        for port in 2..5_000 {
            dialects.on_classic(address(port));
        }
        assert_eq!((dialects.known.len(), dialects.order.len()), (ADDRESSES_MAX, ADDRESSES_MAX));
        assert_eq!(dialects.of(address(4_999)), Dialect::Classic);
        dialects.on_misunderstood(NOW, address(1), Dialect::Native);
        assert_eq!(dialects.of(address(1)), Dialect::Native);
        for port in 5_000..9_000 {
            dialects.on_native(NOW, address(port));
        }
        assert_eq!((dialects.known.len(), dialects.order.len()), (ADDRESSES_MAX, ADDRESSES_MAX));
    }
}
