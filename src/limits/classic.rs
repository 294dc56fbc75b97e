//! The classic protocol.

use std::time::Duration;

use super::KIB;

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
/// of parts in the system's buffers, which take so long at [`LANDING_RATE_MIN`](super::LANDING_RATE_MIN). A part has the time on top that its bytes
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
