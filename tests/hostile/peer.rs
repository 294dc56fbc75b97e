//! A peer that speaks the protocol when it suits it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use orchestra::identity::MemberId;
use orchestra::limits::{RECORD_PLAIN_MAX, RECORD_TAG_LEN};
use orchestra::manifest::Manifest;
use orchestra::part::Run;
use orchestra::wire::member::{Decoder, Have, Hello, Message, PREAMBLE_LEN, Span, preamble};
use orchestra::wire::seal::{HANDSHAKE_LEN, Initiator, Opener, RECORD_HEADER_LEN, Sealer, respond};

use socket2::{Domain, SockRef, Socket, Type};

use crate::program::{DEADLINE, World};

pub(crate) fn span(first: u32, count: u32) -> Span {
    Span { first, count }
}

pub(crate) fn id(number: u8) -> MemberId {
    MemberId::from_bytes([number; 16])
}

/// A listener that accepts with a deadline.
pub(crate) fn listen() -> (TcpListener, SocketAddr) {
    listen_at(1)
}

/// The same on `127.0.0.HOST`.
pub(crate) fn listen_at(host: u8) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, host], 0))).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A connection from `127.0.0.HOST`.
pub(crate) fn connect_from(host: u8, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, host], 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// The next connection, if one comes in time.
pub(crate) fn accept_within(listener: &TcpListener, patience: Duration) -> Option<TcpStream> {
    listener.set_nonblocking(true).unwrap();
    let since = Instant::now();
    while since.elapsed() < patience {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(false).unwrap();
            return Some(stream);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// One end of a link, after the handshake.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    sealer: Sealer,
    opener: Opener,
    decoder: Decoder,
    /// Received, opened, and not yet looked at.
    plain: Vec<u8>,
}

impl Peer {
    /// Dials a member.
    pub(crate) fn dial(address: SocketAddr, manifest: &Manifest) -> Peer {
        Peer::call(TcpStream::connect(address).unwrap(), manifest).unwrap()
    }

    /// Calls a member that may not want to answer.
    pub(crate) fn call(mut stream: TcpStream, manifest: &Manifest) -> io::Result<Peer> {
        let key = manifest.swarm_key();
        let first = preamble(key.token());
        let (initiator, message) = Initiator::start(&key, &first);
        stream.write_all(&[first.as_slice(), &message].concat())?;
        let mut answer = [0; HANDSHAKE_LEN];
        stream.read_exact(&mut answer)?;
        let (sealer, opener) = initiator.finish(&answer).unwrap();
        Ok(Peer::new(stream, sealer, opener))
    }

    /// Answers a member that dialled.
    pub(crate) fn accept(listener: &TcpListener, manifest: &Manifest) -> Peer {
        let stream = accept_within(listener, DEADLINE).expect("the member dials");
        Peer::answer(stream, manifest).unwrap()
    }

    /// Answers a connection of a member that may have thought better of it.
    pub(crate) fn answer(mut stream: TcpStream, manifest: &Manifest) -> io::Result<Peer> {
        let mut first = [0; PREAMBLE_LEN];
        stream.read_exact(&mut first)?;
        let mut message = [0; HANDSHAKE_LEN];
        stream.read_exact(&mut message)?;
        let (sealer, opener, answer) = respond(&manifest.swarm_key(), &first, &message).unwrap();
        stream.write_all(&answer)?;
        Ok(Peer::new(stream, sealer, opener))
    }

    fn new(stream: TcpStream, sealer: Sealer, opener: Opener) -> Peer {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Peer { stream, sealer, opener, decoder: Decoder::default(), plain: Vec::new() }
    }

    /// Says hello, listening on `port`, and what it claims to hold.
    pub(crate) fn opened(mut self, number: u8, port: u16, have: Have) -> Peer {
        self.open(id(number), port, have).unwrap();
        self
    }

    /// The same to a member that may be gone.
    pub(crate) fn open(&mut self, member: MemberId, port: u16, have: Have) -> io::Result<()> {
        self.say(&Message::Hello(Hello { member, port, abilities: 0 }))?;
        self.say(&Message::Have(have))
    }

    pub(crate) fn say(&mut self, message: &Message) -> io::Result<()> {
        let mut bytes = Vec::new();
        message.append_to(&mut bytes);
        self.put(&bytes)
    }

    /// Answers a run with these bytes.
    pub(crate) fn give(&mut self, span: Span, bytes: &[u8]) -> io::Result<()> {
        self.say(&Message::Parts(span))?;
        self.put(bytes)
    }

    /// Sends plain bytes, whatever they are.
    pub(crate) fn put(&mut self, plain: &[u8]) -> io::Result<()> {
        plain.chunks(RECORD_PLAIN_MAX).try_for_each(|chunk| {
            let record = self.record(chunk);
            self.stream.write_all(&record)
        })
    }

    /// The first half of a record.
    pub(crate) fn put_half_a_record(&mut self, plain: &[u8]) -> io::Result<()> {
        let record = self.record(plain);
        self.stream.write_all(&record[..record.len() / 2])
    }

    /// One sealed record.
    pub(crate) fn record(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut record = [&[0; RECORD_HEADER_LEN], plain, &[0; RECORD_TAG_LEN]].concat();
        self.sealer.seal(&mut record).unwrap();
        record
    }

    /// The next message; none if the member ended the link.
    pub(crate) fn hear(&mut self) -> Option<Message> {
        loop {
            let mut input = self.plain.as_slice();
            let message = self.decoder.next(&mut input).expect("a member keeps to the protocol");
            let left = input.len();
            self.plain.drain(..self.plain.len() - left);
            if message.is_some() {
                return message;
            }
            self.receive()?;
        }
    }

    /// The next run that the member asks for.
    pub(crate) fn asked(&mut self) -> Option<Span> {
        loop {
            if let Message::Want(span) = self.hear()? {
                return Some(span);
            }
        }
    }

    /// The same, unless it asks for nothing for so long, or ends the link.
    pub(crate) fn asked_within(&mut self, patience: Duration) -> Option<Span> {
        loop {
            let mut input = self.plain.as_slice();
            let message = self.decoder.next(&mut input).expect("a member keeps to the protocol");
            let left = input.len();
            self.plain.drain(..self.plain.len() - left);
            match message {
                Some(Message::Want(span)) => return Some(span),
                Some(_) => {}
                None => {
                    self.stream.set_read_timeout(Some(patience)).unwrap();
                    let more = self.stream.peek(&mut [0]);
                    self.stream.set_read_timeout(Some(DEADLINE)).unwrap();
                    more.ok().filter(|&len| len > 0)?;
                    self.receive()?;
                }
            }
        }
    }

    /// Waits until the member's own set has come: it is in the middle of things then.
    pub(crate) fn is_welcome(&mut self) {
        self.is_welcome_or_gone().expect("the link lives");
    }

    /// The same, but the member may end the link before.
    pub(crate) fn is_welcome_or_gone(&mut self) -> Option<()> {
        while !matches!(self.hear()?, Message::Have(_)) {}
        Some(())
    }

    /// Reads until the member ends the link; returns its last word, if it got through.
    pub(crate) fn is_ended(&mut self) -> Option<Message> {
        let (mut last, began) = (None, Instant::now());
        while let Some(message) = self.hear() {
            assert!(began.elapsed() < DEADLINE, "the member goes on");
            if let Message::Parts(span) = message {
                panic!("parts {span:?} for a peer that broke the protocol");
            }
            last = Some(message);
        }
        last
    }

    /// The bytes of parts that follow.
    pub(crate) fn take(&mut self, len: usize) -> Option<Vec<u8>> {
        while self.plain.len() < len {
            self.receive()?;
        }
        Some(self.plain.drain(..len).collect())
    }

    fn receive(&mut self) -> Option<()> {
        let mut header = [0; RECORD_HEADER_LEN];
        self.read(&mut header)?;
        let mut sealed = vec![0; usize::from(u16::from_be_bytes(header))];
        self.read(&mut sealed)?;
        let plain = self.opener.open(&mut sealed).expect("a member seals well");
        self.plain.extend_from_slice(plain);
        Some(())
    }

    /// None at the end or a reset, which is an end as well; silence is neither.
    fn read(&mut self, buffer: &mut [u8]) -> Option<()> {
        match self.stream.read_exact(buffer) {
            Ok(()) => Some(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                panic!("the member neither speaks nor ends")
            }
            Err(_) => None,
        }
    }

    /// Ends the connection with a reset instead of an orderly end.
    pub(crate) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(self.stream);
    }

    pub(crate) fn shut(&self) {
        drop(self.stream.shutdown(Shutdown::Both));
    }
}

/// The run that a want names.
pub(crate) fn run_of(world: &World, span: Span) -> Run {
    world.manifest.layout().run(span.first, span.count).expect("a member asks for parts that exist")
}
