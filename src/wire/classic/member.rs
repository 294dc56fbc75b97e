//! Member to member in the classic protocol. Both sides ask, at the same time, on one connection.

use super::mask::{self, Mask};
use super::{Head, LineError, Subject, Word, append_line, number};
use crate::part::Layout;

/// The most digits of a part's number: those of the most parts, and some to spare for leading zeros.
const NUMBER_DIGITS_MAX: usize = 10;

/// What classic members say to each other. Parts are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Which parts do you have?
    Down(Subject),
    /// These.
    Send(Subject, Mask),
    /// Give me this part.
    Part(Subject, u64),
    /// Here it is; its bytes follow raw.
    Start(Subject, u64),
    /// I do not have this part; 0: I do not share that composition.
    None(Subject, u64),
}

impl Message {
    /// Appends the message.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        let (word, subject, line) = match self {
            Message::Down(subject) => (Word::Down, subject, None),
            Message::Send(subject, mask) => (Word::Send, subject, Some(mask.digits().to_owned())),
            Message::Part(subject, part) => (Word::Part, subject, Some(part.to_string())),
            Message::Start(subject, part) => (Word::Strt, subject, Some(part.to_string())),
            Message::None(subject, part) => (Word::None, subject, Some(part.to_string())),
        };
        subject.append_to(word, out);
        if let Some(line) = line {
            append_line(out, &line);
        }
    }
}

/// Whether a connection that begins with these bytes is one of a classic member.
#[must_use]
pub fn begins(first: [u8; 4]) -> bool {
    Word::ALL.into_iter().any(|word| is_between_members(word) && word.bytes() == first)
}

/// Reads messages from slices that end anywhere.
///
/// After a [`Message::Start`] the caller takes the bytes of the part off the stream itself.
#[derive(Debug)]
pub struct Decoder {
    layout: Layout,
    head: Head,
    /// The first three lines of a message whose last line is not whole.
    begun: Option<(Word, Subject)>,
}

impl Decoder {
    /// A decoder for links of members of a composition with this layout.
    #[must_use]
    pub fn new(layout: Layout) -> Decoder {
        Decoder { layout, head: Head::default(), begun: None }
    }

    /// Takes one message from the front of `input`, or all of `input` if the message is not whole yet.
    ///
    /// # Errors
    /// The bytes are no message; the stream cannot be read any further.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Message>, LineError> {
        let (word, subject) = match self.begun.take() {
            Some(begun) => begun,
            None => match self.head.next(input, is_between_members)? {
                Some(begun) => begun,
                None => return Ok(None),
            },
        };
        if word == Word::Down {
            return Ok(Some(Message::Down(subject)));
        }
        let max = if word == Word::Send { mask::digits_max(self.layout.parts()) } else { NUMBER_DIGITS_MAX };
        let Some(line) = self.head.lines.next(input, max)? else {
            self.begun = Some((word, subject));
            return Ok(None);
        };
        let message = match word {
            Word::Send => Message::Send(subject, Mask::check(self.layout, line)?),
            Word::Part => Message::Part(subject, number(&line)?),
            Word::Strt => Message::Start(subject, number(&line)?),
            Word::None | Word::Down | Word::Upld | Word::Comp => Message::None(subject, number(&line)?),
        };
        Ok(Some(message))
    }
}

const fn is_between_members(word: Word) -> bool {
    match word {
        Word::Down | Word::Send | Word::Part | Word::Strt | Word::None => true,
        Word::Upld | Word::Comp => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::limits::NAME_LEN_MAX;
    use crate::name::Name;
    use crate::part_set::PartSet;
    use proptest::prelude::*;

    fn layout() -> Layout {
        Layout::new(9, 1).unwrap()
    }

    fn subject() -> Subject {
        Subject::new(&Name::parse("abc.txt").unwrap(), Digest::of(b"abc"))
    }

    fn decoded(bytes: &[u8], step: usize) -> (Vec<Message>, Option<LineError>) {
        let (mut decoder, mut messages) = (Decoder::new(layout()), Vec::new());
        for mut input in bytes.chunks(step.max(1)) {
            loop {
                match decoder.next(&mut input) {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(error) => return (messages, Some(error)),
                }
            }
        }
        (messages, None)
    }

    /// The vectors of PROTOCOL.md, "The classic protocol".
    #[test]
    fn golden_vectors() {
        let about = "abc.txt\r\na9993e364706816aba3e25717850c26c9cd0d89d\r\n";
        for (message, text) in [
            (Message::Down(subject()), format!("DOWN\r\n{about}")),
            (
                Message::Send(subject(), Mask::of(&PartSet::full(layout()))),
                format!("SEND\r\n{about}1023\r\n"),
            ),
            (Message::Part(subject(), 9), format!("PART\r\n{about}9\r\n")),
            (Message::Start(subject(), 1), format!("STRT\r\n{about}1\r\n")),
            (Message::None(subject(), 0), format!("NONE\r\n{about}0\r\n")),
        ] {
            let mut bytes = Vec::new();
            message.append_to(&mut bytes);
            assert_eq!(bytes, text.as_bytes());
            for step in 1..9 {
                assert_eq!(decoded(&bytes, step), (vec![message.clone()], None));
            }
        }
    }

    #[test]
    fn what_is_no_message_ends_the_stream() {
        let about = "abc.txt\r\na9993e364706816aba3e25717850c26c9cd0d89d\r\n";
        let long = "n".repeat(NAME_LEN_MAX + 1);
        for (text, error) in [
            ("GET / HTTP/1.1\r\n".to_owned(), LineError::Word),
            ("down\r\n".to_owned(), LineError::Word),
            ("UPLD\r\n".to_owned(), LineError::Word),
            ("\r\n".to_owned(), LineError::Word),
            (format!("DOWN\r\n{long}"), LineError::TooLong { max: NAME_LEN_MAX }),
            ("DOWN\r\na\r\nxyz\r\n".to_owned(), LineError::Checksum),
            ("DOWN\r\na\r\n\r\n".to_owned(), LineError::Checksum),
            (format!("SEND\r\n{about}-517\r\n"), LineError::Mask),
            (format!("SEND\r\n{about}0511\r\n"), LineError::Mask),
            (format!("SEND\r\n{about}{}", "1".repeat(10_000_000)), LineError::TooLong { max: 4 }),
            (format!("PART\r\n{about}one\r\n"), LineError::Number),
            (format!("PART\r\n{about}\r\n"), LineError::Number),
            (format!("STRT\r\n{about}{}\r\n", u64::MAX), LineError::TooLong { max: NUMBER_DIGITS_MAX }),
        ] {
            assert_eq!(decoded(text.as_bytes(), 1_000), (vec![], Some(error)), "{text:.60}");
        }
        assert_eq!(decoded(b"DOWN\r\n\xff\r\n", 1), (vec![], Some(LineError::Utf8)));
    }

    #[test]
    fn a_name_may_have_half_an_end_of_a_line() {
        let (messages, error) =
            decoded(b"DOWN\r\na\rb\nc\r\na9993e364706816aba3e25717850c26c9cd0d89d\r\n", 1);
        assert_eq!(error, None);
        assert!(matches!(&messages[..], [Message::Down(subject)] if subject.name() == "a\rb\nc"));
    }

    #[test]
    fn first_bytes() {
        assert!(begins(*b"DOWN") && begins(*b"PART"));
        assert!(!begins(*b"ORCH") && !begins(*b"UPLD") && !begins(*b"down"));
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_messages_or_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), step in 1usize..30,
        ) {
            prop_assert_eq!(decoded(&bytes, step), decoded(&bytes, bytes.len()));
        }

        #[test]
        fn any_lines_end_in_messages_or_an_error(
            lines in proptest::collection::vec("DOWN|SEND|PART|STRT|NONE|abc|[0-9]{1,4}|[0-9a-f]{40}", 0..12),
            step in 1usize..30,
        ) {
            let bytes: Vec<u8> = lines.iter().flat_map(|line| [line.as_bytes(), b"\r\n"].concat()).collect();
            let whole = decoded(&bytes, bytes.len());
            prop_assert_eq!(&decoded(&bytes, step), &whole);
            let mut again = Vec::new();
            whole.0.iter().for_each(|message| message.append_to(&mut again));
            prop_assert_eq!(decoded(&again, again.len()).0, whole.0);
        }
    }
}
