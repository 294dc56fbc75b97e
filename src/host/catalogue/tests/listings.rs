//! Listings.

use super::*;

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
