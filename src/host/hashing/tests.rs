use super::*;
use crate::limits::PART_LEN_MAX;
use proptest::prelude::*;
use std::io::Write;
use std::sync::Mutex;

/// Bytes in which no two parts are alike.
fn noise(len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(len as u64);
    let mut bytes = vec![0; len];
    random.fill(&mut bytes);
    bytes
}

fn file_with(bytes: &[u8]) -> File {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn path() -> &'static Path {
    Path::new("song")
}

fn parts_of(file: &File, layout: Layout) -> Result<Vec<Option<Digest>>, HostError> {
    let found = Mutex::new(vec![None; layout.parts() as usize]);
    hash_parts(file, path(), layout, &AtomicBool::new(false), |run, digests| {
        assert_eq!(run.count() as usize, digests.len());
        for (part, &digest) in run.parts().zip(digests) {
            let before = found.lock().unwrap()[part.at()].replace(digest);
            assert_eq!(before, None, "each part is found once");
        }
    })?;
    Ok(found.into_inner().unwrap())
}

fn expected(bytes: &[u8], layout: Layout) -> Vec<Digest> {
    bytes.chunks(layout.part_len() as usize).map(Digest::of).collect()
}

/// Both ways of hashing this many bytes agree with the plain one.
fn check(len: usize, part_len: u32) {
    let bytes = noise(len);
    let layout = Layout::new(len as u64, part_len.into()).unwrap();
    let file = file_with(&bytes);
    let digests = expected(&bytes, layout);
    let found = parts_of(&file, layout).unwrap();
    assert!(found.into_iter().eq(digests.iter().copied().map(Some)), "{len} in parts of {part_len}");

    let mut seen = 0;
    let stop = AtomicBool::new(false);
    let (whole, parts) = digest_whole_and_parts(&file, path(), layout, &stop, |done| {
        assert!(done > seen);
        seen = done;
    })
    .unwrap()
    .unwrap();
    assert_eq!(whole, Digest::of(&bytes));
    assert!(parts == digests, "{len} in parts of {part_len}");
    assert_eq!(seen, len as u64);
}

#[test]
fn parts_of_every_kind() {
    check(0, 16_384);
    check(1, 1);
    check(142_044, 16_384);
    // Many stretches, the last part shorter.
    check((5 << 20) + 1, 16 << 10);
    check(5 << 20, 1 << 20);
    // The longest part that goes through memory whole, and longer ones in slices.
    check((9 << 20) + 7, HASH_STRETCH_MAX);
    check((9 << 20) + 7, HASH_STRETCH_MAX + 1);
    check((17 << 20) + 5, PART_LEN_MAX);
    check(1_000, PART_LEN_MAX);
}

#[test]
fn parts_of_one_byte() {
    check(20_000, 1);
    check(20_001, 3);
}

#[test]
fn stretches_tile_the_parts_within_their_bounds() {
    for (size, part_len) in
        [(1 << 20, 1), (5 << 20, 1 << 10), (1 << 30, 1 << 20), (1 << 30, 5 << 20), (7, 10)]
    {
        let layout = Layout::new(size, part_len).unwrap();
        let per_stretch = parts_per_stretch(layout);
        let mut next = 0;
        for run in (0..).map_while(|number| stretch(layout, per_stretch, number)) {
            assert_eq!(run.first().get(), next);
            assert!(run.count() <= HASH_STRETCH_PARTS_MAX);
            assert!(run.count() == 1 || layout.bytes_of(run) <= u64::from(HASH_STRETCH_MAX));
            next += run.count();
        }
        assert_eq!(next, layout.parts());
        assert_eq!(stretch(layout, per_stretch, u32::MAX), None);
    }
}

#[test]
fn holes_have_the_digest_of_zeros() {
    // Data at both ends and in the middle; in between holes, also in part of a part.
    let len = (20 << 20) + 333;
    let mut bytes = vec![0; len];
    let file = tempfile::tempfile().unwrap();
    file.set_len(len as u64).unwrap();
    for (start, count) in [(0, 5_000), (7 << 20, 100_000), (len - 10, 10)] {
        let data = noise(count);
        file.write_all_at(&data, start as u64).unwrap();
        bytes[start..start + count].copy_from_slice(&data);
    }
    for part_len in [16 << 10, 100_000, 1 << 20, 5 << 20] {
        let layout = Layout::new(len as u64, part_len).unwrap();
        let found: Option<Vec<Digest>> = parts_of(&file, layout).unwrap().into_iter().collect();
        assert!(found == Some(expected(&bytes, layout)), "parts of {part_len}");
    }
}

#[test]
fn a_hole_of_a_tebibyte_is_not_read() {
    let file = tempfile::tempfile().unwrap();
    let layout = Layout::new((1 << 40) - 1, 1 << 20).unwrap();
    if file.set_len(layout.size()).is_err()
        || rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(0)) != Err(rustix::io::Errno::NXIO)
    {
        writeln!(io::stderr(), "skipped: needs a file system with files of 1 TiB that knows its holes")
            .unwrap();
        return;
    }
    let (full, short) = (Digest::of(&vec![0; 1 << 20]), Digest::of(&vec![0; (1 << 20) - 1]));
    let found = parts_of(&file, layout).unwrap();
    let (last, others) = found.split_last().unwrap();
    assert!(others.iter().all(|digest| *digest == Some(full)));
    assert_eq!(*last, Some(short));
}

#[test]
fn a_file_that_is_too_short_names_the_part() {
    // The file ends inside part 4 of 5; parts 1 to 3 are there.
    for (len, part_len) in [(50_000, 10_000_u64), (25 << 20, 5 << 20)] {
        let layout = Layout::new(len, part_len).unwrap();
        let file = tempfile::tempfile().unwrap();
        file.set_len(len - part_len - 1).unwrap();
        let stop = AtomicBool::new(false);
        for error in [
            parts_of(&file, layout).unwrap_err(),
            digest_whole_and_parts(&file, path(), layout, &stop, |_| ()).unwrap_err(),
        ] {
            assert_eq!(error.to_string(), "cannot read part 4 of song");
            assert_eq!(error.io().kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}

#[test]
fn a_stop_ends_the_work() {
    let bytes = noise(3 << 20);
    let file = file_with(&bytes);
    let layout = Layout::new(3 << 20, 1 << 10).unwrap();
    let stop = AtomicBool::new(true);
    hash_parts(&file, path(), layout, &stop, |_, _| panic!("nothing is hashed")).unwrap();

    // Stopped after the first stretch.
    let stop = AtomicBool::new(false);
    let digests =
        digest_whole_and_parts(&file, path(), layout, &stop, |_| stop.store(true, Ordering::Relaxed));
    assert_eq!(digests.unwrap(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_layout_gives_the_plain_digests(len in 0usize..70_000, part_len in 1u32..70_000) {
        prop_assume!(len.div_ceil(part_len as usize) < 5_000);
        check(len, part_len);
    }
}
