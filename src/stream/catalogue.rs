//! A conversation with a conductor's catalogue: sealed, one question at a time, each with its answer.
//!
//! The conductor shows its key first; whether it is the right one is for the caller to say, before anything is said to it.

use std::io;
use std::net::{SocketAddr, TcpStream};

use thiserror::Error;
use zeroize::Zeroizing;

use crate::address::HostPort;
use crate::credential::Fingerprint;
use crate::host::error::NetAction;
use crate::host::patient::{read_exact, write_all};
use crate::host::{HostError, clock, dial};
use crate::limits::{
    CATALOGUE_PATIENCE, CATALOGUE_REQUEST_MAX, CATALOGUE_UNSENT_MAX, RECORD_PLAIN_MAX, RECORD_TAG_LEN,
};
use crate::wire::catalogue::{MAGIC, NO_CATALOGUE, PREAMBLE_LEN, Reply, Request, VERSION, preamble};
use crate::wire::dialogue::Decoder;
use crate::wire::seal::{CALL_ANSWER_LEN, Called, Caller, RECORD_HEADER_LEN, record_len};
use crate::wire::{WireError, desk};

/// Why a catalogue cannot be asked.
#[derive(Debug, Error)]
pub enum CatalogueError {
    /// The caller gave up.
    #[error("stopped before the conductor answered")]
    Stopped,
    /// Our side of it.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Nothing came for very long.
    #[error("{address} does not answer; try again later")]
    Late {
        /// Where.
        address: SocketAddr,
    },
    /// It ended the connection in the middle of a conversation.
    #[error("the conductor at {address} ended the connection; perhaps it was stopped: try again")]
    Gone {
        /// Where.
        address: SocketAddr,
    },
    /// It ended the connection without a word.
    #[error(
        "{address} ends the connection without a word: it is no conductor, or an older one, or it cannot take more \
         connections"
    )]
    Mute {
        /// Where.
        address: SocketAddr,
    },
    /// A conductor without a catalogue.
    #[error("the conductor at {address} keeps no catalogue; its operator can start it with --catalogue FILE")]
    None {
        /// Where.
        address: SocketAddr,
    },
    /// A conductor whose catalogue speaks another version.
    #[error(
        "the conductor at {address} speaks version {version} of the catalogue's protocol, and this program another: \
         bring the older of both up to date"
    )]
    Version {
        /// Where.
        address: SocketAddr,
        /// Its version.
        version: u8,
    },
    /// A conductor that has too many connections.
    #[error("the conductor at {address} has as many connections as it can have; try again in a moment")]
    Full {
        /// Where.
        address: SocketAddr,
    },
    /// A conductor of a time before there were catalogues.
    #[error("the conductor at {address} knows nothing of catalogues: it is an older version")]
    Older {
        /// Where.
        address: SocketAddr,
    },
    /// Somebody else, or what is between us changes what is sent.
    #[error("{address} is not a conductor that we understand")]
    Foreign {
        /// Where.
        address: SocketAddr,
        /// What it said.
        source: WireError,
    },
}

/// A conductor that has proven which key it has, and was told nothing yet.
#[derive(Debug)]
pub struct Met<G> {
    stream: TcpStream,
    address: SocketAddr,
    called: Called,
    give_up: G,
}

/// A conversation with a conductor whose key is the right one.
#[derive(Debug)]
pub struct Conversation<G> {
    met: Met<G>,
    decoder: Decoder<Reply>,
    /// What was received and opened; what is before `taken` was read.
    plain: Vec<u8>,
    taken: usize,
    /// What goes out next.
    unsent: Vec<u8>,
}

/// Meets a conductor at the first of its addresses at which one answers, unless `give_up` says so. Finding the addresses
/// may take as long as the system's resolver does; everything after that has a deadline.
///
/// # Errors
/// Nobody answers, or nobody who has a catalogue that we understand.
pub fn meet<G: Fn() -> bool + Copy>(conductor: &HostPort, give_up: G) -> Result<Met<G>, CatalogueError> {
    let addresses = dial::resolve(conductor.host(), conductor.port())?;
    let mut trouble = None;
    for address in addresses {
        match meet_at(address, give_up) {
            Ok(met) => return Ok(met),
            // The first address is the preferred one: its trouble is the one to tell.
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    Err(trouble.expect("resolving yields at least one address"))
}

fn meet_at<G: Fn() -> bool + Copy>(address: SocketAddr, give_up: G) -> Result<Met<G>, CatalogueError> {
    let stream = dial::connect(address, give_up)
        .map_err(|error| if give_up() { CatalogueError::Stopped } else { error.into() })?;
    dial::prepare(&stream).map_err(HostError::net(NetAction::Talk, address))?;
    let broken = |error| broken(error, address, give_up);
    let preamble = preamble();
    let (caller, message) = Caller::start(&preamble);
    write_all(&stream, &[preamble.as_slice(), &message].concat(), CATALOGUE_PATIENCE, give_up)
        .map_err(broken)?;
    let mut answer = [0; CALL_ANSWER_LEN];
    let (beginning, rest) = answer.split_at_mut(PREAMBLE_LEN);
    let deadline = clock::now() + CATALOGUE_PATIENCE;
    read_exact(&stream, beginning, deadline, give_up).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => CatalogueError::Mute { address },
        _ => broken(error),
    })?;
    // A preamble and the end, instead of an answer. No answer is as short.
    read_exact(&stream, rest, deadline, give_up).map_err(|error| {
        let ended = matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset);
        if ended { preamble_of(beginning, address) } else { broken(error) }
    })?;
    let called = caller.finish(&answer).map_err(|source| CatalogueError::Foreign { address, source })?;
    Ok(Met { stream, address, called, give_up })
}

/// What it means that this came instead of an answer.
fn preamble_of(bytes: &[u8], address: SocketAddr) -> CatalogueError {
    match (&bytes[..MAGIC.len()], bytes[MAGIC.len()]) {
        _ if bytes == NO_CATALOGUE => CatalogueError::None { address },
        (magic, VERSION) if magic == MAGIC => CatalogueError::Full { address },
        (magic, version) if magic == MAGIC => CatalogueError::Version { address, version },
        (magic, _) if magic == desk::MAGIC => CatalogueError::Older { address },
        _ => CatalogueError::Foreign { address, source: WireError::Preamble },
    }
}

fn broken(error: io::Error, address: SocketAddr, give_up: impl Fn() -> bool) -> CatalogueError {
    match error.kind() {
        _ if give_up() => CatalogueError::Stopped,
        io::ErrorKind::TimedOut => CatalogueError::Late { address },
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            CatalogueError::Gone { address }
        }
        _ => HostError::net(NetAction::Talk, address)(error).into(),
    }
}

impl<G: Fn() -> bool + Copy> Met<G> {
    /// The fingerprint of the key that it has.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.called.key)
    }

    /// It is the right one: questions may be asked.
    #[must_use]
    pub fn talk(self) -> Conversation<G> {
        Conversation {
            met: self,
            decoder: Decoder::<Reply>::new(),
            plain: Vec::new(),
            taken: 0,
            // What holds a password is not moved about.
            unsent: Vec::with_capacity(CATALOGUE_REQUEST_MAX),
        }
    }
}

impl<G: Fn() -> bool + Copy> Conversation<G> {
    /// Where the conductor is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.met.address
    }

    /// Asks, and waits for the answer, or for the first message of it.
    ///
    /// # Errors
    /// The conductor does not answer, or with something else; there is nothing more to be heard then.
    pub fn ask(&mut self, request: &Request) -> Result<Reply, CatalogueError> {
        self.say(request)?;
        self.hear()
    }

    /// Says what has no answer of its own. It may be on its way only with the next question.
    ///
    /// # Errors
    /// As of [`Conversation::ask`].
    pub fn say(&mut self, request: &Request) -> Result<(), CatalogueError> {
        request.append_to(&mut self.unsent);
        if self.unsent.len() >= CATALOGUE_UNSENT_MAX { self.send() } else { Ok(()) }
    }

    /// Waits for the next message of an answer.
    ///
    /// # Errors
    /// As of [`Conversation::ask`].
    pub fn hear(&mut self) -> Result<Reply, CatalogueError> {
        let sent = self.send();
        // Whoever refuses a long question may not read the end of it, but has said why.
        match (self.next_reply(), sent) {
            (Err(_), Err(error)) => Err(error),
            (heard, _) => heard,
        }
    }

    fn next_reply(&mut self) -> Result<Reply, CatalogueError> {
        loop {
            let mut input = &self.plain[self.taken..];
            let before = input.len();
            let reply = self.decoder.next(&mut input);
            self.taken += before - input.len();
            if let Some(reply) = reply.map_err(|source| self.foreign(source))? {
                return Ok(reply);
            }
            self.receive()?;
        }
    }

    /// It was an answer to something else.
    #[must_use]
    pub const fn misled(&self) -> CatalogueError {
        self.foreign(WireError::Answer)
    }

    /// The next record, when all before it was read.
    fn receive(&mut self) -> Result<(), CatalogueError> {
        let deadline = clock::now() + CATALOGUE_PATIENCE;
        let mut header = [0; RECORD_HEADER_LEN];
        self.read(&mut header, deadline)?;
        let len = record_len(header).map_err(|source| self.foreign(source))?;
        let mut sealed = std::mem::take(&mut self.plain);
        sealed.resize(len, 0);
        self.read(&mut sealed, deadline)?;
        let address = self.met.address;
        let opened = self.met.called.opener.open(&mut sealed).map(|plain| plain.len());
        let len = opened.map_err(|source| CatalogueError::Foreign { address, source })?;
        sealed.truncate(len);
        (self.plain, self.taken) = (sealed, 0);
        Ok(())
    }

    fn read(&self, buffer: &mut [u8], deadline: crate::time::Moment) -> Result<(), CatalogueError> {
        read_exact(&self.met.stream, buffer, deadline, self.met.give_up).map_err(|error| self.broken(error))
    }

    fn send(&mut self) -> Result<(), CatalogueError> {
        let unsent = Zeroizing::new(std::mem::take(&mut self.unsent));
        let mut sealed = Vec::with_capacity(unsent.len() + RECORD_HEADER_LEN + RECORD_TAG_LEN);
        for plain in unsent.chunks(RECORD_PLAIN_MAX) {
            let start = sealed.len();
            sealed.extend_from_slice(&[0; RECORD_HEADER_LEN]);
            sealed.extend_from_slice(plain);
            sealed.extend_from_slice(&[0; RECORD_TAG_LEN]);
            let record = &mut sealed[start..];
            self.met.called.sealer.seal(record).map_err(|source| self.foreign(source))?;
        }
        write_all(&self.met.stream, &sealed, CATALOGUE_PATIENCE, self.met.give_up)
            .map_err(|error| self.broken(error))
    }

    fn broken(&self, error: io::Error) -> CatalogueError {
        broken(error, self.met.address, self.met.give_up)
    }

    const fn foreign(&self, source: WireError) -> CatalogueError {
        CatalogueError::Foreign { address: self.met.address, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::chain;
    use crate::wire::catalogue::{Composition, Digests, Refusal};
    use crate::wire::seal::{CALL_LEN, ConductorKey};
    use std::io::{Read as _, Write as _};
    use std::net::{Shutdown, TcpListener};
    use std::thread::{self, JoinHandle};

    /// A thread that accepts one connection and does this with it; where it listens.
    fn answering<R: Send + 'static>(
        act: impl FnOnce(TcpStream) -> R + Send + 'static,
    ) -> (HostPort, JoinHandle<R>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap().to_string().parse().unwrap();
        (place, thread::spawn(move || act(listener.accept().unwrap().0)))
    }

    /// Reads what a caller says first.
    fn called(stream: &mut TcpStream) -> [u8; CALL_LEN] {
        let mut said = [0; PREAMBLE_LEN + CALL_LEN];
        stream.read_exact(&mut said).unwrap();
        assert_eq!(said[..PREAMBLE_LEN], preamble());
        said[PREAMBLE_LEN..].try_into().unwrap()
    }

    #[test]
    fn a_preamble_instead_of_an_answer_says_what_is_there() {
        let [full, newer] = [VERSION, VERSION + 1].map(|version| {
            let mut bytes = preamble();
            bytes[MAGIC.len()] = version;
            bytes.to_vec()
        });
        let whole = [preamble().as_slice(), &[7; CALL_ANSWER_LEN - PREAMBLE_LEN]].concat();
        for (bytes, says) in [
            (NO_CATALOGUE.to_vec(), "keeps no catalogue; its operator can start it with --catalogue FILE"),
            (newer, "speaks version 2 of the catalogue's protocol"),
            (full, "has as many connections as it can have"),
            (desk::preamble().to_vec(), "knows nothing of catalogues: it is an older version"),
            (b"HTTP/1.1 400".to_vec(), "is not a conductor that we understand: the first bytes are not"),
            (b"220".to_vec(), "ends the connection without a word"),
            (Vec::new(), "ends the connection without a word"),
            (whole, "is not a conductor that we understand: the seal is broken"),
        ] {
            let (place, thread) = answering(move |mut stream| {
                called(&mut stream);
                stream.write_all(&bytes).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                // The caller says nothing to who has no key.
                assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
            });
            let error = chain(&meet(&place, || false).err().unwrap());
            assert!(error.contains(says), "{error}");
            thread.join().unwrap();
        }
    }

    #[test]
    fn questions_and_answers_of_any_length() {
        const PARTS: usize = 200_000;
        let key = ConductorKey::from_bytes([5; 32]);
        let fingerprint = Fingerprint::of(&key.public());
        let song = || Composition { name: "a".to_owned(), digest: [1; 20], size: PARTS as u64, part_len: 1 };
        let (place, thread) = answering(move |mut stream| {
            let message = called(&mut stream);
            let (mut sealer, mut opener, answer) = key.answer(&preamble(), &message).unwrap();
            stream.write_all(&answer).unwrap();
            let (mut decoder, mut digests) = (Decoder::<Request>::new(), 0);
            while digests < PARTS {
                let mut header = [0; RECORD_HEADER_LEN];
                stream.read_exact(&mut header).unwrap();
                let mut record = vec![0; record_len(header).unwrap()];
                stream.read_exact(&mut record).unwrap();
                let mut plain: &[u8] = opener.open(&mut record).unwrap();
                while let Some(request) = decoder.next(&mut plain).unwrap() {
                    match request {
                        Request::Publish(composition) => assert_eq!(composition, song()),
                        Request::Digests(more) => digests += more.iter().len(),
                        other => panic!("{other:?}"),
                    }
                }
            }
            // Two messages in three records, which end anywhere.
            let mut plain = Vec::new();
            Reply::Manifest(song()).append_to(&mut plain);
            Reply::Refused(Refusal::Busy).append_to(&mut plain);
            for piece in [&plain[..1], &plain[1..20], &plain[20..]] {
                let mut record = [&[0; RECORD_HEADER_LEN], piece, &[0; RECORD_TAG_LEN]].concat();
                sealer.seal(&mut record).unwrap();
                stream.write_all(&record).unwrap();
            }
        });
        let met = meet(&place, || false).unwrap();
        assert_eq!(met.fingerprint(), fingerprint);
        let mut talk = met.talk();
        talk.say(&Request::Publish(song())).unwrap();
        let digests = vec![crate::digest::Digest::from_bytes([2; 20]); 2_000];
        for _ in 0..PARTS / digests.len() {
            talk.say(&Request::Digests(Digests::new(&digests))).unwrap();
        }
        assert_eq!(talk.hear().unwrap(), Reply::Manifest(song()));
        assert_eq!(talk.hear().unwrap(), Reply::Refused(Refusal::Busy));
        assert!(matches!(talk.hear(), Err(CatalogueError::Gone { .. })));
        thread.join().unwrap();
    }

    #[test]
    fn a_refusal_is_heard_although_the_end_of_the_question_is_not_read() {
        let key = ConductorKey::from_bytes([5; 32]);
        let (place, thread) = answering(move |mut stream| {
            let message = called(&mut stream);
            let (mut sealer, _, answer) = key.answer(&preamble(), &message).unwrap();
            let mut plain = Vec::new();
            Reply::Refused(Refusal::Busy).append_to(&mut plain);
            let mut record = [&[0; RECORD_HEADER_LEN], plain.as_slice(), &[0; RECORD_TAG_LEN]].concat();
            sealer.seal(&mut record).unwrap();
            stream.write_all(&[answer.as_slice(), &record].concat()).unwrap();
            // Gone with bytes unread: the caller's writes fail from some moment on.
            stream.read_exact(&mut [0; 100]).unwrap();
        });
        let mut talk = meet(&place, || false).unwrap().talk();
        let digests = Digests::new(&vec![crate::digest::Digest::from_bytes([2; 20]); 2_000]);
        let mut said = Ok(());
        while said.is_ok() {
            said = talk.say(&Request::Digests(digests.clone()));
        }
        assert_eq!(talk.hear().unwrap(), Reply::Refused(Refusal::Busy));
        thread.join().unwrap();
    }

    #[test]
    fn who_gives_up_is_not_kept_waiting() {
        let (place, thread) = answering(|mut stream| {
            called(&mut stream);
            // Until the caller is gone.
            drop(stream.read(&mut [0]));
        });
        let asked = std::cell::Cell::new(0);
        let give_up = || {
            asked.set(asked.get() + 1);
            asked.get() > 3
        };
        assert!(matches!(meet(&place, &give_up), Err(CatalogueError::Stopped)));
        thread.join().unwrap();
    }
}
