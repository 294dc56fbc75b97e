//! What members of an ensemble say to each other, and what they derive from its key.

use orchestra::entry::{Attributes, Chunk, Content, ContentHash, Device, Dot, Entry, Known, TreePath};
use orchestra::identity::MemberId;
use orchestra::key::EnsembleKey;
use orchestra::wire::ensemble;

use crate::page::{blocks, derive, hex};

/// The key on the page.
pub(crate) fn key() -> EnsembleKey {
    EnsembleKey::from_bytes(std::array::from_fn(|at| u8::try_from(at).unwrap()))
}

pub(crate) fn hash(byte: u8) -> ContentHash {
    ContentHash::from_bytes([byte; 32])
}

fn row(sequence: u64, content: Content) -> ensemble::Row {
    let dot = Dot { device: Device::from_bits(7), counter: 9 };
    let attributes = Attributes { mtime: 0, executable: false };
    let entry = Entry { content, attributes, replaced: None, dot, known: Known::only(dot) };
    ensemble::Row { sequence, path: TreePath::parse("a/b").unwrap(), entry }
}

pub(crate) fn messages() -> Vec<(&'static str, ensemble::Message)> {
    use ensemble::{ChunkPage, Describe, Entries, Follow, Having, Hello, Message, Packed, Piece};
    use ensemble::{Reason, Slice, State};
    let (device, content) = (Device::from_bits(7), hash(5));
    let mut file = row(3, Content::File { size: 5, hash: content });
    file.entry.attributes = Attributes { mtime: -1, executable: true };
    file.entry.replaced = Some(hash(6));
    file.entry.known.insert(Dot { device: Device::from_bits(1), counter: 4 });
    let others = vec![row(4, Content::Gone), row(5, Content::Folder), row(6, Content::Link("..".to_owned()))];
    let told = |rows, through, more| Message::Entries(Entries { device, rows, through, more });
    let member = MemberId::from_bytes([0xaa; 16]);
    let label = "attic".to_owned();
    let pieces = vec![Piece::Old { first: 1, count: 2 }, Piece::New(Chunk { hash: content, len: 9 })];
    let page = |total, pieces| Message::Chunks(ChunkPage { content, total, from: 0, pieces });
    let describe = |base| Message::Describe(Describe { content, base, from: 1 });
    let roster = vec!["127.0.0.1:10001".parse().unwrap(), "[::1]:10002".parse().unwrap()];
    vec![
        ("hello", Message::Hello(Hello { member, device, port: 10_001, label, abilities: 0 })),
        ("follow", Message::Follow(Follow { device, after: 300 })),
        ("entries, a file", told(vec![file], 4, true)),
        ("entries, the others", told(others, 6, false)),
        ("entries, nothing", told(Vec::new(), 6, false)),
        ("state", Message::State(State { heard: 1, last: 2, behind: 3, busy: true })),
        ("describe", describe(None)),
        ("describe, with a base", describe(Some(hash(6)))),
        ("chunks", page(3, pieces)),
        ("chunks, lacking", page(0, Vec::new())),
        ("fetch", Message::Fetch(vec![Slice { content, offset: 1 << 40, len: 70_000 }])),
        ("bytes, plain", Message::Bytes(Packed::Plain)),
        ("bytes, packed", Message::Bytes(Packed::Zstd(300))),
        ("bytes, packed fast", Message::Bytes(Packed::Lz4(300))),
        ("lacking", Message::Lacking),
        ("having", Message::Having(Having { content, runs: vec![(0, 3)] })),
        ("roster", Message::Roster(roster)),
        ("alive", Message::Alive),
        ("bye, leaving", Message::Bye(Reason::Leaving)),
        ("bye, twice", Message::Bye(Reason::Twice)),
        ("bye, oneself", Message::Bye(Reason::Oneself)),
        ("bye, too many", Message::Bye(Reason::TooMany)),
        ("bye, fault", Message::Bye(Reason::Fault)),
        ("bye, renew", Message::Bye(Reason::Renew)),
    ]
}

#[test]
fn the_key_is_written_as_it_stands() {
    let [text] = blocks("ensemble-key").try_into().expect("there is one key on the page");
    assert_eq!(text, format!("{}\n", key()));
    assert_eq!(text.parse(), Ok(key()));
}

#[test]
fn an_ensemble_is_derived_as_the_page_says() {
    let secret: Vec<u8> = (0..32).collect();
    let (key, day) = (key(), 20_000_u64);
    let link = derive("orchestra 2026-11 ensemble link key v1", &secret);
    assert_eq!(key.link_key().as_bytes(), &link);
    let token = derive("orchestra 2026-11 rendezvous token v1", &link);
    assert_eq!(key.link_key().token().as_bytes(), &token[..16]);
    assert_eq!(key.id().as_bytes(), &derive("orchestra 2026-11 ensemble id v1", &secret));
    let tag =
        derive("orchestra 2026-11 ensemble tag of a day v1", &[&secret[..], &day.to_le_bytes()].concat());
    assert_eq!(key.tag(day), hex(&tag[..16]));
    let check = derive("orchestra 2026-11 ensemble key check v1", &secret);
    let bytes = [&secret[..], &check[..3]].concat();
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let letters: Vec<u8> = bits
        .chunks(5)
        .map(|five| five.iter().fold(0, |value, bit| value << 1 | usize::from(*bit)))
        .map(|value| b"0123456789abcdefghjkmnpqrstvwxyz"[value])
        .collect();
    assert_eq!(key.to_string().replace('-', ""), String::from_utf8(letters).unwrap());

    let other = |content: Content| *content.hash().unwrap().as_bytes();
    assert_eq!(other(Content::Folder), derive("orchestra 2026-11 folder v1", &[]));
    let link = Content::Link("x".to_owned());
    assert_eq!(other(link), derive("orchestra 2026-11 symbolic link v1", b"x"));
    let (device, path) = (Device::from_bits(7), TreePath::parse("a/b").unwrap());
    let beside = derive(
        "orchestra 2026-11 device beside a path v1",
        &[&7_u64.to_le_bytes()[..], path.as_str().as_bytes()].concat(),
    );
    assert_eq!(device.beside(&path).bits().to_le_bytes(), beside[..8]);
}
