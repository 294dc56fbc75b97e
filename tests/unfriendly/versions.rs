//! Entries that are well made and meant badly.

use std::fs;

use orchestra::entry::{Dot, Known};
use orchestra::wire::ensemble::{Entries, Follow, Message, Reason};

use crate::home::{Home, name_of, until};
use crate::peer::Peer;

/// The greatest counter that there is: what honest people write there afterwards stays where it was written.
#[test]
fn after_the_greatest_counter_nothing_is_lost() {
    let mut home = Home::with(&[("a", b"first")]);
    let mut peer = Peer::met(&home);
    let mut known = peer.learns("a").known;
    let dot = Dot { device: peer.device, counter: u64::MAX };
    known.insert(dot);
    let mut row = peer.file(u64::MAX, "a", 4, name_of(b"evil"));
    (row.entry.dot, row.entry.known) = (dot, known);
    peer.tell(vec![row]);
    assert_eq!(peer.asked().len(), 1);
    peer.give(b"evil");
    home.gets("a", b"evil");
    let archive = home.path(".orchestra/archive");
    let kept = |bytes: &[u8]| {
        let mut folders = vec![archive.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                match fs::read(&path) {
                    Ok(there) if there == bytes => return true,
                    Ok(_) => {}
                    Err(_) => folders.push(path),
                }
            }
        }
        false
    };
    assert!(kept(b"first"), "what was replaced is in the archive");
    for text in ["second", "third"] {
        home.write("a", text.as_bytes());
        home.is_well();
        assert!(home.has("a", text.as_bytes()), "{text}");
    }
    drop(peer);
    home.starts_again();
    home.is_well();
    assert!(home.has("a", b"third"));
}

/// The greatest sequence numbers, and what lies beyond.
#[test]
fn absurd_sequence_numbers_hurt_nobody() {
    let home = Home::with(&[("a", b"a")]);
    let mut peer = Peer::met(&home);
    for through in [u64::MAX, 0, u64::MAX - 1, 1 << 63] {
        let entries = Entries { device: peer.device, rows: Vec::new(), through, more: through == 0 };
        peer.say(&Message::Entries(entries)).unwrap();
    }
    peer.tell(vec![peer.file(1 << 63, "b", 1, name_of(b"b"))]);
    assert_eq!(peer.asked().len(), 1);
    peer.give(b"b");
    home.gets("b", b"b");
    let device = peer.device;
    drop(peer);
    // It goes on where it was.
    let mut peer = Peer::dial(home.address());
    let hello = peer.hello_as(device);
    peer.say(&hello).unwrap();
    loop {
        if let Message::Follow(follow) = peer.hear().unwrap() {
            assert_eq!((follow.device, follow.after), (device, 1 << 63));
            break;
        }
    }
    home.is_well();
}

/// The last word of the member on this link.
fn farewell(peer: &mut Peer) -> Option<Reason> {
    loop {
        match peer.hear() {
            Some(Message::Bye(reason)) => return Some(reason),
            Some(_) => {}
            None => return None,
        }
    }
}

/// Who claims to be the member itself, or to have heard what it never said, over and over.
#[test]
fn who_takes_the_members_name_does_so_once() {
    let home = Home::with(&[("a", b"a")]);
    let device_of = |peer: &mut Peer| loop {
        if let Message::Hello(hello) = peer.hear().expect("it is welcome") {
            return hello.device;
        }
    };
    let mut twin = Peer::dial(home.address());
    let first = device_of(&mut twin);
    let hello = twin.hello_as(first);
    twin.say(&hello).unwrap();
    assert_eq!(farewell(&mut twin), Some(Reason::Renew));

    let mut twin = Peer::dial(home.address());
    let second = device_of(&mut twin);
    assert_ne!(first, second, "it goes on under another name");
    let hello = twin.hello_as(second);
    twin.say(&hello).unwrap();
    assert_eq!(farewell(&mut twin), Some(Reason::Fault));

    let mut prophet = Peer::met(&home);
    prophet.say(&Message::Follow(Follow { device: second, after: u64::MAX })).unwrap();
    // It is told all there is.
    loop {
        if let Message::Entries(entries) = prophet.hear().expect("the link lives")
            && entries.rows.iter().any(|row| row.path.as_str() == "a")
        {
            assert_eq!(entries.device, second);
            break;
        }
    }
    home.is_well();
}

/// Who says that everything is to be ignored makes nobody forget anything, nor delete it.
#[test]
fn rules_of_somebody_else_delete_nothing() {
    let home = Home::with(&[("a", b"a"), ("d/b", b"b")]);
    let honest = Home::beside(&home, &[]);
    honest.gets("d/b", b"b");
    let mut peer = Peer::met(&home);
    let rules = b"*\n";
    peer.tell(vec![peer.file(1, ".orchestraignore", rules.len(), name_of(rules))]);
    assert_eq!(peer.asked().len(), 1);
    peer.give(rules);
    home.gets(".orchestraignore", rules);
    honest.gets(".orchestraignore", rules);
    for home in [&home, &honest] {
        until("they have seen it", || !home.ensemble().snapshot().standing.busy);
    }
    drop(peer);
    fs::remove_file(home.path(".orchestraignore")).unwrap();
    until("it is gone there as well", || !honest.path(".orchestraignore").exists());
    home.is_well();
    for home in [&home, &honest] {
        assert!(home.has("a", b"a") && home.has("d/b", b"b"));
    }
}

/// A deletion of everything by somebody who knew everything is allowed: the archive has it.
#[test]
fn whoever_deletes_everything_leaves_the_archive() {
    let home = Home::with(&[("a", b"first")]);
    let mut peer = Peer::met(&home);
    let mut entry = peer.learns("a");
    let dot = Dot { device: peer.device, counter: entry.dot.counter + 1 };
    let mut known: Known = entry.known.clone();
    known.insert(dot);
    entry.content = orchestra::entry::Content::Gone;
    (entry.dot, entry.known) = (dot, known);
    let mut row = peer.row(1, "a", orchestra::entry::Content::Gone);
    row.entry = entry;
    peer.tell(vec![row]);
    until("it is gone", || !home.path("a").exists());
    assert!(home.path(".orchestra/archive").is_dir());
    home.is_well();
}
