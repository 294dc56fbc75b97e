//! Peers of a member that break the classic protocol, or stretch it.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::program::PATIENCE;
use crate::common::swarm::{MIB, Member, SOURCE, Swarm, number};
use crate::original::{About, OldConductor, Original, connect_from, mask, unmask};
use crate::world::{about, conductor, host, swarm};

/// What a member may take of the memory, whatever others do.
const MEMORY_MAX_KIB: u64 = 128 * 1024;

/// One end of a link with one of ours, that says what the test says.
struct Peer {
    stream: TcpStream,
    about: About,
    buffer: Vec<u8>,
}

impl Peer {
    fn over(stream: TcpStream, about: &About) -> Peer {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Peer { stream, about: about.clone(), buffer: Vec::new() }
    }

    fn dial(member: &Member, about: &About) -> Peer {
        Peer::over(connect_from(host(), member.address).unwrap(), about)
    }

    /// Dials, and has told that it holds these parts.
    fn holding(member: &Member, about: &About, held: &[bool]) -> Peer {
        let mut peer = Peer::dial(member, about);
        peer.say("DOWN", "");
        let mut heard = [peer.message(), peer.message()];
        heard.sort();
        assert_eq!((heard[0].0.as_str(), heard[1].0.as_str()), ("DOWN", "SEND"));
        peer.say("SEND", &mask(held));
        peer
    }

    fn say(&mut self, word: &str, rest: &str) {
        let message = self.about.message(word, rest);
        self.put(&message);
    }

    fn put(&mut self, bytes: &[u8]) {
        // The member may have ended the link.
        drop(self.stream.write_all(bytes));
    }

    /// The next message: its word and its last line, if it has a fourth.
    fn message(&mut self) -> (String, String) {
        let word = self.line().expect("a message");
        let (name, sha1) = (self.line().unwrap(), self.line().unwrap());
        assert_eq!((name, sha1), (self.about.name.clone(), self.about.sha1.clone()));
        let rest = if word == "DOWN" { String::new() } else { self.line().unwrap() };
        (word, rest)
    }

    /// The next message that is not a question for the list, which is answered as it should be.
    fn message_but_lists(&mut self, held: &[bool]) -> (String, String) {
        loop {
            match self.message() {
                (word, _) if word == "DOWN" => self.say("SEND", &mask(held)),
                other => return other,
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.drain(..end + 2).take(end).collect();
                return Some(String::from_utf8(line).unwrap());
            }
            if self.more() == 0 {
                return None;
            }
        }
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        while self.buffer.len() < len {
            assert_ne!(self.more(), 0, "the link ended within a part");
        }
        self.buffer.drain(..len).collect()
    }

    fn more(&mut self) -> usize {
        let mut bytes = [0; 65_536];
        match self.stream.read(&mut bytes) {
            Ok(len) => {
                self.buffer.extend_from_slice(&bytes[..len]);
                len
            }
            Err(error) => {
                assert!(
                    !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                    "nothing comes"
                );
                0
            }
        }
    }

    /// Waits until the other side has ended the link.
    fn ends(&mut self, what: &str) {
        let since = Instant::now();
        while self.more() > 0 {
            assert!(since.elapsed() < PATIENCE, "it goes on after {what}");
            self.buffer.clear();
        }
    }
}

fn memory_kib(member: &Member) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", member.program.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn source(swarm: &Swarm) -> Member {
    let mut source = swarm.member(SOURCE, &["--classic"]);
    source.until_complete();
    source
}

#[test]
fn what_breaks_the_protocol_ends_the_link_and_costs_nothing() {
    let swarm = swarm(MIB, "64K");
    let about = about(&swarm);
    let source = source(&swarm);
    let parts = about.parts();
    let name = |name: &str| format!("DOWN\r\n{name}\r\n{}\r\n", about.sha1).into_bytes();
    let digits = vec![b'7'; 10_000_000];
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("an unknown word", b"HELO\r\n".to_vec()),
        ("a word of the conductor", about.message("UPLD", "10001")),
        ("a name of 256 bytes", name(&"n".repeat(256))),
        ("a name without end", [b"DOWN\r\n".to_vec(), vec![b'n'; 1 << 20]].concat()),
        ("a name that is no text", b"DOWN\r\n\xff\r\n".to_vec()),
        ("part 0", about.message("PART", "0")),
        ("a part beyond the end", about.message("PART", &(parts + 1).to_string())),
        ("a part far beyond the end", about.message("PART", "9999999999")),
        ("a negative part", about.message("PART", "-1")),
        ("a part with a space", about.message("PART", " 1")),
        ("a part that nobody asked for", [about.message("STRT", "1"), about.part(1).to_vec()].concat()),
        ("a refusal that nobody asked for", about.message("NONE", "1")),
        ("that it does not share it", about.message("NONE", "0")),
        ("a mask that is too short", about.message("SEND", "5")),
        ("a mask that is too long", about.message("SEND", &mask(&vec![true; parts + 1]))),
        ("a negative mask", about.message("SEND", &format!("-{}", mask(&vec![true; parts])))),
        ("a mask with spaces", about.message("SEND", &format!(" {} ", mask(&vec![true; parts])))),
        ("a mask of 10 MB", [about.message("SEND", ""), digits].concat()),
        ("a mask of another file", {
            let other = About { sha1: "0".repeat(40), ..about.clone() };
            other.message("SEND", &mask(&vec![true; parts]))
        }),
    ];
    for (what, bytes) in cases {
        let mut peer = Peer::dial(&source, &about);
        peer.put(&bytes);
        drop(peer.stream.shutdown(Shutdown::Write));
        peer.ends(what);
    }
    // A bad mask after a good beginning, and two good ones for one question.
    for second in ["5".to_owned(), mask(&vec![false; parts])] {
        let mut peer = Peer::holding(&source, &about, &vec![false; parts]);
        peer.say("SEND", &second);
        peer.ends("a second mask");
    }
    assert!(memory_kib(&source) < MEMORY_MAX_KIB, "{} KiB", memory_kib(&source));
    let honest = Original::start(&about, host(), conductor(&swarm), false);
    honest.completes(PATIENCE);
    source.leaves();
}

#[test]
fn questions_about_other_files_are_answered() {
    let swarm = swarm(MIB, "64K");
    let about = about(&swarm);
    let source = source(&swarm);
    let mut peer = Peer::holding(&source, &about, &vec![false; about.parts()]);
    for name in ["other", "a\rb\nc", &"n".repeat(255)] {
        let other = About { name: name.to_owned(), ..about.clone() };
        for message in [other.message("DOWN", ""), other.message("PART", "77")] {
            peer.put(&message);
            let lines: Vec<String> = (0..4).map(|_| peer.line().unwrap()).collect();
            assert_eq!(lines, ["NONE", name, &about.sha1, "0"]);
        }
    }
    // The name as old manifests have it, and the checksum in capitals: answers repeat both.
    let spelled =
        About { name: format!("files/{}", about.name), sha1: about.sha1.to_uppercase(), ..about.clone() };
    peer.put(&spelled.message("PART", "3"));
    let lines: Vec<String> = (0..4).map(|_| peer.line().unwrap()).collect();
    assert_eq!(lines, ["STRT", &spelled.name, &spelled.sha1, "3"]);
    assert_eq!(peer.bytes(about.part(3).len()), about.part(3));
    source.leaves();
}

#[test]
fn several_questions_at_once_are_answered_and_too_many_are_not() {
    let swarm = swarm(MIB, "64K");
    let about = about(&swarm);
    let source = source(&swarm);
    let mut peer = Peer::holding(&source, &about, &vec![false; about.parts()]);
    let questions: Vec<u8> = (1..=8).flat_map(|number| about.message("PART", &number.to_string())).collect();
    peer.put(&questions);
    for number in 1..=8 {
        assert_eq!(
            peer.message_but_lists(&vec![false; about.parts()]),
            ("STRT".to_owned(), number.to_string())
        );
        assert_eq!(peer.bytes(about.part(number).len()), about.part(number));
    }
    let flood = about.message("DOWN", "").repeat(10_000);
    peer.put(&flood);
    peer.ends("a flood of questions");
    source.leaves();
}

#[test]
fn who_never_tells_what_it_holds_or_says_a_line_for_ever_is_left() {
    let swarm = swarm(MIB, "64K");
    let about = about(&swarm);
    let source = source(&swarm);
    let mut mute = Peer::dial(&source, &about);
    mute.say("DOWN", "");
    let mut slow = Peer::dial(&source, &about);
    let line = thread::spawn(move || {
        // A byte now and then does not keep the link.
        for byte in b"DOWN\r\nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" {
            if slow.stream.write_all(&[*byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(500));
        }
        slow.ends("a line for ever");
    });
    mute.ends("no answer to the question for the list");
    line.join().unwrap();
    source.leaves();
}

#[test]
fn a_question_for_a_part_that_is_not_here_waits_for_it() {
    let swarm = swarm(MIB, "64K");
    let about = about(&swarm);
    let getter = swarm.member("getter", &["--classic"]);
    let lacking = vec![false; about.parts()];
    let mut peers = [0; 2].map(|_| Peer::holding(&getter, &about, &lacking));
    peers.iter_mut().for_each(|peer| peer.say("PART", "16"));
    let original = Original::start(&about, host(), conductor(&swarm), true);
    for peer in &mut peers {
        assert_eq!(peer.message_but_lists(&lacking), ("STRT".to_owned(), "16".to_owned()));
        assert_eq!(peer.bytes(about.part(16).len()), about.part(16));
    }
    drop(original);
    getter.leaves();
}

#[test]
fn a_question_for_a_part_that_never_comes_is_refused() {
    let swarm = swarm(MIB, "64K");
    let about = about(&swarm);
    let getter = swarm.member("getter", &["--classic"]);
    let lacking = vec![false; about.parts()];
    let mut peer = Peer::holding(&getter, &about, &lacking);
    peer.say("PART", "16");
    assert_eq!(peer.message_but_lists(&lacking), ("NONE".to_owned(), "16".to_owned()));
    // An original would not, and has to be let go for that.
    loop {
        match peer.line() {
            Some(word) if word == "DOWN" => {
                assert!(peer.line().is_some() && peer.line().is_some());
                peer.say("SEND", &mask(&lacking));
            }
            Some(word) => panic!("{word}"),
            None => break,
        }
    }
    getter.signal(rustix::process::Signal::TERM);
    getter.ends_with(3);
}

/// It asks for what the other side holds and nothing else, one part at a time, and goes on after a refusal.
#[test]
fn ours_asks_one_thing_at_a_time_for_what_is_there() {
    let swarm = swarm(MIB, "64K");
    let about = about(&swarm);
    let old = OldConductor::knowing(&[]);
    let getter = swarm.member("getter", &["--classic", "--conductor", &old.address.to_string()]);
    let held: Vec<bool> = (0..about.parts()).map(|index| index % 2 == 0).collect();
    let mut peer = Peer::holding(&getter, &about, &held);
    let (mut asked, mut refused) = (Vec::new(), None);
    while asked.len() < about.parts() / 2 {
        let (word, rest) = peer.message_but_lists(&held);
        assert_eq!(word, "PART");
        let part: usize = rest.parse().unwrap();
        assert!(held[part - 1] && !asked.contains(&part), "it asks for part {part}");
        asked.push(part);
        assert!(peer.buffer.is_empty(), "one question at a time");
        peer.stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        assert!(peer.stream.read(&mut [0]).is_err(), "one question at a time");
        peer.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        if refused.is_none() {
            refused = Some(part);
            peer.say("NONE", &rest);
        } else {
            let answer = [about.message("STRT", &rest), about.part(part).to_vec()].concat();
            peer.put(&answer);
        }
    }
    // What it got it tells.
    peer.say("DOWN", "");
    let (word, rest) = peer.message_but_lists(&held);
    assert_eq!(word, "SEND");
    let set = unmask(&rest, about.parts());
    let told = set.iter().filter(|&&held| held).count();
    assert!((told == asked.len() - 1 || told == asked.len() - 2) && !set[refused.unwrap() - 1], "{told}");
    drop(peer);
    getter.signal(rustix::process::Signal::TERM);
    getter.ends_with(3);
}

#[test]
fn it_is_not_spoken_unless_asked_for() {
    let swarm = swarm(MIB, "64K");
    let about = about(&swarm);
    let mut source = swarm.member(SOURCE, &[]);
    source.until_complete();
    let mut peer = Peer::dial(&source, &about);
    peer.say("DOWN", "");
    drop(peer.stream.shutdown(Shutdown::Write));
    assert_eq!(peer.line(), None);
    source.leaves();
}

/// Whoever a user names may be an original: what it does not understand in one dialect is said in the other.
#[test]
fn a_member_that_was_named_is_tried_in_both_dialects() {
    let swarm = swarm(MIB, "64K");
    let about = about(&swarm);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let getter = swarm.member("getter", &["--classic", "--member", &address.to_string()]);
    let (mut first, _) = listener.accept().unwrap();
    let mut naming = [0; 4];
    first.read_exact(&mut naming).unwrap();
    assert_eq!(&naming, b"ORCH");
    // An unknown word ends the connection.
    drop(first);
    let mut peer = Peer::over(listener.accept().unwrap().0, &about);
    assert_eq!(peer.message().0, "DOWN");
    let held = vec![true; about.parts()];
    peer.say("SEND", &mask(&held));
    assert_eq!(peer.message_but_lists(&held).0, "PART");
    drop(peer);
    getter.signal(rustix::process::Signal::TERM);
    assert_eq!(number(&getter.ends_with(3), "parts"), 0);
}
