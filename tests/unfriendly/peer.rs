//! Somebody with the key who speaks the protocol when it suits it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use orchestra::entry::{Attributes, Content, ContentHash, Device, Dot, Entry, Known, TreePath};
use orchestra::identity::MemberId;
use orchestra::limits::{RECORD_PLAIN_MAX, RECORD_TAG_LEN};
use orchestra::wire::ensemble::{Decoder, Entries, Follow, Hello, Message, Packed, Row, Slice};
use orchestra::wire::member::preamble;
use orchestra::wire::seal::{HANDSHAKE_LEN, Initiator, Opener, RECORD_HEADER_LEN, Sealer};

use zstd::stream::raw::Operation as _;

use crate::home::{DEADLINE, Home, key};

/// One end of a link.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    pub(crate) device: Device,
    sealer: Sealer,
    opener: Opener,
    decoder: Decoder,
    unpacker: zstd::stream::raw::Decoder<'static>,
    /// The member said that it lives because it had nothing else to say for a while.
    pub(crate) heard_alive: bool,
    /// Received, opened, and not yet looked at.
    plain: Vec<u8>,
}

impl Peer {
    /// Shakes hands.
    pub(crate) fn dial(address: SocketAddr) -> Peer {
        Peer::call(TcpStream::connect(address).unwrap())
    }

    /// The same over a connection that there is.
    pub(crate) fn call(mut stream: TcpStream) -> Peer {
        let link_key = key().link_key();
        let first = preamble(link_key.token());
        let (initiator, message) = Initiator::start(&link_key, &first);
        stream.write_all(&[first.as_slice(), &message].concat()).unwrap();
        let mut answer = [0; HANDSHAKE_LEN];
        stream.read_exact(&mut answer).unwrap();
        let (sealer, opener) = initiator.finish(&answer).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        let device = Device::from_bits(fastrand::u64(..));
        Peer {
            stream,
            device,
            sealer,
            opener,
            decoder: Decoder::default(),
            unpacker: zstd::stream::raw::Decoder::new().unwrap(),
            heard_alive: false,
            plain: Vec::new(),
        }
    }

    /// Shakes hands and says hello; the member's own hello and follow have come.
    pub(crate) fn met(home: &Home) -> Peer {
        let mut peer = Peer::dial(home.address());
        let hello = peer.hello();
        peer.say(&hello).unwrap();
        while !matches!(peer.hear().expect("it is welcome"), Message::Follow(_)) {}
        peer
    }

    /// Says hello over a connection that there is; whether it is welcome.
    pub(crate) fn knocks(stream: TcpStream) -> (Peer, bool) {
        let mut peer = Peer::call(stream);
        let hello = peer.hello();
        peer.say(&hello).unwrap();
        loop {
            match peer.hear() {
                Some(Message::Follow(_)) => return (peer, true),
                Some(Message::Bye(_)) | None => return (peer, false),
                Some(_) => {}
            }
        }
    }

    /// A hello of its own.
    pub(crate) fn hello(&self) -> Message {
        self.hello_as(self.device)
    }

    pub(crate) fn hello_as(&self, device: Device) -> Message {
        // The greatest id: of two links the one that it dialled is never the wrong one for that.
        let mut member = [0xff; 16];
        member[..8].copy_from_slice(&fastrand::u64(..).to_le_bytes());
        let label = "mallory".to_owned();
        Message::Hello(Hello { member: MemberId::from_bytes(member), device, port: 0, label, abilities: 0 })
    }

    pub(crate) fn say(&mut self, message: &Message) -> io::Result<()> {
        let mut bytes = Vec::new();
        message.append_to(&mut bytes);
        self.put(&bytes)
    }

    /// Sends plain bytes, whatever they are.
    pub(crate) fn put(&mut self, plain: &[u8]) -> io::Result<()> {
        plain.chunks(RECORD_PLAIN_MAX).try_for_each(|chunk| {
            let mut record = [&[0; RECORD_HEADER_LEN], chunk, &[0; RECORD_TAG_LEN]].concat();
            self.sealer.seal(&mut record).unwrap();
            self.stream.write_all(&record)
        })
    }

    /// Tells these as all of its entries.
    pub(crate) fn tell(&mut self, rows: Vec<Row>) {
        let through = rows.last().map_or(0, |row| row.sequence);
        let entries = Entries { device: self.device, rows, through, more: false };
        self.say(&Message::Entries(entries)).unwrap();
    }

    /// A file that nobody has heard of.
    pub(crate) fn file(&self, sequence: u64, path: &str, size: usize, hash: ContentHash) -> Row {
        self.row(sequence, path, Content::File { size: size as u64, hash })
    }

    pub(crate) fn row(&self, sequence: u64, path: &str, content: Content) -> Row {
        let dot = Dot { device: self.device, counter: 10 };
        let attributes = Attributes { mtime: 1_700_000_000_000_000_000, executable: false };
        let entry = Entry { content, attributes, replaced: None, dot, known: Known::only(dot) };
        Row { sequence, path: TreePath::parse(path).unwrap(), entry }
    }

    /// The entry that the member has of this path, when it tells its entries.
    pub(crate) fn learns(&mut self, path: &str) -> Entry {
        self.say(&Message::Follow(Follow { device: self.device, after: 0 })).unwrap();
        loop {
            if let Message::Entries(entries) = self.hear().expect("the link lives")
                && let Some(row) = entries.rows.into_iter().find(|row| row.path.as_str() == path)
            {
                return row.entry;
            }
        }
    }

    /// The next message but words of life; none if the member ended the link.
    pub(crate) fn hear(&mut self) -> Option<Message> {
        loop {
            let mut input = self.plain.as_slice();
            let message = self.decoder.next(&mut input).expect("a member keeps to the protocol");
            let left = input.len();
            self.plain.drain(..self.plain.len() - left);
            match message {
                Some(Message::Alive) => self.heard_alive = true,
                Some(message) => return Some(message),
                None => self.receive()?,
            }
        }
    }

    /// The slices that the member asks for next.
    pub(crate) fn asked(&mut self) -> Vec<Slice> {
        loop {
            if let Message::Fetch(slices) = self.hear().expect("the link lives") {
                return slices;
            }
        }
    }

    /// Answers a slice with these bytes.
    pub(crate) fn give(&mut self, bytes: &[u8]) {
        self.say(&Message::Bytes(Packed::Plain)).unwrap();
        self.put(bytes).unwrap();
    }

    /// What answers a slice of this length: its bytes, as they come; none if it is lacking.
    pub(crate) fn answer(&mut self, len: usize) -> Option<Vec<u8>> {
        loop {
            match self.hear().expect("the link lives") {
                Message::Lacking => return None,
                Message::Bytes(Packed::Plain) => return Some(self.take(len)),
                Message::Bytes(Packed::Zstd(packed)) => {
                    let packed = self.take(packed as usize);
                    let mut bytes = vec![0; len];
                    let unpacked = self.unpacker.run_on_buffers(&packed, &mut bytes).unwrap();
                    assert_eq!((unpacked.bytes_read, unpacked.bytes_written), (packed.len(), len));
                    return Some(bytes);
                }
                Message::Bytes(Packed::Lz4(packed)) => {
                    let packed = self.take(packed as usize);
                    return Some(lz4_flex::block::decompress(&packed, len).unwrap());
                }
                _ => {}
            }
        }
    }

    /// Waits until the member has done all that followed at once from what was said to it; what it said meanwhile.
    pub(crate) fn what_follows(&mut self) -> Vec<Message> {
        let nobodys = Slice { content: ContentHash::from_bytes([0xee; 32]), offset: 0, len: 1 };
        let mut said = Vec::new();
        // It answers the first one while it hears, then does what follows, and then hears the second one.
        for _ in 0..2 {
            self.say(&Message::Fetch(vec![nobodys])).unwrap();
            loop {
                match self.hear().expect("the link lives") {
                    Message::Lacking => break,
                    message => said.push(message),
                }
            }
        }
        said
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        while self.plain.len() < len {
            self.receive().expect("the link lives");
        }
        self.plain.drain(..len).collect()
    }

    /// Waits until the member ends the link, whatever it still says.
    pub(crate) fn is_ended(&mut self) {
        let began = Instant::now();
        while self.receive().is_some() {
            assert!(began.elapsed() < DEADLINE, "the member goes on");
        }
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
}

/// The bytes of a message.
pub(crate) fn frame(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.append_to(&mut bytes);
    bytes
}
