//! One question to a conductor in the classic protocol: one answer, one connection.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::desk::DeskError;
use crate::address::HostPort;
use crate::host::error::NetAction;
use crate::host::patient::{is_pause, write_all};
use crate::host::{HostError, clock, dial};
use crate::limits::CLASSIC_READ;
use crate::logic::classic::sample::Sample;
use crate::time::Moment;
use crate::wire::WireError;
use crate::wire::classic::desk::{Replies, Request, Told};
use crate::wire::classic::{LineError, Subject};

/// What a classic conductor answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Of those that it told, at most [`ROSTER_MAX`](crate::limits::ROSTER_MAX).
    pub members: Vec<SocketAddr>,
    /// How many lines were no addresses, and were skipped.
    pub unreadable: u64,
}

/// Asks who shares this at the first address of the conductor that answers, within `patience` each, unless `give_up` says
/// so. `seed` chooses of whom to hear if it tells of very many.
///
/// # Errors
/// Nobody answers, or nobody who is a conductor and speaks the classic protocol.
pub fn ask(
    conductor: &HostPort,
    subject: &Subject,
    port: u16,
    seed: u64,
    patience: Duration,
    give_up: impl Fn() -> bool + Copy,
) -> Result<Answer, DeskError> {
    let addresses = dial::resolve(conductor.host(), conductor.port()).map_err(DeskError::Host)?;
    let mut trouble = None;
    for address in addresses {
        let deadline = clock::now() + patience;
        let told = ask_at(address, subject, port, seed, deadline, || clock::now() >= deadline || give_up());
        match told {
            Ok(told) => return Ok(told),
            // The first address is the preferred one: its trouble is the one to tell.
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    Err(trouble.expect("resolving yields at least one address"))
}

fn ask_at(
    address: SocketAddr,
    subject: &Subject,
    port: u16,
    seed: u64,
    deadline: Moment,
    give_up: impl Fn() -> bool + Copy,
) -> Result<Answer, DeskError> {
    let stream = dial::connect(address, give_up).map_err(DeskError::Host)?;
    let mut request = Vec::new();
    Request::Down(subject.clone(), port).append_to(&mut request);
    let exchanged = dial::prepare(&stream)
        .and_then(|()| write_all(&stream, &request, deadline.since(clock::now()), give_up))
        .and_then(|()| read_answer(&stream, subject, Sample::new(seed), give_up));
    match exchanged {
        Ok(told) => told.map_err(|source| DeskError::Foreign { address, source: WireError::Classic(source) }),
        Err(error) => Err(DeskError::Host(HostError::net(NetAction::Talk, address)(error))),
    }
}

fn read_answer(
    mut stream: &TcpStream,
    subject: &Subject,
    mut sample: Sample,
    give_up: impl Fn() -> bool,
) -> io::Result<Result<Answer, LineError>> {
    let (mut replies, mut unreadable) = (Replies::default(), 0);
    let mut buffer = vec![0; CLASSIC_READ];
    while !replies.is_over() {
        if give_up() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let len = match stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => len,
            Err(error) if is_pause(&error) => continue,
            Err(error) => return Err(error),
        };
        let mut input = &buffer[..len];
        loop {
            match replies.next(&mut input) {
                Ok(Some(Told::Member(address))) => sample.take(address),
                Ok(Some(Told::Unreadable)) => unreadable += 1,
                Ok(Some(Told::Nobody(about) | Told::Members(about, _))) if about != *subject => {
                    return Ok(Err(LineError::Subject));
                }
                Ok(Some(Told::Nobody(_) | Told::Members(..))) => {}
                Ok(None) => break,
                Err(error) => return Ok(Err(error)),
            }
        }
    }
    Ok(Ok(Answer { members: sample.into_kept(), unreadable }))
}
