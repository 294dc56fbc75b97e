//! What is told of the places that the user named, where others should be found: which cannot be reached, and why.
//!
//! A computer that is away is nothing to tell once it was reached, but a name with a typing error is, and so is somebody
//! else who answers. It does not know what the places are for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::addresses::normalised;
use crate::limits::UNREACHED_PATIENCE;
use crate::time::Moment;

/// Why nobody is reached at an address or a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Nobody answers.
    Away,
    /// Nobody knows where it is, or it says that we are not wanted.
    Refused,
    /// Somebody else answers: no ensemble, or one with another key.
    Stranger,
}

/// All that the user named, by the words with which that was done.
#[derive(Debug, Default)]
pub struct Named {
    places: BTreeMap<String, Place>,
}

#[derive(Debug, Default)]
struct Place {
    addresses: BTreeSet<SocketAddr>,
    /// What is wrong with the name itself.
    wrong: Option<String>,
    /// What happened at each address since somebody was reached last.
    failures: BTreeMap<SocketAddr, (Cause, String)>,
    was_reached: bool,
    /// Since when something is wrong.
    since: Option<Moment>,
    /// What was told; the same cause is not told in other words.
    told: Option<(Cause, String)>,
}

impl Named {
    /// These addresses are behind a name now; `was_reached` if somebody was reached at one of them, in this run or before.
    pub fn found(&mut self, name: &str, addresses: &[SocketAddr], was_reached: bool) {
        let place = self.places.entry(name.to_owned()).or_default();
        place.wrong = None;
        place.was_reached |= was_reached;
        place.addresses = addresses.iter().copied().map(normalised).collect();
        let addresses = &place.addresses;
        place.failures.retain(|address, _| addresses.contains(address));
        place.settle();
    }

    /// The name is of no use now, and why.
    pub fn is_wrong(&mut self, now: Moment, name: &str, why: String) {
        let place = self.places.entry(name.to_owned()).or_default();
        place.wrong = Some(why);
        place.since.get_or_insert(now);
    }

    /// Nobody was reached at this address, and why.
    pub fn failed(&mut self, now: Moment, address: SocketAddr, cause: Cause, why: &str) {
        let address = normalised(address);
        for place in self.places.values_mut().filter(|place| place.addresses.contains(&address)) {
            place.failures.insert(address, (cause, why.to_owned()));
            place.since.get_or_insert(now);
        }
    }

    /// A member was reached at this address.
    pub fn reached(&mut self, address: SocketAddr) {
        let address = normalised(address);
        for place in self.places.values_mut().filter(|place| place.addresses.contains(&address)) {
            place.was_reached = true;
            place.failures.clear();
            place.settle();
        }
    }

    /// What the user should know now.
    pub fn told(&mut self, now: Moment) -> Vec<String> {
        for place in self.places.values_mut() {
            let is_over = |since| now.since(since) >= UNREACHED_PATIENCE;
            if !place.since.is_some_and(is_over) {
                continue;
            }
            let why = place.why().filter(|(cause, _)| !place.was_reached || *cause == Cause::Stranger);
            if why.as_ref().map(|(cause, _)| *cause) != place.told.as_ref().map(|(cause, _)| *cause) {
                place.told = why;
            }
        }
        let told = |(name, place): (&String, &Place)| Some(format!("{name}: {}", place.told.as_ref()?.1));
        self.places.iter().filter_map(told).collect()
    }

    /// All that is not reached now, for whoever waited for it in vain.
    #[must_use]
    pub fn unreached(&self) -> Vec<String> {
        let text = |(name, place): (&String, &Place)| {
            let untried = || (!place.was_reached && !place.addresses.is_empty()).then_some(Cause::Away);
            let why = place.why().map(|(_, why)| why);
            let why = why.or_else(|| untried().map(|_| "nobody has answered yet".to_owned()));
            Some(format!("{name}: {}", why?))
        };
        self.places.iter().filter_map(text).collect()
    }
}

impl Place {
    /// Why nobody is reached: the name is wrong, or something is with all addresses.
    fn why(&self) -> Option<(Cause, String)> {
        if let Some(why) = &self.wrong {
            return Some((Cause::Refused, why.clone()));
        }
        let is_hopeless = self.failures.len() == self.addresses.len();
        self.failures.values().filter(|_| is_hopeless).max_by_key(|(cause, _)| *cause).cloned()
    }

    /// If nothing is wrong any more, nothing is told.
    fn settle(&mut self) {
        if self.wrong.is_none() && self.failures.is_empty() {
            self.since = None;
            self.told = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_micros(1_000_000);
    const NAME: &str = "--member nas:1";

    fn address(host: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], 1))
    }

    fn named(was_reached: bool) -> Named {
        let mut named = Named::default();
        named.found(NAME, &[address(1), address(2)], was_reached);
        named
    }

    fn later() -> Moment {
        NOW + UNREACHED_PATIENCE
    }

    #[test]
    fn it_is_told_when_no_address_helps_and_taken_back() {
        let mut named = named(false);
        assert_eq!(named.unreached(), ["--member nas:1: nobody has answered yet"]);
        named.failed(NOW, address(1), Cause::Away, "gone");
        named.failed(NOW, address(9), Cause::Away, "of somebody else");
        assert_eq!(named.told(later()), [""; 0], "another address may do");
        named.failed(NOW, address(2), Cause::Away, "gone");
        assert_eq!(named.told(NOW), [""; 0], "it may just be starting");
        assert_eq!(named.told(later()), ["--member nas:1: gone"]);
        named.failed(later(), address(1), Cause::Away, "very gone");
        named.failed(later(), address(2), Cause::Away, "very gone");
        assert_eq!(named.told(later()), ["--member nas:1: gone"], "one cause is told once");
        assert_eq!(named.unreached(), ["--member nas:1: very gone"]);
        named.reached("[::ffff:10.0.0.2]:1".parse().unwrap());
        assert_eq!((named.told(later()), named.unreached()), (vec![], vec![]));
    }

    #[test]
    fn who_was_reached_may_be_away_but_not_be_somebody_else() {
        for mut named in [named(true), {
            let mut named = named(false);
            named.reached(address(1));
            named
        }] {
            named.failed(NOW, address(1), Cause::Away, "gone");
            named.failed(NOW, address(2), Cause::Away, "gone");
            assert_eq!(named.told(later()), [""; 0], "a laptop that is away is normal");
            assert_eq!(named.unreached(), ["--member nas:1: gone"], "but whoever waits wants to know");
            named.failed(later(), address(2), Cause::Stranger, "another key");
            assert_eq!(named.told(later()), ["--member nas:1: another key"]);
            named.failed(later(), address(2), Cause::Away, "gone");
            assert_eq!(named.told(later()), [""; 0]);
        }
    }

    #[test]
    fn a_name_that_nobody_knows_is_told_until_somebody_does() {
        let mut named = Named::default();
        named.is_wrong(NOW, NAME, "unknown".to_owned());
        assert_eq!(named.told(later()), ["--member nas:1: unknown"]);
        named.found(NAME, &[address(1)], false);
        assert_eq!(named.told(later()), [""; 0]);
        // A conductor has no addresses at which members are.
        named.found("--conductor nas", &[], false);
        assert_eq!(named.unreached(), ["--member nas:1: nobody has answered yet"]);
    }
}
