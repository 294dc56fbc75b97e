//! Every bound, with its reason.
//!
//! A bound that is not here does not exist: nothing may grow, wait or be believed without one of these.
//! Sizes are in bytes unless the name says otherwise.

use std::time::Duration;

/// One kibibyte.
pub const KIB: usize = 1024;
/// One mebibyte.
pub const MIB: usize = 1024 * KIB;

// --- The composition and its manifest -------------------------------------------------------------------

/// The longest part. A part is verified in memory before it is written, so it must fit there.
pub const PART_LEN_MAX: u32 = 16 * 1024 * 1024;
/// The most parts: a set of them is then at most 128 KiB, and a manifest about 43 MiB.
pub const PARTS_MAX: u32 = 1 << 20;
/// The most parts when nobody asked for a part size: keeps a manifest under 84 KiB.
pub const PARTS_DEFAULT_MAX: u32 = 2_048;
/// The longest name of a composition, what file systems commonly allow for one component.
pub const NAME_LEN_MAX: usize = 255;
/// The longest host name (RFC 1035 allows 253 characters).
pub const HOST_LEN_MAX: usize = 255;
/// The longest manifest that is read: the largest one with `\r\n`, and as much again in extension lines.
pub const MANIFEST_LEN_MAX: u64 = 96 * 1024 * 1024;
/// The port of a conductor when none is named.
pub const CONDUCTOR_PORT_DEFAULT: u16 = 9999;
/// The ports that a member tries to listen on before it takes any.
pub const MEMBER_PORTS: std::ops::RangeInclusive<u16> = 10_001..=10_100;

// --- Hashing and files ----------------------------------------------------------------------------------

/// What one read takes of a long part that is hashed: small enough to stay in a core's own cache.
pub const READ_SLICE: usize = 256 * KIB;
/// What a hashing thread takes of a file at a time: many short parts, so that taking them costs nothing.
pub const HASH_STRETCH: u32 = 1024 * 1024;
/// The most it takes at a time, which is the memory of a hashing thread. Longer parts are hashed in slices.
pub const HASH_STRETCH_MAX: u32 = 4 * 1024 * 1024;
/// The most parts it takes at a time: parts of one byte cost as much as parts of 64.
pub const HASH_STRETCH_PARTS_MAX: u32 = 4_096;
/// How many parts it takes together if they fit, because several digests at once are faster than in turn.
pub const HASH_TOGETHER: u32 = 4;
/// Digests of a file's parts are computed by at most this many threads; more only queue for the disk.
pub const HASH_THREADS_MAX: usize = 64;
/// Buffers between the thread that reads a file and the one that hashes all of it: enough for either to run
/// ahead of the other for a moment.
pub const HASH_BUFFERS: usize = 4;

// --- The wire between members ---------------------------------------------------------------------------

/// The longest Noise message on the wire (the Noise specification's own bound, section 3).
pub const RECORD_LEN_MAX: usize = 65_535;
/// The authentication tag at the end of each sealed record.
pub const RECORD_TAG_LEN: usize = 16;
/// The most plain bytes in one record.
pub const RECORD_PLAIN_MAX: usize = RECORD_LEN_MAX - RECORD_TAG_LEN;
/// How many records one key may seal. AES-GCM stays far from its birthday bound for 2^24 records of
/// 64 KiB, which is one tebibyte in one direction of one link; the link is then replaced.
pub const RECORDS_PER_KEY_MAX: u64 = 1 << 24;
/// Messages without a set in them are a few words long.
pub const FRAME_SMALL_MAX: usize = 64;
/// The longest `Have`: the bits of [`PARTS_MAX`] parts and their length.
pub const FRAME_HAVE_MAX: usize = PARTS_MAX as usize / 8 + FRAME_SMALL_MAX;
/// The most runs in one `Have`; more new parts than that travel in the next one.
pub const HAVE_RUNS_MAX: usize = 1_024;
/// The most addresses in one `Roster`, from a conductor or a member.
pub const ROSTER_MAX: usize = 50;
/// The longest `Roster`: an IPv6 address takes at most 20 bytes.
pub const FRAME_ROSTER_MAX: usize = ROSTER_MAX * 20 + FRAME_SMALL_MAX;

/// What one `Want` asks for: so that parts of 16 KiB cost hardly more than parts of 1 MiB.
/// A part that is longer is a run of its own.
pub const RUN_BYTES: u64 = MIB as u64;
/// What is asked of a new link before anything is known about its rate.
pub const WINDOW_BYTES_START: u64 = MIB as u64;
/// The most bytes that may be asked of one link at a time: 100 ms of 1.2 Gbit/s, or a full 16 MiB part.
pub const WINDOW_BYTES_MAX: u64 = 16 * MIB as u64;
/// The most runs that may be asked of one link at a time. It sizes the link's queue.
pub const WINDOW_RUNS_MAX: u32 = 64;
/// Words for a link's writer that answer no `Want`: haves, rosters, refusals, the last word.
pub const LINK_CONTROL_MAX: usize = 64;
/// The size of a link's queue: its window full of wants in each direction, their answers, and control.
pub const LINK_QUEUE: usize = 4 * WINDOW_RUNS_MAX as usize + LINK_CONTROL_MAX;

// --- Links ----------------------------------------------------------------------------------------------

/// The most links of one member. More do not make a transfer faster and cost threads.
pub const LINKS_MAX: usize = 50;
/// The most links that a member opens to one other member, when it knows few of them.
pub const LINKS_PER_MEMBER_MAX: usize = 4;
/// With at least this many members known, one link to each is enough.
pub const MEMBERS_FOR_SINGLE_LINKS: usize = 8;
/// Connections that have not yet said a valid hello; the next one is refused.
pub const PENDING_MAX: usize = 64;
/// The same from one source address.
pub const PENDING_PER_ADDRESS_MAX: usize = 16;
/// The most addresses of other members that are remembered.
pub const ADDRESSES_MAX: usize = 1_000;
/// From accept or dial to a valid hello.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// To connect to another member or to the conductor.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A write that makes no progress for this long ends the link.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a blocked thread looks whether it should stop.
pub const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// A link that owes parts and sends nothing for this long is replaced.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(20);
/// A link on which nothing was asked, given or said for this long may give way to another address.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a link's writer may take over its last words.
pub const CLOSE_GRACE: Duration = Duration::from_millis(300);
/// The first pause before an address is dialled again; it doubles up to [`REDIAL_MAX`].
pub const REDIAL_MIN: Duration = Duration::from_millis(500);
/// The longest pause before an address is dialled again.
pub const REDIAL_MAX: Duration = Duration::from_secs(60);
/// How long an address that sent a wrong part is refused.
pub const BLAME_TIMEOUT: Duration = Duration::from_secs(600);
/// Bytes that nobody asked for are thrown away; a link that sent more than this is closed.
pub const UNASKED_BYTES_MAX: u64 = 64 * MIB as u64;
/// How often addresses are passed on to other members.
pub const GOSSIP_INTERVAL: Duration = Duration::from_secs(30);
/// How often rates are measured and windows and links reconsidered.
pub const TICK_INTERVAL: Duration = Duration::from_millis(250);

// --- The member's memory --------------------------------------------------------------------------------

/// Part buffers in all. A reader waits for its share before it takes a part from its socket.
pub const PART_BUFFERS_BYTES: u64 = 32 * MIB as u64;
/// What waits for the director: facts of a few words.
pub const DIRECTOR_INBOX: usize = 256;

// --- The desk of the conductor --------------------------------------------------------------------------

/// The longest request to a conductor.
pub const DESK_REQUEST_MAX: usize = 256;
/// The longest reply of a conductor: a roster and a few words.
pub const DESK_REPLY_MAX: usize = FRAME_ROSTER_MAX + FRAME_SMALL_MAX;
/// From accept to a whole first request, and from one request to the next on a kept connection.
pub const DESK_TIMEOUT: Duration = Duration::from_secs(10);

const _: () = {
    assert!(PARTS_DEFAULT_MAX <= PARTS_MAX);
    assert!(WINDOW_BYTES_START <= WINDOW_BYTES_MAX);
    assert!(WINDOW_BYTES_MAX >= PART_LEN_MAX as u64, "a window holds any part");
    assert!(WINDOW_BYTES_MAX / RUN_BYTES <= WINDOW_RUNS_MAX as u64, "the runs never narrow the window");
    assert!(PART_BUFFERS_BYTES >= PART_LEN_MAX as u64, "every part finds room");
    assert!(HASH_STRETCH <= HASH_STRETCH_MAX && READ_SLICE <= HASH_STRETCH_MAX as usize);
    assert!(
        PARTS_MAX as u64 * HASH_THREADS_MAX as u64 <= u32::MAX as u64,
        "stretches are counted in 32 bits"
    );
    assert!(RECORD_PLAIN_MAX > FRAME_SMALL_MAX);
    assert!(MANIFEST_LEN_MAX > PARTS_MAX as u64 * 42 * 2);
    assert!(LINKS_PER_MEMBER_MAX * MEMBERS_FOR_SINGLE_LINKS <= LINKS_MAX);
};
