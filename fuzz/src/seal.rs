//! The sealed stream against somebody on the way who changes, cuts, repeats and swaps what passes.

use std::cell::RefCell;

use orchestra::identity::LinkKey;
use orchestra::limits::RECORD_TAG_LEN;
use orchestra::wire::WireError;
use orchestra::wire::seal::{
    HANDSHAKE_LEN, Initiator, Opener, RECORD_HEADER_LEN, Sealer, record_len, respond,
};

use super::script::Script;

const KEY: LinkKey = LinkKey::from_bytes([3; 32]);
const PROLOGUE: &[u8] = b"prologue";
/// The most plain bytes in one record here.
const PLAIN_MAX: usize = 64;
/// The most records that one input seals.
const RECORDS_MAX: usize = 8;

/// A handshake costs far more than a record, so only one input in so many makes one.
const INPUTS_PER_HANDSHAKE: u8 = 16;

thread_local! {
    /// A link that many inputs use in turn: both ends always expect the same record.
    static LINK: RefCell<(Sealer, Opener)> = RefCell::new(link());
}

/// Nothing passes but what was sealed, unchanged, in its place.
pub fn seal(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    match script.byte() {
        kind if kind.is_multiple_of(INPUTS_PER_HANDSHAKE) => handshake(&mut script),
        _ => LINK.with_borrow_mut(|link| records(&mut script, link)),
    }
}

fn link() -> (Sealer, Opener) {
    let (initiator, hello) = Initiator::start(&KEY, PROLOGUE);
    let (_, opener, answer) = respond(&KEY, PROLOGUE, &hello).expect("it was not changed");
    let (sealer, _) = initiator.finish(&answer).expect("it was not changed");
    (sealer, opener)
}

/// A handshake whose messages are changed, made up, or made with another key or prologue.
fn handshake(script: &mut Script<'_>) {
    // A key of its own for each input: libFuzzer sees what the bytes of a tag are compared with, and forges one.
    let (_, drawn) = Initiator::start(&KEY, PROLOGUE);
    let own_key = LinkKey::from_bytes(*drawn.first_chunk().expect("a hello begins with a random key"));
    let (other_key, other_prologue) = (LinkKey::from_bytes([4; 32]), b"another" as &[u8]);
    let key = if script.byte() & 3 == 3 { &other_key } else { &own_key };
    let prologue = if script.byte() & 3 == 3 { other_prologue } else { PROLOGUE };
    let (initiator, mut hello) = Initiator::start(&own_key, PROLOGUE);
    let changed = change_handshake(script, &mut hello);
    let alike = key.as_bytes() == own_key.as_bytes() && prologue == PROLOGUE;
    let Ok((mut sealer, mut opener, mut answer)) = respond(key, prologue, &hello) else {
        assert!(changed || !alike, "an honest hello is answered");
        return;
    };
    assert!(!changed && alike, "a hello that is not ours was answered");
    let changed = change_handshake(script, &mut answer);
    let Ok((mut far_sealer, mut far_opener)) = initiator.finish(&answer) else {
        assert!(changed, "an honest answer is taken");
        return;
    };
    assert!(!changed, "an answer that was changed was taken");
    for (sealer, opener) in [(&mut sealer, &mut far_opener), (&mut far_sealer, &mut opener)] {
        let mut record = record_of(b"plain");
        sealer.seal(&mut record).expect("a new key seals");
        assert_eq!(opener.open(&mut record[RECORD_HEADER_LEN..]).as_deref(), Ok(b"plain".as_slice()));
    }
}

/// Whether the message was changed.
fn change_handshake(script: &mut Script<'_>, message: &mut [u8; HANDSHAKE_LEN]) -> bool {
    let before = *message;
    match script.byte() % 3 {
        1 => {
            let at = script.below(HANDSHAKE_LEN);
            message[at] ^= script.byte();
        }
        2 => {
            let made_up = script.bytes(HANDSHAKE_LEN);
            message[..made_up.len()].copy_from_slice(made_up);
        }
        _ => {}
    }
    *message != before
}

/// Records that arrive changed, cut, twice, not at all or in another order.
fn records(script: &mut Script<'_>, link: &mut (Sealer, Opener)) {
    if link.0.is_worn() {
        *link = self::link();
    }
    let (sealer, opener) = link;
    let mut sealed: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for _ in 0..=script.below(RECORDS_MAX) {
        let len = 1 + script.below(PLAIN_MAX);
        let mut plain = script.bytes(len).to_vec();
        plain.resize(len, 7);
        let mut record = record_of(&plain);
        sealer.seal(&mut record).expect("the key is not worn");
        sealed.push((plain, record));
    }
    // As many arrivals as records, so that both ends expect the same one afterwards.
    for place in 0..sealed.len() {
        let taken = match script.byte() {
            0 => script.below(sealed.len()),
            _ => place,
        };
        let (plain, honest) = &sealed[taken];
        let mut arrived = honest.clone();
        change_record(script, &mut arrived);
        let unchanged = arrived == *honest && taken == place;
        match arrived.split_first_chunk_mut() {
            Some((header, body)) => arrives(script, opener, *header, body, unchanged.then_some(plain)),
            // Nothing that could be opened came; the reader would wait for the rest.
            None => assert_eq!(opener.open(&mut []), Err(WireError::Seal)),
        }
    }
}

fn arrives(
    script: &mut Script<'_>,
    opener: &mut Opener,
    header: [u8; RECORD_HEADER_LEN],
    body: &mut [u8],
    expected: Option<&Vec<u8>>,
) {
    let len = usize::from(u16::from_be_bytes(header));
    assert_eq!(record_len(header).ok(), (len > RECORD_TAG_LEN).then_some(len));
    let in_place = body.len() <= RECORD_TAG_LEN || script.byte().is_multiple_of(2);
    let opened = if in_place {
        opener.open(body).map(|plain| plain.to_vec())
    } else {
        let mut plain = vec![0; body.len() - RECORD_TAG_LEN];
        opener.open_into(body, &mut plain).map(|()| plain)
    };
    match expected {
        Some(plain) => assert_eq!(opened.as_ref(), Ok(plain), "an honest record opens"),
        // A header that was changed is the reader's to notice: it then takes other bytes for the record.
        None if opened.is_ok() => assert_ne!(usize::from(u16::from_be_bytes(header)), body.len()),
        None => assert_eq!(opened, Err(WireError::Seal)),
    }
}

fn change_record(script: &mut Script<'_>, record: &mut Vec<u8>) {
    match script.byte() {
        1 => {
            let at = script.below(record.len());
            record[at] ^= script.byte();
        }
        2 => {
            let len = script.below(record.len());
            record.truncate(len);
        }
        3 => {
            let at = script.below(record.len());
            record.insert(at, script.byte());
        }
        4 => {
            let len = script.below(RECORD_HEADER_LEN + PLAIN_MAX + RECORD_TAG_LEN);
            *record = script.bytes(len).to_vec();
        }
        _ => {}
    }
}

/// Room for the header and the tag around these bytes.
fn record_of(plain: &[u8]) -> Vec<u8> {
    [&[0; RECORD_HEADER_LEN], plain, &[0; RECORD_TAG_LEN]].concat()
}
