//! One question to a conductor: one answer, one connection.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use thiserror::Error;

use crate::address::HostPort;
use crate::host::error::NetAction;
use crate::host::patient::{read_exact, write_all};
use crate::host::{HostError, clock, dial};
use crate::limits::DESK_REPLY_MAX;
use crate::time::Moment;
use crate::wire::WireError;
use crate::wire::desk::{self, Announce, Decoder, Reply, Request};
use crate::wire::frame::HEADER_LEN;

/// Why the conductor could not be asked.
#[derive(Debug, Error)]
pub enum DeskError {
    /// Our side of it.
    #[error(transparent)]
    Host(HostError),
    /// Who answers there is no conductor, or one of another version.
    #[error("{address} is not a conductor that we understand")]
    Foreign {
        /// Where.
        address: SocketAddr,
        /// What it said.
        source: WireError,
    },
}

/// Asks at the first address of the conductor that answers, within `patience` each, unless `give_up` says so.
///
/// # Errors
/// Nobody answers, or nobody who is a conductor.
pub fn ask(
    conductor: &HostPort,
    announce: Announce,
    patience: Duration,
    give_up: impl Fn() -> bool + Copy,
) -> Result<Reply, DeskError> {
    let addresses = dial::resolve(conductor.host(), conductor.port()).map_err(DeskError::Host)?;
    let mut trouble = None;
    for address in addresses {
        match ask_at(address, announce, patience, give_up) {
            Ok(reply) => return Ok(reply),
            // The first address is the preferred one: its trouble is the one to tell.
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    Err(trouble.expect("resolving yields at least one address"))
}

fn ask_at(
    address: SocketAddr,
    announce: Announce,
    patience: Duration,
    give_up: impl Fn() -> bool + Copy,
) -> Result<Reply, DeskError> {
    let deadline = clock::now() + patience;
    let give_up = || clock::now() >= deadline || give_up();
    let stream = dial::connect(address, give_up).map_err(DeskError::Host)?;
    let mut request = desk::preamble().to_vec();
    Request::Announce(announce).append_to(&mut request);
    let exchanged = dial::prepare(&stream)
        .and_then(|()| write_all(&stream, &request, patience, give_up))
        .and_then(|()| read_reply(&stream, deadline, give_up));
    match exchanged {
        Ok(reply) => reply.map_err(|source| DeskError::Foreign { address, source }),
        Err(error) => Err(DeskError::Host(HostError::net(NetAction::Talk, address)(error))),
    }
}

/// One reply: its header first, so that nothing is taken that was not announced.
fn read_reply(
    stream: &TcpStream,
    deadline: Moment,
    give_up: impl Fn() -> bool + Copy,
) -> io::Result<Result<Reply, WireError>> {
    let mut decoder = Decoder::replies();
    let mut header = [0; HEADER_LEN + 1];
    read_exact(stream, &mut header, deadline, give_up)?;
    let len = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    if let Err(error) = decoder.next(&mut header.as_slice()) {
        return Ok(Err(error));
    }
    // The decoder has checked the length against the bound of its kind.
    let rest = usize::try_from(len).unwrap_or(usize::MAX).clamp(1, DESK_REPLY_MAX) - 1;
    let mut body = vec![0; rest];
    read_exact(stream, &mut body, deadline, give_up)?;
    let reply = decoder.next(&mut body.as_slice());
    Ok(reply.and_then(|reply| reply.ok_or(WireError::Body(header[HEADER_LEN]))))
}
