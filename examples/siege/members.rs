//! Many members in many swarms: what each costs in memory and CPU time.

use std::time::Duration;

use super::bar;
use super::client::{Client, source};
use super::common::program::ConductorProgram;
use super::floor::Floor;
use super::load::{Crowd, MEMBERS, SWARMS, renew_afresh};

/// How many announces come in one piece where one connection speaks for many members.
pub(crate) const PIPELINED: usize = 8;
const SPAN: Duration = Duration::from_secs(5);
const ROUNDS: u64 = 5;
/// The bars.
const BYTES_MAX: f64 = 64.0;
const KEPT_MIN: f64 = 200_000.0;
const FRESH_MIN: f64 = 20_000.0;

pub(crate) fn play(tenth: usize) -> bool {
    let members = MEMBERS / u32::try_from(tenth).unwrap();
    let span = SPAN / u32::try_from(tenth).unwrap();
    println!("\nmembers: {members} in {SWARMS} swarms");
    let (conductor, floor) = (ConductorProgram::on("127.0.0.1:0"), Floor::start());
    let (address, process) = (conductor.address, conductor.id());
    let crowd = Crowd::new(process, move |number| Client::connect(source(number), address));
    let arrival = crowd.arrive(members);
    let [user, system] = arrival.cpu;
    println!(
        "       {:.0} new members a CPU second ({user:.2} s user, {system:.2} s system); {:.1} MiB resident, {:.1} at most",
        f64::from(members) / (user + system),
        arrival.rss[0] as f64 / 1024.0,
        arrival.rss[1] as f64 / 1024.0
    );
    let bytes = arrival.bytes_each;
    // With few members the pages that every program touches weigh too much.
    let said = format!("{bytes:.1} bytes a member, by what became resident; the bar is {BYTES_MAX}");
    let holds = if tenth == 1 {
        bar(bytes <= BYTES_MAX, &said)
    } else {
        println!("       {said} for {MEMBERS} members");
        true
    };
    let bare_address = floor.address;
    let bare = Crowd::new(floor.id(), move |number| Client::connect(source(number), bare_address));
    for at_a_time in [1, PIPELINED] {
        // In turn, so that whatever else the machine does disturbs both.
        let (rates, floors) = (0..ROUNDS)
            .map(|round| {
                let how = (at_a_time, round);
                (crowd.renew(members, span, how), bare.renew(members, span, how))
            })
            .unzip();
        let what = format!("announces a CPU second over kept connections, {at_a_time} at a time on each");
        report(&what, rates, Some(KEPT_MIN));
        report("  a bare loop of one read and one write for each of these", floors, None);
    }
    let connect = |number| Client::connect(source(number), address).unwrap();
    let rates = (0..ROUNDS).map(|round| renew_afresh(process, connect, members, span, round)).collect();
    report("announces a CPU second over a fresh connection each", rates, Some(FRESH_MIN));
    holds
}

/// Speeds hang on the machine, so they are told and judged by whoever reads them.
fn report(what: &str, mut rates: Vec<f64>, bar: Option<f64>) {
    rates.sort_unstable_by(f64::total_cmp);
    let thousands = |rate: f64| format!("{:.0},000", rate / 1000.0);
    let rates: Vec<String> = rates.into_iter().map(thousands).collect();
    let bar = bar.map(|bar| format!("; the bar is {}", thousands(bar))).unwrap_or_default();
    println!("       {what}: {}{bar}", rates.join(", "));
}
