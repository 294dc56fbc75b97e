//! Honest members that form a swarm, and up to three among them that turned bad.
//!
//! The traitors hold the key and everything else that a member has; each listens at a host of its own, so that
//! the logs show whom the others blame.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use orchestra::limits::{LINKS_PER_MEMBER_MAX, RUN_BYTES, WINDOW_BYTES_START};
use orchestra::wire::member::{Have, Message, Span};

use crate::peer::{Peer, accept_within, id, listen_at};
use crate::program::{Program, World, members};

const PART: usize = 16_384;
const PARTS: u32 = 400;
/// Its own host for each honest member and each traitor.
const FIRST_TRAITOR: u8 = 100;

/// What a traitor does with those who ask it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Treason {
    /// Gives what it is asked for, but one part in a hundred is wrong.
    OneInAHundred,
    /// Gives the bytes of other parts.
    OtherParts,
    /// Never answers.
    Mute,
    /// A byte a second.
    Drip,
    /// Asks for everything, and reads nothing from then on.
    Deaf,
    /// Begins to give, and resets the connection in the middle of a record.
    Resets,
}

/// What the traitors are given, and what they say of themselves.
#[derive(Debug)]
struct Plot {
    world: World,
    over: AtomicBool,
    /// The wrong parts that were sent to the end, by the port of the one who sent them.
    lies: Mutex<BTreeSet<(u16, u32)>>,
}

impl Treason {
    /// Plays the part on one link, until it ends.
    fn play(self, plot: &Plot, mut peer: Peer, port: u16) -> Option<()> {
        if self == Treason::Deaf {
            peer.is_welcome_or_gone()?;
            for first in [0, 64, 128] {
                peer.say(&Message::Want(Span { first, count: 64 })).ok()?;
            }
            while !plot.over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(50));
            }
            return None;
        }
        loop {
            let asked = peer.asked()?;
            let mut bytes = plot.world.bytes(asked.first, asked.count).to_vec();
            match self {
                Treason::OneInAHundred => {
                    let wrong = (asked.first..asked.first + asked.count).filter(|part| part % 100 == 50);
                    let wrong: Vec<u32> = wrong.collect();
                    for part in &wrong {
                        bytes[(part - asked.first) as usize * PART] ^= 1;
                    }
                    peer.give(asked, &bytes).ok()?;
                    plot.lied(port, &wrong);
                }
                Treason::OtherParts => {
                    bytes.rotate_left(1_000);
                    peer.give(asked, &bytes).ok()?;
                    plot.lied(port, &(asked.first..asked.first + asked.count).collect::<Vec<_>>());
                }
                Treason::Mute | Treason::Deaf => {}
                Treason::Drip => {
                    peer.say(&Message::Parts(asked)).ok()?;
                    for byte in bytes {
                        peer.put(&[byte]).ok()?;
                        for _ in 0..20 {
                            thread::sleep(Duration::from_millis(50));
                            if plot.over.load(Ordering::Relaxed) {
                                return None;
                            }
                        }
                    }
                }
                Treason::Resets => {
                    peer.say(&Message::Parts(asked)).ok()?;
                    peer.put(&bytes[..PART / 2]).ok()?;
                    peer.put_half_a_record(&bytes[PART / 2..PART]).ok()?;
                    peer.reset();
                    return None;
                }
            }
        }
    }
}

impl Plot {
    fn lied(&self, port: u16, parts: &[u32]) {
        self.lies.lock().unwrap().extend(parts.iter().map(|&part| (port, part)));
    }

    /// A traitor: takes every call, until the plot is over.
    fn join(self: &Arc<Plot>, treason: Treason, number: u8, listener: TcpListener) -> JoinHandle<()> {
        let plot = Arc::clone(self);
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let mut links = Vec::new();
            while !plot.over.load(Ordering::Relaxed) {
                let Some(stream) = accept_within(&listener, Duration::from_millis(100)) else { continue };
                let plot = Arc::clone(&plot);
                links.push(thread::spawn(move || {
                    let Ok(mut peer) = Peer::answer(stream, &plot.world.manifest) else { return };
                    if peer.open(id(number), port, Have::All).is_ok() {
                        // None: the link has ended.
                        let _ended = treason.play(&plot, peer, port);
                    }
                }));
            }
            links.into_iter().for_each(|link| link.join().unwrap());
        })
    }
}

/// One honest member shares, three get, among traitors: all of them get everything, every lie names its sender, and
/// nobody honest is blamed. Returns what those who got it wasted.
fn among(treasons: &[Treason]) -> Vec<u64> {
    let world = World::new(PARTS as usize * PART, PART as u64);
    let plot = Arc::new(Plot { world, over: AtomicBool::new(false), lies: Mutex::default() });
    let listeners: Vec<_> = (FIRST_TRAITOR..).take(treasons.len()).map(listen_at).collect();
    let bad: Vec<SocketAddr> = listeners.iter().map(|&(_, address)| address).collect();
    let traitors: Vec<JoinHandle<()>> = (FIRST_TRAITOR..)
        .zip(treasons)
        .zip(listeners)
        .map(|((number, &treason), (listener, _))| plot.join(treason, number, listener))
        .collect();

    // The honest ones know one another and the traitors alike; the one that shares is slow enough to need help.
    let source =
        plot.world.source(&[members(bad.iter().copied()), vec!["--up".into(), "4M".into()]].concat());
    let mut getters: Vec<Program> = Vec::new();
    for name in ["one", "two", "three"] {
        let others = getters.iter().map(|getter| getter.address);
        let known = bad.iter().copied().chain([source.address]).chain(others);
        getters.push(plot.world.getter(name, &members(known)));
    }
    getters.iter_mut().for_each(|getter| drop(getter.completes(&plot.world)));

    plot.over.store(true, Ordering::Relaxed);
    let mut wasted = Vec::new();
    let (_, log) = source.ends();
    let mut logs = vec![log];
    for getter in getters {
        let (last, log) = getter.ends();
        let number = |name: &str| last[name].as_u64().unwrap();
        assert_eq!(number("down_bytes"), number("bytes") + number("wasted_bytes"), "{last}");
        wasted.push(number("wasted_bytes"));
        logs.push(log);
    }
    traitors.into_iter().for_each(|traitor| traitor.join().unwrap());
    let lies = plot.lies.lock().unwrap();
    for log in &logs {
        assert_names(log, &bad, &lies);
    }
    wasted
}

/// Whoever is blamed is a traitor, for a part that it lied about; and whoever broke the rules is one, too.
fn assert_names(log: &str, bad: &[SocketAddr], lies: &BTreeSet<(u16, u32)>) {
    for line in log.lines().filter(|line| line.contains("sent wrong bytes")) {
        let sender = bad.iter().find(|address| line.contains(&address.to_string()));
        let sender = sender.unwrap_or_else(|| panic!("somebody honest is blamed: {line}"));
        let named = lies.iter().any(|&(port, part)| {
            port == sender.port() && line.contains(&format!("wrong bytes for part {};", part + 1))
        });
        assert!(named, "{line}\n{lies:?}");
    }
    for line in log.lines().filter(|line| line.contains("broke the protocol")) {
        assert!(bad.iter().any(|address| line.contains(&address.to_string())), "{line}");
    }
}

/// What one traitor may cost a member: on each of its links all that a new link is asked for, and one want more.
/// Then its address is refused.
const PRICE: u64 = LINKS_PER_MEMBER_MAX as u64 * (WINDOW_BYTES_START + RUN_BYTES);

#[test]
fn liars_are_named_and_cost_little() {
    let treasons = [Treason::OneInAHundred, Treason::OtherParts, Treason::Resets];
    let wasted = among(&treasons);
    assert!(wasted.iter().all(|&wasted| wasted <= treasons.len() as u64 * PRICE), "{wasted:?}");
}

#[test]
fn those_who_give_nothing_keep_nobody_from_it() {
    let wasted = among(&[Treason::Mute, Treason::Drip, Treason::Deaf]);
    assert!(wasted.iter().all(|&wasted| wasted <= PRICE), "{wasted:?}");
}

#[test]
fn one_liar_among_honest_members_is_named() {
    let wasted = among(&[Treason::OneInAHundred]);
    assert!(wasted.iter().all(|&wasted| wasted <= PRICE), "{wasted:?}");
}
