//! The wire between members.

use super::{MIB, PART_LEN_MAX, PARTS_MAX};

/// The longest Noise message on the wire (the Noise specification's own bound, section 3).
pub const RECORD_LEN_MAX: usize = 65_535;
/// The authentication tag at the end of each sealed record.
pub const RECORD_TAG_LEN: usize = 16;
/// The most plain bytes in one record.
pub const RECORD_PLAIN_MAX: usize = RECORD_LEN_MAX - RECORD_TAG_LEN;
/// Records that one system call sends or receives at most: enough that calls do not count, few enough that
/// their bytes stay in a core's cache.
pub const RECORDS_PER_CALL: usize = 4;
/// How many records one key may seal. AES-GCM stays far from its birthday bound for 2^24 records of
/// 64 KiB, which is one tebibyte in one direction of one link; the link is then replaced.
pub const RECORDS_PER_KEY_MAX: u64 = 1 << 24;
/// Records kept back when a key is nearly used up: for the longest part that may just have begun, and for
/// last words.
pub const LAST_RECORDS: u64 = PART_LEN_MAX as u64 / RECORD_PLAIN_MAX as u64 + 64;
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
pub const RUN_BYTES: u64 = RUN_BYTES_U32 as u64;
/// The same, where parts are measured.
pub const RUN_BYTES_U32: u32 = 1024 * 1024;
/// What a link is sent before others have their turn and words may pass, if parts are no longer: what is cancelled
/// meanwhile is sent for nothing.
pub const PIECE_BYTES_U32: u32 = 256 * 1024;
/// The most parts that one `Want` asks for: with tiny parts, answers part by part would else cost more than
/// the parts.
pub const RUN_PARTS_MAX: u32 = 1_024;
/// What is asked of a new link before anything is known about its rate.
pub const WINDOW_BYTES_START: u64 = MIB as u64;
/// The most bytes that may be asked of one link at a time: 100 ms of 2.6 Gbit/s, or two parts of 16 MiB, so
/// that the second is on its way while the first is verified.
pub const WINDOW_BYTES_MAX: u64 = 32 * MIB as u64;
/// The most runs that may be asked of one link at a time. It sizes the link's queue.
pub const WINDOW_RUNS_MAX: u32 = 64;
/// The most runs that one link may have us owe: its window, and as many again because a withdrawn part
/// splits a run in two.
pub const OWED_RUNS_MAX: u32 = 2 * WINDOW_RUNS_MAX;
/// Words for a link's writer that answer no `Want`: haves, rosters, refusals, the last word.
pub const LINK_CONTROL_MAX: usize = 64;
/// The size of a link's queue: its window full of wants in each direction, their answers, and control.
pub const LINK_QUEUE: usize = 4 * WINDOW_RUNS_MAX as usize + LINK_CONTROL_MAX;
