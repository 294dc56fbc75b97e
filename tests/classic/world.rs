//! What the scenes are made of: a composition, a conductor of ours or an original one, and addresses for originals.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

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
///
/// The addresses are those of a /24 whose first one this process has a listener on, so that two test programs that run at the
/// same time never have the same: the system says whether a block is free.
pub(crate) fn host() -> IpAddr {
    static BLOCK: OnceLock<([u8; 3], TcpListener)> = OnceLock::new();
    static HOSTS: AtomicU8 = AtomicU8::new(2);
    let ([a, b, c], _) = BLOCK.get_or_init(|| {
        let blocks = std::iter::repeat_with(|| [127, fastrand::u8(100..200), fastrand::u8(..)]);
        let claimed = blocks.take(1_000).find_map(|block @ [a, b, c]| {
            let listener = TcpListener::bind((Ipv4Addr::new(a, b, c, 1), CLAIM)).ok()?;
            Some((block, listener))
        });
        claimed.expect("a block of addresses is free")
    });
    let last = HOSTS.fetch_add(1, Ordering::Relaxed);
    assert!(last >= 2, "a test program has 254 hosts");
    Ipv4Addr::new(*a, *b, *c, last).into()
}

/// The port of the listeners by which test programs claim addresses.
const CLAIM: u16 = 10_002;
