//! Bytes as manifests, frames and messages, and messages in any order at one session.

use orchestra::limits::{HAVE_RUNS_MAX, ROSTER_MAX};
use orchestra::logic::session::{Owed, Reaction, Session};
use orchestra::manifest::Manifest;
use orchestra::part::{Layout, Run};
use orchestra::wire::WireError;
use orchestra::wire::frame::{Assembler, HEADER_LEN};
use orchestra::wire::member::{Decoder, Message};
use orchestra::wire::{codec, desk, dialogue};

use super::script::Script;

/// A manifest that is accepted is written as it is read.
pub fn manifest(bytes: &[u8]) {
    let Ok(manifest) = Manifest::parse(bytes) else { return };
    let text = manifest.render();
    let again = Manifest::parse(text.as_bytes()).expect("what we write we read");
    assert_eq!(again.render(), text);
    assert_eq!(again.swarm_id(), manifest.swarm_id());
    assert_eq!(manifest.part_digests().len(), manifest.layout().parts() as usize);
}

/// Frames come out as a reader would take them apart that has the whole stream before it, however it is cut.
///
/// The first byte says how many of the rest are the cuts.
pub fn frames(bytes: &[u8]) {
    let mut cuts = Script::new(bytes);
    let count = cuts.below(32);
    let (cuts, stream) = (cuts.bytes(count), bytes.get(1 + count..).unwrap_or_default());
    let (mut assembler, mut bodies, mut rest, mut fault) =
        (Assembler::new(body_max), Vec::new(), stream, None);
    for cut in cuts.iter().map(|&cut| usize::from(cut)).chain([stream.len()]) {
        let (mut head, tail) = rest.split_at(cut.min(rest.len()));
        while fault.is_none() {
            match assembler.next(&mut head) {
                Ok(Some((kind, body))) => {
                    assert_eq!(body.bytes().first(), Some(&kind));
                    bodies.push(body.bytes().to_vec());
                }
                Ok(None) => break,
                Err(error) => fault = Some(error),
            }
        }
        rest = tail;
    }
    assert_eq!((bodies, fault), taken_apart(stream));
}

/// Bodies of kind `k` may have `8 * k` bytes; kind 0 does not exist.
fn body_max(kind: u8) -> Option<usize> {
    (kind > 0).then_some(usize::from(kind) * 8)
}

/// The bodies in a whole stream, and the fault that ends it.
fn taken_apart(mut stream: &[u8]) -> (Vec<Vec<u8>>, Option<WireError>) {
    let mut bodies = Vec::new();
    while let Some((&header, body)) = stream.split_first_chunk::<HEADER_LEN>() {
        let Some(&kind) = body.first() else { break };
        let Some(max) = body_max(kind) else { return (bodies, Some(WireError::Kind(kind))) };
        let len = u32::from_le_bytes(header);
        if len == 0 || len as usize > max {
            return (bodies, Some(WireError::FrameLen { kind, len }));
        }
        let Some((body, rest)) = body.split_at_checked(len as usize) else { break };
        bodies.push(body.to_vec());
        stream = rest;
    }
    (bodies, None)
}

/// Messages come out the same however the stream is cut, and encode to what they were decoded from.
pub fn member_messages(bytes: &[u8]) {
    let whole = messages(bytes, bytes.len());
    for step in [1, 3] {
        assert_eq!(messages(bytes, step), whole, "cut every {step} bytes");
    }
    for message in whole.0 {
        let mut encoded = Vec::new();
        message.append_to(&mut encoded);
        let again = Decoder::default().next(&mut encoded.as_slice());
        assert_eq!(again, Ok(Some(message)));
    }
}

/// The same between members and conductors, in both directions.
pub fn desk_messages(bytes: &[u8]) {
    if let Some(first) = bytes.first_chunk() {
        assert_eq!(desk::parse_preamble(first).is_ok(), *first == desk::preamble());
    }
    let (mut requests, mut input) = (dialogue::Decoder::<desk::Request>::new(), bytes);
    while let Ok(Some(request)) = requests.next(&mut input) {
        let mut encoded = Vec::new();
        request.append_to(&mut encoded);
        assert_eq!(
            dialogue::Decoder::<desk::Request>::new().next(&mut encoded.as_slice()),
            Ok(Some(request))
        );
    }
    let (mut replies, mut input) = (dialogue::Decoder::<desk::Reply>::new(), bytes);
    while let Ok(Some(reply)) = replies.next(&mut input) {
        let mut encoded = Vec::new();
        reply.append_to(&mut encoded);
        assert_eq!(dialogue::Decoder::<desk::Reply>::new().next(&mut encoded.as_slice()), Ok(Some(reply)));
    }
}

/// Whatever a stream says, what a session lets through fits the composition.
///
/// The first byte chooses the composition; in the rest each message is a length byte and so many bytes of
/// body, so that most inputs reach the session.
pub fn session(bytes: &[u8]) {
    let Some((&choice, mut rest)) = bytes.split_first() else { return };
    let sizes =
        [(0, 1), (1, 1), (1_000_000, 1), (100 << 20, 1 << 20), (33 << 20, 16 << 20), (142_044, 16_384)];
    let (size, part_len) = sizes[usize::from(choice) % sizes.len()];
    let layout = Layout::new(size, part_len).expect("these are layouts");
    let mut session = Session::new(layout);
    let mut owed = Owed::default();
    let mut news = 0;
    while let Some((&len, after)) = rest.split_first() {
        let (body, after) = after.split_at(usize::from(len).min(after.len()));
        rest = after;
        let Some(message) = codec::decode::<Message>(body) else { continue };
        match session.on_message(message, owed) {
            Err(_) => return,
            Ok(Reaction::Serve(run)) => {
                fits(layout, run);
                owed.bytes += layout.bytes_of(run);
                owed.runs += 1;
                assert!(owed.bytes <= orchestra::logic::session::owed_bytes_max(layout));
            }
            Ok(Reaction::Withdraw(run) | Reaction::Receive(run) | Reaction::Refused(run, _)) => {
                fits(layout, run);
            }
            Ok(Reaction::HoldsAlso(runs)) => {
                assert!(runs.len() <= HAVE_RUNS_MAX);
                runs.iter().for_each(|&run| fits(layout, run));
                news += runs.iter().map(|run| run.count()).sum::<u32>();
                assert!(news <= layout.parts(), "every part is news once");
            }
            Ok(Reaction::Holds(set)) => assert_eq!(set.layout(), layout),
            Ok(Reaction::Roster(addresses)) => assert!(addresses.len() <= ROSTER_MAX),
            Ok(Reaction::Introduced(_) | Reaction::Ended(_)) => {}
        }
    }
}

fn fits(layout: Layout, run: Run) {
    assert!(run.count() > 0 && run.last().get() < layout.parts());
}

/// Everything that a stream says until its end or its first fault, taken in slices of `step` bytes.
fn messages(bytes: &[u8], step: usize) -> (Vec<Message>, bool) {
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
