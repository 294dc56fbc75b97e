//! A full disk, other processes, damage, and kills.

use super::*;

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
