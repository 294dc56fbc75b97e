//! How fast an ensemble's folder is looked at, read and remembered.
//!
//! `cargo bench --bench folder` measures with files that are in memory: contents and what is taken on all cores, the rest
//! on one.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use orchestra::entry::{Attributes, Content, ContentHash, Device, Dot, Entry, Known, TreePath};
use orchestra::host::folder::beneath::Beneath;
use orchestra::host::folder::facts::Facts;
use orchestra::host::folder::index::{self, Change, Found, Index};
use orchestra::host::folder::root::{IfNew, Root};
use orchestra::host::folder::rules::Rules;
use orchestra::host::folder::temp::Temp;
use orchestra::host::folder::{content, scan};
use orchestra::limits::MIB;

const FILES: u64 = 100_000;
const US: Device = Device::from_bits(1);

fn tree(text: &str) -> TreePath {
    TreePath::parse(text).expect("it is a path")
}

/// A file is read once and cut into chunks, and each of them is hashed.
fn contents(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a place for the files");
    let folder = Beneath::open(dir.path()).expect("it was just made");
    let mut group = criterion.benchmark_group("contents");
    group.sample_size(10);
    // Averages of 64, 128 and 256 KiB.
    for mib in [64, 1_024, 2_048] {
        let name = format!("{mib} MiB");
        fill(&dir.path().join(&name), mib);
        let (path, stop) = (tree(&name), AtomicBool::new(false));
        group.throughput(Throughput::Bytes(mib * MIB as u64));
        group.bench_function(&name, |bencher| {
            bencher.iter(|| black_box(content::read(&folder, &path, &stop).expect("it is a file")));
        });
        fs::remove_file(dir.path().join(&name)).expect("it is ours");
    }
    group.finish();
}

/// A file with so many MiB of noise.
fn fill(path: &Path, mib: u64) {
    let mut file = File::create(path).expect("there is room");
    let mut random = fastrand::Rng::with_seed(mib);
    let mut piece = vec![0; MIB];
    for _ in 0..mib {
        random.fill(&mut piece);
        file.write_all(&piece).expect("there is room");
    }
}

/// A content is put together from a local file by two threads, each of which takes a half; and found again.
fn takes(criterion: &mut Criterion) {
    const TAKEN_MIB: u64 = 1_024;
    let dir = tempfile::tempdir().expect("a place for the folder");
    let root = Arc::new(Root::open(dir.path(), IfNew::Make).expect("it is empty"));
    fill(&dir.path().join("source"), TAKEN_MIB);
    let stop = AtomicBool::new(false);
    let contents = content::read(root.beneath(), &tree("source"), &stop);
    let contents = contents.expect("it is a file").expect("nobody stops it");
    let source = File::open(dir.path().join("source")).expect("it was just made");
    let size = contents.facts.size;
    let open = || Temp::open(&root, contents.hash, size, contents.chunks.clone()).expect("the list is right");
    let take = |temp: &Temp, chunks: Range<usize>| {
        let taken = temp.take(chunks.clone(), &source, temp.offset(chunks.start), &stop);
        assert_eq!(taken.expect("there is room"), chunks.len());
    };
    let mut group = criterion.benchmark_group("temp");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(size));
    group.bench_function("take 1 GiB with two threads", |bencher| {
        let new = || {
            open().throw_away();
            open()
        };
        let fill = |temp: Temp| {
            let middle = temp.chunks().len() / 2;
            std::thread::scope(|scope| {
                scope.spawn(|| take(&temp, 0..middle));
                take(&temp, middle..temp.chunks().len());
            });
            temp
        };
        bencher.iter_batched(new, fill, BatchSize::PerIteration);
    });
    take(&open(), 0..contents.chunks.len());
    group.bench_function("find it again with one thread", |bencher| {
        bencher.iter_batched(
            open,
            |temp| assert_eq!(temp.resume(&stop).expect("it can be read"), size),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// All the files of a big folder, in the order of paths.
fn rows() -> (Vec<TreePath>, Vec<Entry>) {
    let paths = (0..FILES).map(|number| tree(&format!("some folder/{:03}/file {number}.txt", number / 100)));
    let entries = (0..FILES).map(|number| {
        let dot = Dot { device: US, counter: 1_800_000_000 };
        Entry {
            content: Content::File { size: 1_024, hash: ContentHash::of(&number.to_le_bytes()) },
            attributes: Attributes { mtime: 1_800_000_000_123_456_789, executable: false },
            replaced: None,
            dot,
            known: Known::only(dot),
        }
    });
    (paths.collect(), entries.collect())
}

fn open(folder: &Path) -> Index {
    match index::open(folder) {
        Ok(Found::Whole { index, .. }) => *index,
        found => panic!("it is not whole: {found:?}"),
    }
}

fn indexes(criterion: &mut Criterion) {
    let (paths, entries) = rows();
    let facts = Facts {
        size: 1_024,
        mtime: 1_800_000_000_123_456_789,
        ctime: 1_800_000_000_123_456_789,
        inode: 12_345_678,
        mode: 0o644,
    };
    let all = || {
        let rows = paths.iter().zip(&entries);
        rows.map(|(path, entry)| Change::Own { path, entry, facts: Some(&facts) })
    };
    let new = || {
        let dir = tempfile::tempdir().expect("a place for the index");
        let index = index::create(dir.path(), US).expect("there is none");
        (dir, index)
    };
    let mut group = criterion.benchmark_group("index");
    group.sample_size(10);
    group.throughput(Throughput::Elements(FILES));
    group.bench_function("write 100,000 rows in one transaction", |bencher| {
        let write = |(dir, mut index): (tempfile::TempDir, Index)| {
            index.write(all()).expect("there is room");
            (dir, index)
        };
        bencher.iter_batched(new, write, BatchSize::PerIteration);
    });
    group.bench_function("write them again", |bencher| {
        let written = || {
            let (dir, mut index) = new();
            index.write(all()).expect("there is room");
            (dir, index)
        };
        let write = |(dir, mut index): (tempfile::TempDir, Index)| {
            index.write(all()).expect("there is room");
            (dir, index)
        };
        bencher.iter_batched(written, write, BatchSize::PerIteration);
    });

    let (dir, mut index) = new();
    index.write(all()).expect("there is room");
    index.mark_clean().expect("there is room");
    group.bench_function("read them in the order of paths", |bencher| {
        bencher.iter(|| {
            let (mut count, mut after) = (0, None);
            loop {
                let page = index.own_beneath(None, after.as_ref()).expect("it is whole");
                let Some(last) = page.last() else { break count };
                count += page.len();
                after = Some(last.path.clone());
            }
        });
    });
    group.bench_function("read each by its path", |bencher| {
        bencher.iter(|| paths.iter().filter_map(|path| index.own(path).expect("it is whole")).count());
    });
    group.bench_function("count them", |bencher| bencher.iter(|| index.totals().expect("it is whole")));
    drop(index);
    group.bench_function("open it", |bencher| bencher.iter(|| open(dir.path())));
    group.finish();
}

fn looks(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a place for the files");
    for number in 0..1_000 {
        let folder = dir.path().join(number.to_string());
        fs::create_dir(&folder).expect("there is room");
        for number in 0..FILES / 1_000 {
            fs::write(folder.join(format!("file {number}.txt")), b"").expect("there is room");
        }
    }
    let folder = Beneath::open(dir.path()).expect("it was just made");
    let (rules, _) = Rules::parse("*.o\nbuild/\n").expect("few rules");
    let mut group = criterion.benchmark_group("look");
    group.sample_size(10);
    group.throughput(Throughput::Elements(FILES));
    group.bench_function("100,000 files in 1,000 folders", |bencher| {
        bencher.iter(|| scan::Walk::new(&folder, &rules, None).count());
    });
    group.finish();
}

criterion_group!(benches, contents, takes, indexes, looks);
criterion_main!(benches);
