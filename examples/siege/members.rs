//! Many members in many swarms: what each costs in memory and CPU time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use orchestra::wire::desk::{Event, Reply};

use super::bar;
use super::client::{Client, announce, source};
use super::common::program::ConductorProgram;
use super::process::{Meter, rss};

const MEMBERS: u32 = 100_000;
const SWARMS: u32 = 1_000;
/// One of so many is complete.
const MEMBERS_PER_COMPLETE: u32 = 10;
/// Connections that are kept.
const KEPT: u32 = 256;
/// How many are asked before the first of them is heard: as when so many members ask at the same moment.
const TOGETHER: usize = 64;
/// How many announces come in one piece where one connection speaks for many members.
const PIPELINED: usize = 8;
const SPAN: Duration = Duration::from_secs(10);
const ROUNDS: usize = 3;
/// The bars.
const BYTES_MAX: f64 = 64.0;
const KEPT_MIN: f64 = 200_000.0;
const FRESH_MIN: f64 = 20_000.0;

pub(crate) fn play(tenth: usize) -> bool {
    let members = MEMBERS / u32::try_from(tenth).unwrap();
    let span = SPAN / u32::try_from(tenth).unwrap();
    println!("\nmembers: {members} in {SWARMS} swarms");
    let conductor = ConductorProgram::on("127.0.0.1:0");
    let (address, process) = (conductor.address, conductor.id());
    let mut kept: Vec<Client> =
        (0..KEPT).map(|number| Client::connect(source(number), address).unwrap()).collect();
    // Every connection is at work before the first look at the memory.
    kept.iter_mut().for_each(|client| drop(client.ask(&announce(u32::MAX, 0, false, Event::Going)).unwrap()));
    let [before, _] = rss(process);
    let meter = Meter::start(process);
    for number in 0..members {
        let client = &mut kept[of(number) as usize];
        client.send(&word(number, Event::Started)).unwrap();
        assert!(matches!(client.reply(), Ok(Reply::Roster(_))));
    }
    let [user, system] = meter.seconds();
    let [after, most] = rss(process);
    println!(
        "       {:.0} new members a CPU second ({user:.2} s user, {system:.2} s system); {:.1} MiB resident, {:.1} at most",
        f64::from(members) / (user + system),
        after as f64 / 1024.0,
        most as f64 / 1024.0
    );
    let bytes = (after - before) as f64 * 1024.0 / f64::from(members);
    // With few members the pages that every program touches weigh too much.
    let said = format!("{bytes:.1} bytes a member, by what became resident; the bar is {BYTES_MAX}");
    let holds = if tenth == 1 {
        bar(bytes <= BYTES_MAX, &said)
    } else {
        println!("       {said} for {MEMBERS} members");
        true
    };
    for at_a_time in [1, PIPELINED] {
        let rates = rounds(|round| over_kept(process, &mut kept, members, span, (at_a_time, round)));
        let what = format!("announces a CPU second over kept connections, {at_a_time} at a time on each");
        report(&what, &rates, KEPT_MIN);
    }
    drop(kept);
    let rates = rounds(|round| over_fresh(process, address, members, span, round));
    report("announces a CPU second over a fresh connection each", &rates, FRESH_MIN);
    holds
}

fn rounds(mut play: impl FnMut(u64) -> f64) -> Vec<f64> {
    let mut rates: Vec<f64> = (0..ROUNDS as u64).map(&mut play).collect();
    rates.sort_unstable_by(f64::total_cmp);
    rates
}

/// Speeds hang on the machine, so they are told and judged by whoever reads them.
fn report(what: &str, sorted: &[f64], bar: f64) {
    let thousands = |rate: f64| format!("{:.0},000", rate / 1000.0);
    let rates: Vec<String> = sorted.iter().map(|&rate| thousands(rate)).collect();
    println!("       {what}: {}; the bar is {}", rates.join(", "), thousands(bar));
}

/// Which connection speaks for this member: each has some of every swarm.
fn of(number: u32) -> u32 {
    number / SWARMS % KEPT
}

/// What a member says. Those behind one connection have an address and differ by their ports.
fn word(number: u32, event: Event) -> Vec<u8> {
    let port = 1 + u16::try_from(number / SWARMS / KEPT).unwrap();
    announce(number % SWARMS, port, number.is_multiple_of(MEMBERS_PER_COMPLETE), event)
}

/// Members renew their leases over connections that they keep: so many announces in one piece on each, and the next
/// ones when these are answered.
fn over_kept(
    process: u32,
    kept: &mut [Client],
    members: u32,
    span: Duration,
    (at_a_time, seed): (usize, u64),
) -> f64 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let known = members.div_ceil(SWARMS).min(KEPT);
    let (meter, start, mut answered) = (Meter::start(process), Instant::now(), 0);
    let (mut waiting, mut next) = (VecDeque::new(), 0);
    let hear = |client: &mut Client| {
        for _ in 0..at_a_time {
            assert!(matches!(client.reply(), Ok(Reply::Roster(_))));
        }
    };
    while start.elapsed() < span {
        if waiting.len() == TOGETHER {
            let at: u32 = waiting.pop_front().expect("it is as long as TOGETHER");
            hear(&mut kept[at as usize]);
            answered += at_a_time;
        }
        // In turn, so that none is asked again before it was heard.
        let connection = next % known;
        next += 1;
        let words = (0..at_a_time).map(|_| word(rng.u32(0..SWARMS) + SWARMS * connection, Event::Going));
        let words: Vec<u8> = words.flatten().collect();
        kept[connection as usize].send(&words).unwrap();
        waiting.push_back(connection);
    }
    for at in waiting {
        hear(&mut kept[at as usize]);
        answered += at_a_time;
    }
    answered as f64 / meter.seconds().iter().sum::<f64>()
}

/// Each announce comes over a connection of its own, as members do it.
fn over_fresh(process: u32, address: SocketAddr, members: u32, span: Duration, seed: u64) -> f64 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (meter, start, mut answered) = (Meter::start(process), Instant::now(), 0u32);
    while start.elapsed() < span {
        let member = rng.u32(0..members);
        let mut client = Client::connect(source(of(member)), address).unwrap();
        let reply = client.ask(&word(member, Event::Going)).unwrap();
        assert!(matches!(reply, Reply::Roster(_)), "{reply:?}");
        answered += 1;
    }
    f64::from(answered) / meter.seconds().iter().sum::<f64>()
}
