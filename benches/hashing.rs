//! How fast parts are hashed: one at a time by the `sha1` crate, and several at a time.
//!
//! `cargo bench --bench hashing` measures one core; on a busy machine, believe the best of several runs.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use orchestra::digest;
use orchestra::limits::{KIB, MIB};
use sha1::Digest as _;

fn hashing(criterion: &mut Criterion) {
    for part_len in [16 * KIB, MIB] {
        let mut group = criterion.benchmark_group(format!("parts of {} KiB", part_len / KIB));
        let part = vec![7; part_len];
        group.throughput(Throughput::Bytes(part_len as u64));
        group.bench_function("one by the sha1 crate", |bencher| {
            bencher.iter(|| sha1::Sha1::digest(black_box(&part)));
        });
        // Fewer than there are lanes, as many, and numbers that leave lanes empty at the end.
        for count in [1, 2, 3, 4, 5, 6, 8] {
            let bytes: Vec<u8> = (0..=250).cycle().take(count * part_len).collect();
            let parts: Vec<&[u8]> = bytes.chunks(part_len).collect();
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_with_input(BenchmarkId::new("of_many", count), &parts, |bencher, parts| {
                bencher.iter(|| digest::of_many(black_box(parts)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, hashing);
criterion_main!(benches);
