//! PROTOCOL.md against the code: every vector, number and manifest on the page is what the code makes of it,
//! so the page cannot drift.
//!
//! A block that is fenced as `vectors` has a line `name: hex` for each vector, one that is fenced as `numbers`
//! a line `name: number` for each bound; a name stands on the page exactly if it stands here.

#![expect(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

mod catalogue;
mod chunks;
mod desk;
mod ensembles;
mod members;
mod numbers;
mod page;

use std::collections::BTreeMap;

use orchestra::wire::{self, codec, dialogue};

use chunks::{contents, noise};
use page::{agree, hex, named};

/// Every vector, by its name on the page.
fn vectors() -> BTreeMap<String, String> {
    let mut vectors = BTreeMap::new();
    let mut add = |name: &str, bytes: &[u8]| {
        assert!(vectors.insert(name.to_owned(), hex(bytes)).is_none(), "{name} is made twice");
    };
    for kind in ["tiny", "example"] {
        let (_, manifest) = members::manifest(&format!("manifest-{kind}"));
        add(&format!("{kind} swarm id"), manifest.swarm_id().as_bytes());
        add(&format!("{kind} swarm key"), manifest.swarm_key().as_bytes());
        add(&format!("{kind} token"), manifest.swarm_key().token().as_bytes());
    }
    let (_, tiny) = members::manifest("manifest-tiny");
    add("tiny identity bytes", &members::identity_bytes(&tiny));
    add("tiny preamble", &wire::member::preamble(tiny.swarm_key().token()));
    add("desk preamble", &wire::desk::preamble());
    add("catalogue preamble", &wire::catalogue::preamble());
    add("no catalogue", &wire::catalogue::NO_CATALOGUE);
    add("session id", desk::token().id().as_bytes());
    add("session key", desk::token().key().as_bytes());
    for number in [0, 250, 251, 65_535, 65_536, 4_294_967_295, 4_294_967_296, u64::MAX] {
        let mut bytes = Vec::new();
        codec::encode(&number, &mut bytes);
        add(&format!("number {number}"), &bytes);
    }
    let mut bytes = Vec::new();
    let key = ensembles::key();
    add("ensemble link key", key.link_key().as_bytes());
    add("ensemble token", key.link_key().token().as_bytes());
    add("ensemble id", key.id().as_bytes());
    add("ensemble preamble", &wire::member::preamble(key.link_key().token()));
    for number in [0, -1, 1, -126, i64::MAX, i64::MIN] {
        bytes.clear();
        codec::encode(&number, &mut bytes);
        add(&format!("signed {number}"), &bytes);
    }
    for (name, option) in [("no hash", None), ("a hash", Some(ensembles::hash(5)))] {
        bytes.clear();
        codec::encode(&option, &mut bytes);
        add(name, &bytes);
    }
    bytes.clear();
    codec::encode(&"é", &mut bytes);
    add("text", &bytes);
    let (gear, _) = fastcdc::v2020::get_gear_with_seed(0);
    add("gear of 0", &gear[0].to_be_bytes());
    add("gear of 255", &gear[255].to_be_bytes());
    add("name of abc", contents(b"abc").hash.as_bytes());
    add("name of the noise", contents(&noise()).hash.as_bytes());
    for (name, message) in ensembles::messages() {
        bytes.clear();
        message.append_to(&mut bytes);
        add(&format!("ensemble {name}"), &bytes);
    }
    for (name, message) in members::messages() {
        bytes.clear();
        message.append_to(&mut bytes);
        add(name, &bytes);
    }
    for (name, request) in desk::requests() {
        bytes.clear();
        request.append_to(&mut bytes);
        add(name, &bytes);
    }
    for (name, request) in catalogue::requests() {
        bytes.clear();
        request.append_to(&mut bytes);
        add(&format!("catalogue {name}"), &bytes);
    }
    for (name, reply) in catalogue::replies() {
        bytes.clear();
        reply.append_to(&mut bytes);
        add(&format!("catalogue {name}"), &bytes);
    }
    for (name, reply) in desk::replies() {
        bytes.clear();
        reply.append_to(&mut bytes);
        add(name, &bytes);
    }
    // It is told as digits.
    assert!(vectors.insert("ensemble tag of day 20000".to_owned(), key.tag(20_000)).is_none());
    vectors
}

#[test]
fn every_vector_is_what_the_code_makes() {
    agree(&named("vectors"), &vectors());
}

#[test]
fn every_message_reads_back() {
    let page = named("vectors");
    let bytes = |name: &str| {
        let digits = page.get(name).unwrap_or_else(|| panic!("{name} is not on the page"));
        let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect::<Vec<u8>>()
    };
    for (name, message) in members::messages() {
        let read = wire::member::Decoder::default().next(&mut bytes(name).as_slice());
        assert_eq!(read, Ok(Some(message)), "{name}");
    }
    for (name, message) in ensembles::messages() {
        let read =
            wire::ensemble::Decoder::default().next(&mut bytes(&format!("ensemble {name}")).as_slice());
        assert_eq!(read, Ok(Some(message)), "{name}");
    }
    for (name, request) in desk::requests() {
        assert_eq!(
            dialogue::Decoder::<wire::desk::Request>::new().next(&mut bytes(name).as_slice()),
            Ok(Some(request)),
            "{name}"
        );
    }
    for (name, request) in catalogue::requests() {
        let read = dialogue::Decoder::<wire::catalogue::Request>::new()
            .next(&mut bytes(&format!("catalogue {name}")).as_slice());
        assert_eq!(read, Ok(Some(request)), "{name}");
    }
    for (name, reply) in catalogue::replies() {
        let read = dialogue::Decoder::<wire::catalogue::Reply>::new()
            .next(&mut bytes(&format!("catalogue {name}")).as_slice());
        assert_eq!(read, Ok(Some(reply)), "{name}");
    }
    for (name, reply) in desk::replies() {
        assert_eq!(
            dialogue::Decoder::<wire::desk::Reply>::new().next(&mut bytes(name).as_slice()),
            Ok(Some(reply)),
            "{name}"
        );
    }
}
