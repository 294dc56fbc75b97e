//! What a change costs on the wire, counted by the card of one of two computers.

use std::fs;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use orchestra::key::EnsembleKey;

use crate::common::skipped;
use crate::common::swarm::Member;
use crate::folders::Folders;
use crate::network::{self, Network};
use crate::scenes::until;

const KIB: u64 = 1 << 10;
/// What is asked of a file of 1 GiB, and must not depend on its length.
const FEW: u64 = 512 * KIB;
const HARDLY: u64 = 64 * KIB;

#[test]
fn only_what_changed_travels() {
    if let Some(what) = network::missing() {
        return skipped(&format!("bytes on the wire: {what}"));
    }
    let network = Network::new(2, 1_000);
    let folders = Folders::new();
    folders.write("key", &EnsembleKey::from_bytes([9; 32]).to_string());
    let mut bytes = vec![0; 48 << 20];
    fastrand::Rng::with_seed(9).fill(&mut bytes);
    fs::create_dir(folders.path("a")).unwrap();
    let (mine, theirs) = (folders.path("a/large"), folders.path("b/large"));
    fs::write(&mine, &bytes).unwrap();
    let start = |number: u8, name: &str, arguments: &[&str]| {
        let command =
            folders.command(&[&[name, "--json", "--key-file", "key", "--no-lan"], arguments].concat());
        Member::start(&mut network.host(number).command(&command))
    };
    let address = format!("{}:7000", network.host(1).v4());
    let _a = start(1, "a", &["--listen", &address]);
    let _b = start(2, "b", &["--member", &address]);
    let cost = |what: &str, most: u64, change: &dyn Fn(), is_there: &dyn Fn() -> bool| {
        let before = network.host(2).carried();
        change();
        until(what, is_there);
        let carried = network.host(2).carried() - before;
        println!("{what}: {carried} bytes");
        assert!(carried <= most, "{what}: {carried} bytes");
    };
    let len = bytes.len() as u64;
    cost("a new file", len + len / 50, &|| {}, &|| theirs.exists());
    // Each check reads the file only if it is another one than before.
    let modified = || fs::metadata(&theirs).unwrap().modified().unwrap();
    let before = modified();
    bytes[20 << 20] ^= 1;
    let flip = || {
        let file = fs::File::options().write(true).open(&mine).unwrap();
        file.write_all_at(&bytes[20 << 20..][..1], 20 << 20).unwrap();
    };
    cost("one byte", FEW, &flip, &|| modified() != before && fs::read(&theirs).unwrap() == bytes);
    let before = modified();
    bytes.splice(..0, [7; 1 << 10]);
    let insert = || {
        fs::write(folders.path("longer"), &bytes).unwrap();
        fs::rename(folders.path("longer"), &mine).unwrap();
    };
    cost("1 KiB at the front", FEW, &insert, &|| modified() != before && fs::read(&theirs).unwrap() == bytes);
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let touch = || fs::File::options().write(true).open(&mine).unwrap().set_modified(then).unwrap();
    cost("a touch", HARDLY, &touch, &|| modified() == then);
    let (source, copy) = (folders.path("a/copy"), folders.path("b/copy"));
    let is_copied = || copy.exists() && fs::read(&copy).unwrap() == bytes;
    cost("a copy", HARDLY, &|| assert_eq!(fs::copy(&mine, &source).unwrap(), bytes.len() as u64), &is_copied);
    let renamed = folders.path("b/renamed");
    let rename = || fs::rename(&mine, folders.path("a/renamed")).unwrap();
    cost("a rename", HARDLY, &rename, &|| renamed.exists() && !theirs.exists());
    assert!(fs::read(&renamed).unwrap() == bytes);
}
