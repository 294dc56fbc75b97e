//! Who asks a catalogue, byte by byte where that matters.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use orchestra::credential::{Fingerprint, SessionToken};
use orchestra::digest::Digest;
use orchestra::identity::SwarmId;
use orchestra::limits::{DIGESTS_PER_FRAME, RECORD_PLAIN_MAX, RECORD_TAG_LEN};
use orchestra::part::Layout;
use orchestra::wire::catalogue::{
    Composition, Digests, Login, Query, Refusal, Renewal, Reply, Request, Session, Wanted, preamble,
};
use orchestra::wire::dialogue::Decoder;
use orchestra::wire::seal::{self, CALL_ANSWER_LEN, Called, Caller, Opener, RECORD_HEADER_LEN, Sealer};

use socket2::{Domain, Socket, Type};

use crate::common::program::PATIENCE;

/// A sealed conversation.
pub(crate) struct Asker {
    pub(crate) stream: TcpStream,
    pub(crate) key: [u8; 32],
    sealer: Sealer,
    opener: Opener,
    decoder: Decoder<Reply>,
    plain: Vec<u8>,
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl Asker {
    pub(crate) fn connect(address: SocketAddr) -> Asker {
        Asker::try_connect(address).unwrap()
    }

    pub(crate) fn try_connect(address: SocketAddr) -> io::Result<Asker> {
        Asker::over(TcpStream::connect(address)?)
    }

    /// Connects from 127.0.1.`host`, or from the only loopback address where there is but one.
    pub(crate) fn from(host: u8, address: SocketAddr) -> io::Result<Asker> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if cfg!(target_os = "linux") {
            socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 1, host), 0)).into())?;
        }
        socket.connect(&address.into())?;
        Asker::over(TcpStream::from(socket))
    }

    /// Shakes hands on this connection.
    pub(crate) fn over(mut stream: TcpStream) -> io::Result<Asker> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let (caller, message) = Caller::start(&preamble());
        stream.write_all(&[&preamble()[..], &message].concat())?;
        let mut answer = [0; CALL_ANSWER_LEN];
        stream.read_exact(&mut answer)?;
        let Called { key, sealer, opener } = caller.finish(&answer).unwrap();
        Ok(Asker { stream, key, sealer, opener, decoder: Decoder::<Reply>::new(), plain: Vec::new() })
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.key)
    }

    /// Seals these plain bytes, whatever they are.
    pub(crate) fn sealed(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for plain in plain.chunks(RECORD_PLAIN_MAX) {
            let start = bytes.len();
            bytes.extend_from_slice(&[0; RECORD_HEADER_LEN]);
            bytes.extend_from_slice(plain);
            bytes.extend_from_slice(&[0; RECORD_TAG_LEN]);
            self.sealer.seal(&mut bytes[start..]).unwrap();
        }
        bytes
    }

    pub(crate) fn say(&mut self, request: &Request) -> io::Result<()> {
        let mut plain = Vec::new();
        request.append_to(&mut plain);
        let bytes = self.sealed(&plain);
        self.stream.write_all(&bytes)
    }

    /// The next reply; an error at the end.
    pub(crate) fn hear(&mut self) -> io::Result<Reply> {
        loop {
            let mut plain = self.plain.as_slice();
            let reply = self.decoder.next(&mut plain).expect("a conductor says what it should");
            self.plain = plain.to_vec();
            if let Some(reply) = reply {
                return Ok(reply);
            }
            let mut header = [0; RECORD_HEADER_LEN];
            self.stream.read_exact(&mut header)?;
            let mut record = vec![0; seal::record_len(header).unwrap()];
            self.stream.read_exact(&mut record)?;
            self.plain.extend_from_slice(self.opener.open(&mut record).unwrap());
        }
    }

    pub(crate) fn try_ask(&mut self, request: &Request) -> io::Result<Reply> {
        self.say(request)?;
        self.hear()
    }

    pub(crate) fn ask(&mut self, request: &Request) -> Reply {
        self.try_ask(request).unwrap()
    }

    pub(crate) fn register(&mut self, name: &str) -> Session {
        match self.ask(&Request::Register(login(name, PASSWORD))) {
            Reply::Session(session) => session,
            other => panic!("no session but {other:?}"),
        }
    }

    pub(crate) fn login(&mut self, name: &str) -> Session {
        match self.ask(&Request::Login(login(name, PASSWORD))) {
            Reply::Session(session) => session,
            other => panic!("no session but {other:?}"),
        }
    }

    pub(crate) fn resume(&mut self, token: &SessionToken) -> Reply {
        self.ask(&Request::Resume(token.clone()))
    }

    /// Publishes a composition.
    pub(crate) fn publish(&mut self, song: &Song) -> io::Result<Reply> {
        self.say_publish(song)?;
        self.hear()
    }

    /// Asks to publish a composition, all in one write.
    pub(crate) fn say_publish(&mut self, song: &Song) -> io::Result<()> {
        let mut plain = Vec::new();
        Request::Publish(song.composition()).append_to(&mut plain);
        for digests in song.parts.chunks(DIGESTS_PER_FRAME) {
            Request::Digests(Digests::new(digests)).append_to(&mut plain);
        }
        let bytes = self.sealed(&plain);
        self.stream.write_all(&bytes)
    }

    pub(crate) fn list(&mut self, text: &str) -> Vec<String> {
        let query = Query { text: text.to_owned(), after: None, limit: 100 };
        match self.ask(&Request::List(query)) {
            Reply::Page(page) => page.listings.into_iter().map(|listed| listed.composition.name).collect(),
            other => panic!("no page but {other:?}"),
        }
    }

    pub(crate) fn refused(&mut self, request: &Request) -> Refusal {
        match self.ask(request) {
            Reply::Refused(refusal) => refusal,
            other => panic!("not refused but {other:?}"),
        }
    }

    /// Fetches the digests of the only composition of this name.
    pub(crate) fn fetch(&mut self, name: &str) -> (Composition, Vec<Digest>) {
        self.fetch_by(name, "")
    }

    /// Fetches the digests of a composition.
    pub(crate) fn fetch_by(&mut self, name: &str, digits: &str) -> (Composition, Vec<Digest>) {
        let Reply::Manifest(composition) = self.ask(&Request::Fetch(wanted(name, digits))) else {
            panic!("no manifest")
        };
        let layout = Layout::new(composition.size, composition.part_len.into()).unwrap();
        let mut parts = Vec::new();
        while parts.len() < layout.parts() as usize {
            let Reply::Digests(digests) = self.hear().unwrap() else { panic!("no digests") };
            parts.extend(digests.iter());
        }
        (composition, parts)
    }
}

pub(crate) const PASSWORD: &str = "the engine weaves";

pub(crate) fn login(name: &str, password: &str) -> Login {
    Login { name: name.to_owned(), password: password.to_owned().into() }
}

/// Another password instead of [`PASSWORD`].
pub(crate) fn renewal(name: &str, password: &str) -> Request {
    Request::Renew(Renewal { login: login(name, PASSWORD), password: password.to_owned().into() })
}

pub(crate) fn wanted(name: &str, digits: &str) -> Wanted {
    Wanted { name: name.to_owned(), digits: digits.to_owned() }
}

/// A composition that exists in name only.
#[derive(Clone, Debug)]
pub(crate) struct Song {
    pub(crate) name: String,
    pub(crate) digest: Digest,
    pub(crate) parts: Vec<Digest>,
}

impl Song {
    pub(crate) fn new(name: &str, parts: usize) -> Song {
        let digest = Digest::of(name.as_bytes());
        let parts = (0..parts).map(|part| Digest::of(format!("{name} {part}").as_bytes())).collect();
        Song { name: name.to_owned(), digest, parts }
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout::new(self.parts.len() as u64 * 1_000, 1_000).unwrap()
    }

    pub(crate) fn composition(&self) -> Composition {
        Composition {
            name: self.name.clone(),
            digest: *self.digest.as_bytes(),
            size: self.layout().size(),
            part_len: self.layout().part_len(),
        }
    }

    pub(crate) fn swarm(&self) -> [u8; 32] {
        *SwarmId::derive(self.digest, self.layout(), &self.parts).as_bytes()
    }
}
