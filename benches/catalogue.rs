//! What a conductor's catalogue costs with 10,000 listings of 1,000 accounts, and with as many as it takes.
//!
//! `cargo bench --bench catalogue` measures one core and the disk that `$TMPDIR` is on.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use orchestra::account::{AccountId, AccountName};
use orchestra::credential::SessionToken;
use orchestra::digest::Digest;
use orchestra::host::catalogue::{After, Catalogue, Found, NewListing, Report, Session};
use orchestra::host::password::{Password, PasswordHash};
use orchestra::identity::SwarmId;
use orchestra::limits::{LISTINGS_MAX, LISTINGS_PER_PAGE};
use orchestra::logic::catalogue::counts::counted;
use orchestra::name::Name;
use orchestra::part::Layout;
use tempfile::TempDir;

const ACCOUNTS: u32 = 1_000;
/// What the bar is about, and the most.
const SIZES: [u32; 2] = [10_000, 100_000];
const _: () = assert!(SIZES[1] as u64 == LISTINGS_MAX);
/// Parts of each composition.
const PARTS: u32 = 200;
const NOW: Duration = Duration::from_secs(1_800_000_000);
/// Publishes that come at once.
const TOGETHER: u32 = 1_000;

/// One composition by its number.
struct Composition {
    name: Name,
    digest: Digest,
    layout: Layout,
    parts: Vec<Digest>,
}

impl Composition {
    fn new(number: u32) -> Composition {
        let word = ["Symphony", "Sonate", "Étude", "Nocturne", "Réquiem"][number as usize % 5];
        let name = Name::parse(&format!("{word} No. {number:06} in d minor.flac")).expect("it is a name");
        let layout = Layout::new(u64::from(PARTS) * 1_024, 1_024).expect("it is a layout");
        let part = Digest::of(&number.to_le_bytes());
        Composition { name, digest: part, layout, parts: vec![part; PARTS as usize] }
    }

    fn listing(&self) -> NewListing<'_> {
        NewListing { name: &self.name, digest: self.digest, layout: self.layout, parts: &self.parts }
    }
}

struct Scene {
    catalogue: Catalogue,
    accounts: Vec<AccountId>,
    /// Kept until the catalogue is closed.
    _dir: TempDir,
}

impl Scene {
    fn new(listings: u32) -> Scene {
        let dir = tempfile::tempdir().expect("a place for the catalogue");
        let mut catalogue = Catalogue::open(&dir.path().join("catalogue.sqlite")).expect("it is new");
        let hash = PasswordHash::from_text(String::new());
        let accounts = catalogue.write(|writer| {
            let mut accounts = Vec::new();
            for number in 0..ACCOUNTS {
                let name = AccountName::parse(&format!("Account {number}")).expect("it is a name");
                let account = writer.register(&name, &hash, NOW)?.expect("there is room");
                let token = token(number);
                let session = Session { id: token.id(), key: token.key(), account, expires: NOW * 2 };
                writer.open_session(&session, &hash, NOW)?.expect("it has this password");
                accounts.push(account);
            }
            Ok(accounts)
        });
        let mut scene = Scene { catalogue, accounts: accounts.expect("the disk works"), _dir: dir };
        let numbers: Vec<u32> = (0..listings).collect();
        numbers.chunks(TOGETHER as usize).for_each(|numbers| scene.publish(numbers));
        scene
    }

    /// In one transaction.
    fn publish(&mut self, numbers: &[u32]) {
        let accounts = &self.accounts;
        let done = self.catalogue.write(|writer| {
            for &number in numbers {
                let account = accounts[(number % ACCOUNTS) as usize];
                let done = writer.publish(account, &Composition::new(number).listing(), NOW)?;
                assert!(done.is_ok_and(|published| published.is_new));
            }
            Ok(())
        });
        done.expect("the disk works");
    }
}

fn token(number: u32) -> SessionToken {
    let mut bytes = [0; SessionToken::LEN];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    SessionToken::from_bytes(bytes)
}

fn questions(criterion: &mut Criterion) {
    for listings in SIZES {
        let mut scene = Scene::new(listings);
        let catalogue = &mut scene.catalogue;
        let mut group = criterion.benchmark_group(format!("{listings} listings"));
        let middle = Composition::new(listings / 2);
        let after = catalogue.read(|reader| reader.find(middle.name.as_str(), "", None));
        let Found::One(listing) = after.expect("the disk works") else { panic!("it is published") };
        for (what, text, after) in [
            ("first", "", None),
            ("in the middle", "", Some(After::listing(&listing))),
            ("of one name", "no. 001234", None),
            ("of a tenth", "9 in D", None),
            ("of nothing", "nowhere", None),
        ] {
            group.bench_function(BenchmarkId::new("list", what), |bencher| {
                bencher.iter(|| {
                    let page = catalogue.read(|reader| reader.list(text, after.as_ref(), LISTINGS_PER_PAGE));
                    black_box(page.expect("the disk works"))
                });
            });
        }
        group.bench_function("details", |bencher| {
            bencher.iter(|| {
                let found = catalogue.read(|reader| reader.find(middle.name.as_str(), "", None));
                assert!(matches!(found.expect("the disk works"), Found::One(_)));
            });
        });
        group.bench_function("parts", |bencher| {
            bencher.iter(|| {
                let parts = catalogue.read(|reader| reader.parts(listing.id)).expect("the disk works");
                assert_eq!(parts.map(|parts| parts.len()), Some(PARTS as usize));
            });
        });
        group.bench_function("session", |bencher| {
            bencher.iter(|| {
                let owner = catalogue.read(|reader| reader.session(token(7).id(), NOW));
                assert!(owner.expect("the disk works").is_some());
            });
        });
        group.bench_function("all sessions", |bencher| {
            bencher
                .iter(|| black_box(catalogue.read(|reader| reader.sessions(NOW)).expect("the disk works")));
        });
        group.finish();
    }
}

fn changes(criterion: &mut Criterion) {
    let mut scene = Scene::new(SIZES[0]);
    let mut group = criterion.benchmark_group("changes");
    group.sample_size(10);
    let mut next = SIZES[0];
    for together in [1, TOGETHER] {
        group.bench_function(BenchmarkId::new("publish", together), |bencher| {
            let numbers = || {
                next += together;
                (next - together..next).collect::<Vec<u32>>()
            };
            bencher.iter_batched(numbers, |numbers| scene.publish(&numbers), BatchSize::PerIteration);
        });
    }
    let (mut swarm, mut about) = (0_u64, 1);
    group.bench_function("report", |bencher| {
        bencher.iter(|| {
            swarm += 1;
            about = about % (scene.accounts.len() - 1) + 1;
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&swarm.to_le_bytes());
            let (reporter, about) = (scene.accounts[about - 1], scene.accounts[about]);
            let report = Report { reporter, about, swarm: SwarmId::from_bytes(bytes) };
            let now = NOW + Duration::from_secs(swarm * 60);
            let done = scene
                .catalogue
                .write(|writer| writer.report(&report, now, |counts| counted(counts, now, false)));
            assert!(done.expect("the disk works").is_ok());
        });
    });
    group.finish();
}

fn passwords(criterion: &mut Criterion) {
    let password = Password::parse("correct horse").expect("it is one");
    let hash = PasswordHash::of(&password).expect("there is randomness");
    let mut group = criterion.benchmark_group("password");
    group.sample_size(20);
    group.bench_function("right", |bencher| {
        bencher.iter(|| assert!(PasswordHash::verify(Some(&hash), &password)));
    });
    group.bench_function("of nobody", |bencher| {
        bencher.iter(|| assert!(!PasswordHash::verify(None, &password)));
    });
    group.finish();
}

criterion_group!(benches, questions, changes, passwords);
criterion_main!(benches);
