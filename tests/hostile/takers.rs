//! Members that ask: for too much, for nothing, again and again, and without listening.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use orchestra::host::tcp::allow_open_files;
use orchestra::identity::MemberId;
use orchestra::limits::{
    LINKS_DIALLED_MIN, LINKS_MAX, LINKS_PER_MEMBER_MAX, OWED_RUNS_MAX, ROSTER_MAX, TURNS_ASIDE_MAX, TURNS_MIN,
};
use orchestra::wire::member::{Denial, Have, Message, Reason};

use crate::peer::{Peer, connect_from, listen, run_of, span};
use crate::program::{Program, World, members};

const PART: u64 = 65_536;
const PARTS: u32 = 64;

fn world() -> World {
    World::new(PARTS as usize * 65_536, PART)
}

fn dial(world: &World, to: &Program, number: u8) -> Peer {
    let mut peer = Peer::dial(to.address, &world.manifest).opened(number, 0, Have::Runs(vec![]));
    peer.is_welcome();
    peer
}

/// The honest one gets everything from the source while others misbehave.
fn served(world: &World, source: Program, mut getter: Program) {
    getter.completes(world);
    getter.is_left_alone();
    getter.ends();
    source.is_left_alone();
    source.ends();
}

#[test]
fn who_never_reads_costs_no_memory() {
    let world = world();
    let source = world.source(&[]);
    let mut deaf: Vec<Peer> = (1..=8).map(|number| dial(&world, &source, number)).collect();
    for peer in &mut deaf {
        // All that may be asked for at a time, and withdrawn and asked for again in between.
        for _ in 0..7 {
            peer.say(&Message::Want(span(0, PARTS))).unwrap();
        }
        for part in (0..PARTS).step_by(2) {
            drop(peer.say(&Message::Cancel(span(part, 1))));
        }
    }
    let getter = world.getter("getter", &members([source.address]));
    // Told to go because of what it says, the deaf one goes at once, although it hears nothing.
    let began = Instant::now();
    deaf.iter_mut().for_each(|peer| drop(peer.say(&Message::Refuse(span(0, 1), Denial::NotHeld))));
    served(&world, source, getter);
    assert!(began.elapsed() < Duration::from_secs(15), "not by the timeout of a write");
}

#[test]
fn cancelled_wants_are_answered_piece_by_piece() {
    let world = world();
    let source = world.source(&["--up".into(), "2M".into()]);
    let mut peer = dial(&world, &source, 1);
    peer.say(&Message::Want(span(0, PARTS))).unwrap();
    // One run in a hundred pieces is more than may be owed, but nothing of it is a fault until more is wanted.
    for part in (1..PARTS).step_by(2) {
        peer.say(&Message::Cancel(span(part, 1))).unwrap();
    }
    let mut answered = vec![0; PARTS as usize];
    while answered.contains(&0) {
        let (answer, came) = match peer.hear().expect("the link lives") {
            Message::Parts(answer) => (answer, true),
            Message::Refuse(answer, Denial::Cancelled) => (answer, false),
            _ => continue,
        };
        run_of(&world, answer).parts().for_each(|part| answered[part.at()] += 1);
        if came {
            let bytes = world.bytes(answer.first, answer.count);
            assert!(peer.take(bytes.len()).unwrap() == bytes, "other bytes");
        }
    }
    assert!(answered.iter().all(|&times| times == 1), "{answered:?}");
    drop(peer);
    source.is_left_alone();
    source.ends();
}

#[test]
fn a_storm_of_wants_and_cancels_hurts_nobody_else() {
    let world = world();
    let source = world.source(&[]);
    let mut stormy = dial(&world, &source, 1);
    let storm = std::thread::spawn(move || {
        let mut round = || {
            stormy.say(&Message::Want(span(0, PARTS)))?;
            let mut parts = (0..PARTS).step_by(3);
            parts.try_for_each(|part| stormy.say(&Message::Cancel(span(part, 1))))?;
            stormy.say(&Message::Cancel(span(0, PARTS)))
        };
        while round().is_ok() {}
    });
    let mut getter = world.getter("getter", &members([source.address]));
    getter.completes(&world);
    getter.ends();
    // It may have overrun its window, or still be at it.
    source.ends();
    storm.join().unwrap();
}

#[test]
fn floods_of_rosters_and_news_hurt_nobody() {
    let world = world();
    let source = world.source(&["--up".into(), "4M".into()]);
    let mut getter = world.getter("getter", &members([source.address]));
    let mut flooder = dial(&world, &getter, 1);
    let mut bystander = dial(&world, &source, 2);
    let flood = std::thread::spawn(move || {
        let mut number = 0_u32;
        let mut next = || {
            number += 1;
            // Documentation addresses (RFC 5737): nobody is there. And some on which nobody can be.
            let last = u8::try_from(number % 250).unwrap();
            SocketAddr::from(([[203, 0, 113, last], [0, 0, 0, 0], [255; 4]][number as usize % 3], 9))
        };
        let mut round = || {
            let roster: Vec<SocketAddr> = std::iter::repeat_with(&mut next).take(ROSTER_MAX).collect();
            flooder.say(&Message::Roster(roster))?;
            flooder.say(&Message::Have(Have::Runs(vec![])))
        };
        while round().is_ok() {}
    });
    getter.completes(&world);
    assert!(bystander.say(&Message::Roster(vec![])).is_ok());
    let (_, log) = getter.ends();
    assert!(!log.contains("0.0.0.0") && !log.contains("255.255.255.255"), "{log}");
    flood.join().unwrap();
    drop(bystander);
    source.is_left_alone();
    source.ends();
}

#[test]
fn many_links_of_one_member_are_too_many() {
    let world = world();
    let source = world.source(&["--up".into(), "8M".into()]);
    let getter = world.getter("getter", &members([source.address]));
    let mut links: Vec<Peer> = (0..LINKS_PER_MEMBER_MAX).map(|_| dial(&world, &source, 7)).collect();
    for _ in 0..20 {
        let mut more = Peer::dial(source.address, &world.manifest).opened(7, 0, Have::Runs(vec![]));
        assert_eq!(more.is_ended(), Some(Message::Bye(Reason::TooMany)));
    }
    for peer in &mut links {
        peer.say(&Message::Want(span(3, 1))).unwrap();
        while !matches!(peer.hear().expect("the first ones stay"), Message::Parts(_) | Message::Refuse(..)) {}
    }
    drop(links);
    served(&world, source, getter);
}

/// One host, a thousand links, each as another member: whoever comes from elsewhere gets in.
#[test]
fn a_thousand_links_keep_nobody_out() {
    assert!(allow_open_files(4_096) > 2_000, "this test needs more open files");
    let world = world();
    let source = world.source(&[]);
    let flood: Vec<Peer> = (0..1_000_u32)
        .filter_map(|number| {
            let mut peer = Peer::call(connect_from(66, source.address), &world.manifest).ok()?;
            let member = MemberId::from_bytes([number.to_le_bytes(); 4].concat().try_into().unwrap());
            // The member may have hung up meanwhile.
            peer.open(member, 0, Have::Runs(vec![])).ok().map(|()| peer)
        })
        .collect();
    source.logs("is up", LINKS_MAX - LINKS_DIALLED_MIN);
    let mut getter = world.getter("getter", &members([source.address]));
    getter.completes(&world);
    getter.is_left_alone();
    getter.ends();
    drop(flood);
    source.is_left_alone();
    source.ends();
}

/// One who is never served but reserves everything again and again does not keep it from the others.
#[test]
fn reservations_end() {
    let world = world();
    let source = world.source(&[]);
    let mut greedy = dial(&world, &source, 1);
    let mut ears = greedy.stream.try_clone().unwrap();
    std::thread::spawn(move || std::io::copy(&mut ears, &mut std::io::sink()));
    let hoarding = std::thread::spawn(move || {
        let mut round = || {
            greedy.say(&Message::Want(span(0, PARTS)))?;
            greedy.say(&Message::Cancel(span(0, PARTS)))?;
            std::thread::sleep(Duration::from_millis(200));
            std::io::Result::Ok(())
        };
        while round().is_ok() {}
    });
    source.logs("is up", 1);
    let mut getter = world.getter("getter", &members([source.address]));
    getter.completes(&world);
    getter.ends();
    let (_, log) = source.ends();
    assert!(!log.contains("broke the protocol"), "{log}");
    hoarding.join().unwrap();
}

#[test]
fn two_who_hold_everything_part() {
    let world = world();
    let (listener, address) = listen();
    let source = world.source(&members([address]));
    let mut peer = Peer::accept(&listener, &world.manifest).opened(1, address.port(), Have::All);
    drop(listener);
    // Both hold everything: nothing is left to say.
    assert_eq!(peer.is_ended(), Some(Message::Bye(Reason::Complete)));
    source.is_left_alone();
    source.ends();
}

/// Many ids of one host ask for everything and cancel, over and over: what is kept for them a moment is kept from
/// others, but not again and again.
#[test]
fn who_asks_and_cancels_for_ever_keeps_nothing_from_others() {
    let world = world();
    let source = world.source(&[]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let hoarders: Vec<Peer> = (1..=24).map(|number| dial(&world, &source, number)).collect();
        for mut peer in hoarders {
            let over = &over;
            scope.spawn(move || {
                peer.stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
                let mut sink = vec![0; 1 << 20];
                while !over.load(Ordering::Relaxed) {
                    for first in (0..PARTS).step_by(16) {
                        let told = peer.say(&Message::Want(span(first, 16)));
                        if told.and_then(|()| peer.say(&Message::Cancel(span(first, 16)))).is_err() {
                            return;
                        }
                    }
                    while matches!(peer.stream.read(&mut sink), Ok(read) if read > 0) {}
                    // Not to be busy: it costs the source no less to be asked fifty times a second.
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
        let mut getter = world.getter("getter", &members([source.address]));
        getter.completes(&world);
        over.store(true, Ordering::Relaxed);
        getter.ends();
    });
    source.ends();
}

/// Those before the line never read. Who stands in it is told after a while to ask elsewhere, however much the link is told
/// meanwhile.
#[test]
fn who_waits_in_line_while_much_is_told_hears_of_it() {
    let world = World::new(4_000 * 16_384, 16_384);
    let (listener, address) = listen();
    std::thread::scope(|scope| {
        let world = &world;
        let getter = world.getter("getter", &members([address]));
        let mut giver = Peer::accept(&listener, &world.manifest).opened(99, address.port(), Have::All);
        scope.spawn(move || {
            let mut given = 0;
            while let Some(asked) = giver.asked() {
                for part in asked.first..asked.first + asked.count {
                    given += 1;
                    if given > 300 {
                        // News for whoever waits, about fifty times a second.
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    if giver.give(span(part, 1), world.bytes(part, 1)).is_err() {
                        return;
                    }
                }
            }
        });
        let mut waiting = dial(world, &getter, 50);
        let mut held = Vec::new();
        while held.len() < 256 {
            if let Message::Have(Have::Runs(runs)) = waiting.hear().expect("the link lives") {
                held.extend(runs.into_iter().flat_map(|run| run.first..run.first + run.count));
            }
        }
        let some = held.iter().take(OWED_RUNS_MAX as usize);
        let wants: Vec<Message> = some.map(|&part| Message::Want(span(part, 1))).collect();
        let _deaf: Vec<Peer> = (1..=TURNS_MIN + TURNS_ASIDE_MAX + 1)
            .map(|number| {
                let mut peer = dial(world, &getter, u8::try_from(number).unwrap());
                wants.iter().for_each(|want| peer.say(want).unwrap());
                peer
            })
            .collect();
        // It has a turn now and then until all of them are before it.
        for part in held.into_iter().cycle() {
            assert!(
                !getter.log().contains("the connection broke"),
                "it waited until those before it were given up"
            );
            waiting.say(&Message::Want(span(part, 1))).unwrap();
            let mut said = std::iter::from_fn(|| waiting.hear());
            match said.find(|said| matches!(said, Message::Parts(_) | Message::Refuse(..))) {
                Some(Message::Parts(came)) => {
                    assert!(waiting.take(world.bytes(came.first, 1).len()).is_some(), "the link lives");
                }
                other => {
                    assert_eq!(other, Some(Message::Refuse(span(part, 1), Denial::Elsewhere)));
                    break;
                }
            }
        }
        getter.ends();
    });
}
