//! Member to conductor: the preamble, the requests and the replies.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub use super::dialogue::PREAMBLE_LEN;
use super::dialogue::{self, Framed};
use super::{WireError, codec, frame};
use crate::credential::{Challenge, Proof, SessionId, SessionKey, Speaker};
use crate::limits::{DESK_REPLY_MAX, DESK_REQUEST_MAX};

/// The first bytes of a connection to a conductor.
pub const MAGIC: [u8; 4] = *b"ORCD";
/// The version of the protocol between members and conductors.
pub const VERSION: u8 = 1;

/// What the asking side sends first, once a connection. A conductor that speaks another version answers with its own
/// preamble and the end, so that the asking side can say what the matter is.
#[must_use]
pub const fn preamble() -> [u8; PREAMBLE_LEN] {
    dialogue::preamble(MAGIC, VERSION)
}

/// Checks the first bytes of a connection.
///
/// # Errors
/// The bytes belong to another protocol or another version of this one.
pub fn parse_preamble(bytes: &[u8; PREAMBLE_LEN]) -> Result<(), WireError> {
    dialogue::check_preamble(bytes, MAGIC, VERSION)
}

/// What a conductor can be asked. The order of the variants is their kind on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// I take part; who else does?
    Announce(Announce),
    /// Draw a challenge for this connection, for what I have to prove.
    Challenge,
    /// Something that the owner of a session says.
    Proven(Proven),
}

/// What the owner of a session says, and the proof of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proven {
    /// Whose session.
    pub session: SessionId,
    /// Over the bytes of [`Said`], see [`SessionKey::prove`].
    pub proof: Proof,
    /// What is said.
    pub said: Said,
}

/// What can be said with a proof. The order of the variants is their kind on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// I take part; who else does?
    Announce(Announce),
    /// This is how a link of mine went.
    Report(Report),
}

/// How it went to get parts of a composition from another member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The bytes of the [`SwarmId`](crate::identity::SwarmId).
    pub swarm: [u8; 32],
    /// The member, as a roster named it.
    pub member: SocketAddr,
    /// The bytes of parts that came and were right.
    pub bytes: u64,
    /// How long that took, in milliseconds.
    pub millis: u32,
    /// Whether it could not be reached, or sent what was wrong.
    pub failed: bool,
}

/// A member's word about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announce {
    /// The bytes of the [`SwarmId`](crate::identity::SwarmId).
    pub swarm: [u8; 32],
    /// The port on which the member accepts links; the address is the one that it connects from.
    pub port: u16,
    /// Whether it holds every part.
    pub complete: bool,
    /// The bytes that it still lacks.
    pub left: u64,
    /// What happened since the last announce.
    pub event: Event,
}

/// What an announce is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The first announce of a run.
    Started,
    /// Still here.
    Going,
    /// Just became complete.
    Completed,
    /// Leaves; the entry is dropped.
    Left,
}

/// What a conductor answers. The order of the variants is their kind on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The other members.
    Roster(Roster),
    /// Not now.
    Refused(Refusal),
    /// What to prove against on this connection.
    Challenge(Challenge),
    /// The other members, best first, for who has proven its announce.
    Greeted(Greeted),
    /// A report was heard.
    Noted,
}

/// The answer to a proven announce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeted {
    /// The other members.
    pub roster: Roster,
    /// Whether others can reach the asker, as far as the conductor knows.
    pub reach: Reach,
}

/// Whether a member can be reached at the address that it connects from and the port that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    /// It was not tried yet.
    Unknown,
    /// It can, and a connection takes so long.
    Reached {
        /// In milliseconds.
        millis: u32,
    },
    /// It cannot.
    Unreachable,
}

/// Who else takes part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// When to announce again, in milliseconds.
    pub interval_ms: u32,
    /// How many members hold every part, the asker not counted.
    pub complete: u32,
    /// How many members still get parts, the asker not counted.
    pub getting: u32,
    /// A random sample of their addresses, complete ones first; at most
    /// [`ROSTER_MAX`](crate::limits::ROSTER_MAX).
    pub members: Vec<SocketAddr>,
}

/// Why a conductor does not answer with a roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// It keeps as many compositions as it can.
    SwarmsFull,
    /// This composition has as many members as it may.
    MembersFull,
    /// Too many connections, in all or from this address.
    Busy,
    /// Only members that are logged in may ask: the announce has no proof, or a wrong or an old one.
    LoginFirst,
}

impl Proven {
    /// Says this as the owner of a session, as the proven request number `count` (from 0) on the connection with this
    /// challenge.
    #[must_use]
    pub fn new(speaker: &Speaker, challenge: Challenge, count: u32, said: Said) -> Proven {
        Proven { session: speaker.session, proof: speaker.key.prove(challenge, count, &said.bytes()), said }
    }

    /// Whether the owner of this key says this, at this place of this connection.
    #[must_use]
    pub fn holds(&self, key: &SessionKey, challenge: Challenge, count: u32) -> bool {
        key.verify(&self.proof, challenge, count, &self.said.bytes())
    }
}

impl Said {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::encode(self, &mut bytes);
        bytes
    }
}

impl Request {
    /// Appends the request as a frame.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        frame::append(out, |out| codec::encode(self, out));
    }
}

impl Reply {
    /// Appends the reply as a frame.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        frame::append(out, |out| codec::encode(self, out));
    }
}

impl Framed for Request {
    fn body_max(kind: u8) -> Option<usize> {
        if kind <= 2 { Some(DESK_REQUEST_MAX) } else { None }
    }
}

impl Framed for Reply {
    fn body_max(kind: u8) -> Option<usize> {
        if kind <= 4 { Some(DESK_REPLY_MAX) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::SessionToken;
    use crate::limits::ROSTER_MAX;
    use crate::wire::dialogue::Decoder;
    use proptest::prelude::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The vectors of PROTOCOL.md, "Member to conductor".
    #[test]
    fn golden_vectors() {
        assert_eq!(hex(&preamble()), "4f52434401");
        let announce = Announce {
            swarm: [0x11; 32],
            port: 10_001,
            complete: false,
            left: 142_044,
            event: Event::Started,
        };
        let mut bytes = Vec::new();
        Request::Announce(announce).append_to(&mut bytes);
        assert_eq!(hex(&bytes), format!("2b00000000{}fb112700fcdc2a020000", "11".repeat(32)));

        let roster = Roster {
            interval_ms: 30_000,
            complete: 1,
            getting: 2,
            members: vec!["10.0.0.7:10001".parse().unwrap()],
        };
        bytes.clear();
        Reply::Roster(roster).append_to(&mut bytes);
        assert_eq!(hex(&bytes), "0f00000000fb3075010201000a000007fb1127");

        bytes.clear();
        Reply::Refused(Refusal::Busy).append_to(&mut bytes);
        assert_eq!(hex(&bytes), "020000000102");
    }

    #[test]
    fn golden_vectors_of_what_is_proven() {
        let mut bytes = Vec::new();
        Request::Challenge.append_to(&mut bytes);
        assert_eq!(hex(&bytes), "0100000001");
        let token = SessionToken::from_bytes([0x22; 32]);
        let report = Report {
            swarm: [0x11; 32],
            member: "10.0.0.7:10001".parse().unwrap(),
            bytes: 1_048_576,
            millis: 900,
            failed: false,
        };
        let challenge = Challenge::from_bytes([0x33; 16]);
        let proven = Proven::new(&token.speaker(), challenge, 1, Said::Report(report));
        assert!(proven.holds(&token.key(), challenge, 1) && !proven.holds(&token.key(), challenge, 0));
        bytes.clear();
        Request::Proven(proven).append_to(&mut bytes);
        let said = format!("01{}000a000007fb1127fc00001000fb840300", "11".repeat(32));
        let (session, proof) =
            (hex(token.id().as_bytes()), "580a7ab4c46d679c44097ef675a73f6fca680b33c6c4f50c78eafaf5f2248ae8");
        assert_eq!(hex(&bytes), format!("73000000 02 {session} {proof} {said}").replace(' ', ""));

        bytes.clear();
        Reply::Challenge(challenge).append_to(&mut bytes);
        assert_eq!(hex(&bytes), format!("1100000002{}", "33".repeat(16)));
        let roster = Roster { interval_ms: 30_000, complete: 0, getting: 0, members: Vec::new() };
        for (reach, tail) in
            [(Reach::Unknown, "00"), (Reach::Reached { millis: 20 }, "0114"), (Reach::Unreachable, "02")]
        {
            bytes.clear();
            Reply::Greeted(Greeted { roster: roster.clone(), reach }).append_to(&mut bytes);
            assert_eq!(hex(&bytes[4..]), format!("03fb3075000000{tail}"));
        }
    }

    #[test]
    fn the_longest_reply_passes() {
        let reply = Reply::Roster(Roster {
            interval_ms: u32::MAX,
            complete: u32::MAX,
            getting: u32::MAX,
            members: vec!["[ffff:ffff::ffff]:65535".parse().unwrap(); ROSTER_MAX],
        });
        let mut bytes = Vec::new();
        reply.append_to(&mut bytes);
        assert_eq!(Decoder::<Reply>::new().next(&mut bytes.as_slice()), Ok(Some(reply)));
    }

    proptest! {
        #[test]
        fn any_body_ends_in_a_message_or_an_error(
            kind in 0u8..3, body in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let mut bytes = Vec::new();
            frame::append(&mut bytes, |out| { out.push(kind); out.extend_from_slice(&body); });
            if let Ok(Some(request)) = Decoder::<Request>::new().next(&mut bytes.as_slice()) {
                let mut again = Vec::new();
                request.append_to(&mut again);
                prop_assert_eq!(Decoder::<Request>::new().next(&mut again.as_slice()), Ok(Some(request)));
            }
            drop(Decoder::<Reply>::new().next(&mut bytes.as_slice()));
        }
    }
}
