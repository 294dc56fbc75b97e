//! More than there is room for: whoever is refused is told so, and whoever was there before is served.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use orchestra::limits::{
    DESKS_PENDING_PER_ADDRESS_MAX, DESKS_REFUSED_MAX, MEMBERS_MAX, SWARM_MEMBERS_MAX, SWARMS_MAX,
};
use orchestra::wire::desk::{Event, Refusal, Reply};

use super::bar;
use super::client::{Client, announce, source};
use super::common::program::ConductorProgram;
use super::process::{Meter, rss};

/// Announces that are sent before their answers are read.
const TOGETHER: usize = 64;
/// Members behind one address.
const PORTS: u32 = 50_000;

/// The swarms of members, apart from those with one member each.
const CROWDED: u32 = 1 << 20;

pub(crate) fn play(tenth: usize) -> bool {
    println!("\nfull: a conductor with as much as it keeps");
    members(tenth) & swarms(tenth) & connections()
}

/// One swarm until it is full, then others until there is no room for any member.
fn members(tenth: usize) -> bool {
    let conductor = ConductorProgram::on("127.0.0.1:0");
    let mut crowd = Crowd::new(&conductor);
    let of_one = u32::try_from(SWARM_MEMBERS_MAX).unwrap();
    let refused = crowd.register((0..of_one + 100).map(|number| (CROWDED, number)));
    let mut holds = bar(
        refused == (100, Some(Refusal::MembersFull)),
        &format!("of {} members of one composition 100 are refused: {refused:?}", of_one + 100),
    );
    if tenth == 1 {
        let all = u32::try_from(MEMBERS_MAX).unwrap();
        let meter = Meter::start(conductor.id());
        let rest = (of_one..all + 100).map(|number| (CROWDED + number / of_one, number));
        let refused = crowd.register(rest);
        let cpu: f64 = meter.seconds().iter().sum();
        let mib = rss(conductor.id())[1] as f64 / 1024.0;
        holds &= bar(
            refused == (100, Some(Refusal::MembersFull)),
            &format!(
                "of {} members in all 100 are refused: {refused:?}; {mib:.0} MiB, {cpu:.1} CPU seconds",
                all + 100
            ),
        );
    }
    let served = crowd.register((0..1_000).map(|number| (CROWDED, number)));
    holds & bar(served == (0, None), "who was there before renews its lease")
}

/// Swarms of one member each until there is no room for another.
fn swarms(tenth: usize) -> bool {
    if tenth > 1 {
        return true;
    }
    let conductor = ConductorProgram::on("127.0.0.1:0");
    let mut crowd = Crowd::new(&conductor);
    let all = u32::try_from(SWARMS_MAX).unwrap();
    let refused = crowd.register((0..all + 100).map(|number| (number, number)));
    let mib = rss(conductor.id())[1] as f64 / 1024.0;
    let holds = bar(
        refused == (100, Some(Refusal::SwarmsFull)),
        &format!("of {} compositions 100 are refused: {refused:?}; {mib:.0} MiB", all + 100),
    );
    let served = crowd.register((0..1_000).map(|number| (number, number)));
    let joined = crowd.register((0..1_000).map(|number| (number, number + 1)));
    holds & bar((served, joined) == ((0, None), (0, None)), "known compositions get members as before")
}

/// More connections from one address than it may have that ask nothing.
fn connections() -> bool {
    let conductor = ConductorProgram::on("127.0.0.1:0");
    let connect = |number| Client::connect(source(number), conductor.address).unwrap();
    // They say the first bytes and nothing more.
    let silent: Vec<Client> = (0..DESKS_PENDING_PER_ADDRESS_MAX).map(|_| connect(0)).collect();
    let mut asks: Vec<Client> = (0..DESKS_REFUSED_MAX / 2).map(|_| connect(0)).collect();
    let replies = asks.iter_mut().map(Client::reply);
    let told = replies.filter(|reply| matches!(reply, Ok(Reply::Refused(Refusal::Busy)))).count();
    let holds =
        bar(told == asks.len(), &format!("{told} of {} connections too many are told so", asks.len()));
    let served = connect(1).ask(&announce(0, 1, false, Event::Started));
    drop(silent);
    holds & bar(matches!(served, Ok(Reply::Roster(_))), "another address is served meanwhile")
}

/// Members that announce through one connection for each address.
struct Crowd {
    conductor: SocketAddr,
    clients: BTreeMap<u32, Client>,
}

impl Crowd {
    fn new(conductor: &ConductorProgram) -> Crowd {
        Crowd { conductor: conductor.address, clients: BTreeMap::new() }
    }

    /// Announces these members, each by its swarm and its number; how many were refused, and why.
    fn register(&mut self, members: impl Iterator<Item = (u32, u32)>) -> (usize, Option<Refusal>) {
        let members: Vec<(u32, u32)> = members.collect();
        // Connections that said nothing for a while have been closed; each address gets one when it is its turn.
        self.clients.clear();
        let (mut refused, mut why) = (0, None);
        for members in members.chunks(TOGETHER) {
            for &(swarm, number) in members {
                let port = 1 + u16::try_from(number % PORTS).unwrap();
                let connect = || Client::connect(source(number / PORTS), self.conductor).unwrap();
                let client = self.clients.entry(number / PORTS).or_insert_with(connect);
                client.send(&announce(swarm, port, false, Event::Started)).unwrap();
            }
            for &(_, number) in members {
                let client = self.clients.get_mut(&(number / PORTS)).expect("it was asked just now");
                match client.reply().unwrap() {
                    Reply::Roster(_) => {}
                    Reply::Refused(refusal) => {
                        refused += 1;
                        why = Some(refusal);
                    }
                    other => panic!("no answer to an announce: {other:?}"),
                }
            }
        }
        (refused, why)
    }
}
