//! One connection to the conductor: bytes in, replies out, never waiting.
//!
//! Owns its socket and what is half read or half written; knows neither the other desks nor the time.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};

use mio::net::TcpStream;
use thiserror::Error;

use super::intake::{Asked, Intake};
use crate::credential::Challenge;
use crate::identity::SwarmId;
use crate::limits::{DESK_READ, DESK_READS_PER_TURN};
use crate::wire::WireError;
use crate::wire::classic::desk as classic;
use crate::wire::desk::{Refusal, Reply};

/// One connection.
#[derive(Debug)]
pub(super) struct Desk {
    stream: TcpStream,
    from: SocketAddr,
    /// The address on which it reached us, once it was needed.
    reached_on: Option<IpAddr>,
    intake: Intake,
    /// Nothing more is read: the connection is over when the last reply was sent.
    ending: bool,
    /// Replies that the socket would not take yet. While there are any, nothing is read, so these are never
    /// more than the replies to one read.
    unsent: Vec<u8>,
    stage: Stage,
    proving: Proving,
    /// Whether it waits for another turn although its socket has nothing new to report.
    pub(super) in_line: bool,
    /// Whether its socket reports that it takes bytes again.
    pub(super) tells_when_writable: bool,
}

/// What is asked at a desk, and how it came.
#[derive(Debug)]
pub(super) struct Question {
    /// Where the asker connected from.
    pub(super) from: SocketAddr,
    /// The address on which it reached us.
    pub(super) reached_on: IpAddr,
    pub(super) asked: Asked,
}

/// How far a connection is with proofs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Proving {
    /// What was drawn for it, if it was asked for.
    pub(super) challenge: Option<Challenge>,
    /// Proven requests so far, whether or not they were right.
    pub(super) count: u32,
    /// The composition in which it proved last that it takes part.
    pub(super) takes_part: Option<SwarmId>,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has asked nothing yet.
    Pending,
    /// It has asked something.
    Served,
    /// There is no room for it. It is only given the time to say in which dialect it can be told so, where it may be
    /// the classic one.
    Unwanted,
    /// It was refused and is only given the time to read why.
    Refused,
}

/// What a turn led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing more can be done until the socket has something to read.
    Wait,
    /// Nothing more can be done until the socket takes what is left of the replies.
    Stuck,
    /// There may be more to read, but it is others' turn.
    Again,
    /// It is a connection to the catalogue: see [`Desk::into_parts`].
    Elsewhere,
    /// The connection is over.
    Over(End),
}

/// What one read led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exchanged {
    /// It took all that the socket had at that moment.
    All,
    /// The socket may have had more.
    Some,
    /// It is a connection to the catalogue.
    Elsewhere,
    /// The connection is over.
    Last(End),
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum End {
    /// The other side has nothing more to ask.
    #[error("finished")]
    Finished,
    /// It stayed, but asked nothing more.
    #[error("idle")]
    Idle,
    /// The other side closed in the middle of a request.
    #[error("it ended in the middle of a request")]
    Cut,
    /// The bytes are no requests.
    #[error("{0}")]
    Malformed(#[from] WireError),
    /// It did not send a whole request in time.
    #[error("no whole request came in time")]
    Late,
    /// It did not read its replies in time.
    #[error("it does not read its replies")]
    Unread,
    /// The socket failed.
    #[error("{0}")]
    Broken(io::ErrorKind),
}

/// Memory that one turn needs and all desks share.
#[derive(Debug)]
pub(super) struct Buffers {
    read: [u8; DESK_READ],
    replies: Vec<u8>,
}

/// Tells who asks for a catalogue why there is none for it now, and that nothing follows.
pub(super) fn turn_away(mut stream: TcpStream, preamble: &[u8]) {
    // It is a courtesy, as any refusal.
    if stream.write(preamble).is_ok() {
        drop(stream.shutdown(Shutdown::Write));
    }
}

impl Desk {
    /// A desk for a connection that was accepted.
    pub(super) const fn new(stream: TcpStream, from: SocketAddr, stage: Stage, intake: Intake) -> Desk {
        Desk {
            stream,
            from,
            reached_on: None,
            intake,
            ending: false,
            unsent: Vec::new(),
            stage,
            proving: Proving { challenge: None, count: 0, takes_part: None },
            in_line: false,
            tells_when_writable: false,
        }
    }

    pub(super) const fn from(&self) -> SocketAddr {
        self.from
    }

    pub(super) const fn stage(&self) -> Stage {
        self.stage
    }

    pub(super) const fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    pub(super) const fn set_served(&mut self) {
        self.stage = Stage::Served;
    }

    /// Tells the other side that there is no room, and that nothing follows, as soon as it is known in which dialect.
    pub(super) fn refuse(&mut self) {
        if !self.intake.may_be_classic() {
            let mut reply = Vec::new();
            Reply::Refused(Refusal::Busy).append_to(&mut reply);
            self.part_with(&reply);
        }
    }

    /// The last words to one who was refused.
    fn part_with(&mut self, reply: &[u8]) {
        self.stage = Stage::Refused;
        // It is a courtesy: a socket that will not take a few bytes now gets none.
        if reply.is_empty() || self.stream.write(reply).is_ok() {
            drop(self.stream.shutdown(Shutdown::Write));
        }
    }

    /// One for whom there is no room said this. The classic protocol has no word for that: who asks for others is told
    /// that there is nobody yet, and asks again; nothing else has an answer there.
    fn turn_down(&mut self, mut input: &[u8]) {
        match self.intake.next(&mut input) {
            Ok(Some(Asked::Classic(classic::Request::Down(subject, _)))) => {
                let mut reply = Vec::new();
                classic::Reply::Nobody(subject).append_to(&mut reply);
                self.part_with(&reply);
            }
            Ok(Some(Asked::Classic(_))) => self.part_with(&[]),
            Err(_) if self.intake.may_be_classic() => self.part_with(&[]),
            Ok(_) | Err(_) => self.refuse(),
        }
    }

    /// Whether replies wait that the socket would not take.
    pub(super) const fn is_stuck(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Reads, answers and writes until nothing is left to read or it is others' turn.
    /// With `until_blocked` only the socket's word counts for that; otherwise a read that was not filled is enough.
    /// Returns also how many requests were answered.
    pub(super) fn turn(
        &mut self,
        buffers: &mut Buffers,
        until_blocked: bool,
        mut answer: impl FnMut(&Question, &mut Proving, &mut Vec<u8>),
    ) -> (usize, Turn) {
        let mut answered = 0;
        // What came meanwhile was told of then.
        let until_blocked = until_blocked || self.is_stuck();
        for _ in 0..DESK_READS_PER_TURN {
            match self.exchange(buffers, &mut answer, &mut answered) {
                Ok(Exchanged::All) if !until_blocked => return (answered, Turn::Wait),
                Ok(Exchanged::All | Exchanged::Some) => {}
                Ok(Exchanged::Elsewhere) => return (answered, Turn::Elsewhere),
                Ok(Exchanged::Last(end)) => return (answered, Turn::Over(end)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return (answered, if self.is_stuck() { Turn::Stuck } else { Turn::Wait });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (answered, Turn::Over(End::Broken(error.kind()))),
            }
        }
        (answered, Turn::Again)
    }

    /// Why the connection ends, if it has to end now because its time is over.
    pub(super) const fn overdue(&self) -> End {
        match self.stage {
            _ if self.is_stuck() => End::Unread,
            Stage::Unwanted | Stage::Refused => End::Finished,
            Stage::Served if !self.intake.is_midway() => End::Idle,
            Stage::Pending | Stage::Served => End::Late,
        }
    }

    /// Writes what is left over, reads once and answers that. Blocking is an error here.
    fn exchange(
        &mut self,
        buffers: &mut Buffers,
        answer: &mut impl FnMut(&Question, &mut Proving, &mut Vec<u8>),
        answered: &mut usize,
    ) -> io::Result<Exchanged> {
        self.flush()?;
        if self.ending {
            return Ok(Exchanged::Last(End::Finished));
        }
        let len = self.stream.read(&mut buffers.read)?;
        if len == 0 {
            let is_cut = self.stage.is_admitted() && self.intake.is_midway();
            let end = if is_cut { End::Cut } else { End::Finished };
            return Ok(Exchanged::Last(end));
        }
        let exchanged = if len < DESK_READ { Exchanged::All } else { Exchanged::Some };
        match self.stage {
            Stage::Pending | Stage::Served => {}
            Stage::Unwanted => {
                self.turn_down(&buffers.read[..len]);
                return Ok(exchanged);
            }
            Stage::Refused => return Ok(exchanged),
        }
        buffers.replies.clear();
        let mut input = &buffers.read[..len];
        let mut over = None;
        loop {
            match self.intake.next(&mut input) {
                Ok(None) => break,
                Ok(Some(Asked::Catalogue)) => {
                    // What came behind its name goes with the socket.
                    self.unsent = input.to_vec();
                    return Ok(Exchanged::Elsewhere);
                }
                Ok(Some(asked)) => {
                    let question = Question { from: self.from, reached_on: self.reached_on()?, asked };
                    answer(&question, &mut self.proving, &mut buffers.replies);
                    *answered += 1;
                }
                Err(error) => {
                    if matches!(error, WireError::Version(_)) {
                        buffers.replies.extend_from_slice(&self.intake.own_preamble());
                    }
                    over = Some(Exchanged::Last(error.into()));
                    break;
                }
            }
        }
        self.ending = self.intake.is_over();
        let sent = self.send(&buffers.replies);
        match over {
            // What was asked before the nonsense is answered if the socket takes it at once.
            Some(over) => Ok(over),
            None if self.ending => sent.map(|()| Exchanged::Last(End::Finished)),
            None => sent.map(|()| exchanged),
        }
    }

    /// The socket, and the bytes behind the name of the catalogue's dialect.
    pub(super) fn into_parts(self) -> (TcpStream, Vec<u8>) {
        (self.stream, self.unsent)
    }

    /// Sends the replies, and keeps what the socket does not take now.
    fn send(&mut self, replies: &[u8]) -> io::Result<()> {
        let mut rest = replies;
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => rest = &rest[len..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if error.kind() == io::ErrorKind::WouldBlock {
                        self.unsent = rest.to_vec();
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let unsent = std::mem::take(&mut self.unsent);
        self.send(&unsent)
    }

    fn reached_on(&mut self) -> io::Result<IpAddr> {
        if let Some(address) = self.reached_on {
            return Ok(address);
        }
        let address = self.stream.local_addr()?.ip();
        self.reached_on = Some(address);
        Ok(address)
    }
}

impl Stage {
    /// Whether there was room for it.
    pub(super) const fn is_admitted(self) -> bool {
        matches!(self, Stage::Pending | Stage::Served)
    }
}

impl End {
    /// Whether this is how connections of honest members end.
    pub(super) const fn is_harmless(self) -> bool {
        match self {
            End::Finished | End::Idle => true,
            End::Cut | End::Malformed(_) | End::Late | End::Unread | End::Broken(_) => false,
        }
    }
}

impl Buffers {
    pub(super) const fn new() -> Buffers {
        Buffers { read: [0; DESK_READ], replies: Vec::new() }
    }
}
