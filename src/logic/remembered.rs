//! The addresses at which devices of an ensemble were reached, for the next start.
//!
//! It is a bounded list that is kept as text, one address a line: where, which device, and when it was last reached there,
//! in seconds since 1970. Who can write that text can write everything else in the folder as well, and a line of nonsense
//! is worth no more than a wrong rumour: whoever answers at an address proves itself by the handshake.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::addresses::{normalised, source_of};
use crate::entry::Device;
use crate::limits::{REMEMBERED_DOUBT, REMEMBERED_MAX, REMEMBERED_RENEW, REMEMBERED_SPAN};
use crate::time::Moment;

/// The list.
#[derive(Debug, Default)]
pub struct Remembered {
    /// Invariant: at most [`REMEMBERED_MAX`].
    places: BTreeMap<SocketAddr, Place>,
    /// Something is worth writing down.
    has_news: bool,
}

#[derive(Debug)]
struct Place {
    device: Device,
    /// When it was last reached there, since 1970, as far as is written down.
    reached: Duration,
    /// When in this run.
    proven: Option<Moment>,
}

impl Remembered {
    /// What a text says, but for what is nonsense, or was not reached for [`REMEMBERED_SPAN`].
    #[must_use]
    pub fn parse(text: &str, wall: Duration) -> Remembered {
        let mut remembered = Remembered::default();
        for (address, device, reached) in text.lines().filter_map(parse_line) {
            if wall.saturating_sub(reached) < REMEMBERED_SPAN {
                remembered.places.insert(address, Place { device, reached, proven: None });
                remembered.make_room();
            }
        }
        remembered
    }

    /// All addresses.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.places.keys().copied()
    }

    /// Whether a member was reached there within [`REMEMBERED_SPAN`].
    #[must_use]
    pub fn is_known(&self, address: SocketAddr) -> bool {
        self.places.contains_key(&normalised(address))
    }

    /// This device answered there with our key; `wall` is since 1970.
    pub fn reached(&mut self, address: SocketAddr, device: Device, now: Moment, wall: Duration) {
        let address = normalised(address);
        let is_old = |place: &Place| wall.abs_diff(place.reached) >= REMEMBERED_RENEW;
        match self.places.get_mut(&address) {
            Some(place) if place.device == device && !is_old(place) => place.proven = Some(now),
            _ => {
                self.places.insert(address, Place { device, reached: wall, proven: Some(now) });
                self.make_room();
                self.has_news = true;
            }
        }
    }

    /// Whether nobody would be found there but a device that is here already: it was reached there in this run, not so
    /// long ago that somebody else may be there by now; or, if it was not, it was the last one there.
    #[must_use]
    pub fn is_needless(&self, address: SocketAddr, now: Moment, is_here: impl Fn(Device) -> bool) -> bool {
        self.places.get(&normalised(address)).is_some_and(|place| {
            is_here(place.device) && place.proven.is_none_or(|at| now.since(at) < REMEMBERED_DOUBT)
        })
    }

    /// The text to keep, if it is another one than the last.
    pub fn news(&mut self) -> Option<String> {
        let line = |(address, place): (&SocketAddr, &Place)| {
            format!("{address} {} {}\n", place.device, place.reached.as_secs())
        };
        std::mem::take(&mut self.has_news).then(|| self.places.iter().map(line).collect())
    }

    /// Whoever has many addresses does not take the place of others: of the source of connections that has most, the
    /// address goes that was not reached for longest.
    fn make_room(&mut self) {
        while self.places.len() > REMEMBERED_MAX {
            let mut sources: BTreeMap<IpAddr, usize> = BTreeMap::new();
            for address in self.places.keys() {
                *sources.entry(source_of(address.ip())).or_default() += 1;
            }
            let crowd = sources.into_iter().max_by_key(|&(_, count)| count).map(|(source, _)| source);
            let theirs = self.places.iter().filter(|(address, _)| Some(source_of(address.ip())) == crowd);
            let Some(oldest) = theirs.min_by_key(|(_, place)| place.reached).map(|(&address, _)| address)
            else {
                return;
            };
            self.places.remove(&oldest);
        }
    }
}

fn parse_line(line: &str) -> Option<(SocketAddr, Device, Duration)> {
    let mut words = line.split(' ');
    let address = words.next()?.parse().ok()?;
    let device = u64::from_str_radix(words.next()?, 16).ok()?;
    let reached = words.next()?.parse().ok()?;
    Some((normalised(address), Device::from_bits(device), Duration::from_secs(reached)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::REMEMBERED_TEXT_LEN_MAX;
    use proptest::prelude::*;

    const NOW: Moment = Moment::from_micros(1_000_000);
    const WALL: Duration = Duration::from_secs(1_800_000_000);

    fn address(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], port))
    }

    fn device(number: u64) -> Device {
        Device::from_bits(number)
    }

    #[test]
    fn what_was_reached_is_there_after_a_restart_and_forgotten_after_a_month() {
        let mut before = Remembered::default();
        assert_eq!(before.news(), None);
        let local: SocketAddr = "[fe80::1%7]:5".parse().unwrap();
        before.reached(address(1, 2), device(3), NOW, WALL);
        before.reached(local, device(4), NOW, WALL + Duration::from_secs(60));
        let text = before.news().unwrap();
        assert_eq!(before.news(), None, "it was told");
        let known = |wall| Remembered::parse(&text, wall).addresses().collect::<Vec<_>>();
        assert_eq!(known(WALL), [address(1, 2), local]);
        assert_eq!(known(Duration::ZERO).len(), 2, "the clock may have been set back");
        assert_eq!(known(WALL + REMEMBERED_SPAN), [local]);
    }

    #[test]
    fn little_is_written() {
        let mut remembered = Remembered::default();
        remembered.reached(address(1, 2), device(3), NOW, WALL);
        remembered.news().unwrap();
        let almost = WALL + REMEMBERED_RENEW / 2;
        remembered.reached(address(1, 2), device(3), NOW, almost);
        assert_eq!(remembered.news(), None, "that it still is there is no news");
        remembered.reached(address(1, 2), device(3), NOW, WALL + REMEMBERED_RENEW);
        assert!(remembered.news().is_some(), "but must not be forgotten");
        remembered.reached(address(1, 2), device(4), NOW, almost);
        assert!(remembered.news().is_some(), "somebody else is there");
    }

    #[test]
    fn who_is_here_is_not_dialled_at_another_address() {
        let text = format!("10.0.0.1:1 {} {}\n", device(1), WALL.as_secs());
        let mut remembered = Remembered::parse(&text, WALL);
        remembered.reached(address(2, 1), device(1), NOW, WALL);
        let is_needless = |address, now, here| remembered.is_needless(address, now, |device| device == here);
        for place in [address(1, 1), address(2, 1)] {
            assert!(is_needless(place, NOW, device(1)), "{place}");
            assert!(!is_needless(place, NOW, device(2)), "{place}");
        }
        assert!(!is_needless(address(3, 1), NOW, device(1)), "nobody knows who is there");
        assert!(!is_needless(address(2, 1), NOW + REMEMBERED_DOUBT, device(1)), "who knows who is there now");
        assert!(is_needless(address(1, 1), NOW + REMEMBERED_DOUBT, device(1)));
    }

    #[test]
    fn one_host_does_not_push_out_the_others() {
        let mut remembered = Remembered::default();
        for host in 1..=5 {
            remembered.reached(address(host, 1), device(host.into()), NOW, WALL);
        }
        for port in 1..5_000 {
            let later = WALL + Duration::from_secs(port.into());
            remembered.reached(address(6, port), device(port.into()), NOW, later);
        }
        assert_eq!(remembered.places.len(), REMEMBERED_MAX);
        assert!((1..=5).all(|host| remembered.is_known(address(host, 1))));
        assert!(remembered.is_known(address(6, 4_999)), "the latest of them");
    }

    #[test]
    fn the_longest_text_is_read_whole() {
        let mut remembered = Remembered::default();
        for port in 1..=REMEMBERED_MAX {
            let ip = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap();
            let port = u16::try_from(10_000 + port).unwrap();
            let address = std::net::SocketAddrV6::new(ip, port, 0, u32::MAX).into();
            remembered.reached(address, device(u64::MAX), NOW, Duration::from_secs(u64::MAX));
        }
        assert!(remembered.news().unwrap().len() as u64 <= REMEMBERED_TEXT_LEN_MAX);
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(
            lines in prop::collection::vec("(10\\.0\\.0\\.[0-9]:[0-9]{1,5}|\\[::1\\]:1|.{0,9}) [0-9a-f]{0,17} [0-9]{0,21}", 0..130),
            wall in any::<u64>(),
        ) {
            let remembered = Remembered::parse(&lines.join("\n"), Duration::from_secs(wall));
            prop_assert!(remembered.places.len() <= REMEMBERED_MAX);
        }
    }
}
