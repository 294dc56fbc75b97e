//! What members say to each other about a composition, and what they derive from its manifest.

use orchestra::identity::MemberId;
use orchestra::manifest::Manifest;
use orchestra::wire::member::{Denial, Have, Hello, Message, Reason, Span};

use crate::page::{blocks, derive};

pub(crate) fn manifest(kind: &str) -> (String, Manifest) {
    let blocks = blocks(kind);
    let [text] = blocks.as_slice() else { panic!("there is one {kind} on the page") };
    (text.clone(), Manifest::parse(text.as_bytes()).unwrap())
}

/// What is hashed for the identity of a manifest, as the page describes it.
pub(crate) fn identity_bytes(manifest: &Manifest) -> Vec<u8> {
    let layout = manifest.layout();
    let mut bytes = manifest.digest().as_bytes().to_vec();
    bytes.extend(layout.size().to_le_bytes());
    bytes.extend(layout.part_len().to_le_bytes());
    bytes.extend(manifest.part_digests().iter().flat_map(|digest| digest.as_bytes()));
    bytes
}

pub(crate) fn messages() -> Vec<(&'static str, Message)> {
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

#[test]
fn identity_is_derived_as_the_page_says() {
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
fn the_manifests_are_written_as_they_stand() {
    for kind in ["manifest-tiny", "manifest-example"] {
        let (text, manifest) = manifest(kind);
        assert_eq!(manifest.render(), text, "{kind}");
    }
}
