//! What happens to swarms in a lab. Each scene asserts what must hold, and yields what is worth measuring.

use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::common::program::{ConductorProgram, PATIENCE, binary};
use crate::common::swarm::{MIB, Member, SOURCE, Swarm, fetched, number};
use crate::network::{Host, Network};

/// The host of the conductor.
const CONDUCTOR: u8 = 1;
/// The host of the member that has the composition.
const SHARER: u8 = 2;
/// The first host of those who get it.
const FIRST: u8 = 3;

/// How much is moved, and how fast the links are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) mib: usize,
    pub(crate) mbit: u32,
}

impl Scale {
    /// The size of the composition in bytes.
    pub(crate) const fn len(self) -> usize {
        self.mib * MIB
    }
}

/// A swarm in a lab: a conductor, a member that shares, and hosts for those who get.
struct Stage {
    // Dropped first: its conductor works in the network.
    swarm: Swarm,
    network: Network,
}

impl Stage {
    /// A stage with this many hosts for members that get, and more for those who come later.
    fn new(scale: Scale, getters: u8) -> Stage {
        let network = Network::new(FIRST - 1 + getters, scale.mbit);
        let conductor = conductor_on(network.host(CONDUCTOR));
        Stage { swarm: Swarm::of(conductor, scale.len(), &[]), network }
    }

    fn host(&self, number: u8) -> &Host {
        self.network.host(number)
    }

    /// Starts the member that has the composition, and waits until it knows so.
    fn sharer(&self) -> Member {
        let mut sharer = self.member(SHARER, SOURCE, &[]);
        sharer.until_complete();
        sharer
    }

    /// Starts a member that gets it on this host.
    fn getter(&self, host: u8, arguments: &[&str]) -> Member {
        self.member(host, &place(host), arguments)
    }

    fn member(&self, host: u8, place: &str, arguments: &[&str]) -> Member {
        Member::start(&mut self.command(host, place, arguments))
    }

    /// Every other host asks the conductor over IPv6, and so is known by its IPv6 address.
    fn command(&self, host: u8, place: &str, arguments: &[&str]) -> Command {
        let conductor = self.host(CONDUCTOR);
        let conductor = if host.is_multiple_of(2) { conductor.v4() } else { conductor.v6() };
        let mut command = self.swarm.plain_command(place);
        command.args(["--conductor", &SocketAddr::new(conductor, 9_999).to_string(), "--json"]);
        command.args(arguments);
        self.host(host).command(&command)
    }

    /// Where a member on this host is reached.
    fn address(&self, host: u8, member: &Member) -> String {
        SocketAddr::new(self.host(host).v4(), member.address.port()).to_string()
    }

    /// Waits until the log of one of these members shows a link with this host.
    fn meets(&self, members: &[&Member], host: u8) {
        let addresses = [self.host(host).v4(), self.host(host).v6()];
        let since = Instant::now();
        loop {
            let logs: Vec<String> = members.iter().map(|member| self.swarm.log(member)).collect();
            let log = logs.join("\n");
            let mut up = log.lines().filter(|line| line.contains(" is up ("));
            if up.any(|line| addresses.iter().any(|&ip| line.contains(&with(ip)))) {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "never met host {host} at {addresses:?}:\n{log}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lets members that got the composition leave, and checks that it is right, that nothing was fetched
    /// twice but what they count as wasted. Returns their last words.
    #[track_caller]
    fn end(&self, getters: Vec<(u8, Member)>) -> Vec<Value> {
        let size = self.swarm.content.len() as u64;
        let ended = getters.into_iter().map(|(host, getter)| {
            let last = getter.leaves();
            self.swarm.assert_has(&place(host));
            assert_eq!(fetched(&last), size, "{last}");
            last
        });
        ended.collect()
    }
}

/// The beginning of an address in a line about a link.
fn with(ip: std::net::IpAddr) -> String {
    let address = SocketAddr::new(ip, 0).to_string();
    format!("with {}", address.strip_suffix('0').expect("the port"))
}

fn place(host: u8) -> String {
    format!("host{host}")
}

fn conductor_on(host: &Host) -> ConductorProgram {
    let mut conductor = Command::new(binary("conductor"));
    ConductorProgram::start(&mut host.command(conductor.args(["--listen", "9999"])))
}

/// How a composition went from one to several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FanOut {
    /// From the start of the first who gets until the last says that the file is safe on its disk.
    pub(crate) took: Duration,
    /// Until the last has verified and written every part, by the clock of each since its own start.
    pub(crate) verified: Duration,
    /// What no way of sharing can beat: max(F / u, F / d, N·F / (u + Σ u)) over the bare links.
    pub(crate) bound: Duration,
    /// What the sharing member sent, in sizes of the composition.
    pub(crate) sent: f64,
    /// What all who got it threw away, in sizes of the composition.
    pub(crate) wasted: f64,
}

/// One member shares, `getters` get at once; all links are alike.
pub(crate) fn fan_out(scale: Scale, getters: u8) -> FanOut {
    let stage = Stage::new(scale, getters);
    let sharer = stage.sharer();
    let began = Instant::now();
    // All at once: none waits until another has started.
    let getters: Vec<_> = (FIRST..FIRST + getters)
        .map(|host| {
            let mut command = stage.command(host, &place(host), &[]);
            (host, thread::spawn(move || Member::start(&mut command)))
        })
        .collect();
    let mut getters: Vec<(u8, Member)> =
        getters.into_iter().map(|(host, thread)| (host, thread.join().unwrap())).collect();
    let events: Vec<Value> = getters.iter_mut().map(|(_, getter)| getter.until_complete()).collect();
    let took = began.elapsed();
    let verified = events.iter().map(|event| event["verified_s"].as_f64().unwrap()).fold(0.0, f64::max);
    let count = f64::from(u32::try_from(getters.len()).unwrap());
    let lasts = stage.end(getters);
    let size = scale.len() as f64;
    let sent = number(&sharer.leaves(), "up_bytes") as f64 / size;
    let wasted = lasts.iter().map(|last| number(last, "wasted_bytes") as f64).sum::<f64>() / size;
    // With equal links: all that is received is sent by somebody, and the first copy by the sharing member.
    let link = f64::from(scale.mbit) * 1e6 / 8.0;
    let bound = (size / link).max(count * size / (link * (1.0 + count)));
    FanOut {
        took,
        verified: Duration::from_secs_f64(verified),
        bound: Duration::from_secs_f64(bound),
        sent,
        wasted,
    }
}

/// A host is cut off in the middle, until the others are through and for at least `span`; then it is healed.
/// Returns the bytes that the others threw away, and what the one that was cut off did.
pub(crate) fn cut(scale: Scale, span: Duration) -> (u64, u64) {
    let stage = Stage::new(scale, 3);
    let sharer = stage.sharer();
    let [mut cut_off, mut second, mut third] = [0, 1, 2].map(|at| stage.getter(FIRST + at, &[]));
    cut_off.until_percent(20);
    stage.host(FIRST).cut();
    let since = Instant::now();
    second.until_complete();
    third.until_complete();
    // The length of the fault, not a hope.
    thread::sleep(span.saturating_sub(since.elapsed()));
    let parts = stage.swarm.right_bytes(&stage.swarm.partial(&place(FIRST)));
    assert!(parts < scale.len(), "it was complete before it was cut off");
    stage.host(FIRST).heal();
    cut_off.until_complete();
    let lasts = stage.end(vec![(FIRST, cut_off), (FIRST + 1, second), (FIRST + 2, third)]);
    let wasted: Vec<u64> = lasts.iter().map(|last| number(last, "wasted_bytes")).collect();
    sharer.leaves();
    (wasted[1] + wasted[2], wasted[0])
}

/// The conductor is stopped as soon as the members have met, and never comes back; one more member comes,
/// knows one of them, and gets to know the others.
pub(crate) fn alone(scale: Scale) {
    let mut stage = Stage::new(scale, 4);
    let sharer = stage.sharer();
    let mut getters: Vec<(u8, Member)> =
        (FIRST..FIRST + 3).map(|host| (host, stage.getter(host, &[]))).collect();
    for (_, getter) in &mut getters {
        getter.until("it has met somebody", |event| number(event, "members") > 0);
    }
    let conductor = stage.swarm.conductor.take().expect("it is there");
    let (code, _) = conductor.stop(Signal::TERM);
    assert_eq!(code, Some(0));
    let known = stage.address(SHARER, &sharer);
    let late = FIRST + 3;
    let mut newcomer = stage.getter(late, &["--member", &known]);
    newcomer.until("it has met more than it was told of", |event| number(event, "members") > 1);
    getters.push((late, newcomer));
    for (_, getter) in &mut getters {
        getter.until_complete();
    }
    stage.end(getters);
    sharer.leaves();
}

/// The conductor is killed in the middle, and one that knows nothing takes its place. Returns how long it took
/// until it knew all members again.
pub(crate) fn replaced(scale: Scale) -> Duration {
    let mut stage = Stage::new(scale, 3);
    let sharer = stage.sharer();
    let mut getters: Vec<(u8, Member)> =
        (FIRST..FIRST + 3).map(|host| (host, stage.getter(host, &[]))).collect();
    for (_, getter) in &mut getters {
        getter.until_percent(10);
    }
    let conductor = stage.swarm.conductor.take().expect("it is there");
    conductor.stop(Signal::KILL);
    let conductor = conductor_on(stage.host(CONDUCTOR));
    let since = Instant::now();
    let hosts = SHARER..FIRST + 3;
    let is_back = |log: &str, host: u8| {
        let host = stage.host(host);
        [host.v4(), host.v6()].iter().any(|&ip| {
            let address = SocketAddr::new(ip, 0).to_string();
            log.contains(address.strip_suffix('0').expect("the port"))
        })
    };
    while !hosts.clone().all(|host| is_back(&conductor.log(), host)) {
        assert!(since.elapsed() < PATIENCE, "not all are back:\n{}", conductor.log());
        thread::sleep(Duration::from_millis(20));
    }
    let took = since.elapsed();
    for (_, getter) in &mut getters {
        getter.until_complete();
    }
    stage.end(getters);
    sharer.leaves();
    took
}

/// A member gets another address in the middle. Returns how long it took until it was linked again.
pub(crate) fn moved(scale: Scale) -> Duration {
    let mut stage = Stage::new(scale, 3);
    let sharer = stage.sharer();
    let mut others: Vec<(u8, Member)> =
        [FIRST + 1, FIRST + 2].map(|host| (host, stage.getter(host, &[]))).into();
    let mut mover = stage.getter(FIRST, &[]);
    mover.until_percent(20);
    stage.network.host_mut(FIRST).move_to(200);
    let since = Instant::now();
    // Whoever finds whom: somebody has a link with it over its new address. It may have everything before it has met
    // all of them.
    let here: Vec<&Member> = std::iter::once(&sharer).chain(others.iter().map(|(_, other)| other)).collect();
    stage.meets(&here, FIRST);
    let took = since.elapsed();
    mover.until_complete();
    for (_, getter) in &mut others {
        getter.until_complete();
    }
    others.push((FIRST, mover));
    stage.end(others);
    sharer.leaves();
    took
}
