//! The bodies of the fuzz targets with random bytes: noise, and true inputs with a few bytes changed.

#![expect(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

#[expect(unreachable_pub, reason = "it is a library to the fuzz targets")]
#[path = "../fuzz/src/lib.rs"]
mod bodies;

use orchestra::identity::MemberId;
use orchestra::wire::desk::{self, Announce, Refusal, Reply, Request};
use orchestra::wire::member::{Denial, Have, Hello, Message, Reason, Span};

const ROUNDS: usize = 20_000;

/// Feeds `body` with `seed` after a few changes, and with noise.
fn feeds(seed: &[u8], body: fn(&[u8])) {
    body(seed);
    let mut rng = fastrand::Rng::with_seed(7);
    for round in 0..ROUNDS {
        let mut bytes = if round % 4 == 0 { vec![0; rng.usize(..200)] } else { seed.to_vec() };
        if round % 4 == 0 {
            rng.fill(&mut bytes);
        }
        for _ in 0..rng.usize(..4) {
            let at = rng.usize(..=bytes.len());
            match rng.u8(..4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, rng.u8(..)),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                _ if at < bytes.len() => bytes[at] ^= 1 << rng.u8(..8),
                _ => {}
            }
        }
        body(&bytes);
    }
}

fn conversation() -> Vec<Message> {
    let span = Span { first: 3, count: 2 };
    vec![
        Message::Hello(Hello { member: MemberId::from_bytes([7; 16]), port: 10_001, abilities: 0 }),
        Message::Have(Have::Runs(vec![Span { first: 0, count: 3 }, Span { first: 5, count: 1 }])),
        Message::Want(span),
        Message::Cancel(span),
        Message::Refuse(span, Denial::Elsewhere),
        Message::Have(Have::Runs(vec![span])),
        Message::Roster(vec!["127.0.0.1:10001".parse().unwrap(), "[::1]:10002".parse().unwrap()]),
        Message::Parts(span),
        Message::Have(Have::All),
        Message::Bye(Reason::Leaving),
    ]
}

#[test]
fn manifests() {
    let digest = "d53bff7979a4ac6f56da2f7085e6c2dff49656eb\n";
    feeds(format!("[::1]:9999\nname\n{digest}25\n10\n3\n{}", digest.repeat(3)).as_bytes(), bodies::manifest);
}

#[test]
fn messages_between_members() {
    let mut bytes = Vec::new();
    conversation().iter().for_each(|message| message.append_to(&mut bytes));
    feeds(&bytes, bodies::member_messages);
}

#[test]
fn messages_at_a_desk() {
    let announce = Announce {
        swarm: [1; 32],
        port: 10_001,
        complete: false,
        left: 142_044,
        event: desk::Event::Started,
    };
    let mut bytes = Vec::new();
    Request::Announce(announce).append_to(&mut bytes);
    feeds(&bytes, bodies::desk_messages);
    bytes.clear();
    let members = vec!["10.0.0.7:10001".parse().unwrap(), "[::1]:1".parse().unwrap()];
    Reply::Roster(desk::Roster { interval_ms: 30_000, complete: 1, getting: 2, members })
        .append_to(&mut bytes);
    Reply::Refused(Refusal::Busy).append_to(&mut bytes);
    feeds(&bytes, bodies::desk_messages);
}

#[test]
fn sessions() {
    for choice in 0..6 {
        let mut bytes = vec![choice];
        for message in conversation() {
            let mut frame = Vec::new();
            message.append_to(&mut frame);
            bytes.push(u8::try_from(frame.len() - 4).unwrap());
            bytes.extend_from_slice(&frame[4..]);
        }
        feeds(&bytes, bodies::frames_and_session);
    }
}
