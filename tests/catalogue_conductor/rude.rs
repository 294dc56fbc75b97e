//! Whoever does not keep to the protocol loses their own connection, and nothing else.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use orchestra::limits::{
    CATALOGUE_ANSWER_TIMEOUT, CATALOGUE_CONNECTIONS_MAX, CATALOGUE_CONNECTIONS_PER_ADDRESS_MAX,
    CATALOGUE_HANDSHAKE_TIMEOUT, CATALOGUE_PENDING_MAX, CATALOGUE_REQUEST_TIMEOUT, LISTINGS_MAX, PARTS_MAX,
    QUESTIONS_WAITING_PER_SOURCE,
};
use orchestra::wire::catalogue::{Composition, Query, Refusal, Reply, Request, preamble};

use crate::Here;
use crate::asker::{Asker, PASSWORD, Song, connect, login, wanted};
use crate::common::program::PATIENCE;
use crate::common::skipped;

/// Asserts that honest members are served as if nothing had happened.
fn assert_serves(here: &Here) {
    let mut asker = Asker::connect(here.address());
    asker.list("");
}

fn wait_until_alone(here: &Here) {
    wait_until_alone_for(here, PATIENCE);
}

fn wait_until_alone_for(here: &Here, patience: Duration) {
    wait_until_open(here, 0, patience);
}

/// Waits until there are so many connections to the catalogue.
fn wait_until_open(here: &Here, connections: usize, patience: Duration) {
    let start = Instant::now();
    while here.conductor.stats().catalogue_connections != connections {
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
            asker.say(&Request::Fetch(wanted("large", ""))).unwrap();
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
        deaf.say(&Request::Fetch(wanted("large", ""))).unwrap();
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

fn search(text: &str) -> Request {
    Request::List(Query { text: text.to_owned(), after: None, limit: 9 })
}

/// As many connections as one address may have.
fn crowd(host: u8, here: &Here) -> Vec<Asker> {
    (0..CATALOGUE_CONNECTIONS_PER_ADDRESS_MAX).map(|_| Asker::from(host, here.address()).unwrap()).collect()
}

#[test]
fn few_addresses_cannot_keep_out_others() {
    if !cfg!(target_os = "linux") {
        return skipped("needs more than one loopback address");
    }
    // Both ends of each connection, and some more.
    let files = 2 * CATALOGUE_CONNECTIONS_MAX + 500;
    if orchestra::host::tcp::allow_open_files(files) < files {
        return skipped("needs some thousand open files");
    }
    let here = Here::start(false);
    // Some that never ask anything, and then as many as may be that asked once.
    let hosts = u8::try_from(CATALOGUE_CONNECTIONS_MAX / CATALOGUE_CONNECTIONS_PER_ADDRESS_MAX).unwrap();
    let silent = u8::try_from(CATALOGUE_PENDING_MAX / CATALOGUE_CONNECTIONS_PER_ADDRESS_MAX).unwrap();
    let mut crowds: Vec<Vec<Asker>> = (0..silent).map(|host| crowd(host, &here)).collect();
    let mut ada = Asker::from(100, here.address()).unwrap();
    assert!(ada.list("").is_empty(), "who asks nothing gives way");
    for crowd in &mut crowds {
        // One of them gave way: the first of all.
        crowd.retain_mut(|asker| asker.try_ask(&search("")).is_ok());
    }
    assert_eq!(crowds.iter().map(Vec::len).sum::<usize>(), CATALOGUE_PENDING_MAX - 1);
    for host in silent..hosts {
        let mut crowd = crowd(host, &here);
        crowd.iter_mut().for_each(|asker| drop(asker.ask(&search(""))));
        crowds.push(crowd);
    }
    assert_eq!(here.conductor.stats().catalogue_connections, CATALOGUE_CONNECTIONS_MAX);
    // Of the one that was silent for longest there is a question now, and the database cannot answer it.
    let lock = here.lock();
    crowds[1][0].say(&Request::Register(login("carol", PASSWORD))).unwrap();
    // That was read once somebody has an answer who has asked after it.
    assert_eq!(ada.refused(&Request::Logout), Refusal::LoginFirst);
    let mut bob = Asker::from(101, here.address()).unwrap();
    drop(lock);
    assert!(bob.list("").is_empty() && ada.list("").is_empty(), "who has one connection keeps it");
    let answer = crowds[1][0].hear().expect("who waits for an answer does not give way");
    assert!(matches!(answer, Reply::Session(_) | Reply::Refused(Refusal::Trouble)), "{answer:?}");
    crowds[1][1].try_ask(&search("")).expect_err("the next one did");
    Asker::from(hosts - 1, here.address()).map(drop).unwrap_err();
}

#[test]
fn a_flood_of_searches_from_one_address_keeps_nobody_from_anything() {
    if !cfg!(target_os = "linux") {
        return skipped("needs more than one loopback address");
    }
    let here = Here::start(false);
    let mut mallory = Asker::from(1, here.address()).unwrap();
    mallory.register("mallory");
    list_many(&here);
    let (mut ada, mut bob) = (Asker::connect(here.address()), Asker::from(2, here.address()).unwrap());
    ada.register("ada");
    bob.register("bob");
    let mut flood: Vec<Asker> =
        (1..CATALOGUE_CONNECTIONS_PER_ADDRESS_MAX).map(|_| Asker::connect(here.address())).collect();
    // All of it waits before anything is done: the database is held up.
    let lock = here.lock();
    mallory.say(&Request::Unpublish(wanted("nothing", ""))).unwrap();
    let asked = 3;
    for asker in &mut flood {
        (0..asked).for_each(|_| asker.say(&search("song")).unwrap());
    }
    // From the same address, and another one.
    ada.say_publish(&Song::new("song of ada", 3)).unwrap();
    bob.say(&search("song")).unwrap();
    // All of that was read once somebody has an answer who has asked after it.
    assert_eq!(Asker::from(1, here.address()).unwrap().refused(&Request::Logout), Refusal::LoginFirst);
    drop(lock);
    assert!(matches!(bob.hear(), Ok(Reply::Page(_))));
    assert!(matches!(bob.publish(&Song::new("song of bob", 3)), Ok(Reply::Published(_))));
    assert!(matches!(ada.hear(), Ok(Reply::Published(_))));
    assert!(matches!(ada.ask(&Request::Details(wanted("song of ada", ""))), Reply::Details(_)));
    assert!(matches!(ada.ask(&Request::Login(login("ada", PASSWORD))), Reply::Session(_)));
    // Each of them is answered: with a page, or that it asks too much. The pages tell which searches were done before the
    // others had their turn.
    let (mut before_ada, mut before_bob) = (0, 0);
    for asker in &mut flood {
        for _ in 0..asked {
            match asker.hear().unwrap() {
                Reply::Page(page) => {
                    let lacks = |name| page.listings.iter().all(|listed| listed.composition.name != name);
                    before_ada += usize::from(lacks("song of ada"));
                    before_bob += usize::from(lacks("song of bob"));
                }
                other => assert_eq!(other, Reply::Refused(Refusal::Busy)),
            }
        }
    }
    // As many as have their turn, not all that waited when these asked.
    assert!(before_ada < QUESTIONS_WAITING_PER_SOURCE / 2, "who publishes waited for {before_ada} searches");
    assert!(before_bob < QUESTIONS_WAITING_PER_SOURCE, "who is elsewhere waited for {before_bob} searches");
}

/// Lists much that nobody looks for, as that of the first account: who searches walks over all of it.
fn list_many(here: &Here) {
    let many = LISTINGS_MAX / 5;
    let list = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {many}) \
         INSERT INTO listings (account, name, folded, digest, size, part_len, swarm, published) \
         SELECT 1, 'n' || n, 'n' || n, zeroblob(20), 0, 16, zeroblob(32), 1 FROM n; \
         INSERT INTO digests SELECT id, x'' FROM listings; \
         UPDATE accounts SET listings = {many} WHERE id = 1; UPDATE totals SET listings = {many}"
    );
    here.database().execute_batch(&list).unwrap();
}

#[test]
fn a_class_behind_one_address_is_served_at_once() {
    let here = Here::start(false);
    let mut class: Vec<Asker> =
        (0..50.min(QUESTIONS_WAITING_PER_SOURCE)).map(|_| Asker::connect(here.address())).collect();
    for _ in 0..5 {
        class.iter_mut().for_each(|asker| asker.say(&search("")).unwrap());
        assert!(class.iter_mut().all(|asker| matches!(asker.hear(), Ok(Reply::Page(_)))));
    }
}

/// Ada, who publishes `old`, asks something and is gone before the database comes to it. What she is told when she then, on
/// another connection, takes back the composition of this name.
fn asks_and_goes(ask: impl Fn(&mut Asker), takes_back: &str) -> Reply {
    // The database gives up waiting for another process after a while. On a busy machine that may be too early for this,
    // and the question of one connection may be read before an earlier one of another.
    for _ in 0..10 {
        let here = Here::start(false);
        let mut stays = Asker::connect(here.address());
        let token = stays.register("ada").token;
        stays.publish(&Song::new("old", 1)).unwrap();
        let mut goes = Asker::connect(here.address());
        goes.resume(&token);
        wait_until_open(&here, 2, PATIENCE);
        let lock = here.lock();
        stays.say(&Request::Unpublish(wanted("nothing", ""))).unwrap();
        // That was read, and the database has it, when somebody has an answer who has asked after it: most often.
        assert_eq!(goes.refused(&Request::Register(login("", ""))), Refusal::BadName);
        ask(&mut goes);
        drop(goes);
        wait_until_open(&here, 1, PATIENCE);
        drop(lock);
        match stays.hear().unwrap() {
            // It is written, so it comes after all that was to be written and was asked before.
            Reply::Refused(Refusal::NotFound) => {
                return stays.ask(&Request::Unpublish(wanted(takes_back, "")));
            }
            Reply::Refused(Refusal::Trouble | Refusal::SessionOver) => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("the database never waits for as long as this takes, or always does first what was asked later");
}

#[test]
fn who_logs_out_and_goes_is_logged_out() {
    let told = asks_and_goes(|ada| ada.say(&Request::Logout).unwrap(), "old");
    assert_eq!(told, Reply::Refused(Refusal::SessionOver));
}

#[test]
fn who_takes_back_and_goes_has_taken_back() {
    let told = asks_and_goes(|ada| ada.say(&Request::Unpublish(wanted("old", ""))).unwrap(), "old");
    assert_eq!(told, Reply::Refused(Refusal::NotFound));
}

#[test]
fn who_publishes_and_goes_has_not_published() {
    // It is published all the same if the database hears of it just before it has to wait, which it does not do every time.
    let is_forgotten = || {
        let told = asks_and_goes(|ada| ada.say_publish(&Song::new("new", 1)).unwrap(), "new");
        assert!(matches!(told, Reply::Done | Reply::Refused(Refusal::NotFound)), "{told:?}");
        told != Reply::Done
    };
    assert!((0..10).any(|_| is_forgotten()), "it was published for nobody");
}

#[test]
fn who_announces_much_keeps_nobody_from_publishing() {
    let here = Here::start(false);
    let token = Asker::connect(here.address()).register("mallory").token;
    let parts = u64::from(PARTS_MAX);
    let mut announced: Vec<Asker> = (0..8).map(|_| Asker::connect(here.address())).collect();
    for asker in &mut announced {
        asker.resume(&token);
        let large =
            Composition { name: "large".to_owned(), digest: [1; 20], size: parts * 1_000, part_len: 1_000 };
        asker.say(&Request::Publish(large)).unwrap();
    }
    let mut ada = Asker::connect(here.address());
    ada.register("ada");
    assert!(matches!(ada.publish(&Song::new("song", 3)), Ok(Reply::Published(_))));
}

#[test]
fn who_publishes_without_a_session_is_told_at_once() {
    let here = Here::start(false);
    let mut asker = Asker::connect(here.address());
    let announced = Song::new("song", 300_000).composition();
    // No digest has to be sent before.
    assert_eq!(asker.refused(&Request::Publish(announced)), Refusal::LoginFirst);
    asker.hear().unwrap_err();
    assert_serves(&here);
}
