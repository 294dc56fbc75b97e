//! A conversation with a conductor at its desk: a few questions, each with its answer, on one connection.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use thiserror::Error;

use crate::address::HostPort;
use crate::credential::{Challenge, Speaker};
use crate::host::error::NetAction;
use crate::host::patient::{read_exact, write_all};
use crate::host::{HostError, clock, dial};
use crate::limits::DESK_REPLY_MAX;
use crate::time::Moment;
use crate::wire::WireError;
use crate::wire::desk::{
    self, Announce, Greeted, PREAMBLE_LEN, Proven, Reach, Refusal, Reply, Report, Request, Said,
};
use crate::wire::dialogue::Decoder;
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

/// What a conductor says to an announce.
pub type Answer = Result<Greeted, Refusal>;

/// Announces at the first address of the conductor that answers, within `patience` each, unless `give_up` says so.
/// With a speaker, the announce is proven, and the reports go with it; without one, there is nobody to report.
///
/// # Errors
/// Nobody answers, or nobody who is a conductor. It is not known then which reports were heard.
pub fn announce(
    conductor: &HostPort,
    announce: Announce,
    proof: Option<(&Speaker, &[Report])>,
    patience: Duration,
    give_up: impl Fn() -> bool + Copy,
) -> Result<Answer, DeskError> {
    let addresses = dial::resolve(conductor.host(), conductor.port()).map_err(DeskError::Host)?;
    let mut trouble = None;
    for address in addresses {
        match announce_at(address, announce, proof, patience, give_up) {
            Ok(answer) => return Ok(answer),
            // The first address is the preferred one: its trouble is the one to tell.
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    Err(trouble.expect("resolving yields at least one address"))
}

fn announce_at(
    address: SocketAddr,
    announce: Announce,
    proof: Option<(&Speaker, &[Report])>,
    patience: Duration,
    give_up: impl Fn() -> bool + Copy,
) -> Result<Answer, DeskError> {
    let deadline = clock::now() + patience;
    let give_up = || clock::now() >= deadline || give_up();
    let stream = dial::connect(address, give_up).map_err(DeskError::Host)?;
    dial::prepare(&stream).map_err(HostError::net(NetAction::Talk, address)).map_err(DeskError::Host)?;
    let mut desk = Desk { stream: &stream, address, deadline, give_up, unsent: desk::preamble().to_vec() };
    let Some((speaker, reports)) = proof else {
        return match desk.ask(&Request::Announce(announce))? {
            Reply::Roster(roster) => Ok(Ok(Greeted { roster, reach: Reach::Unknown })),
            Reply::Refused(refusal) => Ok(Err(refusal)),
            Reply::Challenge(_) | Reply::Greeted(_) | Reply::Noted => Err(desk.foreign(WireError::Answer)),
        };
    };
    let challenge = match desk.ask(&Request::Challenge)? {
        Reply::Challenge(challenge) => challenge,
        Reply::Refused(refusal) => return Ok(Err(refusal)),
        Reply::Roster(_) | Reply::Greeted(_) | Reply::Noted => return Err(desk.foreign(WireError::Answer)),
    };
    desk.tell_with_proof(speaker, challenge, announce, reports)
}

/// A connection to a conductor.
#[derive(Debug)]
struct Desk<'s, G> {
    stream: &'s TcpStream,
    address: SocketAddr,
    deadline: Moment,
    give_up: G,
    /// What goes out with the next question.
    unsent: Vec<u8>,
}

impl<G: Fn() -> bool + Copy> Desk<'_, G> {
    fn ask(&mut self, request: &Request) -> Result<Reply, DeskError> {
        request.append_to(&mut self.unsent);
        self.send()?;
        self.hear()
    }

    /// Everything goes out at once, and is answered in its order.
    fn tell_with_proof(
        &mut self,
        speaker: &Speaker,
        challenge: Challenge,
        announce: Announce,
        reports: &[Report],
    ) -> Result<Answer, DeskError> {
        // Only who takes part is believed how it went.
        let said = [Said::Announce(announce)].into_iter().chain(reports.iter().copied().map(Said::Report));
        for (count, said) in (0..).zip(said) {
            Request::Proven(Proven::new(speaker, challenge, count, said)).append_to(&mut self.unsent);
        }
        self.send()?;
        let greeted = match self.hear()? {
            Reply::Greeted(greeted) => greeted,
            Reply::Refused(refusal) => return Ok(Err(refusal)),
            _ => return Err(self.foreign(WireError::Answer)),
        };
        for _ in reports {
            match self.hear()? {
                Reply::Noted => {}
                Reply::Refused(refusal) => return Ok(Err(refusal)),
                _ => return Err(self.foreign(WireError::Answer)),
            }
        }
        Ok(Ok(greeted))
    }

    fn send(&mut self) -> Result<(), DeskError> {
        let unsent = std::mem::take(&mut self.unsent);
        let patience = self.deadline.since(clock::now());
        write_all(self.stream, &unsent, patience, self.give_up).map_err(|error| self.broken(error))
    }

    /// One reply: its header first, so that nothing is taken that was not announced.
    fn hear(&self) -> Result<Reply, DeskError> {
        const _: () = assert!(PREAMBLE_LEN == HEADER_LEN + 1, "a preamble may come where a reply begins");
        let mut decoder = Decoder::<Reply>::new();
        let mut header = [0; PREAMBLE_LEN];
        self.read(&mut header)?;
        if header[..4] == desk::MAGIC {
            return Err(self.foreign(WireError::Version(header[4])));
        }
        let len = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        match decoder.next(&mut header.as_slice()) {
            Ok(None) => {}
            Ok(Some(reply)) => return Ok(reply),
            Err(error) => return Err(self.foreign(error)),
        }
        // The decoder has checked the length against the bound of its kind.
        let rest = usize::try_from(len).unwrap_or(usize::MAX).clamp(1, DESK_REPLY_MAX) - 1;
        let mut body = vec![0; rest];
        self.read(&mut body)?;
        match decoder.next(&mut body.as_slice()) {
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => Err(self.foreign(WireError::Body(header[HEADER_LEN]))),
            Err(error) => Err(self.foreign(error)),
        }
    }

    fn read(&self, buffer: &mut [u8]) -> Result<(), DeskError> {
        read_exact(self.stream, buffer, self.deadline, self.give_up).map_err(|error| self.broken(error))
    }

    fn broken(&self, error: io::Error) -> DeskError {
        DeskError::Host(HostError::net(NetAction::Talk, self.address)(error))
    }

    const fn foreign(&self, source: WireError) -> DeskError {
        DeskError::Foreign { address: self.address, source }
    }
}
