//! A conductor's registry under announces of anybody, in any order, at any time, with tables that are soon full.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use orchestra::limits::{ANNOUNCE_INTERVAL_MAX, LEASE_HALF_INTERVALS, ROSTER_MAX};
use orchestra::logic::registry::{Ask, Bounds, Registry};
use orchestra::time::Moment;
use orchestra::wire::desk::{Announce, Event, Refusal};

use super::script::Script;

const BOUNDS: Bounds = Bounds { swarms: 3, swarm_members: 6, members: 12 };
const REACHED_ON: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 200));

/// When each member last announced itself, by swarm and address.
type Model = BTreeMap<(u8, SocketAddr), Moment>;

/// Whoever is told of has announced itself to this swarm lately and has not left; the bounds hold.
pub fn registry(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut registry = Registry::new(u64::from(script.byte()), BOUNDS);
    let (mut model, mut now) = (Model::new(), Moment::from_micros(1_000_000));
    while !script.is_over() {
        match script.byte() % 16 {
            0 => now = now + Duration::from_millis(u64::from(script.byte()) * 100),
            1 => now = now + ANNOUNCE_INTERVAL_MAX,
            2 => registry.tick(now),
            _ => announces(&mut script, &mut registry, &mut model, now),
        }
        assert!(registry.members() <= BOUNDS.members && registry.swarms() <= BOUNDS.swarms);
        assert!(registry.deadline().is_some() == (registry.members() > 0), "every member has a lease");
    }
}

fn announces(script: &mut Script<'_>, registry: &mut Registry, model: &mut Model, now: Moment) {
    let swarm = script.byte() % 5;
    let from = address(script);
    let port = u16::from(script.byte() % 4);
    let about = script.byte();
    let event = [Event::Started, Event::Going, Event::Completed, Event::Left][usize::from(about & 3)];
    let announce =
        Announce { swarm: [swarm; 32], port, complete: about & 4 != 0, left: u64::from(about), event };
    let reply = registry.answer(now, &Ask { from, reached_on: REACHED_ON, announce });
    let asker = (swarm, SocketAddr::new(from.to_canonical(), port));
    match (&reply, event) {
        (_, Event::Left) => drop(model.remove(&asker)),
        (Ok(_), _) if port > 0 => drop(model.insert(asker, now)),
        _ => {}
    }
    match reply {
        Err(Refusal::SwarmsFull) => assert_eq!(registry.swarms(), BOUNDS.swarms),
        Err(Refusal::MembersFull) => assert!(registry.members() >= BOUNDS.swarm_members),
        Err(Refusal::Busy | Refusal::LoginFirst) => panic!("that is not the registry's to say"),
        Ok(roster) => {
            assert!(roster.members.len() <= ROSTER_MAX);
            assert!((roster.complete + roster.getting) as usize <= BOUNDS.swarm_members);
            assert!(u128::from(roster.interval_ms) <= ANNOUNCE_INTERVAL_MAX.as_millis());
            let told = |member: &SocketAddr| {
                let mapped =
                    |ip: IpAddr| if member.ip() == REACHED_ON { IpAddr::from([127, 0, 0, 1]) } else { ip };
                let asked = model.get(&(swarm, SocketAddr::new(mapped(member.ip()), member.port())));
                asked.is_some_and(|&asked| {
                    now.since(asked) <= ANNOUNCE_INTERVAL_MAX * LEASE_HALF_INTERVALS / 2
                })
            };
            assert!(roster.members.iter().all(told), "{roster:?} of {model:?}");
            assert!(!roster.members.contains(&asker.1), "nobody is told of itself");
        }
    }
}

/// IPv4, the same as IPv6 sees it, IPv6, loopback.
fn address(script: &mut Script<'_>) -> IpAddr {
    let choice = script.byte() % 16;
    let four = Ipv4Addr::new(10, 0, 0, choice / 4);
    match choice % 4 {
        0 => four.into(),
        1 => four.to_ipv6_mapped().into(),
        2 => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::from(choice)).into(),
        _ => Ipv4Addr::LOCALHOST.into(),
    }
}
