//! Who wrote a version, and which others they knew.
//!
//! Every version of a path has a *dot*: its author and the author's counter, which is greater than every counter
//! that the author knew of for this path (Lamport, "Time, clocks, and the ordering of events in a distributed
//! system", 1978) and no less than the seconds since 1970.
//! So dots are in one order, the same on every machine, which never contradicts who knew what; and a counter that
//! was lost with an index does not start at 1 again.
//! Beside its dot a version carries which dots its author knew, in short as one counter for each author (a dotted
//! version vector: Preguiça and others, "Dotted version vectors", 2010).

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::path::TreePath;
use crate::limits::AUTHORS_MAX;

const BESIDE_CONTEXT: &str = "orchestra 2026-11 device beside a path v1";

/// The least counter that a dot has. Nobody who knows nothing of a device has heard of it.
const COUNTER_LEAST: u64 = 1;

/// An author of versions: one folder on one computer, for as long as its index lives. Random.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Device(u64);

impl Device {
    /// The device with this id.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Device {
        Device(bits)
    }

    /// Under which name versions of this device at `path` go on elsewhere, which has versions of its own.
    #[must_use]
    pub fn beside(self, path: &TreePath) -> Device {
        let mut hasher = blake3::Hasher::new_derive_key(BESIDE_CONTEXT);
        hasher.update(&self.0.to_le_bytes()).update(path.as_str().as_bytes());
        let mut bits = [0; size_of::<u64>()];
        bits.copy_from_slice(&hasher.finalize().as_bytes()[..size_of::<u64>()]);
        Device(u64::from_le_bytes(bits))
    }

    /// The id, as it is stored.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The name of a version among those of its path. Of two versions the one with the greater dot is in place in the end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dot {
    /// Whose version it is.
    pub device: Device,
    /// Greater than those of all versions of this path that the author knew.
    pub counter: u64,
}

/// By counter, then by device: later ones are greater, and no two versions of a path are equal.
impl Ord for Dot {
    fn cmp(&self, other: &Dot) -> Ordering {
        (self.counter, self.device).cmp(&(other.counter, other.device))
    }
}

impl PartialOrd for Dot {
    fn partial_cmp(&self, other: &Dot) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.counter, self.device)
    }
}

/// A set of dots that with each one has all earlier ones of its device.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(Device, u64)>")]
pub struct Known(
    /// Invariant: in the order of devices, each once; at most [`AUTHORS_MAX`].
    Vec<(Device, u64)>,
);

impl Known {
    /// The dot, and those before it of its device.
    #[must_use]
    pub fn only(dot: Dot) -> Known {
        Known(vec![(dot.device, dot.counter)])
    }

    /// Reads what another machine wrote.
    ///
    /// None if the devices are not in order, or more than [`AUTHORS_MAX`].
    #[must_use]
    pub fn from_pairs(pairs: Vec<(Device, u64)>) -> Option<Known> {
        let ordered = pairs.is_sorted_by(|(a, _), (b, _)| a < b);
        (ordered && pairs.len() <= AUTHORS_MAX).then_some(Known(pairs))
    }

    /// One counter for each device, in the order of devices.
    #[must_use]
    pub fn pairs(&self) -> &[(Device, u64)] {
        &self.0
    }

    /// Whether the dot is one of them.
    #[must_use]
    pub fn has(&self, dot: Dot) -> bool {
        self.counter_of(dot.device) >= dot.counter.max(COUNTER_LEAST)
    }

    /// The greatest counter of anybody.
    #[must_use]
    pub fn greatest(&self) -> u64 {
        self.0.iter().map(|&(_, counter)| counter).max().unwrap_or(0)
    }

    /// Adds a dot.
    pub fn insert(&mut self, dot: Dot) {
        match self.0.binary_search_by_key(&dot.device, |&(device, _)| device) {
            Ok(at) => self.0[at].1 = self.0[at].1.max(dot.counter),
            Err(at) => {
                self.0.insert(at, (dot.device, dot.counter));
                self.forget_oldest();
            }
        }
    }

    /// Adds all of the other's.
    pub fn merge(&mut self, other: &Known) {
        other.0.iter().for_each(|&(device, counter)| self.insert(Dot { device, counter }));
    }

    fn counter_of(&self, device: Device) -> u64 {
        self.0.binary_search_by_key(&device, |&(device, _)| device).map_or(0, |at| self.0[at].1)
    }

    /// What is forgotten so may at worst look like a conflict one day, which loses nothing.
    fn forget_oldest(&mut self) {
        if self.0.len() > AUTHORS_MAX
            && let Some(at) = (0..self.0.len()).min_by_key(|&at| self.0[at].1)
        {
            self.0.remove(at);
        }
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|&(device, counter)| (device, counter))).finish()
    }
}

/// The devices are not in order, or more than [`AUTHORS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("what a version knows is not in order, or too much")]
pub struct BadKnown;

impl TryFrom<Vec<(Device, u64)>> for Known {
    type Error = BadKnown;

    fn try_from(pairs: Vec<(Device, u64)>) -> Result<Known, BadKnown> {
        Known::from_pairs(pairs).ok_or(BadKnown)
    }
}

/// Who writes new versions here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author {
    /// This device.
    pub device: Device,
    /// The seconds since 1970 that its clock shows, right or wrong.
    pub seconds: u64,
}

impl Author {
    /// The dot of a version of which nothing is known but that it is there: less than that of any written one.
    #[must_use]
    pub const fn least_dot(self) -> Dot {
        Dot { device: self.device, counter: COUNTER_LEAST }
    }

    /// The dot of a version that is written knowing all of these.
    #[must_use]
    pub fn dot_after(self, known: &[&Known]) -> Dot {
        let greatest = known.iter().map(|known| known.greatest()).max().unwrap_or(0);
        Dot {
            device: self.device,
            counter: greatest.saturating_add(1).max(self.seconds).max(COUNTER_LEAST + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dot(device: u64, counter: u64) -> Dot {
        Dot { device: Device(device), counter }
    }

    #[test]
    fn knowing_a_dot_is_knowing_the_earlier_ones_of_its_device() {
        let known = Known::only(dot(1, 5));
        assert!(known.has(dot(1, 5)) && known.has(dot(1, 4)));
        assert!(!known.has(dot(1, 6)) && !known.has(dot(2, 1)));
    }

    #[test]
    fn a_counter_follows_the_clock_and_never_goes_back() {
        let known = Known::only(dot(1, 1_000));
        let author = |seconds| Author { device: Device(2), seconds };
        assert_eq!(author(5).dot_after(&[&known]), dot(2, 1_001), "a clock that is behind");
        assert_eq!(author(2_000).dot_after(&[&known]), dot(2, 2_000));
        assert_eq!(author(0).dot_after(&[]), dot(2, 2));
        assert!(author(0).least_dot() < author(0).dot_after(&[]));
    }

    #[test]
    fn the_oldest_authors_are_forgotten() {
        let mut known = Known::default();
        for device in 0..=AUTHORS_MAX as u64 {
            known.insert(dot(device, 1_000 - device.min(900)));
        }
        assert_eq!(known.pairs().len(), AUTHORS_MAX);
        assert!(known.has(dot(0, 1_000)) && !known.has(dot(AUTHORS_MAX as u64, 1)));
    }

    #[test]
    fn what_is_read_is_in_order_and_bounded() {
        let pairs = |devices: &[u64]| devices.iter().map(|&device| (Device(device), 1)).collect();
        assert!(Known::from_pairs(pairs(&[1, 2, 9])).is_some());
        assert!(Known::from_pairs(pairs(&[2, 1])).is_none());
        assert!(Known::from_pairs(pairs(&[1, 1])).is_none());
        let many: Vec<u64> = (0..=AUTHORS_MAX as u64).collect();
        assert!(Known::from_pairs(pairs(&many)).is_none());
    }

    fn any_dot() -> impl Strategy<Value = Dot> {
        (0..4_u64, 0..4_u64).prop_map(|(device, counter)| dot(device, counter))
    }

    proptest! {
        #[test]
        fn dots_are_in_one_order(a in any_dot(), b in any_dot(), c in any_dot()) {
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
            prop_assert!(!(a < b && b < c) || a < c);
        }

        #[test]
        fn merging_knows_what_either_knew(dots in prop::collection::vec(any_dot(), 0..8), split in 0..8_usize) {
            let (left, right) = dots.split_at(split.min(dots.len()));
            let gather = |dots: &[Dot]| {
                let mut known = Known::default();
                dots.iter().for_each(|&dot| known.insert(dot));
                known
            };
            let mut merged = gather(left);
            merged.merge(&gather(right));
            prop_assert_eq!(&merged, &gather(&dots));
            prop_assert!(dots.iter().all(|&dot| dot.counter == 0 || merged.has(dot)));
        }

        #[test]
        fn who_knows_a_version_writes_a_greater_one(dots in prop::collection::vec(any_dot(), 0..8), seconds in 0..6_u64) {
            let mut known = Known::default();
            dots.iter().for_each(|&dot| known.insert(dot));
            let new = Author { device: Device(0), seconds }.dot_after(&[&known]);
            prop_assert!(dots.iter().all(|&dot| dot < new));
        }
    }
}
