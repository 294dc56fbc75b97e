//! Members that are asked for parts, and lie, stall or refuse.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use orchestra::identity::MemberId;
use orchestra::limits::RUN_BYTES;
use orchestra::wire::member::{Denial, Have, Message, Reason, Span};

use crate::peer::{Peer, accept_within, id, listen, run_of, span};
use crate::program::{Program, World, members, until};

const PART: usize = 65_536;
const PART_BYTES: u64 = PART as u64;

/// Four runs of sixteen parts.
fn world() -> World {
    World::new(4 << 20, PART_BYTES)
}

/// An honest member that holds everything comes, and the other one gets it.
fn rescued(world: &World, mut getter: Program, waste: std::ops::RangeInclusive<u64>) -> String {
    let source = world.source(&members([getter.address]));
    getter.completes(world);
    getter.is_left_alone();
    let (last, log) = getter.ends();
    let number = |name: &str| last[name].as_u64().unwrap();
    assert!(waste.contains(&number("wasted_bytes")), "{last}\n{log}");
    assert_eq!(number("down_bytes"), number("bytes") + number("wasted_bytes"), "{last}");
    assert_eq!(number("bytes"), number("bytes_total"), "{last}");
    source.is_left_alone();
    let (_, other_log) = source.ends();
    assert!(!other_log.contains("wrong bytes") && !other_log.contains("broke the protocol"), "{other_log}");
    log
}

/// Whether the log blames somebody so many times, and always this address.
fn blames(log: &str, times: usize, address: &str) {
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("sent wrong bytes")).collect();
    assert_eq!(lines.len(), times, "{log}");
    assert!(lines.iter().all(|line| line.contains(address)), "{address} in {lines:?}");
}

#[test]
fn a_wrong_part_names_its_sender_and_nobody_else() {
    let world = world();
    let (listener, address) = listen();
    let getter = world.getter("getter", &members([address]));
    let mut liar = Peer::accept(&listener, &world.manifest).opened(1, address.port(), Have::All);
    let asked = liar.asked().unwrap();
    let mut bytes = world.bytes(asked.first, asked.count).to_vec();
    bytes[5 * PART + 7] ^= 1;
    liar.give(asked, &bytes).unwrap();
    liar.is_ended();
    getter.logs("sent wrong bytes", 1);
    // Others behind the same address are let in, and nobody believes them at once; whoever opens a link and lies is
    // known by its id from then on, and not by the port that it claims.
    let mut neighbour = Peer::dial(getter.address, &world.manifest).opened(2, address.port(), Have::All);
    let asked_second = neighbour.asked().unwrap();
    neighbour.give(asked_second, &vec![0; asked_second.count as usize * PART]).unwrap();
    neighbour.is_ended();
    let mut again = Peer::dial(getter.address, &world.manifest).opened(2, 0, Have::All);
    assert_eq!(again.is_ended(), Some(Message::Bye(Reason::Fault)));
    drop(listener);
    let waste = PART_BYTES * (1 + u64::from(asked_second.count));
    let log = rescued(&world, getter, waste..=waste);
    blames(&log, 2, "127.0.0.1");
    assert!(log.contains(&format!("{address} sent wrong bytes")), "{log}");
    assert!(log.contains(&format!("wrong bytes for part {};", asked.first + 6)), "{log}");
}

#[test]
fn every_wrong_byte_is_counted() {
    let world = world();
    let (listener, address) = listen();
    let getter = world.getter("getter", &members([address]));
    let mut liar = Peer::accept(&listener, &world.manifest).opened(1, address.port(), Have::All);
    let asked = liar.asked().unwrap();
    liar.give(asked, &vec![0; asked.count as usize * PART]).unwrap();
    liar.is_ended();
    let waste = u64::from(asked.count) * PART_BYTES;
    drop(listener);
    blames(&rescued(&world, getter, waste..=waste), 1, &address.to_string());
}

#[test]
fn gifts_are_not_taken() {
    let world = world();
    let getter = world.getter("getter", &[]);
    getter.logs("every part on disk was looked at", 1);
    for (number, bytes) in [(1, world.bytes(3, 2)), (2, &[1; 2 * PART])] {
        let mut generous = Peer::dial(getter.address, &world.manifest).opened(number, 0, Have::Runs(vec![]));
        generous.is_welcome();
        // The member may be gone before all of it is sent.
        drop(generous.give(span(3, 2), bytes));
        generous.is_ended();
    }
    getter.logs("that were not asked for", 2);
    blames(&rescued(&world, getter, 0..=0), 0, "");
}

/// A liar that comes back at once, each time as somebody else, from the address of the honest one that shares.
#[test]
fn who_comes_back_under_ever_new_names_costs_little() {
    let world = world();
    let mut getter = world.getter("getter", &[]);
    let (to, manifest) = (getter.address, world.manifest.clone());
    let (started, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let flags = (Arc::clone(&started), Arc::clone(&over));
    let liar = std::thread::spawn(move || {
        let (mut calls, mut lies) = (0_u16, 0);
        while !flags.1.load(Ordering::Relaxed) {
            calls += 1;
            let stream = std::net::TcpStream::connect(to).unwrap();
            let Ok(mut peer) = Peer::call(stream, &manifest) else { continue };
            let name = MemberId::from_bytes(u128::from(calls).to_le_bytes());
            let port = [0, to.port(), 9][usize::from(calls % 3)];
            drop(peer.open(name, port, Have::All));
            // Who is not asked soon tries another name.
            if let Some(asked) = peer.asked_within(Duration::from_millis(20)) {
                drop(peer.give(asked, &vec![0; asked.count as usize * PART]));
                peer.is_ended();
                lies += 1;
                flags.0.store(true, Ordering::Relaxed);
            }
        }
        (calls, lies)
    });
    until("it has lied once", || started.load(Ordering::Relaxed));
    // Slow enough for many lies.
    let options = [members([getter.address]), vec!["--up".into(), "1M".into()]].concat();
    let source = world.source(&options);
    getter.completes(&world);
    over.store(true, Ordering::Relaxed);
    let (calls, lies) = liar.join().unwrap();
    let (last, log) = getter.ends();
    source.ends();
    // One to begin with, and after 1, 2, 4 and 8 seconds: the next one would come after the deadline of this test.
    let wasted = last["wasted_bytes"].as_u64().unwrap();
    assert!(wasted <= 5 * RUN_BYTES && lies <= 5, "{calls} calls, {lies} lies, {last}");
    assert!(calls > 20, "{calls} calls");
    blames(&log, lies, "127.0.0.1");
}

#[test]
fn more_than_was_asked_is_a_fault() {
    let world = world();
    let (listener, address) = listen();
    let getter = world.getter("getter", &members([address]));
    let bits = Have::Runs(vec![span(0, 16)]);
    let mut peer = Peer::accept(&listener, &world.manifest).opened(1, address.port(), bits);
    assert_eq!(peer.asked(), Some(span(0, 16)));
    // The member may be gone before all of it is sent.
    drop(peer.give(span(0, 32), world.bytes(0, 32)));
    peer.is_ended();
    drop(listener);
    blames(&rescued(&world, getter, 0..=0), 0, "");
}

/// Takes what it is asked, does `answer`, until the link ends.
fn answering(mut peer: Peer, mut answer: impl FnMut(&mut Peer, Span) -> Option<()> + Send + 'static) {
    std::thread::spawn(move || while let Some(()) = peer.asked().and_then(|span| answer(&mut peer, span)) {});
}

/// Members that hold everything and refuse, each in its own way, cost little while nobody else is there.
#[test]
fn endless_refusals_cost_little() {
    let world = world();
    let listeners: Vec<_> = (0..4).map(|_| listen()).collect();
    let getter = world.getter("getter", &members(listeners.iter().map(|&(_, address)| address)));
    let denials = [Denial::Elsewhere, Denial::NotHeld, Denial::Cancelled];
    for (number, (listener, address)) in (1..).zip(&listeners) {
        let most = if number == 4 { Have::Runs(vec![span(0, 63)]) } else { Have::All };
        let peer = Peer::accept(listener, &world.manifest).opened(number, address.port(), most);
        match denials.get(usize::from(number) - 1) {
            Some(&denial) => {
                answering(peer, move |peer, asked| {
                    // One by one, from the back.
                    let parts = (asked.first..asked.first + asked.count).rev();
                    parts.map(|part| peer.say(&Message::Refuse(span(part, 1), denial)).ok()).collect()
                });
            }
            // Does not hold it; or does; or not.
            None => answering(peer, |peer, asked| {
                peer.say(&Message::Refuse(asked, Denial::NotHeld)).ok()?;
                peer.say(&Message::Have(Have::Runs(vec![span(asked.first, 1)]))).ok()
            }),
        }
    }
    drop(listeners);
    getter.logs("is up", 4);
    let (before, began) = (getter.cpu(), Instant::now());
    while began.elapsed() < Duration::from_secs(2) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let spent = getter.cpu() - before;
    assert!(spent < began.elapsed() / 2, "{spent:?} of {:?}", began.elapsed());
    blames(&rescued(&world, getter, 0..=0), 0, "");
}

/// Those who claim everything and give nothing, or a byte now and then, keep nobody from the rest.
#[test]
fn slow_and_mute_members_do_not_hold_the_transfer() {
    let world = world();
    let listeners: Vec<_> = (0..3).map(|_| listen()).collect();
    let getter = world.getter("getter", &members(listeners.iter().map(|&(_, address)| address)));
    for (number, (listener, address)) in (1..).zip(&listeners) {
        let peer = Peer::accept(listener, &world.manifest).opened(number, address.port(), Have::All);
        answering(peer, move |peer, asked| {
            peer.say(&Message::Parts(asked)).ok()?;
            // The first one is mute from here on.
            let mut bytes = vec![0_u8; if number == 1 { 0 } else { 1_000 }].into_iter();
            bytes.try_for_each(|byte| {
                std::thread::sleep(Duration::from_millis(200));
                peer.put(&[byte]).ok()
            })?;
            while peer.hear().is_some() {}
            None
        });
    }
    drop(listeners);
    getter.logs("is up", 3);
    blames(&rescued(&world, getter, 0..=1_000), 0, "");
}

/// Parts so large that there is a buffer for two of them: two who begin one and never end it.
#[test]
fn unfinished_parts_do_not_hold_all_buffers() {
    let world = World::new(48 << 20, 16 << 20);
    let getter = world.getter("getter", &[]);
    getter.logs("every part on disk was looked at", 1);
    let mut held = Vec::new();
    for number in 1..=2 {
        let mut peer = Peer::dial(getter.address, &world.manifest).opened(number, 0, Have::All);
        let asked = peer.asked().unwrap();
        peer.give(asked, &[0; 1_000]).unwrap();
        held.push(peer);
    }
    // Two links of the honest one may bring the same part at the end.
    blames(&rescued(&world, getter, 0..=(32 << 20) + 4_000), 0, "");
    drop(held);
}

/// The same with two that go on, hardly, with a member that limits itself: it waits for nothing of that limit.
#[test]
fn parts_that_hardly_come_do_not_hold_all_buffers_within_a_limit() {
    let world = World::new(48 << 20, 16 << 20);
    let getter = world.getter("getter", &["--down".into(), "64M".into()]);
    getter.logs("every part on disk was looked at", 1);
    for number in 1..=2 {
        let peer = Peer::dial(getter.address, &world.manifest).opened(number, 0, Have::All);
        answering(peer, |peer, asked| {
            peer.say(&Message::Parts(asked)).ok()?;
            std::iter::repeat(()).try_for_each(|()| {
                std::thread::sleep(Duration::from_millis(100));
                peer.put(&[0; 100]).ok()
            })
        });
    }
    blames(&rescued(&world, getter, 0..=(32 << 20) + 1_000_000), 0, "");
}

/// It says whom it met, and is itself.
#[test]
fn a_mirror_is_not_another_member() {
    let world = world();
    let (listener, address) = listen();
    let getter = world.getter("getter", &members([address]));
    let mut mirror = Peer::accept(&listener, &world.manifest);
    let hello = mirror.hear().unwrap();
    assert!(matches!(hello, Message::Hello(hello) if hello.member != id(0)));
    mirror.say(&hello).unwrap();
    mirror.say(&Message::Have(Have::All)).unwrap();
    assert_eq!(mirror.is_ended(), Some(Message::Bye(Reason::Oneself)));
    // And by its own call.
    let mut mirror = Peer::dial(getter.address, &world.manifest);
    mirror.say(&hello).unwrap();
    mirror.say(&Message::Have(Have::All)).unwrap();
    assert_eq!(mirror.is_ended(), Some(Message::Bye(Reason::Oneself)));
    assert!(accept_within(&listener, Duration::from_secs(1)).is_none(), "nobody dials himself twice");
    drop(listener);
    blames(&rescued(&world, getter, 0..=0), 0, "");
}

/// Answers in the smallest pieces, in an order that leaves as many holes as there can be.
#[test]
fn scattered_answers_are_answers() {
    let world = World::new(4 << 20, 16_384);
    let (listener, address) = listen();
    let mut getter = world.getter("getter", &members([address]));
    let mut peer = Peer::accept(&listener, &world.manifest).opened(1, address.port(), Have::All);
    drop(listener);
    let mut given = 0;
    while given < world.manifest.layout().parts() {
        let Some(asked) = peer.asked() else { panic!("ended\n{}", getter.log()) };
        let parts: Vec<u32> = run_of(&world, asked).parts().map(|part| part.get()).collect();
        let (odd, even): (Vec<u32>, Vec<u32>) = parts.into_iter().partition(|part| part % 2 == 1);
        for part in odd {
            peer.say(&Message::Refuse(span(part, 1), Denial::Elsewhere)).unwrap();
        }
        for part in even {
            peer.give(span(part, 1), world.bytes(part, 1)).unwrap();
            given += 1;
        }
        if given >= world.manifest.layout().parts() / 2 {
            break;
        }
    }
    while let Some(asked) = peer.asked() {
        peer.give(asked, world.bytes(asked.first, asked.count)).unwrap();
    }
    getter.completes(&world);
    getter.is_left_alone();
    getter.ends();
}
