//! In which dialect an address is dialled.
//!
//! Ours, unless only a classic conductor told of the address, because in ours everything is sealed. Where somebody
//! answers but does not understand, the other one is tried next.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use crate::limits::ADDRESSES_MAX;

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
    known: BTreeMap<SocketAddr, Dialect>,
    /// The same addresses, in the order in which they came: of too many the oldest are forgotten.
    order: VecDeque<SocketAddr>,
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
        self.known.get(&address).copied().unwrap_or(Dialect::Native)
    }

    /// A member that speaks our dialect is there, as somebody says.
    pub fn on_native(&mut self, address: SocketAddr) {
        self.set(address, Dialect::Native);
    }

    /// A classic conductor told of it: whoever is there may speak ours as well.
    pub fn on_classic(&mut self, address: SocketAddr) {
        if !self.known.contains_key(&address) {
            self.set(address, Dialect::Classic);
        }
    }

    /// Somebody is there, and did not understand this dialect.
    pub fn on_misunderstood(&mut self, address: SocketAddr, spoken: Dialect) {
        if self.of(address) == spoken {
            let other = match spoken {
                Dialect::Native => Dialect::Classic,
                Dialect::Classic => Dialect::Native,
            };
            self.set(address, other);
        }
    }

    fn set(&mut self, address: SocketAddr, dialect: Dialect) {
        if self.known.insert(address, dialect).is_some() {
            return;
        }
        self.order.push_back(address);
        if self.order.len() > ADDRESSES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    #[test]
    fn ours_is_preferred() {
        let mut dialects = Dialects::new();
        assert_eq!(dialects.of(address(1)), Dialect::Native);
        dialects.on_classic(address(1));
        assert_eq!(dialects.of(address(1)), Dialect::Classic);
        dialects.on_native(address(1));
        dialects.on_classic(address(1));
        assert_eq!(dialects.of(address(1)), Dialect::Native);
    }

    #[test]
    fn who_does_not_understand_is_spoken_to_in_the_other_one() {
        let mut dialects = Dialects::new();
        dialects.on_misunderstood(address(1), Dialect::Classic);
        assert_eq!(dialects.of(address(1)), Dialect::Native, "that was not what would be spoken next");
        for next in [Dialect::Classic, Dialect::Native] {
            dialects.on_misunderstood(address(1), dialects.of(address(1)));
            assert_eq!(dialects.of(address(1)), next);
        }
    }

    #[test]
    fn a_flood_of_addresses_costs_no_more() {
        let mut dialects = Dialects::new();
        for port in 1..5_000 {
            dialects.on_classic(address(port));
        }
        assert_eq!((dialects.known.len(), dialects.order.len()), (ADDRESSES_MAX, ADDRESSES_MAX));
        assert_eq!(dialects.of(address(4_999)), Dialect::Classic);
    }
}
