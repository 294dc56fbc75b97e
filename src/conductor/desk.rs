//! One connection to the conductor: bytes in, replies out, never waiting.
//!
//! Owns its socket and what is half read or half written; knows neither the other desks nor the time.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};

use mio::net::TcpStream;
use thiserror::Error;

use crate::credential::Challenge;
use crate::limits::{DESK_READ, DESK_READS_PER_TURN};
use crate::logic::registry::Ask;
use crate::wire::desk::{
    self, Announce, Decoder, PREAMBLE_LEN, Proven, Refusal, Reply, Request, Said, parse_preamble,
};
use crate::wire::{WireError, catalogue};

/// One connection.
#[derive(Debug)]
pub(super) struct Desk {
    stream: TcpStream,
    from: SocketAddr,
    /// The address on which it reached us, once it was needed.
    reached_on: Option<IpAddr>,
    intake: Intake,
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

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has asked nothing yet.
    Pending,
    /// It has asked something.
    Served,
    /// It was refused and is only given the time to read why.
    Refused,
}

/// What a desk is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question<'a> {
    /// Somebody announces, without a proof.
    Announce(&'a Ask),
    /// Somebody wants to prove what they will say. Only the first time: what was drawn then stays.
    Challenge,
    /// The owner of a session says something, if the proof holds.
    Proven(&'a Claim),
}

/// Something that is said with a proof, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) proven: Proven,
    /// What was drawn for this connection.
    pub(super) challenge: Challenge,
    /// How many proven requests came before on this connection.
    pub(super) count: u32,
    /// The address that the asker connected from.
    pub(super) from: IpAddr,
    /// The address on which the asker reached this conductor.
    pub(super) reached_on: IpAddr,
}

impl Claim {
    /// The same as an announce that needs no proof any more.
    pub(super) const fn ask(&self, announce: Announce) -> Ask {
        Ask { from: self.from, reached_on: self.reached_on, announce }
    }
}

/// How far a connection is with proofs.
#[derive(Clone, Copy, Debug, Default)]
struct Proving {
    challenge: Option<Challenge>,
    /// Proven requests so far, whether or not they were right.
    count: u32,
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
    /// It asks for the catalogue; the bytes that came behind the preamble are [`Desk::into_parts`].
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

/// What comes out of the bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Request(Request),
    /// The connection is one to the catalogue; what follows is not for a desk.
    Catalogue,
}

/// Makes requests of bytes that end anywhere. The first bytes name the dialect: that of a desk, or of the catalogue.
#[derive(Debug)]
struct Intake {
    preamble: [u8; PREAMBLE_LEN],
    /// How many bytes of the preamble have come.
    seen: usize,
    decoder: Decoder<Request>,
    /// Whether a request has begun and not ended.
    midway: bool,
}

impl Desk {
    /// A desk for a connection that was accepted.
    pub(super) const fn new(stream: TcpStream, from: SocketAddr, stage: Stage) -> Desk {
        Desk {
            stream,
            from,
            reached_on: None,
            intake: Intake::new(),
            unsent: Vec::new(),
            stage,
            proving: Proving { challenge: None, count: 0 },
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

    /// Tells the other side that there is no room, and that nothing follows.
    pub(super) fn refuse(&mut self) {
        let mut reply = Vec::new();
        Reply::Refused(Refusal::Busy).append_to(&mut reply);
        // It is a courtesy: a socket that will not take a few bytes now gets none.
        if self.stream.write(&reply).is_ok() {
            drop(self.stream.shutdown(Shutdown::Write));
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
        mut answer: impl FnMut(Question<'_>) -> Reply,
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
            Stage::Refused => End::Finished,
            Stage::Served if !self.intake.midway => End::Idle,
            Stage::Pending | Stage::Served => End::Late,
        }
    }

    /// Writes what is left over, reads once and answers that. Blocking is an error here.
    fn exchange(
        &mut self,
        buffers: &mut Buffers,
        answer: &mut impl FnMut(Question<'_>) -> Reply,
        answered: &mut usize,
    ) -> io::Result<Exchanged> {
        self.flush()?;
        let len = self.stream.read(&mut buffers.read)?;
        if len == 0 {
            let end = if self.intake.midway { End::Cut } else { End::Finished };
            return Ok(Exchanged::Last(end));
        }
        let exchanged = if len < DESK_READ { Exchanged::All } else { Exchanged::Some };
        if self.stage == Stage::Refused {
            return Ok(exchanged);
        }
        buffers.replies.clear();
        let mut input = &buffers.read[..len];
        let mut over = None;
        loop {
            match self.intake.next(&mut input) {
                Ok(None) => break,
                Ok(Some(Heard::Request(Request::Announce(announce)))) => {
                    let ask = Ask { from: self.from.ip(), reached_on: self.reached_on()?, announce };
                    answer(Question::Announce(&ask)).append_to(&mut buffers.replies);
                    *answered += 1;
                }
                Ok(Some(Heard::Request(Request::Challenge))) => {
                    self.challenge(answer).append_to(&mut buffers.replies);
                }
                Ok(Some(Heard::Request(Request::Proven(proven)))) => {
                    self.proven(proven, answer)?.append_to(&mut buffers.replies);
                    *answered += usize::from(matches!(proven.said, Said::Announce(_)));
                }
                Ok(Some(Heard::Catalogue)) => {
                    self.unsent = input.to_vec();
                    return Ok(Exchanged::Elsewhere);
                }
                Err(error) => {
                    if matches!(error, WireError::Version(_)) {
                        buffers.replies.extend_from_slice(self.intake.own_preamble());
                    }
                    over = Some(Exchanged::Last(error.into()));
                    break;
                }
            }
        }
        let sent = self.send(&buffers.replies);
        match over {
            // What was asked before the nonsense is answered if the socket takes it at once.
            Some(over) => Ok(over),
            None => sent.map(|()| exchanged),
        }
    }

    /// What to prove against on this connection: drawn once, so that the count of proofs goes on.
    fn challenge(&mut self, answer: &mut impl FnMut(Question<'_>) -> Reply) -> Reply {
        if let Some(challenge) = self.proving.challenge {
            return Reply::Challenge(challenge);
        }
        let reply = answer(Question::Challenge);
        if let Reply::Challenge(challenge) = reply {
            self.proving.challenge = Some(challenge);
        }
        reply
    }

    fn proven(
        &mut self,
        proven: Proven,
        answer: &mut impl FnMut(Question<'_>) -> Reply,
    ) -> io::Result<Reply> {
        let Some(challenge) = self.proving.challenge else {
            return Ok(Reply::Refused(Refusal::LoginFirst));
        };
        let count = self.proving.count;
        // A connection that has proven so much begins anew elsewhere.
        let Some(next) = count.checked_add(1) else { return Ok(Reply::Refused(Refusal::LoginFirst)) };
        self.proving.count = next;
        let claim =
            Claim { proven, challenge, count, from: self.from.ip(), reached_on: self.reached_on()? };
        Ok(answer(Question::Proven(&claim)))
    }

    /// The socket, and the bytes behind the preamble of a connection to the catalogue.
    pub(super) fn into_parts(self) -> (TcpStream, Vec<u8>) {
        (self.stream, self.unsent)
    }

    /// Tells who asks for a catalogue why there is none for it now, and that nothing follows.
    pub(super) fn turn_away(mut self, preamble: &[u8]) {
        // It is a courtesy, as any refusal.
        if self.stream.write(preamble).is_ok() {
            drop(self.stream.shutdown(Shutdown::Write));
        }
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

impl Intake {
    const fn new() -> Intake {
        Intake { preamble: [0; PREAMBLE_LEN], seen: 0, decoder: Decoder::requests(), midway: false }
    }

    /// Takes one request from the front of `input`, or all of `input` if the request is not whole yet.
    fn next(&mut self, input: &mut &[u8]) -> Result<Option<Heard>, WireError> {
        if self.seen < PREAMBLE_LEN {
            self.midway |= !input.is_empty();
            let lacking = (PREAMBLE_LEN - self.seen).min(input.len());
            let (taken, rest) = input.split_at(lacking);
            self.preamble[self.seen..self.seen + lacking].copy_from_slice(taken);
            self.seen += lacking;
            *input = rest;
            if self.seen < PREAMBLE_LEN {
                return Ok(None);
            }
            if self.preamble[..4] == catalogue::MAGIC {
                catalogue::parse_preamble(&self.preamble)?;
                return Ok(Some(Heard::Catalogue));
            }
            parse_preamble(&self.preamble)?;
        }
        self.midway |= !input.is_empty();
        let request = self.decoder.next(input)?;
        self.midway &= request.is_none();
        Ok(request.map(Heard::Request))
    }

    /// What this conductor speaks of the dialect in which it is spoken to.
    fn own_preamble(&self) -> &'static [u8] {
        const DESK: [u8; PREAMBLE_LEN] = desk::preamble();
        const CATALOGUE: [u8; PREAMBLE_LEN] = catalogue::preamble();
        if self.preamble[..4] == catalogue::MAGIC { &CATALOGUE } else { &DESK }
    }
}

const _: () = assert!(PREAMBLE_LEN == catalogue::PREAMBLE_LEN, "dialects are told by as many bytes");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::desk::{Event, preamble};
    use proptest::prelude::*;

    fn request(port: u16) -> Request {
        let announce = Announce { swarm: [7; 32], port, complete: false, left: 1, event: Event::Going };
        Request::Announce(announce)
    }

    fn all(intake: &mut Intake, mut input: &[u8]) -> Result<Vec<Request>, WireError> {
        let mut requests = Vec::new();
        while let Some(heard) = intake.next(&mut input)? {
            let Heard::Request(request) = heard else { panic!("{heard:?}") };
            requests.push(request);
        }
        assert!(input.is_empty());
        Ok(requests)
    }

    #[test]
    fn other_dialects_are_told_by_their_first_bytes() {
        assert_eq!(all(&mut Intake::new(), b"GET / HTTP/1.1\r\n"), Err(WireError::Preamble));
        assert_eq!(all(&mut Intake::new(), b"ORCD\x02"), Err(WireError::Version(2)));
        assert_eq!(all(&mut Intake::new(), b"ORCA\x02"), Err(WireError::Version(2)));
        let (mut intake, mut input) = (Intake::new(), b"ORCA\x01and more".as_slice());
        assert_eq!(intake.next(&mut input), Ok(Some(Heard::Catalogue)));
        assert_eq!(input, b"and more");
    }

    #[test]
    fn one_read_asks_for_few_replies() {
        let mut shortest = Vec::new();
        request(0).append_to(&mut shortest);
        assert_eq!(DESK_READ.div_ceil(shortest.len()), 10);
    }

    proptest! {
        #[test]
        fn requests_survive_any_cut(
            ports in proptest::collection::vec(any::<u16>(), 0..5),
            cuts in proptest::collection::vec(0usize..60, 0..20),
        ) {
            let mut stream = preamble().to_vec();
            ports.iter().for_each(|&port| request(port).append_to(&mut stream));
            let (mut intake, mut rest, mut seen) = (Intake::new(), stream.as_slice(), Vec::new());
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                seen.extend(all(&mut intake, head).unwrap());
                rest = tail;
            }
            seen.extend(all(&mut intake, rest).unwrap());
            prop_assert_eq!(seen, ports.iter().map(|&port| request(port)).collect::<Vec<_>>());
            prop_assert_eq!(intake.midway, ports.is_empty());
        }
    }
}
