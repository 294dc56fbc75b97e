//! Members as a conductor sees them: connections from addresses of loopback that announce.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use orchestra::wire::desk::{Announce, Event, Reply, Request, preamble};
use orchestra::wire::dialogue::Decoder;
use socket2::{Domain, Socket, Type};

/// Nothing takes longer, unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// The address of loopback with this number, away from those that others use.
pub(crate) fn source(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x7f01_0001 + number)
}

/// A socket from this address to the conductor.
pub(crate) fn connect(from: Ipv4Addr, conductor: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.set_tcp_nodelay(true)?;
    socket.connect(&conductor.into())?;
    Ok(socket.into())
}

/// What a member of this swarm says that listens on this port.
pub(crate) fn announce(swarm: u32, port: u16, complete: bool, event: Event) -> Vec<u8> {
    let mut id = [0x5a; 32];
    id[..4].copy_from_slice(&swarm.to_le_bytes());
    let announce = Announce { swarm: id, port, complete, left: u64::from(!complete) << 20, event };
    let mut bytes = Vec::new();
    Request::Announce(announce).append_to(&mut bytes);
    bytes
}

/// A connection on which one waits for each answer.
pub(crate) struct Client {
    stream: TcpStream,
    decoder: Decoder<Reply>,
    input: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(from: Ipv4Addr, conductor: SocketAddr) -> io::Result<Client> {
        let stream = connect(from, conductor)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut client = Client { stream, decoder: Decoder::<Reply>::new(), input: Vec::new() };
        client.send(&preamble())?;
        Ok(client)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next reply.
    pub(crate) fn reply(&mut self) -> io::Result<Reply> {
        loop {
            let mut rest = self.input.as_slice();
            let reply = self.decoder.next(&mut rest).map_err(io::Error::other)?;
            self.input = rest.to_vec();
            if let Some(reply) = reply {
                return Ok(reply);
            }
            let mut bytes = [0; 8192];
            let len = match self.stream.read(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if len == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.input.extend_from_slice(&bytes[..len]);
        }
    }

    pub(crate) fn ask(&mut self, announce: &[u8]) -> io::Result<Reply> {
        self.send(announce)?;
        self.reply()
    }
}
