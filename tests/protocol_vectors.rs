//! PROTOCOL.md against the code: every vector, number and manifest on the page is what the code makes of it,
//! so the page cannot drift.
//!
//! A block that is fenced as `vectors` has a line `name: hex` for each vector, one that is fenced as `numbers`
//! a line `name: number` for each bound; a name stands on the page exactly if it stands here.

#![expect(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use orchestra::identity::MemberId;
use orchestra::limits;
use orchestra::logic::session::owed_bytes_max;
use orchestra::manifest::Manifest;
use orchestra::part::Layout;
use orchestra::wire::desk::{self, Announce, Refusal, Reply, Request};
use orchestra::wire::member::{self, Denial, Have, Hello, Message, Reason, Span};
use orchestra::wire::{codec, seal};

const PAGE: &str = include_str!("../PROTOCOL.md");

/// The text inside every block with this fence.
fn blocks(kind: &str) -> Vec<String> {
    let fence = format!("```{kind}");
    let mut blocks = Vec::new();
    let mut lines = PAGE.lines();
    while lines.any(|line| line == fence) {
        let inside = lines.by_ref().take_while(|line| *line != "```");
        blocks.push(inside.map(|line| format!("{line}\n")).collect());
    }
    blocks
}

/// The `name: value` lines of every block with this fence.
fn named(kind: &str) -> BTreeMap<String, String> {
    let mut named = BTreeMap::new();
    for line in blocks(kind).iter().flat_map(|block| block.lines()) {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no value in {line:?}"));
        assert!(named.insert(name.to_owned(), value.to_owned()).is_none(), "{name} stands twice");
    }
    named
}

/// Compares the page with the code, and says for each difference what the page should say.
fn agree(page: &BTreeMap<String, String>, code: &BTreeMap<String, String>) {
    let wrong = code.iter().filter(|(name, value)| page.get(*name) != Some(value));
    let wrong: Vec<String> = wrong.map(|(name, value)| format!("{name}: {value}")).collect();
    assert!(wrong.is_empty(), "PROTOCOL.md should say:\n{}", wrong.join("\n"));
    let unknown: Vec<&String> = page.keys().filter(|name| !code.contains_key(*name)).collect();
    assert!(unknown.is_empty(), "PROTOCOL.md has vectors that nothing makes: {unknown:?}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn manifest(kind: &str) -> (String, Manifest) {
    let blocks = blocks(kind);
    let [text] = blocks.as_slice() else { panic!("there is one {kind} on the page") };
    (text.clone(), Manifest::parse(text.as_bytes()).unwrap())
}

fn messages() -> Vec<(&'static str, Message)> {
    let hello = Hello { member: MemberId::from_bytes([0xaa; 16]), port: 10_001, abilities: 0 };
    let roster = vec!["127.0.0.1:10001".parse().unwrap(), "[::1]:10002".parse().unwrap()];
    let seventh = Span { first: 7, count: 1 };
    vec![
        ("hello", Message::Hello(hello)),
        ("have all", Message::Have(Have::All)),
        ("have bits", Message::Have(Have::Bits(vec![0xff, 0x01]))),
        ("have runs", Message::Have(Have::Runs(vec![Span { first: 3, count: 2 }]))),
        ("have nothing", Message::Have(Have::Runs(Vec::new()))),
        ("want", Message::Want(Span { first: 0, count: 64 })),
        ("parts", Message::Parts(Span { first: 300, count: 1 })),
        ("refuse, not held", Message::Refuse(seventh, Denial::NotHeld)),
        ("refuse, cancelled", Message::Refuse(seventh, Denial::Cancelled)),
        ("refuse, elsewhere", Message::Refuse(seventh, Denial::Elsewhere)),
        ("cancel", Message::Cancel(seventh)),
        ("roster", Message::Roster(roster)),
        ("bye, leaving", Message::Bye(Reason::Leaving)),
        ("bye, complete", Message::Bye(Reason::Complete)),
        ("bye, too many", Message::Bye(Reason::TooMany)),
        ("bye, idle", Message::Bye(Reason::Idle)),
        ("bye, fault", Message::Bye(Reason::Fault)),
        ("bye, renew", Message::Bye(Reason::Renew)),
        ("bye, oneself", Message::Bye(Reason::Oneself)),
    ]
}

fn requests() -> Vec<(&'static str, Request)> {
    let announce = Announce {
        swarm: [0x11; 32],
        port: 10_001,
        complete: false,
        left: 142_044,
        event: desk::Event::Started,
    };
    let about = |complete, left, event| Request::Announce(Announce { complete, left, event, ..announce });
    vec![
        ("announce, started", Request::Announce(announce)),
        ("announce, going", about(false, 1, desk::Event::Going)),
        ("announce, completed", about(true, 0, desk::Event::Completed)),
        ("announce, left", about(true, 0, desk::Event::Left)),
    ]
}

fn replies() -> Vec<(&'static str, Reply)> {
    let members = vec!["10.0.0.7:10001".parse().unwrap()];
    vec![
        (
            "roster from a conductor",
            Reply::Roster(desk::Roster { interval_ms: 30_000, complete: 1, getting: 2, members }),
        ),
        ("refused, swarms full", Reply::Refused(Refusal::SwarmsFull)),
        ("refused, members full", Reply::Refused(Refusal::MembersFull)),
        ("refused, busy", Reply::Refused(Refusal::Busy)),
    ]
}

/// What is hashed for the identity of a manifest, as the page describes it.
fn identity_bytes(manifest: &Manifest) -> Vec<u8> {
    let layout = manifest.layout();
    let mut bytes = manifest.digest().as_bytes().to_vec();
    bytes.extend(layout.size().to_le_bytes());
    bytes.extend(layout.part_len().to_le_bytes());
    bytes.extend(manifest.part_digests().iter().flat_map(|digest| digest.as_bytes()));
    bytes
}

/// Every vector, by its name on the page.
fn vectors() -> BTreeMap<String, String> {
    let mut vectors = BTreeMap::new();
    let mut add = |name: &str, bytes: &[u8]| {
        assert!(vectors.insert(name.to_owned(), hex(bytes)).is_none(), "{name} is made twice");
    };
    for kind in ["tiny", "example"] {
        let (_, manifest) = manifest(&format!("manifest-{kind}"));
        add(&format!("{kind} swarm id"), manifest.swarm_id().as_bytes());
        add(&format!("{kind} swarm key"), manifest.swarm_key().as_bytes());
        add(&format!("{kind} token"), manifest.swarm_key().token().as_bytes());
    }
    let (_, tiny) = manifest("manifest-tiny");
    add("tiny identity bytes", &identity_bytes(&tiny));
    add("tiny preamble", &member::preamble(tiny.swarm_key().token()));
    add("desk preamble", &desk::preamble());
    for number in [0, 250, 251, 65_535, 65_536, 4_294_967_295, 4_294_967_296, u64::MAX] {
        let mut bytes = Vec::new();
        codec::encode(&number, &mut bytes);
        add(&format!("number {number}"), &bytes);
    }
    let mut bytes = Vec::new();
    for (name, message) in messages() {
        bytes.clear();
        message.append_to(&mut bytes);
        add(name, &bytes);
    }
    for (name, request) in requests() {
        bytes.clear();
        request.append_to(&mut bytes);
        add(name, &bytes);
    }
    for (name, reply) in replies() {
        bytes.clear();
        reply.append_to(&mut bytes);
        add(name, &bytes);
    }
    vectors
}

/// Every number that the other side must respect or may rely on, by its name on the page.
fn numbers() -> BTreeMap<String, String> {
    let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap();
    let one_part = Layout::new(1, 1).unwrap();
    let longest = Layout::new(1, limits::PART_LEN_MAX.into()).unwrap();
    let numbers: [(&str, u64); 39] = [
        ("bytes of a manifest", limits::MANIFEST_LEN_MAX),
        ("bytes of a part", limits::PART_LEN_MAX.into()),
        ("parts", limits::PARTS_MAX.into()),
        ("bytes of a name", limits::NAME_LEN_MAX as u64),
        ("bytes of a host name", limits::HOST_LEN_MAX as u64),
        ("bytes of a preamble", member::PREAMBLE_LEN as u64),
        ("bytes of a handshake message", seal::HANDSHAKE_LEN as u64),
        ("bytes of a record's header", seal::RECORD_HEADER_LEN as u64),
        ("bytes of a record after its header", limits::RECORD_LEN_MAX as u64),
        ("plain bytes of a record", limits::RECORD_PLAIN_MAX as u64),
        ("records of one key", limits::RECORDS_PER_KEY_MAX),
        ("body bytes of hello, want, parts, refuse, cancel, bye", limits::FRAME_SMALL_MAX as u64),
        ("body bytes of have", limits::FRAME_HAVE_MAX as u64),
        ("body bytes of roster", limits::FRAME_ROSTER_MAX as u64),
        ("runs in one have", limits::HAVE_RUNS_MAX as u64),
        ("addresses in one roster", limits::ROSTER_MAX as u64),
        ("bytes of one want, if it has several parts", limits::RUN_BYTES),
        ("bytes in flight before the last want, as the asker", limits::WINDOW_BYTES_MAX),
        ("runs in flight, as the asker", limits::WINDOW_RUNS_MAX.into()),
        ("bytes owed with parts up to 1 MiB, as the giver", owed_bytes_max(one_part)),
        ("bytes owed with parts of 16 MiB, as the giver", owed_bytes_max(longest)),
        ("runs owed, as the giver", limits::OWED_RUNS_MAX.into()),
        ("links of one member", limits::LINKS_MAX as u64),
        ("links between the same two members", limits::LINKS_PER_MEMBER_MAX as u64),
        ("ms from connecting to the first have", ms(limits::HANDSHAKE_TIMEOUT)),
        ("ms that a write may stand still", ms(limits::WRITE_TIMEOUT)),
        ("ms that owed parts may fail to come", ms(limits::STALL_TIMEOUT)),
        ("ms for the last words", ms(limits::CLOSE_GRACE)),
        ("ms that a part that was sent is kept from others", ms(limits::GIVEN_PATIENCE)),
        ("ms that a promised part is kept from others", ms(limits::PROMISE_PATIENCE)),
        ("ms before a promised part is kept for anybody again", ms(limits::GIVEN_AGAIN_PAUSE)),
        ("ms that a want may wait for its turn", ms(limits::TURN_PATIENCE)),
        ("ms between two rosters of a link that are looked at", ms(limits::GOSSIP_HEARD_INTERVAL)),
        ("ms before a refused part is asked for again", ms(limits::ELSEWHERE_PAUSE)),
        ("ms between two gossips", ms(limits::GOSSIP_INTERVAL)),
        ("body bytes of a request", limits::DESK_REQUEST_MAX as u64),
        ("body bytes of a reply", limits::DESK_REPLY_MAX as u64),
        ("ms for a request", ms(limits::DESK_TIMEOUT)),
        ("the usual port of a conductor", limits::CONDUCTOR_PORT_DEFAULT.into()),
    ];
    let numbers: BTreeMap<String, String> =
        numbers.into_iter().map(|(name, number)| (name.to_owned(), number.to_string())).collect();
    assert_eq!(numbers.len(), 39, "every name is used once");
    numbers
}

#[test]
fn every_vector_is_what_the_code_makes() {
    agree(&named("vectors"), &vectors());
}

#[test]
fn every_number_is_the_one_in_the_code() {
    agree(&named("numbers"), &numbers());
}

#[test]
fn identity_is_derived_as_the_page_says() {
    let derive = |context: &str, bytes: &[u8]| {
        assert!(PAGE.contains(&format!("`{context}`")), "{context} is not on the page");
        blake3::derive_key(context, bytes)
    };
    for kind in ["manifest-tiny", "manifest-example"] {
        let (_, manifest) = manifest(kind);
        let bytes = identity_bytes(&manifest);
        assert_eq!(manifest.swarm_id().as_bytes(), &derive("orchestra 2026-11 swarm id v1", &bytes));
        let key = derive("orchestra 2026-11 swarm key v1", &bytes);
        assert_eq!(manifest.swarm_key().as_bytes(), &key);
        let token = derive("orchestra 2026-11 rendezvous token v1", &key);
        assert_eq!(manifest.swarm_key().token().as_bytes(), &token[..16]);
    }
}

#[test]
fn every_message_reads_back() {
    let page = named("vectors");
    let bytes = |name: &str| {
        let digits = page.get(name).unwrap_or_else(|| panic!("{name} is not on the page"));
        let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect::<Vec<u8>>()
    };
    for (name, message) in messages() {
        let read = member::Decoder::default().next(&mut bytes(name).as_slice());
        assert_eq!(read, Ok(Some(message)), "{name}");
    }
    for (name, request) in requests() {
        assert_eq!(desk::Decoder::requests().next(&mut bytes(name).as_slice()), Ok(Some(request)), "{name}");
    }
    for (name, reply) in replies() {
        assert_eq!(desk::Decoder::replies().next(&mut bytes(name).as_slice()), Ok(Some(reply)), "{name}");
    }
}

#[test]
fn the_manifests_are_written_as_they_stand() {
    for kind in ["manifest-tiny", "manifest-example"] {
        let (text, manifest) = manifest(kind);
        assert_eq!(manifest.render(), text, "{kind}");
    }
}
