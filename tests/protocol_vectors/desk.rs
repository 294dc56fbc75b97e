//! What is said at the desk of a conductor, and how it is proven.

use orchestra::credential::{Challenge, Fingerprint, SessionToken};
use orchestra::wire::codec;
use orchestra::wire::desk::{self, Announce, Refusal, Reply, Request};

use crate::page::{PAGE, derive};

/// The token of the session on the page.
pub(crate) fn token() -> SessionToken {
    SessionToken::from_bytes([0x22; 32])
}

fn challenge() -> Challenge {
    Challenge::from_bytes([0x33; 16])
}

fn proven(count: u32, said: desk::Said) -> Request {
    Request::Proven(desk::Proven::new(&token().speaker(), challenge(), count, said))
}

pub(crate) fn requests() -> Vec<(&'static str, Request)> {
    let announce = Announce {
        swarm: [0x11; 32],
        port: 10_001,
        complete: false,
        left: 142_044,
        event: desk::Event::Started,
    };
    let about = |complete, left, event| Request::Announce(Announce { complete, left, event, ..announce });
    let report = desk::Report {
        swarm: [0x11; 32],
        member: "10.0.0.7:10001".parse().unwrap(),
        bytes: 1_048_576,
        millis: 900,
        failed: false,
    };
    vec![
        ("announce, started", Request::Announce(announce)),
        ("announce, going", about(false, 1, desk::Event::Going)),
        ("announce, completed", about(true, 0, desk::Event::Completed)),
        ("announce, left", about(true, 0, desk::Event::Left)),
        ("ask for a challenge", Request::Challenge),
        ("announce, proven first", proven(0, desk::Said::Announce(announce))),
        ("report, proven second", proven(1, desk::Said::Report(report))),
    ]
}

pub(crate) fn replies() -> Vec<(&'static str, Reply)> {
    let members = vec!["10.0.0.7:10001".parse().unwrap()];
    vec![
        (
            "roster from a conductor",
            Reply::Roster(desk::Roster { interval_ms: 30_000, complete: 1, getting: 2, members }),
        ),
        ("refused, swarms full", Reply::Refused(Refusal::SwarmsFull)),
        ("refused, members full", Reply::Refused(Refusal::MembersFull)),
        ("refused, busy", Reply::Refused(Refusal::Busy)),
        ("refused, login first", Reply::Refused(Refusal::LoginFirst)),
        ("challenge", Reply::Challenge(challenge())),
        ("greeted, nobody looked yet", greeted(desk::Reach::Unknown)),
        ("greeted, reached in 20 ms", greeted(desk::Reach::Reached { millis: 20 })),
        ("greeted, not reached", greeted(desk::Reach::Unreachable)),
        ("noted", Reply::Noted),
    ]
}

fn greeted(reach: desk::Reach) -> Reply {
    let roster = desk::Roster { interval_ms: 30_000, complete: 0, getting: 0, members: Vec::new() };
    Reply::Greeted(desk::Greeted { roster, reach })
}

#[test]
fn sessions_and_fingerprints_are_derived_as_the_page_says() {
    assert_eq!(token().id().as_bytes(), &derive("orchestra 2026-11 session id v1", token().as_bytes()));
    let key = derive("orchestra 2026-11 session key v1", token().as_bytes());
    assert_eq!(token().key().as_bytes(), &key);
    assert!(PAGE.contains("`orchestra 2026-11 proof v1`"));
    let mut said = Vec::new();
    let Request::Proven(proven) = proven(
        1,
        desk::Said::Announce(match requests()[0].1 {
            Request::Announce(announce) => announce,
            _ => unreachable!(),
        }),
    ) else {
        unreachable!()
    };
    codec::encode(&proven.said, &mut said);
    let mut hasher = blake3::Hasher::new_keyed(&key);
    hasher.update(b"orchestra 2026-11 proof v1").update(&[0x33; 16]).update(&[1, 0, 0, 0]).update(&said);
    let mut proof = Vec::new();
    codec::encode(&proven.proof, &mut proof);
    assert_eq!(proof, hasher.finalize().as_bytes());
    let fingerprint = Fingerprint::of(&[7; 32]).to_string();
    derive("orchestra 2026-11 conductor fingerprint v1", &[7; 32]);
    assert!(PAGE.contains(&format!("`{fingerprint}`")), "{fingerprint} is not on the page");
}
