//! The conductor: the real registry behind the real frames, and an onlooker who remembers who announced when.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::ground::Ground;
use super::harm::Harm;
use crate::limits::{ANNOUNCE_INTERVALS, LEASE_HALF_INTERVALS, ROSTER_MAX};
use crate::logic::registry::{Ask, Bounds, Registry};
use crate::time::Moment;
use crate::wire::desk::{Announce, Event, Greeted, Reach, Refusal, Reply, Request, Roster};
use crate::wire::dialogue::Decoder;

/// Where members reach it.
const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 255, 255, 1));

/// See the module.
#[derive(Debug)]
pub(super) struct Conductor {
    registry: Registry,
    seed: u64,
    /// Whether its rosters come best first.
    ranked: bool,
    pub(super) reachable: bool,
    pub(super) busy: bool,
    /// When each member last announced, and whether it was complete.
    seen: BTreeMap<SocketAddr, (Moment, bool)>,
}

impl Conductor {
    pub(super) fn new(seed: u64, ranked: bool) -> Conductor {
        let registry = Registry::new(seed, Bounds::default());
        Conductor { registry, seed, ranked, reachable: true, busy: false, seen: BTreeMap::new() }
    }

    /// It is started again, and knows nobody.
    pub(super) fn empty(&mut self, ground: &mut Ground) {
        if !self.seen.is_empty() {
            ground.harms.count(Harm::ConductorEmpty);
        }
        self.seed = self.seed.wrapping_add(1);
        self.registry = Registry::new(self.seed, Bounds::default());
        self.seen.clear();
    }

    /// Answers the bytes of a request with those of a reply; not at all if it cannot be reached.
    pub(super) fn answer(&mut self, ground: &mut Ground, from: IpAddr, bytes: &[u8]) -> Option<Vec<u8>> {
        if !self.reachable {
            ground.harms.count(Harm::ConductorSilent);
            return None;
        }
        let mut input = bytes;
        let Ok(Some(Request::Announce(announce))) = Decoder::<Request>::new().next(&mut input) else {
            ground.violated(format_args!("a member's request to the conductor is none"));
            return None;
        };
        let reply = if self.busy {
            ground.harms.count(Harm::ConductorBusy);
            Reply::Refused(Refusal::Busy)
        } else {
            let answer = self.registry.answer(ground.now, &Ask { from, reached_on: ADDRESS, announce });
            if ground.checked {
                self.registry.check_invariants();
                if let Ok(roster) = &answer {
                    self.check(ground, from, &announce, roster);
                }
            }
            answer.map_or_else(Reply::Refused, |roster| self.told(roster))
        };
        let mut bytes = Vec::new();
        reply.append_to(&mut bytes);
        Some(bytes)
    }

    /// How a roster is told: where it is ranked, all have the same favourites.
    fn told(&self, mut roster: Roster) -> Reply {
        if !self.ranked {
            return Reply::Roster(roster);
        }
        roster.members.sort_unstable();
        Reply::Greeted(Greeted { roster, reach: Reach::Unknown })
    }

    fn check(&mut self, ground: &mut Ground, from: IpAddr, announce: &Announce, roster: &Roster) {
        let own = SocketAddr::new(from, announce.port);
        if announce.event == Event::Left {
            self.seen.remove(&own);
        } else {
            self.seen.insert(own, (ground.now, announce.complete));
        }
        if roster.members.len() > ROSTER_MAX {
            ground.violated(format_args!("a roster of {} members", roster.members.len()));
        }
        for address in &roster.members {
            let is_fresh = self.seen.get(address).is_some_and(|&(at, _)| ground.now.since(at) <= lease_max());
            if *address == own || !is_fresh {
                ground.violated(format_args!("{own} is told of {address}, which is itself or long gone"));
            }
        }
        let short = ANNOUNCE_INTERVALS[0] * LEASE_HALF_INTERVALS / 2;
        let complete = |(&address, &(at, complete)): (&SocketAddr, &(Moment, bool))| {
            complete && address != own && ground.now.since(at) < short
        };
        if !announce.complete && announce.event != Event::Left && self.seen.iter().any(complete) {
            let told = roster.members.iter().any(|address| self.seen.get(address).is_some_and(|seen| seen.1));
            if !told {
                ground.violated(format_args!("{own} gets and is told of nobody who is complete"));
            }
        }
    }

    /// Time passes and nobody announces any more: the last lease must run out.
    pub(super) fn outlive(&mut self, ground: &mut Ground) {
        let end = ground.now + lease_max();
        while let Some(deadline) = self.registry.deadline().filter(|&deadline| deadline <= end) {
            ground.now = ground.now.max(deadline);
            let before = (self.registry.members(), self.registry.deadline());
            self.registry.tick(ground.now);
            if before == (self.registry.members(), self.registry.deadline()) {
                ground.violated(format_args!("a lease is due and does not run out"));
                return;
            }
        }
        if self.registry.members() > 0 {
            ground.violated(format_args!("{} leases outlive their members", self.registry.members()));
        }
    }
}

/// No lease of a swarm of these sizes lasts longer; deadlines are kept in tenths of a second.
fn lease_max() -> Duration {
    ANNOUNCE_INTERVALS[1] * LEASE_HALF_INTERVALS / 2 + Duration::from_millis(200)
}
