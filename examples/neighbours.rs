//! Measures how soon members on a local network find each other, and what it costs the network when they are idle.
//! Needs Linux, root, and iproute2.
//!
//! ```text
//! cargo build --release --example neighbours && sudo target/release/examples/neighbours --runs 10 --minutes 10
//! ```
//!
//! Three hosts are network namespaces on one switch. The first thing that is wrong ends it with a panic.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test that takes long")]

#[path = "../tests/lab/neighbour.rs"]
mod neighbour;
#[path = "../tests/lab/network.rs"]
mod network;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;

use neighbour::{Neighbour, inside};
use network::{Host, Network};

/// Measure members that find each other on a local network
#[derive(Debug, Parser)]
#[command(name = "neighbours", max_term_width = 80)]
struct Arguments {
    /// How often it is measured how soon they find each other
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// For how many minutes the idle network is watched
    #[arg(long, default_value_t = 3)]
    minutes: u32,
}

const PATIENCE: Duration = Duration::from_secs(60);
const MINUTE: Duration = Duration::from_secs(60);

fn main() {
    let arguments = Arguments::parse();
    if let Some(what) = network::missing() {
        println!("not measured: {what}");
        return;
    }
    for run in 1..=arguments.runs {
        meet(run);
    }
    late();
    idle(arguments.minutes);
}

/// Two are there, a third one comes, and one comes back.
fn meet(run: u32) {
    let network = Network::new(3, 100);
    let host = |number| network.host(number);
    let start = |number| Neighbour::start(host(number), number.into(), "ours", || 20_000);
    let (began, one, two) = (Instant::now(), start(1), start(2));
    one.finds(2, PATIENCE);
    two.finds(1, PATIENCE);
    let both = began.elapsed();
    thread::sleep(Duration::from_secs(5));
    let (began, three) = (Instant::now(), start(3));
    three.finds(1, PATIENCE);
    three.finds(2, PATIENCE);
    let finds = began.elapsed();
    one.finds(3, PATIENCE);
    two.finds(3, PATIENCE);
    let is_found = began.elapsed();
    println!(
        "run {run}: two together {both:.2?}; a third one finds them {finds:.2?}, they it {is_found:.2?}"
    );
}

/// The link of one comes up late.
fn late() {
    let network = Network::new(2, 100);
    let host = |number| network.host(number);
    host(2).unplug();
    let start = |number| Neighbour::start(host(number), number.into(), "ours", || 20_000);
    let (one, two) = (start(1), start(2));
    thread::sleep(Duration::from_secs(7));
    let began = Instant::now();
    host(2).plug_in_again();
    two.finds(1, PATIENCE);
    let finds = began.elapsed();
    one.finds(2, PATIENCE);
    println!("a late link: it finds {finds:.2?}, is found {:.2?}", began.elapsed());
}

/// Three that found each other, and nothing else.
fn idle(minutes: u32) {
    let network = Network::new(3, 100);
    let host = |number| network.host(number);
    let all: Vec<_> =
        (1..=3).map(|number: u8| Neighbour::start(host(number), number.into(), "ours", || 20_000)).collect();
    for (one, number) in all.iter().zip(1_u16..) {
        for other in (1..=3).filter(|&other| other != number) {
            one.finds(other, PATIENCE);
        }
    }
    let mut before = sent(&network);
    for minute in 1..=minutes {
        thread::sleep(MINUTE);
        let now = sent(&network);
        let (packets, bytes) = (now.0 - before.0, now.1 - before.1);
        println!(
            "minute {minute}: three idle members sent {packets} packets, {bytes} bytes with Ethernet heads"
        );
        before = now;
    }
}

/// Packets and bytes that the three hosts sent so far.
fn sent(network: &Network) -> (u64, u64) {
    (1..=3).map(|number| sent_by(network.host(number))).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
}

fn sent_by(host: &Host) -> (u64, u64) {
    let text = inside(host.space(), || fs::read_to_string("/proc/thread-self/net/dev").unwrap());
    let line = text.lines().find_map(|line| line.trim().strip_prefix("eth0:")).unwrap();
    let fields: Vec<u64> = line.split_whitespace().map(|field| field.parse().unwrap()).collect();
    (fields[9], fields[8])
}
