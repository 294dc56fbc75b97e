//! Original members on hosts of their own: they drop connections between equal addresses, and listen on every one.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::common::program::{ConductorProgram, binary};
use crate::common::swarm::{MIB, Member, NAME, SOURCE, Swarm, fetched};
use crate::neighbour::inside;
use crate::network::Network;
use crate::original::{About, Original};

/// Long enough for a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(240);

/// A file of 64 MiB goes from ours to an original, and from that one to another one of ours.
pub(crate) fn there_and_back() {
    let network = Network::new(4, 200);
    let mut conductor = Command::new(binary("conductor"));
    conductor.args(["--listen", "9999", "--classic"]);
    let conductor = ConductorProgram::start(&mut network.host(1).command(&conductor));
    let swarm = Swarm::of(conductor, 64 * MIB, &[]);
    let conductor = SocketAddr::new(network.host(1).v4(), 9_999);
    let member = |host, place| {
        let mut command = swarm.plain_command(place);
        command.args(["--conductor", &conductor.to_string(), "--classic", "--json"]);
        Member::start(&mut network.host(host).command(&command))
    };
    let about = About {
        name: NAME.to_owned(),
        sha1: swarm.manifest_line(3),
        part_len: swarm.part_len(),
        content: Arc::new(swarm.content.clone()),
    };

    let mut source = member(2, SOURCE);
    source.until_complete();
    let host = network.host(3);
    let original = inside(host.space(), || Original::start(&about, host.v4(), conductor, false));
    original.completes(PATIENCE);
    assert_eq!(original.received(), about.parts(), "each part once");
    source.leaves();

    let mut getter = member(4, "getter");
    getter.until_complete();
    let last = getter.leaves();
    assert_eq!(fetched(&last), swarm.content.len() as u64, "{last}");
    swarm.assert_has("getter");
    drop(original);
}
