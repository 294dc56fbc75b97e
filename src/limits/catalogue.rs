//! The catalogue of the conductor.

use std::time::Duration;

use super::{ADDRESSES_MAX, KIB, MIB, NAME_LEN_MAX};

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
/// Digests of parts that a catalogue keeps, of all listings: 4 GiB on the disk, enough for [`PARTS_DEFAULT_MAX`](super::PARTS_DEFAULT_MAX) of each.
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
