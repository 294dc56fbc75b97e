//! Every bound, with its reason.
//!
//! Nothing may grow, wait or be believed without one of these; what only tunes one machine or one room (how
//! often a die is thrown, how a rate is smoothed) stands at the top of its own file.
//! Sizes are in bytes unless the name says otherwise.

mod catalogue;
mod classic;
mod composition;
mod conductor;
mod ensemble;
mod files;
mod keeper;
mod links;
mod memory;
mod terminal;
mod wire;

pub use catalogue::*;
pub use classic::*;
pub use composition::*;
pub use conductor::*;
pub use ensemble::*;
pub use files::*;
pub use keeper::*;
pub use links::*;
pub use memory::*;
pub use terminal::*;
pub use wire::*;

/// One kibibyte.
pub const KIB: usize = 1024;
/// One mebibyte.
pub const MIB: usize = 1024 * KIB;

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
