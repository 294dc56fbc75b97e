//! Other trackers under the same load, in turn with ours: so that only the ratios within one table count, whatever
//! else the machine does.
//!
//! They are `opentracker` (Debian has it), `aquatic_udp` and `aquatic_http` (crates.io), if they are on the `PATH`.
//! Each gets the questions of its own protocol, over loopback: BEP 15 over UDP, or HTTP over kept connections.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use orchestra::limits::ROSTER_MAX;

use super::client::{Client, connect, source};
use super::common::program::{ConductorProgram, PATIENCE};
use super::floor::Floor;
use super::load::{Arrival, Crowd, KEPT, MEMBERS, Member, SWARMS, Speaker, renew_afresh};
use super::members::PIPELINED;

const SPAN: Duration = Duration::from_secs(5);
const ROUNDS: u64 = 5;
/// A datagram that was not answered by then is lost. On loopback none should be.
const LOST: Duration = Duration::from_secs(2);

pub(crate) fn play(tenth: usize) -> bool {
    let members = MEMBERS / u32::try_from(tenth).unwrap();
    let span = SPAN / u32::try_from(tenth).unwrap();
    println!("\nrivals: {members} members in {SWARMS} swarms, at every tracker that is there");
    let dir = tempfile::tempdir().unwrap();
    let mut table = Table::default();

    let (conductor, floor) = (ConductorProgram::on("127.0.0.1:0"), Floor::start());
    let address = conductor.address;
    let ours = Crowd::new(conductor.id(), move |number| Client::connect(source(number), address));
    let arrival = ours.arrive(members);
    let [one, many] = [1, PIPELINED].map(|at_a_time| {
        let what = format!("ours over TCP, {at_a_time} at a time on each of 100 kept connections");
        table.add(&what, (at_a_time == 1).then_some(&arrival))
    });
    let fresh = table.add("ours over TCP, a fresh connection each", None);
    let address = floor.address;
    let bare = Crowd::new(floor.id(), move |number| Client::connect(source(number), address));
    let bare_one = table.add("the bare loop over TCP, 1 at a time", None);
    let bare_many = table.add(&format!("the bare loop over TCP, {PIPELINED} at a time"), None);

    let mut over_udp = Vec::new();
    for tracker in ["opentracker", "aquatic_udp"].iter().filter_map(|name| Tracker::start(name, dir.path())) {
        let address = tracker.address;
        let crowd = Crowd::new(tracker.process.id(), move |number| Datagrams::open(source(number), address));
        let arrival = crowd.arrive(members);
        let row = table.add(&format!("{} over UDP", tracker.name), Some(&arrival));
        over_udp.push((tracker, crowd, row));
    }
    let mut over_http = Vec::new();
    for tracker in ["aquatic_http"].iter().filter_map(|name| Tracker::start(name, dir.path())) {
        let address = tracker.address;
        let crowd = Crowd::new(tracker.process.id(), move |number| Http::connect(source(number), address));
        let arrival = crowd.arrive(members);
        let row = table.add(&format!("{} over HTTP, kept connections", tracker.name), Some(&arrival));
        over_http.push((tracker, crowd, row));
    }

    for round in 0..ROUNDS {
        table.rate(one, ours.renew(members, span, (1, round)));
        table.rate(bare_one, bare.renew(members, span, (1, round)));
        table.rate(many, ours.renew(members, span, (PIPELINED, round)));
        table.rate(bare_many, bare.renew(members, span, (PIPELINED, round)));
        let connect = |number| Client::connect(source(number), conductor.address).unwrap();
        table.rate(fresh, renew_afresh(conductor.id(), connect, members, span, round));
        for (_, crowd, row) in &over_udp {
            table.rate(*row, crowd.renew(members, span, (1, round)));
        }
        for (_, crowd, row) in &over_http {
            table.rate(*row, crowd.renew(members, span, (1, round)));
        }
    }
    table.print();
    true
}

/// Another tracker at work; it is killed when this is dropped.
struct Tracker {
    name: &'static str,
    process: Child,
    address: SocketAddr,
}

impl Tracker {
    /// Starts it in this folder and waits until it listens; none if it is not there.
    fn start(name: &'static str, dir: &Path) -> Option<Tracker> {
        // They cannot tell which port they got, so they are given one that is free now.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
        let dir = dir.join(name);
        fs::create_dir(&dir).unwrap();
        let mut command = Command::new(name);
        let port = address.port().to_string();
        if name == "opentracker" {
            // Debian's serves only what it is told to; and started by root it locks itself into the folder.
            let known: String = (0..=SWARMS).map(|swarm| hex(&info_hash(swarm), "") + "\n").collect();
            fs::write(dir.join("known"), known).unwrap();
            command.args(["-i", "127.0.0.1", "-p", &port, "-P", &port, "-w", "known", "-d"]).arg(&dir);
        } else {
            let peers = if name == "aquatic_udp" { "max_response_peers" } else { "max_peers" };
            let config = format!("[network]\naddress = \"{address}\"\n[protocol]\n{peers} = {ROSTER_MAX}\n");
            fs::write(dir.join("config.toml"), config).unwrap();
            command.args(["-c", "config.toml"]).current_dir(&dir);
        }
        let log = fs::File::create(dir.join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = match command.spawn() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                println!("       skipped: {name} is not on the PATH");
                return None;
            }
            outcome => outcome.unwrap(),
        };
        let mut tracker = Tracker { name, process, address };
        let start = Instant::now();
        let answers = || match name {
            "aquatic_http" => TcpStream::connect(address).is_ok(),
            _ => Datagrams::open(source(KEPT), address).is_ok(),
        };
        while !answers() {
            let ended = tracker.process.try_wait().unwrap();
            if ended.is_some() || start.elapsed() > PATIENCE {
                let said = fs::read_to_string(dir.join("log")).unwrap_or_default();
                println!("       skipped: {name} does not answer; it said {said:?}");
                return None;
            }
            thread::sleep(Duration::from_millis(50));
        }
        Some(tracker)
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The name of a swarm in the protocols of others, spread as digests are.
fn info_hash(swarm: u32) -> [u8; 20] {
    let mut rng = fastrand::Rng::with_seed(swarm.into());
    std::array::from_fn(|_| rng.u8(..))
}

/// Bytes in hexadecimal, each after a mark.
fn hex(bytes: &[u8], mark: &str) -> String {
    bytes.iter().map(|byte| format!("{mark}{byte:02x}")).collect()
}

/// An address that speaks BEP 15.
struct Datagrams {
    socket: UdpSocket,
    connection: [u8; 8],
    spoken: u32,
}

impl Datagrams {
    fn open(from: Ipv4Addr, tracker: SocketAddr) -> io::Result<Datagrams> {
        let socket = UdpSocket::bind((from, 0))?;
        socket.connect(tracker)?;
        socket.set_read_timeout(Some(LOST))?;
        let question = [&0x0417_2710_1980_u64.to_be_bytes()[..], &[0; 8]].concat();
        socket.send(&question)?;
        let mut answer = [0; 16];
        if socket.recv(&mut answer)? != answer.len() || answer[..8] != [0; 8] {
            return Err(io::Error::other("no answer to a connect"));
        }
        let connection = answer[8..].try_into().expect("it has 16 bytes");
        Ok(Datagrams { socket, connection, spoken: 0 })
    }
}

impl Speaker for Datagrams {
    fn say(&mut self, members: &[Member]) -> io::Result<()> {
        for member in members {
            self.spoken += 1;
            let mut datagram = [0; 98];
            datagram[..8].copy_from_slice(&self.connection);
            datagram[8..12].copy_from_slice(&1_u32.to_be_bytes());
            datagram[12..16].copy_from_slice(&self.spoken.to_be_bytes());
            datagram[16..36].copy_from_slice(&info_hash(member.swarm));
            datagram[36..38].copy_from_slice(&member.port.to_be_bytes());
            datagram[64..72].copy_from_slice(&(u64::from(!member.complete) << 20).to_be_bytes());
            datagram[80..84].copy_from_slice(&(if member.known { 0_u32 } else { 2 }).to_be_bytes());
            datagram[92..96].copy_from_slice(&u32::try_from(ROSTER_MAX).unwrap().to_be_bytes());
            datagram[96..].copy_from_slice(&member.port.to_be_bytes());
            self.socket.send(&datagram)?;
        }
        Ok(())
    }

    fn hear(&mut self, count: usize) -> io::Result<()> {
        for _ in 0..count {
            let mut answer = [0; 2048];
            let len = self.socket.recv(&mut answer)?;
            if len < 20 || answer[..4] != 1_u32.to_be_bytes() {
                return Err(io::Error::other(format!("no roster: {}", answer[..len].escape_ascii())));
            }
        }
        Ok(())
    }
}

/// A connection over which one HTTP request follows the other.
struct Http {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Http {
    fn connect(from: Ipv4Addr, tracker: SocketAddr) -> io::Result<Http> {
        let stream = connect(from, tracker)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Http { stream, input: Vec::new() })
    }

    /// The length of the first answer, once it is all there.
    fn answer_len(&self) -> io::Result<Option<usize>> {
        let nonsense = || io::Error::other(format!("no roster: {}", self.input.escape_ascii()));
        let Some(head) = self.input.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = str::from_utf8(&self.input[..head]).map_err(|_| nonsense())?;
        let mut lines = text.lines();
        let good = lines.next().is_some_and(|line| line.starts_with("HTTP/1.1 200"));
        let len = lines.find_map(|line| line.strip_prefix("Content-Length:")?.trim().parse::<usize>().ok());
        let all = head + 4 + len.filter(|_| good).ok_or_else(nonsense)?;
        if self.input.len() < all {
            return Ok(None);
        }
        let has_peers = self.input[head..all].windows(7).any(|bytes| bytes == b"5:peers");
        if has_peers { Ok(Some(all)) } else { Err(nonsense()) }
    }
}

impl Speaker for Http {
    fn say(&mut self, members: &[Member]) -> io::Result<()> {
        let mut request = String::new();
        for member in members {
            let hash = hex(&info_hash(member.swarm), "%");
            let (port, left) = (member.port, u64::from(!member.complete) << 20);
            let event = if member.known { "" } else { "&event=started" };
            request += &format!(
                "GET /announce?info_hash={hash}&peer_id=-OR0100-{port:012}&port={port}&uploaded=0&downloaded=0\
                 &left={left}&compact=1&numwant={ROSTER_MAX}{event} HTTP/1.1\r\nHost: localhost\r\n\r\n"
            );
        }
        self.stream.write_all(request.as_bytes())
    }

    fn hear(&mut self, count: usize) -> io::Result<()> {
        for _ in 0..count {
            let len = loop {
                if let Some(len) = self.answer_len()? {
                    break len;
                }
                let mut bytes = [0; 4096];
                let len = self.stream.read(&mut bytes)?;
                if len == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                self.input.extend_from_slice(&bytes[..len]);
            };
            self.input.drain(..len);
        }
        Ok(())
    }
}

/// What is printed at the end, as Markdown.
#[derive(Default)]
struct Table {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    bytes_each: Option<f64>,
    rates: Vec<f64>,
}

impl Table {
    fn add(&mut self, what: &str, arrival: Option<&Arrival>) -> usize {
        let bytes_each = arrival.map(|arrival| arrival.bytes_each);
        self.rows.push(Row { what: what.to_owned(), bytes_each, rates: Vec::new() });
        self.rows.len() - 1
    }

    fn rate(&mut self, row: usize, rate: f64) {
        self.rows[row].rates.push(rate);
    }

    fn print(&mut self) {
        println!(
            "\n| | announces a CPU second: median | slowest and fastest round | bytes a member |\n|---|---|---|---|"
        );
        for Row { what, bytes_each, rates } in &mut self.rows {
            rates.sort_unstable_by(f64::total_cmp);
            let thousands = |rate: f64| format!("{:.0},000", rate / 1000.0);
            let [median, least, most] = [rates.len() / 2, 0, rates.len() - 1].map(|at| thousands(rates[at]));
            let bytes = bytes_each.map(|bytes| format!("{bytes:.0}")).unwrap_or_default();
            println!("| {what} | {median} | {least} to {most} | {bytes} |");
        }
    }
}
