//! What members of an ensemble say to each other, and pages of lists that lie.

use orchestra::entry::{Chunk, ContentHash};
use orchestra::limits::{CHUNK_LEN_MAX, FETCH_SLICES_MAX, HAVE_RUNS_MAX};
use orchestra::logic::sync::difference;
use orchestra::logic::sync::exchange::Exchange;
use orchestra::wire::ensemble::{Decoder, Message, Piece};

use super::script::Script;

/// The most chunks of a list that is made here.
const LIST_MAX: usize = 48;
/// The most pieces of a page that is made here.
const PIECES_MAX: usize = 32;

/// Messages come out the same however the stream is cut, encode to what they were decoded from, and are within their
/// bounds; and a page of a list makes no chunks but those that it names.
///
/// The first byte says what the rest is.
pub fn ensemble(bytes: &[u8]) {
    match bytes.split_first() {
        Some((kind, script)) if kind % 4 == 3 => pages(&mut Script::new(script)),
        Some((_, stream)) => messages(stream),
        None => {}
    }
}

fn messages(bytes: &[u8]) {
    let whole = said(bytes, bytes.len());
    for step in [1, 3] {
        assert_eq!(said(bytes, step), whole, "cut every {step} bytes");
    }
    let mut exchange = Exchange::default();
    let (mut device, mut goes) = (None, true);
    for message in whole.0 {
        is_bounded(&message);
        let mut encoded = Vec::new();
        message.append_to(&mut encoded);
        let again = Decoder::default().next(&mut encoded.as_slice());
        assert_eq!(again.as_ref(), Ok(&Some(message.clone())));
        if !goes {
            continue;
        }
        goes = exchange.check(&message).is_ok();
        match (&message, goes) {
            (Message::Hello(hello), true) => assert_eq!(device.replace(hello.device), None, "one hello"),
            (Message::Entries(entries), true) => assert_eq!(device, Some(entries.device), "only of itself"),
            (message, true) => {
                assert!(device.is_some() || matches!(message, Message::Bye(_)), "hello comes first");
            }
            (_, false) => {}
        }
    }
}

fn is_bounded(message: &Message) {
    match message {
        Message::Entries(entries) => {
            let mut last = None;
            for row in &entries.rows {
                assert!(last < Some(row.sequence) && row.sequence <= entries.through);
                assert!(row.entry.known.has(row.entry.dot));
                assert!(!row.path.as_str().split('/').any(|name| matches!(name, "" | "." | "..")));
                assert!(!row.path.as_str().starts_with('/') && !row.path.as_str().contains('\0'));
                last = Some(row.sequence);
            }
        }
        Message::Fetch(slices) => {
            assert!(slices.len() <= FETCH_SLICES_MAX);
            assert!(slices.iter().all(|slice| slice.len as usize <= CHUNK_LEN_MAX));
        }
        Message::Having(having) => {
            assert!(having.runs.len() <= HAVE_RUNS_MAX);
            let mut end = 0;
            for &(first, count) in &having.runs {
                assert!(first >= end && count > 0);
                end = first.checked_add(count).expect("a run ends");
            }
        }
        _ => {}
    }
}

/// What is paged is put together again; a page that lies makes no more chunks than there may be, and only those that it
/// names or that are in the base.
fn pages(script: &mut Script<'_>) {
    let (base, list) = (list(script), list(script));
    let from = script.below(LIST_MAX).min(list.len());
    let honest = difference::Difference::new(list.clone(), base.clone()).page(from);
    let rest = list.len() - from;
    assert_eq!(difference::chunks(&honest, &base, rest).as_deref(), Some(&list[from..]));

    let count = script.below(PIECES_MAX);
    let pieces: Vec<Piece> = (0..count).map(|_| piece(script)).collect();
    let most = script.below(2 * LIST_MAX);
    let named: Option<Vec<Chunk>> = pieces.iter().try_fold(Vec::new(), |mut named, piece| {
        match *piece {
            Piece::New(chunk) => named.push(chunk),
            Piece::Old { first, count } => {
                let end = u64::from(first) + u64::from(count);
                let end = usize::try_from(end).ok().filter(|&end| end <= base.len())?;
                named.extend_from_slice(&base[first as usize..end]);
            }
        }
        Some(named)
    });
    let expected = named.filter(|named| named.len() <= most);
    assert_eq!(difference::chunks(&pieces, &base, most), expected);
}

/// Chunks of few kinds, so that some are equal; now and then of equal bytes and other lengths, which no honest list has.
fn list(script: &mut Script<'_>) -> Vec<Chunk> {
    let count = script.below(LIST_MAX);
    (0..count).map(|_| chunk(script)).collect()
}

fn chunk(script: &mut Script<'_>) -> Chunk {
    let byte = script.byte();
    Chunk { hash: ContentHash::from_bytes([byte % 16; 32]), len: 1 + u32::from(byte >> 6) }
}

fn piece(script: &mut Script<'_>) -> Piece {
    match script.byte() % 4 {
        0 => Piece::New(chunk(script)),
        1 => Piece::Old { first: u32::MAX - u32::from(script.byte()), count: u32::from(script.byte()) },
        2 => Piece::Old { first: u32::from(script.byte()), count: u32::MAX - u32::from(script.byte()) },
        _ => Piece::Old { first: u32::from(script.byte() % 64), count: u32::from(script.byte() % 16) },
    }
}

/// Everything that a stream says until its end or its first fault, taken in slices of `step` bytes.
fn said(bytes: &[u8], step: usize) -> (Vec<Message>, bool) {
    let (mut decoder, mut messages) = (Decoder::default(), Vec::new());
    for mut input in bytes.chunks(step.max(1)) {
        loop {
            match decoder.next(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return (messages, false),
            }
        }
    }
    (messages, true)
}
