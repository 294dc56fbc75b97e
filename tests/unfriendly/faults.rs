//! What the protocol does not allow ends the link, and nothing else.

use std::fs;

use orchestra::entry::{Content, ContentHash, Device};
use orchestra::limits::{CHUNK_LEN_MAX, FETCH_SLICES_MAX, LISTS_OWED_MAX, SLICES_OWED_MAX};
use orchestra::wire::ensemble::{ChunkPage, Describe, Entries, Having, Message, Packed, Slice};

use crate::home::{Home, name_of, noise};
use crate::peer::{Peer, frame};

const NOBODYS: ContentHash = ContentHash::from_bytes([9; 32]);

#[test]
fn what_the_protocol_does_not_allow_ends_the_link() {
    let home = Home::with(&[("kept", b"kept")]);
    let mut early = Peer::dial(home.address());
    early.say(&Message::Alive).unwrap();
    early.is_ended();

    let peer = Peer::dial(home.address());
    let device = peer.device;
    let entries = |rows| Message::Entries(Entries { device: peer.device, rows, through: 9, more: false });
    let path = |text: &[u8; 3]| {
        let mut bytes = frame(&entries(vec![peer.row(1, "a/b", Content::Folder)]));
        let at = bytes.windows(3).position(|three| three == b"a/b").unwrap();
        bytes[at..at + 3].copy_from_slice(text);
        bytes
    };
    let slice = Slice { content: NOBODYS, offset: 0, len: 1 };
    let others = Entries { device: Device::from_bits(1), rows: Vec::new(), through: 0, more: false };
    let page = ChunkPage { content: NOBODYS, total: 0, from: 0, pieces: Vec::new() };
    let having = |runs| frame(&Message::Having(Having { content: NOBODYS, runs }));
    for (what, bytes) in [
        ("a second hello", frame(&peer.hello())),
        ("entries of another device", frame(&Message::Entries(others))),
        ("a path that leaves", path(b"../")),
        ("a path from the root", path(b"/ab")),
        ("a name that is a folder", path(b"a/.")),
        ("a name with a NUL", path(b"a/\0")),
        ("entries out of order", {
            frame(&entries(vec![peer.row(2, "a", Content::Folder), peer.row(1, "b", Content::Folder)]))
        }),
        ("entries beyond what is told", frame(&entries(vec![peer.row(10, "a", Content::Folder)]))),
        ("an empty link", frame(&entries(vec![peer.row(1, "a", Content::Link(String::new()))]))),
        ("bytes that nobody asked for", frame(&Message::Bytes(Packed::Plain))),
        ("the lack of what nobody asked for", frame(&Message::Lacking)),
        ("a list that nobody asked for", frame(&Message::Chunks(page))),
        ("no slices", frame(&Message::Fetch(Vec::new()))),
        ("too many slices", frame(&Message::Fetch(vec![slice; FETCH_SLICES_MAX + 1]))),
        ("a slice beyond all files", frame(&Message::Fetch(vec![Slice { offset: u64::MAX, ..slice }]))),
        ("a run of none", having(vec![(1, 0)])),
        ("runs over each other", having(vec![(0, 9), (8, 1)])),
        ("a run without end", having(vec![(u32::MAX, 2)])),
        ("an unknown kind", vec![1, 0, 0, 0, 13]),
        ("a frame without an end", vec![0xff, 0xff, 0xff, 0xff, 2]),
        ("a frame of nothing", vec![0, 0, 0, 0, 2]),
    ] {
        let mut peer = Peer::dial(home.address());
        let hello = peer.hello_as(device);
        peer.say(&hello).unwrap();
        peer.put(&bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
        peer.is_ended();
    }
    home.is_well();
    assert_eq!(home.files(), ["from here", "from there", "kept"]);
}

/// A symbolic link is carried as a text, and what is said to be in it goes nowhere.
#[test]
fn a_link_leads_nowhere() {
    let home = Home::with(&[]);
    let mut peer = Peer::met(&home);
    let content = name_of(b"evil");
    let outside = home.outside().to_str().unwrap().to_owned();
    peer.tell(vec![
        peer.row(1, "out", Content::Link(outside)),
        peer.file(2, "out/evil", 4, content),
        peer.row(3, "up", Content::Link("../outside".to_owned())),
        peer.row(4, "up/evil", Content::Folder),
        peer.file(5, "fair", 4, content),
    ]);
    let slices = peer.asked();
    slices.iter().for_each(|_| peer.give(b"evil"));
    home.gets("fair", b"evil");
    crate::home::until("the link is there", || home.path("out").is_symlink());
    home.is_well();
    assert!(fs::read_link(home.path("up")).is_ok_and(|text| text.as_os_str() == "../outside"));
}

/// A folder that becomes a symbolic link while what belongs into it is on its way.
#[test]
fn a_link_that_takes_the_place_of_a_folder_leads_nowhere() {
    let home = Home::with(&[("d/kept", b"kept")]);
    let mut peer = Peer::met(&home);
    let bytes = noise(5_000, 1);
    peer.tell(vec![peer.row(1, "d", Content::Folder), peer.file(2, "d/evil", 5_000, name_of(&bytes))]);
    let slices = peer.asked();
    assert_eq!(slices.len(), 1);
    fs::rename(home.path("d"), home.path("e")).unwrap();
    std::os::unix::fs::symlink(home.outside(), home.path("d")).unwrap();
    peer.give(&bytes);
    home.is_well();
    assert!(home.has("e/kept", b"kept"));
}

#[test]
fn who_asks_for_more_than_may_be_owed_is_shown_out() {
    let bytes = noise(100_000, 2);
    let home = Home::slow(&[("a", &bytes)], 4_096);
    let slice = Slice { content: name_of(&bytes), offset: 0, len: 100_000 };
    let mut greedy = Peer::met(&home);
    for _ in 0..=SLICES_OWED_MAX / FETCH_SLICES_MAX {
        greedy.say(&Message::Fetch(vec![slice; FETCH_SLICES_MAX])).unwrap();
    }
    greedy.is_ended();

    let mut curious = Peer::met(&home);
    curious.say(&Message::Fetch(vec![slice])).unwrap();
    // While these bytes go out slowly nothing else does.
    while !matches!(curious.hear().unwrap(), Message::Bytes(_)) {}
    let describe = Message::Describe(Describe { content: NOBODYS, base: None, from: 0 });
    for _ in 0..=LISTS_OWED_MAX {
        curious.say(&describe).unwrap();
    }
    curious.is_ended();
    home.is_well();
}

/// What is not there, or not any more, is answered, and in its order.
#[test]
fn what_is_not_there_is_lacking() {
    let bytes = noise(100_000, 3);
    let home = Home::with(&[("a", &bytes), ("b", b"other")]);
    let mut peer = Peer::met(&home);
    let slice = |content, offset, len| Slice { content, offset, len };
    let (a, b) = (name_of(&bytes), name_of(b"other"));
    let longest = u32::try_from(CHUNK_LEN_MAX).unwrap();
    peer.say(&Message::Fetch(vec![
        slice(a, 0, 100_000),
        slice(a, 1, 100_000),
        slice(a, 100_000, 1),
        slice(a, (1 << 42) - 1, 1),
        slice(b, 0, longest),
        slice(NOBODYS, 0, 5),
        slice(b, 1, 3),
        slice(a, 99_999, 1),
        slice(a, 5, 0),
    ]))
    .unwrap();
    assert!(peer.answer(100_000).unwrap() == bytes);
    for _ in 0..5 {
        assert_eq!(peer.answer(0), None);
    }
    assert_eq!(peer.answer(3).unwrap(), b"the");
    assert_eq!(peer.answer(1).unwrap(), bytes[99_999..]);
    assert_eq!(peer.answer(0), Some(Vec::new()));

    // Changed without the member's knowledge, or gone.
    home.write("a", b"changed");
    fs::remove_file(home.path("b")).unwrap();
    peer.say(&Message::Fetch(vec![slice(a, 0, 100_000), slice(b, 0, 5)])).unwrap();
    assert_eq!((peer.answer(100_000), peer.answer(5)), (None, None));

    let page = |peer: &mut Peer| loop {
        if let Message::Chunks(page) = peer.hear().unwrap() {
            return page;
        }
    };
    for (content, from) in [(NOBODYS, 0), (NOBODYS, u32::MAX), (b, 3)] {
        peer.say(&Message::Describe(Describe { content, base: Some(NOBODYS), from })).unwrap();
        let page = page(&mut peer);
        assert_eq!((page.content, page.total, page.from, page.pieces), (content, 0, from, Vec::new()));
    }
    home.is_well();
}
