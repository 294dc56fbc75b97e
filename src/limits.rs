//! Every bound, with its reason.
//!
//! Nothing may grow, wait or be believed without one of these; what only tunes one machine or one room (how
//! often a die is thrown, how a rate is smoothed) stands at the top of its own file.
//! Sizes are in bytes unless the name says otherwise.

use std::time::Duration;

/// One kibibyte.
pub const KIB: usize = 1024;
/// One mebibyte.
pub const MIB: usize = 1024 * KIB;

// --- The composition and its manifest -------------------------------------------------------------------

/// The longest part. A part is verified in memory before it is written, so it must fit there.
pub const PART_LEN_MAX: u32 = 16 * 1024 * 1024;
/// The most parts: a set of them is then at most 128 KiB, and a manifest about 41 MiB.
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

// --- Ensembles ------------------------------------------------------------------------------------------

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

// --- Hashing and files ----------------------------------------------------------------------------------

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
/// sync when the last part has come.
pub const FLUSH_BYTES: u64 = 64 * MIB as u64;

// --- The wire between members ---------------------------------------------------------------------------

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

// --- The classic protocol -------------------------------------------------------------------------------

/// The most addresses in an answer of a classic conductor; the original members take no more either. They are read one by
/// one and a few of them kept.
pub const CLASSIC_ADDRESSES_MAX: u64 = 1_000_000;
/// Lines of such an answer that are no addresses and are skipped; one that has more is no answer.
pub const CLASSIC_UNREADABLE_MAX: usize = 1_000;
/// Questions of one classic link that wait for their answers. The original members ask one at a time; others may be bolder,
/// and each costs less than 400 bytes.
pub const CLASSIC_QUESTIONS_MAX: u32 = 16;
/// What a classic link's reader may tell its writer beyond the other side's questions: that ours was answered.
pub const CLASSIC_WORDS: usize = CLASSIC_QUESTIONS_MAX as usize + 4;
/// What is read of a classic link at a time, while no part comes.
pub const CLASSIC_READ: usize = 16 * KIB;
/// What of a part is read from the disk and sent at a time.
pub const CLASSIC_SLICE: usize = 256 * KIB;
/// How long a classic member's question for a part that is not here waits for the part: whoever is refused asks nothing
/// more on that link, so it is worth waiting; but not for longer, because meanwhile it asks us for nothing else.
pub const CLASSIC_KEPT_PATIENCE: Duration = Duration::from_secs(30);
/// A classic link on which nothing was asked for so long after a refusal ends, so that there can be another one: the
/// original members look every 10 s for whom to connect to.
pub const CLASSIC_MUTE_PATIENCE: Duration = Duration::from_secs(10);
/// How often a classic member is asked which parts it has: it does not tell by itself. The original members ask each other
/// every 5 s; the shorter, the sooner what one of them got is asked for.
pub const CLASSIC_LIST_INTERVAL: Duration = Duration::from_secs(2);
/// The same where one side holds everything: only that the other one does as well is still news.
pub const CLASSIC_LIST_INTERVAL_COMPLETE: Duration = Duration::from_secs(10);
/// Which parts are here is told to one link at most so often: for a million of them a short question costs 300 KB, and a
/// sixth of a second once in [`CLASSIC_SET_PAUSE`].
pub const CLASSIC_LIST_PAUSE: Duration = Duration::from_secs(1);
/// How long a classic member may leave our question unanswered: its answer, or the line that it is in, may lie behind some MiB
/// of parts in the system's buffers, which take so long at [`LANDING_RATE_MIN`]. A part has the time on top that its bytes
/// take at that rate.
pub const CLASSIC_ANSWER_PATIENCE: Duration = Duration::from_secs(300);
/// After a set of the most parts was read, all links together wait so long before the next one; after one with a tenth of
/// them a hundredth, because reading it costs the square of its size: a fourth of a core at most, by measurement.
pub const CLASSIC_SET_PAUSE: Duration = Duration::from_secs(1);
/// How often a member renews its lease at a classic conductor, as the original members do.
pub const CLASSIC_ASK_INTERVAL: Duration = Duration::from_secs(10);
/// How often it asks there while it knows nobody, as the original members do.
pub const CLASSIC_LONELY_INTERVAL: Duration = Duration::from_secs(5);
/// A conductor that answered in the classic protocol has so long to answer in ours: an original one waits for the end of a
/// line and never would.
pub const CLASSIC_NATIVE_PATIENCE: Duration = Duration::from_secs(2);
/// One that did not is asked in ours again after this long, and then has the time that any conductor has: it may have been
/// slow. The pause doubles each time.
pub const CLASSIC_NATIVE_PAUSE_MIN: Duration = Duration::from_secs(10);
/// The longest such pause: it may have been replaced.
pub const CLASSIC_NATIVE_PAUSE: Duration = Duration::from_secs(300);
/// An address where our dialect was spoken, or where a conductor of ours says that it is, is not dialled in the classic
/// protocol for so long after that: whoever can break connections must not get our words unsealed. After that an original
/// member may have taken its place.
pub const CLASSIC_NATIVE_SPAN: Duration = Duration::from_secs(3_600);
/// So many different sources must complain about a member before a classic conductor stops handing it out: nobody proves
/// who they are, so one or two must not be enough to hide somebody.
pub const CLASSIC_COMPLAINERS: usize = 3;
/// A complaint counts for so long after it was made, and not longer; a member is not handed out while enough of them count.
pub const CLASSIC_COMPLAINT_SPAN: Duration = Duration::from_secs(600);
/// So many sources that complain about one member are told apart: the more, the later it comes where everybody is
/// complained about.
pub const CLASSIC_COMPLAINERS_KEPT: usize = 8;
/// Complaints that are remembered: about 8 MB.
pub const CLASSIC_COMPLAINTS_MAX: usize = 10_000;
/// The same of one source, so that one cannot make all others forgotten; nobody gets wrong parts from so many.
pub const CLASSIC_COMPLAINTS_PER_SOURCE_MAX: usize = 64;
/// Askers of a classic conductor of whom it is remembered on which port they listen, so that their complaints are heard:
/// about 5 MB. Honest ones ask every 10 s, so one who is pushed out is back soon.
pub const CLASSIC_ASKERS_MAX: usize = 20_000;

// --- The wire between members of an ensemble ------------------------------------------------------------

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

// --- The keeper of an ensemble's folder ------------------------------------------------------------------

/// What a link's writer has to do at most: what the other side may ask for at a time, what we ask, and words.
pub const ENSEMBLE_LINK_QUEUE: usize = SLICES_OWED_MAX + LISTS_OWED_MAX + 2 * LINK_CONTROL_MAX;
/// What came over a link is told to the keeper at the latest when so much of it has.
pub const LANDED_MAX: usize = 64;
/// The same in bytes: what is told late is asked for late, and then the other side waits. What was compressed comes many
/// at a time.
pub const LANDED_BYTES_MAX: u64 = 2 * MIB as u64;
/// Before that, it is told when nothing more has arrived, but not so often that telling costs more than it helps: each time
/// six threads take a turn. A link's window lasts five times as long.
pub const LANDED_PAUSE: Duration = Duration::from_millis(2);
/// What was asked of one member is asked of another one as well at the earliest after this while: longer than a busy disk or
/// a lost packet takes.
pub const HEDGE_AFTER: Duration = Duration::from_secs(2);
/// And not before that one would have brought it so many times.
pub const HEDGE_FACTOR: u32 = 4;
/// What a look sees is told in pages of so many paths.
pub const SIGHTS_MAX: usize = 512;
/// Events that the keeper hears before it looks what is to be done.
pub const EVENTS_PER_TURN: usize = 64;
/// Paths that are planned before the keeper looks who says something.
pub const PLAN_PATHS: usize = 256;
/// Paths to be planned that are remembered one by one; of more it is remembered that there are some.
pub const DIRTY_MAX: usize = 20_000;
/// Paths that wait for the same reason and are remembered one by one; of more it is remembered that there are some, and they
/// are found in the index again.
pub const WAITING_MAX: usize = DIRTY_MAX;
/// How often they are, if nothing else leads to it: for a million paths that takes a while.
pub const WAITING_SEARCH_PAUSE: Duration = Duration::from_secs(60);
/// Entries that are heard before they are planned, if more follow at once.
pub const HEARD_MAX: usize = 4_000;
/// Paths that change at a time, in all stages: enough that disk, network and cores are busy.
pub const ACTIVE_MAX: usize = 4_096;
/// Paths that are changed with one sync of the disk.
pub const APPLY_MAX: usize = 1_000;
/// Contents of many chunks that are on their way at a time. Each keeps its list in memory.
pub const LONG_MAX: usize = 4;
/// The most chunks that a content has: the longest file, in the shortest chunks of such files.
pub const CHUNKS_MAX: usize = 1 << 23;
/// Contents of which it is remembered who was asked for them in vain.
pub const LACKED_MAX: usize = 10_000;
/// For how long: whoever could not read it just then is asked again after that, and a question costs less than 100 bytes.
pub const LACKED_SPAN: Duration = Duration::from_secs(20);
/// Chunks of lists that wait to be written to the index, at most: 36 MiB.
pub const LISTS_MAX: usize = 1 << 20;
/// Short contents that are looked at for one link before others have their turn.
pub const SHORT_LOOK: usize = 1_024;
/// Others are told at once of so many chunks of what is being fetched here; of fewer, now and then.
pub const HAVING_CHUNKS: usize = 64;
/// Contents of which one link says what it has of them, at most.
pub const HAVINGS_MAX: usize = 8;
/// Paths that are read with one order.
pub const READ_PATHS: usize = 1_000;
/// Or so many bytes: what was read is told to others when all of the order was.
pub const READ_BYTES: u64 = 256 * MIB as u64;
/// Paths with hints that are remembered one by one; with more, everything is looked at.
pub const HINTS_MAX: usize = 10_000;
/// Files that are being written to, to be looked at again, that are remembered one by one.
pub const AGAIN_MAX: usize = 10_000;
/// When a file that is being written to is looked at again.
pub const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Everything is looked at so often, in case a hint was lost; with up to a quarter more at random.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(3_600);
/// How often a folder that is not there is looked for.
pub const ROOT_INTERVAL: Duration = Duration::from_secs(5);
/// So many deletions are believed as they are seen.
pub const DELETIONS_FEW: u64 = EMPTIED_PATHS;
/// Those of so long ago count as well.
pub const DELETIONS_SPAN: Duration = Duration::from_secs(10);
/// When somebody deletes more files, they are looked at when so much time has passed: it shows then how many they are.
pub const DELETIONS_PAUSE: Duration = Duration::from_secs(1);
/// If nothing at all is left and so many were there, that is not believed either.
pub const EMPTIED_PATHS: u64 = 3;
/// Files from this length on are first compared with those that have gone: they may have been moved. Shorter ones are
/// read in no time.
pub const MOVED_LEN_MIN: u64 = MIB as u64;
/// A file that was changed this short a time ago is read a moment later: a further change within the same tick of the
/// file system's clock (4 or 10 ms) would not show.
pub const YOUNG_SPAN: Duration = Duration::from_millis(12);
/// What the disk would not do is tried again after this long.
pub const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// After so long without a change everything is brought to the disk and marked clean.
pub const SETTLE_PAUSE: Duration = Duration::from_secs(3);
/// Others are told where we stand at most so often, while it changes.
pub const STATE_INTERVAL: Duration = Duration::from_millis(100);
/// How often what is in the folder is counted, at most.
pub const TOTALS_INTERVAL: Duration = Duration::from_secs(1);
/// What hinders is told of so many things.
pub const TROUBLES_MAX: usize = 100;
/// Files that a report names; the others are counted.
pub const REPORT_MAX: usize = 100_000;
/// What is read of a file with a key: the key, and what people write around it.
pub const KEY_FILE_LEN_MAX: u64 = 4 * KIB as u64;
/// What is read of the file that names a run of the system: 37 bytes.
pub const BOOT_FILE_LEN_MAX: u64 = 64;
/// What is read and written at a time on the socket by which this computer's user asks a member.
pub const CONTROL_SLICE: usize = 16 * KIB;
/// The longest question on it: a path, with every byte of it written as an escape.
pub const CONTROL_QUESTION_MAX: usize = 64 * KIB;
/// The longest line of an answer: [`TROUBLES_MAX`] troubles, each with a path of the longest.
pub const CONTROL_ANSWER_MAX: usize = 8 * MIB;
/// Who is let in must have said its question, and taken each part of the answer, within this: one is answered after the
/// other.
pub const CONTROL_PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer may take: the keeper may be busy with its index, and another may be asking.
pub const CONTROL_ANSWER_PATIENCE: Duration = Duration::from_secs(60);
/// The same for bringing back a file, which is copied: half a TiB from a disk of 150 MB/s. When the member ends, the
/// waiting does.
pub const CONTROL_RESTORE_PATIENCE: Duration = Duration::from_secs(3_600);
/// How long a member waits at its start for another program to be done with the folder.
pub const ROOT_PATIENCE: Duration = Duration::from_secs(1);
/// Addresses at which members were reached that are remembered for the next start: more than links, since one computer has
/// several.
pub const REMEMBERED_MAX: usize = 100;
/// An address at which nobody was reached for so long is forgotten: by then most networks have given it to somebody else.
pub const REMEMBERED_SPAN: Duration = Duration::from_secs(30 * 24 * 3_600);
/// That somebody still is there is written down so often.
pub const REMEMBERED_RENEW: Duration = Duration::from_secs(24 * 3_600);
/// What is read of the file with them: [`REMEMBERED_MAX`] lines with an IPv6 address and two numbers, all of the longest.
pub const REMEMBERED_TEXT_LEN_MAX: u64 = REMEMBERED_MAX as u64 * 112;
/// The longest pause before an address is dialled again that is only remembered. If none of [`REMEMBERED_MAX`] answers, a
/// minute costs 60 to 80 packets: three for each try.
pub const REMEMBERED_REDIAL_MAX: Duration = Duration::from_secs(300);
/// A device that has a link is not dialled at another address where it was reached, unless that is so long ago: somebody
/// else may have got that address.
pub const REMEMBERED_DOUBT: Duration = Duration::from_secs(600);
/// Of [`DIALS_MAX`], at most so many at a time to addresses that are only remembered, or that others told of: they may all be
/// dead, and whoever was just found is not to wait for that.
pub const HEARSAY_DIALS_MAX: usize = DIALS_MAX / 2;
/// Addresses that are new here, and of which one link tells, that are looked at within [`ROSTER_NEWS_SPAN`]: twice as many as
/// members of an ensemble that one has links with, and each of them may make us dial.
pub const ROSTER_NEWS_MAX: u32 = 100;
/// See [`ROSTER_NEWS_MAX`].
pub const ROSTER_NEWS_SPAN: Duration = Duration::from_secs(600);
/// A place that the user named and where nobody is reached is told of after so long: whoever is started at the same time is
/// there by then.
pub const UNREACHED_PATIENCE: Duration = Duration::from_secs(3);
/// How often the names of members are looked up again.
pub const RESOLVE_INTERVAL: Duration = Duration::from_secs(60);

// --- Links ----------------------------------------------------------------------------------------------

/// The most links of one member. More do not make a transfer faster and cost threads.
pub const LINKS_MAX: usize = 50;
/// A member dials until it has this many links; the rest of [`LINKS_MAX`] is for those who dial it.
pub const LINKS_DIALLED_MAX: usize = 30;
/// Of [`LINKS_MAX`], this many are only for those whom the member dials itself: whoever fills all others with links
/// of their own cannot choose whom it meets.
pub const LINKS_DIALLED_MIN: usize = 10;
/// Of [`LINKS_MAX`], so many at most with those who cannot prove that they have the manifest, since they speak the classic
/// protocol: anybody who has heard of the composition may be one of many. It is enough to meet a swarm of the original
/// programs, and they give way to those who can.
pub const LINKS_KEYLESS_MAX: usize = 20;
/// Dials under way at a time.
pub const DIALS_MAX: usize = 16;
/// The most links that a member opens to one other member, when it knows few of them. One of an ensemble opens one; it
/// takes so many from a device at one host, since the end of those that it lost may not have been noticed.
pub const LINKS_PER_MEMBER_MAX: usize = 4;
/// With at least this many members known, one link to each is enough.
pub const MEMBERS_FOR_SINGLE_LINKS: usize = 8;
/// Connections that have not yet said a valid hello; for the next one, the oldest of the host that has most is cut.
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
/// A link that carried no part, in either direction, for this long may give way to another address.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a link's writer may take over its last words.
pub const CLOSE_GRACE: Duration = Duration::from_millis(300);
/// A member that leaves waits this long for last words, its own and the others'; then it cuts its links, and
/// after as long again it is gone. So `q` takes less than a second.
pub const LEAVE_GRACE: Duration = Duration::from_millis(300);
/// The first pause before an address is dialled again; it doubles up to [`REDIAL_MAX`].
pub const REDIAL_MIN: Duration = Duration::from_millis(500);
/// The longest pause before an address is dialled again.
pub const REDIAL_MAX: Duration = Duration::from_secs(60);
/// How long an address that sent a wrong part is not dialled, and a member that did so is refused.
pub const BLAME_TIMEOUT: Duration = Duration::from_secs(600);
/// How long links from a source that sent a wrong part have to earn what they are asked for. Its first wrong part
/// costs most, so it is not soon the first again.
pub const SUSPECT_TIMEOUT: Duration = Duration::from_secs(3_600);
/// How long such a source waits until one of its links that has brought nothing is asked for one run; it doubles with
/// each wrong part, up to [`SUSPECT_PAUSE_MAX`].
pub const SUSPECT_PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest such pause: what a liar that always comes back costs is a run a minute, and an honest neighbour behind
/// the same address is not kept waiting for longer by one liar before it.
pub const SUSPECT_PAUSE_MAX: Duration = Duration::from_secs(60);
/// Sources, and members, of which is remembered that they sent wrong parts: about 100 KB.
pub const SUSPECTS_MAX: usize = 1_000;
/// A part that a link began this long ago may be asked of a second one, once nothing else is left; later if everything
/// that is missing takes longer, see [`LATE_FACTOR`].
pub const END_PHASE_PATIENCE: Duration = Duration::from_millis(500);
/// But no later than this: our best rate may have been a bad one.
pub const END_PHASE_PATIENCE_MAX: Duration = Duration::from_secs(30);
/// A part that two links were asked for this long ago may be asked of a third one, after twice as long of a
/// fourth, and so on: two slow ones do not keep a part from all others, and few bytes come twice.
pub const END_PHASE_PATIENCE_MORE: Duration = Duration::from_secs(5);
/// A part that was asked this long ago, and does not come yet, is asked of a second link as well if that one has
/// nothing else to do; whoever begins first brings it, and the other is told.
pub const HEDGE_PATIENCE: Duration = Duration::from_millis(600);
/// A part that comes is asked of another link as well if it takes this many times as long as everything that is
/// missing would at our best rate of late.
pub const LATE_FACTOR: u32 = 5;
/// A member asks for no more than it can receive in this time: what is not asked yet can still be asked of whoever is
/// free first, and a slow line does not take a turn from everybody at once.
pub const ASKED_SPAN: Duration = Duration::from_secs(4);
/// But always for so much, or for two parts, because nobody knows how fast it could be.
pub const ASKED_BYTES_MIN: u64 = 8 * MIB as u64;
/// If incomplete members are about to bring the parts that they hold within this time, complete ones are not
/// asked for them: their upload is what the others need.
pub const SECOND_HAND_PATIENCE: Duration = Duration::from_secs(3);
/// Parts that a complete member gave away are not given to another one for this long: the first one shares them.
pub const GIVEN_PATIENCE: Duration = Duration::from_secs(2);
/// Parts that it promised and has not sent yet are kept from others for at most this long: whoever they were
/// promised to may read slowly, or never.
pub const PROMISE_PATIENCE: Duration = Duration::from_secs(10);
/// So many links are sent parts at a time, however slow that is. Fewer spread parts faster (the simulator's swarm of
/// 100 takes 1.3 times the bound, and 1.7 times with all at once); one must not hold up the rest.
pub const TURNS_MIN: usize = 4;
/// At the start of a swarm one link is sent parts at a time, after so many turns two, and so on up to [`TURNS_MIN`]. The
/// simulator's swarms of 100 and 1,000 end 1.4 and 0.9 seconds earlier by it, of 28 and 29; with 8 or 32 a little less so.
pub const TURNS_RAMP: u64 = 16;
/// A turn that goes on for so long does not keep the next one waiting then: behind slow lines nothing is gained by it.
pub const TURN_LONG: Duration = Duration::from_secs(1);
/// Whether more or fewer should is measured over at least this long, ...
pub const TURNS_MEASURE: Duration = Duration::from_secs(1);
/// ... and over at least so many bytes: bytes leave in lumps of [`PIECE_BYTES_U32`], and a few of those tell no rate.
pub const TURNS_MEASURE_BYTES: u64 = 16 * PIECE_BYTES_U32 as u64;
/// More are tried only if each would still be sent so many bytes a second: near [`LANDING_RATE_MIN`] receivers give up.
pub const TURN_RATE_MIN: u64 = 4 * LANDING_RATE_MIN;
/// The first pause after a try that did not pay; it doubles up to [`TURNS_TRY_MAX`].
pub const TURNS_TRY_MIN: Duration = Duration::from_secs(4);
/// The longest such pause.
pub const TURNS_TRY_MAX: Duration = Duration::from_secs(32);
/// Who waits this long for a turn is refused: it asks elsewhere, long before [`STALL_TIMEOUT`] ends the link.
pub const TURN_PATIENCE: Duration = Duration::from_secs(8);
/// A turn is looked at so often. One that is slow takes no place from others any more: a few who hardly read would have all
/// turns, and nobody else would be sent anything. In less time, what the system takes at a time ([`UNSENT_MAX`], or half of
/// it) would tell no rate.
pub const TURN_SPAN: Duration = Duration::from_secs(8);
/// A turn is slow that is sent fewer bytes a second, or a small share of what was seen to be possible. Members that share an
/// uplink on which they barely stay are not: they would be sent even less each.
pub const TURN_RATE_SLOW: u64 = LANDING_RATE_MIN / 4;
/// So many slow turns at most take no place: as many as the links that one member may open. On a narrow uplink all turns are
/// slow, and this many more of them must not be so many that nobody is sent enough to stay.
pub const TURNS_ASIDE_MAX: usize = LINKS_PER_MEMBER_MAX;
/// What the system holds of a link's bytes beyond those that are on their way. With more, a turn would be over before
/// its bytes have left, and many turns would share the uplink after all.
pub const UNSENT_MAX: u32 = 256 * 1024;
/// Parts that were promised to a member, and not sent, are not kept for it or for another one again for this long: some
/// who ask for everything over and over, and cancel or never read, must not keep it from all others.
pub const GIVEN_AGAIN_PAUSE: Duration = Duration::from_secs(20);
/// Parts that a member refused because it just gave them to another are asked for again after this long.
pub const ELSEWHERE_PAUSE: Duration = Duration::from_millis(750);
/// Nothing arrived for this long: the member says why.
pub const QUIET_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a member without any link asks the conductor.
pub const LONELY_INTERVAL: Duration = Duration::from_secs(3);
/// The first pause after a conductor could not be asked.
pub const ANNOUNCE_RETRY_MIN: Duration = Duration::from_secs(1);
/// The longest pause after a conductor could not be asked that has never answered; one that has set an interval is
/// tried again as often as that.
pub const ANNOUNCE_RETRY_MAX: Duration = Duration::from_secs(60);
/// The shortest and longest interval that a conductor may set.
pub const ANNOUNCE_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// See [`ANNOUNCE_INTERVAL_MIN`].
pub const ANNOUNCE_INTERVAL_MAX: Duration = Duration::from_secs(3_600);
/// A complete member leaves it to the others to dial; those who have not after this long it dials itself.
pub const COMPLETE_DIAL_PAUSE: Duration = Duration::from_secs(5);
/// Two complete members have nothing for each other; they look again after this long.
pub const COMPLETE_REDIAL_PAUSE: Duration = Duration::from_secs(600);
/// How often addresses are passed on to other members.
pub const GOSSIP_INTERVAL: Duration = Duration::from_secs(30);
/// Addresses that one link passes on more often than this are not looked at: 50 addresses cost a search of the
/// whole book each.
pub const GOSSIP_HEARD_INTERVAL: Duration = Duration::from_secs(15);
/// Lines of one kind about others that a member logs in [`LINK_LINES_SPAN`]; the others are counted. Enough to see
/// what goes on, and a flood that never ends fills 150 MB of a disk in a day, not a gigabyte in an hour.
pub const LINK_LINES_MAX: u32 = 600;
/// See [`LINK_LINES_MAX`].
pub const LINK_LINES_SPAN: Duration = Duration::from_secs(60);
/// How often rates are measured and windows and links reconsidered.
pub const TICK_INTERVAL: Duration = Duration::from_millis(250);

// --- The member's memory --------------------------------------------------------------------------------

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

// --- The desk of the conductor --------------------------------------------------------------------------

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

// --- The catalogue of the conductor ---------------------------------------------------------------------

/// Part digests in one message: what a frame holds, and 3 GiB of parts of 1 MiB.
pub const DIGESTS_PER_FRAME: usize = 3_000;
/// The longest message of a catalogue: full of digests, of listings or of holders.
pub const CATALOGUE_FRAME_MAX: usize = 64 * KIB;
/// The longest request without digests: a name and two passwords.
pub const CATALOGUE_REQUEST_MAX: usize = 3 * KIB;
/// The most characters in the name of an account: long enough for any person, short enough for a column.
pub const ACCOUNT_NAME_MAX: usize = 64;
/// The least bytes in a password: what NIST SP 800-63B asks for.
pub const PASSWORD_LEN_MIN: usize = 8;
/// The most bytes in a password, so that hashing one has a bound; passphrases fit many times.
pub const PASSWORD_LEN_MAX: usize = 1_024;
/// The most bytes in a search: no name is longer.
pub const SEARCH_LEN_MAX: usize = NAME_LEN_MAX;
/// The most listings on one page, with the longest names and publishers.
pub const LISTINGS_PER_PAGE: usize = 100;
/// The most compositions of one name that are told apart in one answer.
pub const NAMESAKES_MAX: usize = 20;
/// The most compositions of one name that one account publishes: those that are told in one answer. Whoever looks one of a name
/// up walks over all of that name.
pub const LISTINGS_PER_NAME_MAX: u64 = NAMESAKES_MAX as u64;
/// The most holders of one composition that are told: more than anybody reads.
pub const HOLDERS_MAX: usize = 200;
/// The most holders of one composition that are compared for that: so many lookups of who is how good are done in a moment.
pub const HOLDERS_RANKED_MAX: usize = 1_000;
/// How long a member waits for each answer of a catalogue: passwords that wait to be hashed take the longest.
pub const CATALOGUE_PATIENCE: Duration = Duration::from_secs(30);
/// What is said to a catalogue is kept until it is so long, or an answer is awaited.
pub const CATALOGUE_UNSENT_MAX: usize = 256 * KIB;
/// What is read of a file with what a user knows of one conductor: a fingerprint, an account, a token.
pub const STATE_FILE_LEN_MAX: u64 = 16 * KIB as u64;
/// The most files that are looked at for the conductors that a user knows.
pub const STATE_FILES_MAX: usize = 1_000;

/// Members of whom one run reports at most: as many as it may know.
pub const REPORTED_MAX: usize = ADDRESSES_MAX;
/// Reports that go with one announce: a page of proofs, checked in microseconds.
pub const REPORTS_PER_ANNOUNCE: usize = 32;

/// The longest name of an account in bytes, as many as that many characters can have.
pub const ACCOUNT_NAME_LEN_MAX: usize = 4 * ACCOUNT_NAME_MAX;
/// Accounts that a catalogue keeps: a big university.
pub const ACCOUNTS_MAX: u64 = 100_000;
/// The memory that hashing a password takes, in KiB: what OWASP recommends for argon2id with [`PASSWORD_PASSES`].
pub const PASSWORD_MEMORY_KIB: u32 = 19 * 1_024;
/// How many times hashing a password goes over its memory.
pub const PASSWORD_PASSES: u32 = 2;
/// How many threads hash one password: more passwords at a time are of more use than a faster one.
pub const PASSWORD_LANES: u32 = 1;
/// The most memory in KiB, and the most passes and lanes, that a kept hash may ask for: somebody else may have written it.
pub const PASSWORD_COSTS_MAX: (u32, u32, u32) = (256 * 1_024, 16, 16);
/// How long a session lasts: whoever is here once a month stays logged in by logging in again once a month.
pub const SESSION_SPAN: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Sessions of one account, on as many computers; with one more the oldest ends.
pub const SESSIONS_PER_ACCOUNT_MAX: u64 = 32;
/// Sessions in all: the desk keeps them in memory. With one more, one ends of an account that has most.
pub const SESSIONS_MAX: u64 = 200_000;
/// Compositions that a catalogue lists.
pub const LISTINGS_MAX: u64 = 100_000;
/// Of one account.
pub const LISTINGS_PER_ACCOUNT_MAX: u64 = 10_000;
/// Digests of parts that a catalogue keeps, of all listings: 4 GiB on the disk, enough for [`PARTS_DEFAULT_MAX`] of each.
pub const LISTED_PARTS_MAX: u64 = (4 << 30) / 20;
/// Of one account: 512 MiB, so that eight liars are needed to fill it.
pub const LISTED_PARTS_PER_ACCOUNT_MAX: u64 = (512 << 20) / 20;
/// Reports of one account about another one that count on one day, each about another composition: as many as make a
/// reputation, see [`COUNT_MAX`].
pub const REPORTS_ABOUT_MAX: u64 = 10;
/// Reports of one account that count on one day: a row of the database for each.
pub const REPORTS_PER_DAY_MAX: u64 = 1_000;
/// How long it takes until one of these is not held against the account any more: so many in a day.
pub const REPORTS_PAUSE_MAX: Duration = Duration::from_millis(86_400_000 / REPORTS_PER_DAY_MAX);
/// Rows that are forgotten in one transaction, so that others wait for it no longer than a few milliseconds.
pub const FORGOTTEN_AT_A_TIME: usize = 1_000;
/// Listings that are taken back in one transaction when an account is removed: each is an entry in five tables and indexes,
/// and the conductor waits for all of them no longer than [`CATALOGUE_LOCK_PATIENCE`].
pub const TAKEN_BACK_AT_A_TIME: usize = 1_000;
/// How long the operator's program leaves the catalogue to the conductor between two such transactions: SQLite tries again
/// after a tenth of a second at the latest whether it is free.
pub const TAKEN_BACK_PAUSE: Duration = Duration::from_millis(150);
/// How long the conductor waits for another process to be done with the catalogue, say the operator's `conductor account`.
pub const CATALOGUE_LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// What a catalogue keeps in memory of what is on its disk: all names of [`LISTINGS_MAX`] listings.
pub const CATALOGUE_CACHE_BYTES: usize = 32 * MIB;
/// The log of a catalogue is cut back to so much after a transaction that made it longer.
pub const CATALOGUE_LOG_BYTES: usize = 16 * MIB;
/// What is read of the file with a conductor's key: one line.
pub const CONDUCTOR_KEY_FILE_LEN_MAX: u64 = 128;

/// Wrong passwords for one name before the next try has to wait: typing errors.
pub const ATTEMPTS_FREE_PER_ACCOUNT: u32 = 5;
/// The longest pause between two tries for one name: whoever tries names of others must not keep them
/// out for long. So long it takes as well until one is forgotten.
pub const ATTEMPTS_ACCOUNT_PAUSE_MAX: Duration = Duration::from_secs(8);
/// Wrong passwords from one source before the next try has to wait: typing errors of everybody behind one address.
pub const ATTEMPTS_FREE_PER_SOURCE: u32 = 20;
/// The longest pause between two tries from one source, and how long it takes until one is forgotten: after the free ones
/// at most a hundred wrong passwords a day.
pub const ATTEMPTS_SOURCE_PAUSE_MAX: Duration = Duration::from_secs(15 * 60);
/// Names that one source may try to register before the next try has to wait: a class on its first day.
pub const REGISTRATIONS_FREE_PER_SOURCE: u32 = 50;
/// The longest pause between two of them, and how long it takes until one is forgotten: a hundred a day, which fill
/// [`ACCOUNTS_MAX`] in years.
pub const REGISTRATIONS_PAUSE_MAX: Duration = Duration::from_secs(15 * 60);
/// The first pause; each further one is twice as long.
pub const ATTEMPTS_PAUSE_MIN: Duration = Duration::from_secs(1);
/// Names and sources, each, of which wrong passwords are remembered; of more, those that would be forgotten first go.
pub const ATTEMPTS_MAX: usize = 16_384;
/// Sources from which an account logged in last, and from which it may although others try its name.
pub const ATTEMPTS_KNOWN_SOURCES: usize = 4;

/// How long until a download, or a failure, counts half.
pub const COUNT_HALF_LIFE: Duration = Duration::from_secs(7 * 24 * 3_600);
/// The most downloads, and failures, that count: an 18th of the response time for the one, nine times it for the other, so
/// nobody is buried or worshipped for ever.
pub const COUNT_MAX: f64 = 10.0;
/// The response time of those whom nobody measured: after those that are near, before those that are known to be bad.
pub const RESPONSE_UNKNOWN: Duration = Duration::from_millis(250);
/// Addresses whose standing a conductor keeps in memory. What is not among them counts as unknown.
pub const STANDINGS_MAX: usize = 100_000;
/// Of one source: more than the members on a computer, and few enough that it takes a hundred sources to push out others.
pub const STANDINGS_PER_SOURCE_MAX: usize = 1_024;
/// How long the standing of an address is kept after its last announce: longer than the longest lease.
pub const STANDING_SPAN: Duration = Duration::from_secs(1_800);
/// How long until an address that was reached is tried again.
pub const REACH_AGAIN: Duration = Duration::from_secs(15 * 60);
/// How long until one that was not reached is: somebody may be opening a port this minute, and waits for the word.
pub const REACH_RETRY_MIN: Duration = Duration::from_secs(2 * 60);
/// The longest pause, after many in vain.
pub const REACH_RETRY_MAX: Duration = Duration::from_secs(30 * 60);
/// Between two tries to reach addresses of one source, so that nobody uses a conductor to look for open ports.
pub const REACH_SOURCE_PAUSE: Duration = Duration::from_secs(2);
/// Tries at a time.
pub const REACH_TRIES_MAX: usize = 32;

/// Connections to a conductor's catalogue in all. Each costs a file descriptor and, while a message is on its way, up to
/// 200 KiB.
pub const CATALOGUE_CONNECTIONS_MAX: usize = 2_048;
/// The same from one source address: a site behind one address translator whose members all publish at once, and few enough
/// that it takes sixteen of them to fill it.
pub const CATALOGUE_CONNECTIONS_PER_ADDRESS_MAX: usize = 128;
/// Connections that have not yet asked anything; the rest is kept for those that have.
pub const CATALOGUE_PENDING_MAX: usize = 1_536;
/// What is taken from the socket of a connection to the catalogue at a time.
pub const CATALOGUE_READ: usize = 16 * KIB;
/// How many times one such connection may read before the others have their turn: a record.
pub const CATALOGUE_READS_PER_TURN: usize = 4;
/// From accept to the end of the handshake.
pub const CATALOGUE_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// From one answer to the next whole request, from one message of digests to the next, and until one was taken: somebody
/// may be reading a list, and the slowest link that still makes sense brings 64 KiB in that time.
pub const CATALOGUE_REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the conductor looks for an answer: then something of ours is stuck, and the asker should not be.
pub const CATALOGUE_ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// From a `Publish` to its last digests: 20 MiB at half a megabit per second.
pub const CATALOGUE_PUBLISH_TIMEOUT: Duration = Duration::from_secs(6 * 60);
/// Digests of compositions that are being published, kept in memory until they are written; who wants more is told to come
/// again. Four of the largest ones, or a thousand of 3,000 parts.
pub const PUBLISH_BYTES_MAX: usize = 80 * MIB;
/// The same of one account: one of the largest ones, so that three others can publish whatever one does.
pub const PUBLISH_BYTES_PER_ACCOUNT_MAX: usize = PUBLISH_BYTES_MAX / 4;
/// The same of one address, which may have several accounts: half, so that another one finds room whatever they do.
pub const PUBLISH_BYTES_PER_SOURCE_MAX: usize = PUBLISH_BYTES_MAX / 2;
/// Passwords that are hashed at a time: each takes a core and [`PASSWORD_MEMORY_KIB`] of memory.
pub const HASHINGS_MAX: usize = 4;
/// Passwords that wait to be hashed: some seconds of work; who comes then is told to come again.
pub const HASHINGS_WAITING_MAX: usize = 128;
/// What waits for the thread that owns the database: a question of each connection, and reports.
pub const DATABASE_QUEUE: usize = 2 * CATALOGUE_CONNECTIONS_MAX;
/// Questions of each kind that wait for the database and came from one source address: a class of fifty behind one address
/// translator asks at once, and what is asked last is answered in seconds even if each walks over [`LISTINGS_MAX`] listings.
pub const QUESTIONS_WAITING_PER_SOURCE: usize = 64;
/// Reports that wait for the database: a few batches. What is lost of a flood of them is worth little.
pub const REPORTS_WAITING_MAX: usize = 1_024;
/// Questions that are answered with one transaction at most, so that one wait for the disk is enough for all.
pub const DATABASE_BATCH: usize = 512;
/// How long the database does work of one kind that is only read, if other kinds wait: as long as it takes until a write is
/// on a good disk, so that neither holds up the other much.
pub const DATABASE_TURN_SPAN: Duration = Duration::from_millis(10);
/// How often it is seen whether another process changed the database: the operator shut somebody out.
pub const DATABASE_BEAT: Duration = Duration::from_secs(1);
/// How often what has expired is forgotten.
pub const DATABASE_FORGET_INTERVAL: Duration = Duration::from_secs(60);
/// After how long more is forgotten, if that was not all: what is asked meanwhile does not pay for it.
pub const DATABASE_FORGET_PAUSE: Duration = Duration::from_millis(100);
/// What waits for the conductor's thread from those of its catalogue.
pub const CONDUCTOR_INBOX: usize = 2 * CATALOGUE_CONNECTIONS_MAX;
/// How long connecting back to a member may take: who is slower than that is of no use to others.
pub const REACH_TIMEOUT: Duration = Duration::from_secs(3);

// --- The registry of the conductor ----------------------------------------------------------------------

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

// --- Signals and the terminal ---------------------------------------------------------------------------

/// Signals that wait to be read. The first says it all; a few more tell that nobody reads.
pub const SIGNALS_INBOX: usize = 4;
/// After a second ^C, how long the program has to clean up its terminal before it is ended.
pub const STOP_NOW_GRACE: Duration = Duration::from_millis(200);

/// Keys that wait to be read, like [`SIGNALS_INBOX`].
pub const KEYS_INBOX: usize = 4;
/// How often a view looks at a member: often enough to seem live, seldom enough to cost nothing.
pub const VIEW_BEAT: Duration = Duration::from_millis(250);
/// How often a view writes a plain line, if something changed.
pub const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// How often a view writes a JSON object, if something changed.
pub const JSON_INTERVAL: Duration = Duration::from_secs(1);
/// How often a view writes even if nothing changed, so that its reader sees that it lives.
pub const UNCHANGED_INTERVAL: Duration = Duration::from_secs(30);
/// Events that are kept for a reader of standard output that pauses: days of what usually happens, and a few megabytes.
pub const OUTPUT_EVENTS_MAX: usize = 10_000;
/// How long a view waits at the end for a reader of its output that is slow.
pub const OUTPUT_GRACE: Duration = Duration::from_secs(1);
/// The span over which a rate is measured: long enough to be readable, short enough to be true.
pub const RATE_WINDOW: Duration = Duration::from_secs(5);
/// The span over which the time left is reckoned: steadier than the rate, because people plan by it.
pub const LEFT_WINDOW: Duration = Duration::from_secs(15);
/// The most moments that a rate remembers: one for each beat in the longest span, and the ends.
pub const RATE_SAMPLES_MAX: usize = 64;

const _: () = {
    assert!(CHUNKS_MAX as u64 == FILE_LEN_MAX / (CHUNK_AVERAGE_MAX / CHUNK_LEAST_SHARE) as u64);
    assert!(
        FRAME_ENTRIES_MAX <= FRAME_HAVE_MAX && FRAME_CHUNKS_MAX <= FRAME_HAVE_MAX,
        "messages are decoded"
    );
    assert!(LEFT_WINDOW.as_millis() / VIEW_BEAT.as_millis() + 2 <= RATE_SAMPLES_MAX as u128);
    assert!(RATE_WINDOW.as_millis() <= LEFT_WINDOW.as_millis());
    assert!(PARTS_DEFAULT_MAX <= PARTS_MAX);
    assert!(GOSSIP_HEARD_INTERVAL.as_millis() < GOSSIP_INTERVAL.as_millis(), "honest gossip is heard");
    assert!(WINDOW_BYTES_START <= WINDOW_BYTES_MAX);
    assert!(WINDOW_BYTES_MAX >= 2 * PART_LEN_MAX as u64, "a window holds two of any parts");
    assert!(WINDOW_BYTES_MAX / RUN_BYTES <= WINDOW_RUNS_MAX as u64, "the runs never narrow the window");
    assert!(PART_BUFFERS_BYTES >= PART_LEN_MAX as u64, "every part finds room");
    assert!(
        HASH_STRETCH as usize / READ_SLICE <= HASH_TOGETHER as usize,
        "longer parts come no more at a time than are hashed together"
    );
    assert!(HASH_STRETCH <= HASH_STRETCH_MAX && READ_SLICE <= HASH_STRETCH_MAX as usize);
    assert!(
        PARTS_MAX as u64 * HASH_THREADS_MAX as u64 <= u32::MAX as u64,
        "stretches are counted in 32 bits"
    );
    assert!(RECORD_PLAIN_MAX > FRAME_SMALL_MAX);
    assert!(MANIFEST_LEN_MAX > PARTS_MAX as u64 * 42 * 2);
    assert!(DESKS_PENDING_MAX < DESKS_MAX, "those who asked always find room");
    assert!(DESKS_PENDING_PER_ADDRESS_MAX <= DESKS_PER_ADDRESS_MAX);
    assert!(DESK_READ > DESK_REQUEST_MAX, "one read holds a request");
    assert!(PUBLISH_BYTES_PER_ACCOUNT_MAX >= PARTS_MAX as usize * 20, "every composition can be published");
    assert!(CATALOGUE_PENDING_MAX < CATALOGUE_CONNECTIONS_MAX, "those who asked always find room");
    assert!(CATALOGUE_CONNECTIONS_PER_ADDRESS_MAX * 16 <= CATALOGUE_CONNECTIONS_MAX);
    assert!(
        QUESTIONS_WAITING_PER_SOURCE < CATALOGUE_CONNECTIONS_PER_ADDRESS_MAX,
        "a flood is told that it is one"
    );
    assert!(REPORTS_WAITING_MAX <= DATABASE_QUEUE / 4, "reports leave room for questions");
    assert!(MEMBERS_MAX <= ANNOUNCES_PER_SECOND * 600, "the longest interval carries the most members");
    assert!(MEMBERS_MAX < u32::MAX as usize, "members are numbered with 32 bits");
    assert!(LISTINGS_PER_ACCOUNT_MAX < LISTINGS_MAX && LISTED_PARTS_PER_ACCOUNT_MAX < LISTED_PARTS_MAX);
    assert!(PARTS_MAX as u64 <= LISTED_PARTS_PER_ACCOUNT_MAX, "every composition can be published");
    assert!(
        LISTINGS_MAX * PARTS_DEFAULT_MAX as u64 <= LISTED_PARTS_MAX,
        "parts are short only where somebody wants it"
    );
    assert!(LISTINGS_PER_ACCOUNT_MAX * PARTS_DEFAULT_MAX as u64 <= LISTED_PARTS_PER_ACCOUNT_MAX);
    assert!(
        STANDING_SPAN.as_secs() > ANNOUNCE_INTERVALS[5].as_secs() * LEASE_HALF_INTERVALS as u64 / 2,
        "a standing lasts longer than a lease"
    );
    assert!(CLASSIC_COMPLAINERS < CLASSIC_COMPLAINERS_KEPT);
    assert!(
        CLASSIC_ANSWER_PATIENCE.as_secs() > 2 * CLASSIC_SET_PAUSE.as_secs() * LINKS_MAX as u64,
        "who answers as seldom as it may is not late"
    );
    assert!(CLASSIC_COMPLAINTS_PER_SOURCE_MAX * 100 < CLASSIC_COMPLAINTS_MAX, "a few sources do not fill it");
    assert!(LINKS_DIALLED_MIN < LINKS_DIALLED_MAX && LINKS_DIALLED_MAX < LINKS_MAX);
    assert!(
        LINKS_KEYLESS_MAX < LINKS_DIALLED_MAX,
        "members that speak the classic protocol alone do not end dialling"
    );
    assert!(LINKS_PER_MEMBER_MAX * MEMBERS_FOR_SINGLE_LINKS <= LINKS_MAX);
};
