//! Thousands of connections that say nothing or hardly anything, and honest members among them.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use orchestra::wire::desk::{Event, Reply, preamble};

use super::bar;
use super::client::{Client, announce, connect, source};
use super::common::program::ConductorProgram;
use super::process::{Meter, rss};

const IDLE: usize = 10_000;
/// So many of them come from one address: far less than one may have, far more than an honest site.
const IDLE_PER_SOURCE: usize = 40;
/// Every other one sends a byte of a true request so often.
const DRIP_INTERVAL: Duration = Duration::from_secs(5);
const HONEST: u32 = 1_000;
const HONEST_THREADS: u32 = 4;
/// How often each of them announces itself.
const HONEST_INTERVAL: Duration = Duration::from_secs(10);
const SPAN: Duration = Duration::from_secs(40);
/// The bars.
const P99_MAX: Duration = Duration::from_millis(100);
const RSS_MAX_MIB: u64 = 200;

pub(crate) fn play(tenth: usize) -> bool {
    let idle = IDLE / tenth;
    println!("\nidle: {idle} connections from {} addresses that hold on", idle.div_ceil(IDLE_PER_SOURCE));
    let conductor = ConductorProgram::on("127.0.0.1:0");
    let (address, process) = (conductor.address, conductor.id());
    let span = if tenth == 1 { SPAN } else { SPAN / 4 };
    let alone = honest(address, span / 4);
    println!("       without them: {}", Latencies(&alone));
    let (stop, held) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let attackers = {
        let (stop, held) = (Arc::clone(&stop), Arc::clone(&held));
        thread::spawn(move || attack(address, idle, &stop, &held))
    };
    while held.load(Ordering::Relaxed) < idle {
        thread::sleep(Duration::from_millis(20));
    }
    let meter = Meter::start(process);
    let latencies = honest(address, span);
    let cpu: f64 = meter.seconds().iter().sum();
    let [rss_now, rss_most] = rss(process);
    stop.store(true, Ordering::Relaxed);
    let (opened, least) = attackers.join().unwrap();
    println!("       with them:    {}", Latencies(&latencies));
    println!(
        "       {least} to {idle} were held at any time, {opened} were opened in all; the conductor used {:.0} % \
         of a core",
        cpu / span.as_secs_f64() * 100.0
    );
    let p99 = percentile(&latencies, 99);
    // It hangs on what else the machine does, so whoever reads it judges it.
    bar(p99 <= P99_MAX, &format!("99 of 100 answers within {p99:.1?}, the bar is {P99_MAX:?}"));
    let small = rss_most <= RSS_MAX_MIB * 1024;
    let said = format!(
        "{:.1} MiB resident, {:.1} at most; the bar is {RSS_MAX_MIB}",
        rss_now as f64 / 1024.0,
        rss_most as f64 / 1024.0
    );
    bar(small, &said)
}

/// Holds so many connections until it is told to stop; how many were opened, and the fewest that were held at once.
fn attack(conductor: SocketAddr, count: usize, stop: &AtomicBool, held: &AtomicUsize) -> (u64, usize) {
    // A true request, so that no byte betrays them.
    let drops = [&preamble()[..], &announce(0, 1, false, Event::Started)].concat();
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(1024);
    let mut streams: Vec<Option<(TcpStream, usize)>> = (0..count).map(|_| None).collect();
    let (mut missing, mut opened, mut open, mut least) = ((0..count).collect::<Vec<_>>(), 0, 0, count);
    let (mut next_drop, mut all_were_open) = (Instant::now() + DRIP_INTERVAL, false);
    while !stop.load(Ordering::Relaxed) {
        for at in std::mem::take(&mut missing) {
            let from = source(u32::try_from(at / IDLE_PER_SOURCE).unwrap());
            let Ok(stream) = connect(from, conductor) else {
                missing.push(at);
                continue;
            };
            stream.set_nonblocking(true).unwrap();
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(at), Interest::READABLE).unwrap();
            streams[at] = Some((stream, 0));
            opened += 1;
            open += 1;
        }
        if !all_were_open && open == count {
            all_were_open = true;
            held.store(open, Ordering::Relaxed);
        }
        match poll.poll(&mut events, Some(Duration::from_millis(20))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome.unwrap(),
        }
        for event in &events {
            let Some((stream, _)) = &mut streams[event.token().0] else { continue };
            // Whatever comes: its time is over, and the next one takes its place.
            let over =
                !matches!(stream.read(&mut [0; 64]), Err(error) if error.kind() == ErrorKind::WouldBlock);
            if over {
                streams[event.token().0] = None;
                missing.push(event.token().0);
                open -= 1;
            }
        }
        if all_were_open {
            least = least.min(open);
        }
        if Instant::now() >= next_drop {
            next_drop += DRIP_INTERVAL;
            for (stream, dripped) in streams.iter_mut().step_by(2).flatten() {
                // It may be over already; the next look at it will tell.
                let sent = stream.write(&drops[*dripped..=*dripped]).unwrap_or(0);
                *dripped += sent;
            }
        }
    }
    (opened, least)
}

/// Lets honest members announce themselves for a while, each with a connection of its own for each announce; how
/// long each took from the connect to the whole answer, sorted.
fn honest(conductor: SocketAddr, span: Duration) -> Vec<Duration> {
    let threads: Vec<_> = (0..HONEST_THREADS)
        .map(|thread| thread::spawn(move || honest_thread(conductor, span, thread)))
        .collect();
    let mut latencies: Vec<Duration> =
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    latencies.sort_unstable();
    latencies
}

fn honest_thread(conductor: SocketAddr, span: Duration, thread: u32) -> Vec<Duration> {
    let start = Instant::now();
    let members = HONEST / HONEST_THREADS;
    let pause = HONEST_INTERVAL / members;
    let mut latencies = Vec::new();
    for turn in 0.. {
        let due = start + pause * turn;
        if due >= start + span {
            break;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let member = thread * members + turn % members;
        // Counted from when it was due, so that a slow answer does not hide that the next one came late.
        let mut client = Client::connect(source(100_000 + member), conductor).unwrap();
        let event = if turn < members { Event::Started } else { Event::Going };
        let reply = client.ask(&announce(member % 10, 10_001, false, event)).unwrap();
        assert!(matches!(reply, Reply::Roster(_)), "{reply:?}");
        latencies.push(due.elapsed());
    }
    latencies
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

struct Latencies<'a>(&'a [Duration]);

impl std::fmt::Display for Latencies<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [half, most, worst] = [50, 99, 100].map(|percent| percentile(self.0, percent));
        write!(
            f,
            "{} answers, half within {half:.1?}, 99 of 100 within {most:.1?}, the last {worst:.1?}",
            self.0.len()
        )
    }
}
