//! Our conductor as those see it that ask it in the classic protocol.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use orchestra::conductor::{Conductor, Config};
use orchestra::wire::desk::{Announce, Event, Request, preamble};

use crate::original::connect_from;
use crate::world::host;

const ABOUT: &str = "abc.txt\r\na9993e364706816aba3e25717850c26c9cd0d89d\r\n";
const PATIENCE: Duration = Duration::from_secs(30);

fn start(classic: bool) -> Conductor {
    Conductor::start(Config { classic, ..Config::new("127.0.0.1:0".parse().unwrap()) }).unwrap()
}

/// Says this and reads until the conductor closes the connection.
fn asked(conductor: &Conductor, from: IpAddr, pieces: &[&[u8]]) -> Vec<u8> {
    let mut stream = connect_from(from, conductor.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        stream.write_all(piece).unwrap();
    }
    read_all(&mut stream)
}

fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        // It may be reset if more was said than is read.
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
    answer
}

fn down(conductor: &Conductor, from: IpAddr, port: u16) -> String {
    let text = format!("DOWN\r\n{ABOUT}{port}\r\n");
    String::from_utf8(asked(conductor, from, &[text.as_bytes()])).unwrap()
}

fn told(addresses: &[SocketAddr]) -> String {
    let list: String = addresses.iter().map(|address| format!("{address}\r\n")).collect();
    format!("SEND\r\n{ABOUT}{}\r\n{list}", addresses.len())
}

fn nobody() -> String {
    format!("NONE\r\n{ABOUT}")
}

fn complain(conductor: &Conductor, from: IpAddr, about: SocketAddr) {
    let text = format!("COMP\r\n{ABOUT}{about}\r\n");
    assert_eq!(asked(conductor, from, &[text.as_bytes()]), b"", "a complaint has no answer");
}

#[test]
fn members_hear_of_each_other_but_not_of_themselves() {
    let conductor = start(true);
    let [one, two] = [host(), host()];
    assert_eq!(down(&conductor, one, 10_001), nobody());
    assert_eq!(down(&conductor, one, 10_001), nobody(), "not of itself");
    assert_eq!(down(&conductor, two, 10_001), told(&[SocketAddr::new(one, 10_001)]));
    assert_eq!(down(&conductor, one, 10_001), told(&[SocketAddr::new(two, 10_001)]));
    let other = b"DOWN\r\nabc\rd\nef\r\na9993e364706816aba3e25717850c26c9cd0d89d\r\n10001\r\n";
    assert_eq!(
        asked(&conductor, one, &[other]),
        b"NONE\r\nabc\rd\nef\r\na9993e364706816aba3e25717850c26c9cd0d89d\r\n"
    );
}

#[test]
fn who_uploads_is_told_of_and_hears_nothing() {
    let conductor = start(true);
    let [one, two] = [host(), host()];
    let text = format!("UPLD\r\n{ABOUT}10001\r\n");
    assert_eq!(asked(&conductor, one, &[text.as_bytes()]), b"");
    assert_eq!(down(&conductor, two, 0), told(&[SocketAddr::new(one, 10_001)]));
    assert_eq!(down(&conductor, one, 10_001), nobody(), "port 0 is where nobody listens");
}

#[test]
fn questions_may_be_cut_anywhere_and_in_either_case_mean_the_same() {
    let conductor = start(true);
    let [one, two] = [host(), host()];
    down(&conductor, one, 10_001);
    let text = format!("DOWN\r\n{ABOUT}10001\r\n");
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    let expected = told(&[SocketAddr::new(one, 10_001)]);
    assert_eq!(asked(&conductor, two, &pieces), expected.as_bytes());
    let shouted =
        text.replace("a9993e364706816aba3e25717850c26c9cd0d89d", "A9993E364706816ABA3E25717850C26C9CD0D89D");
    let answer = String::from_utf8(asked(&conductor, two, &[shouted.as_bytes()])).unwrap();
    assert!(answer.contains("\r\nA9993E364706816ABA3E25717850C26C9CD0D89D\r\n1\r\n"), "{answer}");
}

#[test]
fn an_address_about_which_several_complain_is_not_told() {
    let conductor = start(true);
    let bad = SocketAddr::new(host(), 10_001);
    let others = [host(), host(), host()];
    let asker = host();
    let members = || down(&conductor, asker, 0);
    let tells_of_it = || members().contains(&format!("\r\n{bad}\r\n"));
    down(&conductor, others[0], 10_001);
    complain(&conductor, others[0], bad);
    down(&conductor, bad.ip(), bad.port());
    for _ in 0..5 {
        complain(&conductor, others[0], bad);
    }
    down(&conductor, others[1], 10_001);
    complain(&conductor, others[1], bad);
    // They do not take part: one asked nothing, one for another composition, and one listens nowhere.
    complain(&conductor, host(), bad);
    let stranger = host();
    asked(&conductor, stranger, &[b"DOWN\r\nother\r\na9993e364706816aba3e25717850c26c9cd0d89d\r\n10001\r\n"]);
    complain(&conductor, stranger, bad);
    complain(&conductor, asker, bad);
    assert!(tells_of_it(), "two are not enough, nor are those who do not take part: {}", members());
    down(&conductor, others[2], 10_001);
    complain(&conductor, others[2], bad);
    assert!(!tells_of_it(), "{}", members());
    assert!(members().contains("\r\n3\r\n"), "the others are told: {}", members());
    down(&conductor, bad.ip(), bad.port());
    assert!(!tells_of_it(), "asking again does not help it");
    down(&conductor, bad.ip(), 10_002);
    assert!(members().contains(&format!("{}:10002\r\n", bad.ip())) && !tells_of_it(), "{}", members());
}

#[test]
fn an_address_is_the_same_in_other_words() {
    let conductor = start(true);
    let (bad, asker) = (host(), host());
    down(&conductor, bad, 10_001);
    let others = [host(), host(), host()];
    for (&other, about) in
        others.iter().zip([format!("{bad}"), format!("[::ffff:{bad}]"), format!("[::ffff:{bad}%7]")])
    {
        down(&conductor, other, 10_001);
        // However often and in whichever words, one is one.
        for about in [format!("[::ffff:{bad}%1]"), format!("[::ffff:{bad}%2]"), about] {
            let text = format!("COMP\r\n{ABOUT}{about}:10001\r\n");
            assert_eq!(asked(&conductor, other, &[text.as_bytes()]), b"");
        }
        let told = down(&conductor, asker, 0).contains(&format!("{bad}:10001"));
        assert_eq!(told, other != others[2]);
    }
}

#[test]
fn complaints_about_everybody_hide_nobody() {
    let conductor = start(true);
    let members = [host(), host(), host()];
    members.iter().for_each(|&member| drop(down(&conductor, member, 10_001)));
    for (&from, &about) in members.iter().flat_map(|from| members.iter().map(move |about| (from, about))) {
        complain(&conductor, from, SocketAddr::new(about, 10_001));
    }
    let told = down(&conductor, host(), 0);
    for member in members {
        assert!(told.contains(&format!("\r\n{member}:10001\r\n")), "{told}");
    }
}

#[test]
fn both_dialects_share_a_port_and_have_swarms_of_their_own() {
    let conductor = start(true);
    let [one, two] = [host(), host()];
    down(&conductor, one, 10_001);
    let mut native = preamble().to_vec();
    let announce = Announce { swarm: [7; 32], port: 5, complete: false, left: 1, event: Event::Going };
    Request::Announce(announce).append_to(&mut native);
    let mut stream = connect_from(two, conductor.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&native).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    assert!(u32::from_le_bytes(length) < 16, "a roster of nobody");
    assert_eq!(down(&conductor, two, 0), told(&[SocketAddr::new(one, 10_001)]));
    assert_eq!((conductor.stats().swarms, conductor.stats().members), (2, 2));
}

/// A byte now and then does not keep a connection.
#[test]
fn a_question_that_never_ends_is_not_waited_for() {
    let timeout = Duration::from_secs(1);
    let config = Config { classic: true, timeout, ..Config::new("127.0.0.1:0".parse().unwrap()) };
    let conductor = Conductor::start(config).unwrap();
    for beginning in ["", "DOWN\r\n", &format!("COMP\r\n{ABOUT}")[..]] {
        let mut stream = connect_from(host(), conductor.address()).unwrap();
        stream.write_all(beginning.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        // Each of these lines may have so many bytes, and takes six times as long as it may.
        let is_over = (0..60).any(|_| {
            let said = stream.write_all(if beginning.is_empty() { b"" } else { b"n" });
            said.is_err()
                || !matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
        });
        assert!(is_over, "it waits for the rest of {beginning:?}");
    }
}

/// A conductor that serves so many connections, with all of these taken.
fn full(classic: bool, desks: usize) -> (Conductor, Vec<TcpStream>) {
    let mut config = Config { classic, ..Config::new("127.0.0.1:0".parse().unwrap()) };
    config.caps.desks = desks;
    let conductor = Conductor::start(config).unwrap();
    let taken = (0..desks).map(|_| connect_from(host(), conductor.address()).unwrap()).collect();
    let since = Instant::now();
    while conductor.stats().connections < desks {
        assert!(since.elapsed() < PATIENCE, "they are not served");
        thread::sleep(Duration::from_millis(5));
    }
    (conductor, taken)
}

/// What a conductor that has no room says in our dialect.
const BUSY: &[u8] = &[2, 0, 0, 0, 1, 2];

#[test]
fn who_finds_no_room_is_told_so_in_its_dialect() {
    let (conductor, taken) = full(true, 1);
    let question = format!("DOWN\r\n{ABOUT}10001\r\n");
    assert_eq!(down(&conductor, host(), 10_001), nobody(), "it asks again soon");
    let pieces: Vec<&[u8]> = question.as_bytes().chunks(7).collect();
    assert_eq!(asked(&conductor, host(), &pieces), nobody().as_bytes());
    let upload = question.replace("DOWN", "UPLD");
    assert_eq!(asked(&conductor, host(), &[upload.as_bytes()]), b"", "that has no answer");
    complain(&conductor, host(), SocketAddr::new(host(), 10_001));
    assert_eq!(asked(&conductor, host(), &[b"GET / HTTP/1.1\r\n"]), b"");
    assert_eq!(asked(&conductor, host(), &[b"DOWN\r\nabc\r\nabc\r\n"]), b"");
    assert_eq!(asked(&conductor, host(), &[&preamble()]), BUSY);
    // Whoever says nothing, or not all, is closed soon.
    assert_eq!(asked(&conductor, host(), &[]), b"");
    assert_eq!(asked(&conductor, host(), &[&question.as_bytes()[..20]]), b"");
    assert_eq!((conductor.stats().members, conductor.stats().connections), (0, 1), "nobody was registered");
    drop(taken);
    let since = Instant::now();
    while conductor.stats().connections > 0 {
        assert!(since.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
    let one = host();
    down(&conductor, one, 10_001);
    assert_eq!(down(&conductor, host(), 0), told(&[SocketAddr::new(one, 10_001)]));
}

#[test]
fn a_conductor_without_the_classic_protocol_need_not_hear_first() {
    let (conductor, _taken) = full(false, 1);
    assert_eq!(asked(&conductor, host(), &[]), BUSY);
}

#[test]
fn it_is_not_spoken_unless_asked_for() {
    let conductor = start(false);
    for word in ["DOWN", "UPLD", "COMP"] {
        let text = format!("{word}\r\n{ABOUT}10001\r\n");
        assert_eq!(asked(&conductor, host(), &[text.as_bytes()]), b"");
    }
    assert_eq!(conductor.stats().members, 0);
}

#[test]
fn what_is_no_question_ends_the_connection_and_nothing_else() {
    let conductor = start(true);
    let one = host();
    let long = "n".repeat(256);
    let ten = vec![b'1'; 10_000_000];
    for (what, text) in [
        ("another word", b"SEND\r\n".to_vec()),
        ("no word", b"\r\n".to_vec()),
        ("a long name", format!("DOWN\r\n{long}").into_bytes()),
        ("a name of other letters", b"DOWN\r\n\xff\xfe\r\n".to_vec()),
        ("no checksum", b"DOWN\r\nabc\r\nabc\r\n".to_vec()),
        ("no port", format!("DOWN\r\n{ABOUT}\r\n").into_bytes()),
        ("a port below all", format!("DOWN\r\n{ABOUT}-1\r\n").into_bytes()),
        ("a port beyond all", format!("DOWN\r\n{ABOUT}65536\r\n").into_bytes()),
        ("no address", format!("COMP\r\n{ABOUT}nas:10001\r\n").into_bytes()),
        ("ten million digits", [format!("DOWN\r\n{ABOUT}").into_bytes(), ten].concat()),
    ] {
        let mut stream = connect_from(one, conductor.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may close before all of it was said.
        drop(stream.write_all(&text));
        assert_eq!(read_all(&mut stream), b"", "{what}");
    }
    assert_eq!(conductor.stats().members, 0);
    assert_eq!(down(&conductor, one, 10_001), nobody());
}
