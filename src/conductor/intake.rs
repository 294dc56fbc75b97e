//! From the first bytes of a connection to questions: the first four name the dialect.

use crate::wire::classic::desk as classic;
use crate::wire::desk::{self, MAGIC, PREAMBLE_LEN, Request, parse_preamble};
use crate::wire::dialogue::Decoder;
use crate::wire::{WireError, catalogue};

/// A question, in any dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// In ours.
    Native(Request),
    /// In the classic protocol. Its answer is the last thing on the connection.
    Classic(classic::Request),
    /// The connection is one to the catalogue: what follows is not for a desk.
    Catalogue,
}

/// Makes questions of bytes that end anywhere.
#[derive(Debug)]
pub(super) struct Intake {
    dialect: Dialect,
    /// Whether a question has begun and not ended.
    midway: bool,
}

#[derive(Debug)]
enum Dialect {
    Unnamed(Naming),
    Native(Decoder<Request>),
    Classic(classic::Requests),
    Catalogue,
    /// One question was asked, and there may be no other.
    Over,
}

/// The first bytes, as far as they came.
#[derive(Debug)]
struct Naming {
    bytes: [u8; PREAMBLE_LEN],
    seen: usize,
    /// Whether the classic protocol may be spoken.
    classic: bool,
}

impl Intake {
    /// Nothing has come yet; `classic` if the classic protocol may be spoken.
    pub(super) const fn new(classic: bool) -> Intake {
        let naming = Naming { bytes: [0; PREAMBLE_LEN], seen: 0, classic };
        Intake { dialect: Dialect::Unnamed(naming), midway: false }
    }

    /// Whether a question has begun and not ended.
    pub(super) const fn is_midway(&self) -> bool {
        self.midway
    }

    /// Whether nothing more may be asked.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.dialect, Dialect::Over)
    }

    /// Whether the first bytes may still turn out to be those of the classic protocol, or did.
    pub(super) const fn may_be_classic(&self) -> bool {
        match &self.dialect {
            Dialect::Unnamed(naming) => naming.classic,
            Dialect::Classic(_) => true,
            Dialect::Native(_) | Dialect::Catalogue | Dialect::Over => false,
        }
    }

    /// What is spoken here of the dialect in which a version was named that is not.
    pub(super) const fn own_preamble(&self) -> [u8; PREAMBLE_LEN] {
        match &self.dialect {
            Dialect::Unnamed(naming) if naming.is_of_catalogue() => catalogue::preamble(),
            _ => desk::preamble(),
        }
    }

    /// Takes one question from the front of `input`, or all of `input` if the question is not whole yet.
    pub(super) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Asked>, WireError> {
        if let Dialect::Unnamed(naming) = &mut self.dialect {
            self.midway |= !input.is_empty();
            match naming.next(input)? {
                Some(dialect) => self.dialect = dialect,
                None => return Ok(None),
            }
        }
        match &mut self.dialect {
            Dialect::Native(decoder) => {
                self.midway |= !input.is_empty();
                let request = decoder.next(input)?;
                self.midway &= request.is_none();
                Ok(request.map(Asked::Native))
            }
            Dialect::Classic(requests) => {
                let Some(request) = requests.next(input)? else { return Ok(None) };
                *self = Intake { dialect: Dialect::Over, midway: false };
                Ok(Some(Asked::Classic(request)))
            }
            Dialect::Catalogue => {
                *self = Intake { dialect: Dialect::Over, midway: false };
                Ok(Some(Asked::Catalogue))
            }
            Dialect::Over | Dialect::Unnamed(_) => {
                *input = &[];
                Ok(None)
            }
        }
    }
}

impl Naming {
    /// The dialect, once its name is whole.
    fn next(&mut self, input: &mut &[u8]) -> Result<Option<Dialect>, WireError> {
        if !self.take(input, MAGIC.len()) {
            return Ok(None);
        }
        let name = [self.bytes[0], self.bytes[1], self.bytes[2], self.bytes[3]];
        if self.classic && classic::begins(name) {
            let mut requests = classic::Requests::default();
            // A name alone is no request.
            requests.next(&mut name.as_slice())?;
            return Ok(Some(Dialect::Classic(requests)));
        }
        if name != MAGIC && !self.is_of_catalogue() {
            return Err(WireError::Preamble);
        }
        if !self.take(input, PREAMBLE_LEN) {
            return Ok(None);
        }
        if self.is_of_catalogue() {
            catalogue::parse_preamble(&self.bytes)?;
            return Ok(Some(Dialect::Catalogue));
        }
        parse_preamble(&self.bytes)?;
        Ok(Some(Dialect::Native(Decoder::<Request>::new())))
    }

    const fn is_of_catalogue(&self) -> bool {
        matches!(&self.bytes, [a, b, c, d, _] if u32::from_be_bytes([*a, *b, *c, *d]) == u32::from_be_bytes(catalogue::MAGIC))
    }

    /// Whether so many bytes are there, after taking what was lacking from `input`.
    fn take(&mut self, input: &mut &[u8], len: usize) -> bool {
        let lacking = len.saturating_sub(self.seen).min(input.len());
        let (taken, rest) = input.split_at(lacking);
        self.bytes[self.seen..self.seen + lacking].copy_from_slice(taken);
        self.seen += lacking;
        *input = rest;
        self.seen >= len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::DESK_READ;
    use crate::wire::desk::{Announce, Event, preamble};
    use proptest::prelude::*;

    const CLASSIC: &[u8] = b"DOWN\r\nabc.txt\r\na9993e364706816aba3e25717850c26c9cd0d89d\r\n10001\r\n";

    fn request(port: u16) -> Request {
        let announce = Announce { swarm: [7; 32], port, complete: false, left: 1, event: Event::Going };
        Request::Announce(announce)
    }

    fn all(intake: &mut Intake, mut input: &[u8]) -> Result<Vec<Asked>, WireError> {
        let mut requests = Vec::new();
        while let Some(request) = intake.next(&mut input)? {
            requests.push(request);
        }
        assert!(input.is_empty());
        Ok(requests)
    }

    #[test]
    fn other_dialects_are_told_by_their_first_bytes() {
        for classic in [false, true] {
            let asked = |bytes| all(&mut Intake::new(classic), bytes);
            assert_eq!(asked(b"GET / HTTP/1.1\r\n"), Err(WireError::Preamble));
            assert_eq!(asked(b"ORCD\x02"), Err(WireError::Version(2)));
            assert_eq!(asked(b"PART\r\n"), Err(WireError::Preamble));
            assert_eq!(asked(b"ORCA\x02"), Err(WireError::Version(2)));
            assert_eq!(asked(b"DOW"), Ok(vec![]));
        }
    }

    #[test]
    fn the_classic_protocol_is_spoken_only_if_it_may_be() {
        assert_eq!(all(&mut Intake::new(false), CLASSIC), Err(WireError::Preamble));
        for step in 1..CLASSIC.len() {
            let mut intake = Intake::new(true);
            let asked: Vec<Asked> =
                CLASSIC.chunks(step).flat_map(|piece| all(&mut intake, piece).unwrap()).collect();
            assert!(matches!(&asked[..], [Asked::Classic(classic::Request::Down(_, 10_001))]), "{asked:?}");
            assert!(intake.is_over() && !intake.is_midway());
            assert_eq!(all(&mut intake, CLASSIC), Ok(vec![]), "one question a connection");
        }
        let mut intake = Intake::new(true);
        assert!(intake.may_be_classic() && !Intake::new(false).may_be_classic());
        all(&mut intake, &CLASSIC[..20]).unwrap();
        assert!(intake.is_midway() && !intake.is_over() && intake.may_be_classic());
        let mut intake = Intake::new(true);
        all(&mut intake, &preamble()).unwrap();
        assert!(!intake.may_be_classic());
    }

    #[test]
    fn what_comes_for_the_catalogue_is_left_to_it() {
        let (mut intake, mut input) = (Intake::new(true), b"ORCA\x01and more".as_slice());
        assert_eq!(intake.next(&mut input), Ok(Some(Asked::Catalogue)));
        assert_eq!(input, b"and more");
    }

    #[test]
    fn who_speaks_another_version_is_told_ours() {
        for (said, ours) in [(b"ORCA\x02", b"ORCA\x01"), (b"ORCD\x09", b"ORCD\x01")] {
            let mut intake = Intake::new(false);
            assert_eq!(intake.next(&mut said.as_slice()), Err(WireError::Version(said[4])));
            assert_eq!(&intake.own_preamble(), ours);
        }
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
            let (mut intake, mut rest, mut seen) = (Intake::new(false), stream.as_slice(), Vec::new());
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                seen.extend(all(&mut intake, head).unwrap());
                rest = tail;
            }
            seen.extend(all(&mut intake, rest).unwrap());
            let expected: Vec<Asked> = ports.iter().map(|&port| Asked::Native(request(port))).collect();
            prop_assert_eq!(seen, expected);
            prop_assert_eq!(intake.is_midway(), ports.is_empty());
        }
    }
}
