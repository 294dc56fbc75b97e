//! What is published, listed, looked at, fetched and taken back.

use std::io::Read;

use orchestra::identity::SwarmId;
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
fn who_claims_a_digest_first_does_not_have_it() {
    let here = Here::start(false);
    let (mut mallory, mut ada) = (Asker::connect(here.address()), Asker::connect(here.address()));
    mallory.register("mallory");
    ada.register("ada");
    // The digest that everybody knows the content by, and the parts of something else.
    let good = Song::new("debian.iso", 3);
    let evil = Song { parts: Song::new("evil", 3).parts, ..good.clone() };
    mallory.publish(&evil).unwrap();
    let Reply::Published(published) = ada.publish(&good).unwrap() else { panic!() };
    let told: Vec<_> = published.namesakes.iter().map(|listed| listed.publisher.as_str()).collect();
    assert_eq!((published.already_by, told), (None, vec!["mallory"]));
    let digest = good.digest.to_string();
    for digits in ["", &digest[..8], &digest] {
        for request in
            [Request::Details(wanted("debian.iso", digits)), Request::Fetch(wanted("debian.iso", digits))]
        {
            let Reply::Several(several) = ada.ask(&request) else { panic!("{request:?}") };
            assert_eq!(
                several.iter().map(|listed| listed.swarm).collect::<Vec<_>>(),
                [evil.swarm(), good.swarm()]
            );
        }
    }
    // The swarm is that of these parts and no others.
    for (song, publisher) in [(&good, "ada"), (&evil, "mallory")] {
        let swarm = SwarmId::from_bytes(song.swarm()).digits();
        for digits in [&swarm[..8], &swarm] {
            let details = Request::Details(wanted("debian.iso", digits));
            let Reply::Details(details) = ada.ask(&details) else { panic!("{digits}") };
            assert_eq!(details.listed.publisher, publisher);
            assert_eq!(ada.fetch_by("debian.iso", digits).1, song.parts);
        }
    }
    let swarm = SwarmId::from_bytes(good.swarm()).digits();
    assert_eq!(mallory.refused(&Request::Unpublish(wanted("debian.iso", &swarm))), Refusal::NotYours);
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
fn no_name_ends_the_pages() {
    let here = Here::start(false);
    let mut ada = Asker::connect(here.address());
    ada.register("ada");
    // What the second one is ordered by has eleven times as many bytes.
    let names = ["a".to_owned(), format!("b{}", "\u{fdfa}".repeat(84)), "c".to_owned(), "d".to_owned()];
    for name in &names {
        assert!(matches!(ada.publish(&Song::new(name, 1)), Ok(Reply::Published(_))));
    }
    let query = |after| Request::List(Query { text: String::new(), after, limit: 2 });
    let Reply::Page(first) = ada.ask(&query(None)) else { panic!() };
    // The place stays one when what stood there is gone.
    assert_eq!(ada.ask(&Request::Unpublish(wanted(&names[1], ""))), Reply::Done);
    let Reply::Page(second) = ada.ask(&query(first.next)) else { panic!() };
    let second: Vec<_> = second.listings.iter().map(|listed| listed.composition.name.as_str()).collect();
    assert_eq!(second, ["c", "d"]);
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
