//! Bytes in sealed records at one connection to a conductor's catalogue.

use orchestra::conductor::catalogue::connection::{Connection, Question};
use orchestra::limits::RECORD_TAG_LEN;
use orchestra::part::Layout;
use orchestra::wire::catalogue::{Refusal, Reply, preamble};
use orchestra::wire::seal::{Caller, ConductorKey, RECORD_HEADER_LEN};

const KEY: ConductorKey = ConductorKey::from_bytes([5; 32]);

/// Questions come out the same however records and bytes are cut; each is answered, and nothing is answered unasked.
///
/// The first byte says how long the records are, and the pieces in which they come.
pub fn connection(bytes: &[u8]) {
    let Some((&cut, plain)) = bytes.split_first() else { return };
    let whole = asked(plain, 1_000, usize::MAX);
    assert_eq!(asked(plain, usize::from(cut & 15) + 1, usize::from(cut >> 4) + 1), whole);
    // Without a handshake.
    let mut connection = Connection::new();
    let mut input = bytes;
    while let Ok(Some(_)) = connection.take(&KEY, &mut input) {}
}

/// What is asked by these bytes, in records of this length, that come in pieces of that one.
fn asked(plain: &[u8], record: usize, piece: usize) -> (Vec<String>, bool) {
    let (caller, message) = Caller::start(&preamble());
    let mut connection = Connection::new();
    assert!(matches!(connection.take(&KEY, &mut message.as_slice()), Ok(None)));
    let answer = connection.unsent().try_into().expect("the answer has its length");
    let mut called = caller.finish(&answer).expect("it was made for this message");
    connection.sent(answer.len());
    let mut stream = Vec::new();
    for plain in plain.chunks(record) {
        let start = stream.len();
        stream.extend_from_slice(&[0; RECORD_HEADER_LEN]);
        stream.extend_from_slice(plain);
        stream.extend_from_slice(&[0; RECORD_TAG_LEN]);
        called.sealer.seal(&mut stream[start..]).expect("the key lasts");
    }
    let mut questions = Vec::new();
    for mut input in stream.chunks(piece.min(stream.len().max(1))) {
        loop {
            match connection.take(&KEY, &mut input) {
                Ok(None) => break,
                Err(_) => return (questions, false),
                Ok(Some(question)) => answer_to(&mut connection, &question, &mut questions),
            }
        }
        assert!(input.is_empty(), "without a question everything is taken");
    }
    (questions, true)
}

fn answer_to(connection: &mut Connection, question: &Question, questions: &mut Vec<String>) {
    questions.push(format!("{question:?}"));
    if let Question::Publish(composition) = question
        && let Ok(layout) = Layout::new(composition.size, composition.part_len.into())
        && connection.gather(layout.parts(), Err(Refusal::Busy)).is_none()
    {
        return;
    }
    connection.reply(&Reply::Refused(Refusal::Busy)).expect("the key lasts");
    let len = connection.unsent().len();
    assert!(len > 0, "a reply is sent");
    connection.sent(len);
}
