//! Ensembles, and the wire between their members.

use std::time::Duration;

use super::{FRAME_SMALL_MAX, KIB, MIB};

/// The longest path beneath an ensemble's folder: Linux takes 4,096 bytes, the end and the folder's own path among them.
pub const TREE_PATH_LEN_MAX: usize = 3_072;
/// The longest text of a symbolic link, what Linux allows.
pub const LINK_TEXT_LEN_MAX: usize = 4_095;
/// The most authors of whom a version remembers something; of more, those that wrote longest ago are forgotten.
pub const AUTHORS_MAX: usize = 64;
/// What is read of the marker in an ensemble's folder: a few lines.
pub const MARKER_LEN_MAX: u64 = 4 * KIB as u64;
/// How long replaced and deleted files are kept, in days.
pub const ARCHIVE_DAYS: u64 = 30;
/// Versions of a path that are younger than this all stay: who notices a mistake at once has everything.
pub const ARCHIVE_ALL: Duration = Duration::from_secs(3_600);
/// Of those that are younger than this, and not that young, each hour keeps its own; of older ones each day does. So a
/// file that changes without a pause has at most about 110 versions beside those of the last hour.
pub const ARCHIVE_HOURLY: Duration = Duration::from_secs(24 * 3_600);
/// What had stood for so long before it was replaced stays, as the first of its hour or day: as long as the finest
/// period, so that a file that is written again and again has no such version.
pub const ARCHIVE_STOOD: Duration = Duration::from_secs(3_600);
/// What is younger than this never gives way for want of space: a day, in which somebody looks at the folder.
pub const ARCHIVE_SAFE: Duration = Duration::from_secs(24 * 3_600);
/// The oldest versions are looked for in batches of so many, about 8 MiB of memory; each costs a walk over one day.
pub const ARCHIVE_GIVE_BATCH: usize = 16_384;
/// Space is short when less than one of so many bytes of the file system is free: file systems get slow there, and
/// others need some as well.
pub const ARCHIVE_ROOM_SHARE: u64 = 20;
/// On a large one so many free bytes are enough.
pub const ARCHIVE_ROOM_MAX: u64 = 4 << 30;
/// How often it is looked whether space is short: one call of the system.
pub const ARCHIVE_SPACE_INTERVAL: Duration = Duration::from_secs(30);
/// How often the archive is thinned out. That walks over what came there in the last two days.
pub const ARCHIVE_THIN_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// For so long it is told that versions gave way, after the last of them.
pub const ARCHIVE_TOLD_SPAN: Duration = Duration::from_secs(3_600);
/// What is read of the mark that says which days were thinned out: a number.
pub const ARCHIVE_MARK_LEN_MAX: u64 = 32;
/// Up to so many files or folders are brought to the disk one by one, for more the whole file system is: that costs about
/// as much as one file, but waits for what others have written as well.
pub const SYNC_EACH_MAX: usize = 3;
/// Up to so many deletions at once are believed, in a folder of any size.
pub const BRAKE_PATHS: u64 = 100;
/// More are, if they are not more than one of so many: else a folder that was emptied empties all others.
pub const BRAKE_SHARE: u64 = 2;

/// What the index of a folder keeps in memory of what is on its disk; the system's own cache has the rest.
pub const INDEX_CACHE_BYTES: usize = 8 * MIB;
/// The log of an index is cut back to so much after a transaction that made it longer.
pub const INDEX_LOG_BYTES: usize = 4 * MIB;
/// What is written to find out whether a database lacks room: as much as one small transaction.
pub const ROOM_BYTES: usize = 16 * KIB;
/// How long an index that found no room waits before it tries again; twice as long after each try in vain.
pub const INDEX_ROOM_PAUSE_MIN: Duration = Duration::from_millis(500);
/// See [`INDEX_ROOM_PAUSE_MIN`]: so soon after there is space everything goes on.
pub const INDEX_ROOM_PAUSE_MAX: Duration = Duration::from_secs(10);
/// How long a member that is to unite once waits for room for its index before it gives up: whoever calls it from a
/// script should hear of it, and somebody may be about to make room.
pub const INDEX_ROOM_ONCE: Duration = Duration::from_secs(15);
/// Events that are put off while the index has no room, most of them less than 100 KiB: who has more to tell waits.
pub const PUT_OFF_MAX: usize = 256;
/// The most rows that the index yields at a time: a few hundred KiB.
pub const INDEX_PAGE_ROWS: usize = 1_000;
/// After a stop that was not clean so many sequence numbers are left out: more than could have been given away and then
/// lost by a disk that did not keep its word. There are enough for two thousand million such stops.
pub const SEQUENCE_GAP: u64 = 1 << 32;
/// How long it is remembered that something was deleted. Who was away for longer brings it back.
pub const TOMBSTONE_SPAN: Duration = Duration::from_secs(366 * 24 * 3_600);
/// The longest file that is carried: the list of its chunks has at most 288 MiB, and usually 144.
pub const FILE_LEN_MAX: u64 = 1 << 42;
/// Files up to this length are one chunk: there is little to save in them, and there are very many of them.
pub const WHOLE_LEN_MAX: u64 = 128 * KIB as u64;
/// The average length of the chunks of files that are shorter than [`CHUNK_CLASS_LEN`]. It doubles whenever the length
/// of the file is four times as much, up to [`CHUNK_AVERAGE_MAX`].
pub const CHUNK_AVERAGE_MIN: usize = 64 * KIB;
/// See [`CHUNK_AVERAGE_MIN`].
pub const CHUNK_AVERAGE_MAX: usize = MIB;
/// See [`CHUNK_AVERAGE_MIN`]. This, and four times as much, and so on, is where a file that grows gets other chunks and
/// is sent as a whole: no power of two or ten is near, which files that people make by size have.
pub const CHUNK_CLASS_LEN: u64 = 384 * MIB as u64;
/// A chunk has at least its average's share of one of so many. What is before that is not looked through for a cut, and
/// looking takes longer than hashing: with a quarter, which is usual, reading is slower and finds hardly more.
pub const CHUNK_LEAST_SHARE: usize = 2;
/// A chunk has at most so many times its average.
pub const CHUNK_SPREAD: usize = 4;
/// The longest chunk.
pub const CHUNK_LEN_MAX: usize = CHUNK_AVERAGE_MAX * CHUNK_SPREAD;
/// Files are hashed by at most this many threads; more only queue for the disk.
pub const CONTENT_THREADS_MAX: usize = 16;
/// The longest file of ignore rules.
pub const IGNORE_LEN_MAX: u64 = 256 * KIB as u64;
/// Folders that a look keeps open at a time; for deeper ones their path is walked again.
pub const LOOK_FOLDERS_MAX: usize = 32;
/// Changes that wait to be gathered, as many as Linux keeps of one watch (`fs.inotify.max_queued_events`). Of more nobody
/// knows which they were.
pub const WATCH_QUEUE: usize = 16_384;
/// Changes are gathered for so long before they are told, so that a burst is one hint; nobody notices so short a wait.
pub const HINT_GATHER: Duration = Duration::from_millis(15);
/// A file that is being written and not closed is told when nothing was written for so long.
pub const HINT_QUIET: Duration = Duration::from_secs(1);
/// The same if it is never quiet: what is written without end is read that often.
pub const HINT_WRITING_MAX: Duration = Duration::from_secs(30);
/// The most paths in a hint. Each costs a few calls to the system, so a thousand are looked at sooner than a large folder.
pub const HINT_PATHS_MAX: usize = 1_024;
/// The most files that are waited for to be closed; more are told while they are written.
pub const HINT_WRITING_FILES_MAX: usize = 1_024;
/// Between two hints to look at everything, since a look at many folders may be what overflowed the watch.
pub const HINT_EVERYTHING_PAUSE: Duration = Duration::from_secs(10);

/// How often it is seen whether a network came or went, in seconds: who comes with it is found within three.
pub const LAN_LINK_CHECK_SECS: u32 = 2;
/// How often it is seen whether a new day began, and how much is remembered of what others said.
pub const LAN_BEAT: Duration = Duration::from_secs(2);
/// How many members on the local network are remembered; of more, those that were found first are forgotten.
pub const LAN_NEIGHBOURS_MAX: usize = 1_024;
/// How many addresses of one are told: some networks, with IPv4 and a few of IPv6 each.
pub const LAN_ADDRESSES_MAX: usize = 16;
/// What the library may remember of what others said, in records: ten of each of [`LAN_NEIGHBOURS_MAX`]. It sets itself no
/// bound, so it begins anew when somebody makes it remember more.
pub const LAN_RECORDS_MAX: i64 = 10_240;
/// Whoever is to unite once stays at least so long where it looks for others on the local network: until then everybody
/// who is there is found, and nobody is left alone by two others that were quick.
pub const ONCE_STAY: Duration = Duration::from_secs(3);
/// How long we wait, when we leave, until the others are told.
pub const LAN_LEAVE_GRACE: Duration = Duration::from_millis(500);

/// The longest name that a member gives itself.
pub const LABEL_LEN_MAX: usize = 64;
/// Entries are gathered into one message until they have so many bytes.
pub const ENTRIES_BYTES: usize = 64 * KIB;
/// The longest entry: path, text of a link, what it knows, and less than 256 bytes of hashes and numbers.
pub const ENTRY_LEN_MAX: usize = TREE_PATH_LEN_MAX + LINK_TEXT_LEN_MAX + AUTHORS_MAX * 18 + 256;
/// The longest message with entries.
pub const FRAME_ENTRIES_MAX: usize = ENTRIES_BYTES + ENTRY_LEN_MAX + FRAME_SMALL_MAX;
/// New chunks, and runs of old ones, in one page of a list: about 80 KiB. The list of 1 GiB takes four.
pub const CHUNK_PAGE: usize = 2_048;
/// The longest page: a new chunk takes 37 bytes, a run of old ones fewer.
pub const FRAME_CHUNKS_MAX: usize = CHUNK_PAGE * 40 + FRAME_SMALL_MAX;
/// What one message asks for: with contents of some KiB a question costs a hundredth of its answer.
pub const FETCH_SLICES_MAX: usize = 256;
/// The longest such message.
pub const FRAME_FETCH_MAX: usize = FETCH_SLICES_MAX * 48 + FRAME_SMALL_MAX;
/// The most slices that one link may have us owe.
pub const SLICES_OWED_MAX: usize = 4 * FETCH_SLICES_MAX;
/// The most questions about lists of chunks that one link may have us owe.
pub const LISTS_OWED_MAX: usize = 16;
/// How far back what is compressed on a link may refer to what was sent before: 2 to this power, 1 MiB, which both sides
/// keep in memory.
pub const PACKING_WINDOW_LOG: u32 = 20;
/// How often a member of an ensemble says something, if it has nothing to say: 26 bytes a time with everything around
/// them, so that a minute without changes costs little more than its 12 packets.
pub const ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// A link on which nothing came for so long is dead.
pub const SILENCE_MAX: Duration = Duration::from_secs(25);
/// A link that does not answer what it was asked, nor goes on with an answer that it began, for so long is replaced: what
/// it was asked for is asked of others then. Longer than any disk takes to wake up.
pub const ANSWER_MAX: Duration = Duration::from_secs(30);
/// After another member said that it is the same device as ours, or knows more of it than we do, that is not believed
/// again for so long. Each copy of a folder says so once.
pub const RENEW_PAUSE: Duration = Duration::from_secs(60);
