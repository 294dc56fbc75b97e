//! Much of what is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};

use orchestra::entry::{Content, ContentHash, Device};
use orchestra::limits::{
    HAVE_RUNS_MAX, LINKS_DIALLED_MIN, LINKS_MAX, LINKS_PER_MEMBER_MAX, ROSTER_MAX, ROSTER_NEWS_MAX,
};
use orchestra::wire::ensemble::{Entries, Follow, Having, Message, State};

use crate::home::{Home, name_of, noise, until};
use crate::peer::Peer;
use crate::strangers::connect_from;

/// Paths of which nobody ever sends the content, or even the folder that they are in.
#[test]
fn a_flood_of_entries_that_never_come_true() {
    let home = Home::with(&[("kept", b"kept")]);
    let mut peer = Peer::met(&home);
    for page in 0..100_u64 {
        let rows: Vec<_> = (1..=300)
            .map(|at| {
                let sequence = page * 300 + at;
                let hash = ContentHash::of(&sequence.to_le_bytes());
                match sequence % 3 {
                    0 => peer.file(sequence, &format!("never {sequence}"), 1_000, hash),
                    1 => peer.file(sequence, &format!("nowhere/{sequence}"), 1 << 41, hash),
                    _ => peer.row(sequence, &format!("gone {sequence}"), Content::Gone),
                }
            })
            .collect();
        let through = (page + 1) * 300;
        let entries = Entries { device: peer.device, rows, through, more: page < 99 };
        peer.say(&Message::Entries(entries)).unwrap();
    }
    // It asks for what there should be.
    assert!(!peer.asked().is_empty());
    drop(peer);
    home.is_well();
    assert!(home.has("kept", b"kept"));
}

/// What nobody had is asked of whoever tells that it has it, wherever that is.
#[test]
fn what_was_asked_in_vain_is_asked_of_the_next_one() {
    let home = Home::with(&[]);
    let bytes = noise(40_000, 5);
    let hash = name_of(&bytes);
    let (mut first, mut second) = (Peer::met(&home), Peer::met(&home));
    first.tell(vec![first.file(1, "x", bytes.len(), hash)]);
    assert_eq!(first.asked().len(), 1);
    first.say(&Message::Lacking).unwrap();
    first.what_follows();
    second.tell(vec![second.file(1, "d/y", bytes.len(), hash), second.row(2, "d", Content::Folder)]);
    assert_eq!(second.asked().len(), 1);
    second.give(&bytes);
    home.gets("x", &bytes);
    home.gets("d/y", &bytes);
    home.is_well();
}

#[test]
fn floods_of_words_hurt_nobody() {
    let bytes = noise(50_000, 4);
    let home = Home::with(&[("a", &bytes)]);
    let mut peer = Peer::met(&home);
    let mut number = 0_u32;
    let mut nonsense = || {
        number += 1;
        let last = u8::try_from(number % 250).unwrap();
        let next = u8::try_from(number / 250 % 250).unwrap();
        // Addresses for documentation (RFC 5737), where nobody is, and such as nobody can have.
        let hosts = [[203, 0, 113, last], [0, 0, 0, 0], [255; 4], [224, 0, next, last], [198, 51, 100, last]];
        SocketAddr::from((hosts[number as usize % 5], if last == 7 { 0 } else { 1 + u16::from(next) }))
    };
    let runs: Vec<(u32, u32)> = (0..u32::try_from(HAVE_RUNS_MAX).unwrap()).map(|at| (2 * at, 1)).collect();
    for round in 0..300_u64 {
        let roster = std::iter::repeat_with(&mut nonsense).take(ROSTER_MAX).collect();
        peer.say(&Message::Roster(roster)).unwrap();
        let content = ContentHash::of(&round.to_le_bytes());
        peer.say(&Message::Having(Having { content, runs: runs.clone() })).unwrap();
        let state = State { heard: round, last: u64::MAX - round, behind: u64::MAX, busy: true };
        peer.say(&Message::State(state)).unwrap();
        peer.say(&Message::Follow(Follow { device: peer.device, after: round })).unwrap();
    }
    peer.say(&Message::State(State { heard: 0, last: 0, behind: 0, busy: false })).unwrap();
    home.is_well();
}

/// One holder of the key with very many links, under as many names: it gets no more than others leave, and they find room.
#[test]
fn who_has_many_links_keeps_nobody_out() {
    const ACCEPTED_MAX: usize = LINKS_MAX - LINKS_DIALLED_MIN;
    let home = Home::with(&[("a", b"a")]);
    let crowd: Vec<_> = (0..LINKS_MAX + 20).map(|_| Peer::knocks(connect_from(1, home.address()))).collect();
    assert_eq!(crowd.iter().filter(|(_, welcome)| *welcome).count(), ACCEPTED_MAX);
    // Those that were too many may be on their way out for a moment.
    until("it has as many as it takes", || home.members() == ACCEPTED_MAX);
    // Who comes from elsewhere takes the place of one of them.
    let (mut other, welcome) = Peer::knocks(connect_from(2, home.address()));
    assert!(welcome);
    // Whom the member dials itself has room beside them.
    let honest = Home::with(&[("honest", b"honest")]);
    other.say(&Message::Roster(vec![honest.address()])).unwrap();
    home.gets("honest", b"honest");
    until("both are told of", || home.members() == ACCEPTED_MAX + 1);
    drop((crowd, other));
    until("it noticed that they went", || home.members() == 1);
    drop(honest);
    home.is_well();
}

/// Every address that somebody tells of is dialled; one that tells of very many is not believed so much.
#[test]
fn who_tells_of_very_many_addresses_has_few_of_them_dialled() {
    let home = Home::with(&[]);
    let mut peer = Peer::met(&home);
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut addresses =
        (1..=250).flat_map(|net| [1, 2].map(|last| SocketAddr::from(([127, 1, net, last], port))));
    for _ in 0..500 / ROSTER_MAX {
        peer.say(&Message::Roster(addresses.by_ref().take(ROSTER_MAX).collect())).unwrap();
    }
    // What fails is dialled again only after all else was dialled.
    let mut dialled = BTreeSet::new();
    for stream in listener.incoming() {
        if !dialled.insert(stream.unwrap().local_addr().unwrap()) && dialled.len() >= ROSTER_NEWS_MAX as usize
        {
            break;
        }
    }
    assert_eq!(dialled.len(), ROSTER_NEWS_MAX as usize);
    // What it tells of again is known.
    drop(listener);
    home.is_well();
}

/// A device is at one place, and links that it lost are noticed.
#[test]
fn one_device_has_few_links() {
    let home = Home::with(&[]);
    let mut peers = Vec::new();
    let device = Device::from_bits(5);
    for _ in 0..LINKS_PER_MEMBER_MAX + 5 {
        let mut peer = Peer::dial(home.address());
        let hello = peer.hello_as(device);
        peer.say(&hello).unwrap();
        while !matches!(peer.hear(), Some(Message::Follow(_) | Message::Bye(_)) | None) {}
        peers.push(peer);
    }
    until("it has few of them", || home.members() == LINKS_PER_MEMBER_MAX);
    // Another one at the same host is another one.
    assert!(Peer::knocks(connect_from(1, home.address())).1);
    home.is_well();
}

/// Names and times that no file system has, or no terminal likes.
#[test]
fn absurd_entries_hurt_nobody() {
    let home = Home::with(&[]);
    let mut peer = Peer::met(&home);
    let contents: BTreeMap<ContentHash, String> =
        (0..6).map(|at| format!("evil {at}")).map(|text| (name_of(text.as_bytes()), text)).collect();
    let hashes: Vec<ContentHash> = (0..6).map(|at| name_of(format!("evil {at}").as_bytes())).collect();
    let mut rows = Vec::new();
    let attributes = [(i64::MIN, true), (i64::MAX, false), (-1, true), (0, false)];
    for (at, (mtime, executable)) in attributes.into_iter().enumerate() {
        let mut row = peer.file(1 + at as u64, &format!("time {at}"), 6, hashes[at]);
        (row.entry.attributes.mtime, row.entry.attributes.executable) = (mtime, executable);
        rows.push(row);
    }
    rows.push(peer.file(10, "\u{1b}[2J\u{202e}gpj", 6, hashes[4]));
    rows.push(peer.file(11, "-rf", 6, hashes[5]));
    rows.push(peer.row(12, &["x"; 1_500].join("/"), Content::Folder));
    rows.push(peer.row(13, "long", Content::Link("y".repeat(4_095))));
    rows.push(peer.row(14, "a\nb", Content::Folder));
    peer.tell(rows);
    let mut given = 0;
    while given < hashes.len() {
        for slice in peer.asked() {
            peer.give(contents[&slice.content].as_bytes());
            given += 1;
        }
    }
    home.gets("-rf", b"evil 5");
    home.gets("time 2", b"evil 2");
    home.is_well();
}
