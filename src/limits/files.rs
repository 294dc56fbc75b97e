//! Hashing, and files.

use super::{KIB, MIB};

/// What one read takes of a longer part that is hashed: small enough that the slices of [`HASH_TOGETHER`] parts
/// stay in a core's own cache.
pub const READ_SLICE: usize = 128 * KIB;
/// What a hashing thread takes of a file at a time: many short parts, so that taking them costs nothing.
pub const HASH_STRETCH: u32 = 1024 * 1024;
/// The most that is read at a time where the whole file is hashed as well, and wants its bytes in their order.
/// Longer parts are read in slices there.
pub const HASH_STRETCH_MAX: u32 = 4 * 1024 * 1024;
/// The most parts it takes at a time: parts of one byte cost as much as parts of 64.
pub const HASH_STRETCH_PARTS_MAX: u32 = 4_096;
/// How many parts it takes together if they fit, because several digests at once are faster than in turn.
pub const HASH_TOGETHER: u32 = 8;
/// What one write gives to a file: the system holds the file's lock meanwhile. For longer writes Linux also takes
/// memory in blocks of 128 KiB and more, the kind that a virtual machine gives back to its host as soon as it is free.
pub const WRITE_SLICE: usize = 64 * KIB;
/// Digests of a file's parts are computed by at most this many threads; more only queue for the disk.
pub const HASH_THREADS_MAX: usize = 64;
/// Buffers between the thread that reads a file and the one that hashes all of it: enough for either to run
/// ahead of the other for a moment.
pub const HASH_BUFFERS: usize = 4;

/// While parts come, the disk is kept busy: it is told to write after so many bytes, so that little is left to
/// sync when the last part has come. A disk that takes longer for these is told again as soon as it is done.
pub const FLUSH_BYTES: u64 = 8 * MIB as u64;
/// What everybody has by now, and memory may forget, is looked for after so many bytes: it takes a look at every part.
pub const FORGET_BYTES: u64 = 64 * MIB as u64;
/// Like [`FLUSH_BYTES`], for a file that comes to an ensemble: each time, all that memory has of the file is looked at.
pub const FOLDER_FLUSH_BYTES: u64 = 64 * MIB as u64;
