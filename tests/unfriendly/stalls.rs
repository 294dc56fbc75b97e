//! Who says nothing, or not enough, or leaves. One test waits for all the deadlines together.

use orchestra::wire::ensemble::Message;

use crate::home::{Home, contents, name_of, noise, until};
use crate::peer::Peer;

/// What they keep to themselves comes from others, at the latest when their link has ended.
#[test]
fn who_does_not_answer_is_left() {
    let home = Home::with(&[]);
    let (short, long) = (noise(40_000, 20), noise(1 << 20, 21));
    let mut silent = Peer::met(&home);
    // Half a message, and then nothing.
    let mut half = Peer::met(&home);
    half.put(&[64, 0, 0]).unwrap();
    // Two that live, and were asked for something.
    let mut mute = Peer::met(&home);
    mute.tell(vec![mute.file(1, "short", short.len(), name_of(&short))]);
    assert_eq!(mute.asked().len(), 1);
    let mut vague = Peer::met(&home);
    vague.tell(vec![vague.file(1, "long", long.len(), contents(&long).hash)]);
    while !matches!(vague.hear(), Some(Message::Describe(_))) {}
    let honest = Home::beside(&home, &[("a", &short), ("b", &long)]);
    let mut lively = [mute, vague];
    let mut ended = [false; 2];
    while ended.contains(&false) {
        for (peer, ended) in lively.iter_mut().zip(&mut ended) {
            *ended = *ended || peer.say(&Message::Alive).is_err();
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    for path in ["short", "a"] {
        home.gets(path, &short);
    }
    for path in ["long", "b"] {
        home.gets(path, &long);
    }
    silent.is_ended();
    half.is_ended();
    drop(honest);
    home.is_well();
}

/// Links are idle most of the time; their end must not be noticed only when it would be time to say something again.
#[test]
fn the_end_of_an_idle_link_is_noticed_at_once() {
    let home = Home::with(&[]);
    let mut leaving = Peer::met(&home);
    leaving.what_follows();
    // The first word of life on this link comes later than it would on the other one.
    let mut staying = Peer::met(&home);
    until("both are there", || home.members() == 2);
    drop(leaving);
    until("one is left", || home.members() == 1);
    staying.what_follows();
    assert!(!staying.heard_alive, "a link ended, and nobody noticed for long");
}
