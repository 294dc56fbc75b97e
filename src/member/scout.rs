//! Talks to the conductor: one question, one answer, one connection.
//!
//! Owns nothing but its queue; waits on it, on a socket with timeouts, and on the director's inbox.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use thiserror::Error;

use super::context::Context;
use super::director::Event;
use crate::address::HostPort;
use crate::host::error::NetAction;
use crate::host::patient::{read_exact, write_all};
use crate::host::thread::Thread;
use crate::host::{HostError, clock, dial};
use crate::limits::{DESK_REPLY_MAX, DESK_TIMEOUT, LEAVE_GRACE};
use crate::time::Moment;
use crate::wire::WireError;
use crate::wire::desk::{self, Announce, Decoder, Refusal, Reply, Request, Roster};
use crate::wire::frame::HEADER_LEN;

/// What the conductor answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// The other members.
    Roster(Roster),
    /// Not now.
    Refused(Refusal),
    /// It could not be asked.
    Silent(ScoutError),
}

/// Why the conductor could not be asked.
#[derive(Debug, Error)]
pub(super) enum ScoutError {
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

/// Starts the scout; asks go in by the channel, answers to the director.
pub(super) fn start(
    context: &Arc<Context>,
    conductor: HostPort,
) -> Result<(Sender<Announce>, Thread), HostError> {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let thread = context.spawn("scout", move |context| run(context, &conductor, &receiver))?;
    Ok((sender, thread))
}

fn run(context: &Context, conductor: &HostPort, asks: &Receiver<Announce>) {
    for announce in asks {
        let answer = match ask(context, conductor, announce) {
            Ok(Reply::Roster(roster)) => Answer::Roster(roster),
            Ok(Reply::Refused(refusal)) => Answer::Refused(refusal),
            Err(error) => Answer::Silent(error),
        };
        context.report(Event::Scout(answer));
    }
}

/// Asks at the first address of the conductor that answers.
fn ask(context: &Context, conductor: &HostPort, announce: Announce) -> Result<Reply, ScoutError> {
    let addresses = dial::resolve(conductor.host(), conductor.port()).map_err(ScoutError::Host)?;
    let mut trouble = None;
    for address in addresses {
        match ask_at(context, address, announce) {
            Ok(reply) => return Ok(reply),
            // The first address is the preferred one: its trouble is the one to tell.
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    Err(trouble.expect("resolving yields at least one address"))
}

fn ask_at(context: &Context, address: SocketAddr, announce: Announce) -> Result<Reply, ScoutError> {
    // Who leaves says goodbye, but waits for nothing else.
    let leaves = announce.event == desk::Event::Left;
    let patience = if leaves { LEAVE_GRACE } else { DESK_TIMEOUT };
    let deadline = clock::now() + patience;
    let give_up = || clock::now() >= deadline || (context.is_stopping() && !leaves);
    let stream = dial::connect(address, give_up).map_err(ScoutError::Host)?;
    let mut request = desk::preamble().to_vec();
    Request::Announce(announce).append_to(&mut request);
    let exchanged = dial::prepare(&stream)
        .and_then(|()| write_all(&stream, &request, patience, give_up))
        .and_then(|()| read_reply(&stream, deadline, give_up));
    match exchanged {
        Ok(reply) => reply.map_err(|source| ScoutError::Foreign { address, source }),
        Err(error) => Err(ScoutError::Host(HostError::net(NetAction::Talk, address)(error))),
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
