//! Accounts and sessions.

use super::*;

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
