//! Member to member: the preamble and the messages.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::frame::{self, Assembler};
use super::{WireError, codec};
use crate::identity::{MemberId, Token};
use crate::limits::{FRAME_HAVE_MAX, FRAME_ROSTER_MAX, FRAME_SMALL_MAX};
use crate::part::Run;

/// The first bytes of a connection between members.
pub const MAGIC: [u8; 4] = *b"ORCH";
/// The version of the protocol between members.
pub const VERSION: u8 = 1;
/// The length of the preamble: magic, version, token.
pub const PREAMBLE_LEN: usize = MAGIC.len() + 1 + Token::LEN;

/// What the dialling member sends before the handshake.
#[must_use]
pub fn preamble(token: Token) -> [u8; PREAMBLE_LEN] {
    let mut bytes = [0; PREAMBLE_LEN];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4] = VERSION;
    bytes[5..].copy_from_slice(token.as_bytes());
    bytes
}

/// The token in a preamble.
///
/// # Errors
/// The bytes belong to another protocol or another version of this one.
pub fn parse_preamble(bytes: &[u8; PREAMBLE_LEN]) -> Result<Token, WireError> {
    let mut token = [0; Token::LEN];
    token.copy_from_slice(&bytes[5..]);
    match (bytes[..4] == MAGIC, bytes[4]) {
        (false, _) => Err(WireError::Preamble),
        (true, VERSION) => Ok(Token::from_bytes(token)),
        (true, other) => Err(WireError::Version(other)),
    }
}

/// What members say to each other inside the sealed stream.
/// The order of the variants is their kind on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// The first message in each direction, once.
    Hello(Hello),
    /// The parts that the sender holds: the full set right after its hello, additions later.
    Have(Have),
    /// Asks for consecutive parts.
    Want(Span),
    /// Answers a want, or a part of it; the bytes of these parts follow raw.
    Parts(Span),
    /// These parts will not come.
    Refuse(Span, Denial),
    /// These parts are no longer needed; each is still answered, by its bytes or by a refusal.
    Cancel(Span),
    /// Addresses at which other members of the swarm listen.
    Roster(Vec<SocketAddr>),
    /// The last message.
    Bye(Reason),
}

/// Who the other side is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The sender, the same on all its links.
    pub member: MemberId,
    /// The port on which the sender accepts links; 0 if it does not.
    pub port: u16,
    /// What the sender can do beyond version 1, as bits. None is defined yet; unknown bits are ignored.
    pub abilities: u64,
}

/// Parts that a member holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Have {
    /// Every part.
    All,
    /// Bit `i % 8` of byte `i / 8`, lowest first, is part `i`. Only as the full set.
    Bits(Vec<u8>),
    /// At most [`HAVE_RUNS_MAX`](crate::limits::HAVE_RUNS_MAX) runs. As the full set or as an addition.
    Runs(Vec<Span>),
}

/// Consecutive parts as they travel: not yet checked against a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first part, counted from 0.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// Why parts that were wanted do not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Denial {
    /// The sender does not hold them.
    NotHeld,
    /// The want was cancelled.
    Cancelled,
    /// The sender has just given them to another member that will share them: ask there, or later again.
    Elsewhere,
}

/// Why a link ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The sender stops.
    Leaving,
    /// Both sides hold everything.
    Complete,
    /// The sender has as many links as it wants, or another one to the same member.
    TooMany,
    /// The link was of no use for a while.
    Idle,
    /// The receiver broke the protocol or sent wrong bytes.
    Fault,
    /// The key of the link is used up; a new link is welcome.
    Renew,
    /// The link leads from a member to itself.
    Oneself,
}

impl From<Run> for Span {
    fn from(run: Run) -> Span {
        Span { first: run.first().get(), count: run.count() }
    }
}

impl Message {
    /// Appends the message as a frame.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        frame::append(out, |out| codec::encode(self, out));
    }
}

/// The longest body of a message of this kind.
const fn body_max(kind: u8) -> Option<usize> {
    match kind {
        0 | 2..=5 | 7 => Some(FRAME_SMALL_MAX),
        1 => Some(FRAME_HAVE_MAX),
        6 => Some(FRAME_ROSTER_MAX),
        _ => None,
    }
}

/// Reads messages from slices that end anywhere.
///
/// After a [`Message::Parts`] the caller takes the bytes of these parts off the stream itself.
#[derive(Debug)]
pub struct Decoder(Assembler);

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder(Assembler::new(body_max))
    }
}

impl Decoder {
    /// Takes one message from the front of `input`, or all of `input` if the message is not whole yet.
    ///
    /// # Errors
    /// The bytes are no message; the stream cannot be read any further.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Message>, WireError> {
        match self.0.next(input)? {
            None => Ok(None),
            Some((kind, body)) => codec::decode(body.bytes()).map(Some).ok_or(WireError::Body(kind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{PARTS_MAX, ROSTER_MAX};
    use proptest::prelude::*;

    fn bytes_of(message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        message.append_to(&mut bytes);
        bytes
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The vectors of PROTOCOL.md, "Messages between members".
    #[test]
    fn golden_vectors() {
        let hello = Hello { member: MemberId::from_bytes([0xaa; 16]), port: 10_001, abilities: 0 };
        let roster = vec!["127.0.0.1:10001".parse().unwrap(), "[::1]:10002".parse().unwrap()];
        let vectors = [
            (Message::Hello(hello), "1500000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaafb112700"),
            (Message::Have(Have::All), "020000000100"),
            (Message::Have(Have::Bits(vec![0xff, 0x01])), "05000000010102ff01"),
            (Message::Have(Have::Runs(vec![Span { first: 3, count: 2 }])), "0500000001020103 02"),
            (Message::Want(Span { first: 0, count: 64 }), "03000000020040"),
            (Message::Parts(Span { first: 300, count: 1 }), "0500000003fb2c0101"),
            (Message::Refuse(Span { first: 7, count: 1 }, Denial::Elsewhere), "0400000004070102"),
            (Message::Cancel(Span { first: 7, count: 1 }), "03000000050701"),
            (Message::Roster(roster), "1e0000000602007f000001fb11270100000000000000000000000000000001fb1227"),
            (Message::Bye(Reason::Leaving), "020000000700"),
        ];
        for (message, expected) in vectors {
            assert_eq!(hex(&bytes_of(&message)), expected.replace(' ', ""), "{message:?}");
        }
    }

    #[test]
    fn preambles() {
        let token = Token::from_bytes([7; 16]);
        let mut bytes = preamble(token);
        assert_eq!(hex(&bytes), format!("4f52434801{}", "07".repeat(16)));
        assert_eq!(parse_preamble(&bytes), Ok(token));
        bytes[4] = 2;
        assert_eq!(parse_preamble(&bytes), Err(WireError::Version(2)));
        bytes[0] = b'G';
        assert_eq!(parse_preamble(&bytes), Err(WireError::Preamble));
    }

    #[test]
    fn the_longest_messages_pass() {
        let largest = [
            Message::Have(Have::Bits(vec![0xff; PARTS_MAX as usize / 8])),
            Message::Have(Have::Runs(vec![
                Span { first: PARTS_MAX, count: PARTS_MAX };
                crate::limits::HAVE_RUNS_MAX
            ])),
            Message::Roster(vec!["[ffff:ffff::ffff]:65535".parse().unwrap(); ROSTER_MAX]),
            Message::Want(Span { first: u32::MAX, count: u32::MAX }),
            Message::Hello(Hello {
                member: MemberId::from_bytes([0xff; 16]),
                port: u16::MAX,
                abilities: u64::MAX,
            }),
        ];
        for message in largest {
            let bytes = bytes_of(&message);
            let mut input = bytes.as_slice();
            assert_eq!(Decoder::default().next(&mut input), Ok(Some(message)));
        }
    }

    #[test]
    fn trailing_bytes_in_a_body_are_refused() {
        let mut input: &[u8] = &[3, 0, 0, 0, 7, 0, 0];
        assert_eq!(Decoder::default().next(&mut input), Err(WireError::Body(7)));
    }

    #[test]
    fn a_list_that_claims_more_than_it_brings_is_refused() {
        // Roster, 2^32 addresses, none of them there.
        let mut input: &[u8] = &[6, 0, 0, 0, 6, 0xfc, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Decoder::default().next(&mut input), Err(WireError::Body(6)));
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_messages_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut decoder = Decoder::default();
            let mut input = bytes.as_slice();
            while let Ok(Some(_)) = decoder.next(&mut input) {}
        }

        /// Frames with a true length reach the body decoder far more often than random bytes do.
        #[test]
        fn any_body_ends_in_a_message_or_an_error(
            kind in 0u8..9, body in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut bytes = Vec::new();
            frame::append(&mut bytes, |out| { out.push(kind); out.extend_from_slice(&body); });
            let mut input = bytes.as_slice();
            if let Ok(Some(message)) = Decoder::default().next(&mut input) {
                let again = bytes_of(&message);
                let mut input = again.as_slice();
                prop_assert_eq!(Decoder::default().next(&mut input), Ok(Some(message)));
            }
        }
    }
}
