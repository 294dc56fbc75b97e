//! Links between members.

use std::time::Duration;

use super::{LANDING_RATE_MIN, MIB, PIECE_BYTES_U32};

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
/// The same while others wait to be sent something that it has not given to anybody. By then the first one has shared them,
/// or never will.
pub const GIVEN_PATIENCE_BUSY: Duration = Duration::from_secs(30);
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
/// Parts that were promised to a member, and not sent, or sent to a second one, are not kept for it or for another one again
/// for this long: some who ask for everything over and over, and cancel or never read, or share nothing, must not keep it
/// from all others.
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
