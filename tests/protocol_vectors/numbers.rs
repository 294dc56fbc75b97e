//! Every number on the page.

use std::collections::BTreeMap;
use std::time::Duration;

use orchestra::limits;
use orchestra::logic::session::owed_bytes_max;
use orchestra::part::Layout;
use orchestra::wire::{ensemble, member, seal};

use crate::chunks::{contents, noise};
use crate::page::{agree, named};

/// How many numbers are on the page.
const NUMBERS: usize = 73;

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
        ("ms that it is if others wait for their turns", ms(limits::GIVEN_PATIENCE_BUSY)),
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
fn every_number_is_the_one_in_the_code() {
    agree(&named("numbers"), &numbers());
}
