//! One connection to the catalogue, as a machine: bytes in, questions out; replies in, bytes out.
//!
//! It shakes hands, opens records, puts frames together, and gathers the digests of what is being published. It knows no
//! socket, no time and no account. Whoever drives it asks it for the next question only when the last one was answered, so
//! what waits in it is bounded: a record, a frame, the bytes of a reply, and digests for which there is a [`Grant`].

use zeroize::{Zeroize as _, Zeroizing};

use super::budget::Grant;
use crate::digest::{DIGEST_LEN, Digest};
use crate::limits::{CATALOGUE_FRAME_MAX, DIGESTS_PER_FRAME, RECORD_PLAIN_MAX, RECORD_TAG_LEN};
use crate::name::Name;
use crate::part::Layout;
use crate::wire::WireError;
use crate::wire::catalogue::{Composition, Digests, Refusal, Reply, Request, preamble};
use crate::wire::dialogue::Decoder;
use crate::wire::seal::{self, CALL_LEN, ConductorKey, Opener, RECORD_HEADER_LEN, Sealer};

/// One connection to the catalogue.
#[derive(Debug)]
pub struct Connection {
    stage: Stage,
    decoder: Decoder<Request>,
    /// What the last record held, and how much of it was read.
    plain: Vec<u8>,
    read: usize,
    gathering: Option<Gathering>,
    /// Messages so far, digests among them: whether anything whole comes.
    messages: u64,
    /// Sealed bytes that wait for the socket, and how many of them it has taken.
    unsent: Vec<u8>,
    sent: usize,
}

#[derive(Debug)]
enum Stage {
    /// The first message of the handshake is coming.
    Called {
        message: [u8; CALL_LEN],
        seen: usize,
    },
    Open(Box<Channel>),
}

#[derive(Debug)]
struct Channel {
    sealer: Sealer,
    opener: Opener,
    /// The record that is coming: its header, then its sealed bytes.
    record: Vec<u8>,
}

/// What somebody asks.
#[derive(Debug)]
pub enum Question {
    /// Anything but what has to do with publishing.
    Ask(Request),
    /// They are about to publish this. Its digests are taken after [`Connection::gather`].
    Publish(Composition),
    /// The digests of what they publish are all there.
    Gathered(Gathered),
}

/// What is being published.
#[derive(Debug)]
struct Gathering {
    parts: Vec<Digest>,
    /// How many parts there are in all.
    wanted: usize,
    taken: usize,
    fate: Result<Publishing, Refusal>,
}

/// A composition that may be published, once its digests are there.
#[derive(Debug)]
pub struct Publishing {
    /// Its name.
    pub name: Name,
    /// The digest of the whole.
    pub digest: Digest,
    /// Its size, and that of its parts.
    pub layout: Layout,
    /// The room for its digests that have come.
    pub grant: Grant,
}

/// A composition whose digests were all sent, or why it is not published all the same.
#[derive(Debug)]
pub struct Gathered {
    /// What it is.
    pub fate: Result<Publishing, Refusal>,
    /// The digest of every part; none if it is refused.
    pub parts: Vec<Digest>,
}

impl Gathering {
    /// Keeps these, unless it is refused or there is no room for them: what was only announced has taken none.
    fn keep(&mut self, digests: &Digests) {
        let Ok(publishing) = &mut self.fate else { return };
        if self.taken > self.parts.capacity() {
            // Twice as much each time, so that it is moved a few times only.
            let room = self.taken.max(2 * self.parts.capacity()).min(self.wanted);
            if !publishing.grant.grow(room * DIGEST_LEN) {
                self.parts = Vec::new();
                self.fate = Err(Refusal::Busy);
                return;
            }
            self.parts.reserve_exact(room - self.parts.len());
        }
        self.parts.extend(digests.iter());
    }
}

impl Default for Connection {
    fn default() -> Connection {
        Connection::new()
    }
}

impl Connection {
    /// A connection whose preamble has come, and nothing else.
    #[must_use]
    pub const fn new() -> Connection {
        Connection {
            stage: Stage::Called { message: [0; CALL_LEN], seen: 0 },
            decoder: Decoder::<Request>::new(),
            plain: Vec::new(),
            read: 0,
            gathering: None,
            messages: 0,
            unsent: Vec::new(),
            sent: 0,
        }
    }

    /// Whether the handshake is over.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }

    /// Whether digests of a composition are coming.
    #[must_use]
    pub const fn is_gathering(&self) -> bool {
        self.gathering.is_some()
    }

    /// How many whole messages came.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// Whether a message has begun and not ended, or waits to be read.
    #[must_use]
    pub fn is_midway(&self) -> bool {
        match &self.stage {
            Stage::Called { .. } => true,
            Stage::Open(channel) => {
                !channel.record.is_empty() || self.read < self.plain.len() || self.gathering.is_some()
            }
        }
    }

    /// Whether a record was opened that has not been read to its end: there may be a question without any further bytes.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.read < self.plain.len()
    }

    /// Takes bytes from the front of `input` until a question is whole; all of them if none is.
    ///
    /// # Errors
    /// The bytes are none of the protocol; nothing more can be read.
    pub fn take(&mut self, key: &ConductorKey, input: &mut &[u8]) -> Result<Option<Question>, WireError> {
        loop {
            if self.has_more() {
                let mut plain = &self.plain[self.read..];
                let before = plain.len();
                let request = self.decoder.next(&mut plain)?;
                self.read += before - plain.len();
                match request {
                    None => {}
                    Some(request) => {
                        self.messages += 1;
                        if let Some(question) = self.on_request(request)? {
                            return Ok(Some(question));
                        }
                    }
                }
            } else if input.is_empty() {
                return Ok(None);
            } else {
                self.read_record(key, input)?;
            }
        }
    }

    /// What became of a [`Question::Publish`]: its digests are taken, and kept unless it is refused, or there is no room for
    /// one of them when it comes. Says what was gathered if there are none to come.
    pub fn gather(&mut self, parts: u32, fate: Result<Publishing, Refusal>) -> Option<Gathered> {
        let wanted = parts as usize;
        self.gathering = Some(Gathering { parts: Vec::new(), wanted, taken: 0, fate });
        self.gathered()
    }

    /// Appends a reply to what is to be sent.
    ///
    /// # Errors
    /// The key is used up.
    ///
    /// # Panics
    /// The handshake is not over: nothing was asked.
    pub fn reply(&mut self, reply: &Reply) -> Result<(), WireError> {
        let Stage::Open(channel) = &mut self.stage else { unreachable!("nothing was asked yet") };
        // A reply may hold the token of a session.
        let mut frame = Zeroizing::new(Vec::new());
        reply.append_to(&mut frame);
        for plain in frame.chunks(RECORD_PLAIN_MAX) {
            let start = self.unsent.len();
            self.unsent.extend_from_slice(&[0; RECORD_HEADER_LEN]);
            self.unsent.extend_from_slice(plain);
            self.unsent.extend_from_slice(&[0; RECORD_TAG_LEN]);
            channel.sealer.seal(&mut self.unsent[start..])?;
        }
        Ok(())
    }

    /// What the socket has not taken yet.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        &self.unsent[self.sent..]
    }

    /// The socket took so many bytes of it.
    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.sent == self.unsent.len() {
            self.sent = 0;
            self.unsent.clear();
            // A connection that waits for its user keeps no buffer.
            self.unsent.shrink_to(CATALOGUE_FRAME_MAX / 16);
        }
    }

    fn read_record(&mut self, key: &ConductorKey, input: &mut &[u8]) -> Result<(), WireError> {
        match &mut self.stage {
            Stage::Called { message, seen } => {
                let taken = (CALL_LEN - *seen).min(input.len());
                message[*seen..*seen + taken].copy_from_slice(&input[..taken]);
                *seen += taken;
                *input = &input[taken..];
                if *seen == CALL_LEN {
                    let (sealer, opener, answer) = key.answer(&preamble(), message)?;
                    self.unsent.extend_from_slice(&answer);
                    self.stage = Stage::Open(Box::new(Channel { sealer, opener, record: Vec::new() }));
                }
            }
            Stage::Open(channel) => {
                fill(&mut channel.record, input, RECORD_HEADER_LEN);
                let Some(&header) = channel.record.first_chunk::<RECORD_HEADER_LEN>() else { return Ok(()) };
                let len = RECORD_HEADER_LEN + seal::record_len(header)?;
                fill(&mut channel.record, input, len);
                if channel.record.len() == len {
                    let plain = channel.opener.open(&mut channel.record[RECORD_HEADER_LEN..])?;
                    // Passwords come in them.
                    self.plain.zeroize();
                    self.plain.extend_from_slice(plain);
                    self.read = 0;
                    channel.record.zeroize();
                    if !self.is_gathering() {
                        self.plain.shrink_to(CATALOGUE_FRAME_MAX / 16);
                        self.forget_room();
                    }
                }
            }
        }
        Ok(())
    }

    /// Keeps no buffer for a record, unless many are coming.
    fn forget_room(&mut self) {
        if let Stage::Open(channel) = &mut self.stage {
            channel.record.shrink_to(CATALOGUE_FRAME_MAX / 16);
        }
    }

    fn on_request(&mut self, request: Request) -> Result<Option<Question>, WireError> {
        match request {
            Request::Digests(digests) => self.on_digests(&digests),
            // Who publishes says nothing else before it is through.
            _ if self.gathering.is_some() => Err(WireError::Answer),
            Request::Publish(composition) => Ok(Some(Question::Publish(composition))),
            other => Ok(Some(Question::Ask(other))),
        }
    }

    fn on_digests(&mut self, digests: &Digests) -> Result<Option<Question>, WireError> {
        let Some(gathering) = &mut self.gathering else { return Err(WireError::Answer) };
        let expected = (gathering.wanted - gathering.taken).min(DIGESTS_PER_FRAME);
        if digests.iter().len() != expected {
            return Err(WireError::Answer);
        }
        gathering.taken += expected;
        gathering.keep(digests);
        Ok(self.gathered().map(Question::Gathered))
    }

    fn gathered(&mut self) -> Option<Gathered> {
        let whole = self.gathering.take_if(|gathering| gathering.taken == gathering.wanted)?;
        Some(Gathered { fate: whole.fate, parts: whole.parts })
    }
}

/// Takes from the front of `input` what `bytes` lacks to have this length.
fn fill(bytes: &mut Vec<u8>, input: &mut &[u8], len: usize) {
    let lacking = len.saturating_sub(bytes.len()).min(input.len());
    let (taken, rest) = input.split_at(lacking);
    bytes.extend_from_slice(taken);
    *input = rest;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conductor::catalogue::budget::Budget;
    use crate::wire::catalogue::Login;
    use crate::wire::seal::{CALL_ANSWER_LEN, Called, Caller};
    use proptest::prelude::*;

    const KEY: ConductorKey = ConductorKey::from_bytes([5; 32]);

    /// A connection whose handshake is over, and the other side of it.
    fn connected() -> (Connection, Called) {
        let (caller, message) = Caller::start(&preamble());
        let mut connection = Connection::new();
        assert!(connection.take(&KEY, &mut message.as_slice()).unwrap().is_none());
        let answer: [u8; CALL_ANSWER_LEN] = connection.unsent().try_into().unwrap();
        connection.sent(CALL_ANSWER_LEN);
        (connection, caller.finish(&answer).unwrap())
    }

    fn sealed(called: &mut Called, plain: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for plain in plain.chunks(RECORD_PLAIN_MAX) {
            let start = bytes.len();
            bytes.extend_from_slice(&[0; RECORD_HEADER_LEN]);
            bytes.extend_from_slice(plain);
            bytes.extend_from_slice(&[0; RECORD_TAG_LEN]);
            called.sealer.seal(&mut bytes[start..]).unwrap();
        }
        bytes
    }

    fn asked(requests: &[Request]) -> Vec<u8> {
        let mut bytes = Vec::new();
        requests.iter().for_each(|request| request.append_to(&mut bytes));
        bytes
    }

    fn composition(parts: u64) -> Composition {
        Composition { name: "a".to_owned(), digest: [1; 20], size: parts, part_len: 1 }
    }

    fn digests(count: usize) -> Request {
        Request::Digests(Digests::new(&vec![Digest::from_bytes([2; 20]); count]))
    }

    fn publishing(budget: &mut Budget, account: &str, parts: u64) -> Publishing {
        Publishing {
            name: Name::parse("a").unwrap(),
            digest: Digest::from_bytes([1; 20]),
            layout: Layout::new(parts, 1).unwrap(),
            grant: budget.open(account, [10, 0, 0, 1].into()),
        }
    }

    #[test]
    fn one_question_at_a_time() {
        let (mut connection, mut called) = connected();
        let login = Login { name: "ada".to_owned(), password: "engine 9".to_owned().into() };
        let bytes = sealed(&mut called, &asked(&[Request::Login(login), Request::Logout]));
        let mut input = bytes.as_slice();
        assert!(matches!(connection.take(&KEY, &mut input), Ok(Some(Question::Ask(Request::Login(_))))));
        assert!(connection.is_midway(), "the next one waits");
        assert!(matches!(connection.take(&KEY, &mut input), Ok(Some(Question::Ask(Request::Logout)))));
        assert!(matches!(connection.take(&KEY, &mut input), Ok(None)) && !connection.is_midway());
    }

    #[test]
    fn digests_are_gathered_and_counted() {
        let mut budget = Budget::new(DIGEST_LEN * 3_001, usize::MAX, usize::MAX);
        let (mut connection, mut called) = connected();
        let all = [Request::Publish(composition(3_001)), digests(3_000), digests(1), Request::Logout];
        let bytes = sealed(&mut called, &asked(&all));
        let mut input = bytes.as_slice();
        assert!(matches!(connection.take(&KEY, &mut input), Ok(Some(Question::Publish(_)))));
        assert!(connection.gather(3_001, Ok(publishing(&mut budget, "ada", 3_001))).is_none());
        let Ok(Some(Question::Gathered(gathered))) = connection.take(&KEY, &mut input) else { panic!() };
        assert_eq!((gathered.parts.len(), gathered.fate.is_ok()), (3_001, true));
        assert!(!budget.open("bob", [10, 0, 0, 1].into()).grow(1), "it is used up");
        drop(gathered);
        assert!(budget.open("bob", [10, 0, 0, 1].into()).grow(DIGEST_LEN * 3_001));
        assert!(matches!(connection.take(&KEY, &mut input), Ok(Some(Question::Ask(Request::Logout)))));
    }

    #[test]
    fn room_is_taken_by_digests_that_came_and_not_by_those_that_were_announced() {
        let mut budget = Budget::new(DIGEST_LEN * 8_000, usize::MAX, usize::MAX);
        // More than there is room for is announced, by many.
        let mut announced: Vec<_> = (0..20).map(|_| connected()).collect();
        for (connection, called) in &mut announced {
            let bytes = sealed(called, &asked(&[Request::Publish(composition(7_000))]));
            assert!(matches!(connection.take(&KEY, &mut bytes.as_slice()), Ok(Some(Question::Publish(_)))));
            assert!(connection.gather(7_000, Ok(publishing(&mut budget, "mallory", 7_000))).is_none());
        }
        let (first, rest) = announced.split_at_mut(1);
        let send = |(connection, called): &mut (Connection, Called), count| {
            let bytes = sealed(called, &asked(&[digests(count)]));
            connection.take(&KEY, &mut bytes.as_slice()).unwrap()
        };
        let [first, second] = [&mut first[0], &mut rest[0]];
        for count in [3_000, 3_000] {
            assert!(send(first, count).is_none());
        }
        assert!(send(second, 3_000).is_none(), "it is refused, once all of it was read");
        let Some(Question::Gathered(gathered)) = send(first, 1_000) else { panic!() };
        assert_eq!((gathered.parts.len(), gathered.fate.is_ok()), (7_000, true));
        assert!(send(second, 3_000).is_none());
        let Some(Question::Gathered(gathered)) = send(second, 1_000) else { panic!() };
        assert!(gathered.parts.is_empty() && gathered.fate.unwrap_err() == Refusal::Busy);
    }

    #[test]
    fn refused_digests_are_read_and_not_kept() {
        let (mut connection, mut called) = connected();
        let bytes = sealed(&mut called, &asked(&[Request::Publish(composition(2)), digests(2)]));
        let mut input = bytes.as_slice();
        assert!(matches!(connection.take(&KEY, &mut input), Ok(Some(Question::Publish(_)))));
        assert!(connection.gather(2, Err(Refusal::LoginFirst)).is_none());
        let Ok(Some(Question::Gathered(gathered))) = connection.take(&KEY, &mut input) else { panic!() };
        assert!(gathered.parts.is_empty() && gathered.fate.unwrap_err() == Refusal::LoginFirst);
        // Nothing is to come for nothing.
        let gathered = connection.gather(0, Err(Refusal::Busy)).unwrap();
        assert_eq!(gathered.fate.unwrap_err(), Refusal::Busy);
    }

    #[test]
    fn digests_out_of_place_end_the_connection() {
        for (gathers, next) in [
            (None, digests(1)),
            (Some(2), digests(1)),
            (Some(2), digests(3)),
            (Some(2), digests(0)),
            (Some(3_001), digests(2_999)),
            (Some(2), Request::Logout),
        ] {
            let (mut connection, mut called) = connected();
            if let Some(parts) = gathers {
                connection.gather(parts, Err(Refusal::Busy));
            }
            let bytes = sealed(&mut called, &asked(&[next]));
            assert_eq!(connection.take(&KEY, &mut bytes.as_slice()).unwrap_err(), WireError::Answer);
        }
    }

    #[test]
    fn replies_are_sealed_in_records() {
        let (mut connection, mut called) = connected();
        let reply = Reply::Digests(Digests::new(&vec![Digest::from_bytes([2; 20]); DIGESTS_PER_FRAME]));
        for _ in 0..3 {
            connection.reply(&reply).unwrap();
        }
        let mut decoder = Decoder::<Reply>::new();
        let (mut bytes, mut replies) = (connection.unsent().to_vec(), 0);
        connection.sent(bytes.len());
        assert!(connection.unsent().is_empty());
        let mut rest = bytes.as_mut_slice();
        while !rest.is_empty() {
            let len = seal::record_len([rest[0], rest[1]]).unwrap();
            let (record, after) = rest.split_at_mut(RECORD_HEADER_LEN + len);
            let mut plain: &[u8] = called.opener.open(&mut record[RECORD_HEADER_LEN..]).unwrap();
            while let Some(next) = decoder.next(&mut plain).unwrap() {
                assert_eq!(next, reply);
                replies += 1;
            }
            rest = after;
        }
        assert_eq!(replies, 3);
    }

    proptest! {
        #[test]
        fn questions_survive_any_cut(cuts in proptest::collection::vec(1usize..200, 0..60)) {
            let (mut connection, mut called) = connected();
            let list = Request::Logout;
            let bytes = sealed(&mut called, &asked(&vec![list; 20]));
            let (mut rest, mut questions) = (bytes.as_slice(), 0);
            for cut in cuts.into_iter().chain([bytes.len()]) {
                let (mut head, tail) = rest.split_at(cut.min(rest.len()));
                while connection.take(&KEY, &mut head).unwrap().is_some() {
                    questions += 1;
                }
                prop_assert!(head.is_empty());
                rest = tail;
            }
            prop_assert_eq!(questions, 20);
        }

        #[test]
        fn any_bytes_end_in_questions_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut connection = Connection::new();
            let mut input = bytes.as_slice();
            while let Ok(Some(_)) = connection.take(&KEY, &mut input) {}
            let (mut connection, mut called) = connected();
            let bytes = sealed(&mut called, &bytes);
            let mut input = bytes.as_slice();
            while let Ok(Some(_)) = connection.take(&KEY, &mut input) {}
        }
    }
}
