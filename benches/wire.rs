//! What the bytes between members cost: frames written and read, records sealed and opened.
//!
//! `cargo bench --bench wire` measures one core; on a busy machine, believe the best of several runs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use orchestra::identity::{LinkKey, MemberId};
use orchestra::limits::{
    HAVE_RUNS_MAX, KIB, PARTS_MAX, RECORD_LEN_MAX, RECORD_PLAIN_MAX, RECORD_TAG_LEN, RECORDS_PER_CALL,
    ROSTER_MAX,
};
use orchestra::part::Layout;
use orchestra::part_set::PartSet;
use orchestra::wire::classic::mask::Mask;
use orchestra::wire::member::{Decoder, Have, Hello, Message, Span};
use orchestra::wire::seal::{Initiator, Opener, RECORD_HEADER_LEN, Sealer, respond};

const KEY: LinkKey = LinkKey::from_bytes([7; 32]);
const PROLOGUE: &[u8] = b"as long as a preamble";

fn messages() -> Vec<(&'static str, Message)> {
    let span = |first: usize| Span { first: u32::try_from(first).expect("few spans"), count: 64 };
    let address = |last: usize| format!("10.0.0.{last}:10001").parse().expect("an address");
    vec![
        (
            "hello",
            Message::Hello(Hello { member: MemberId::from_bytes([7; 16]), port: 10_001, abilities: 0 }),
        ),
        ("want", Message::Want(span(100_000))),
        ("have of one run", Message::Have(Have::Runs(vec![span(100_000)]))),
        ("have of the most runs", Message::Have(Have::Runs((0..HAVE_RUNS_MAX).map(span).collect()))),
        ("have of the most parts", Message::Have(Have::Bits(vec![0xa5; PARTS_MAX as usize / 8]))),
        ("roster", Message::Roster((0..ROSTER_MAX).map(address).collect())),
    ]
}

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frames");
    for (name, message) in messages() {
        let mut bytes = Vec::new();
        message.append_to(&mut bytes);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::new("write", name), |bencher| {
            let mut out = Vec::new();
            bencher.iter(|| {
                out.clear();
                black_box(&message).append_to(&mut out);
            });
        });
        group.bench_function(BenchmarkId::new("read", name), |bencher| {
            let mut decoder = Decoder::default();
            bencher.iter(|| decoder.next(&mut black_box(bytes.as_slice())));
        });
    }
    group.finish();
}

/// Sets of parts of the classic protocol, up to the largest.
fn masks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("masks");
    group.sample_size(10);
    for parts in [2_048, 14_280, PARTS_MAX / 4, PARTS_MAX] {
        let layout = Layout::new(parts.into(), 1).expect("a layout");
        let set = PartSet::full(layout);
        let mask = Mask::of(&set);
        group.bench_function(BenchmarkId::new("write", parts), |bencher| {
            bencher.iter(|| Mask::of(black_box(&set)));
        });
        group.bench_function(BenchmarkId::new("read", parts), |bencher| {
            bencher.iter(|| black_box(&mask).read(layout));
        });
    }
    group.finish();
}

/// What one side seals, the other opens.
fn link() -> (Sealer, Opener) {
    let (initiator, message) = Initiator::start(&KEY, PROLOGUE);
    let (_, opener, answer) = respond(&KEY, PROLOGUE, &message).expect("the key is the same");
    let (sealer, _) = initiator.finish(&answer).expect("the key is the same");
    (sealer, opener)
}

fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("records");
    for plain in [KIB, 16 * KIB, RECORD_PLAIN_MAX] {
        let len = RECORD_HEADER_LEN + plain + RECORD_TAG_LEN;
        assert!(len <= RECORD_HEADER_LEN + RECORD_LEN_MAX);
        // As many as travel together, so that they lie in the cache as they do on a link.
        let mut buffer = vec![7; len * RECORDS_PER_CALL];
        group.throughput(Throughput::Bytes(plain as u64));
        group.bench_function(BenchmarkId::new("seal", plain), |bencher| {
            bencher.iter_custom(|count| timed(count, &mut buffer, len, Side::Seal));
        });
        group.bench_function(BenchmarkId::new("open", plain), |bencher| {
            bencher.iter_custom(|count| timed(count, &mut buffer, len, Side::Open));
        });
    }
    group.finish();
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Seal,
    Open,
}

/// Seals and opens `count` records of this length; the time that one side of it took.
fn timed(count: u64, buffer: &mut [u8], len: usize, side: Side) -> Duration {
    let (mut sealer, mut opener) = link();
    let (mut spent, mut left) = (Duration::ZERO, usize::try_from(count).expect("a count"));
    while left > 0 {
        let together = left.min(RECORDS_PER_CALL);
        let records = &mut buffer[..len * together];
        let start = Instant::now();
        for record in records.chunks_mut(len) {
            sealer.seal(record).expect("the key is not used up");
        }
        let sealed = Instant::now();
        for record in records.chunks_mut(len) {
            opener.open(&mut record[RECORD_HEADER_LEN..]).expect("it is the next record");
        }
        spent += if side == Side::Seal { sealed - start } else { sealed.elapsed() };
        left -= together;
    }
    spent
}

fn handshake(criterion: &mut Criterion) {
    criterion.bench_function("handshake, both sides", |bencher| {
        bencher.iter(link);
    });
}

criterion_group!(benches, frames, masks, records, handshake);
criterion_main!(benches);
