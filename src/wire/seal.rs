//! The sealed stream: a Noise handshake, then records that are sealed and opened in place.
//!
//! Handshake: `NNpsk0_25519_AESGCM_BLAKE2s` (Noise specification, revision 34) by the crate `snow`, with the
//! link key as pre-shared key and the preamble as prologue, so a changed preamble breaks the handshake.
//! Whoever asks a conductor's catalogue shares no key with it: there it is `NX_25519_AESGCM_BLAKE2s`, in which the
//! conductor proves that it has the private half of the public key that it shows.
//! Records: a `u16` length (big endian), then one Noise transport message of that length.
//! They are sealed by a cipher of our choice, on the two keys that the handshake yields, because `snow` copies each
//! record once more than needed; a test opens ours with `snow` and the other way round.

use super::WireError;
use super::cipher::{Cipher, KEY_LEN, NONCE_LEN, Nonce};
use crate::credential::CONDUCTOR_KEY_LEN;
use crate::identity::LinkKey;
use crate::limits::{LAST_RECORDS, RECORD_LEN_MAX, RECORD_PLAIN_MAX, RECORD_TAG_LEN, RECORDS_PER_KEY_MAX};

/// The length of each of the two handshake messages: an ephemeral key and a tag.
pub const HANDSHAKE_LEN: usize = 32 + RECORD_TAG_LEN;
/// The length of what asks a conductor for its key: an ephemeral key.
pub const CALL_LEN: usize = 32;
/// The length of its answer: an ephemeral key, the sealed static one with its tag, and a tag.
pub const CALL_ANSWER_LEN: usize = 32 + (CONDUCTOR_KEY_LEN + RECORD_TAG_LEN) + RECORD_TAG_LEN;
/// The bytes before a record: its length.
pub const RECORD_HEADER_LEN: usize = 2;

const PATTERN: &str = "Noise_NNpsk0_25519_AESGCM_BLAKE2s";
const CALL_PATTERN: &str = "Noise_NX_25519_AESGCM_BLAKE2s";
/// Where the pre-shared key enters: before the first message.
const PSK_POSITION: u8 = 0;

/// The dialling side, after its first message.
pub struct Initiator(snow::HandshakeState);

/// The side that asks a conductor, after its first message.
pub struct Caller(snow::HandshakeState);

/// The private half of a conductor's static key.
#[derive(Clone)]
pub struct ConductorKey([u8; CONDUCTOR_KEY_LEN]);

/// What a conductor's answer opens: its key is looked at before anything is said.
#[derive(Debug)]
pub struct Called {
    /// The public half of the conductor's static key; it has proven that it has the private one.
    pub key: [u8; CONDUCTOR_KEY_LEN],
    /// Seals what is asked.
    pub sealer: Sealer,
    /// Opens what is answered.
    pub opener: Opener,
}

/// Seals what is sent; one direction of a link.
#[derive(Debug)]
pub struct Sealer(Direction);

/// Opens what is received; one direction of a link.
#[derive(Debug)]
pub struct Opener(Direction);

impl Initiator {
    /// Begins a handshake and returns the message to send.
    #[must_use]
    pub fn start(key: &LinkKey, prologue: &[u8]) -> (Initiator, [u8; HANDSHAKE_LEN]) {
        let mut state = builder(key, prologue).build_initiator().expect("the pattern needs no more keys");
        let mut message = [0; HANDSHAKE_LEN];
        state.write_message(&[], &mut message).expect("the first message fits exactly");
        (Initiator(state), message)
    }

    /// Ends the handshake with the other side's answer.
    ///
    /// # Errors
    /// The answer was not made with the same key, prologue and first message.
    pub fn finish(mut self, answer: &[u8; HANDSHAKE_LEN]) -> Result<(Sealer, Opener), WireError> {
        self.0.read_message(answer, &mut [0; HANDSHAKE_LEN]).map_err(|_| WireError::Seal)?;
        Ok(of_initiator(self.0))
    }
}

impl Caller {
    /// Begins a handshake with a conductor whose key nobody has seen yet, and returns the message to send.
    #[must_use]
    pub fn start(prologue: &[u8]) -> (Caller, [u8; CALL_LEN]) {
        let mut state = call_builder(prologue).build_initiator().expect("the pattern needs no keys");
        // snow asks for the room of a tag as well, which this message does not have yet.
        let mut written = [0; CALL_LEN + RECORD_TAG_LEN];
        state.write_message(&[], &mut written).expect("the first message fits");
        let mut message = [0; CALL_LEN];
        message.copy_from_slice(&written[..CALL_LEN]);
        (Caller(state), message)
    }

    /// Ends the handshake with the conductor's answer. Whether its key is the right one is for the caller to check,
    /// before it says anything.
    ///
    /// # Errors
    /// The answer was not made for the same prologue and first message, or by who lacks the private half of the key.
    pub fn finish(mut self, answer: &[u8; CALL_ANSWER_LEN]) -> Result<Called, WireError> {
        self.0.read_message(answer, &mut [0; CALL_ANSWER_LEN]).map_err(|_| WireError::Seal)?;
        let key = self.0.get_remote_static().and_then(|key| key.try_into().ok()).ok_or(WireError::Seal)?;
        let (sealer, opener) = of_initiator(self.0);
        Ok(Called { key, sealer, opener })
    }
}

impl ConductorKey {
    /// The key with these bytes, which were drawn at random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; CONDUCTOR_KEY_LEN]) -> ConductorKey {
        ConductorKey(bytes)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> [u8; CONDUCTOR_KEY_LEN] {
        use snow::resolvers::{CryptoResolver, DefaultResolver};
        let curve = DefaultResolver.resolve_dh(&snow::params::DHChoice::Curve25519);
        let mut curve = curve.expect("the curve is one that snow knows");
        curve.set(&self.0);
        curve.pubkey().try_into().expect("public keys of this curve have 32 bytes")
    }

    /// Answers the first message of who asks.
    ///
    /// # Errors
    /// The message is none.
    pub fn answer(
        &self,
        prologue: &[u8],
        message: &[u8; CALL_LEN],
    ) -> Result<(Sealer, Opener, [u8; CALL_ANSWER_LEN]), WireError> {
        let builder = call_builder(prologue).local_private_key(&self.0).expect("the key is set once");
        let mut state = builder.build_responder().expect("the pattern needs this key only");
        state.read_message(message, &mut [0; CALL_LEN]).map_err(|_| WireError::Seal)?;
        let mut answer = [0; CALL_ANSWER_LEN];
        state.write_message(&[], &mut answer).expect("the answer fits exactly");
        let (sealer, opener) = of_responder(state);
        Ok((sealer, opener, answer))
    }
}

impl std::fmt::Debug for ConductorKey {
    /// A secret is never written anywhere.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConductorKey(..)")
    }
}

/// The accepting side: answers the first message.
///
/// # Errors
/// The message was not made with the same key and prologue.
pub fn respond(
    key: &LinkKey,
    prologue: &[u8],
    message: &[u8; HANDSHAKE_LEN],
) -> Result<(Sealer, Opener, [u8; HANDSHAKE_LEN]), WireError> {
    let mut state = builder(key, prologue).build_responder().expect("the pattern needs no more keys");
    state.read_message(message, &mut [0; HANDSHAKE_LEN]).map_err(|_| WireError::Seal)?;
    let mut answer = [0; HANDSHAKE_LEN];
    state.write_message(&[], &mut answer).expect("the answer fits exactly");
    let (sealer, opener) = of_responder(state);
    Ok((sealer, opener, answer))
}

/// What the side that began seals and opens with.
fn of_initiator(mut state: snow::HandshakeState) -> (Sealer, Opener) {
    let (to_responder, to_initiator) = state.dangerously_get_raw_split();
    (Sealer(Direction::new(&to_responder)), Opener(Direction::new(&to_initiator)))
}

/// What the side that answered seals and opens with.
fn of_responder(mut state: snow::HandshakeState) -> (Sealer, Opener) {
    let (to_responder, to_initiator) = state.dangerously_get_raw_split();
    (Sealer(Direction::new(&to_initiator)), Opener(Direction::new(&to_responder)))
}

fn call_builder(prologue: &[u8]) -> snow::Builder<'_> {
    snow::Builder::new(CALL_PATTERN.parse().expect("the pattern is one that snow knows"))
        .prologue(prologue)
        .expect("the prologue is set once")
}

fn builder<'a>(key: &'a LinkKey, prologue: &'a [u8]) -> snow::Builder<'a> {
    snow::Builder::new(PATTERN.parse().expect("the pattern is one that snow knows"))
        .psk(PSK_POSITION, key.as_bytes())
        .and_then(|builder| builder.prologue(prologue))
        .expect("key and prologue are set once")
}

impl Sealer {
    /// Makes `record` a record in place: room for the header, 1 to [`RECORD_PLAIN_MAX`] plain bytes, room for
    /// the tag.
    ///
    /// # Errors
    /// The key is used up.
    ///
    /// # Panics
    /// `record` is too short or too long.
    pub fn seal(&mut self, record: &mut [u8]) -> Result<(), WireError> {
        let (header, sealed) = record.split_at_mut(RECORD_HEADER_LEN);
        let len = u16::try_from(sealed.len()).expect("a record is at most 65,535 bytes");
        header.copy_from_slice(&len.to_be_bytes());
        let (plain, tag) = sealed.split_at_mut(sealed.len() - RECORD_TAG_LEN);
        let nonce = self.0.next_nonce()?;
        tag.copy_from_slice(&self.0.cipher.seal(nonce, plain));
        Ok(())
    }
}

impl Sealer {
    /// Whether only the last records are left: time for last words, and for a new link.
    #[must_use]
    pub const fn is_worn(&self) -> bool {
        self.0.next + LAST_RECORDS >= RECORDS_PER_KEY_MAX
    }
}

impl Opener {
    /// Opens the sealed bytes of one record (without its header) in place and returns the plain ones.
    ///
    /// # Errors
    /// The bytes are not what the other side sealed as its next record, or the key is used up.
    pub fn open<'a>(&mut self, sealed: &'a mut [u8]) -> Result<&'a mut [u8], WireError> {
        let nonce = self.0.next_nonce()?;
        self.0.cipher.open(nonce, sealed).map_err(|_| WireError::Seal)
    }

    /// Opens the sealed bytes of one record (without its header) into `plain`, which is as long as they are
    /// less the tag. It may spare the bytes a further copy.
    ///
    /// # Errors
    /// As of [`Opener::open`]; what is in `plain` then means nothing.
    ///
    /// # Panics
    /// `plain` has another length.
    pub fn open_into(&mut self, sealed: &mut [u8], plain: &mut [u8]) -> Result<(), WireError> {
        assert_eq!(sealed.len(), plain.len() + RECORD_TAG_LEN, "a record is opened into exactly its room");
        let nonce = self.0.next_nonce()?;
        self.0.cipher.open_into(nonce, sealed, plain).map_err(|_| WireError::Seal)
    }
}

/// The length of the sealed bytes that follow this header.
///
/// # Errors
/// No record has that length: it would be empty.
pub fn record_len(header: [u8; RECORD_HEADER_LEN]) -> Result<usize, WireError> {
    let len = u16::from_be_bytes(header);
    if usize::from(len) <= RECORD_TAG_LEN { Err(WireError::RecordLen(len)) } else { Ok(usize::from(len)) }
}

/// The key of one direction and the number of its next record.
#[derive(Debug)]
struct Direction {
    cipher: Cipher,
    /// Invariant: greater than the number of every record sealed or opened so far.
    next: u64,
}

impl Direction {
    fn new(key: &[u8; KEY_LEN]) -> Direction {
        Direction { cipher: Cipher::new(key), next: 0 }
    }

    /// The nonce of the next record: 32 zero bits, then its number, big endian (Noise, section 12.4).
    fn next_nonce(&mut self) -> Result<Nonce, WireError> {
        if self.next >= RECORDS_PER_KEY_MAX {
            return Err(WireError::KeyUsedUp);
        }
        let mut nonce = [0; NONCE_LEN];
        nonce[4..].copy_from_slice(&self.next.to_be_bytes());
        self.next += 1;
        Ok(nonce)
    }
}

const _: () =
    assert!(RECORD_PLAIN_MAX + RECORD_TAG_LEN == RECORD_LEN_MAX && RECORD_LEN_MAX == u16::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: LinkKey = LinkKey::from_bytes([3; 32]);

    fn link() -> ((Sealer, Opener), (Sealer, Opener)) {
        let (initiator, message) = Initiator::start(&KEY, b"prologue");
        let (sealer, opener, answer) = respond(&KEY, b"prologue", &message).unwrap();
        (initiator.finish(&answer).unwrap(), (sealer, opener))
    }

    fn record(plain: &[u8]) -> Vec<u8> {
        [&[0; RECORD_HEADER_LEN], plain, &[0; RECORD_TAG_LEN]].concat()
    }

    #[test]
    fn both_directions_carry_records() {
        let ((mut from_a, mut to_a), (mut from_b, mut to_b)) = link();
        for text in [b"first".as_slice(), b"second", &[7; RECORD_PLAIN_MAX]] {
            for (sealer, opener) in [(&mut from_a, &mut to_b), (&mut from_b, &mut to_a)] {
                let mut bytes = record(text);
                sealer.seal(&mut bytes).unwrap();
                assert_eq!(record_len([bytes[0], bytes[1]]), Ok(bytes.len() - RECORD_HEADER_LEN));
                assert_eq!(opener.open(&mut bytes[RECORD_HEADER_LEN..]).unwrap(), text);
            }
        }
    }

    #[test]
    fn replayed_reordered_changed_or_truncated_records_are_refused() {
        let ((mut from_a, _), (_, mut to_b)) = link();
        let mut sealed: Vec<Vec<u8>> = Vec::new();
        for text in ["one", "two", "three", "four"] {
            let mut bytes = record(text.as_bytes());
            from_a.seal(&mut bytes).unwrap();
            sealed.push(bytes[RECORD_HEADER_LEN..].to_vec());
        }
        assert!(to_b.open(&mut sealed[0].clone()).is_ok());
        assert_eq!(to_b.open(&mut sealed[0].clone()), Err(WireError::Seal), "a replay");
        let ((mut from_a, _), (_, mut to_b)) = link();
        let mut bytes = record(b"one");
        from_a.seal(&mut bytes).unwrap();
        bytes[RECORD_HEADER_LEN] ^= 1;
        assert_eq!(to_b.open(&mut bytes[RECORD_HEADER_LEN..]), Err(WireError::Seal), "a flipped bit");
        let ((mut from_a, _), (_, mut to_b)) = link();
        let mut bytes = record(b"one");
        from_a.seal(&mut bytes).unwrap();
        let end = bytes.len() - 1;
        assert_eq!(to_b.open(&mut bytes[RECORD_HEADER_LEN..end]), Err(WireError::Seal), "a cut");
    }

    #[test]
    fn another_key_or_prologue_is_refused() {
        let (_, message) = Initiator::start(&KEY, b"prologue");
        assert!(respond(&LinkKey::from_bytes([4; 32]), b"prologue", &message).is_err());
        assert!(respond(&KEY, b"another", &message).is_err());
        let (initiator, _) = Initiator::start(&KEY, b"prologue");
        let (_, _, answer) = respond(&KEY, b"prologue", &message).unwrap();
        assert!(initiator.finish(&answer).is_err(), "an answer to somebody else's message");
    }

    #[test]
    fn a_caller_sees_the_key_of_who_answers() {
        let key = ConductorKey::from_bytes([5; 32]);
        let (caller, message) = Caller::start(b"prologue");
        let (mut sealer, mut opener, answer) = key.answer(b"prologue", &message).unwrap();
        let mut called = caller.finish(&answer).unwrap();
        assert_eq!(called.key, key.public());
        assert_ne!(called.key, ConductorKey::from_bytes([6; 32]).public());
        let mut bytes = record(b"asked");
        called.sealer.seal(&mut bytes).unwrap();
        assert_eq!(opener.open(&mut bytes[RECORD_HEADER_LEN..]).unwrap(), b"asked");
        let mut bytes = record(b"answered");
        sealer.seal(&mut bytes).unwrap();
        assert_eq!(called.opener.open(&mut bytes[RECORD_HEADER_LEN..]).unwrap(), b"answered");
        assert_eq!(format!("{key:?}"), "ConductorKey(..)");
    }

    #[test]
    fn an_answer_that_was_changed_or_is_for_somebody_else_is_refused() {
        let key = ConductorKey::from_bytes([5; 32]);
        for at in [0, 31, 32, 63, 79, 80, CALL_ANSWER_LEN - 1] {
            let (caller, message) = Caller::start(b"prologue");
            let (.., mut answer) = key.answer(b"prologue", &message).unwrap();
            answer[at] ^= 1;
            assert!(caller.finish(&answer).is_err(), "byte {at}");
        }
        let (caller, message) = Caller::start(b"prologue");
        let (.., answer) = key.answer(b"another", &message).unwrap();
        assert!(caller.finish(&answer).is_err(), "another prologue");
        let (caller, _) = Caller::start(b"prologue");
        let (.., answer) = key.answer(b"prologue", &message).unwrap();
        assert!(caller.finish(&answer).is_err(), "an answer to somebody else's message");
    }

    #[test]
    fn a_key_wears_out_before_it_is_used_up() {
        let ((mut sealer, _), _) = link();
        assert!(!sealer.is_worn());
        sealer.0.next = RECORDS_PER_KEY_MAX - LAST_RECORDS;
        assert!(sealer.is_worn() && sealer.seal(&mut record(b"last words")).is_ok());
        sealer.0.next = RECORDS_PER_KEY_MAX;
        assert_eq!(sealer.seal(&mut record(b"one more")), Err(WireError::KeyUsedUp));
    }

    #[test]
    fn empty_records_do_not_exist() {
        assert_eq!(record_len([0, 16]), Err(WireError::RecordLen(16)));
        assert_eq!(record_len([0, 17]), Ok(17));
    }

    /// Our records are Noise transport messages: `snow` opens ours and we open snow's.
    #[test]
    fn agrees_with_snow() {
        let mut initiator = builder(&KEY, b"p").build_initiator().unwrap();
        let mut message = [0; HANDSHAKE_LEN];
        initiator.write_message(&[], &mut message).unwrap();
        let (mut sealer, mut opener, answer) = respond(&KEY, b"p", &message).unwrap();
        initiator.read_message(&answer, &mut [0; HANDSHAKE_LEN]).unwrap();
        let snow = initiator.into_stateless_transport_mode().unwrap();
        for number in 0..3 {
            let mut bytes = record(b"to snow");
            sealer.seal(&mut bytes).unwrap();
            let mut plain = [0; 64];
            let len = snow.read_message(number, &bytes[RECORD_HEADER_LEN..], &mut plain).unwrap();
            assert_eq!(&plain[..len], b"to snow");

            let mut sealed = [0; 64];
            let len = snow.write_message(number, b"from snow", &mut sealed).unwrap();
            assert_eq!(opener.open(&mut sealed[..len]).unwrap(), b"from snow");
        }
    }
}
