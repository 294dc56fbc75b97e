//! What a catalogue promises, and that it holds when the disk is full, another process writes, or ours is killed.

mod model;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::account::{AccountName, Counts};
use crate::credential::SessionToken;
use crate::digest::Digest;
use crate::host::password::PasswordHash;
use crate::identity::SwarmId;
use crate::limits::*;
use crate::name::Name;
use crate::part::Layout;
use crate::text::chain;

const NOW: Duration = Duration::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A catalogue in a folder of its own.
struct Scene {
    catalogue: Catalogue,
    dir: TempDir,
}

impl Scene {
    fn new() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::open(&dir.path().join("catalogue.sqlite")).unwrap();
        Scene { catalogue, dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("catalogue.sqlite")
    }

    /// Another connection, as another process has it.
    fn other(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    /// Changes what no program of ours would.
    fn meddle(&self, sql: &str) {
        self.other().execute_batch(sql).unwrap();
    }

    fn write<R>(&mut self, work: impl FnOnce(&mut Writer<'_>) -> Result<R, CatalogueError>) -> R {
        self.catalogue.write(work).unwrap()
    }

    fn read<R>(&mut self, work: impl FnOnce(&Reader<'_>) -> Result<R, CatalogueError>) -> R {
        self.catalogue.read(work).unwrap()
    }

    fn register(&mut self, text: &str) -> AccountId {
        self.write(|writer| writer.register(&name(text), &hash(), NOW)).unwrap()
    }

    fn publish(&mut self, account: AccountId, text: &str, content: u8) -> Published {
        self.write(|writer| Composition::new(content).publish(writer, account, text)).unwrap()
    }

    fn names(&mut self, text: &str) -> Vec<String> {
        let page = self.read(|reader| reader.list(text, None, LISTINGS_PER_PAGE));
        page.listings.iter().map(|listing| listing.name.as_str().to_owned()).collect()
    }
}

fn name(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
}

fn hash() -> PasswordHash {
    PasswordHash::from_text("$argon2id$none".to_owned())
}

fn session(account: AccountId, number: u64) -> Session {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    let token = SessionToken::from_bytes(bytes);
    Session { id: token.id(), key: token.key(), account, expires: NOW + SESSION_SPAN }
}

/// A composition of two parts, by a number.
struct Composition {
    digest: Digest,
    parts: Vec<Digest>,
}

impl Composition {
    fn new(content: u8) -> Composition {
        let parts = [0, 1].map(|part| Digest::of(&[content, part])).to_vec();
        Composition { digest: Digest::of(&[content]), parts }
    }

    fn layout() -> Layout {
        Layout::new(30, 16).unwrap()
    }

    fn swarm(&self) -> SwarmId {
        SwarmId::derive(self.digest, Composition::layout(), &self.parts)
    }

    fn publish(
        &self,
        writer: &mut Writer<'_>,
        account: AccountId,
        text: &str,
    ) -> Result<Result<Published, NotPublished>, CatalogueError> {
        let name = Name::parse(text).unwrap();
        let layout = Composition::layout();
        writer.publish(
            account,
            &NewListing { name: &name, digest: self.digest, layout, parts: &self.parts },
            NOW,
        )
    }
}

fn one(found: Found) -> Listing {
    match found {
        Found::One(listing) => *listing,
        other => panic!("one was expected: {other:?}"),
    }
}

// --- The file ---

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_catalogue_is_for_its_user_alone() {
    let mut scene = Scene::new();
    scene.register("alice");
    for file in fs::read_dir(scene.dir.path()).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_backup_that_all_can_read_is_for_its_user_alone_once_it_is_opened() {
    let mut scene = Scene::new();
    scene.register("alice");
    // As `cp` does it, with or without the log, and as a link to it.
    for (has_log, has_link) in [(false, false), (true, false), (true, true)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        for (from, to) in [("catalogue.sqlite", "c"), ("catalogue.sqlite-wal", "c-wal")] {
            if has_log || !to.contains('-') {
                fs::copy(scene.dir.path().join(from), dir.path().join(to)).unwrap();
                fs::set_permissions(dir.path().join(to), Permissions::from_mode(0o644)).unwrap();
            }
        }
        let other = tempfile::tempdir().unwrap();
        let link = other.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut again = Catalogue::open(if has_link { &link } else { &path }).unwrap();
        let mut files = Vec::new();
        for file in fs::read_dir(dir.path()).unwrap() {
            let path = file.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            files.push(path.file_name().unwrap().to_owned());
        }
        files.sort_unstable();
        assert_eq!(files, ["c", "c-shm", "c-wal"]);
        let alice = again.read(|reader| reader.account(&name("alice"))).unwrap();
        assert_eq!(alice.is_some(), has_log, "what was only in the log is not in a copy without it");
    }
}

#[test]
fn an_empty_file_becomes_a_catalogue() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("empty");
    fs::write(&path, "").unwrap();
    assert!(Catalogue::open(&path).unwrap().read(|reader| reader.all_counts()).unwrap().is_empty());
}

#[test]
fn a_path_that_looks_like_a_uri_is_a_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file:x?mode=memory");
    Catalogue::open(&path).unwrap();
    assert!(fs::metadata(&path).unwrap().len() > 0);
}

#[test]
fn what_is_something_else_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("text"), "my diary\n".repeat(1_000)).unwrap();
    let database = Connection::open(path("other")).unwrap();
    database.execute_batch("CREATE TABLE a (b); INSERT INTO a VALUES (1);").unwrap();
    drop(database);
    drop(Catalogue::open(&path("later")).unwrap());
    Connection::open(path("later")).unwrap().pragma_update(None, "user_version", 1_000).unwrap();
    fs::create_dir(path("folder")).unwrap();
    for (file, says) in [
        ("text", "is not the catalogue of a conductor"),
        ("other", "is not the catalogue of a conductor"),
        ("later", "is of a later version of this program (format 1000, known is 2)"),
        ("folder", "it is a directory, not a file"),
        ("nowhere/catalogue", "cannot create"),
    ] {
        fs::set_permissions(path(file), Permissions::from_mode(0o755)).ok();
        let before = fs::read(path(file)).ok();
        let error = chain(&Catalogue::open(&path(file)).unwrap_err());
        assert!(error.contains(says) && error.contains(file.split('/').next().unwrap()), "{error}");
        assert_eq!(fs::read(path(file)).ok(), before, "{file}");
        assert!(before.is_none() || mode(&path(file)) == 0o755, "{file}");
    }
    let error = chain(&Catalogue::open_existing(&path("missing")).unwrap_err());
    assert!(error.contains("there is no catalogue") && !path("missing").exists(), "{error}");
}

#[test]
fn the_key_stays_the_same_and_is_nobody_elses() {
    let scene = Scene::new();
    let key = scene.path().with_extension("sqlite.key");
    let first = scene.catalogue.conductor_key().unwrap();
    assert!(first.is_new && mode(&key) == 0o600);
    let held = chain(&scene.catalogue.conductor_key().unwrap_err());
    assert!(held.contains("another conductor runs with the catalogue"), "{held}");
    assert_eq!(format!("{first:?}"), "ConductorKey(..)");
    let secret = first.secret.clone();
    drop(first);
    let second = scene.catalogue.conductor_key().unwrap();
    assert!(!second.is_new && second.secret == secret);
    drop(second);
    let files = fs::read_dir(scene.dir.path()).unwrap().map(|file| file.unwrap().file_name());
    assert!(files.into_iter().all(|name| !name.to_string_lossy().contains("tmp")), "nothing is left behind");

    fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    let exposed = chain(&scene.catalogue.conductor_key().unwrap_err());
    assert!(exposed.contains("others can read") && exposed.contains("chmod 600"), "{exposed}");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    for text in ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"0".repeat(10_000)] {
        fs::write(&key, text).unwrap();
        let error = scene.catalogue.conductor_key().unwrap_err();
        assert!(matches!(error, CatalogueError::NoKey { .. }), "{text}: {error}");
        assert_eq!(fs::read_to_string(&key).unwrap(), text, "it stays for a look");
    }
    let other = Scene::new();
    assert_ne!(other.catalogue.conductor_key().unwrap().secret, secret);
}

// --- Trouble ---

#[test]
fn a_full_disk_is_told_and_nothing_is_lost() {
    let mut scene = Scene::new();
    let alice = scene.register("alice");
    scene.publish(alice, "first", 0);
    let pages = "page_count";
    let pages: i64 = scene.catalogue.database.pragma_query_value(None, pages, |row| row.get(0)).unwrap();
    // SQLite says of this what it says of a full disk.
    scene.catalogue.database.pragma_update(None, "max_page_count", pages).unwrap();
    let error = scene.catalogue.write(|writer| {
        for content in 0..=255 {
            let done = Composition::new(content).publish(writer, alice, &format!("more {content}"))?;
            assert!(done.is_ok());
        }
        Ok(())
    });
    let error = error.unwrap_err();
    assert!(matches!(error, CatalogueError::Full { .. }) && !error.is_others());
    let text = chain(&error);
    assert!(text.contains("the disk is full") && text.contains("catalogue.sqlite"), "{text}");
    assert_eq!(scene.names(""), ["first"], "all of it or nothing");
    scene.catalogue.database.pragma_update(None, "max_page_count", 1_000_000).unwrap();
    scene.publish(alice, "second", 1);
    assert_eq!(scene.names(""), ["first", "second"]);
    model::check_sums(&mut scene);
}

#[test]
fn a_locked_database_is_told_and_can_be_read() {
    let mut scene = Scene::new();
    let alice = scene.register("alice");
    scene.catalogue.database.busy_timeout(Duration::ZERO).unwrap();
    let other = scene.other();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = scene.catalogue.write(|writer| writer.close_session(session(alice, 0).id)).unwrap_err();
    assert!(matches!(error, CatalogueError::InUse { .. }) && error.is_others());
    assert!(chain(&error).contains("locked by another program"), "{error}");
    assert_eq!(scene.read(|reader| reader.account(&name("alice"))).unwrap().id, alice);
    other.execute_batch("COMMIT").unwrap();
    scene.publish(alice, "first", 0);
}

#[test]
fn a_read_only_database_is_told() {
    let mut scene = Scene::new();
    // SQLite says of this what it says of a file that this user may not write.
    scene.catalogue.database.pragma_update(None, "query_only", true).unwrap();
    let error = scene.catalogue.write(|writer| writer.register(&name("alice"), &hash(), NOW)).unwrap_err();
    assert!(matches!(error, CatalogueError::ReadOnly { .. }), "{error}");
    assert!(!error.is_others());
}

#[test]
fn what_fails_halfway_is_not_there() {
    let mut scene = Scene::new();
    let path = scene.path();
    let result: Result<(), CatalogueError> = scene.catalogue.write(|writer| {
        writer.register(&name("alice"), &hash(), NOW)?.unwrap();
        Err(CatalogueError::InUse { path })
    });
    assert!(result.is_err());
    assert!(scene.read(|reader| reader.account(&name("alice"))).is_none());
}

#[test]
fn a_damaged_row_is_told() {
    for damage in [
        "UPDATE accounts SET name = ' '",
        "UPDATE accounts SET downloads = -1, counted = 1",
        "UPDATE listings SET name = '..'",
        "UPDATE listings SET digest = x'00'",
        "UPDATE listings SET part_len = 0",
        "UPDATE listings SET size = -1",
        "UPDATE digests SET parts = x'00'",
        "DROP TABLE reports",
    ] {
        let mut scene = Scene::new();
        let (alice, bob) = (scene.register("alice"), scene.register("bob"));
        let first = scene.publish(alice, "first", 0).id;
        scene.meddle(damage);
        let result = scene.catalogue.write(|writer| {
            let swarm = Composition::new(0).swarm();
            writer.report(&Report { reporter: bob, about: alice, swarm }, NOW, |counts| counts)?.unwrap();
            writer.list("", None, 1)?;
            writer.parts(first)?;
            writer.accounts(None, NOW)
        });
        let error = result.expect_err(damage);
        assert!(matches!(error, CatalogueError::Damaged { .. }), "{damage}: {error:?}");
        assert!(chain(&error).contains("put a backup in its place"), "{error}");
    }
}

/// The files as `kill -9`, or a power cut, leaves them: the log perhaps cut anywhere.
fn survivor(scene: &Scene, log_len: Option<usize>) -> (TempDir, Catalogue) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalogue.sqlite");
    fs::copy(scene.path(), &path).unwrap();
    let mut log = fs::read(scene.path().with_extension("sqlite-wal")).unwrap();
    log.truncate(log_len.unwrap_or(log.len()));
    fs::write(path.with_extension("sqlite-wal"), log).unwrap();
    let catalogue = Catalogue::open(&path).unwrap();
    let whole = "integrity_check";
    let whole: String = catalogue.database.pragma_query_value(None, whole, |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    (dir, catalogue)
}

#[test]
fn what_was_acknowledged_survives_a_kill_and_what_was_not_is_not_there() {
    let mut scene = Scene::new();
    let database = &scene.catalogue.database;
    let synchronous = "synchronous";
    let synchronous: i64 = database.pragma_query_value(None, synchronous, |row| row.get(0)).unwrap();
    assert_eq!(synchronous, 2, "a commit waits for the disk");
    let alice = scene.register("alice");
    for content in 0..20 {
        scene.publish(alice, &format!("name {content:02}"), content);
        let (dir, catalogue) = survivor(&scene, None);
        let mut survived = Scene { catalogue, dir };
        assert_eq!(survived.names("").len(), usize::from(content) + 1);
        model::check_sums(&mut survived);
    }
    let transaction = scene.catalogue.database.transaction().unwrap();
    let path = PathBuf::from("x");
    let mut writer = Writer(Reader { transaction: &transaction, path: &path });
    Composition::new(99).publish(&mut writer, alice, "half").unwrap().unwrap();
    drop(transaction);
    let (dir, catalogue) = survivor(&scene, None);
    assert_eq!(Scene { catalogue, dir }.names("half").len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_log_that_is_cut_anywhere_leaves_whole_publications(cut in 0.0..1.0_f64) {
        let mut scene = Scene::new();
        let alice = scene.register("alice");
        for content in 0..10 {
            scene.publish(alice, &format!("name {content:02}"), content);
        }
        let log_len = fs::metadata(scene.path().with_extension("sqlite-wal")).unwrap().len();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a length")]
        let (dir, catalogue) = survivor(&scene, Some((log_len as f64 * cut) as usize));
        let mut survived = Scene { catalogue, dir };
        let names = survived.names("");
        let first: Vec<String> = (0..names.len()).map(|content| format!("name {content:02}")).collect();
        prop_assert_eq!(&names, &first, "the first ones, and no gap");
        for name in &names {
            let listing = one(survived.read(|reader| reader.find(name, "", None)));
            let parts = survived.read(|reader| reader.parts(listing.id));
            prop_assert_eq!(parts.map(|parts| parts.len()), Some(2), "no half one");
        }
        model::check_sums(&mut survived);
    }
}

fn has_changed(scene: &mut Scene) -> bool {
    scene.catalogue.changed_elsewhere(|_| Ok(())).unwrap().is_some()
}

#[test]
fn what_the_operator_changes_is_noticed() {
    let mut scene = Scene::new();
    let alice = scene.register("alice");
    assert!(!has_changed(&mut scene), "our own changes do not count");
    let ours = session(alice, 1);
    scene.write(|writer| writer.open_session(&ours, &hash(), NOW)).unwrap();
    let mut operator = Catalogue::open_existing(&scene.path()).unwrap();
    assert!(!has_changed(&mut scene), "it only looked");
    let ended = operator.write(|writer| writer.set_disabled(alice, true)).unwrap();
    assert_eq!(ended, [ours.id]);
    let path = scene.path();
    let failed = scene.catalogue.changed_elsewhere(|_| Err::<(), _>(CatalogueError::InUse { path }));
    assert!(failed.is_err());
    assert!(has_changed(&mut scene), "nobody has seen it yet");
    assert!(!has_changed(&mut scene), "once");
    assert_eq!(scene.read(|reader| reader.session(ours.id, NOW)), None);
}

// --- Accounts and sessions ---

#[test]
fn a_name_is_given_once_in_all_its_spellings() {
    let mut scene = Scene::new();
    scene.register("Zoë");
    for taken in ["Zoë", "ZOË", "zoe\u{308}"] {
        let result = scene.write(|writer| writer.register(&name(taken), &hash(), NOW));
        assert_eq!(result, Err(NotRegistered::Taken), "{taken}");
        assert_eq!(scene.read(|reader| reader.account(&name(taken))).unwrap().name.as_str(), "Zoë");
    }
    scene.register("Zoe");
}

#[test]
fn sql_in_a_name_is_a_name() {
    let mut scene = Scene::new();
    let evil = "x'); DROP TABLE accounts; --";
    let account = scene.register(evil);
    scene.publish(account, "%_' OR 1=1 --", 0);
    assert_eq!(scene.names("%"), ["%_' OR 1=1 --"]);
    assert_eq!(scene.names("_"), ["%_' OR 1=1 --"]);
    assert_eq!(scene.names("x%"), [""; 0], "a percent sign stands for itself");
    assert_eq!(scene.names("' or 1=1"), ["%_' OR 1=1 --"]);
    assert_eq!(one(scene.read(|reader| reader.find("%_' OR 1=1 --", "", None))).publisher.as_str(), evil);
    assert_eq!(scene.read(|reader| reader.find("%", "' OR 1=1 --", None)), Found::None);
}

#[test]
fn the_oldest_of_too_many_sessions_ends() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.register("alice"), scene.register("bob"));
    let others = session(bob, 1_000);
    scene.write(|writer| writer.open_session(&others, &hash(), NOW)).unwrap();
    for number in 0..SESSIONS_PER_ACCOUNT_MAX + 2 {
        let opened = session(alice, number);
        let now = NOW + Duration::from_secs(number);
        let result = scene.write(|writer| writer.open_session(&opened, &hash(), now)).unwrap();
        let oldest = number.checked_sub(SESSIONS_PER_ACCOUNT_MAX).map(|oldest| session(alice, oldest).id);
        assert_eq!(result.ended, oldest.into_iter().collect::<Vec<_>>());
    }
    // The clock was set back: the new one stays all the same.
    let newest = session(alice, 500);
    scene.write(|writer| writer.open_session(&newest, &hash(), DAY)).unwrap();
    assert!(scene.read(|reader| reader.session(newest.id, NOW)).is_some());
    assert!(scene.read(|reader| reader.session(others.id, NOW)).is_some(), "others keep theirs");
    assert_eq!(scene.read(|reader| reader.sessions(NOW)).len() as u64, SESSIONS_PER_ACCOUNT_MAX + 1);
}

#[test]
fn a_session_ends_by_itself_and_is_forgotten() {
    let mut scene = Scene::new();
    let alice = scene.register("alice");
    let ours = session(alice, 1);
    scene.write(|writer| writer.open_session(&ours, &hash(), NOW)).unwrap();
    let owner = SessionOwner { account: alice, name: name("alice") };
    let last = ours.expires - Duration::from_secs(1);
    assert_eq!(scene.read(|reader| reader.session(ours.id, last)), Some(owner));
    assert_eq!(scene.read(|reader| reader.session(ours.id, ours.expires)), None);
    assert_eq!(scene.read(|reader| reader.sessions(last))[0].key, ours.key);
    assert!(scene.read(|reader| reader.sessions(ours.expires)).is_empty());
    assert_eq!(scene.write(|writer| writer.forget(last)), (Vec::new(), false));
    assert!(scene.write(|writer| writer.close_session(ours.id)), "it was still there");
    scene.write(|writer| writer.open_session(&ours, &hash(), NOW)).unwrap();
    assert_eq!(scene.write(|writer| writer.forget(ours.expires)), (vec![ours.id], false));
    assert!(!scene.write(|writer| writer.close_session(ours.id)), "it is forgotten");
}

#[test]
fn who_is_shut_out_has_nothing_until_let_in_again() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.register("alice"), scene.register("bob"));
    let ours = session(alice, 1);
    scene.write(|writer| writer.open_session(&ours, &hash(), NOW)).unwrap();
    scene.publish(alice, "hers", 0);
    scene.publish(bob, "his", 1);
    assert_eq!(scene.write(|writer| writer.set_disabled(alice, true)), [ours.id]);
    assert!(scene.read(|reader| reader.account(&name("alice"))).unwrap().is_disabled);
    assert_eq!(scene.write(|writer| writer.open_session(&ours, &hash(), NOW)), Err(NotOpened));
    let refused = scene.write(|writer| Composition::new(2).publish(writer, alice, "more"));
    assert_eq!(refused, Err(NotPublished::Nobody));
    assert_eq!(scene.names(""), ["his"]);
    assert_eq!(scene.read(|reader| reader.list("", None, 9)).matches, 1);
    assert_eq!(scene.read(|reader| reader.find("hers", "", None)), Found::None);
    assert!(!scene.read(|reader| reader.is_listed(Composition::new(0).swarm())));
    assert!(scene.publish(bob, "hers", 0).is_new, "what is not listed is nobody's");
    scene.write(|writer| writer.set_disabled(alice, false));
    assert_eq!(scene.names(""), ["hers", "hers", "his"]);
    assert!(scene.write(|writer| writer.open_session(&ours, &hash(), NOW)).is_ok());
}

#[test]
fn a_new_password_ends_what_the_old_one_opened() {
    let mut scene = Scene::new();
    let alice = scene.register("alice");
    let ours = session(alice, 1);
    scene.write(|writer| writer.open_session(&ours, &hash(), NOW)).unwrap();
    let other = PasswordHash::from_text("$other".to_owned());
    assert_eq!(scene.write(|writer| writer.set_password(alice, &other)), [ours.id]);
    assert_eq!(scene.read(|reader| reader.account(&name("ALICE"))).unwrap().password, other);
    assert_eq!(scene.read(|reader| reader.session(ours.id, NOW)), None);
    // Somebody was quick enough to have the old one verified before.
    assert_eq!(scene.write(|writer| writer.open_session(&ours, &hash(), NOW)), Err(NotOpened));
    assert_eq!(scene.read(|reader| reader.session(ours.id, NOW)), None);
    assert!(scene.write(|writer| writer.open_session(&ours, &other, NOW)).is_ok());
}

#[test]
fn who_knew_a_password_before_replaces_it_no_more() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.register("alice"), scene.register("bob"));
    let (ours, others, newer) = (session(alice, 1), session(bob, 2), session(alice, 3));
    for opened in [&ours, &others] {
        scene.write(|writer| writer.open_session(opened, &hash(), NOW)).unwrap();
    }
    let [second, third] = ["$second", "$third"].map(|text| PasswordHash::from_text(text.to_owned()));
    let replace = |scene: &mut Scene, account, before: &PasswordHash, after: &PasswordHash| {
        scene.write(|writer| writer.replace_password(account, before, after))
    };
    let password = |scene: &mut Scene| scene.read(|reader| reader.account(&name("alice"))).unwrap().password;
    assert_eq!(replace(&mut scene, alice, &hash(), &second), Some(vec![ours.id]));
    assert_eq!(password(&mut scene), second);
    scene.write(|writer| writer.open_session(&newer, &second, NOW)).unwrap();
    // What was replaced meanwhile, say by the operator, stays replaced, and what it opened stays open.
    assert_eq!(replace(&mut scene, alice, &hash(), &third), None);
    assert_eq!(password(&mut scene), second);
    assert!(scene.read(|reader| reader.session(newer.id, NOW)).is_some());
    assert!(scene.read(|reader| reader.session(others.id, NOW)).is_some(), "others keep theirs");
    scene.write(|writer| writer.set_disabled(alice, true));
    assert_eq!(replace(&mut scene, alice, &second, &third), None, "who is shut out changes nothing");
    assert_eq!(password(&mut scene), second);
    assert_eq!(replace(&mut scene, AccountId::from_number(99), &second, &third), None);
    model::check_sums(&mut scene);
}

#[test]
fn where_there_is_no_room_ones_own_oldest_session_ends() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.register("alice"), scene.register("bob"));
    let open = |scene: &mut Scene, account, number, second| {
        let (opened, now) = (session(account, number), NOW + Duration::from_secs(second));
        scene.write(|writer| writer.open_session(&opened, &hash(), now)).unwrap().ended
    };
    for number in 1..=3 {
        assert_eq!(open(&mut scene, alice, number, number), []);
    }
    assert_eq!(open(&mut scene, bob, 10, 0), []);
    scene.meddle(&format!("UPDATE totals SET sessions = {SESSIONS_MAX}"));
    for oldest in 1..=3 {
        assert_eq!(open(&mut scene, alice, 3 + oldest, 3 + oldest), [session(alice, oldest).id]);
    }
    // The clock was set back: the new one stays, although it seems to be the oldest.
    assert_eq!(open(&mut scene, alice, 7, 0), [session(alice, 4).id]);
    assert_eq!(open(&mut scene, alice, 8, 7), [session(alice, 7).id]);
}

#[test]
fn whoever_logs_in_finds_room() {
    let mut scene = Scene::new();
    let names = ["greedy", "alice", "bob", "carol", "dave"];
    let [greedy, alice, bob, carol, dave] = names.map(|name| scene.register(name));
    let at = |second| NOW + Duration::from_secs(second);
    let open = |scene: &mut Scene, account, number, now| {
        let opened = session(account, number);
        let ended = scene.write(|writer| writer.open_session(&opened, &hash(), now)).unwrap().ended;
        assert!(scene.read(|reader| reader.session(opened.id, now)).is_some());
        model::check_sums(scene);
        ended
    };
    let id = |number| session(greedy, number).id;
    for number in 0..3 {
        assert_eq!(open(&mut scene, greedy, number, at(number)), []);
    }
    assert_eq!(open(&mut scene, alice, 10, at(0)), []);
    assert_eq!(open(&mut scene, bob, 11, at(0)), []);
    // As if so many others had the rest.
    let rest = SESSIONS_MAX - 5;
    scene.meddle(&format!("UPDATE totals SET sessions = sessions + {rest}"));
    let full = "SELECT sessions FROM totals";
    let full = |scene: &mut Scene| scene.read(|reader| reader.value::<i64>(full, []));
    let open = |scene: &mut Scene, account, number, now| {
        let opened = session(account, number);
        let ended = scene.write(|writer| writer.open_session(&opened, &hash(), now)).unwrap().ended;
        assert!(scene.read(|reader| reader.session(opened.id, now)).is_some());
        assert_eq!(full(scene), SESSIONS_MAX.cast_signed());
        ended
    };
    assert_eq!(open(&mut scene, alice, 12, at(9)), [id(10)], "her own oldest one");
    assert_eq!(open(&mut scene, carol, 13, at(9)), [id(0)], "the oldest of who has most");
    assert_eq!(open(&mut scene, dave, 14, at(9)), [id(1)]);
    // Now all have one, and the newest is no reason to give way.
    let eve = scene.register("eve");
    assert_eq!(open(&mut scene, eve, 15, at(9)).len(), 1);
    scene.meddle(&format!("UPDATE sessions SET expires = {} WHERE account = 2", at(9).as_secs()));
    assert_eq!(open(&mut scene, bob, 16, at(9)), [id(12)], "what has expired goes first");
}

#[test]
fn an_account_that_is_removed_leaves_room() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.register("alice"), scene.register("bob"));
    let ours = session(bob, 1);
    scene.write(|writer| writer.open_session(&ours, &hash(), NOW)).unwrap();
    scene.publish(alice, "hers", 0);
    let his = scene.publish(bob, "his", 1);
    for (reporter, about) in [(alice, bob), (bob, alice)] {
        let report = Report { reporter, about, swarm: Composition::new(1).swarm() };
        scene.write(|writer| writer.report(&report, NOW, plus_one)).unwrap();
    }
    let removed = scene.write(|writer| writer.remove(bob));
    assert_eq!(removed, Removed { listings: 1, ended: vec![ours.id], is_done: true });
    assert_eq!(scene.names(""), ["hers"]);
    assert_eq!(scene.read(|reader| reader.parts(his.id)), None);
    assert_eq!(scene.read(|reader| reader.session(ours.id, NOW)), None);
    assert_eq!(scene.read(|reader| reader.account_name(bob)), None, "nobody is called so");
    let rows = |scene: &mut Scene, table: &str| {
        scene.read(|reader| reader.value::<i64>(&format!("SELECT count(*) FROM {table}"), []))
    };
    let left = ["accounts", "listings", "digests", "sessions", "reports"];
    assert_eq!(left.map(|table| rows(&mut scene, table)), [1, 1, 1, 0, 0]);
    model::check_sums(&mut scene);
    // The name is free; but who comes gets nothing of who was there, not even the number.
    let other = scene.register("bob");
    assert!(other > bob);
    assert_eq!(scene.write(|writer| writer.open_session(&ours, &hash(), NOW)), Err(NotOpened));
    assert!(scene.publish(other, "his", 1).is_new);
    let nobody = scene.write(|writer| writer.remove(bob));
    assert_eq!(nobody, Removed { listings: 0, ended: Vec::new(), is_done: true });
    model::check_sums(&mut scene);
}

#[test]
fn an_account_with_very_much_goes_in_steps_that_nobody_sees() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.register("alice"), scene.register("bob"));
    scene.publish(bob, "his", 1);
    let many = 2 * TAKEN_BACK_AT_A_TIME;
    scene.meddle(&format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {many}) \
         INSERT INTO listings (account, name, folded, digest, size, part_len, swarm, published) \
         SELECT 1, 'n' || n, 'n' || n, zeroblob(20), 0, 16, zeroblob(32), 1 FROM n; \
         INSERT INTO digests SELECT id, x'' FROM listings WHERE account = 1; \
         UPDATE accounts SET listings = {many} WHERE id = 1; UPDATE totals SET listings = 1 + {many}"
    ));
    // Two that are as large as one may be, but only by their digests.
    let large = i64::from(PARTS_MAX) * 20;
    scene.meddle(&format!(
        "UPDATE digests SET parts = zeroblob({large}) WHERE listing IN \
         (SELECT id FROM listings WHERE account = 1 ORDER BY id DESC LIMIT 2); \
         UPDATE accounts SET parts = 2 * {PARTS_MAX} WHERE id = 1; \
         UPDATE totals SET parts = 2 + 2 * {PARTS_MAX}"
    ));
    model::check_sums(&mut scene);
    let mut removed = 0;
    let mut steps = 0;
    loop {
        let step = scene.write(|writer| writer.remove(alice));
        removed += step.listings;
        steps += 1;
        assert_eq!(scene.names(""), ["his"], "nothing of it, not the half");
        model::check_sums(&mut scene);
        if step.is_done {
            break;
        }
        assert!(scene.read(|reader| reader.account(&name("alice"))).unwrap().is_disabled);
    }
    assert_eq!((removed, steps), (many as u64, 3));
    assert!(scene.read(|reader| reader.account(&name("alice"))).is_none());
}

#[test]
fn the_operator_sees_all_accounts_page_by_page() {
    let mut scene = Scene::new();
    let mut expected = Vec::new();
    for number in 0..LISTINGS_PER_PAGE * 2 + 5 {
        let text = format!("Account {number:04}");
        scene.register(&text);
        expected.push(text);
    }
    let mut seen: Vec<AccountLine> = Vec::new();
    loop {
        let after = seen.last().map(|account| account.name.clone());
        let page = scene.read(|reader| reader.accounts(after.as_ref(), NOW));
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    let names: Vec<&str> = seen.iter().map(|account| account.name.as_str()).collect();
    assert_eq!(names, expected);
}

// --- Listings ---

#[test]
fn two_compositions_of_one_name_are_told_apart() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.register("alice"), scene.register("bob"));
    assert_eq!(scene.publish(alice, "song", 1).namesakes, []);
    let second = scene.publish(bob, "song", 2);
    assert_eq!(second.namesakes.iter().map(|other| other.publisher.as_str()).collect::<Vec<_>>(), ["alice"]);
    assert!(second.is_new && second.already_by.is_none());
    let Found::Several(listings) = scene.read(|reader| reader.find("song", "", None)) else {
        panic!("two were expected");
    };
    assert_eq!(
        listings.iter().map(|listing| listing.publisher.as_str()).collect::<Vec<_>>(),
        ["alice", "bob"]
    );
    for listing in &listings {
        let digits = listing.digest.to_string();
        for digits in [&digits[..8], &digits[..1], &digits, &digits[..9].to_uppercase()] {
            let found = one(scene.read(|reader| reader.find("song", digits, None)));
            assert_eq!(&found, listing);
        }
    }
    assert_eq!(scene.read(|reader| reader.find("song", "00000000", None)), Found::None);
    assert_eq!(one(scene.read(|reader| reader.find("song", "", Some(bob)))).publisher.as_str(), "bob");
}

#[test]
fn one_digest_with_other_parts_is_another_composition() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.register("alice"), scene.register("bob"));
    let honest = Composition::new(1);
    let claimed = Composition { parts: Composition::new(2).parts, ..Composition::new(1) };
    scene.write(|writer| claimed.publish(writer, bob, "song")).unwrap();
    let published = scene.write(|writer| honest.publish(writer, alice, "song")).unwrap();
    assert!(published.is_new && published.already_by.is_none());
    assert_eq!(published.namesakes.iter().map(|other| other.swarm).collect::<Vec<_>>(), [claimed.swarm()]);
    let digest = honest.digest.to_string();
    for digits in ["", &digest[..4], &digest] {
        let found = scene.read(|reader| reader.find("song", digits, None));
        assert!(matches!(found, Found::Several(listings) if listings.len() == 2), "{digits}");
    }
    for (composition, by) in [(&honest, "alice"), (&claimed, "bob")] {
        let swarm = composition.swarm().digits();
        for digits in [&swarm[..8], &swarm, &swarm[..9].to_uppercase()] {
            let listing = one(scene.read(|reader| reader.find("song", digits, None)));
            assert_eq!((listing.publisher.as_str(), listing.swarm), (by, composition.swarm()));
        }
    }
    let too_long = format!("{}0", honest.swarm().digits());
    assert_eq!(scene.read(|reader| reader.find("song", &too_long, None)), Found::None);
}

#[test]
fn the_very_spelling_counts_where_there_is_one() {
    let mut scene = Scene::new();
    let alice = scene.register("alice");
    scene.publish(alice, "Song.FLAC", 1);
    assert_eq!(one(scene.read(|reader| reader.find("song.flac", "", None))).name.as_str(), "Song.FLAC");
    scene.publish(alice, "song.flac", 2);
    assert_eq!(one(scene.read(|reader| reader.find("Song.FLAC", "", None))).name.as_str(), "Song.FLAC");
    assert_eq!(one(scene.read(|reader| reader.find("song.flac", "", None))).name.as_str(), "song.flac");
    let found = scene.read(|reader| reader.find("SONG.flac", "", None));
    assert!(matches!(found, Found::Several(listings) if listings.len() == 2));
}

#[test]
fn the_same_content_is_listed_once_under_a_name() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.register("alice"), scene.register("bob"));
    let first = scene.publish(alice, "song", 1);
    assert_eq!(scene.publish(alice, "song", 1), Published { is_new: false, ..first.clone() });
    let second = scene.publish(bob, "song", 1);
    assert_eq!((second.id, second.is_new, second.already_by), (first.id, false, Some(name("alice"))));
    assert!(!scene.write(|writer| writer.unpublish(bob, first.id)), "it is not his");
    assert!(scene.publish(bob, "melody", 1).is_new, "another name is another listing");
    assert!(scene.write(|writer| writer.unpublish(alice, first.id)));
    assert!(!scene.write(|writer| writer.unpublish(alice, first.id)), "it is gone");
    let again = scene.publish(bob, "song", 1);
    assert!(again.is_new && again.id > first.id, "a number is not used twice");
    model::check_sums(&mut scene);
}

#[test]
fn what_was_published_comes_back() {
    let mut scene = Scene::new();
    let alice = scene.register("alice");
    let published = scene.publish(alice, "日本 🎻.flac", 7);
    let listing = one(scene.read(|reader| reader.find("日本 🎻.flac", "", None)));
    let composition = Composition::new(7);
    assert_eq!(
        listing,
        Listing {
            id: published.id,
            name: Name::parse("日本 🎻.flac").unwrap(),
            digest: composition.digest,
            layout: Composition::layout(),
            swarm: composition.swarm(),
            published: NOW,
            account: alice,
            publisher: name("alice"),
        }
    );
    assert_eq!(scene.read(|reader| reader.parts(listing.id)), Some(composition.parts));
    assert_eq!(scene.read(|reader| reader.parts(ListingId::from_number(u64::MAX))), None);
    let empty = Name::parse("empty").unwrap();
    let new =
        NewListing { name: &empty, digest: Digest::of(b""), layout: Layout::new(0, 16).unwrap(), parts: &[] };
    let empty = scene.write(|writer| writer.publish(alice, &new, NOW)).unwrap();
    assert_eq!(scene.read(|reader| reader.parts(empty.id)), Some(Vec::new()));
    assert!(scene.write(|writer| writer.unpublish(alice, empty.id)));
    model::check_sums(&mut scene);
}

#[test]
fn a_page_follows_the_one_before_whatever_comes_and_goes() {
    let mut scene = Scene::new();
    let alice = scene.register("alice");
    for content in 0..100 {
        scene.publish(alice, &format!("name {content:02}"), content);
    }
    let first = scene.read(|reader| reader.list("NAME", None, 40));
    assert_eq!((first.listings.len(), first.has_more, first.matches), (40, true, 100));
    let last = first.listings.last().unwrap();
    // The last one of the page goes, one comes before it and one after it.
    assert!(scene.write(|writer| writer.unpublish(alice, last.id)));
    scene.publish(alice, "name 00b", 200);
    scene.publish(alice, "name 41b", 201);
    let second = scene.read(|reader| reader.list("name", Some(&After::listing(last)), 40));
    let names: Vec<&str> = second.listings.iter().map(|listing| listing.name.as_str()).collect();
    assert_eq!(names[..4], ["name 40", "name 41", "name 41b", "name 42"]);
    let third =
        scene.read(|reader| reader.list("name", second.listings.last().map(After::listing).as_ref(), 100));
    assert!(!third.has_more && third.listings.last().unwrap().name.as_str() == "name 99");
    assert_eq!(scene.read(|reader| reader.list("name", None, 10_000)).listings.len(), LISTINGS_PER_PAGE);
    assert_eq!(scene.read(|reader| reader.list("name", None, 0)).listings.len(), 1);
    assert!(scene.read(|reader| reader.list(&"n".repeat(SEARCH_LEN_MAX + 1), None, 9)).listings.is_empty());
}

#[test]
fn a_name_is_not_published_without_end() {
    let mut scene = Scene::new();
    let [alice, bob] = ["alice", "bob"].map(|name| scene.register(name));
    let most = u8::try_from(LISTINGS_PER_NAME_MAX).unwrap();
    for content in 0..most {
        // Another spelling is the same name.
        scene.publish(alice, if content % 2 == 0 { "song" } else { "SONG" }, content);
    }
    let publish = |scene: &mut Scene, by, text: &str, content| {
        scene
            .write(|writer| Composition::new(content).publish(writer, by, text))
            .map(|published| published.is_new)
    };
    assert_eq!(publish(&mut scene, alice, "Song", most), Err(NotPublished::NameFull));
    assert_eq!(publish(&mut scene, alice, "song", 0), Ok(false), "what is there is there");
    assert_eq!(publish(&mut scene, alice, "songs", most), Ok(true));
    assert_eq!(publish(&mut scene, bob, "song", most), Ok(true));
    // What comes after as many as are told is found by its digits all the same.
    let digits = Composition::new(most).digest.to_string();
    assert_eq!(one(scene.read(|reader| reader.find("song", &digits, None))).account, bob);
    let Found::Several(told) = scene.read(|reader| reader.find("song", "", None)) else { panic!() };
    assert_eq!(told.len(), usize::from(most / 2) + 1, "of the very spelling");
    let first = told[0].id;
    scene.write(|writer| writer.unpublish(alice, first));
    assert_eq!(publish(&mut scene, alice, "Song", most), Ok(true));
}

#[test]
fn digits_are_those_at_the_front_of_either_digest() {
    let mut scene = Scene::new();
    let alice = scene.register("alice");
    scene.publish(alice, "song", 1);
    let composition = Composition::new(1);
    for all in [composition.digest.to_string(), composition.swarm().digits()] {
        for len in 0..=all.len() {
            let digits = if len % 2 == 0 { all[..len].to_owned() } else { all[..len].to_uppercase() };
            one(scene.read(|reader| reader.find("song", &digits, None)));
            let Some(last) = digits.chars().last() else { continue };
            let other = if last == '0' { '1' } else { '0' };
            for wrong in [format!("{}{other}", &digits[..len - 1]), format!("{all}0"), format!("{digits}g")] {
                assert_eq!(scene.read(|reader| reader.find("song", &wrong, None)), Found::None, "{wrong}");
            }
        }
    }
}

#[test]
fn a_catalogue_of_the_first_version_is_brought_up_to_date() {
    let mut scene = Scene::new();
    let alice = scene.register("alice");
    scene.publish(alice, "song", 1);
    scene.meddle(
        "DROP INDEX listings_account; DROP INDEX listings_swarm; \
         CREATE INDEX listings_swarm ON listings (swarm); PRAGMA user_version = 1",
    );
    scene.catalogue = Catalogue::open(&scene.path()).unwrap();
    scene.publish(alice, "song", 2);
    assert_eq!(scene.names("song"), ["song", "song"]);
    let version = scene.other().pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0));
    assert_eq!(version.unwrap(), 2);
}

#[test]
fn no_more_than_the_limits_allow() {
    let mut scene = Scene::new();
    let alice = scene.register("alice");
    let publish =
        |scene: &mut Scene| scene.write(|writer| Composition::new(9).publish(writer, alice, "more"));
    for (full, refusal) in [
        (format!("UPDATE accounts SET listings = {LISTINGS_PER_ACCOUNT_MAX}"), NotPublished::AccountFull),
        (
            format!("UPDATE accounts SET parts = {LISTED_PARTS_PER_ACCOUNT_MAX} - 1"),
            NotPublished::AccountFull,
        ),
        (format!("UPDATE totals SET listings = {LISTINGS_MAX}"), NotPublished::Full),
        (format!("UPDATE totals SET parts = {LISTED_PARTS_MAX} - 1"), NotPublished::Full),
    ] {
        scene.meddle(&full);
        assert_eq!(publish(&mut scene), Err(refusal), "{full}");
        scene
            .meddle("UPDATE accounts SET listings = 0, parts = 0; UPDATE totals SET listings = 0, parts = 0");
    }
    scene.meddle(&format!("UPDATE accounts SET parts = {LISTED_PARTS_PER_ACCOUNT_MAX} - 2"));
    assert!(publish(&mut scene).is_ok(), "two parts still fit");

    let many = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ";
    scene.meddle(&format!(
        "{many} {ACCOUNTS_MAX} - 1) INSERT INTO accounts (name, folded, password, made) SELECT 'n' || n, 'n' || n, '', 1 FROM n"
    ));
    let result = scene.write(|writer| writer.register(&name("bob"), &hash(), NOW));
    assert_eq!(result, Err(NotRegistered::Full));
}

// --- Reports ---

fn plus_one(counts: Counts) -> Counts {
    Counts { downloads: counts.downloads + 1.0, at: NOW, ..counts }
}

#[test]
fn a_liar_counts_once_a_day_for_a_composition() {
    let mut scene = Scene::new();
    let (alice, bob, carol) = (scene.register("alice"), scene.register("bob"), scene.register("carol"));
    let mut report = |reporter, about, content, now| {
        let report = Report { reporter, about, swarm: Composition::new(content).swarm() };
        scene.write(|writer| writer.report(&report, now, plus_one)).map(|counts| counts.downloads)
    };
    assert_eq!(report(bob, alice, 1, NOW), Ok(1.0));
    assert_eq!(report(bob, alice, 1, NOW), Err(Uncounted::Again));
    assert_eq!(report(bob, alice, 2, NOW), Ok(2.0), "another composition");
    assert_eq!(report(bob, carol, 1, NOW), Ok(1.0), "another account");
    assert_eq!(report(carol, alice, 1, NOW), Ok(3.0), "another reporter");
    assert_eq!(report(bob, alice, 1, NOW + DAY), Ok(4.0), "another day");
    assert_eq!(report(alice, alice, 1, NOW), Err(Uncounted::Oneself));
    assert_eq!(report(bob, AccountId::from_number(99), 1, NOW), Err(Uncounted::Nobody));
    assert_eq!(report(AccountId::from_number(99), bob, 1, NOW), Err(Uncounted::Nobody));
    for content in 3..=u8::try_from(REPORTS_ABOUT_MAX).unwrap() {
        assert!(report(bob, alice, content, NOW).is_ok());
    }
    assert_eq!(report(bob, alice, 100, NOW), Err(Uncounted::Enough), "whatever compositions are made up");
    let counts = scene.read(|reader| reader.all_counts());
    assert_eq!(counts.iter().map(|(account, _)| *account).collect::<Vec<_>>(), [alice, carol]);
    assert_eq!(scene.read(|reader| reader.counts(alice)).unwrap().downloads, 4.0 + 8.0);
}

#[test]
fn what_was_reported_is_forgotten_the_next_day() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.register("alice"), scene.register("bob"));
    scene.meddle(&format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {REPORTS_PER_DAY_MAX}) \
         INSERT INTO reports SELECT {}, 2, 1, CAST(n AS BLOB) FROM n",
        NOW.as_secs() / DAY.as_secs()
    ));
    let report = Report { reporter: bob, about: alice, swarm: Composition::new(1).swarm() };
    assert_eq!(scene.write(|writer| writer.report(&report, NOW, plus_one)), Err(Uncounted::Enough));
    let rows = |scene: &Scene| {
        let rows = "SELECT count(*) FROM reports";
        scene.other().query_row(rows, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
    };
    scene.write(|writer| writer.forget(NOW));
    assert_eq!(rows(&scene), REPORTS_PER_DAY_MAX, "today's stay");
    assert!(scene.write(|writer| writer.forget(NOW + DAY)).1, "there may be more");
    assert!(!scene.write(|writer| writer.forget(NOW + DAY)).1);
    assert_eq!(rows(&scene), 0);
    assert!(scene.write(|writer| writer.report(&report, NOW + DAY, plus_one)).is_ok());
}
