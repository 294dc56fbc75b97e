//! Reports.

use super::*;

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
