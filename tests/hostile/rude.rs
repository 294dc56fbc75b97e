//! Holders of the key who break the order of messages.

use std::io::Write;

use orchestra::limits::{HAVE_RUNS_MAX, LINKS_DIALLED_MIN, RECORD_LEN_MAX, ROSTER_MAX};
use orchestra::wire::frame;
use orchestra::wire::member::{Denial, Have, Hello, Message, Reason};

use crate::peer::{Peer, id, listen, span};
use crate::program::{World, members};

const PARTS: u32 = 64;

fn world() -> World {
    World::new(PARTS as usize * 65_536, 65_536)
}

fn hello() -> Message {
    // Another one each time: the links of one member are limited.
    Message::Hello(Hello { member: id(fastrand::u8(1..)), port: 0, abilities: u64::MAX })
}

fn nothing() -> Message {
    Message::Have(Have::Runs(vec![]))
}

fn bytes_of(messages: &[Message]) -> Vec<u8> {
    let mut bytes = Vec::new();
    messages.iter().for_each(|message| message.append_to(&mut bytes));
    bytes
}

/// Everything that ends a link at once, as the plain bytes of a stream.
fn rudeness() -> Vec<(String, Vec<u8>)> {
    let open = |message: Message| bytes_of(&[hello(), nothing(), message]);
    let mut all = vec![
        ("a set before hello".to_owned(), bytes_of(&[nothing()])),
        ("a want before hello".to_owned(), bytes_of(&[Message::Want(span(0, 1))])),
        ("a want before the set".to_owned(), bytes_of(&[hello(), Message::Want(span(0, 1))])),
        ("a second hello".to_owned(), bytes_of(&[hello(), hello()])),
        ("a late second hello".to_owned(), open(hello())),
        ("a second set".to_owned(), open(Message::Have(Have::Bits(vec![0; 8])))),
        ("a short set".to_owned(), bytes_of(&[hello(), Message::Have(Have::Bits(vec![0; 7]))])),
        ("a long set".to_owned(), bytes_of(&[hello(), Message::Have(Have::Bits(vec![0; 9]))])),
        (
            "overlapping runs".to_owned(),
            bytes_of(&[hello(), Message::Have(Have::Runs(vec![span(0, 2), span(1, 1)]))]),
        ),
        (
            "a roster too long".to_owned(),
            open(Message::Roster(vec!["10.0.0.1:1".parse().unwrap(); ROSTER_MAX + 1])),
        ),
        ("runs too many".to_owned(), open(Message::Have(Have::Runs(vec![span(0, 1); HAVE_RUNS_MAX + 1])))),
        (
            "the same parts again and again".to_owned(),
            open(Message::Have(Have::Runs(vec![span(0, PARTS); HAVE_RUNS_MAX]))),
        ),
        ("a refusal of what was not asked".to_owned(), open(Message::Refuse(span(0, 1), Denial::NotHeld))),
        ("parts that were not asked for".to_owned(), open(Message::Parts(span(0, PARTS)))),
    ];
    let refuse = |span| Message::Refuse(span, Denial::Elsewhere);
    for message in [Message::Want, Message::Parts, refuse, Message::Cancel] {
        for (first, count) in
            [(PARTS, 1), (0, PARTS + 1), (0, 0), (u32::MAX, 1), (1, u32::MAX), (u32::MAX, u32::MAX)]
        {
            let message = message(span(first, count));
            all.push((format!("{message:?}"), open(message)));
        }
    }
    for kind in (0..=9).chain([255]) {
        let giant = [u32::MAX.to_le_bytes().as_slice(), &[kind]].concat();
        all.push((
            format!("a giant of kind {kind}"),
            [bytes_of(&[hello(), nothing()]), giant.clone()].concat(),
        ));
        all.push((format!("a giant of kind {kind} first"), giant));
        let mut hollow = bytes_of(&[hello(), nothing()]);
        frame::append(&mut hollow, |out| out.extend_from_slice(&[kind, 0xff, 0xff]));
        all.push((format!("a malformed body of kind {kind}"), hollow));
    }
    all.push(("an empty frame".to_owned(), [bytes_of(&[hello(), nothing()]), vec![0; 5]].concat()));
    all
}

#[test]
fn whoever_breaks_the_protocol_is_cut_off() {
    let world = world();
    let source = world.source(&["--up".into(), "8M".into()]);
    let mut getter = world.getter("getter", &members([source.address]));
    let all = rudeness();
    for (before, (what, bytes)) in all.iter().enumerate() {
        // One more than a member takes from one host would be refused before it is heard.
        source.logs("the other side broke the protocol", before.saturating_sub(LINKS_DIALLED_MIN));
        let mut peer = Peer::dial(source.address, &world.manifest);
        // The rest of it may meet a closed connection.
        drop(peer.put(bytes));
        assert!(!matches!(peer.is_ended(), Some(Message::Bye(Reason::Complete))), "{what}");
    }
    getter.completes(&world);
    source.is_left_alone();
    source.logs("the other side broke the protocol", all.len());
    getter.ends();
    source.ends();
}

#[test]
fn an_overrun_window_is_a_fault() {
    let world = world();
    let source = world.source(&["--up".into(), "1M".into()]);
    let mut peer = Peer::dial(source.address, &world.manifest);
    peer.put(&bytes_of(&[vec![hello(), nothing()], vec![Message::Want(span(0, PARTS)); 10]].concat()))
        .unwrap();
    source.logs("more was asked for than the window allows", 1);
    source.is_left_alone();
    source.ends();
}

#[test]
fn bits_beyond_the_last_part_are_a_fault() {
    let world = World::new(60 * 16_384, 16_384);
    let source = world.source(&[]);
    let mut peer = Peer::dial(source.address, &world.manifest);
    let bits = Have::Bits(vec![0, 0, 0, 0, 0, 0, 0, 0b0001_0000]);
    peer.put(&bytes_of(&[hello(), Message::Have(bits)])).unwrap();
    peer.is_ended();
    source.logs("does not fit the composition", 1);
    source.is_left_alone();
    source.ends();
}

/// The same rules hold for those whom the member dials.
#[test]
fn whoever_is_dialled_keeps_the_rules_as_well() {
    let world = world();
    let source = world.source(&[]);
    let all: Vec<_> = rudeness().into_iter().step_by(9).collect();
    let listeners: Vec<_> = all.iter().map(|_| listen()).collect();
    let addresses = listeners.iter().map(|&(_, address)| address);
    let mut getter = world.getter("getter", &members(addresses.chain([source.address])));
    for ((what, bytes), (listener, _)) in all.iter().zip(listeners) {
        let mut peer = Peer::accept(&listener, &world.manifest);
        drop(listener);
        drop(peer.put(bytes));
        peer.is_ended();
        assert!(!what.is_empty());
    }
    getter.completes(&world);
    getter.is_left_alone();
    getter.ends();
    source.ends();
}

#[test]
fn changed_records_end_the_link() {
    let world = world();
    let source = world.source(&[]);
    let dial = || {
        let mut peer = Peer::dial(source.address, &world.manifest).opened(1, 0, Have::Runs(vec![]));
        peer.is_welcome();
        peer
    };
    for bit in [2, 10, 24] {
        let mut peer = dial();
        let mut record = peer.record(&bytes_of(&[Message::Cancel(span(0, 1))]));
        record[bit] ^= 4;
        peer.stream.write_all(&record).unwrap();
        peer.is_ended();
    }
    source.logs("the seal is broken", 3);
    // Twice, in another order, and too short to hold a seal.
    let mut peer = dial();
    let record = peer.record(&bytes_of(&[Message::Cancel(span(0, 1))]));
    peer.stream.write_all(&[record.as_slice(), &record].concat()).unwrap();
    peer.is_ended();
    let mut peer = dial();
    let [first, second] = [1, 2].map(|part| peer.record(&bytes_of(&[Message::Cancel(span(part, 1))])));
    peer.stream.write_all(&[second, first].concat()).unwrap();
    peer.is_ended();
    source.logs("the seal is broken", 5);
    let mut peer = dial();
    peer.stream.write_all(&[0, 16, 1, 2, 3]).unwrap();
    peer.is_ended();
    source.logs("does not exist", 1);
    // The longest record that can be announced never comes; the end of the stream ends it.
    let mut peer = dial();
    let longest = u16::try_from(RECORD_LEN_MAX).unwrap().to_be_bytes();
    peer.stream.write_all(&[longest.as_slice(), &[7; 100]].concat()).unwrap();
    peer.shut();
    source.is_left_alone();
    source.ends();
}

#[test]
fn ends_at_odd_moments_are_just_ends() {
    let world = world();
    let source = world.source(&["--up".into(), "8M".into()]);
    let mut getter = world.getter("getter", &members([source.address]));
    let all = bytes_of(&[hello(), nothing(), Message::Want(span(0, 16)), Message::Parts(span(0, 2))]);
    for cut in (0..all.len()).chain([all.len()]) {
        let mut peer = Peer::dial(source.address, &world.manifest);
        peer.put(&all[..cut]).unwrap();
        if cut % 2 == 0 {
            peer.reset();
        } else {
            let record = peer.record(&[7; 1_000]);
            peer.stream.write_all(&record[..cut * 10]).unwrap();
            peer.shut();
        }
    }
    for reason in [Reason::Leaving, Reason::Complete, Reason::Fault, Reason::Renew, Reason::Oneself] {
        for before in [vec![], vec![hello()], vec![hello(), nothing()]] {
            let mut peer = Peer::dial(source.address, &world.manifest);
            let bye = [Message::Bye(reason), Message::Want(span(0, 1)), hello()];
            peer.put(&bytes_of(&[before, bye.to_vec()].concat())).unwrap();
            peer.is_ended();
        }
    }
    getter.completes(&world);
    source.is_left_alone();
    getter.ends();
    source.ends();
}
