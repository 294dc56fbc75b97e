//! Who is there on the local network, and what of it is news.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use mdns_sd::ScopedIp;

use super::Reach;
use crate::limits::{LAN_ADDRESSES_MAX, LAN_NEIGHBOURS_MAX};

/// Those of our kind that were seen and are not gone.
#[derive(Debug)]
pub(super) struct Neighbours {
    /// Our own name.
    own: String,
    reach: Reach,
    /// Invariant: at most [`LAN_NEIGHBOURS_MAX`], each with at most [`LAN_ADDRESSES_MAX`] addresses.
    known: HashMap<String, BTreeSet<SocketAddr>>,
    /// The same names, in the order in which they were found.
    order: VecDeque<String>,
}

impl Neighbours {
    /// Nobody yet; what has this name is ourselves.
    pub(super) fn new(own: String) -> Neighbours {
        Neighbours { own, reach: Reach::Nothing, known: HashMap::new(), order: VecDeque::new() }
    }

    /// How far we hear ourselves.
    pub(super) const fn reach(&self) -> Reach {
        self.reach
    }

    /// Somebody is there, with all of its addresses; yields those that are news.
    pub(super) fn seen<'a>(
        &mut self,
        name: &str,
        port: u16,
        addresses: impl Iterator<Item = &'a ScopedIp>,
        is_our_kind: bool,
    ) -> Vec<SocketAddr> {
        let addresses = usable(addresses, port);
        if name.eq_ignore_ascii_case(&self.own) {
            self.reach = match addresses.first() {
                None => Reach::Nothing,
                Some(address) if address.ip().is_loopback() => Reach::ThisComputer,
                Some(_) => Reach::Network,
            };
            return Vec::new();
        }
        if !is_our_kind || addresses.is_empty() {
            self.gone(name);
            return Vec::new();
        }
        let before = self.known.insert(name.to_owned(), addresses.clone());
        if before.is_none() {
            self.order.push_back(name.to_owned());
            if self.order.len() > LAN_NEIGHBOURS_MAX
                && let Some(first) = self.order.pop_front()
            {
                self.known.remove(&first);
            }
        }
        let before = before.unwrap_or_default();
        addresses.into_iter().filter(|address| !before.contains(address)).collect()
    }

    /// Somebody is gone, or not of our kind any more.
    pub(super) fn gone(&mut self, name: &str) {
        if name.eq_ignore_ascii_case(&self.own) {
            self.reach = Reach::Nothing;
        } else if self.known.remove(name).is_some() {
            self.order.retain(|known| known != name);
        }
    }

    /// Nothing is known any more.
    pub(super) fn forget(&mut self) {
        self.reach = Reach::Nothing;
        self.known.clear();
        self.order.clear();
    }
}

/// Addresses that may be dialled; of the computer itself only if there is no other.
fn usable<'a>(addresses: impl Iterator<Item = &'a ScopedIp>, port: u16) -> BTreeSet<SocketAddr> {
    let all: BTreeSet<SocketAddr> = addresses.filter_map(|address| dialled(address, port)).collect();
    let (own, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|address| address.ip().is_loopback());
    let usable = if others.is_empty() { own } else { others };
    usable.into_iter().take(LAN_ADDRESSES_MAX).collect()
}

fn dialled(address: &ScopedIp, port: u16) -> Option<SocketAddr> {
    let ip = address.to_ip_addr();
    let is_host = match ip {
        IpAddr::V4(ip) => !ip.is_broadcast() && !ip.is_multicast() && !ip.is_unspecified(),
        IpAddr::V6(ip) => !ip.is_multicast() && !ip.is_unspecified(),
    };
    if !is_host || port == 0 {
        return None;
    }
    Some(match (ip, address) {
        (IpAddr::V6(ip), ScopedIp::V6(scoped)) if ip.is_unicast_link_local() => {
            // It means something on one network only.
            SocketAddrV6::new(ip, port, 0, scoped.scope_id().index).into()
        }
        _ => SocketAddr::new(ip, port),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scoped(ips: &[&str]) -> Vec<ScopedIp> {
        ips.iter().map(|ip| ip.parse::<IpAddr>().unwrap().into()).collect()
    }

    fn seen(neighbours: &mut Neighbours, name: &str, ips: &[&str]) -> Vec<String> {
        let new = neighbours.seen(name, 7, scoped(ips).iter(), true);
        new.iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn only_what_is_new_is_news() {
        let mut neighbours = Neighbours::new("me.".into());
        assert_eq!(seen(&mut neighbours, "a", &["10.0.0.1"]), ["10.0.0.1:7"]);
        assert_eq!(seen(&mut neighbours, "a", &["10.0.0.1", "fd77::1"]), ["[fd77::1]:7"]);
        assert_eq!(seen(&mut neighbours, "a", &["fd77::1"]), [""; 0]);
        assert_eq!(seen(&mut neighbours, "a", &["10.0.0.1", "fd77::1"]), ["10.0.0.1:7"], "it came back");
        neighbours.gone("a");
        assert_eq!(seen(&mut neighbours, "a", &["fd77::1"]), ["[fd77::1]:7"], "so did it");
        assert!(neighbours.seen("b", 7, scoped(&["10.0.0.2"]).iter(), false).is_empty(), "another kind");
        assert_eq!(seen(&mut neighbours, "b", &["10.0.0.2"]), ["10.0.0.2:7"]);
    }

    #[test]
    fn we_are_no_neighbour_but_tell_whether_there_is_a_network() {
        let mut neighbours = Neighbours::new("me.".into());
        assert_eq!(neighbours.reach(), Reach::Nothing);
        assert_eq!(seen(&mut neighbours, "ME.", &["127.0.0.1", "::1"]), [""; 0]);
        assert_eq!(neighbours.reach(), Reach::ThisComputer);
        assert_eq!(seen(&mut neighbours, "me.", &["127.0.0.1", "10.0.0.1"]), [""; 0]);
        assert_eq!(neighbours.reach(), Reach::Network);
        neighbours.gone("me.");
        assert_eq!(neighbours.reach(), Reach::Nothing);
    }

    #[test]
    fn addresses_that_lead_nowhere_are_not_told() {
        let mut neighbours = Neighbours::new("me.".into());
        let strange = ["0.0.0.0", "::", "255.255.255.255", "224.0.0.251", "ff02::fb"];
        assert_eq!(seen(&mut neighbours, "a", &strange), [""; 0]);
        assert_eq!(seen(&mut neighbours, "a", &["127.0.0.1"]), ["127.0.0.1:7"], "nothing else is known");
        assert_eq!(seen(&mut neighbours, "a", &["127.0.0.1", "10.0.0.1"]), ["10.0.0.1:7"]);
        assert!(neighbours.seen("b", 0, scoped(&["10.0.0.1"]).iter(), true).is_empty());
    }

    #[test]
    fn whoever_claims_to_be_many_fills_no_memory() {
        let mut neighbours = Neighbours::new("me.".into());
        let many: Vec<String> = (0..200).map(|number| format!("10.0.0.{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for number in 0..3 * LAN_NEIGHBOURS_MAX {
            let new = seen(&mut neighbours, &number.to_string(), &many);
            assert_eq!(new.len(), LAN_ADDRESSES_MAX);
            assert!(neighbours.known.len() <= LAN_NEIGHBOURS_MAX);
            assert_eq!(neighbours.known.len(), neighbours.order.len());
        }
        neighbours.forget();
        assert!(neighbours.known.is_empty() && neighbours.order.is_empty());
    }
}
