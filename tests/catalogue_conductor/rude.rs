//! Whoever does not keep to the protocol loses their own connection, and nothing else.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use orchestra::limits::{
    CATALOGUE_ANSWER_TIMEOUT, CATALOGUE_CONNECTIONS_PER_ADDRESS_MAX, CATALOGUE_HANDSHAKE_TIMEOUT,
    CATALOGUE_REQUEST_TIMEOUT,
};
use orchestra::wire::catalogue::{Query, Reply, Request, preamble};

use crate::Here;
use crate::asker::{Asker, Song, connect};
use crate::common::program::PATIENCE;

/// Asserts that honest members are served as if nothing had happened.
fn assert_serves(here: &Here) {
    let mut asker = Asker::connect(here.address());
    asker.list("");
}

fn wait_until_alone(here: &Here) {
    wait_until_alone_for(here, PATIENCE);
}

fn wait_until_alone_for(here: &Here, patience: Duration) {
    let start = Instant::now();
    while here.conductor.stats().catalogue_connections > 0 {
        assert!(start.elapsed() < patience, "{:?}", here.conductor.stats());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn nonsense_closes_its_own_connection_only() {
    let here = Here::start(false);
    let noise: Vec<u8> = (0..100_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
    // Instead of a handshake, or after it.
    let others: [&[u8]; 5] = [&noise[..32], &noise[..], &[0; 32], &[0xff; 1_000], &[0; 34]];
    for bytes in others {
        let mut stream = connect(here.address());
        drop(stream.write_all(&[&preamble()[..], bytes].concat()));
        let _end = stream.shutdown(Shutdown::Write);
        let _answer = stream.read_to_end(&mut Vec::new());
    }
    // In records that are sealed as they should be.
    let others: [&[u8]; 5] =
        [&noise[..10], &noise[..], &[0xff, 0xff, 0xff, 0xff, 0], &[1, 0, 0, 0, 77], &[0, 0, 0, 0, 0]];
    for plain in others {
        let mut asker = Asker::connect(here.address());
        let bytes = asker.sealed(plain);
        drop(asker.stream.write_all(&bytes));
        asker.hear().unwrap_err();
    }
    // A record once more.
    let mut asker = Asker::connect(here.address());
    let mut plain = Vec::new();
    Request::Logout.append_to(&mut plain);
    let bytes = asker.sealed(&plain);
    asker.stream.write_all(&[&bytes[..], &bytes[..]].concat()).unwrap();
    assert!(matches!(asker.hear(), Ok(Reply::Refused(_))));
    asker.hear().unwrap_err();
    assert_serves(&here);
    drop(asker);
    wait_until_alone(&here);
}

#[test]
fn a_question_may_come_byte_by_byte() {
    let here = Here::start(false);
    let mut asker = Asker::connect(here.address());
    let mut plain = Vec::new();
    Request::Logout.append_to(&mut plain);
    for byte in asker.sealed(&plain) {
        asker.stream.write_all(&[byte]).unwrap();
    }
    assert!(matches!(asker.hear(), Ok(Reply::Refused(_))));
}

#[test]
fn who_goes_in_the_middle_leaves_nothing_behind() {
    let here = Here::start(false);
    let token = Asker::connect(here.address()).register("ada").token;
    let song = Song::new("song", 7_000);
    for said in 0..4 {
        let mut asker = Asker::connect(here.address());
        asker.resume(&token);
        let mut plain = Vec::new();
        Request::Publish(song.composition()).append_to(&mut plain);
        for digests in song.parts.chunks(3_000).take(said) {
            Request::Digests(orchestra::wire::catalogue::Digests::new(digests)).append_to(&mut plain);
        }
        let mut bytes = asker.sealed(&plain);
        if said == 3 {
            bytes.pop();
        }
        asker.stream.write_all(&bytes).unwrap();
    }
    wait_until_alone(&here);
    assert!(Asker::connect(here.address()).list("").is_empty());
}

#[test]
fn who_asks_much_and_reads_nothing_costs_nothing_more() {
    let here = Here::start(false);
    let mut ada = Asker::connect(here.address());
    ada.register("ada");
    ada.publish(&Song::new("large", 300_000)).unwrap();
    let mut deaf: Vec<Asker> = (0..20).map(|_| Asker::connect(here.address())).collect();
    for asker in &mut deaf {
        for _ in 0..20 {
            asker.say(&Request::Fetch(crate::asker::wanted("large", ""))).unwrap();
        }
    }
    for _ in 0..20 {
        assert_serves(&here);
    }
    // They get all of it when they want it.
    let fetched = deaf[7].hear().unwrap();
    assert!(matches!(fetched, Reply::Manifest(_)));
}

#[test]
fn nobody_is_waited_for_without_end() {
    let here = Here::start(false);
    let mut ada = Asker::connect(here.address());
    ada.register("ada");
    ada.publish(&Song::new("large", 300_000)).unwrap();
    drop(ada);
    let mut half_a_handshake = connect(here.address());
    half_a_handshake.write_all(&[&preamble()[..], &[0]].concat()).unwrap();
    let silent = Asker::connect(here.address());
    let mut deaf = Asker::connect(here.address());
    for _ in 0..20 {
        deaf.say(&Request::Fetch(crate::asker::wanted("large", ""))).unwrap();
    }
    // A byte now and then is no question, and does not make the time for one longer.
    let mut slow = Asker::connect(here.address());
    let mut plain = Vec::new();
    Request::List(Query { text: "x".repeat(200), after: None, limit: 1 }).append_to(&mut plain);
    let bytes = slow.sealed(&plain);
    let between = CATALOGUE_REQUEST_TIMEOUT / 100;
    slow.stream.set_read_timeout(Some(between)).unwrap();
    let slow = thread::spawn(move || {
        // Whoever is closed finds out, here or there.
        let is_closed =
            |byte: &u8| slow.stream.write_all(&[*byte]).is_err() || slow.stream.read(&mut [0]).is_ok();
        bytes.iter().any(is_closed)
    });
    let longest = CATALOGUE_HANDSHAKE_TIMEOUT.max(CATALOGUE_REQUEST_TIMEOUT).max(CATALOGUE_ANSWER_TIMEOUT);
    wait_until_alone_for(&here, longest + PATIENCE);
    assert!(slow.join().unwrap(), "it said all of its question");
    drop((half_a_handshake, silent, deaf));
    assert_serves(&here);
}

#[test]
fn one_address_cannot_take_all_connections() {
    let here = Here::start(false);
    let mut asker = Asker::connect(here.address());
    let mut open: Vec<Asker> = Vec::new();
    loop {
        match Asker::try_connect(here.address()) {
            Ok(asker) => open.push(asker),
            // Its own version instead of a handshake: too many connections.
            Err(_) => break,
        }
        assert!(open.len() <= CATALOGUE_CONNECTIONS_PER_ADDRESS_MAX);
    }
    assert_eq!(open.len() + 1, CATALOGUE_CONNECTIONS_PER_ADDRESS_MAX);
    let mut stream = connect(here.address());
    stream.write_all(&preamble()).unwrap();
    let mut told = Vec::new();
    stream.read_to_end(&mut told).unwrap();
    assert_eq!(told, preamble());
    assert!(asker.list("").is_empty(), "who is there is served");
    drop(open);
    while Asker::try_connect(here.address()).is_err() {
        thread::sleep(Duration::from_millis(5));
    }
}
