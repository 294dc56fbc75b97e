//! How files are cut into chunks.

use std::sync::atomic::AtomicBool;

use orchestra::entry::TreePath;
use orchestra::host::folder::{Beneath, content};
use orchestra::limits;

use crate::page::PAGE;

/// The bytes on the page of which it says where they are cut.
pub(crate) fn noise() -> Vec<u8> {
    let mut noise = vec![0; 1_000_001];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    noise
}

/// What a member makes of a file with these bytes.
pub(crate) fn contents(bytes: &[u8]) -> content::Contents {
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
