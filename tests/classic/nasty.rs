//! Peers of a member that break the classic protocol, or stretch it.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use orchestra::manifest::Manifest;
use orchestra::wire::desk::{Announce, Event, Request, preamble};
use rustix::process::Signal;

use crate::common::program::PATIENCE;
use crate::common::swarm::{MIB, Member, SOURCE, Swarm, number};
use crate::original::{About, OldConductor, Original, connect_from, mask, unmask};
use crate::world::{about, conductor, host, swarm};

/// What a member may take of the memory, whatever others do.
const MEMORY_MAX_KIB: u64 = 128 * 1024;

/// So many questions may wait for their answers, as PROTOCOL.md has it.
const WINDOW: usize = 16;

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

    /// Dials, and was told which parts are there and asked the same.
    fn met(member: &Member, about: &About) -> Peer {
        let mut peer = Peer::dial(member, about);
        peer.say("DOWN", "");
        let mut heard = [peer.message(), peer.message()];
        heard.sort();
        assert_eq!((heard[0].0.as_str(), heard[1].0.as_str()), ("DOWN", "SEND"));
        peer
    }

    /// The same, and it has told that it holds these parts.
    fn holding(member: &Member, about: &About, held: &[bool]) -> Peer {
        let mut peer = Peer::met(member, about);
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

    /// Waits until the member has ended the link by itself, for this reason.
    fn is_left_for(&mut self, swarm: &Swarm, member: &Member, what: &str, why: &str) {
        self.ends(what);
        let us = format!(" with {} ended: ", self.stream.local_addr().unwrap());
        let since = Instant::now();
        let told = loop {
            let log = swarm.log(member);
            if let Some((_, end)) = log.lines().find_map(|line| line.split_once(&us)) {
                break end.to_owned();
            }
            assert!(since.elapsed() < PATIENCE, "{what}: the log does not tell of the end:\n{log}");
            thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(told, why, "{what}");
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

/// What the log says of a link whose other side broke the protocol in this way.
fn broke(why: &str) -> String {
    format!("the other side broke the protocol: {why}")
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

/// Every case is said on a connection that stays open, so it is the member that ends it, and its log says why.
#[test]
fn what_breaks_the_protocol_ends_the_link_and_costs_nothing() {
    const WORD: &str = "a word of the classic protocol was expected";
    const NAME_LINE: &str = "a line of at most 255 bytes was expected";
    const MASK_LINE: &str = "a line of at most 6 bytes was expected";
    const MASK: &str = "a set of parts that does not fit the composition";
    const NUMBER: &str = "a number was expected";
    const NOT_ASKED: &str = "parts came or were refused that were not asked for";

    let swarm = swarm(MIB, "64K");
    let about = about(&swarm);
    let source = source(&swarm);
    let parts = about.parts();
    assert_eq!(parts, 16, "the reasons below count on it");
    let name = |name: &str| format!("DOWN\r\n{name}\r\n{}\r\n", about.sha1).into_bytes();
    let other = About { sha1: "0".repeat(40), ..about.clone() };
    let endless = |start: Vec<u8>, byte: u8| [start, vec![byte; 10_000_000]].concat();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("an unknown word", b"HELO\r\n".to_vec(), WORD),
        ("a word of the conductor", about.message("UPLD", "10001"), WORD),
        ("a name of 256 bytes", name(&"n".repeat(256)), NAME_LINE),
        ("a name without end", endless(b"DOWN\r\n".to_vec(), b'n'), NAME_LINE),
        ("a name that is no text", b"DOWN\r\n\xff\r\n".to_vec(), "a line is not UTF-8"),
        ("no checksum", b"DOWN\r\nname\r\nxyz\r\n".to_vec(), "a checksum of 40 hex digits was expected"),
        ("part 0", about.message("PART", "0"), "there is no part 0"),
        ("a part beyond the end", about.message("PART", "17"), "there is no part 17"),
        ("a part far beyond the end", about.message("PART", "9999999999"), "there is no part 9999999999"),
        ("a negative part", about.message("PART", "-1"), NUMBER),
        ("a part with a space", about.message("PART", " 1"), NUMBER),
        (
            "a part that nobody asked for",
            [about.message("STRT", "1"), about.part(1).to_vec()].concat(),
            NOT_ASKED,
        ),
        ("a refusal that nobody asked for", about.message("NONE", "1"), NOT_ASKED),
        ("a mask that is too short", about.message("SEND", "5"), MASK),
        ("a mask that is too long", about.message("SEND", &mask(&vec![true; parts + 1])), MASK),
        ("a negative mask", about.message("SEND", "-65536"), MASK),
        ("a mask with a space", about.message("SEND", " 65536"), MASK),
        ("a mask of 10 MB", endless(b"SEND\r\n".to_vec(), b'7'), NAME_LINE),
        ("a mask of 10 MB in its place", endless(about.message("SEND", ""), b'7'), MASK_LINE),
        ("a mask of another file", other.message("SEND", &mask(&vec![true; parts])), NOT_ASKED),
    ];
    for (what, bytes, why) in cases {
        let mut peer = Peer::met(&source, &about);
        peer.put(&bytes);
        peer.is_left_for(&swarm, &source, what, &broke(why));
    }
    let mut peer = Peer::met(&source, &about);
    peer.say("NONE", "0");
    peer.is_left_for(
        &swarm,
        &source,
        "that it does not share it",
        "the other side wants another composition",
    );
    // Two masks for one question: the second is not even read, good or bad.
    for second in ["5".to_owned(), mask(&vec![false; parts])] {
        let mut peer = Peer::holding(&source, &about, &vec![false; parts]);
        peer.say("SEND", &second);
        peer.is_left_for(&swarm, &source, "a second mask", &broke(NOT_ASKED));
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
    let why = broke("more was asked for than the window allows");
    peer.is_left_for(&swarm, &source, "a flood of questions", &why);
    source.leaves();
}

/// Strangers who ask and hardly read have every turn to be sent parts for a moment, and not for as long as they like.
#[test]
fn who_hardly_reads_does_not_keep_others_waiting() {
    let swarm = swarm(32 * MIB, "4M");
    let about = about(&swarm);
    let source = source(&swarm);
    // From here on the source knows how much it can send.
    let mut first = swarm.member("first", &[]);
    first.until_complete();
    first.leaves();
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (1..=4)
        .map(|number: usize| {
            let mut peer = Peer::holding(&source, &about, &vec![false; about.parts()]);
            peer.say("PART", &number.to_string());
            assert_eq!(peer.message(), ("STRT".to_owned(), number.to_string()), "its turn has begun");
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                // So little that it takes minutes, and enough for the writer not to give up.
                while !stop.load(Ordering::Relaxed) {
                    assert_ne!(peer.stream.read(&mut [0; 5_000]).unwrap(), 0, "the link has ended");
                    thread::sleep(Duration::from_millis(500));
                }
            })
        })
        .collect();
    let mut getter = swarm.member("getter", &[]);
    getter.until_complete();
    stop.store(true, Ordering::Relaxed);
    // None of them was cut for it.
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    getter.leaves();
    source.leaves();
    swarm.assert_has("getter");
}

/// Whoever keeps just as many questions waiting as may be, by asking the next one when an answer is whole, is served.
#[test]
fn a_window_that_is_always_full_is_served() {
    let swarm = swarm(4 * MIB, "64K");
    let about = about(&swarm);
    let mut source = swarm.member(SOURCE, &["--classic", "--up", "4M"]);
    source.until_complete();
    let lacking = vec![false; about.parts()];
    let mut peer = Peer::holding(&source, &about, &lacking);
    let mut questions = (1..=about.parts()).map(|number| number.to_string());
    for number in questions.by_ref().take(WINDOW) {
        peer.say("PART", &number);
    }
    for expected in 1..=about.parts() {
        let answer = peer.message_but_lists(&lacking);
        assert_eq!(answer, ("STRT".to_owned(), expected.to_string()));
        assert_eq!(peer.bytes(about.part(expected).len()), about.part(expected));
        if let Some(number) = questions.next() {
            peer.say("PART", &number);
        }
    }
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
    let mut drip = slow.stream.try_clone().unwrap();
    let line = thread::spawn(move || {
        // A byte now and then does not keep the link.
        for byte in b"DOWN\r\n".iter().chain(&[b'n'; 200]) {
            if drip.write_all(&[*byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(500));
        }
        panic!("it was listened to for more than a minute and a half");
    });
    let late = "no valid hello in time";
    mute.is_left_for(&swarm, &source, "no answer to the question for the list", late);
    slow.is_left_for(&swarm, &source, "a line for ever", late);
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
    peer.is_left_for(&swarm, &getter, "a refusal", "the other side has nothing more to ask on it");
    getter.signal(Signal::TERM);
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
    getter.signal(Signal::TERM);
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
    assert_eq!(peer.line(), None);
    let why = broke("the first bytes are not those of this protocol");
    peer.is_left_for(&swarm, &source, "another dialect", &why);
    source.leaves();
}

/// Whoever can break connections does not hear in plain text what would be sealed.
#[test]
fn an_address_that_a_conductor_of_ours_tells_is_not_tried_in_the_other_dialect() {
    let swarm = swarm(MIB, "64K");
    let at = host();
    let listener = TcpListener::bind((at, 0)).unwrap();
    let mut question = preamble().to_vec();
    let manifest = Manifest::parse(&fs::read(swarm.path("song.orch")).unwrap()).unwrap();
    let announce = Announce {
        swarm: *manifest.swarm_id().as_bytes(),
        port: listener.local_addr().unwrap().port(),
        complete: true,
        left: 0,
        event: Event::Started,
    };
    Request::Announce(announce).append_to(&mut question);
    let mut desk = connect_from(at, conductor(&swarm)).unwrap();
    desk.write_all(&question).unwrap();
    desk.read_exact(&mut [0; 4]).unwrap();
    let getter = swarm.member("getter", &["--classic"]);
    for _ in 0..4 {
        let (mut stream, _) = listener.accept().unwrap();
        let mut naming = [0; 4];
        stream.read_exact(&mut naming).unwrap();
        assert_eq!(&naming, b"ORCH");
    }
    getter.signal(Signal::TERM);
    getter.ends_with(3);
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
    getter.signal(Signal::TERM);
    assert_eq!(number(&getter.ends_with(3), "parts"), 0);
}
