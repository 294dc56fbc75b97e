//! Member to conductor in the classic protocol: one question a connection.

use std::net::SocketAddr;

use super::{Head, LineError, Subject, Word, append_line, number};
use crate::limits::{CLASSIC_ADDRESSES_MAX, CLASSIC_UNREADABLE_MAX};

/// The most digits of a port.
const PORT_DIGITS_MAX: usize = 5;
/// The longest line with an address: one of IPv6 with its zone and port, in brackets.
const ADDRESS_LEN_MAX: usize = 64;
/// The most digits of a number of addresses, with some to spare.
const COUNT_DIGITS_MAX: usize = 10;

/// What a classic conductor is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Who shares this? I listen on that port.
    Down(Subject, u16),
    /// I share this, and listen on that port.
    Upload(Subject, u16),
    /// I complain about the member that listens there.
    Complain(Subject, SocketAddr),
}

/// What a classic conductor answers to a [`Request::Down`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nobody yet.
    Nobody(Subject),
    /// These.
    Members(Subject, Vec<SocketAddr>),
}

/// A piece of an answer, as it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nobody shares this yet: nothing follows.
    Nobody(Subject),
    /// So many addresses follow.
    Members(Subject, u64),
    /// One of them.
    Member(SocketAddr),
    /// One of them, which is no address.
    Unreadable,
}

impl Request {
    /// Appends the request.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        let (word, subject, line) = match self {
            Request::Down(subject, port) => (Word::Down, subject, port.to_string()),
            Request::Upload(subject, port) => (Word::Upld, subject, port.to_string()),
            Request::Complain(subject, address) => (Word::Comp, subject, address.to_string()),
        };
        subject.append_to(word, out);
        append_line(out, &line);
    }
}

impl Reply {
    /// Appends the answer.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        match self {
            Reply::Nobody(subject) => subject.append_to(Word::None, out),
            Reply::Members(subject, members) => {
                subject.append_to(Word::Send, out);
                append_line(out, &members.len().to_string());
                members.iter().for_each(|member| append_line(out, &member.to_string()));
            }
        }
    }
}

/// Whether a connection that begins with these bytes asks a classic conductor something.
#[must_use]
pub fn begins(first: [u8; 4]) -> bool {
    Word::ALL.into_iter().any(|word| is_request(word) && word.bytes() == first)
}

/// Reads requests from slices that end anywhere.
#[derive(Debug, Default)]
pub struct Requests {
    head: Head,
    begun: Option<(Word, Subject)>,
}

impl Requests {
    /// Takes one request from the front of `input`, or all of `input` if the request is not whole yet.
    ///
    /// # Errors
    /// The bytes are no request; the stream cannot be read any further.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Request>, LineError> {
        let (word, subject) = match self.begun.take() {
            Some(begun) => begun,
            None => match self.head.next(input, is_request)? {
                Some(begun) => begun,
                None => return Ok(None),
            },
        };
        let max = if word == Word::Comp { ADDRESS_LEN_MAX } else { PORT_DIGITS_MAX };
        let Some(line) = self.head.lines.next(input, max)? else {
            self.begun = Some((word, subject));
            return Ok(None);
        };
        let request = match word {
            Word::Comp => Request::Complain(subject, address(&line)?),
            Word::Upld => Request::Upload(subject, port(&line)?),
            Word::Down | Word::Send | Word::Part | Word::Strt | Word::None => {
                Request::Down(subject, port(&line)?)
            }
        };
        Ok(Some(request))
    }

    /// Whether a request has begun and not ended.
    #[must_use]
    pub const fn is_midway(&self) -> bool {
        self.begun.is_some() || self.head.is_midway()
    }
}

/// Reads an answer from slices that end anywhere, an address at a time: nobody need keep a million of them.
#[derive(Debug, Default)]
pub struct Replies {
    head: Head,
    /// The head of an answer whose number of addresses has not come yet.
    begun: Option<Subject>,
    /// How many addresses are still to come, once that is known.
    left: Option<u64>,
    /// The line that comes is too long, and is not read.
    skips: bool,
    /// How many lines were no addresses.
    unreadable: usize,
}

impl Replies {
    /// Takes the next piece from the front of `input`, or all of `input` if it is not whole yet.
    ///
    /// # Errors
    /// The bytes are no answer; the stream cannot be read any further.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Told>, LineError> {
        if let Some(left) = self.left {
            if left == 0 {
                return Ok(None);
            }
            let Some(told) = self.next_member(input)? else { return Ok(None) };
            self.left = Some(left - 1);
            return Ok(Some(told));
        }
        let subject = match self.begun.take() {
            Some(subject) => subject,
            None => match self.head.next(input, is_reply)? {
                Some((Word::None, subject)) => {
                    self.left = Some(0);
                    return Ok(Some(Told::Nobody(subject)));
                }
                Some((_, subject)) => subject,
                None => return Ok(None),
            },
        };
        let Some(line) = self.head.lines.next(input, COUNT_DIGITS_MAX)? else {
            self.begun = Some(subject);
            return Ok(None);
        };
        let count = number(&line)?;
        if count > CLASSIC_ADDRESSES_MAX {
            return Err(LineError::TooMany);
        }
        self.left = Some(count);
        Ok(Some(Told::Members(subject, count)))
    }

    /// The next line of the list. One that is no address costs only itself, however long it is.
    fn next_member(&mut self, input: &mut &[u8]) -> Result<Option<Told>, LineError> {
        if !self.skips {
            match self.head.lines.next(input, ADDRESS_LEN_MAX) {
                Ok(None) => return Ok(None),
                Ok(Some(line)) => {
                    return address(&line)
                        .map_or_else(|_| self.unreadable(), |told| Ok(Some(Told::Member(told))));
                }
                Err(_) => self.skips = true,
            }
        }
        if !self.head.lines.skip(input) {
            return Ok(None);
        }
        self.skips = false;
        self.unreadable()
    }

    fn unreadable(&mut self) -> Result<Option<Told>, LineError> {
        self.unreadable += 1;
        if self.unreadable > CLASSIC_UNREADABLE_MAX {
            Err(LineError::Unreadable)
        } else {
            Ok(Some(Told::Unreadable))
        }
    }

    /// Whether the answer is whole.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.left == Some(0)
    }
}

const fn is_request(word: Word) -> bool {
    matches!(word, Word::Down | Word::Upld | Word::Comp)
}

const fn is_reply(word: Word) -> bool {
    matches!(word, Word::Send | Word::None)
}

fn port(line: &[u8]) -> Result<u16, LineError> {
    u16::try_from(number(line)?).map_err(|_| LineError::Number)
}

fn address(line: &[u8]) -> Result<SocketAddr, LineError> {
    let text = std::str::from_utf8(line).map_err(|_| LineError::Utf8)?;
    text.parse().map_err(|_| LineError::Address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::name::Name;
    use proptest::prelude::*;

    const ABOUT: &str = "abc.txt\r\na9993e364706816aba3e25717850c26c9cd0d89d\r\n";

    fn subject() -> Subject {
        Subject::new(&Name::parse("abc.txt").unwrap(), Digest::of(b"abc"))
    }

    fn asked(bytes: &[u8], step: usize) -> (Vec<Request>, Option<LineError>, bool) {
        let (mut requests, mut found) = (Requests::default(), Vec::new());
        for mut input in bytes.chunks(step.max(1)) {
            loop {
                match requests.next(&mut input) {
                    Ok(Some(request)) => found.push(request),
                    Ok(None) => break,
                    Err(error) => return (found, Some(error), true),
                }
            }
        }
        (found, None, requests.is_midway())
    }

    fn told(bytes: &[u8], step: usize) -> (Vec<Told>, Option<LineError>, bool) {
        let (mut replies, mut found) = (Replies::default(), Vec::new());
        for mut input in bytes.chunks(step.max(1)) {
            loop {
                match replies.next(&mut input) {
                    Ok(Some(piece)) => found.push(piece),
                    Ok(None) => break,
                    Err(error) => return (found, Some(error), false),
                }
            }
        }
        (found, None, replies.is_over())
    }

    /// The vectors of PROTOCOL.md, "The classic protocol".
    #[test]
    fn golden_vectors() {
        let address: SocketAddr = "10.0.0.7:10001".parse().unwrap();
        for (request, text) in [
            (Request::Down(subject(), 10_001), format!("DOWN\r\n{ABOUT}10001\r\n")),
            (Request::Upload(subject(), 10_001), format!("UPLD\r\n{ABOUT}10001\r\n")),
            (Request::Complain(subject(), address), format!("COMP\r\n{ABOUT}10.0.0.7:10001\r\n")),
        ] {
            let mut bytes = Vec::new();
            request.append_to(&mut bytes);
            assert_eq!(bytes, text.as_bytes());
            for step in 1..9 {
                assert_eq!(asked(&bytes, step), (vec![request.clone()], None, false));
                assert!(asked(&bytes[..bytes.len() - 1], step).2, "it is not whole");
            }
        }
        let mut bytes = Vec::new();
        Reply::Nobody(subject()).append_to(&mut bytes);
        assert_eq!(bytes, format!("NONE\r\n{ABOUT}").as_bytes());
        assert_eq!(told(&bytes, 3), (vec![Told::Nobody(subject())], None, true));
        let mut bytes = Vec::new();
        let others = vec![address, "[::1]:10002".parse().unwrap()];
        Reply::Members(subject(), others.clone()).append_to(&mut bytes);
        assert_eq!(bytes, format!("SEND\r\n{ABOUT}2\r\n10.0.0.7:10001\r\n[::1]:10002\r\n").as_bytes());
        for step in 1..9 {
            let all = [Told::Members(subject(), 2), Told::Member(others[0]), Told::Member(others[1])];
            assert_eq!(told(&bytes, step), (all.to_vec(), None, true));
            assert!(!told(&bytes[..bytes.len() - 1], step).2, "it is not whole");
        }
    }

    #[test]
    fn what_is_no_question_is_refused() {
        for (text, error) in [
            ("PART\r\n".to_owned(), LineError::Word),
            (format!("DOWN\r\n{ABOUT}65536\r\n"), LineError::Number),
            (format!("DOWN\r\n{ABOUT}-1\r\n"), LineError::Number),
            (format!("DOWN\r\n{ABOUT}100001\r\n"), LineError::TooLong { max: PORT_DIGITS_MAX }),
            (format!("COMP\r\n{ABOUT}nas:10001\r\n"), LineError::Address),
            (format!("COMP\r\n{ABOUT}10.0.0.7\r\n"), LineError::Address),
        ] {
            assert_eq!(asked(text.as_bytes(), 7).1, Some(error), "{text}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for (text, error) in [
            ("DOWN\r\n".to_owned(), LineError::Word),
            (format!("SEND\r\n{ABOUT}1000001\r\n"), LineError::TooMany),
            (format!("SEND\r\n{ABOUT}-1\r\n"), LineError::Number),
            (
                format!("SEND\r\n{ABOUT}1000000\r\n{}", "nas:1\r\n".repeat(CLASSIC_UNREADABLE_MAX + 1)),
                LineError::Unreadable,
            ),
        ] {
            assert_eq!(told(text.as_bytes(), 7).1, Some(error), "{text}");
        }
        let (pieces, error, over) = told(format!("SEND\r\n{ABOUT}0\r\n").as_bytes(), 1);
        assert_eq!((pieces, error, over), (vec![Told::Members(subject(), 0)], None, true));
    }

    #[test]
    fn a_line_that_is_no_address_costs_only_itself() {
        let long = "1".repeat(1_000_000);
        let bytes =
            format!("SEND\r\n{ABOUT}6\r\n10.0.0.7:1\r\nnas:1\r\n\r\n{long}\r\n\u{661}\r\n10.0.0.8:1\r\n");
        for step in [1, 2, 63, 64, 65, 66, 67, 1_000, bytes.len()] {
            let (pieces, error, over) = told(bytes.as_bytes(), step);
            let [first, last] = ["10.0.0.7:1", "10.0.0.8:1"].map(|text| Told::Member(text.parse().unwrap()));
            assert_eq!(pieces[0], Told::Members(subject(), 6));
            assert_eq!((&pieces[1], &pieces[6], pieces.len()), (&first, &last, 7), "cut every {step}");
            assert!(pieces[2..6].iter().all(|piece| *piece == Told::Unreadable));
            assert_eq!((error, over), (None, true));
        }
        let most = format!("SEND\r\n{ABOUT}2000\r\n{}", "nas\r\n".repeat(CLASSIC_UNREADABLE_MAX));
        assert_eq!(told(most.as_bytes(), 100).1, None);
    }

    proptest! {
        #[test]
        fn any_lines_end_in_questions_and_answers_or_an_error(
            lines in proptest::collection::vec(
                "DOWN|UPLD|COMP|SEND|NONE|abc|[0-9]{1,6}|[0-9a-f]{40}|10\\.0\\.0\\.[0-9]{1,3}:[0-9]{1,5}", 0..12,
            ),
            step in 1usize..30,
        ) {
            let bytes: Vec<u8> = lines.iter().flat_map(|line| [line.as_bytes(), b"\r\n"].concat()).collect();
            prop_assert_eq!(asked(&bytes, step), asked(&bytes, bytes.len()));
            prop_assert_eq!(told(&bytes, step), told(&bytes, bytes.len()));
        }
    }
}
