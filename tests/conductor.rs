//! The conductor from outside: over raw sockets, as honest members, broken ones and hostile ones use it.

#![allow(clippy::unwrap_used, reason = "clippy knows test functions, but not the helpers between them")]

mod common;

use std::io::{self, Read, Write};
use std::mem;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use orchestra::conductor::{Caps, Conductor, Config, Stats};
use orchestra::host::tcp;
use orchestra::logic::registry::Bounds;
use orchestra::wire::desk::{Announce, Event, Refusal, Reply, Request, Roster, preamble};
use orchestra::wire::dialogue::Decoder;
use rustix::process::Signal;
use socket2::SockRef;

use common::program::{ConductorProgram, binary};
use common::skipped;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to a conductor.
struct Client {
    stream: TcpStream,
    decoder: Decoder<Reply>,
    input: Vec<u8>,
}

impl Client {
    /// Connects and says nothing.
    fn silent(address: impl std::net::ToSocketAddrs) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, decoder: Decoder::<Reply>::new(), input: Vec::new() }
    }

    fn connect(address: impl std::net::ToSocketAddrs) -> Client {
        let mut client = Client::silent(address);
        client.stream.write_all(&preamble()).unwrap();
        client
    }

    /// The next reply, or none when the connection ends, in whatever way.
    fn reply(&mut self) -> Option<Reply> {
        loop {
            let mut input = self.input.as_slice();
            let reply = self.decoder.next(&mut input).expect("a conductor sends what it should");
            self.input = input.to_vec();
            if reply.is_some() {
                return reply;
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(len) => self.input.extend_from_slice(&bytes[..len]),
                Err(error) => {
                    assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "no reply within {PATIENCE:?}");
                    return None;
                }
            }
        }
    }

    fn ask(&mut self, announce: Announce) -> Option<Reply> {
        self.stream.write_all(&bytes_of(announce)).ok()?;
        self.reply()
    }

    fn roster(&mut self, announce: Announce) -> Roster {
        match self.ask(announce) {
            Some(Reply::Roster(roster)) => roster,
            other => panic!("no roster but {other:?}"),
        }
    }

    /// The ports of the members that it is told of.
    fn ports(&mut self, announce: Announce) -> Vec<u16> {
        let mut ports: Vec<u16> = self.roster(announce).members.iter().map(SocketAddr::port).collect();
        ports.sort_unstable();
        ports
    }
}

fn going(swarm: u8, port: u16) -> Announce {
    Announce { swarm: [swarm; 32], port, complete: false, left: 1000, event: Event::Going }
}

fn bytes_of(announce: Announce) -> Vec<u8> {
    let mut bytes = Vec::new();
    Request::Announce(announce).append_to(&mut bytes);
    bytes
}

fn config() -> Config {
    Config::new("127.0.0.1:0".parse().unwrap())
}

fn start() -> Conductor {
    Conductor::start(config()).unwrap()
}

/// Asserts that honest members are served as if nothing had happened.
fn assert_serves(conductor: &Conductor) {
    let mut client = Client::connect(conductor.address());
    client.roster(going(99, 5));
    assert_eq!(Client::connect(conductor.address()).ports(going(99, 6)), [5]);
    client.roster(Announce { event: Event::Left, ..going(99, 5) });
    client.roster(Announce { event: Event::Left, ..going(99, 6) });
}

fn wait_until(conductor: &Conductor, what: &str, condition: impl Fn(Stats) -> bool) {
    let start = Instant::now();
    while !condition(conductor.stats()) {
        assert!(start.elapsed() < PATIENCE, "{what}: {:?}", conductor.stats());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn members_of_a_swarm_hear_of_each_other_and_of_no_other() {
    let conductor = start();
    let mut client = Client::connect(conductor.address());
    assert!(client.ports(going(1, 1001)).is_empty());
    assert_eq!(client.ports(going(1, 1002)), [1001]);
    assert!(client.ports(going(2, 2001)).is_empty());
    let roster = Client::connect(conductor.address()).roster(Announce { complete: true, ..going(1, 1003) });
    assert_eq!((roster.complete, roster.getting, roster.members.len()), (0, 2, 2));
    assert_eq!(client.roster(going(1, 1001)).members[0].port(), 1003);
    assert!(roster.members.iter().all(|member| member.ip() == IpAddr::from([127, 0, 0, 1])));
    client.roster(Announce { event: Event::Left, ..going(1, 1002) });
    assert_eq!(client.ports(going(1, 1001)), [1003]);
    wait_until(&conductor, "two swarms", |stats| (stats.swarms, stats.members) == (2, 3));
    conductor.stop();
    conductor.join().unwrap();
}

#[test]
fn many_requests_fit_a_connection_however_they_are_cut() {
    let conductor = start();
    let mut client = Client::connect(conductor.address());
    let requests: Vec<u8> = (1..=200).flat_map(|port| bytes_of(going(1, port))).collect();
    client.stream.write_all(&requests).unwrap();
    for known in 0..200 {
        let Some(Reply::Roster(roster)) = client.reply() else { panic!("no roster") };
        assert_eq!((roster.getting, roster.members.len()), (known, known.min(50) as usize));
    }
    for byte in bytes_of(going(1, 1)) {
        client.stream.write_all(&[byte]).unwrap();
    }
    assert!(client.reply().is_some());
}

#[test]
fn ipv4_and_ipv6_members_share_a_swarm() {
    let conductor = Conductor::start(Config::new("0".parse().unwrap())).unwrap();
    let mut four = Client::connect(("127.0.0.1", conductor.port()));
    four.roster(going(1, 4));
    if conductor.address().is_ipv4() {
        skipped("needs IPv6");
        return;
    }
    let mut six = Client::connect(("::1", conductor.port()));
    assert_eq!(six.roster(going(1, 6)).members, ["127.0.0.1:4".parse().unwrap()]);
    assert_eq!(four.roster(going(1, 4)).members, ["[::1]:6".parse().unwrap()]);
}

#[test]
fn a_loopback_member_is_shown_under_the_address_that_others_use() {
    let conductor = Conductor::start(Config::new("0".parse().unwrap())).unwrap();
    Client::connect(("127.0.0.1", conductor.port())).roster(going(1, 1001));
    let Some(address) = tcp::outward_address() else {
        skipped("needs a network address besides loopback");
        return;
    };
    let members = Client::connect((address, conductor.port())).roster(going(1, 1002)).members;
    assert_eq!(members, [SocketAddr::new(address, 1001)]);
}

#[test]
fn a_full_swarm_refuses_the_newest_and_serves_the_rest() {
    let bounds = Bounds { swarm_members: 2, swarms: 1, members: 10 };
    let conductor = Conductor::start(Config { bounds, ..config() }).unwrap();
    let mut client = Client::connect(conductor.address());
    client.roster(going(1, 1));
    client.roster(going(1, 2));
    assert_eq!(client.ask(going(1, 3)), Some(Reply::Refused(Refusal::MembersFull)));
    assert_eq!(client.ask(going(2, 3)), Some(Reply::Refused(Refusal::SwarmsFull)));
    assert_eq!(client.ports(going(1, 1)), [2]);
}

#[test]
fn a_half_closed_connection_still_gets_its_replies() {
    let conductor = start();
    let mut client = Client::connect(conductor.address());
    client.stream.write_all(&[bytes_of(going(1, 1)), bytes_of(going(1, 2))].concat()).unwrap();
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert!(client.reply().is_some() && client.reply().is_some());
    assert!(client.reply().is_none());
}

#[test]
fn nonsense_closes_its_own_connection_only() {
    let conductor = start();
    let mut honest = Client::connect(conductor.address());
    honest.roster(going(1, 1));
    let giant = [&preamble()[..], &[0xff, 0xff, 0xff, 0xff, 0]].concat();
    let unknown = [&preamble()[..], &[1, 0, 0, 0, 77]].concat();
    let empty = [&preamble()[..], &[0, 0, 0, 0, 0]].concat();
    let malformed = [&preamble()[..], &[3, 0, 0, 0, 0, 1, 2]].concat();
    let noise: Vec<u8> = (0..100_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
    let http = b"GET /announce HTTP/1.1\r\nHost: conductor\r\n\r\n";
    for bytes in [&giant, &unknown, &empty, &malformed, &noise, &http.to_vec()] {
        let mut client = Client::silent(conductor.address());
        // The conductor may close before it has read everything.
        drop(client.stream.write_all(bytes));
        assert_eq!(client.reply(), None);
    }
    // Another version is told which one is spoken here.
    let mut client = Client::silent(conductor.address());
    client.stream.write_all(b"ORCD\x02").unwrap();
    let mut told = Vec::new();
    client.stream.read_to_end(&mut told).unwrap();
    assert_eq!(told, preamble());
    // What was asked before the nonsense is answered.
    let mut client = Client::connect(conductor.address());
    client.stream.write_all(&[bytes_of(going(1, 2)), vec![9; 9]].concat()).unwrap();
    assert!(client.reply().is_some());
    assert_eq!(client.reply(), None);
    assert_eq!(honest.ports(going(1, 1)), [2]);
}

#[test]
fn who_closes_in_the_middle_of_a_request_leaves_nothing_behind() {
    let conductor = start();
    for cut in 0..preamble().len() + 30 {
        let bytes = [&preamble()[..], &bytes_of(going(1, 1))].concat();
        let mut client = Client::silent(conductor.address());
        client.stream.write_all(&bytes[..cut]).unwrap();
    }
    // Connections are accepted in order, so all of them have been by now.
    assert_serves(&conductor);
    wait_until(&conductor, "all gone", |stats| (stats.connections, stats.members) == (0, 0));
    assert_eq!(conductor.stats().answered, 4);
}

#[test]
fn silence_and_slow_drips_run_into_the_deadline() {
    let conductor = Conductor::start(Config { timeout: Duration::from_millis(400), ..config() }).unwrap();
    let mut silent = Client::silent(conductor.address());
    let mut half = Client::connect(conductor.address());
    let mut kept = Client::connect(conductor.address());
    kept.roster(going(1, 1));
    let mut dripping = Client::silent(conductor.address());
    let drops = [&preamble()[..], &bytes_of(going(1, 2))].concat();
    // All drops together take ten times the deadline, each comes well within it.
    let fallen = drops.iter().take_while(|&&drop| {
        thread::sleep(Duration::from_millis(100));
        dripping.stream.write_all(&[drop]).is_ok()
    });
    assert!(fallen.count() < drops.len(), "the whole request was let through");
    for client in [&mut silent, &mut half, &mut kept, &mut dripping] {
        assert_eq!(client.reply(), None);
    }
    assert_serves(&conductor);
}

#[test]
fn who_never_reads_its_replies_is_closed() {
    let conductor = Conductor::start(Config { timeout: Duration::from_millis(400), ..config() }).unwrap();
    for port in 1..=60 {
        Client::connect(conductor.address()).roster(going(1, port));
    }
    let mut client = Client::connect(conductor.address());
    let start = Instant::now();
    let requests = bytes_of(going(1, 1)).repeat(100);
    while client.stream.write_all(&requests).is_ok() {
        assert!(start.elapsed() < PATIENCE, "it is still served");
    }
    wait_until(&conductor, "closed", |stats| stats.connections == 0);
    assert_serves(&conductor);
}

#[test]
fn who_reads_late_still_gets_every_reply() {
    let (conductor, members) = (start(), 60);
    for port in 1..=members {
        Client::connect(conductor.address()).roster(going(1, port));
    }
    let mut client = Client::connect(conductor.address());
    // So much that the replies fill every buffer on their way long before the last request is read; and so little that
    // all requests are there by then, and none of them wakes the conductor.
    SockRef::from(&client.stream).set_recv_buffer_size(16 * 1024).unwrap();
    let asked = 700;
    client.stream.write_all(&bytes_of(going(1, 1)).repeat(asked)).unwrap();
    let mut answered = 0;
    // Until it answers no more, because nobody reads what it says.
    while mem::replace(&mut answered, conductor.stats().answered) != answered
        || answered == usize::from(members)
    {
        thread::sleep(Duration::from_millis(20));
    }
    for reply in 0..asked {
        assert!(client.reply().is_some(), "{reply} replies to {asked} requests");
    }
}

#[test]
fn connections_over_the_cap_are_refused_politely() {
    let caps = Caps { desks: 20, desks_per_address: 20, pending: 15, pending_per_address: 15 };
    let conductor = Conductor::start(Config { caps, ..config() }).unwrap();
    let mut honest: Vec<Client> = (1..=5).map(|_| Client::connect(conductor.address())).collect();
    honest.iter_mut().for_each(|client| drop(client.roster(going(1, 1))));
    let mut silent: Vec<Client> = (0..15).map(|_| Client::silent(conductor.address())).collect();
    wait_until(&conductor, "all admitted", |stats| stats.connections == 20);
    let mut told = 0;
    for _ in 0..1_000 {
        match Client::connect(conductor.address()).ask(going(1, 9)) {
            Some(Reply::Refused(Refusal::Busy)) => told += 1,
            None => {}
            other => panic!("not refused: {other:?}"),
        }
    }
    assert!(told > 900, "only {told} of 1000 were told why");
    honest.iter_mut().for_each(|client| drop(client.roster(going(1, 1))));
    drop(silent.split_off(1));
    wait_until(&conductor, "room again", |stats| stats.connections == 6);
    assert_serves(&conductor);
}

#[test]
fn one_source_cannot_shut_out_the_others() {
    let caps = Caps { desks: 100, desks_per_address: 10, pending: 100, pending_per_address: 10 };
    let conductor =
        Conductor::start(Config { listen: "0.0.0.0:0".parse().unwrap(), caps, ..config() }).unwrap();
    let silent: Vec<Client> = (0..50).map(|_| Client::silent(("127.0.0.1", conductor.port()))).collect();
    wait_until(&conductor, "the cap", |stats| stats.connections == 10);
    let Some(address) = tcp::outward_address().filter(IpAddr::is_ipv4) else {
        skipped("needs an IPv4 address besides loopback");
        return;
    };
    Client::connect((address, conductor.port())).roster(going(1, 1));
    drop(silent);
}

#[test]
fn honest_members_are_answered_while_hundreds_stay_silent() {
    let conductor = start();
    let silent: Vec<Client> = (0..700).map(|_| Client::silent(conductor.address())).collect();
    wait_until(&conductor, "all open", |stats| stats.connections == silent.len());
    for port in 1..=200 {
        Client::connect(conductor.address()).roster(going(1, port));
    }
    wait_until(&conductor, "all answered", |stats| stats.answered == 200);
    // It stops at once, whoever is connected.
    conductor.stop();
    conductor.join().unwrap();
}

/// The real program.
fn conductor() -> Command {
    Command::new(binary("conductor"))
}

#[test]
fn the_program_serves_until_it_is_asked_to_stop() {
    for signal in [Signal::TERM, Signal::INT] {
        let program = ConductorProgram::start(conductor().args(["--listen", "127.0.0.1:0"]));
        let mut client = Client::connect(program.address);
        client.roster(Announce { event: Event::Started, ..going(0xab, 1001) });
        let (code, log) = program.stop(signal);
        assert_eq!(code, Some(0));
        assert_eq!(client.reply(), None);
        assert!(log.contains("abababab 127.0.0.1:1001 started, lacks 1000 bytes: told 0 of 0"), "{log}");
    }
}

#[test]
fn an_address_in_use_is_told_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let taken = start();
    let output = conductor()
        .args(["--listen", &taken.address().to_string()])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        format!(
            "conductor: cannot listen on {}: another program listens there; \
             stop it or choose another port with --listen\n",
            taken.address()
        )
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn wrong_usage_ends_with_2() {
    for wrong in [&["--listen", "nowhere"][..], &["--listen", "1.2.3.4"], &["--nonsense"], &["extra"]] {
        let output = conductor().args(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
#[cfg(target_os = "linux")]
fn running_out_of_file_descriptors_passes() {
    let program = ConductorProgram::start(
        Command::new("sh")
            .args(["-c", "ulimit -n 24; exec \"$0\" --listen 127.0.0.1:0"])
            .arg(binary("conductor")),
    );
    let crowd: Vec<Client> = (0..60).map(|_| Client::silent(program.address)).collect();
    let start = Instant::now();
    while !program.log().contains("cannot accept a connection") {
        assert!(start.elapsed() < PATIENCE, "{}", program.log());
        thread::sleep(Duration::from_millis(20));
    }
    drop(crowd);
    while !matches!(Client::connect(program.address).ask(going(1, 1)), Some(Reply::Roster(_))) {
        assert!(start.elapsed() < PATIENCE, "{}", program.log());
        thread::sleep(Duration::from_millis(20));
    }
    // It rested in between: a loop that spins would have had hundreds of lines to leave out.
    assert!(!program.log().contains("left out"), "{}", program.log());
}
