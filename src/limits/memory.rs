//! The member's memory.

use std::time::Duration;

use super::{KIB, MIB};

/// Received parts that wait are hashed together up to so many bytes, as many parts as there are lanes for most files:
/// several at a time is what makes it fast, and the first of them should not wait long for the last.
pub const VERIFY_BYTES: usize = 8 * MIB;
/// Received parts wait for others to be hashed with if enough should come within this time, as those of 1 MiB do at
/// 250 MB/s: much slower, and no CPU is short, while whoever asks for these parts next would wait as well.
pub const VERIFY_PATIENCE: Duration = Duration::from_millis(32);
/// Threads that verify and write received parts; more only wait for each other's lock on the file.
pub const VERIFIERS_MAX: usize = 4;
/// Buffers of parts, and ends of links, that wait for one verifying thread. With more, readers run further ahead,
/// and what they received has left the cache when it is verified.
pub const VERIFY_QUEUE: usize = 8;
/// Part buffers in all. A reader waits for its share before it takes a part from its socket.
pub const PART_BUFFERS_BYTES: u64 = 32 * MIB as u64;
/// A link that has begun a part must bring [`LANDING_BYTES_MIN`] of it in each such span while others wait for a
/// buffer: with parts of 16 MiB, two who never go on would have all of them.
pub const LANDING_PATIENCE: Duration = Duration::from_secs(5);
/// See [`LANDING_PATIENCE`]: at this rate the longest part takes 20 minutes.
pub const LANDING_BYTES_MIN: usize = 64 * KIB;
/// The same in bytes per second: what comes more slowly hardly comes.
pub const LANDING_RATE_MIN: u64 = LANDING_BYTES_MIN as u64 / LANDING_PATIENCE.as_secs();
/// What waits for the director: facts of a few words.
pub const DIRECTOR_INBOX: usize = 256;
