//! Which connection to a full catalogue gives way to somebody who knocks.
//!
//! A place can be kept with one cheap question a minute, so a few who want nothing could keep out everybody else. Therefore
//! who has most gives way, and of theirs the one on which nothing happened for longest.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::time::Moment;

/// A connection.
#[derive(Clone, Copy, Debug)]
pub struct Place<Id> {
    /// Which.
    pub id: Id,
    /// With whom, as a [source of connections](crate::logic::addresses::source_of).
    pub source: IpAddr,
    /// Since when the conductor waits for the other side; nothing while it is the other side that waits.
    pub idle_since: Option<Moment>,
}

/// Of the source that has most, the connection that is idle for longest. Nothing if nobody with an idle connection has more
/// than the source of who knocks.
#[must_use]
pub fn who_gives_way<Id: Copy>(source: IpAddr, places: impl Iterator<Item = Place<Id>>) -> Option<Id> {
    let mut sources: BTreeMap<IpAddr, (usize, Option<(Moment, Id)>)> = BTreeMap::new();
    for place in places {
        let (count, idlest) = sources.entry(place.source).or_default();
        *count += 1;
        if let Some(since) = place.idle_since
            && idlest.is_none_or(|(other, _)| since < other)
        {
            *idlest = Some((since, place.id));
        }
    }
    let ours = sources.get(&source).map_or(0, |(count, _)| *count);
    let idlest = sources.into_values().filter_map(|(count, idlest)| Some((count, idlest?)));
    // Of those that have equally many, the one that is idle for longest.
    let most = idlest.max_by_key(|&(count, (since, _))| (count, std::cmp::Reverse(since)));
    most.filter(|&(count, _)| count > ours).map(|(_, (_, id))| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    /// The hosts of the connections, each with the second since which it is idle; 0: it is not.
    fn gives_way(from: u8, places: &[(u8, u64)]) -> Option<usize> {
        let idle_since = |second: u64| (second > 0).then(|| Moment::from_micros(second));
        let places = places.iter().enumerate().map(|(id, &(number, second))| Place {
            id,
            source: host(number),
            idle_since: idle_since(second),
        });
        who_gives_way(host(from), places)
    }

    #[test]
    fn who_has_most_gives_way_with_what_is_idle_for_longest() {
        assert_eq!(gives_way(1, &[]), None);
        assert_eq!(gives_way(1, &[(2, 1), (3, 7), (3, 5), (3, 6)]), Some(2));
        assert_eq!(gives_way(1, &[(2, 9), (3, 5), (4, 7)]), Some(1), "all have one: the longest of all");
        assert_eq!(gives_way(1, &[(2, 9), (3, 0), (3, 0), (3, 0)]), Some(0), "what is answered is not cut");
        assert_eq!(gives_way(1, &[(3, 0), (3, 0), (3, 8)]), Some(2));
        assert_eq!(gives_way(1, &[(2, 0), (3, 0)]), None);
    }

    #[test]
    fn nobody_gets_more_than_others_by_knocking() {
        assert_eq!(gives_way(3, &[(2, 1), (3, 7), (3, 5), (3, 6)]), None, "not even its own");
        assert_eq!(gives_way(2, &[(2, 1), (3, 5), (3, 6)]), Some(1));
        assert_eq!(gives_way(2, &[(2, 1), (3, 5)]), None);
    }
}
