//! Attackers without the key.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use orchestra::host::tcp::allow_open_files;
use orchestra::identity::LinkKey;
use orchestra::limits::{LINK_LINES_MAX, PENDING_MAX, PENDING_PER_ADDRESS_MAX};
use orchestra::wire::member::{Have, preamble};
use orchestra::wire::seal::{HANDSHAKE_LEN, Initiator, respond};

use crate::peer::{Peer, accept_within, connect_from, listen};
use crate::program::{DEADLINE, World, members, until};

/// Not the key of any swarm here.
const OTHER_KEY: LinkKey = LinkKey::from_bytes([9; 32]);

/// What is sent ends the connection, and at most `answer` bytes come back.
fn is_shown_out(address: SocketAddr, what: &str, bytes: &[u8], answer: usize) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE / 3)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("{what}: it waits for more"),
        Ok(_) | Err(_) => assert!(heard.len() <= answer, "{what}: {heard:?}"),
    }
}

#[test]
fn strangers_are_shown_out_at_once() {
    let world = World::new(4 << 20, 65_536);
    let source = world.source(&["--up".into(), "4M".into()]);
    let mut getter = world.getter("getter", &members([source.address]));
    let at = source.address;
    let key = world.manifest.swarm_key();
    let ours = preamble(key.token());
    let (_, message) = Initiator::start(&key, &ours);
    let whole = [ours.as_slice(), &message].concat();
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };

    let mut noise = [0; 4_096];
    fastrand::Rng::with_seed(1).fill(&mut noise);
    is_shown_out(at, "garbage", &noise, 0);
    is_shown_out(at, "HTTP", b"GET /announce?info_hash=x HTTP/1.1\r\nHost: a\r\n\r\n", 0);
    let (_, foreign) = Initiator::start(&OTHER_KEY, &ours);
    is_shown_out(at, "another key", &[ours.as_slice(), &foreign].concat(), 0);
    // Another dialect, version or token, another ephemeral key, another tag.
    for byte in 0..whole.len() {
        is_shown_out(at, &format!("byte {byte} changed"), &changed(byte), 0);
    }
    // Those of before are gone: one host may have only so many connections that have not said hello.
    source.logs("the seal is broken", 1 + HANDSHAKE_LEN);
    // The member cannot know that it heard this before; but who replays cannot go on.
    for _ in 0..2 {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.write_all(&whole).unwrap();
        stream.read_exact(&mut [0; HANDSHAKE_LEN]).unwrap();
        // As a record of 100 bytes.
        stream.write_all(&[&[0, 100], &noise[..100]].concat()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        drop(stream.read_to_end(&mut Vec::new()));
    }
    source.logs("the seal is broken", 1 + HANDSHAKE_LEN + 2);

    // Cut anywhere: by an end of our half, and by the end of both.
    for cut in [0, 1, ours.len() - 1, ours.len(), whole.len() - 1] {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.write_all(&whole[..cut]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "cut after {cut} bytes");
        drop(TcpStream::connect(at).and_then(|mut stream| stream.write_all(&whole[..cut])));
    }

    getter.completes(&world);
    source.is_left_alone();
    getter.is_left_alone();
    getter.ends();
    source.ends();
}

#[test]
fn a_slow_but_right_handshake_is_welcome() {
    let world = World::new(1 << 20, 65_536);
    let source = world.source(&[]);
    let mut stream = TcpStream::connect(source.address).unwrap();
    stream.set_nodelay(true).unwrap();
    let key = world.manifest.swarm_key();
    let ours = preamble(key.token());
    let (initiator, message) = Initiator::start(&key, &ours);
    for byte in ours.iter().chain(&message) {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut answer = [0; HANDSHAKE_LEN];
    stream.read_exact(&mut answer).unwrap();
    assert!(initiator.finish(&answer).is_ok());
    drop(stream);
    source.is_left_alone();
    source.ends();
}

/// The one test that waits for the deadline of a handshake.
#[test]
fn silence_is_bounded_in_number_and_time() {
    assert!(allow_open_files(4_096) > 2_000, "this test needs more open files");
    let world = World::new(1 << 20, 65_536);
    let source = world.source(&[]);
    // From another address than the honest ones have.
    let crowd: Vec<TcpStream> = (0..1_000).map(|_| connect_from(2, source.address)).collect();
    let is_shut = |stream: &&TcpStream| {
        stream.set_nonblocking(true).unwrap();
        !stream.peek(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    until("all others are refused", || {
        crowd.iter().filter(is_shut).count() >= 1_000 - PENDING_PER_ADDRESS_MAX
    });
    assert!(source.link_threads() <= PENDING_PER_ADDRESS_MAX);
    let lines = source.log().matches("too many connections").count();
    assert_eq!(lines, LINK_LINES_MAX as usize, "no flood fills a disk");

    // A holder of the key who never gets to the end of its first record is as silent as the rest.
    let (mute, mute_address) = listen();
    let mut getter = world.getter("getter", &members([source.address, mute_address]));
    let mut dribbler = Peer::accept(&mute, &world.manifest);
    let dribbling = std::thread::spawn(move || {
        let record = dribbler.record(&[0; 60_000]);
        let steady = record.iter().all(|byte| {
            std::thread::sleep(Duration::from_millis(50));
            dribbler.stream.write_all(&[*byte]).is_ok()
        });
        assert!(!steady, "the link ended");
    });
    getter.completes(&world);
    // The rest is time.
    source.is_left_alone();
    until("the dribbler is cut off", || dribbling.is_finished());
    dribbling.join().unwrap();
    source.logs("no valid hello in time", PENDING_PER_ADDRESS_MAX);
    getter.logs("no valid hello in time", 1);
    drop(crowd);
    getter.ends();
    source.ends();
}

/// As many silent connections as there may be, from as many hosts as it takes.
#[test]
fn the_silent_keep_nobody_out() {
    let world = World::new(1 << 20, 65_536);
    let source = world.source(&[]);
    let hosts = (2..).flat_map(|host| [host; PENDING_PER_ADDRESS_MAX]).take(PENDING_MAX);
    let crowd: Vec<TcpStream> = hosts.map(|host| connect_from(host, source.address)).collect();
    until("all of them wait", || source.link_threads() == PENDING_MAX);
    let mut getter = world.getter("getter", &members([source.address]));
    getter.completes(&world);
    let (_, log) = getter.ends();
    assert!(!log.contains("is gone"), "it was let in at once: {log}");
    let (_, log) = source.ends();
    assert!(!log.contains("too many connections"), "{log}");
    drop(crowd);
}

/// Answers one call; what it returns is sent.
fn answers(listener: TcpListener, answer: impl FnOnce(&[u8]) -> Vec<u8> + Send + 'static) {
    std::thread::spawn(move || {
        let Some(mut stream) = accept_within(&listener, DEADLINE) else { return };
        let mut heard = [0; 21 + HANDSHAKE_LEN];
        stream.read_exact(&mut heard).unwrap();
        drop(stream.write_all(&answer(&heard)));
        // The member ends it, or has it ended by us after a truncated answer.
        stream.shutdown(Shutdown::Write).unwrap();
        drop(stream.read_to_end(&mut Vec::new()));
    });
}

#[test]
fn strangers_that_are_dialled_give_nothing() {
    let world = World::new(2 << 20, 65_536);
    let source = world.source(&[]);
    let listeners: Vec<_> = (0..6).map(|_| listen()).collect();
    let others = listeners.iter().map(|&(_, address)| address);
    let mut getter = world.getter("getter", &members(others.chain([source.address])));
    let key = world.manifest.swarm_key();
    let mut listeners = listeners.into_iter().map(|(listener, _)| listener);
    let mut next = || listeners.next().unwrap();
    answers(next(), |_| b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nServer: x\r\n\r\n".to_vec());
    answers(next(), |_| Vec::new());
    answers(next(), |heard| heard[21..].to_vec());
    let true_answer = move |heard: &[u8]| {
        let message = heard[21..].try_into().unwrap();
        respond(&key, &heard[..21], message).unwrap().2
    };
    let key = world.manifest.swarm_key();
    answers(next(), move |heard| true_answer(heard)[..40].to_vec());
    answers(next(), move |heard| {
        let mut answer = respond(&key, &heard[..21], heard[21..].try_into().unwrap()).unwrap().2;
        answer[47] ^= 0x80;
        answer.to_vec()
    });
    drop(next());
    getter.logs("the seal is broken", 3);
    getter.completes(&world);
    getter.is_left_alone();
    getter.ends();
    source.is_left_alone();
    source.ends();
}

/// A recorded session, played back to the member that it was held with.
#[test]
fn a_recorded_session_opens_nothing() {
    let world = World::new(1 << 20, 65_536);
    let source = world.source(&[]);
    let mut peer = Peer::dial(source.address, &world.manifest).opened(1, 0, Have::Runs(vec![]));
    peer.is_welcome();
    let hello = peer.record(&[0; 10]);
    let mut stream = TcpStream::connect(source.address).unwrap();
    let key = world.manifest.swarm_key();
    let ours = preamble(key.token());
    let (_, message) = Initiator::start(&key, &ours);
    stream.write_all(&[ours.as_slice(), &message, &hello].concat()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    drop(stream.read_to_end(&mut Vec::new()));
    source.logs("the seal is broken", 1);
    drop(peer);
    source.is_left_alone();
    source.ends();
}
