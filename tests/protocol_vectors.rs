//! PROTOCOL.md against the code: every vector, number and manifest on the page is what the code makes of it,
//! so the page cannot drift.
//!
//! A block that is fenced as `vectors` has a line `name: hex` for each vector, one that is fenced as `numbers`
//! a line `name: number` for each bound; a name stands on the page exactly if it stands here.

#![expect(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use orchestra::credential::{Challenge, Fingerprint, SessionToken};
use orchestra::digest::Digest;
use orchestra::entry::{Attributes, Chunk, Content, ContentHash, Device, Dot, Entry, Known, TreePath};
use orchestra::host::folder::{Beneath, content};
use orchestra::identity::MemberId;
use orchestra::key::EnsembleKey;
use orchestra::limits;
use orchestra::logic::session::owed_bytes_max;
use orchestra::manifest::Manifest;
use orchestra::part::Layout;
use orchestra::wire::catalogue;
use orchestra::wire::desk::{self, Announce, Refusal, Reply, Request};
use orchestra::wire::member::{self, Denial, Have, Hello, Message, Reason, Span};
use orchestra::wire::{codec, dialogue, ensemble, seal};

/// How many numbers are on the page.
const NUMBERS: usize = 72;

const PAGE: &str = include_str!("../PROTOCOL.md");

/// The text inside every block with this fence.
fn blocks(kind: &str) -> Vec<String> {
    let fence = format!("```{kind}");
    let mut blocks = Vec::new();
    let mut lines = PAGE.lines();
    while lines.any(|line| line == fence) {
        let inside = lines.by_ref().take_while(|line| *line != "```");
        blocks.push(inside.map(|line| format!("{line}\n")).collect());
    }
    blocks
}

/// The `name: value` lines of every block with this fence.
fn named(kind: &str) -> BTreeMap<String, String> {
    let mut named = BTreeMap::new();
    for line in blocks(kind).iter().flat_map(|block| block.lines()) {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no value in {line:?}"));
        assert!(named.insert(name.to_owned(), value.to_owned()).is_none(), "{name} stands twice");
    }
    named
}

/// Compares the page with the code, and says for each difference what the page should say.
fn agree(page: &BTreeMap<String, String>, code: &BTreeMap<String, String>) {
    let wrong = code.iter().filter(|(name, value)| page.get(*name) != Some(value));
    let wrong: Vec<String> = wrong.map(|(name, value)| format!("{name}: {value}")).collect();
    assert!(wrong.is_empty(), "PROTOCOL.md should say:\n{}", wrong.join("\n"));
    let unknown: Vec<&String> = page.keys().filter(|name| !code.contains_key(*name)).collect();
    assert!(unknown.is_empty(), "PROTOCOL.md has vectors that nothing makes: {unknown:?}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn manifest(kind: &str) -> (String, Manifest) {
    let blocks = blocks(kind);
    let [text] = blocks.as_slice() else { panic!("there is one {kind} on the page") };
    (text.clone(), Manifest::parse(text.as_bytes()).unwrap())
}

fn messages() -> Vec<(&'static str, Message)> {
    let hello = Hello { member: MemberId::from_bytes([0xaa; 16]), port: 10_001, abilities: 0 };
    let roster = vec!["127.0.0.1:10001".parse().unwrap(), "[::1]:10002".parse().unwrap()];
    let seventh = Span { first: 7, count: 1 };
    vec![
        ("hello", Message::Hello(hello)),
        ("have all", Message::Have(Have::All)),
        ("have bits", Message::Have(Have::Bits(vec![0xff, 0x01]))),
        ("have runs", Message::Have(Have::Runs(vec![Span { first: 3, count: 2 }]))),
        ("have nothing", Message::Have(Have::Runs(Vec::new()))),
        ("want", Message::Want(Span { first: 0, count: 64 })),
        ("parts", Message::Parts(Span { first: 300, count: 1 })),
        ("refuse, not held", Message::Refuse(seventh, Denial::NotHeld)),
        ("refuse, cancelled", Message::Refuse(seventh, Denial::Cancelled)),
        ("refuse, elsewhere", Message::Refuse(seventh, Denial::Elsewhere)),
        ("cancel", Message::Cancel(seventh)),
        ("roster", Message::Roster(roster)),
        ("bye, leaving", Message::Bye(Reason::Leaving)),
        ("bye, complete", Message::Bye(Reason::Complete)),
        ("bye, too many", Message::Bye(Reason::TooMany)),
        ("bye, idle", Message::Bye(Reason::Idle)),
        ("bye, fault", Message::Bye(Reason::Fault)),
        ("bye, renew", Message::Bye(Reason::Renew)),
        ("bye, oneself", Message::Bye(Reason::Oneself)),
    ]
}

fn requests() -> Vec<(&'static str, Request)> {
    let announce = Announce {
        swarm: [0x11; 32],
        port: 10_001,
        complete: false,
        left: 142_044,
        event: desk::Event::Started,
    };
    let about = |complete, left, event| Request::Announce(Announce { complete, left, event, ..announce });
    let report = desk::Report {
        swarm: [0x11; 32],
        member: "10.0.0.7:10001".parse().unwrap(),
        bytes: 1_048_576,
        millis: 900,
        failed: false,
    };
    vec![
        ("announce, started", Request::Announce(announce)),
        ("announce, going", about(false, 1, desk::Event::Going)),
        ("announce, completed", about(true, 0, desk::Event::Completed)),
        ("announce, left", about(true, 0, desk::Event::Left)),
        ("ask for a challenge", Request::Challenge),
        ("announce, proven first", proven(0, desk::Said::Announce(announce))),
        ("report, proven second", proven(1, desk::Said::Report(report))),
    ]
}

/// The token of the session on the page.
fn token() -> SessionToken {
    SessionToken::from_bytes([0x22; 32])
}

fn challenge() -> Challenge {
    Challenge::from_bytes([0x33; 16])
}

fn proven(count: u32, said: desk::Said) -> Request {
    Request::Proven(desk::Proven::new(&token().speaker(), challenge(), count, said))
}

fn song() -> catalogue::Composition {
    catalogue::Composition { name: "a".to_owned(), digest: [0x29; 20], size: 142_044, part_len: 16_384 }
}

fn listed() -> catalogue::Listed {
    catalogue::Listed {
        composition: song(),
        swarm: [0x51; 32],
        publisher: "ada".to_owned(),
        published: 1_795_305_600,
        complete: 1,
        getting: 0,
    }
}

fn catalogue_requests() -> Vec<(&'static str, catalogue::Request)> {
    use catalogue::{Digests, Login, Query, Renewal, Request, Wanted};
    let login = Login { name: "ada".to_owned(), password: "engine 9".to_owned().into() };
    let wanted = |digits: &str| Wanted { name: "a".to_owned(), digits: digits.to_owned() };
    let digests = Digests::new(&[[0x31; 20], [0x32; 20]].map(Digest::from_bytes));
    vec![
        ("register", Request::Register(login.clone())),
        ("login", Request::Login(login.clone())),
        ("resume", Request::Resume(token())),
        ("logout", Request::Logout),
        ("publish", Request::Publish(song())),
        ("digests", Request::Digests(digests)),
        ("list", Request::List(Query { text: "a".to_owned(), after: None, limit: 20 })),
        ("details", Request::Details(wanted("29"))),
        ("fetch", Request::Fetch(wanted(""))),
        ("unpublish", Request::Unpublish(wanted(""))),
        ("renew", Request::Renew(Renewal { login, password: "engine 10".to_owned().into() })),
    ]
}

fn catalogue_replies() -> Vec<(&'static str, catalogue::Reply)> {
    use catalogue::{Cursor, Details, Digests, Holder, Page, Published, Refusal, Reply, Session};
    let session = Session { token: token(), account: "ada".to_owned(), expires: 1_797_897_600 };
    let holder = Holder {
        address: "10.0.0.7:10001".parse().unwrap(),
        complete: true,
        account: Some("ada".to_owned()),
        reach: desk::Reach::Reached { millis: 20 },
        downloads: 100,
        failures: 0,
        score: 1_500,
    };
    let next = Some(Cursor { name: "a".to_owned(), listing: 7 });
    vec![
        ("session", Reply::Session(session)),
        ("account", Reply::Account("ada".to_owned())),
        ("done", Reply::Done),
        (
            "published",
            Reply::Published(Published { already_by: Some("bob".to_owned()), namesakes: vec![listed()] }),
        ),
        ("page", Reply::Page(Page { listings: vec![listed()], next, matches: 9 })),
        ("details told", Reply::Details(Details { listed: listed(), holders: vec![holder] })),
        ("manifest", Reply::Manifest(song())),
        ("digests told", Reply::Digests(Digests::new(&[Digest::from_bytes([0x31; 20])]))),
        ("several", Reply::Several(vec![listed()])),
        ("refused, wrong login", Reply::Refused(Refusal::WrongLogin)),
        ("refused, try again in 30 s", Reply::Refused(Refusal::TryAgainIn { seconds: 30 })),
        ("refused, trouble", Reply::Refused(Refusal::Trouble)),
    ]
}

fn replies() -> Vec<(&'static str, Reply)> {
    let members = vec!["10.0.0.7:10001".parse().unwrap()];
    vec![
        (
            "roster from a conductor",
            Reply::Roster(desk::Roster { interval_ms: 30_000, complete: 1, getting: 2, members }),
        ),
        ("refused, swarms full", Reply::Refused(Refusal::SwarmsFull)),
        ("refused, members full", Reply::Refused(Refusal::MembersFull)),
        ("refused, busy", Reply::Refused(Refusal::Busy)),
        ("refused, login first", Reply::Refused(Refusal::LoginFirst)),
        ("challenge", Reply::Challenge(challenge())),
        ("greeted, nobody looked yet", greeted(desk::Reach::Unknown)),
        ("greeted, reached in 20 ms", greeted(desk::Reach::Reached { millis: 20 })),
        ("greeted, not reached", greeted(desk::Reach::Unreachable)),
        ("noted", Reply::Noted),
    ]
}

fn greeted(reach: desk::Reach) -> Reply {
    let roster = desk::Roster { interval_ms: 30_000, complete: 0, getting: 0, members: Vec::new() };
    Reply::Greeted(desk::Greeted { roster, reach })
}

/// The key on the page.
fn key() -> EnsembleKey {
    EnsembleKey::from_bytes(std::array::from_fn(|at| u8::try_from(at).unwrap()))
}

fn hash(byte: u8) -> ContentHash {
    ContentHash::from_bytes([byte; 32])
}

fn row(sequence: u64, content: Content) -> ensemble::Row {
    let dot = Dot { device: Device::from_bits(7), counter: 9 };
    let attributes = Attributes { mtime: 0, executable: false };
    let entry = Entry { content, attributes, replaced: None, dot, known: Known::only(dot) };
    ensemble::Row { sequence, path: TreePath::parse("a/b").unwrap(), entry }
}

fn ensemble_messages() -> Vec<(&'static str, ensemble::Message)> {
    use ensemble::{ChunkPage, Describe, Entries, Follow, Having, Hello, Message, Packed, Piece};
    use ensemble::{Reason, Slice, State};
    let (device, content) = (Device::from_bits(7), hash(5));
    let mut file = row(3, Content::File { size: 5, hash: content });
    file.entry.attributes = Attributes { mtime: -1, executable: true };
    file.entry.replaced = Some(hash(6));
    file.entry.known.insert(Dot { device: Device::from_bits(1), counter: 4 });
    let others = vec![row(4, Content::Gone), row(5, Content::Folder), row(6, Content::Link("..".to_owned()))];
    let told = |rows, through, more| Message::Entries(Entries { device, rows, through, more });
    let member = MemberId::from_bytes([0xaa; 16]);
    let label = "attic".to_owned();
    let pieces = vec![Piece::Old { first: 1, count: 2 }, Piece::New(Chunk { hash: content, len: 9 })];
    let page = |total, pieces| Message::Chunks(ChunkPage { content, total, from: 0, pieces });
    let describe = |base| Message::Describe(Describe { content, base, from: 1 });
    let roster = vec!["127.0.0.1:10001".parse().unwrap(), "[::1]:10002".parse().unwrap()];
    vec![
        ("hello", Message::Hello(Hello { member, device, port: 10_001, label, abilities: 0 })),
        ("follow", Message::Follow(Follow { device, after: 300 })),
        ("entries, a file", told(vec![file], 4, true)),
        ("entries, the others", told(others, 6, false)),
        ("entries, nothing", told(Vec::new(), 6, false)),
        ("state", Message::State(State { heard: 1, last: 2, behind: 3, busy: true })),
        ("describe", describe(None)),
        ("describe, with a base", describe(Some(hash(6)))),
        ("chunks", page(3, pieces)),
        ("chunks, lacking", page(0, Vec::new())),
        ("fetch", Message::Fetch(vec![Slice { content, offset: 1 << 40, len: 70_000 }])),
        ("bytes, plain", Message::Bytes(Packed::Plain)),
        ("bytes, packed", Message::Bytes(Packed::Zstd(300))),
        ("bytes, packed fast", Message::Bytes(Packed::Lz4(300))),
        ("lacking", Message::Lacking),
        ("having", Message::Having(Having { content, runs: vec![(0, 3)] })),
        ("roster", Message::Roster(roster)),
        ("alive", Message::Alive),
        ("bye, leaving", Message::Bye(Reason::Leaving)),
        ("bye, twice", Message::Bye(Reason::Twice)),
        ("bye, oneself", Message::Bye(Reason::Oneself)),
        ("bye, too many", Message::Bye(Reason::TooMany)),
        ("bye, fault", Message::Bye(Reason::Fault)),
        ("bye, renew", Message::Bye(Reason::Renew)),
    ]
}

/// The bytes on the page of which it says where they are cut.
fn noise() -> Vec<u8> {
    let mut noise = vec![0; 1_000_001];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    noise
}

/// What a member makes of a file with these bytes.
fn contents(bytes: &[u8]) -> content::Contents {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), bytes).unwrap();
    let folder = Beneath::open(dir.path()).unwrap();
    let path = TreePath::parse("file").unwrap();
    content::read(&folder, &path, &AtomicBool::new(false)).unwrap().unwrap()
}

/// The lengths of chunks, as the page says: nothing of the program is in it but the table of numbers.
fn cut_as_described(bytes: &[u8], average: usize, strict: u64, loose: u64) -> Vec<usize> {
    let (gear, _) = fastcdc::v2020::get_gear_with_seed(0);
    let (mut left, mut lens) = (bytes, Vec::new());
    while !left.is_empty() {
        let (least, n) = (average / 2, left.len().min(average * 4));
        let c = n.min(average);
        let mut len = n;
        let mut h = 0_u64;
        for (at, &byte) in left.iter().enumerate().take(n - n % 2).skip(least) {
            h = h.wrapping_mul(2).wrapping_add(gear[usize::from(byte)]);
            if h & (if at < c { strict } else { loose }) == 0 {
                len = at;
                break;
            }
        }
        if left.len() <= least {
            len = left.len();
        }
        lens.push(len);
        left = &left[len..];
    }
    lens
}

/// What is hashed for the identity of a manifest, as the page describes it.
fn identity_bytes(manifest: &Manifest) -> Vec<u8> {
    let layout = manifest.layout();
    let mut bytes = manifest.digest().as_bytes().to_vec();
    bytes.extend(layout.size().to_le_bytes());
    bytes.extend(layout.part_len().to_le_bytes());
    bytes.extend(manifest.part_digests().iter().flat_map(|digest| digest.as_bytes()));
    bytes
}

/// Every vector, by its name on the page.
fn vectors() -> BTreeMap<String, String> {
    let mut vectors = BTreeMap::new();
    let mut add = |name: &str, bytes: &[u8]| {
        assert!(vectors.insert(name.to_owned(), hex(bytes)).is_none(), "{name} is made twice");
    };
    for kind in ["tiny", "example"] {
        let (_, manifest) = manifest(&format!("manifest-{kind}"));
        add(&format!("{kind} swarm id"), manifest.swarm_id().as_bytes());
        add(&format!("{kind} swarm key"), manifest.swarm_key().as_bytes());
        add(&format!("{kind} token"), manifest.swarm_key().token().as_bytes());
    }
    let (_, tiny) = manifest("manifest-tiny");
    add("tiny identity bytes", &identity_bytes(&tiny));
    add("tiny preamble", &member::preamble(tiny.swarm_key().token()));
    add("desk preamble", &desk::preamble());
    add("catalogue preamble", &catalogue::preamble());
    add("no catalogue", &catalogue::NO_CATALOGUE);
    add("session id", token().id().as_bytes());
    add("session key", token().key().as_bytes());
    for number in [0, 250, 251, 65_535, 65_536, 4_294_967_295, 4_294_967_296, u64::MAX] {
        let mut bytes = Vec::new();
        codec::encode(&number, &mut bytes);
        add(&format!("number {number}"), &bytes);
    }
    let mut bytes = Vec::new();
    let key = key();
    add("ensemble link key", key.link_key().as_bytes());
    add("ensemble token", key.link_key().token().as_bytes());
    add("ensemble id", key.id().as_bytes());
    add("ensemble preamble", &member::preamble(key.link_key().token()));
    for number in [0, -1, 1, -126, i64::MAX, i64::MIN] {
        bytes.clear();
        codec::encode(&number, &mut bytes);
        add(&format!("signed {number}"), &bytes);
    }
    for (name, option) in [("no hash", None), ("a hash", Some(hash(5)))] {
        bytes.clear();
        codec::encode(&option, &mut bytes);
        add(name, &bytes);
    }
    bytes.clear();
    codec::encode(&"é", &mut bytes);
    add("text", &bytes);
    let (gear, _) = fastcdc::v2020::get_gear_with_seed(0);
    add("gear of 0", &gear[0].to_be_bytes());
    add("gear of 255", &gear[255].to_be_bytes());
    add("name of abc", contents(b"abc").hash.as_bytes());
    add("name of the noise", contents(&noise()).hash.as_bytes());
    for (name, message) in ensemble_messages() {
        bytes.clear();
        message.append_to(&mut bytes);
        add(&format!("ensemble {name}"), &bytes);
    }
    for (name, message) in messages() {
        bytes.clear();
        message.append_to(&mut bytes);
        add(name, &bytes);
    }
    for (name, request) in requests() {
        bytes.clear();
        request.append_to(&mut bytes);
        add(name, &bytes);
    }
    for (name, request) in catalogue_requests() {
        bytes.clear();
        request.append_to(&mut bytes);
        add(&format!("catalogue {name}"), &bytes);
    }
    for (name, reply) in catalogue_replies() {
        bytes.clear();
        reply.append_to(&mut bytes);
        add(&format!("catalogue {name}"), &bytes);
    }
    for (name, reply) in replies() {
        bytes.clear();
        reply.append_to(&mut bytes);
        add(name, &bytes);
    }
    // It is told as digits.
    assert!(vectors.insert("ensemble tag of day 20000".to_owned(), key.tag(20_000)).is_none());
    vectors
}

/// Every number that the other side must respect or may rely on, by its name on the page.
fn numbers() -> BTreeMap<String, String> {
    let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap();
    let one_part = Layout::new(1, 1).unwrap();
    let longest = Layout::new(1, limits::PART_LEN_MAX.into()).unwrap();
    let noise = contents(&noise()).chunks;
    let small = "body bytes of an ensemble's follow, state, bytes, lacking, alive, bye";
    let body = |kind| ensemble::body_max(kind).unwrap() as u64;
    assert!([1, 3, 7, 8, 11, 12].into_iter().all(|kind| body(kind) == body(1)));
    let numbers: [(&str, u64); NUMBERS] = [
        ("bytes of a manifest", limits::MANIFEST_LEN_MAX),
        ("bytes of a part", limits::PART_LEN_MAX.into()),
        ("parts", limits::PARTS_MAX.into()),
        ("bytes of a name", limits::NAME_LEN_MAX as u64),
        ("bytes of a host name", limits::HOST_LEN_MAX as u64),
        ("bytes of a preamble", member::PREAMBLE_LEN as u64),
        ("bytes of a handshake message", seal::HANDSHAKE_LEN as u64),
        ("bytes of a record's header", seal::RECORD_HEADER_LEN as u64),
        ("bytes of a record after its header", limits::RECORD_LEN_MAX as u64),
        ("plain bytes of a record", limits::RECORD_PLAIN_MAX as u64),
        ("records of one key", limits::RECORDS_PER_KEY_MAX),
        ("body bytes of hello, want, parts, refuse, cancel, bye", limits::FRAME_SMALL_MAX as u64),
        ("body bytes of have", limits::FRAME_HAVE_MAX as u64),
        ("body bytes of roster", limits::FRAME_ROSTER_MAX as u64),
        ("runs in one have", limits::HAVE_RUNS_MAX as u64),
        ("addresses in one roster", limits::ROSTER_MAX as u64),
        ("bytes of one want, if it has several parts", limits::RUN_BYTES),
        ("bytes in flight before the last want, as the asker", limits::WINDOW_BYTES_MAX),
        ("runs in flight, as the asker", limits::WINDOW_RUNS_MAX.into()),
        ("bytes owed with parts up to 1 MiB, as the giver", owed_bytes_max(one_part)),
        ("bytes owed with parts of 16 MiB, as the giver", owed_bytes_max(longest)),
        ("runs owed, as the giver", limits::OWED_RUNS_MAX.into()),
        ("links of one member", limits::LINKS_MAX as u64),
        ("links between the same two members", limits::LINKS_PER_MEMBER_MAX as u64),
        ("ms from connecting to the first have", ms(limits::HANDSHAKE_TIMEOUT)),
        ("ms that a write may stand still", ms(limits::WRITE_TIMEOUT)),
        ("ms that owed parts may fail to come", ms(limits::STALL_TIMEOUT)),
        ("ms for the last words", ms(limits::CLOSE_GRACE)),
        ("ms that a part that was sent is kept from others", ms(limits::GIVEN_PATIENCE)),
        ("ms that a promised part is kept from others", ms(limits::PROMISE_PATIENCE)),
        ("ms before a promised part is kept for anybody again", ms(limits::GIVEN_AGAIN_PAUSE)),
        ("ms that a want may wait for its turn", ms(limits::TURN_PATIENCE)),
        ("ms between two rosters of a link that are looked at", ms(limits::GOSSIP_HEARD_INTERVAL)),
        ("ms before a refused part is asked for again", ms(limits::ELSEWHERE_PAUSE)),
        ("ms between two gossips", ms(limits::GOSSIP_INTERVAL)),
        ("body bytes of a request", limits::DESK_REQUEST_MAX as u64),
        ("body bytes of a reply", limits::DESK_REPLY_MAX as u64),
        ("ms for a request", ms(limits::DESK_TIMEOUT)),
        ("the usual port of a conductor", limits::CONDUCTOR_PORT_DEFAULT.into()),
        ("bytes of a path", limits::TREE_PATH_LEN_MAX as u64),
        ("bytes of a link's text", limits::LINK_TEXT_LEN_MAX as u64),
        ("bytes of a file", limits::FILE_LEN_MAX),
        ("pairs that a version knows", limits::AUTHORS_MAX as u64),
        ("bytes of a content that is one chunk", limits::WHOLE_LEN_MAX),
        ("bytes of a file with the second average", limits::CHUNK_CLASS_LEN),
        ("the least average", limits::CHUNK_AVERAGE_MIN as u64),
        ("the greatest average", limits::CHUNK_AVERAGE_MAX as u64),
        ("bytes of a chunk", limits::CHUNK_LEN_MAX as u64),
        ("chunks of the noise", noise.len() as u64),
        ("bytes of the first chunk of the noise", noise[0].len.into()),
        ("bytes of the last chunk of the noise", noise[noise.len() - 1].len.into()),
        ("body bytes of an ensemble's hello", body(0)),
        (small, body(1)),
        ("body bytes of an ensemble's entries", body(2)),
        ("body bytes of an ensemble's describe", body(4)),
        ("body bytes of an ensemble's chunks", body(5)),
        ("body bytes of an ensemble's fetch", body(6)),
        ("body bytes of an ensemble's having", body(9)),
        ("body bytes of an ensemble's roster", body(10)),
        ("bytes of a label", limits::LABEL_LEN_MAX as u64),
        ("pieces in one page", limits::CHUNK_PAGE as u64),
        ("slices in one fetch", limits::FETCH_SLICES_MAX as u64),
        ("runs in one having", limits::HAVE_RUNS_MAX as u64),
        ("slices owed on one link", limits::SLICES_OWED_MAX as u64),
        ("lists owed on one link", limits::LISTS_OWED_MAX as u64),
        ("ms between two states of a link, while they change", ms(limits::STATE_INTERVAL)),
        ("ms before a lost device is believed again", ms(limits::RENEW_PAUSE)),
        ("ms without a word before alive is said", ms(limits::ALIVE_INTERVAL)),
        ("new addresses from one link that are looked at in a span", u64::from(limits::ROSTER_NEWS_MAX)),
        ("ms of that span", ms(limits::ROSTER_NEWS_SPAN)),
        ("ms of silence that end a link of an ensemble", ms(limits::SILENCE_MAX)),
        ("ms that an answer in an ensemble may fail to come", ms(limits::ANSWER_MAX)),
    ];
    let (catalogue, classic) = (catalogue_numbers(), classic_numbers());
    let all = numbers.into_iter().chain(catalogue).chain(classic);
    let all: BTreeMap<String, String> =
        all.map(|(name, number)| (name.to_owned(), number.to_string())).collect();
    assert_eq!(all.len(), NUMBERS + catalogue.len() + classic.len(), "every name is used once");
    all
}

/// Those of catalogues.
fn catalogue_numbers() -> [(&'static str, u64); 15] {
    let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap();
    [
        ("bytes of a call", seal::CALL_LEN as u64),
        ("bytes of the answer to a call", seal::CALL_ANSWER_LEN as u64),
        ("body bytes of a request to a catalogue", limits::CATALOGUE_REQUEST_MAX as u64),
        ("body bytes of digests, and of a reply of a catalogue", limits::CATALOGUE_FRAME_MAX as u64),
        ("digests in one message", limits::DIGESTS_PER_FRAME as u64),
        ("characters of an account's name", limits::ACCOUNT_NAME_MAX as u64),
        ("bytes of a password, at least", limits::PASSWORD_LEN_MIN as u64),
        ("bytes of a password, at most", limits::PASSWORD_LEN_MAX as u64),
        ("bytes of a search", limits::SEARCH_LEN_MAX as u64),
        ("listings on one page", limits::LISTINGS_PER_PAGE as u64),
        ("namesakes in one answer", limits::NAMESAKES_MAX as u64),
        ("holders in one answer", limits::HOLDERS_MAX as u64),
        ("ms for a handshake with a catalogue", ms(limits::CATALOGUE_HANDSHAKE_TIMEOUT)),
        ("ms for a request to a catalogue", ms(limits::CATALOGUE_REQUEST_TIMEOUT)),
        ("ms for all digests of a composition", ms(limits::CATALOGUE_PUBLISH_TIMEOUT)),
    ]
}

/// Those of the classic protocol.
fn classic_numbers() -> [(&'static str, u64); 12] {
    let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap();
    [
        ("questions of a classic link that wait for their answers", limits::CLASSIC_QUESTIONS_MAX.into()),
        ("ms that a classic question for a part that is not there waits", ms(limits::CLASSIC_KEPT_PATIENCE)),
        ("ms of silence that end a classic link after a refusal", ms(limits::CLASSIC_MUTE_PATIENCE)),
        ("ms between two answers about the parts on a classic link", ms(limits::CLASSIC_LIST_PAUSE)),
        (
            "ms that an address where our dialect was spoken is dialled in nothing else",
            ms(limits::CLASSIC_NATIVE_SPAN),
        ),
        ("links with members that speak only the classic protocol", limits::LINKS_KEYLESS_MAX as u64),
        (
            "ms that a question of ours on a classic link may stay unanswered",
            ms(limits::CLASSIC_ANSWER_PATIENCE),
        ),
        ("sources that must complain about a classic member", limits::CLASSIC_COMPLAINERS as u64),
        ("ms that a complaint at a classic conductor counts", ms(limits::CLASSIC_COMPLAINT_SPAN)),
        (
            "complaints of one source that a classic conductor remembers",
            limits::CLASSIC_COMPLAINTS_PER_SOURCE_MAX as u64,
        ),
        ("addresses in an answer of a classic conductor", limits::CLASSIC_ADDRESSES_MAX),
        ("lines of such an answer that are no addresses", limits::CLASSIC_UNREADABLE_MAX as u64),
    ]
}

#[test]
fn every_vector_is_what_the_code_makes() {
    agree(&named("vectors"), &vectors());
}

#[test]
fn every_number_is_the_one_in_the_code() {
    agree(&named("numbers"), &numbers());
}

#[test]
fn identity_is_derived_as_the_page_says() {
    let derive = |context: &str, bytes: &[u8]| {
        assert!(PAGE.contains(&format!("`{context}`")), "{context} is not on the page");
        blake3::derive_key(context, bytes)
    };
    for kind in ["manifest-tiny", "manifest-example"] {
        let (_, manifest) = manifest(kind);
        let bytes = identity_bytes(&manifest);
        assert_eq!(manifest.swarm_id().as_bytes(), &derive("orchestra 2026-11 swarm id v1", &bytes));
        let key = derive("orchestra 2026-11 swarm key v1", &bytes);
        assert_eq!(manifest.swarm_key().as_bytes(), &key);
        let token = derive("orchestra 2026-11 rendezvous token v1", &key);
        assert_eq!(manifest.swarm_key().token().as_bytes(), &token[..16]);
    }
}

#[test]
fn sessions_and_fingerprints_are_derived_as_the_page_says() {
    let derive = |context: &str, bytes: &[u8]| {
        assert!(PAGE.contains(&format!("`{context}`")), "{context} is not on the page");
        blake3::derive_key(context, bytes)
    };
    assert_eq!(token().id().as_bytes(), &derive("orchestra 2026-11 session id v1", token().as_bytes()));
    let key = derive("orchestra 2026-11 session key v1", token().as_bytes());
    assert_eq!(token().key().as_bytes(), &key);
    assert!(PAGE.contains("`orchestra 2026-11 proof v1`"));
    let mut said = Vec::new();
    let Request::Proven(proven) = proven(
        1,
        desk::Said::Announce(match requests()[0].1 {
            Request::Announce(announce) => announce,
            _ => unreachable!(),
        }),
    ) else {
        unreachable!()
    };
    codec::encode(&proven.said, &mut said);
    let mut hasher = blake3::Hasher::new_keyed(&key);
    hasher.update(b"orchestra 2026-11 proof v1").update(&[0x33; 16]).update(&[1, 0, 0, 0]).update(&said);
    let mut proof = Vec::new();
    codec::encode(&proven.proof, &mut proof);
    assert_eq!(proof, hasher.finalize().as_bytes());
    let fingerprint = Fingerprint::of(&[7; 32]).to_string();
    derive("orchestra 2026-11 conductor fingerprint v1", &[7; 32]);
    assert!(PAGE.contains(&format!("`{fingerprint}`")), "{fingerprint} is not on the page");
}

#[test]
fn every_message_reads_back() {
    let page = named("vectors");
    let bytes = |name: &str| {
        let digits = page.get(name).unwrap_or_else(|| panic!("{name} is not on the page"));
        let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect::<Vec<u8>>()
    };
    for (name, message) in messages() {
        let read = member::Decoder::default().next(&mut bytes(name).as_slice());
        assert_eq!(read, Ok(Some(message)), "{name}");
    }
    for (name, message) in ensemble_messages() {
        let read = ensemble::Decoder::default().next(&mut bytes(&format!("ensemble {name}")).as_slice());
        assert_eq!(read, Ok(Some(message)), "{name}");
    }
    for (name, request) in requests() {
        assert_eq!(
            dialogue::Decoder::<Request>::new().next(&mut bytes(name).as_slice()),
            Ok(Some(request)),
            "{name}"
        );
    }
    for (name, request) in catalogue_requests() {
        let read = dialogue::Decoder::<catalogue::Request>::new()
            .next(&mut bytes(&format!("catalogue {name}")).as_slice());
        assert_eq!(read, Ok(Some(request)), "{name}");
    }
    for (name, reply) in catalogue_replies() {
        let read = dialogue::Decoder::<catalogue::Reply>::new()
            .next(&mut bytes(&format!("catalogue {name}")).as_slice());
        assert_eq!(read, Ok(Some(reply)), "{name}");
    }
    for (name, reply) in replies() {
        assert_eq!(
            dialogue::Decoder::<Reply>::new().next(&mut bytes(name).as_slice()),
            Ok(Some(reply)),
            "{name}"
        );
    }
}

#[test]
fn the_manifests_are_written_as_they_stand() {
    for kind in ["manifest-tiny", "manifest-example"] {
        let (text, manifest) = manifest(kind);
        assert_eq!(manifest.render(), text, "{kind}");
    }
}

#[test]
fn the_key_is_written_as_it_stands() {
    let [text] = blocks("ensemble-key").try_into().expect("there is one key on the page");
    assert_eq!(text, format!("{}\n", key()));
    assert_eq!(text.parse(), Ok(key()));
}

#[test]
fn an_ensemble_is_derived_as_the_page_says() {
    let derive = |context: &str, bytes: &[u8]| {
        assert!(PAGE.contains(&format!("`{context}`")), "{context} is not on the page");
        blake3::derive_key(context, bytes)
    };
    let secret: Vec<u8> = (0..32).collect();
    let (key, day) = (key(), 20_000_u64);
    let link = derive("orchestra 2026-11 ensemble link key v1", &secret);
    assert_eq!(key.link_key().as_bytes(), &link);
    let token = derive("orchestra 2026-11 rendezvous token v1", &link);
    assert_eq!(key.link_key().token().as_bytes(), &token[..16]);
    assert_eq!(key.id().as_bytes(), &derive("orchestra 2026-11 ensemble id v1", &secret));
    let tag =
        derive("orchestra 2026-11 ensemble tag of a day v1", &[&secret[..], &day.to_le_bytes()].concat());
    assert_eq!(key.tag(day), hex(&tag[..16]));
    let check = derive("orchestra 2026-11 ensemble key check v1", &secret);
    let bytes = [&secret[..], &check[..3]].concat();
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let letters: Vec<u8> = bits
        .chunks(5)
        .map(|five| five.iter().fold(0, |value, bit| value << 1 | usize::from(*bit)))
        .map(|value| b"0123456789abcdefghjkmnpqrstvwxyz"[value])
        .collect();
    assert_eq!(key.to_string().replace('-', ""), String::from_utf8(letters).unwrap());

    let other = |content: Content| *content.hash().unwrap().as_bytes();
    assert_eq!(other(Content::Folder), derive("orchestra 2026-11 folder v1", &[]));
    let link = Content::Link("x".to_owned());
    assert_eq!(other(link), derive("orchestra 2026-11 symbolic link v1", b"x"));
    let (device, path) = (Device::from_bits(7), TreePath::parse("a/b").unwrap());
    let beside = derive(
        "orchestra 2026-11 device beside a path v1",
        &[&7_u64.to_le_bytes()[..], path.as_str().as_bytes()].concat(),
    );
    assert_eq!(device.beside(&path).bits().to_le_bytes(), beside[..8]);
}

#[test]
fn files_are_cut_as_the_page_says() {
    let row = |average: usize| {
        let rows = PAGE.lines().filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [from, of, strict, loose] = cells.as_slice() else { return None };
            let number = |text: &str| text.replace(',', "").parse::<u64>().ok();
            let mask = |text: &str| u64::from_str_radix(text.trim_matches('`'), 16).ok();
            (number(of)? == average as u64).then_some((number(from)?, mask(strict)?, mask(loose)?))
        });
        let [row] = rows.collect::<Vec<_>>().try_into().expect("one line for each average");
        row
    };
    let mut average = limits::CHUNK_AVERAGE_MIN;
    while average <= limits::CHUNK_AVERAGE_MAX {
        let (from, strict, loose) = row(average);
        let masks = fastcdc::v2020::select_masks(average, fastcdc::v2020::Normalization::Level2);
        assert_eq!((strict, loose), masks, "{average}");
        assert_eq!(content::chunk_average(from), average);
        assert!(from == 0 || content::chunk_average(from - 1) == average / 2, "{average}");
        average *= 2;
    }
    let noise = noise();
    let (_, strict, loose) = row(limits::CHUNK_AVERAGE_MIN);
    // Of every rest modulo two, and shorter than the average and than the least length.
    for len in [1_000_001, 1_000_000, 131_073, 200_001, 777_777] {
        let chunks = contents(&noise[..len]).chunks;
        let lens: Vec<usize> = chunks.iter().map(|chunk| chunk.len as usize).collect();
        assert_eq!(lens, cut_as_described(&noise[..len], limits::CHUNK_AVERAGE_MIN, strict, loose), "{len}");
    }
    let whole = contents(&noise);
    let list: Vec<u8> = whole
        .chunks
        .iter()
        .flat_map(|chunk| [&chunk.hash.as_bytes()[..], &chunk.len.to_le_bytes()].concat())
        .collect();
    assert!(PAGE.contains("`orchestra 2026-11 chunks v1`"));
    assert_eq!(whole.hash.as_bytes(), &blake3::derive_key("orchestra 2026-11 chunks v1", &list));
    let first = &whole.chunks[0];
    assert_eq!(first.hash.as_bytes(), blake3::hash(&noise[..first.len as usize]).as_bytes());
}
