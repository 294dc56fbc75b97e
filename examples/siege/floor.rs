//! What the system alone takes for one question and one answer: a loop that reads bytes from sockets that are ready,
//! and writes as many as the conductor would. It looks at none of them and knows nobody.
//!
//! It is a process of its own, so that its CPU time can be told from that of the crowd.

use std::env;
use std::io::{ErrorKind, Read, Write};
use std::mem;
use std::net::SocketAddr;
use std::process::Command;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use orchestra::host::tcp;
use orchestra::limits::{DESK_READ, DESK_SOCKET_BUFFER, ROSTER_MAX};
use orchestra::wire::desk::{PREAMBLE_LEN, Reply, Roster};

use super::client::source;
use super::common::program::Program;
use super::members::PIPELINED;

/// The argument that makes this program the loop.
pub(crate) const ARGUMENT: &str = "--floor";

const LISTENER: Token = Token(usize::MAX);

/// The loop at work.
pub(crate) struct Floor {
    pub(crate) address: SocketAddr,
    program: Program,
}

impl Floor {
    pub(crate) fn start() -> Floor {
        let program = Program::start(Command::new(env::current_exe().unwrap()).arg(ARGUMENT));
        let address = program.next_line().unwrap().parse().unwrap();
        Floor { address, program }
    }

    pub(crate) fn id(&self) -> u32 {
        self.program.id()
    }
}

/// Answers until it is killed.
pub(crate) fn serve() -> ! {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    tcp::shrink_buffers(&listener, DESK_SOCKET_BUFFER).unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut listener = TcpListener::from_std(listener);
    // Where it listens, to whoever started it.
    println!("{}", listener.local_addr().unwrap());
    let mut poll = Poll::new().unwrap();
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).unwrap();
    let mut events = Events::with_capacity(1024);
    let mut streams: Vec<(TcpStream, bool)> = Vec::new();
    let answer = answer();
    let answers = answer.repeat(PIPELINED);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            outcome => outcome.unwrap(),
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true).unwrap();
                    let token = Token(streams.len());
                    poll.registry().register(&mut stream, token, Interest::READABLE).unwrap();
                    streams.push((stream, false));
                }
                continue;
            }
            let (stream, greeted) = &mut streams[event.token().0];
            let mut bytes = [0; DESK_READ];
            // What it reads is always whole, because the crowd says it in one piece; and no connection ends before it.
            let Ok(len) = stream.read(&mut bytes) else { continue };
            let greeting = if mem::replace(greeted, true) { 0 } else { PREAMBLE_LEN };
            let questions = questions(&bytes[greeting.min(len)..len]);
            stream.write_all(&answers[..questions * answer.len()]).unwrap();
        }
    }
}

/// How many frames these are.
fn questions(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some((len, rest)) = bytes.split_first_chunk() {
        bytes = &rest[u32::from_le_bytes(*len) as usize..];
        count += 1;
    }
    count
}

/// A full roster, as the conductor would give it to this crowd.
fn answer() -> Vec<u8> {
    let members = (0..u32::try_from(ROSTER_MAX).unwrap()).map(|number| SocketAddr::from((source(number), 1)));
    let roster = Roster { interval_ms: 60_000, complete: 10, getting: 89, members: members.collect() };
    let mut bytes = Vec::new();
    Reply::Roster(roster).append_to(&mut bytes);
    bytes
}
