//! Every member of every swarm in one list, found by what it is.
//!
//! A hash map would keep each key twice or leave half of its room empty; here a member takes 32 bytes and
//! about three for being found. This room knows neither leases nor who is complete.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::logic::deadlines::grow_to;

/// No slot: the end of a chain.
const NONE: u32 = u32::MAX;
/// Members to a bucket, at most on average. With two, a member is found after two looks instead of one and a half,
/// and the buckets take at most 4 bytes a member instead of 8.
const MEMBERS_PER_BUCKET: usize = 2;

/// What a member is known by: its swarm, and where it accepts links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) swarm: u32,
    /// IPv4 addresses are kept as mapped ones.
    address: Ipv6Addr,
    port: u16,
}

/// Where a member accepts links, as numbers: rosters are drawn of these, and made addresses at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Home {
    /// IPv4 addresses are mapped ones.
    pub(super) address: u128,
    pub(super) port: u16,
}

/// One member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) key: Key,
    /// Where it stands in the list of its swarm.
    pub(super) place: u32,
    /// The next slot in the same bucket, or the next free slot.
    chain: u32,
}

/// All members, by slot. A slot is reused once its member is gone.
#[derive(Debug)]
pub(super) struct Roll {
    /// Invariant: each slot is either in the chain of its key's bucket or in the chain of free slots.
    members: Vec<Member>,
    first_free: u32,
    len: usize,
    /// The first slot of each chain. Invariant: a power of two, at least one for [`MEMBERS_PER_BUCKET`] members.
    buckets: Vec<u32>,
    /// Keyed at random, so that nobody can choose addresses that share a bucket. Nothing depends on the
    /// order within a bucket, so the machine stays as repeatable as its seed.
    hasher: RandomState,
}

impl Key {
    pub(super) fn new(swarm: u32, address: IpAddr, port: u16) -> Key {
        let address = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        Key { swarm, address, port }
    }

    pub(super) fn home(&self) -> Home {
        Home { address: self.address.to_bits(), port: self.port }
    }
}

impl Home {
    pub(super) fn new(address: IpAddr, port: u16) -> Home {
        Key::new(0, address, port).home()
    }

    pub(super) const fn is_loopback(self) -> bool {
        self.address >> 24 == 0x00ff_ff7f || self.address == 1
    }

    /// Appends the address as others know it. Each kind is pushed by itself, so that it is made where it stays:
    /// made elsewhere and moved there, it takes three times as long.
    pub(super) fn append_to(self, addresses: &mut Vec<SocketAddr>) {
        let [.., a, b, c, d] = self.address.to_be_bytes();
        if self.address >> 32 == 0xffff {
            addresses.push(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), self.port)));
        } else {
            addresses.push(SocketAddr::V6(SocketAddrV6::new(
                Ipv6Addr::from_bits(self.address),
                self.port,
                0,
                0,
            )));
        }
    }
}

impl Roll {
    pub(super) fn new() -> Roll {
        Roll {
            members: Vec::new(),
            first_free: NONE,
            len: 0,
            buckets: vec![NONE; 16],
            hasher: RandomState::new(),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn find(&self, key: &Key) -> Option<u32> {
        let mut slot = self.buckets[self.bucket(key)];
        while slot != NONE {
            let member = &self.members[slot as usize];
            if member.key == *key {
                return Some(slot);
            }
            slot = member.chain;
        }
        None
    }

    pub(super) fn at(&self, slot: u32) -> &Member {
        &self.members[slot as usize]
    }

    pub(super) fn set_place(&mut self, slot: u32, place: u32) {
        self.members[slot as usize].place = place;
    }

    /// Adds a member that is not there yet.
    pub(super) fn insert(&mut self, key: Key) -> u32 {
        if self.len == self.buckets.len() * MEMBERS_PER_BUCKET {
            self.double_buckets();
        }
        let bucket = self.bucket(&key);
        let member = Member { key, place: 0, chain: self.buckets[bucket] };
        let slot = self.first_free;
        let slot = if slot == NONE {
            let len = self.members.len() + 1;
            grow_to(&mut self.members, len);
            self.members.push(member);
            u32::try_from(self.members.len() - 1).expect("MEMBERS_MAX is far below 2^32")
        } else {
            self.first_free = self.members[slot as usize].chain;
            self.members[slot as usize] = member;
            slot
        };
        self.buckets[bucket] = slot;
        self.len += 1;
        slot
    }

    /// Forgets the member in this slot.
    pub(super) fn remove(&mut self, slot: u32) {
        let Member { key, chain, .. } = self.members[slot as usize];
        let bucket = self.bucket(&key);
        if self.buckets[bucket] == slot {
            self.buckets[bucket] = chain;
        } else {
            let mut before = self.buckets[bucket];
            while self.members[before as usize].chain != slot {
                before = self.members[before as usize].chain;
            }
            self.members[before as usize].chain = chain;
        }
        self.members[slot as usize].chain = self.first_free;
        self.first_free = slot;
        self.len -= 1;
    }

    pub(super) fn footprint(&self) -> usize {
        self.members.capacity() * size_of::<Member>() + self.buckets.capacity() * size_of::<u32>()
    }

    fn bucket(&self, key: &Key) -> usize {
        // Only the low bits count, so dropping high ones on a 32-bit machine changes nothing.
        #[expect(clippy::cast_possible_truncation)]
        let hash = self.hasher.hash_one(key) as usize;
        hash & (self.buckets.len() - 1)
    }

    fn double_buckets(&mut self) {
        let old = std::mem::take(&mut self.buckets);
        self.buckets = vec![NONE; old.len() * 2];
        for first in old {
            let mut slot = first;
            while slot != NONE {
                let Member { key, chain, .. } = self.members[slot as usize];
                let bucket = self.bucket(&key);
                self.members[slot as usize].chain = std::mem::replace(&mut self.buckets[bucket], slot);
                slot = chain;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn a_member_takes_32_bytes() {
        assert_eq!(size_of::<Member>(), 32);
    }

    proptest! {
        #[test]
        fn agrees_with_a_hash_map(acts in proptest::collection::vec((any::<bool>(), 0u16..60), 0..300)) {
            let (mut roll, mut model) = (Roll::new(), HashMap::new());
            for (add, port) in acts {
                let key = Key::new(1, "10.0.0.1".parse().unwrap(), port);
                match (add, roll.find(&key)) {
                    (true, None) => drop(model.insert(port, roll.insert(key))),
                    (false, Some(slot)) => {
                        roll.remove(slot);
                        model.remove(&port);
                    }
                    _ => {}
                }
                prop_assert_eq!(roll.len(), model.len());
                for port in 0..60 {
                    let key = Key::new(1, "10.0.0.1".parse().unwrap(), port);
                    prop_assert_eq!(roll.find(&key), model.get(&port).copied());
                    let elsewhere = Key { swarm: 2, ..key };
                    prop_assert_eq!(roll.find(&elsewhere), None);
                }
            }
        }
    }
}
