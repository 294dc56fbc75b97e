//! Member to conductor, sealed: accounts, and the compositions that they publish.
//!
//! One question at a time, one answer to each. What is longer than a frame, the digests of many parts, travels in
//! several: after [`Request::Publish`], and in answer to [`Request::Fetch`].

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::desk::Reach;
pub use super::dialogue::PREAMBLE_LEN;
use super::dialogue::{self, Framed};
use super::{WireError, codec, frame};
use crate::credential::{Secret, SessionToken};
use crate::digest::{DIGEST_LEN, Digest};
use crate::limits::{CATALOGUE_FRAME_MAX, CATALOGUE_REQUEST_MAX};

/// The first bytes of a connection to a conductor's catalogue.
pub const MAGIC: [u8; 4] = *b"ORCA";
/// The version of the protocol of catalogues.
pub const VERSION: u8 = 1;

/// The length of a swarm id.
const SWARM_LEN: usize = 32;

/// What a conductor without a catalogue answers, and the end: no version is spoken.
pub const NO_CATALOGUE: [u8; PREAMBLE_LEN] = [MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3], 0];

/// What the asking side sends first; the prologue of the handshake. A conductor that speaks another version answers with
/// its own preamble and the end, one without a catalogue with [`NO_CATALOGUE`], and one that has too many connections with
/// this very preamble.
#[must_use]
pub const fn preamble() -> [u8; PREAMBLE_LEN] {
    dialogue::preamble(MAGIC, VERSION)
}

/// Checks the first bytes of a connection, or those of an answer.
///
/// # Errors
/// The bytes belong to another protocol or another version of this one.
pub fn parse_preamble(bytes: &[u8; PREAMBLE_LEN]) -> Result<(), WireError> {
    dialogue::check_preamble(bytes, MAGIC, VERSION)
}

/// What a catalogue can be asked. The order of the variants is their kind on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Make an account, and log in. Answer: `Session`.
    Register(Login),
    /// Begin a session. Answer: `Session`.
    Login(Login),
    /// What follows on this connection is asked by the owner of this session. Answer: `Account`.
    Resume(SessionToken),
    /// End the session of this connection. Answer: `Done`.
    Logout,
    /// Put a composition into the catalogue. Its part digests follow as `Digests`. Answer, after the last one: `Published`.
    Publish(Composition),
    /// The next part digests of the composition that is being published.
    Digests(Digests),
    /// What is there? Answer: `Page`.
    List(Query),
    /// What is known of this composition? Answer: `Details`, `Several` or `Refused`.
    Details(Wanted),
    /// What describes this composition? Answer: `Manifest` and then `Digests` until all are there; `Several` or `Refused`.
    Fetch(Wanted),
    /// Take my composition out of the catalogue. Answer: `Done`, `Several` or `Refused`.
    Unpublish(Wanted),
    /// Give the account another password, end all its sessions, and begin one. Answer: `Session`.
    Renew(Renewal),
}

/// A new password for an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// The account, and its password until now.
    pub login: Login,
    /// The new one.
    pub password: Secret,
}

/// The name and the password of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The name, as the user wrote it.
    pub name: String,
    /// The password.
    pub password: Secret,
}

/// A composition without its part digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composition {
    /// The name; the receiving side checks it.
    pub name: String,
    /// The SHA-1 of the whole.
    pub digest: [u8; DIGEST_LEN],
    /// The size in bytes.
    pub size: u64,
    /// The size of a part in bytes.
    pub part_len: u32,
}

impl Composition {
    /// How many parts that makes. Somebody else says how long a part is: a length of 0 counts as one byte.
    #[must_use]
    pub fn parts(&self) -> u64 {
        self.size.div_ceil(u64::from(self.part_len).max(1))
    }
}

/// Part digests in their order, [`DIGESTS_PER_FRAME`](crate::limits::DIGESTS_PER_FRAME) in each frame but the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests(Vec<[u8; DIGEST_LEN]>);

/// Which listings, and which page of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// What the name is to contain, in whatever case; empty for all.
    pub text: String,
    /// The last listing of the page before, as [`Page::next`] named it; none for the first page.
    pub after: Option<Cursor>,
    /// How many at most; the catalogue may give fewer.
    pub limit: u16,
}

/// A place in the order of listings: that of the listing with this name and number, which stays a place if that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Its name, in whatever spelling; at most [`NAME_LEN_MAX`](crate::limits::NAME_LEN_MAX) bytes of a conductor of ours.
    pub name: String,
    /// The number of the listing, among those of one name.
    pub listing: u64,
}

/// A composition by its name, and by the first digits of its digest or its swarm id where several have that name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The name.
    pub name: String,
    /// The first hex digits of the digest of the whole or of the swarm id, at most 64; empty for any.
    pub digits: String,
}

/// What a catalogue answers. The order of the variants is their kind on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// A session has begun, and this connection is its owner's.
    Session(Session),
    /// This connection is the owner's of the session, whose account has this name.
    Account(String),
    /// It is done.
    Done,
    /// It is in the catalogue.
    Published(Published),
    /// Some listings.
    Page(Page),
    /// All about one.
    Details(Details),
    /// A composition; its part digests follow.
    Manifest(Composition),
    /// The next part digests.
    Digests(Digests),
    /// Several compositions have that name: ask again with the digits that tell them apart.
    Several(Vec<Listed>),
    /// No.
    Refused(Refusal),
}

/// A session that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its secret.
    pub token: SessionToken,
    /// The name of the account, as it was registered.
    pub account: String,
    /// When it ends by itself, in seconds since 1970.
    pub expires: u64,
}

/// What became of a composition that was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Who had published it under this name before; it stays theirs.
    pub already_by: Option<String>,
    /// Other compositions of the same name, a few of them.
    pub namesakes: Vec<Listed>,
}

/// Some listings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// In the order of their names.
    pub listings: Vec<Listed>,
    /// Where the next page begins; none if this is the last.
    pub next: Option<Cursor>,
    /// How many match in all.
    pub matches: u32,
}

/// A composition in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// What it is.
    pub composition: Composition,
    /// Its swarm id: what tells it from all others. Anybody can claim any digest of the whole for parts of other content.
    pub swarm: [u8; SWARM_LEN],
    /// Who published it.
    pub publisher: String,
    /// When, in seconds since 1970.
    pub published: u64,
    /// How many members hold every part now.
    pub complete: u32,
    /// How many get parts now.
    pub getting: u32,
}

/// All about one composition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// What it is.
    pub listed: Listed,
    /// Who holds it now, best first; at most [`HOLDERS_MAX`](crate::limits::HOLDERS_MAX).
    pub holders: Vec<Holder>,
}

/// A member that takes part in a composition now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Where it accepts links.
    pub address: SocketAddr,
    /// Whether it holds every part.
    pub complete: bool,
    /// Its account; none if it did not log in.
    pub account: Option<String>,
    /// Whether it can be reached from the conductor, and how fast.
    pub reach: Reach,
    /// How often others got something from this account lately, in hundredths: older ones count less.
    pub downloads: u32,
    /// How often that failed, likewise.
    pub failures: u32,
    /// Its score in milliseconds, in hundredths: less is better.
    pub score: u64,
}

/// Why a catalogue does not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// No account with that name has that password. Nobody learns which of both is wrong.
    WrongLogin,
    /// Too many wrong passwords came for this account or from this address.
    TryAgainIn {
        /// After so many seconds.
        seconds: u32,
    },
    /// Somebody has an account of that name.
    NameTaken,
    /// An account cannot have that name.
    BadName,
    /// The password is too short or too long.
    BadPassword,
    /// Only who is logged in may ask that.
    LoginFirst,
    /// The session has ended, or never was.
    SessionOver,
    /// There is no such composition.
    NotFound,
    /// Only its publisher may do that.
    NotYours,
    /// What was published is no composition: name, sizes or digests contradict each other.
    BadComposition,
    /// As many accounts as fit.
    AccountsFull,
    /// As many compositions as fit, in all or of this account.
    ListingsFull,
    /// More to do than can be done now.
    Busy,
    /// The conductor cannot write its file: nothing was changed.
    Trouble,
    /// Nobody can register: only the operator makes accounts.
    Closed,
    /// The password is right, and the operator has shut the account out.
    Disabled,
    /// The account publishes as many compositions of this name as one may.
    NameFull,
}

impl Digests {
    /// The digests of so many parts at most: [`DIGESTS_PER_FRAME`](crate::limits::DIGESTS_PER_FRAME).
    #[must_use]
    pub fn new(digests: &[Digest]) -> Digests {
        Digests(digests.iter().map(|digest| *digest.as_bytes()).collect())
    }

    /// The digests.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Digest> {
        self.0.iter().map(|bytes| Digest::from_bytes(*bytes))
    }
}

impl Request {
    /// Appends the request as a frame.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        frame::append(out, |out| codec::encode(self, out));
    }
}

impl Reply {
    /// Appends the reply as a frame.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        frame::append(out, |out| codec::encode(self, out));
    }
}

impl Framed for Request {
    fn body_max(kind: u8) -> Option<usize> {
        // Only digests are long.
        match kind {
            5 => Some(CATALOGUE_FRAME_MAX),
            0..=10 => Some(CATALOGUE_REQUEST_MAX),
            _ => None,
        }
    }

    fn is_secret(kind: u8) -> bool {
        // Passwords, and the token of a session.
        matches!(kind, 0..=2 | 10)
    }
}

impl Framed for Reply {
    fn body_max(kind: u8) -> Option<usize> {
        if kind <= 9 { Some(CATALOGUE_FRAME_MAX) } else { None }
    }

    fn is_secret(kind: u8) -> bool {
        // The token of a session.
        kind == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{
        ACCOUNT_NAME_MAX, DIGESTS_PER_FRAME, HOLDERS_MAX, LISTINGS_PER_PAGE, NAME_LEN_MAX, NAMESAKES_MAX,
        PASSWORD_LEN_MAX, SEARCH_LEN_MAX,
    };
    use crate::wire::dialogue::Decoder;
    use proptest::prelude::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn framed(append: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        append(&mut bytes);
        bytes
    }

    fn composition() -> Composition {
        Composition { name: "a".to_owned(), digest: [0x29; DIGEST_LEN], size: 142_044, part_len: 16_384 }
    }

    fn listed() -> Listed {
        Listed {
            composition: composition(),
            swarm: [0x51; SWARM_LEN],
            publisher: "ada".to_owned(),
            published: 1_795_305_600,
            complete: 1,
            getting: 0,
        }
    }

    /// The vectors of PROTOCOL.md, "The catalogue".
    #[test]
    fn golden_vectors() {
        assert_eq!(hex(&preamble()), "4f52434101");
        let login = Login { name: "ada".to_owned(), password: "engine 9".to_owned().into() };
        let song = format!("0161{}fcdc2a0200fb0040", "29".repeat(20));
        let told = format!("{song}{}03616461fc8030026b0100", "51".repeat(32));
        for (request, expected) in [
            (Request::Register(login.clone()), "0003616461 08656e67696e652039".to_owned()),
            (Request::Login(login), "0103616461 08656e67696e652039".to_owned()),
            (Request::Resume(SessionToken::from_bytes([0x22; 32])), format!("02{}", "22".repeat(32))),
            (Request::Logout, "03".to_owned()),
            (Request::Publish(composition()), format!("04{song}")),
            (Request::Digests(Digests(vec![[0x31; 20], [0x32; 20]])), {
                format!("0502{}{}", "31".repeat(20), "32".repeat(20))
            }),
            (Request::List(Query { text: "a".to_owned(), after: None, limit: 20 }), "0601610014".to_owned()),
            (
                Request::Details(Wanted { name: "a".to_owned(), digits: "29".to_owned() }),
                "070161023239".to_owned(),
            ),
            (Request::Fetch(Wanted { name: "a".to_owned(), digits: String::new() }), "08016100".to_owned()),
            (
                Request::Unpublish(Wanted { name: "a".to_owned(), digits: String::new() }),
                "09016100".to_owned(),
            ),
        ] {
            let bytes = framed(|out| request.append_to(out));
            assert_eq!(hex(&bytes[4..]), expected.replace(' ', ""), "{request:?}");
            assert_eq!(Decoder::<Request>::new().next(&mut bytes.as_slice()), Ok(Some(request)));
        }
        let session = Session {
            token: SessionToken::from_bytes([0x22; 32]),
            account: "ada".to_owned(),
            expires: 1_797_897_600,
        };
        let holder = Holder {
            address: "10.0.0.7:10001".parse().unwrap(),
            complete: true,
            account: Some("ada".to_owned()),
            reach: Reach::Reached { millis: 20 },
            downloads: 100,
            failures: 0,
            score: 1_500,
        };
        let cursor = Cursor { name: "a".to_owned(), listing: 7 };
        for (reply, expected) in [
            (Reply::Session(session), format!("00{}03616461fc80bd296b", "22".repeat(32))),
            (Reply::Account("ada".to_owned()), "0103616461".to_owned()),
            (Reply::Done, "02".to_owned()),
            (
                Reply::Published(Published { already_by: Some("bob".to_owned()), namesakes: vec![listed()] }),
                format!("030103626f6201{told}"),
            ),
            (
                Reply::Page(Page { listings: vec![listed()], next: Some(cursor), matches: 9 }),
                format!("0401{told}0101610709"),
            ),
            (
                Reply::Details(Details { listed: listed(), holders: vec![holder] }),
                format!("05{told}01000a000007fb112701010361646101146400fbdc05"),
            ),
            (Reply::Manifest(composition()), format!("06{song}")),
            (Reply::Digests(Digests(vec![[0x31; 20]])), format!("0701{}", "31".repeat(20))),
            (Reply::Several(vec![listed()]), format!("0801{told}")),
            (Reply::Refused(Refusal::TryAgainIn { seconds: 30 }), "09011e".to_owned()),
            (Reply::Refused(Refusal::Trouble), "090d".to_owned()),
        ] {
            let bytes = framed(|out| reply.append_to(out));
            assert_eq!(hex(&bytes[4..]), expected, "{reply:?}");
            assert_eq!(Decoder::<Reply>::new().next(&mut bytes.as_slice()), Ok(Some(reply)));
        }
    }

    #[test]
    fn the_longest_messages_pass() {
        let account = "\u{10ffff}".repeat(ACCOUNT_NAME_MAX);
        let name = "n".repeat(NAME_LEN_MAX);
        let listed = Listed {
            composition: Composition {
                name: name.clone(),
                digest: [255; DIGEST_LEN],
                size: u64::MAX,
                part_len: u32::MAX,
            },
            swarm: [255; SWARM_LEN],
            publisher: account.clone(),
            published: u64::MAX,
            complete: u32::MAX,
            getting: u32::MAX,
        };
        let holder = Holder {
            address: "[ffff:ffff::ffff]:65535".parse().unwrap(),
            complete: true,
            account: Some(account.clone()),
            reach: Reach::Reached { millis: u32::MAX },
            downloads: u32::MAX,
            failures: u32::MAX,
            score: u64::MAX,
        };
        let cursor = Cursor { name: name.clone(), listing: u64::MAX };
        for reply in [
            Reply::Page(Page {
                listings: vec![listed.clone(); LISTINGS_PER_PAGE],
                next: Some(cursor.clone()),
                matches: u32::MAX,
            }),
            Reply::Details(Details { listed: listed.clone(), holders: vec![holder; HOLDERS_MAX] }),
            Reply::Published(Published {
                already_by: Some(account.clone()),
                namesakes: vec![listed.clone(); NAMESAKES_MAX],
            }),
            Reply::Several(vec![listed; NAMESAKES_MAX]),
            Reply::Digests(Digests(vec![[255; DIGEST_LEN]; DIGESTS_PER_FRAME])),
        ] {
            let bytes = framed(|out| reply.append_to(out));
            assert_eq!(Decoder::<Reply>::new().next(&mut bytes.as_slice()), Ok(Some(reply)));
        }
        for request in [
            Request::Register(Login { name: account, password: "p".repeat(PASSWORD_LEN_MAX).into() }),
            Request::List(Query { text: "t".repeat(SEARCH_LEN_MAX), after: Some(cursor), limit: u16::MAX }),
            Request::Details(Wanted { name, digits: "f".repeat(2 * SWARM_LEN) }),
            Request::Digests(Digests(vec![[255; DIGEST_LEN]; DIGESTS_PER_FRAME])),
        ] {
            let bytes = framed(|out| request.append_to(out));
            assert_eq!(Decoder::<Request>::new().next(&mut bytes.as_slice()), Ok(Some(request)));
        }
    }

    #[test]
    fn passwords_and_tokens_never_show_in_debug_output() {
        let login = Login { name: "ada".to_owned(), password: "engine 9".to_owned().into() };
        let shown = format!(
            "{:?} {:?}",
            Request::Login(login),
            Request::Resume(SessionToken::from_bytes([0xab; 32]))
        );
        assert!(!shown.contains("engine") && !shown.contains("ab,") && !shown.contains("171"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_body_ends_in_a_message_or_an_error(
            kind in 0u8..12, body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let bytes = framed(|out| frame::append(out, |out| { out.push(kind); out.extend_from_slice(&body); }));
            if let Ok(Some(request)) = Decoder::<Request>::new().next(&mut bytes.as_slice()) {
                let again = framed(|out| request.append_to(out));
                prop_assert_eq!(Decoder::<Request>::new().next(&mut again.as_slice()), Ok(Some(request)));
            }
            if let Ok(Some(reply)) = Decoder::<Reply>::new().next(&mut bytes.as_slice()) {
                let again = framed(|out| reply.append_to(out));
                prop_assert_eq!(Decoder::<Reply>::new().next(&mut again.as_slice()), Ok(Some(reply)));
            }
        }
    }
}
