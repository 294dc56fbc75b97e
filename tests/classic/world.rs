//! What the scenes are made of: a composition, a conductor of ours or an original one, and addresses for originals.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{self, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::common::program::{ConductorProgram, binary};
use crate::common::swarm::{NAME, Swarm};
use crate::original::About;

/// A conductor of ours that speaks the classic protocol, and a composition of so many bytes in parts of this size.
pub(crate) fn swarm(len: usize, part_size: &str) -> Swarm {
    let mut conductor = Command::new(binary("conductor"));
    conductor.args(["--listen", "127.0.0.1:0", "--classic"]);
    Swarm::of(ConductorProgram::start(&mut conductor), len, &[part_size])
}

/// What an original member reads in the manifest.
pub(crate) fn about(swarm: &Swarm) -> About {
    About {
        name: NAME.to_owned(),
        sha1: swarm.manifest_line(3),
        part_len: swarm.part_len(),
        content: Arc::new(swarm.content.clone()),
    }
}

/// Where the conductor of this swarm is.
pub(crate) fn conductor(swarm: &Swarm) -> SocketAddr {
    swarm.conductor.as_ref().unwrap().address
}

/// An address of this computer that no other test uses: every original member listens on the same port.
pub(crate) fn host() -> IpAddr {
    static HOSTS: AtomicU8 = AtomicU8::new(1);
    let [.., third, second] = process::id().to_be_bytes();
    Ipv4Addr::new(127, 100 + second % 100, third, HOSTS.fetch_add(1, Ordering::Relaxed)).into()
}
