//! From a dialled or accepted connection to a sealed stream.

use std::io;
use std::net::{SocketAddr, TcpStream};

use super::{Cut, StreamError};
use crate::host::dial;
use crate::host::patient::{read_exact, write_all};
use crate::identity::LinkKey;
use crate::limits::HANDSHAKE_TIMEOUT;
use crate::time::Moment;
use crate::wire::member::{MAGIC, PREAMBLE_LEN, parse_preamble, preamble};
use crate::wire::seal::{self, HANDSHAKE_LEN, Initiator, Opener, Sealer};

/// How a link begins.
#[derive(Debug)]
pub enum Role {
    /// We dial this address.
    Dial(SocketAddr),
    /// Somebody dialled us from this address.
    Accept(TcpStream, SocketAddr),
}

/// A connection whose two sides have the same key.
#[derive(Debug)]
pub struct Established {
    /// The socket.
    pub stream: TcpStream,
    /// The address of the other side.
    pub remote: SocketAddr,
    /// Seals what we say.
    pub sealer: Sealer,
    /// Opens what the other side says.
    pub opener: Opener,
}

/// A connection on which nothing was said yet.
#[derive(Debug)]
pub struct Opened {
    /// The socket.
    pub stream: TcpStream,
    /// The address of the other side.
    pub remote: SocketAddr,
    /// Whether we dialled.
    pub dialled: bool,
    /// What the other side has said so far, if that was looked at.
    first: Option<[u8; MAGIC.len()]>,
}

/// Dials or accepts.
///
/// # Errors
/// The other side is not there, or `give_up` says so.
pub fn open(cut: &Cut, role: Role, give_up: impl Fn() -> bool + Copy) -> Result<Opened, StreamError> {
    let (stream, remote, dialled) = match role {
        Role::Dial(address) => (dial::connect(address, give_up).map_err(StreamError::Dial)?, address, true),
        Role::Accept(stream, remote) => (stream, remote, false),
    };
    dial::prepare(&stream).map_err(StreamError::Socket)?;
    cut.attach(stream.try_clone().map_err(StreamError::Socket)?);
    Ok(Opened { stream, remote, dialled, first: None })
}

/// Dials or accepts, and shakes hands.
///
/// # Errors
/// The other side is not there, late, or has another key; or `give_up` says so.
pub fn establish(
    key: &LinkKey,
    cut: &Cut,
    role: Role,
    deadline: Moment,
    give_up: impl Fn() -> bool + Copy,
) -> Result<Established, StreamError> {
    open(cut, role, give_up)?.shake(key, deadline, give_up)
}

impl Opened {
    /// The first bytes of the other side, which name the dialect. Only the listener may look: the dialler speaks first.
    ///
    /// # Errors
    /// They do not come in time, or `give_up` says so.
    pub fn first_bytes(
        &mut self,
        deadline: Moment,
        give_up: impl Fn() -> bool,
    ) -> Result<[u8; MAGIC.len()], StreamError> {
        let mut first = [0; MAGIC.len()];
        read_in_time(&self.stream, &mut first, deadline, give_up)?;
        Ok(*self.first.insert(first))
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// The other side is late or has another key; or `give_up` says so.
    pub fn shake(
        self,
        key: &LinkKey,
        deadline: Moment,
        give_up: impl Fn() -> bool + Copy,
    ) -> Result<Established, StreamError> {
        let Opened { stream, remote, dialled, first } = self;
        let (sealer, opener) = if dialled {
            shake_as_dialler(key, &stream, deadline, give_up)?
        } else {
            shake_as_listener(key, &stream, first, deadline, give_up)?
        };
        Ok(Established { stream, remote, sealer, opener })
    }
}

fn shake_as_dialler(
    key: &LinkKey,
    stream: &TcpStream,
    deadline: Moment,
    give_up: impl Fn() -> bool + Copy,
) -> Result<(Sealer, Opener), StreamError> {
    let preamble = preamble(key.token());
    let (initiator, message) = Initiator::start(key, &preamble);
    let first = [preamble.as_slice(), &message].concat();
    write_all(stream, &first, HANDSHAKE_TIMEOUT, give_up).map_err(StreamError::Socket)?;
    let mut answer = [0; HANDSHAKE_LEN];
    read_in_time(stream, &mut answer, deadline, give_up)?;
    initiator.finish(&answer).map_err(StreamError::Wire)
}

fn shake_as_listener(
    key: &LinkKey,
    stream: &TcpStream,
    first: Option<[u8; MAGIC.len()]>,
    deadline: Moment,
    give_up: impl Fn() -> bool + Copy,
) -> Result<(Sealer, Opener), StreamError> {
    let mut preamble = [0; PREAMBLE_LEN];
    let seen = first.map_or(0, |first| first.len());
    preamble[..seen].copy_from_slice(first.as_ref().map_or(&[], |first| first.as_slice()));
    read_in_time(stream, &mut preamble[seen..], deadline, give_up)?;
    if parse_preamble(&preamble).map_err(StreamError::Wire)? != key.token() {
        return Err(StreamError::OtherKey);
    }
    let mut message = [0; HANDSHAKE_LEN];
    read_in_time(stream, &mut message, deadline, give_up)?;
    let (sealer, opener, answer) = seal::respond(key, &preamble, &message).map_err(StreamError::Wire)?;
    write_all(stream, &answer, HANDSHAKE_TIMEOUT, give_up).map_err(StreamError::Socket)?;
    Ok((sealer, opener))
}

fn read_in_time(
    stream: &TcpStream,
    buffer: &mut [u8],
    deadline: Moment,
    give_up: impl Fn() -> bool,
) -> Result<(), StreamError> {
    read_exact(stream, buffer, deadline, give_up).map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => StreamError::Late,
        io::ErrorKind::UnexpectedEof => StreamError::Gone,
        _ => StreamError::Socket(error),
    })
}
