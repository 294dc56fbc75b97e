//! Member to member of an ensemble: the messages inside the sealed stream.
//!
//! The preamble is that of [`member`](super::member), with the token of the ensemble's link key.
//! Each side tells its own entries and answers for its own contents; neither is asked twice for what it told.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::frame::{self, Assembler};
use super::{WireError, codec};
use crate::entry::{Chunk, Content, ContentHash, Device, Entry, TreePath};
use crate::identity::MemberId;
use crate::limits::{
    CHUNK_LEN_MAX, CHUNK_PAGE, FETCH_SLICES_MAX, FILE_LEN_MAX, FRAME_CHUNKS_MAX, FRAME_ENTRIES_MAX,
    FRAME_FETCH_MAX, FRAME_ROSTER_MAX, FRAME_SMALL_MAX, HAVE_RUNS_MAX, LABEL_LEN_MAX, LINK_TEXT_LEN_MAX,
    ROSTER_MAX,
};

/// What members of an ensemble say to each other. The order of the variants is their kind on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// The first message in each direction, once.
    Hello(Hello),
    /// Asks for the entries of the receiver that were written after this sequence number, now and from now on.
    Follow(Follow),
    /// Entries of the sender, in the order of their sequence numbers.
    Entries(Entries),
    /// Where the sender stands, whenever that changed and everything that it says before was said.
    State(State),
    /// Asks for the list of chunks of a content, from one of its chunks on.
    Describe(Describe),
    /// A page of it.
    Chunks(ChunkPage),
    /// Asks for slices of contents. Each is answered, in this order.
    Fetch(Vec<Slice>),
    /// The next slice that was asked for; its bytes follow raw.
    Bytes(Packed),
    /// The next slice, or the list, that was asked for is not to be had here.
    Lacking,
    /// Chunks, counted from 0, that the sender has of a content that it is still fetching.
    Having(Having),
    /// Addresses at which other members of the ensemble listen.
    Roster(Vec<SocketAddr>),
    /// Says that the sender lives.
    Alive,
    /// The last message.
    Bye(Reason),
}

/// Who the other side is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The running program, the same on all its links.
    pub member: MemberId,
    /// Whose entries it tells.
    pub device: Device,
    /// The port on which the sender accepts links; 0 if it does not.
    pub port: u16,
    /// How people call this computer, for people only: at most [`LABEL_LEN_MAX`] bytes.
    pub label: String,
    /// What the sender can do beyond version 1, as bits. None is defined yet; unknown bits are ignored.
    pub abilities: u64,
}

/// From where on somebody follows a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// The device that the sender takes the receiver for. If it is another one, all entries are meant.
    pub device: Device,
    /// The last sequence number that it has heard.
    pub after: u64,
}

/// Entries of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entries {
    /// Whose.
    pub device: Device,
    /// The entries.
    pub rows: Vec<Row>,
    /// All entries up to this sequence number were told.
    pub through: u64,
    /// Whether more follow at once: what is to be done shows when they have come.
    pub more: bool,
}

/// An entry and its path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Which write of its device this was.
    pub sequence: u64,
    /// Where.
    pub path: TreePath,
    /// What.
    pub entry: Entry,
}

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Up to which sequence number it has heard the receiver's entries.
    pub heard: u64,
    /// The last sequence number of its own.
    pub last: u64,
    /// How many paths it has that are not as they should be, of which others told.
    pub behind: u64,
    /// Whether it is about to change something, as far as it knows.
    pub busy: bool,
}

impl State {
    /// Whether everything there is as it should be, as far as that member knows.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.behind == 0 && !self.busy
    }
}

/// Asks for a list of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Describe {
    /// Of this content.
    pub content: ContentHash,
    /// A content whose list the sender has.
    pub base: Option<ContentHash>,
    /// From this chunk on, counted from 0.
    pub from: u32,
}

/// Consecutive chunks of a content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkPage {
    /// Which content.
    pub content: ContentHash,
    /// How many chunks it has in all.
    pub total: u32,
    /// The place of the first one on this page.
    pub from: u32,
    /// The chunks.
    pub pieces: Vec<Piece>,
}

/// Some chunks of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Piece {
    /// Consecutive chunks of the base, by their places there.
    Old {
        /// The first one.
        first: u32,
        /// How many.
        count: u32,
    },
    /// One that is not in the base, or not there.
    New(Chunk),
}

/// A stretch of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Slice {
    /// Which content.
    pub content: ContentHash,
    /// From where on, in bytes.
    pub offset: u64,
    /// How many bytes, at most [`CHUNK_LEN_MAX`].
    pub len: u32,
}

/// How many bytes follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Packed {
    /// The slice as it is, of its own length.
    Plain,
    /// So many bytes, which are the next ones of this direction's stream in the Zstandard format (RFC 8878), up to a
    /// flush after the slice. At most [`packed_max`].
    Zstd(u32),
    /// So many bytes, which are one block in the LZ4 block format, of this slice alone. At most [`packed_max`].
    Lz4(u32),
}

/// The most bytes that a slice of this length takes when it is packed: what cannot be compressed grows by a few headers.
#[must_use]
pub const fn packed_max(len: usize) -> usize {
    len + len / 64 + 64
}

/// Chunks of a content that is still being fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Having {
    /// Which content.
    pub content: ContentHash,
    /// Additions, as first chunk and count: at most [`HAVE_RUNS_MAX`] runs, in their order, none empty, none over another.
    pub runs: Vec<(u32, u32)>,
}

/// Why a link ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The sender stops.
    Leaving,
    /// There is another link between the two.
    Twice,
    /// The link leads from a member to itself.
    Oneself,
    /// The sender has as many links as it wants.
    TooMany,
    /// The receiver broke the protocol.
    Fault,
    /// The key of the link is used up, or the sender's device is a new one; a new link is welcome.
    Renew,
}

impl Message {
    /// Appends the message as a frame.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        frame::append(out, |out| codec::encode(self, out));
    }

    /// Whether everything in it is within its bounds, as far as it shows without knowing anything else.
    fn is_sound(&self) -> bool {
        match self {
            Message::Hello(hello) => hello.label.len() <= LABEL_LEN_MAX,
            Message::Entries(entries) => {
                entries.rows.is_sorted_by(|a, b| a.sequence < b.sequence)
                    && entries.rows.last().is_none_or(|last| last.sequence <= entries.through)
                    && entries.rows.iter().all(|row| is_sound(&row.entry))
            }
            Message::Chunks(page) => {
                page.pieces.len() <= CHUNK_PAGE
                    && page.pieces.iter().all(|piece| match piece {
                        Piece::Old { count, .. } => *count > 0,
                        Piece::New(chunk) => chunk.len > 0 && chunk.len as usize <= CHUNK_LEN_MAX,
                    })
            }
            Message::Fetch(slices) => {
                (1..=FETCH_SLICES_MAX).contains(&slices.len())
                    && slices.iter().all(|slice| {
                        slice.len as usize <= CHUNK_LEN_MAX
                            && slice
                                .offset
                                .checked_add(slice.len.into())
                                .is_some_and(|end| end <= FILE_LEN_MAX)
                    })
            }
            Message::Bytes(Packed::Zstd(len) | Packed::Lz4(len)) => {
                (1..=packed_max(CHUNK_LEN_MAX)).contains(&(*len as usize))
            }
            Message::Having(having) => {
                having.runs.len() <= HAVE_RUNS_MAX
                    && having
                        .runs
                        .iter()
                        .all(|&(first, count)| count > 0 && first.checked_add(count).is_some())
                    && having.runs.is_sorted_by(|&(first, count), &(next, _)| first + count <= next)
            }
            Message::Roster(addresses) => addresses.len() <= ROSTER_MAX,
            _ => true,
        }
    }
}

/// Whether an entry is one that an honest member could have.
fn is_sound(entry: &Entry) -> bool {
    let content = match &entry.content {
        Content::File { size, .. } => *size <= FILE_LEN_MAX,
        Content::Link(text) => (1..=LINK_TEXT_LEN_MAX).contains(&text.len()) && !text.contains('\0'),
        Content::Gone | Content::Folder => true,
    };
    // Its author knew it.
    content && entry.known.has(entry.dot)
}

/// The longest body of a message of this kind; none for kinds that do not exist.
#[must_use]
pub const fn body_max(kind: u8) -> Option<usize> {
    match kind {
        0 => Some(FRAME_SMALL_MAX + LABEL_LEN_MAX),
        2 => Some(FRAME_ENTRIES_MAX),
        1 | 3 | 7 | 8 | 11 | 12 => Some(FRAME_SMALL_MAX),
        4 => Some(2 * FRAME_SMALL_MAX),
        5 => Some(FRAME_CHUNKS_MAX),
        6 => Some(FRAME_FETCH_MAX),
        9 => Some(HAVE_RUNS_MAX * 10 + FRAME_SMALL_MAX),
        10 => Some(FRAME_ROSTER_MAX),
        _ => None,
    }
}

/// Reads messages from slices that end anywhere.
///
/// After a [`Message::Bytes`] the caller takes the bytes of the slice off the stream itself.
#[derive(Debug)]
pub struct Decoder(Assembler);

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder(Assembler::new(body_max))
    }
}

impl Decoder {
    /// Takes one message from the front of `input`, or all of `input` if the message is not whole yet.
    ///
    /// # Errors
    /// The bytes are no message; the stream cannot be read any further.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Message>, WireError> {
        let Some((kind, body)) = self.0.next(input)? else { return Ok(None) };
        let message: Option<Message> = codec::decode(body.bytes());
        message.filter(Message::is_sound).map(Some).ok_or(WireError::Body(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Attributes, Dot, Known};
    use crate::limits::{AUTHORS_MAX, ENTRY_LEN_MAX, TREE_PATH_LEN_MAX};

    fn dot(counter: u64) -> Dot {
        Dot { device: Device::from_bits(7), counter }
    }

    fn entry(content: Content) -> Entry {
        Entry {
            content,
            attributes: Attributes { mtime: -1, executable: true },
            replaced: None,
            dot: dot(9),
            known: Known::only(dot(9)),
        }
    }

    fn row(sequence: u64, entry: Entry) -> Row {
        Row { sequence, path: TreePath::parse("a/b").unwrap(), entry }
    }

    fn entries(rows: Vec<Row>, through: u64) -> Message {
        Message::Entries(Entries { device: Device::from_bits(7), rows, through, more: false })
    }

    fn messages() -> Vec<Message> {
        let hash = ContentHash::from_bytes([5; 32]);
        vec![
            Message::Hello(Hello {
                member: MemberId::from_bytes([1; 16]),
                device: Device::from_bits(7),
                port: 10_001,
                label: "attic".to_owned(),
                abilities: 0,
            }),
            Message::Follow(Follow { device: Device::from_bits(7), after: 300 }),
            entries(vec![row(3, entry(Content::File { size: 5, hash })), row(4, entry(Content::Gone))], 4),
            Message::State(State { heard: 1, last: 2, behind: 3, busy: true }),
            Message::Describe(Describe { content: hash, base: Some(hash), from: 1 }),
            Message::Chunks(ChunkPage {
                content: hash,
                total: 3,
                from: 0,
                pieces: vec![Piece::Old { first: 1, count: 2 }, Piece::New(Chunk { hash, len: 9 })],
            }),
            Message::Fetch(vec![Slice { content: hash, offset: 1 << 40, len: 70_000 }]),
            Message::Bytes(Packed::Zstd(300)),
            Message::Bytes(Packed::Lz4(300)),
            Message::Lacking,
            Message::Having(Having { content: hash, runs: vec![(0, 3)] }),
            Message::Roster(vec!["192.0.2.1:10001".parse().unwrap()]),
            Message::Alive,
            Message::Bye(Reason::Renew),
        ]
    }

    fn decode(message: &Message) -> Result<Option<Message>, WireError> {
        let mut bytes = Vec::new();
        message.append_to(&mut bytes);
        let mut input = bytes.as_slice();
        let decoded = Decoder::default().next(&mut input);
        assert!(decoded.is_err() || input.is_empty());
        decoded
    }

    #[test]
    fn what_is_said_is_heard() {
        for message in messages() {
            assert_eq!(decode(&message), Ok(Some(message.clone())), "{message:?}");
        }
    }

    #[test]
    fn the_longest_entry_fits() {
        let mut known = Known::default();
        (0..AUTHORS_MAX as u64).for_each(|at| {
            known.insert(Dot { device: Device::from_bits(u64::MAX - at), counter: u64::MAX });
        });
        let dot = Dot { device: Device::from_bits(u64::MAX), counter: u64::MAX };
        let names = "x/".repeat(TREE_PATH_LEN_MAX / 2);
        let longest = Row {
            sequence: u64::MAX,
            path: TreePath::parse(&names[..names.len() - 1]).unwrap(),
            entry: Entry {
                content: Content::Link("y".repeat(LINK_TEXT_LEN_MAX)),
                attributes: Attributes { mtime: i64::MIN, executable: true },
                replaced: Some(ContentHash::from_bytes([1; 32])),
                dot,
                known,
            },
        };
        let mut bytes = Vec::new();
        codec::encode(&longest, &mut bytes);
        assert!(bytes.len() <= ENTRY_LEN_MAX, "{}", bytes.len());
        let message = entries(vec![longest], u64::MAX);
        assert_eq!(decode(&message), Ok(Some(message)));
    }

    #[test]
    fn what_no_honest_member_says_is_refused() {
        let hash = ContentHash::from_bytes([5; 32]);
        let unknown = Entry { known: Known::only(dot(8)), ..entry(Content::Folder) };
        let slices = |slice: Slice, count| Message::Fetch(vec![slice; count]);
        let slice = Slice { content: hash, offset: 0, len: 1 };
        for message in [
            entries(vec![row(4, entry(Content::Gone)), row(4, entry(Content::Gone))], 4),
            entries(vec![row(5, entry(Content::Gone))], 4),
            entries(vec![row(1, unknown)], 4),
            entries(vec![row(1, entry(Content::Link(String::new())))], 4),
            entries(vec![row(1, entry(Content::Link("a\0".to_owned())))], 4),
            entries(vec![row(1, entry(Content::File { size: FILE_LEN_MAX + 1, hash }))], 4),
            slices(slice, 0),
            slices(slice, FETCH_SLICES_MAX + 1),
            slices(Slice { offset: u64::MAX, ..slice }, 1),
            slices(Slice { len: u32::MAX, ..slice }, 1),
            Message::Bytes(Packed::Zstd(0)),
            Message::Bytes(Packed::Lz4(0)),
            Message::Having(Having { content: hash, runs: vec![(1, 0)] }),
            Message::Having(Having { content: hash, runs: vec![(u32::MAX, 1)] }),
            Message::Having(Having { content: hash, runs: vec![(0, 3), (2, 1)] }),
            Message::Chunks(ChunkPage {
                content: hash,
                total: 1,
                from: 0,
                pieces: vec![Piece::New(Chunk { hash, len: 0 })],
            }),
            Message::Chunks(ChunkPage {
                content: hash,
                total: 1,
                from: 0,
                pieces: vec![Piece::Old { first: 0, count: 0 }],
            }),
        ] {
            assert!(
                matches!(decode(&message), Err(WireError::Body(_) | WireError::FrameLen { .. })),
                "{message:?}"
            );
        }
    }

    #[test]
    fn a_path_that_leaves_the_folder_is_no_message() {
        let mut bytes = Vec::new();
        entries(vec![row(1, entry(Content::Folder))], 1).append_to(&mut bytes);
        let at = bytes.windows(3).position(|three| three == b"a/b").unwrap();
        bytes[at..at + 3].copy_from_slice(b"../");
        assert_eq!(Decoder::default().next(&mut bytes.as_slice()), Err(WireError::Body(2)));
    }

    #[test]
    fn what_a_version_knows_is_in_order() {
        let mut known = Known::only(dot(9));
        known.insert(Dot { device: Device::from_bits(1), counter: 2 });
        let mut bytes = Vec::new();
        entries(vec![row(1, Entry { known, ..entry(Content::Folder) })], 1).append_to(&mut bytes);
        // The two pairs of a small device and counter each, changed with each other.
        let at = bytes.windows(4).position(|four| four == [1, 2, 7, 9]).unwrap();
        bytes[at..at + 4].copy_from_slice(&[7, 9, 1, 2]);
        assert_eq!(Decoder::default().next(&mut bytes.as_slice()), Err(WireError::Body(2)));
    }
}
