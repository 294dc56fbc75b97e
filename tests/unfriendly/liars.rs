//! Contents and lists that are not what was asked for.

use orchestra::entry::{Chunk, ContentHash};
use orchestra::limits::{CHUNK_LEN_MAX, CHUNK_PAGE};
use orchestra::wire::ensemble::{ChunkPage, Describe, Message, Packed, Piece, packed_max};

use crate::home::{Home, contents, name_of, noise, until};
use crate::peer::Peer;

#[test]
fn bytes_that_do_not_match_are_not_kept() {
    let home = Home::with(&[]);
    let honest = Home::beside(&home, &[]);
    let bytes = noise(50_000, 10);
    let mut peer = Peer::met(&home);
    peer.tell(vec![peer.file(1, "a", bytes.len(), name_of(&bytes))]);
    assert_eq!(peer.asked().len(), 1);
    let mut wrong = bytes.clone();
    wrong[49_999] ^= 1;
    peer.give(&wrong);
    // It is asked for again when somebody says that it has it.
    honest.write("b", &bytes);
    home.gets("b", &bytes);
    home.gets("a", &bytes);
    home.is_well();
}

/// How bytes are said to be packed.
type Way = fn(u32) -> Packed;

#[test]
fn what_unpacks_to_something_else_ends_the_link() {
    let home = Home::with(&[]);
    let len = 100_000;
    let bomb = zstd::bulk::compress(&vec![0; 256 << 20], 1).unwrap();
    let short = zstd::bulk::compress(&vec![0; len - 1], 1).unwrap();
    let right = zstd::bulk::compress(&vec![0; len], 1).unwrap();
    let mut lies_about_size = right.clone();
    // The size that the frame claims, if it has a field for it: all bits set.
    lies_about_size[5..8].fill(0xff);
    let two = [right.as_slice(), &short].concat();
    assert!(bomb.len() < len);
    let thorough = [bomb, short, lies_about_size, two, noise(5_000, 11), vec![0]]
        .map(|packed| (Packed::Zstd as Way, packed));
    let right = lz4_flex::block::compress(&vec![0; len]);
    let bomb = lz4_flex::block::compress(&vec![0; len + (20 << 20)]);
    let short = lz4_flex::block::compress(&vec![0; len - 1]);
    // Its first match begins before there is anything.
    let before = vec![0x0f, 0xff, 0xff, 0xff, 0xff, 0x00];
    let two = [right.as_slice(), &short].concat();
    assert!(bomb.len() < len);
    let fast =
        [bomb, short, before, two, noise(5_000, 12), vec![0]].map(|packed| (Packed::Lz4 as Way, packed));
    for (at, (way, packed)) in thorough.into_iter().chain(fast).enumerate() {
        let mut peer = Peer::met(&home);
        peer.tell(vec![peer.file(1, &format!("zeros {at}"), len, name_of(&vec![0; len]))]);
        assert_eq!(peer.asked().len(), 1, "{at}");
        peer.say(&Message::Bytes(way(u32::try_from(packed.len()).unwrap()))).unwrap();
        peer.put(&packed).unwrap();
        peer.is_ended();
    }
    // Longer than any slice of this length becomes.
    let lens = [packed_max(len) + 1, packed_max(CHUNK_LEN_MAX)];
    for (way, packed) in
        lens.into_iter().flat_map(|len| [(Packed::Zstd as Way, len), (Packed::Lz4 as Way, len)])
    {
        let mut peer = Peer::met(&home);
        peer.tell(vec![peer.file(1, "zeros", len, name_of(&vec![0; len]))]);
        assert_eq!(peer.asked().len(), 1);
        peer.say(&Message::Bytes(way(u32::try_from(packed).unwrap()))).unwrap();
        peer.is_ended();
    }
    home.is_well();
}

/// What is done with a question about a list.
type Lie = fn(&Describe, &[Chunk]) -> ChunkPage;

fn page(describe: &Describe, total: usize, pieces: Vec<Piece>) -> ChunkPage {
    let total = u32::try_from(total).unwrap();
    ChunkPage { content: describe.content, total, from: describe.from, pieces }
}

fn new(chunks: &[Chunk]) -> Vec<Piece> {
    chunks.iter().copied().map(Piece::New).collect()
}

/// The next list that the member asks for.
fn described(peer: &mut Peer) -> Describe {
    loop {
        match peer.hear().expect("the link lives") {
            Message::Describe(describe) => return describe,
            Message::Fetch(slices) => panic!("it believes the list: {slices:?}"),
            _ => {}
        }
    }
}

#[test]
fn a_list_that_lies_is_not_believed() {
    let bytes = noise(1 << 20, 12);
    let whole = contents(&bytes);
    let lies: [(&str, Lie); 9] = [
        ("other lengths", |describe, list| {
            let mut list = list.to_vec();
            list[0].len += 1;
            list[1].len -= 1;
            page(describe, list.len(), new(&list))
        }),
        ("another order", |describe, list| {
            let mut list = list.to_vec();
            list.swap(0, 1);
            page(describe, list.len(), new(&list))
        }),
        ("fewer", |describe, list| page(describe, list.len() - 1, new(&list[1..]))),
        ("more than it says", |describe, list| page(describe, 3, new(list))),
        ("more than such a file has", |describe, list| page(describe, 65, new(&list[..1]))),
        ("no end of them", |describe, list| page(describe, u32::MAX as usize, new(&list[..1]))),
        ("long chunks", |describe, _| {
            let len = u32::try_from(CHUNK_LEN_MAX).unwrap();
            let chunk = Chunk { hash: ContentHash::of(b"x"), len };
            page(describe, CHUNK_PAGE, vec![Piece::New(chunk); CHUNK_PAGE])
        }),
        ("of a base that is not there", |describe, list| {
            page(describe, list.len(), vec![Piece::Old { first: 0, count: 5 }])
        }),
        ("none", |describe, list| page(describe, list.len(), Vec::new())),
    ];
    let home = Home::with(&[]);
    for (at, (what, lie)) in lies.into_iter().enumerate() {
        let mut peer = Peer::met(&home);
        peer.tell(vec![peer.file(1, &format!("a {at}"), bytes.len(), whole.hash)]);
        let describe = described(&mut peer);
        assert_eq!((describe.content, describe.from), (whole.hash, 0), "{what}");
        peer.say(&Message::Chunks(lie(&describe, &whole.chunks))).unwrap();
        let asks_on = |message: &Message| matches!(message, Message::Describe(_) | Message::Fetch(_));
        assert!(!peer.what_follows().iter().any(asks_on), "{what}: it believes the list");
        // What it says about something else is still believed.
        peer.tell(vec![peer.file(2, &format!("b {at}"), 4, name_of(b"fair"))]);
        if !home.has("b 0", b"fair") {
            assert_eq!(peer.asked()[0].content, name_of(b"fair"), "{what}");
            peer.give(b"fair");
        }
        home.gets(&format!("b {at}"), b"fair");
    }
    let honest = Home::beside(&home, &[("c", &bytes)]);
    home.gets("c", &bytes);
    until("whoever said so is believed now", || (0..9).all(|at| home.has(&format!("a {at}"), &bytes)));
    drop(honest);
    home.is_well();
}

/// Another list than the one that was asked for is no answer.
#[test]
fn a_page_of_something_else_ends_the_link() {
    let home = Home::with(&[]);
    let bytes = noise(1 << 20, 13);
    let whole = contents(&bytes);
    for (other, from) in [(true, 0), (false, 1)] {
        let mut peer = Peer::met(&home);
        peer.tell(vec![peer.file(1, "a", bytes.len(), whole.hash)]);
        let describe = described(&mut peer);
        let content = if other { name_of(b"other") } else { describe.content };
        let total = u32::try_from(whole.chunks.len()).unwrap();
        let page = ChunkPage { content, total, from, pieces: new(&whole.chunks) };
        peer.say(&Message::Chunks(page)).unwrap();
        peer.is_ended();
    }
    home.is_well();
}

/// Chunks that do not match, of a list that does; the honest one has the rest.
#[test]
fn chunks_that_do_not_match_are_asked_of_others() {
    let home = Home::with(&[]);
    let bytes = noise(1 << 20, 14);
    let whole = contents(&bytes);
    let mut peer = Peer::met(&home);
    peer.tell(vec![peer.file(1, "a", bytes.len(), whole.hash)]);
    let describe = described(&mut peer);
    peer.say(&Message::Chunks(page(&describe, whole.chunks.len(), new(&whole.chunks)))).unwrap();
    let slices = peer.asked();
    let (first, rest) = slices.split_first().unwrap();
    let at = |offset: u64, len: u32| &bytes[usize::try_from(offset).unwrap()..][..len as usize];
    peer.give(at(first.offset, first.len));
    for slice in rest {
        peer.give(&noise(slice.len as usize, 15));
    }
    let honest = Home::beside(&home, &[("b", &bytes)]);
    home.gets("b", &bytes);
    home.gets("a", &bytes);
    drop(honest);
    home.is_well();
}

/// A path is planned anew whenever somebody tells of it, as everybody does who has just got the same file.
#[test]
fn what_is_on_its_way_is_not_asked_for_again_when_others_tell_of_it() {
    let home = Home::with(&[]);
    let bytes = noise(1 << 20, 16);
    let whole = contents(&bytes);
    let mut giver = Peer::met(&home);
    let row = giver.file(1, "a", bytes.len(), whole.hash);
    giver.tell(vec![row.clone()]);
    let describe = described(&mut giver);
    giver.say(&Message::Chunks(page(&describe, whole.chunks.len(), new(&whole.chunks)))).unwrap();
    let mut slices = giver.asked();
    let in_order = slices.clone();
    let mut other = Peer::met(&home);
    other.tell(vec![row.clone()]);
    // What is there of a content is gathered in the order in which contents are begun: when this one is asked for, the
    // other one is not begun again.
    let next = noise(1 << 20, 17);
    let its = contents(&next);
    other.tell(vec![row, other.file(2, "b", next.len(), its.hash)]);
    let describe = described(&mut other);
    assert_eq!(describe.content, its.hash);
    other.say(&Message::Chunks(page(&describe, its.chunks.len(), new(&its.chunks)))).unwrap();
    slices.extend(other.asked());
    for peer in [&mut other, &mut giver] {
        for said in peer.what_follows() {
            if let Message::Fetch(more) = said {
                slices.extend(more);
            }
        }
    }
    slices.retain(|slice| slice.content == whole.hash);
    slices.sort_by_key(|slice| slice.offset);
    let offsets =
        whole.chunks.iter().scan(0, |at, chunk| Some(std::mem::replace(at, *at + u64::from(chunk.len))));
    assert!(slices.iter().map(|slice| slice.offset).eq(offsets), "each chunk is asked for once");
    for slice in in_order {
        giver.give(&bytes[usize::try_from(slice.offset).unwrap()..][..slice.len as usize]);
    }
    home.gets("a", &bytes);
    let troubles = home.ensemble().snapshot().standing.troubles;
    assert!(troubles.is_empty(), "it was begun again: {troubles:?}");
    home.is_well();
}
