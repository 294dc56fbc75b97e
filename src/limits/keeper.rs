//! The keeper of an ensemble's folder.

use std::time::Duration;

use super::{DIALS_MAX, KIB, LINK_CONTROL_MAX, LISTS_OWED_MAX, MIB, SLICES_OWED_MAX};

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
