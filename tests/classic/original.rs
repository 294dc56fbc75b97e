//! An original member and an original conductor, byte by byte and with their habits, as CLASSIC.md of the project's users
//! describes them. Nothing here uses our codec.

#![allow(dead_code, reason = "each test program uses a part of this")]

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

/// Where every original member listens.
pub(crate) const PORT: u16 = 10_001;
/// It asks the conductor again after this long while it knows nobody, ...
const ALONE: Duration = Duration::from_secs(5);
/// ... and after this long if it knows somebody.
const KNOWN: Duration = Duration::from_secs(10);
/// It asks for the list again after this long when it lacks nothing.
const LIST: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(1);
const BEAT: Duration = Duration::from_millis(50);

/// A composition as its manifest describes it.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) sha1: String,
    pub(crate) part_len: usize,
    /// What is compared instead of the checksums of the parts.
    pub(crate) content: Arc<Vec<u8>>,
}

impl About {
    pub(crate) fn parts(&self) -> usize {
        self.content.len().div_ceil(self.part_len)
    }

    /// The bytes of a part, counted from 1.
    pub(crate) fn part(&self, number: usize) -> &[u8] {
        let start = (number - 1) * self.part_len;
        &self.content[start..self.content.len().min(start + self.part_len)]
    }

    /// A message: a word, what it is about, and perhaps one more line.
    pub(crate) fn message(&self, word: &str, rest: &str) -> Vec<u8> {
        let rest = if rest.is_empty() { String::new() } else { format!("{rest}\r\n") };
        format!("{word}\r\n{}\r\n{}\r\n{rest}", self.name, self.sha1).into_bytes()
    }
}

/// A set of parts as a decimal integer: bits by doubling, the bit above the last part first.
pub(crate) fn mask(held: &[bool]) -> String {
    let mut digits = vec![1u8];
    for &bit in held.iter().rev() {
        let mut carry = u8::from(bit);
        for digit in &mut digits {
            let doubled = *digit * 2 + carry;
            (*digit, carry) = (doubled % 10, doubled / 10);
        }
        if carry > 0 {
            digits.push(carry);
        }
    }
    digits.iter().rev().map(|&digit| char::from(b'0' + digit)).collect()
}

/// The parts in such an integer: bits by halving.
pub(crate) fn unmask(text: &str, parts: usize) -> Vec<bool> {
    let mut digits: Vec<u8> = text.bytes().map(|byte| byte - b'0').collect();
    let mut bits = Vec::new();
    while digits.iter().any(|&digit| digit > 0) {
        let mut rest = 0;
        for digit in &mut digits {
            let value = rest * 10 + *digit;
            (*digit, rest) = (value / 2, value % 2);
        }
        bits.push(rest == 1);
    }
    assert_eq!((bits.len(), bits.last()), (parts + 1, Some(&true)), "{text} is no set of {parts} parts");
    bits.truncate(parts);
    bits
}

/// A connection from this address, which gives up after a second.
pub(crate) fn connect_from(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    if from.is_ipv4() == to.is_ipv4() {
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    socket.connect_timeout(&to.into(), CONNECT)?;
    Ok(socket.into())
}

/// Lines and bytes off a socket; knows when it should stop waiting.
pub(crate) struct Input<'s> {
    stream: TcpStream,
    buffer: Vec<u8>,
    stop: &'s dyn Fn() -> bool,
}

impl<'s> Input<'s> {
    pub(crate) fn new(stream: &TcpStream, stop: &'s dyn Fn() -> bool) -> Input<'s> {
        let stream = stream.try_clone().unwrap();
        stream.set_read_timeout(Some(BEAT)).unwrap();
        Input { stream, buffer: Vec::new(), stop }
    }

    /// The next line without its end; none at the end of the connection.
    pub(crate) fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let rest = self.buffer.split_off(end + 2);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.truncate(end);
                return Some(String::from_utf8(line).unwrap());
            }
            self.more()?;
        }
    }

    pub(crate) fn lines(&mut self, count: usize) -> Option<Vec<String>> {
        (0..count).map(|_| self.line()).collect()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < len {
            self.more()?;
        }
        let rest = self.buffer.split_off(len);
        Some(std::mem::replace(&mut self.buffer, rest))
    }

    fn more(&mut self) -> Option<()> {
        let mut bytes = [0; 65_536];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(len) => {
                    self.buffer.extend_from_slice(&bytes[..len]);
                    return Some(());
                }
                Err(error) if is_pause(&error) => {
                    if (self.stop)() {
                        return None;
                    }
                }
                Err(_) => return None,
            }
        }
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// An original member at work; it leaves when it is dropped.
pub(crate) struct Original {
    core: Arc<Core>,
    threads: Vec<JoinHandle<()>>,
}

struct Core {
    about: About,
    ip: IpAddr,
    conductor: SocketAddr,
    held: Mutex<Vec<bool>>,
    /// Whether it sends other bytes than it should.
    lies: bool,
    stop: AtomicBool,
    /// Whom it has a connection with.
    peers: Mutex<BTreeSet<IpAddr>>,
    seed: AtomicU64,
    /// Connections that it ever had.
    connections: AtomicUsize,
    /// Parts that it received, and sent.
    received: AtomicUsize,
    sent: AtomicUsize,
}

impl Original {
    /// Starts a member at this address that holds everything or nothing.
    pub(crate) fn start(about: &About, ip: IpAddr, conductor: SocketAddr, complete: bool) -> Original {
        Original::with(about, ip, conductor, complete, false)
    }

    /// One that holds everything and sends wrong bytes.
    pub(crate) fn liar(about: &About, ip: IpAddr, conductor: SocketAddr) -> Original {
        Original::with(about, ip, conductor, true, true)
    }

    fn with(about: &About, ip: IpAddr, conductor: SocketAddr, complete: bool, lies: bool) -> Original {
        let core = Arc::new(Core {
            about: about.clone(),
            ip,
            conductor,
            held: Mutex::new(vec![complete; about.parts()]),
            lies,
            stop: AtomicBool::new(false),
            peers: Mutex::new(BTreeSet::new()),
            seed: AtomicU64::new(1),
            connections: AtomicUsize::new(0),
            received: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind(SocketAddr::new(ip, PORT)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let accepts = Arc::clone(&core);
        let asks = Arc::clone(&core);
        let threads = vec![
            thread::spawn(move || accepts.accept(&listener)),
            thread::spawn(move || asks.ask_conductor()),
        ];
        Original { core, threads }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.core.held.lock().unwrap().iter().all(|&held| held)
    }

    /// Waits until it holds everything.
    #[track_caller]
    pub(crate) fn completes(&self, patience: Duration) {
        let since = Instant::now();
        while !self.is_complete() {
            let held = self.core.held.lock().unwrap().iter().filter(|&&held| held).count();
            assert!(since.elapsed() < patience, "it holds {held} of {} parts", self.core.about.parts());
            thread::sleep(BEAT);
        }
    }

    pub(crate) fn received(&self) -> usize {
        self.core.received.load(Ordering::Relaxed)
    }

    pub(crate) fn sent(&self) -> usize {
        self.core.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn connections(&self) -> usize {
        self.core.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Original {
    fn drop(&mut self) {
        self.core.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl Core {
    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn pause(&self, span: Duration) {
        let since = Instant::now();
        while since.elapsed() < span && !self.stops() {
            thread::sleep(BEAT);
        }
    }

    fn accept(self: &Arc<Core>, listener: &TcpListener) {
        while !self.stops() {
            match listener.accept() {
                Ok((stream, from)) => self.talk(stream, from.ip()),
                Err(_) => thread::sleep(BEAT),
            }
        }
    }

    fn ask_conductor(self: &Arc<Core>) {
        let mut known = BTreeSet::new();
        while !self.stops() {
            for address in self.told().unwrap_or_default() {
                known.insert(address);
            }
            for &address in &known {
                let is_new = !self.peers.lock().unwrap().contains(&address.ip());
                if is_new && let Ok(stream) = connect_from(self.ip, address) {
                    self.talk(stream, address.ip());
                }
            }
            self.pause(if known.is_empty() { ALONE } else { KNOWN });
        }
    }

    /// What the conductor answers, if it does.
    fn told(&self) -> Option<Vec<SocketAddr>> {
        let mut stream = connect_from(self.ip, self.conductor).ok()?;
        stream.write_all(&self.about.message("DOWN", &PORT.to_string())).ok()?;
        let stop = || self.stops();
        let mut input = Input::new(&stream, &stop);
        let head = input.lines(3)?;
        assert_eq!(
            head[1..],
            [self.about.name.clone(), self.about.sha1.clone()],
            "it would give up for good"
        );
        if head[0] == "NONE" {
            assert!(input.line().is_none(), "the conductor closes the connection");
            return Some(Vec::new());
        }
        assert_eq!(head[0], "SEND");
        let count: usize = input.line()?.parse().unwrap();
        assert!((1..=1_000_000).contains(&count), "it would give up for good");
        let lines = input.lines(count)?;
        assert!(input.line().is_none(), "the conductor closes the connection");
        // It splits at the colon, and knows no addresses of IPv6.
        let address = |line: &String| {
            let (ip, port) = line.split_once(':').unwrap();
            SocketAddr::new(IpAddr::V4(ip.parse().unwrap()), port.parse().unwrap())
        };
        Some(lines.iter().map(address).collect())
    }

    /// Talks on a connection, unless both ends have the same address.
    fn talk(self: &Arc<Core>, stream: TcpStream, far: IpAddr) {
        if far == self.ip {
            return;
        }
        stream.set_nonblocking(false).unwrap();
        stream.set_nodelay(true).unwrap();
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.peers.lock().unwrap().insert(far);
        let core = Arc::clone(self);
        thread::spawn(move || {
            let out = Arc::new(Mutex::new(stream.try_clone().unwrap()));
            let (tell, told) = channel();
            let asks = {
                let (core, out) = (Arc::clone(&core), Arc::clone(&out));
                thread::spawn(move || core.ask(&out, &told))
            };
            core.answer(&stream, &out, &tell);
            drop(tell);
            drop(stream.shutdown(Shutdown::Both));
            drop(asks.join());
            core.peers.lock().unwrap().remove(&far);
        });
    }

    /// Asks for the list, then for one part at a time, at random, whether or not the other side holds it, until it is
    /// refused one; and for the list again while it lacks nothing.
    fn ask(&self, out: &Mutex<TcpStream>, told: &Receiver<bool>) {
        let mut rng = fastrand::Rng::with_seed(self.seed.fetch_add(1, Ordering::Relaxed) + u64::from(PORT));
        if !say(out, &self.about.message("DOWN", "")) || told.recv().is_err() {
            return;
        }
        loop {
            let lacking: Vec<usize> = {
                let held = self.held.lock().unwrap();
                held.iter().enumerate().filter(|(_, held)| !**held).map(|(index, _)| index + 1).collect()
            };
            let question = match rng.choice(lacking) {
                Some(number) => self.about.message("PART", &number.to_string()),
                None => {
                    match told.recv_timeout(LIST) {
                        Err(RecvTimeoutError::Timeout) if !self.stops() => {}
                        _ => return,
                    }
                    self.about.message("DOWN", "")
                }
            };
            if !say(out, &question) || told.recv() != Ok(true) {
                return;
            }
        }
    }

    /// Reads until the end of the connection, or an unknown word; tells of each answer whether it was a good one.
    fn answer(&self, stream: &TcpStream, out: &Mutex<TcpStream>, tell: &Sender<bool>) {
        let stop = || self.stops();
        let mut input = Input::new(stream, &stop);
        while let Some(word) = input.line() {
            let Some(head) = input.lines(2) else { return };
            let is_ours = head == [self.about.name.clone(), self.about.sha1.clone()];
            assert!(is_ours, "ours speaks of {head:?}");
            let goes_on = match word.as_str() {
                "DOWN" => {
                    let mask = mask(&self.held.lock().unwrap());
                    say(out, &self.about.message("SEND", &mask))
                }
                "SEND" => input.line().is_some_and(|line| {
                    unmask(&line, self.about.parts());
                    tell.send(true).is_ok()
                }),
                "PART" => input.line().is_some_and(|line| self.give(out, line.parse().unwrap())),
                "STRT" => input.line().is_some_and(|line| {
                    let number: usize = line.parse().unwrap();
                    let expected = self.about.part(number);
                    let Some(bytes) = input.bytes(expected.len()) else { return false };
                    let is_right = bytes == expected;
                    if is_right {
                        self.received.fetch_add(1, Ordering::Relaxed);
                        self.held.lock().unwrap()[number - 1] = true;
                    }
                    tell.send(is_right).is_ok() || is_right
                }),
                "NONE" => input.line().is_some_and(|_| {
                    // It may have been refused something before, and asks nothing more.
                    let _unheard = tell.send(false);
                    true
                }),
                _ => false,
            };
            if !goes_on {
                return;
            }
        }
    }

    fn give(&self, out: &Mutex<TcpStream>, number: usize) -> bool {
        if !self.held.lock().unwrap()[number - 1] {
            return say(out, &self.about.message("NONE", &number.to_string()));
        }
        let mut answer = self.about.message("STRT", &number.to_string());
        let start = answer.len();
        answer.extend_from_slice(self.about.part(number));
        if self.lies {
            answer[start] ^= 1;
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        say(out, &answer)
    }
}

fn say(out: &Mutex<TcpStream>, bytes: &[u8]) -> bool {
    out.lock().unwrap().write_all(bytes).is_ok()
}

/// An original conductor: it never forgets anybody, and tells an asker of itself when it asks again.
pub(crate) struct OldConductor {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl OldConductor {
    /// One that already knows these.
    pub(crate) fn knowing(known: &[SocketAddr]) -> OldConductor {
        OldConductor::telling(known.iter().map(SocketAddr::to_string).collect())
    }

    /// One that tells these lines.
    pub(crate) fn telling(known: Vec<String>) -> OldConductor {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let known = Arc::new(Mutex::new(known));
        let stops = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stops.load(Ordering::Relaxed) {
                let Ok((stream, from)) = listener.accept() else {
                    thread::sleep(BEAT);
                    continue;
                };
                let (known, stops) = (Arc::clone(&known), Arc::clone(&stops));
                thread::spawn(move || {
                    stream.set_nonblocking(false).unwrap();
                    serve(&stream, from, &known, &|| stops.load(Ordering::Relaxed));
                });
            }
        });
        OldConductor { address, stop, thread: Some(thread) }
    }
}

impl Drop for OldConductor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

fn serve(mut stream: &TcpStream, from: SocketAddr, known: &Mutex<Vec<String>>, stop: &dyn Fn() -> bool) {
    let mut input = Input::new(stream, stop);
    // It waits for the end of a line for as long as it takes.
    let Some(lines) = input.lines(4) else { return };
    if lines[0] != "DOWN" {
        return;
    }
    let mut known = known.lock().unwrap();
    let about = format!("{}\r\n{}\r\n", lines[1], lines[2]);
    let answer = if known.is_empty() {
        format!("NONE\r\n{about}")
    } else {
        let list: String = known.iter().map(|address| format!("{address}\r\n")).collect();
        format!("SEND\r\n{about}{}\r\n{list}", known.len())
    };
    drop(stream.write_all(answer.as_bytes()));
    let asker = SocketAddr::new(from.ip(), lines[3].parse().unwrap()).to_string();
    if !known.contains(&asker) {
        known.push(asker);
    }
}
