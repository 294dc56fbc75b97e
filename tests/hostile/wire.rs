//! Somebody on the way between two honest members, without the key: who listens, and who changes what passes.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use orchestra::wire::member::PREAMBLE_LEN;
use orchestra::wire::seal::HANDSHAKE_LEN;

use crate::peer::listen;
use crate::program::{World, members};

const PART: usize = 65_536;
/// Where records begin in what the getting member sends, and in what the sharing one answers.
const CALLER_RECORDS: usize = PREAMBLE_LEN + HANDSHAKE_LEN;
const ANSWER_RECORDS: usize = HANDSHAKE_LEN;
/// A place that is amid the bytes of parts.
const AMID: usize = 100_000;

/// What happens to the first connection that carries so much; the others pass as they are.
#[derive(Clone, Copy, Debug)]
enum Tampering {
    /// A bit changes.
    Flip,
    /// The connection ends for both, without a reset.
    Cut,
    /// So many bytes come twice.
    Repeat(usize),
    /// Bytes are left out.
    Omit(usize),
}

/// In which direction, after how many bytes, what.
#[derive(Clone, Copy, Debug)]
struct Plan {
    answer: bool,
    at: usize,
    what: Tampering,
}

/// What somebody on the wire has of it.
#[derive(Debug, Default)]
struct Tap {
    /// The bytes of the first connection, both ways.
    heard: Mutex<Vec<u8>>,
    /// The plan was carried out.
    tampered: AtomicBool,
}

/// A wire to this member, with somebody on it.
fn tap(to: SocketAddr, plan: Option<Plan>) -> (SocketAddr, Arc<Tap>) {
    let (listener, address) = listen();
    let tap = Arc::new(Tap::default());
    let on_it = Arc::clone(&tap);
    thread::spawn(move || carry(&listener, to, plan, &on_it));
    (address, tap)
}

fn carry(listener: &TcpListener, to: SocketAddr, plan: Option<Plan>, tap: &Arc<Tap>) {
    let mut first = true;
    for call in listener.incoming() {
        let (Ok(call), Ok(answer)) = (call, TcpStream::connect(to)) else { return };
        for (answers, from, into) in [(false, &call, &answer), (true, &answer, &call)] {
            let plan = plan.filter(|plan| plan.answer == answers);
            let (from, into) = (from.try_clone().unwrap(), into.try_clone().unwrap());
            let tap = Arc::clone(tap);
            thread::spawn(move || {
                // However it ends: both of its ends hear of it.
                let _ended = pump(&from, &into, plan, first, &tap);
                drop(into.shutdown(Shutdown::Write));
                drop(from.shutdown(Shutdown::Read));
            });
        }
        first = false;
    }
}

fn pump(
    mut from: &TcpStream,
    mut into: &TcpStream,
    plan: Option<Plan>,
    first: bool,
    tap: &Tap,
) -> Option<()> {
    let mut buffer = vec![0; 65_536];
    let mut passed = 0;
    loop {
        let len = from.read(&mut buffer).ok().filter(|&len| len > 0)?;
        let mut bytes = buffer[..len].to_vec();
        if first {
            tap.heard.lock().unwrap().extend_from_slice(&bytes);
        }
        let due = plan.filter(|plan| (passed..passed + len).contains(&plan.at));
        if let Some(Plan { at, what, .. }) = due.filter(|_| !tap.tampered.swap(true, Ordering::Relaxed)) {
            let here = at - passed;
            match what {
                Tampering::Flip => bytes[here] ^= 0x10,
                Tampering::Cut => {
                    drop(into.write_all(&bytes[..here]));
                    drop(into.shutdown(Shutdown::Both));
                    return None;
                }
                Tampering::Repeat(count) => {
                    let again = bytes[here..(here + count).min(len)].to_vec();
                    bytes.splice(here..here, again);
                }
                Tampering::Omit(count) => drop(bytes.drain(here..(here + count).min(len))),
            }
        }
        passed += len;
        into.write_all(&bytes).ok()?;
    }
}

/// What is changed on the way ends that link and nothing else: no byte of it is believed, nobody is blamed for it,
/// and the next link brings the rest.
#[test]
fn what_is_changed_on_the_way_ends_the_link() {
    let plan = |answer, at, what| Plan { answer, at, what };
    let plans = [
        // To an older version, to another composition, to another key.
        plan(false, 4, Tampering::Flip),
        plan(false, PREAMBLE_LEN - 1, Tampering::Flip),
        plan(false, PREAMBLE_LEN, Tampering::Flip),
        plan(true, 0, Tampering::Flip),
        plan(true, ANSWER_RECORDS - 1, Tampering::Flip),
        // The length of a record, its bytes, its tag.
        plan(false, CALLER_RECORDS + 1, Tampering::Flip),
        plan(true, ANSWER_RECORDS + 1, Tampering::Flip),
        plan(true, ANSWER_RECORDS + 2, Tampering::Flip),
        plan(true, AMID, Tampering::Flip),
        plan(true, ANSWER_RECORDS - 5, Tampering::Cut),
        plan(false, CALLER_RECORDS + 7, Tampering::Cut),
        plan(true, AMID, Tampering::Cut),
        plan(false, CALLER_RECORDS, Tampering::Repeat(HANDSHAKE_LEN)),
        plan(true, AMID, Tampering::Repeat(5_000)),
        plan(true, AMID, Tampering::Omit(5_000)),
        plan(true, ANSWER_RECORDS, Tampering::Omit(1)),
    ];
    // Each with a swarm of its own: in one they would find each other, and need the wire no more.
    thread::scope(|scope| {
        for plan in plans {
            scope.spawn(move || ends_the_link(plan));
        }
    });
}

fn ends_the_link(plan: Plan) {
    let world = World::new(2 << 20, PART as u64);
    let source = world.source(&[]);
    let (address, tap) = tap(source.address, Some(plan));
    let mut getter = world.getter("getter", &members([address]));
    getter.completes(&world);
    assert!(tap.tampered.load(Ordering::Relaxed), "{plan:?}");
    let (last, log) = getter.ends();
    let number = |name: &str| last[name].as_u64().unwrap();
    assert_eq!(number("down_bytes"), number("bytes") + number("wasted_bytes"), "{plan:?} {last}");
    source.is_left_alone();
    let logs = log + &source.ends().1;
    assert!(!logs.contains("sent wrong bytes"), "{plan:?}\n{logs}");
    // One of the two has noticed.
    let noticed =
        ["the seal is broken", "is gone", "connection broke", "does not exist", "broke the protocol"];
    assert!(noticed.iter().any(|text| logs.contains(text)), "{plan:?}\n{logs}");
}

/// Who listens hears nothing of the composition, its name, or its digests.
#[test]
fn who_listens_learns_nothing() {
    let world = World::new(4 << 20, PART as u64);
    let source = world.source(&[]);
    let (address, tap) = tap(source.address, None);
    let mut getter = world.getter("getter", &members([address]));
    getter.completes(&world);
    getter.ends();
    source.ends();
    let heard = tap.heard.lock().unwrap();
    assert!(heard.len() > PART, "{} bytes were heard", heard.len());

    let manifest = &world.manifest;
    let mut secrets = vec![manifest.digest().as_bytes().to_vec(), manifest.swarm_key().as_bytes().to_vec()];
    secrets.extend(manifest.layout().all().map(|part| manifest.part_digest(part).as_bytes().to_vec()));
    secrets.extend(world.content.chunks(1_024).map(<[u8]>::to_vec));
    let secrets: HashSet<&[u8]> = secrets.iter().map(|secret| &secret[..8]).collect();
    let told = heard.windows(8).position(|bytes| secrets.contains(bytes));
    assert_eq!(told, None, "at this byte of {}", heard.len());
}
