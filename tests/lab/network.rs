//! A network made for one test: hosts with addresses of their own on one switch, every link shaped both ways.
//!
//! A host is a network namespace, the switch another one with a bridge in it; a pair of virtual cards joins each
//! host to it. Nothing leads out of it, and nothing of it is left behind: what a killed test could not take down,
//! the next one does.

#![allow(dead_code, reason = "each test program uses a part of this")]

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// All namespaces of labs begin so; then come the number of the process, that of the lab, and the host.
const PREFIX: &str = "orchlab";
/// The card of a host.
const CARD: &str = "eth0";
/// What a link may send at once: more than the largest piece that the system hands to a card, and than what
/// passes between two ticks of its clock.
const BURST: &str = "256kb";
/// How long a link's queue is, as the time that its last byte waits.
const QUEUE: &str = "50ms";

/// Why there can be no lab here; none if there can.
pub(crate) fn missing() -> Option<&'static str> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    MISSING.get_or_init(|| probe().err()).as_deref()
}

/// Tries everything that a lab is made of, once.
fn probe() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("needs root, for network namespaces".into());
    }
    for tool in ["ip", "tc"] {
        Command::new(tool)
            .arg("-V")
            .output()
            .map_err(|error| format!("needs {tool} of iproute2: {error}"))?;
    }
    if !Path::new("/proc/net/if_inet6").exists() {
        return Err("needs IPv6".into());
    }
    sweep();
    let space = format!("{PREFIX}-{}-probe", std::process::id());
    attempt("network namespaces", "ip", &format!("netns add {space}"))?;
    let parts = [
        ("virtual cards", format!("ip -n {space} link add one type veth peer name two")),
        ("bridges", format!("ip -n {space} link add bridge type bridge")),
        ("the shaper tbf", format!("tc -n {space} qdisc add dev one root {}", shape(100))),
    ];
    let outcome = parts.iter().try_for_each(|(what, line)| {
        let (tool, arguments) = line.split_once(' ').expect("a tool and its arguments");
        attempt(what, tool, arguments)
    });
    run("ip", &format!("netns del {space}"));
    outcome
}

fn attempt(what: &str, tool: &str, arguments: &str) -> Result<(), String> {
    let output = output(tool, arguments);
    if output.status.success() {
        return Ok(());
    }
    Err(format!("needs {what}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// Takes down what processes that are gone left behind.
fn sweep() {
    let listed = output("ip", "netns list").stdout;
    for line in String::from_utf8(listed).unwrap().lines() {
        let space = line.split(' ').next().unwrap();
        let mut fields = space.split('-');
        let is_ours = fields.next() == Some(PREFIX);
        let Some(process) = fields.next().filter(|_| is_ours) else { continue };
        if !Path::new("/proc").join(process).exists() {
            // Another lab may be sweeping as well.
            drop(output("ip", &format!("netns del {space}")));
        }
    }
}

/// Some hosts and the switch between them; taken down when it is dropped.
#[derive(Debug)]
pub(crate) struct Network {
    switch: String,
    hosts: Vec<Host>,
}

/// One host, by the number that its addresses end with.
#[derive(Debug)]
pub(crate) struct Host {
    space: String,
    switch: String,
    port: String,
    number: u8,
}

impl Network {
    /// A network of this many hosts, each with a link of so many Mbit/s each way.
    pub(crate) fn new(hosts: u8, mbit: u32) -> Network {
        static LABS: AtomicU32 = AtomicU32::new(0);
        let name = format!("{PREFIX}-{}-{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let switch = format!("{name}-switch");
        run("ip", &format!("netns add {switch}"));
        // From here on, whatever fails takes everything down again.
        let mut network = Network { switch, hosts: Vec::new() };
        let switch = &network.switch;
        run("ip", &format!("-n {switch} link add bridge type bridge mcast_snooping 0"));
        run("ip", &format!("-n {switch} link set bridge up"));
        for number in 1..=hosts {
            let space = format!("{name}-{number}");
            run("ip", &format!("netns add {space}"));
            let host = Host { space, switch: network.switch.clone(), port: format!("port{number}"), number };
            network.hosts.push(host);
            network.hosts.last().expect("it was just added").plug_in(mbit);
        }
        network
    }

    /// The host with this number, counted from 1.
    pub(crate) fn host(&self, number: u8) -> &Host {
        &self.hosts[usize::from(number) - 1]
    }

    /// The same, to be changed.
    pub(crate) fn host_mut(&mut self, number: u8) -> &mut Host {
        &mut self.hosts[usize::from(number) - 1]
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // What is not there any more need not be taken down.
        for space in self.hosts.iter().map(|host| &host.space).chain([&self.switch]) {
            drop(output("ip", &format!("netns del {space}")));
        }
    }
}

impl Host {
    fn plug_in(&self, mbit: u32) {
        let Host { space, switch, port, .. } = self;
        run("ip", &format!("link add {CARD} netns {space} type veth peer name {port} netns {switch}"));
        run("ip", &format!("-n {switch} link set {port} master bridge up"));
        run("ip", &format!("-n {space} link set lo up"));
        run("ip", &format!("-n {space} link set {CARD} up"));
        self.addresses("add");
        // What the host sends, and what the switch sends to it.
        run("tc", &format!("-n {space} qdisc add dev {CARD} root {}", shape(mbit)));
        run("tc", &format!("-n {switch} qdisc add dev {port} root {}", shape(mbit)));
    }

    fn addresses(&self, verb: &str) {
        let (space, v4, v6) = (&self.space, self.v4(), self.v6());
        run("ip", &format!("-n {space} address {verb} {v4}/24 dev {CARD}"));
        // Nobody else can have it, and finding that out takes a second.
        let nodad = if verb == "add" { "nodad" } else { "" };
        run("ip", &format!("-n {space} address {verb} {v6}/64 dev {CARD} {nodad}"));
    }

    pub(crate) fn v4(&self) -> IpAddr {
        Ipv4Addr::new(10, 77, 0, self.number).into()
    }

    pub(crate) fn v6(&self) -> IpAddr {
        Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, self.number.into()).into()
    }

    /// The same command, to be run on this host.
    pub(crate) fn command(&self, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.space]).arg(command.get_program()).args(command.get_args());
        if let Some(dir) = command.get_current_dir() {
            inside.current_dir(dir);
        }
        inside
    }

    /// From now on nothing that it sends arrives, and nothing arrives at it. Neither side is told.
    pub(crate) fn cut(&self) {
        run("ip", &format!("-n {} link set {} nomaster", self.switch, self.port));
    }

    /// Undoes a cut.
    pub(crate) fn heal(&self) {
        run("ip", &format!("-n {} link set {} master bridge", self.switch, self.port));
    }

    /// The name of its namespace.
    pub(crate) fn space(&self) -> &str {
        &self.space
    }

    /// How many bytes its card has sent and received, with everything around them.
    pub(crate) fn carried(&self) -> u64 {
        let said = output("ip", &format!("-n {} -s -j link show dev {CARD}", self.space)).stdout;
        let said: serde_json::Value = serde_json::from_slice(&said).expect("ip speaks JSON");
        let count = |way: &str| said[0]["stats64"][way]["bytes"].as_u64().expect("a card counts its bytes");
        count("rx") + count("tx")
    }

    /// From now on its link is down, and it has no addresses but those of its own.
    pub(crate) fn unplug(&self) {
        self.addresses("del");
        run("ip", &format!("-n {} link set {CARD} down", self.space));
    }

    /// Undoes that.
    pub(crate) fn plug_in_again(&self) {
        run("ip", &format!("-n {} link set {CARD} up", self.space));
        self.addresses("add");
    }

    /// From now on it has the addresses that end with this number, and not those that it had.
    pub(crate) fn move_to(&mut self, number: u8) {
        self.addresses("del");
        self.number = number;
        self.addresses("add");
    }
}

fn shape(mbit: u32) -> impl fmt::Display {
    format!("tbf rate {mbit}mbit burst {BURST} latency {QUEUE}")
}

/// Runs a tool with arguments that have no spaces in them.
#[track_caller]
fn run(tool: &str, arguments: &str) {
    let output = output(tool, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {arguments}: {said}");
}

fn output(tool: &str, arguments: &str) -> Output {
    Command::new(tool).args(arguments.split_whitespace()).output().unwrap()
}
