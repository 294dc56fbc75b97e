//! The desk of the conductor, and its registry.

use std::time::Duration;

use super::{FRAME_ROSTER_MAX, FRAME_SMALL_MAX, KIB};

/// The longest request to a conductor.
pub const DESK_REQUEST_MAX: usize = 256;
/// The longest reply of a conductor: a roster and a few words.
pub const DESK_REPLY_MAX: usize = FRAME_ROSTER_MAX + FRAME_SMALL_MAX;
/// From accept to a whole first request, and from one request to the next on a kept connection.
pub const DESK_TIMEOUT: Duration = Duration::from_secs(10);
/// What is taken from a desk's socket at a time. The shortest request has 41 bytes, so at most ten replies
/// wait for a peer that does not read them.
pub const DESK_READ: usize = 384;
/// How many times one desk may read before the others have their turn.
pub const DESK_READS_PER_TURN: usize = 4;
/// Connections to a conductor in all: 10,000 silent ones leave room for thousands of honest ones. Each costs
/// a file descriptor and about 300 bytes.
pub const DESKS_MAX: usize = 16_384;
/// The same from one source address (IPv6: one /64): a big site behind one address translator fits.
pub const DESKS_PER_ADDRESS_MAX: usize = 2_048;
/// Connections that have not yet asked anything; the rest of [`DESKS_MAX`] is kept for those that have.
pub const DESKS_PENDING_MAX: usize = 12_288;
/// The same from one source address.
pub const DESKS_PENDING_PER_ADDRESS_MAX: usize = 1_024;
/// Connections that were refused and are given the time to read why; any more are just closed, with a word only where it
/// is clear in which dialect.
pub const DESKS_REFUSED_MAX: usize = 256;
/// How long a refused connection may take to say in which dialect it asks, where it may be the classic one, and to read why.
pub const DESK_REFUSED_TIMEOUT: Duration = Duration::from_secs(1);
/// What the system buffers for a desk in each direction: a few dozen replies, so that thousands of peers
/// that read nothing cannot fill the kernel's memory either.
pub const DESK_SOCKET_BUFFER: usize = 32 * KIB;
/// How many connections are accepted before the ones at hand have their turn.
pub const ACCEPTS_PER_TURN: usize = 64;
/// How long accepting rests when the system has no file descriptor or memory for another connection.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Connections that the system holds until they are accepted. Linux cuts this to `net.core.somaxconn`.
pub const LISTEN_BACKLOG: i32 = 4_096;
/// File descriptors that are not connections: log, epoll, signals, standard streams.
pub const FILES_RESERVED: usize = 32;
/// Lines of one kind that a conductor logs in [`DESK_LINES_SPAN`]; the others are counted. A flood fills no disk, and
/// a line costs more than the answer that it is about.
pub const DESK_LINES_MAX: u32 = 200;
/// See [`DESK_LINES_MAX`].
pub const DESK_LINES_SPAN: Duration = Duration::from_secs(1);

/// Compositions that a conductor keeps: with one member each about 20 MiB.
pub const SWARMS_MAX: usize = 100_000;
/// Members of one composition.
pub const SWARM_MEMBERS_MAX: usize = 50_000;
/// Members in all: at about 60 bytes each, 60 MB.
pub const MEMBERS_MAX: usize = 1_000_000;
/// The possible intervals between two announces of a member; the load decides which one.
pub const ANNOUNCE_INTERVALS: [Duration; 6] = [
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(120),
    Duration::from_secs(300),
    Duration::from_secs(600),
];
/// Announces per second that the intervals aim at: a hundredth of what one core can answer.
pub const ANNOUNCES_PER_SECOND: usize = 2_000;
/// A swarm with fewer members than this announces at the shortest interval, so that its members meet soon.
pub const SWARM_SMALL: usize = 8;
/// Intervals are drawn from this many hundredths around their middle, so that members do not come in herds.
pub const ANNOUNCE_JITTER_PERCENT: u32 = 10;
/// A lease lasts this many halves of the interval: two announces may be lost before the entry goes.
pub const LEASE_HALF_INTERVALS: u32 = 5;
/// Leases that one announce may expire: more than it can create, so expiry keeps up by itself.
pub const EXPIRIES_PER_ANNOUNCE: usize = 4;
/// Leases that one tick may expire: well under a millisecond of work.
pub const EXPIRIES_PER_TICK: usize = 1_024;
