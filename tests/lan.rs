//! Members find each other on a local network that is made for the test: a host is a network namespace.
//!
//! Everything runs in this process: a thread enters a namespace, and what it starts stays there.
//! What a program of several hosts costs the network is measured by `cargo run --release --example neighbours`.

#![expect(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

mod common;
#[path = "lab/neighbour.rs"]
mod neighbour;
#[path = "lab/network.rs"]
mod network;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use orchestra::host::lan::Reach;

use neighbour::{Neighbour, inside};
use network::Network;

/// Far longer than it takes to find somebody.
const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough that somebody would have been found.
const FOUND_BY_NOW: Duration = Duration::from_secs(4);

/// Plays a scene where that is possible.
fn play(scene: impl FnOnce()) {
    match network::missing() {
        Some(what) => common::skipped(&format!("a scene of members on a local network: {what}")),
        None => scene(),
    }
}

fn at(address: impl Into<std::net::IpAddr>, port: u16) -> SocketAddr {
    SocketAddr::new(address.into(), port)
}

#[test]
fn members_find_each_other_and_nobody_else() {
    play(|| {
        let network = Network::new(3, 100);
        let host = |number| network.host(number);
        let one = Neighbour::start(host(1), 1, "ours", || 20_000);
        let two = Neighbour::start(host(2), 2, "ours", || 20_000);
        let stranger = Neighbour::start(host(3), 3, "theirs", || 20_000);
        one.finds(2, PATIENCE);
        two.finds(1, PATIENCE);
        // Whoever comes later is found by all addresses that it has.
        let late = Neighbour::start(host(3), 4, "ours", || 20_000);
        late.finds(1, PATIENCE);
        late.finds(2, PATIENCE);
        one.finds_at(at(host(3).v4(), 4), PATIENCE);
        one.finds_at(at(host(3).v6(), 4), PATIENCE);
        let link_local = one.finds_any(PATIENCE, |address| {
            matches!(address, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.port() == 4)
        });
        assert!(matches!(link_local, SocketAddr::V6(v6) if v6.scope_id() != 0), "{link_local}");
        one.reaches(Reach::Network, PATIENCE);
        assert!(stranger.found().is_empty(), "another ensemble");
        for address in one.found() {
            assert!(!address.ip().is_loopback() && address.port() != 1 && address.port() != 3, "{address}");
        }
    });
}

#[test]
fn whoever_leaves_and_comes_back_is_found_again() {
    play(|| {
        let network = Network::new(2, 100);
        let host = |number| network.host(number);
        let one = Neighbour::start(host(1), 1, "ours", || 20_000);
        let two = Neighbour::start(host(2), 2, "ours", || 20_000);
        one.finds(2, PATIENCE);
        drop(two);
        one.forget();
        let two = Neighbour::start(host(2), 2, "ours", || 20_000);
        one.finds(2, PATIENCE);
        two.finds(1, PATIENCE);
    });
}

#[test]
fn a_network_that_comes_late_is_used() {
    play(|| {
        let network = Network::new(2, 100);
        let host = |number| network.host(number);
        host(2).unplug();
        let one = Neighbour::start(host(1), 1, "ours", || 20_000);
        let two = Neighbour::start(host(2), 2, "ours", || 20_000);
        one.reaches(Reach::Network, PATIENCE);
        two.reaches(Reach::ThisComputer, PATIENCE);
        host(2).plug_in_again();
        one.finds(2, PATIENCE);
        two.finds(1, PATIENCE);
        two.reaches(Reach::Network, PATIENCE);
    });
}

#[test]
fn members_on_one_computer_without_a_network_find_each_other() {
    play(|| {
        let network = Network::new(1, 100);
        network.host(1).unplug();
        let one = Neighbour::start(network.host(1), 1, "ours", || 20_000);
        let two = Neighbour::start(network.host(1), 2, "ours", || 20_000);
        one.finds(2, PATIENCE);
        two.finds(1, PATIENCE);
        one.reaches(Reach::ThisComputer, PATIENCE);
        assert!(one.found().iter().all(|address| address.ip().is_loopback()), "{:?}", one.found());
    });
}

#[test]
fn clocks_may_differ_by_a_day_and_days_go_by() {
    play(|| {
        let network = Network::new(3, 100);
        let host = |number| network.host(number);
        let day = Arc::new(AtomicU64::new(20_000));
        let today = {
            let day = Arc::clone(&day);
            move || day.load(Ordering::Relaxed)
        };
        let one = Neighbour::start(host(1), 1, "ours", today);
        let two = Neighbour::start(host(2), 2, "ours", || 20_001);
        one.finds(2, PATIENCE);
        two.finds(1, PATIENCE);
        let far = Neighbour::start(host(3), 3, "ours", || 20_003);
        std::thread::sleep(FOUND_BY_NOW);
        assert!(far.found().iter().all(|address| address.port() != 1), "{:?}", far.found());
        day.store(20_002, Ordering::Relaxed);
        far.finds(1, PATIENCE);
        one.finds(3, PATIENCE);
    });
}

#[test]
fn noise_on_the_network_harms_nobody() {
    play(|| {
        let network = Network::new(3, 100);
        let host = |number| network.host(number);
        let one = Neighbour::start(host(1), 1, "ours", || 20_000);
        let noise = inside(host(3).space(), || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 5353)).unwrap();
            let card = match network.host(3).v4() {
                std::net::IpAddr::V4(address) => address,
                std::net::IpAddr::V6(_) => unreachable!("it was asked for the other one"),
            };
            socket2::SockRef::from(&socket).set_multicast_if_v4(&card).unwrap();
            let mut rng = fastrand::Rng::with_seed(1);
            let until = Instant::now() + Duration::from_secs(5);
            let mut sent = 0_u64;
            while Instant::now() < until {
                let packet = if rng.bool() { claim(&mut rng) } else { junk(&mut rng) };
                sent += u64::from(socket.send_to(&packet, "224.0.0.251:5353").is_ok());
            }
            sent
        });
        assert!(noise > 1_000, "{noise} packets");
        let two = Neighbour::start(host(2), 2, "ours", || 20_000);
        one.finds(2, PATIENCE);
        two.finds(1, PATIENCE);
    });
}

/// Anything, behind what looks like the head of a response.
fn junk(rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut packet = vec![0, 0, 0x84, 0, 0, rng.u8(..4), 0, rng.u8(..8), 0, rng.u8(..4), 0, rng.u8(..4)];
    packet.extend((0..rng.usize(..600)).map(|_| rng.u8(..)));
    packet
}

/// A well-formed claim that many of our kind are there, under names that nobody has.
fn claim(rng: &mut fastrand::Rng) -> Vec<u8> {
    const RECORDS: u8 = 20;
    let service = b"\x0a_orchestra\x04_tcp\x05local\0";
    let mut packet = vec![0, 0, 0x84, 0, 0, 0, 0, 4 * RECORDS, 0, 0, 0, 0];
    for _ in 0..RECORDS {
        let label = format!("{:032x}", rng.u128(..));
        let mut name = vec![32];
        name.extend(label.as_bytes());
        let mut instance = name.clone();
        instance.extend(service);
        let mut host = name;
        host.extend(b"\x05local\0");
        let mut record = |name: &[u8], kind: u8, data: &[u8]| {
            packet.extend(name);
            packet.extend([0, kind, 0, 1, 0, 0, 0, 120]);
            packet.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            packet.extend(data);
        };
        record(service, 12, &instance);
        record(&instance, 33, &[&[0, 0, 0, 0, 0, 9][..], &host].concat());
        record(&instance, 16, b"\x0etag=ours-20000");
        record(&host, 1, &[10, 77, 1, rng.u8(..)]);
    }
    packet
}
