//! What is published, listed, looked at, fetched and taken back.

use std::io::Read;

use orchestra::limits::DIGESTS_PER_FRAME;
use orchestra::wire::catalogue::{Composition, Digests, Query, Refusal, Reply, Request};

use crate::Here;
use crate::asker::{Asker, Song, wanted};

#[test]
fn what_is_published_is_listed_fetched_and_taken_back() {
    let here = Here::start(false);
    let (mut ada, mut bob) = (Asker::connect(here.address()), Asker::connect(here.address()));
    ada.register("ada");
    bob.register("bob");
    // Two whole messages of digests, and one more digest.
    let (song, other) = (Song::new("Song.flac", 2 * DIGESTS_PER_FRAME + 1), Song::new("empty", 0));
    let Reply::Published(published) = ada.publish(&song).unwrap() else { panic!() };
    assert_eq!((published.already_by, published.namesakes.len()), (None, 0));
    assert!(matches!(ada.publish(&other), Ok(Reply::Published(_))));
    let mut stranger = Asker::connect(here.address());
    assert_eq!(stranger.list("song"), ["Song.flac"]);
    assert_eq!(stranger.list(""), ["empty", "Song.flac"]);
    assert_eq!(stranger.fetch("Song.flac"), (song.composition(), song.parts.clone()));
    assert_eq!(stranger.fetch("song.FLAC").0, song.composition());
    assert!(stranger.fetch("empty").1.is_empty());
    let Reply::Details(details) = stranger.ask(&Request::Details(wanted("Song.flac", ""))) else { panic!() };
    assert_eq!((details.listed.publisher.as_str(), details.holders.len()), ("ada", 0));
    // The second one who publishes it is told.
    let Reply::Published(published) = bob.publish(&song).unwrap() else { panic!() };
    assert_eq!(published.already_by.as_deref(), Some("ada"));
    assert_eq!(bob.refused(&Request::Unpublish(wanted("Song.flac", ""))), Refusal::NotYours);
    assert_eq!(bob.refused(&Request::Unpublish(wanted("Sing.flac", ""))), Refusal::NotFound);
    assert_eq!(ada.ask(&Request::Unpublish(wanted("Song.flac", ""))), Reply::Done);
    assert_eq!(stranger.refused(&Request::Fetch(wanted("Song.flac", ""))), Refusal::NotFound);
}

#[test]
fn two_of_one_name_are_told_apart() {
    let here = Here::start(false);
    let (mut ada, mut bob) = (Asker::connect(here.address()), Asker::connect(here.address()));
    ada.register("ada");
    bob.register("bob");
    let first = Song::new("song", 1);
    let second = Song { digest: orchestra::digest::Digest::of(b"another"), ..first.clone() };
    ada.publish(&first).unwrap();
    let Reply::Published(published) = bob.publish(&second).unwrap() else { panic!() };
    assert_eq!(published.namesakes.len(), 1);
    assert_eq!(published.namesakes[0].publisher, "ada");
    for request in [Request::Details(wanted("song", "")), Request::Fetch(wanted("song", ""))] {
        let Reply::Several(several) = bob.ask(&request) else { panic!() };
        assert_eq!(several.len(), 2);
    }
    let digits = &second.digest.to_string()[..8];
    let Reply::Details(details) = bob.ask(&Request::Details(wanted("song", digits))) else { panic!() };
    assert_eq!(details.listed.publisher, "bob");
    assert_eq!(bob.ask(&Request::Unpublish(wanted("song", ""))), Reply::Done, "only one of them is his");
    assert_eq!(bob.fetch("song").0, first.composition());
}

#[test]
fn pages_follow_each_other() {
    let here = Here::start(false);
    let mut ada = Asker::connect(here.address());
    ada.register("ada");
    for n in 0..25 {
        ada.publish(&Song::new(&format!("song {n:02}"), 1)).unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let query = Query { text: "SONG".to_owned(), after, limit: 10 };
        let Reply::Page(page) = ada.ask(&Request::List(query)) else { panic!() };
        assert_eq!(page.matches, 25);
        seen.extend(page.listings.into_iter().map(|listed| listed.composition.name));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..25).map(|n| format!("song {n:02}")).collect::<Vec<_>>());
}

#[test]
fn what_contradicts_itself_is_not_published() {
    let here = Here::start(false);
    let mut ada = Asker::connect(here.address());
    ada.register("ada");
    for name in ["", "..", "a/b", "/etc/passwd", "a\u{0}"] {
        let song = Song { name: name.to_owned(), ..Song::new("a", 2) };
        let reply = ada.publish(&song).unwrap();
        assert_eq!(reply, Reply::Refused(Refusal::BadComposition), "{name:?}");
    }
    // Nobody knows how many digests follow, so nothing can.
    for (size, part_len) in [(1, 0), (u64::MAX, 1), (1, u32::MAX)] {
        let mut asker = Asker::connect(here.address());
        asker.register(&format!("bob {size} {part_len}"));
        let composition = Composition { name: "a".to_owned(), digest: [1; 20], size, part_len };
        assert_eq!(asker.refused(&Request::Publish(composition)), Refusal::BadComposition);
        assert_eq!(asker.stream.read(&mut [0]).unwrap_or(0), 0, "and the end");
    }
    // Too many digests at a time, too few, or others between them.
    let song = Song::new("b", 10);
    for follows in [
        Request::Digests(Digests::new(&Song::new("b", 11).parts)),
        Request::Digests(Digests::new(&song.parts[..9])),
        Request::Digests(Digests::new(&[])),
        Request::Logout,
    ] {
        let mut asker = Asker::connect(here.address());
        asker.login("ada");
        asker.say(&Request::Publish(song.composition())).unwrap();
        asker.say(&follows).unwrap();
        asker.hear().unwrap_err();
    }
    let mut asker = Asker::connect(here.address());
    asker.say(&Request::Digests(Digests::new(&song.parts))).unwrap();
    asker.hear().unwrap_err();
    assert!(ada.list("").is_empty());
}

#[test]
fn the_largest_composition_goes_there_and_back() {
    let here = Here::start(false);
    let mut ada = Asker::connect(here.address());
    ada.register("ada");
    let mut song = Song::new("large", 0);
    song.parts = (0..1_u32 << 20)
        .map(|part| {
            let mut bytes = [7; 20];
            bytes[..4].copy_from_slice(&part.to_le_bytes());
            orchestra::digest::Digest::from_bytes(bytes)
        })
        .collect();
    // It is written while it is answered: so much fits no socket.
    assert!(matches!(ada.publish(&song), Ok(Reply::Published(_))));
    let (composition, parts) = ada.fetch("large");
    assert!(composition == song.composition() && parts == song.parts);
}
