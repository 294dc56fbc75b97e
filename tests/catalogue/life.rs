//! The whole life, as a new user types it.

use std::fs;

use serde_json::Value;

use crate::common::swarm::number;
use crate::group::{Group, LOGIN_FIRST, until};

/// The holder with this account.
fn holder(details: &Value, account: &str) -> Result<Value, String> {
    let holders = details["holders"].as_array().unwrap();
    holders.iter().find(|holder| holder["account"] == account).cloned().ok_or_else(|| details.to_string())
}

#[test]
fn from_the_first_account_to_the_last_logout() {
    let group = Group::private();
    let (ada, bob, carol) = (group.user(), group.user(), group.user());
    let place = group.address().to_string();

    // A stranger learns nothing, but what to do.
    let ended = bob.runs(&["list"]);
    assert_eq!((ended.code, ended.lines.len()), (Some(1), 0));
    assert!(
        ended.errors.contains(&group.fingerprint) && ended.errors.contains(LOGIN_FIRST),
        "{}",
        ended.errors
    );

    let ended = ada.runs(&["register", "ada"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.lines[0], format!("ada has an account and is logged in at {place}, for 30 days."));
    assert!(ended.errors.starts_with(&format!("First use of the conductor at {place}.")), "{}", ended.errors);
    assert!(ended.errors.contains(&group.fingerprint), "{}", ended.errors);
    assert_eq!(
        ada.does(&["list"]),
        format!("Nothing is published at {place} yet; to begin: member publish FILE")
    );

    let content = ada.writes("song.bin", 200_000, 1);
    let (published, mut sharing) = ada.starts(&["publish", "song.bin"]);
    assert_eq!((&published["event"], &published["name"]), (&"published".into(), &"song.bin".into()));
    assert_eq!(published["manifest"], "song.bin.orch");
    sharing.until_complete();

    // Whoever is registered logs in, here or elsewhere.
    bob.does(&["register", "bob"]);
    bob.does(&["logout"]);
    let login = bob.told(&["login", "BOB"]);
    assert_eq!((&login["event"], &login["account"]), (&"logged_in".into(), &"bob".into()));
    let list = bob.does(&["list", "SONG"]);
    assert!(list.lines().nth(1).unwrap().starts_with("song.bin  195.3 KiB"), "{list}");
    until("the holder is known", || holder(&bob.told(&["details", "song.bin"]), "ada"));
    let details = bob.told(&["details", "song.bin"]);
    assert_eq!((number(&details, "complete"), number(&details, "size")), (1, 200_000), "{details}");
    let ada_holds = holder(&details, "ada").unwrap();
    assert_eq!(ada_holds["address"], sharing.address.to_string());
    assert_eq!((ada_holds["downloads"].as_f64(), ada_holds["failures"].as_f64()), (Some(0.0), Some(0.0)));
    assert!(bob.does(&["details", "song.bin"]).contains("published  by ada, "));

    let (fetched, mut getting) = bob.starts(&["get", "song.bin", "--leave"]);
    assert_eq!((&fetched["event"], &fetched["written"]), (&"manifest".into(), &true.into()));
    getting.until_complete();
    getting.ends_with(0);
    assert_eq!(fs::read(bob.path("song.bin")).unwrap(), content);
    let manifest = fs::read_to_string(bob.path("song.bin.orch")).unwrap();
    assert!(manifest.starts_with(&format!("{place}\nsong.bin\n")), "{manifest}");

    // It went well, and is known.
    let counts = |name| {
        move |details: &Value| {
            let holder = holder(details, "ada")?;
            if holder[name].as_f64() > Some(0.0) { Ok(()) } else { Err(holder.to_string()) }
        }
    };
    until("a download counts", || counts("downloads")(&bob.told(&["details", "song.bin"])));

    // Ada is gone without a word; who tries to reach her says so.
    sharing.signal(rustix::process::Signal::KILL);
    carol.does(&["register", "carol"]);
    let (_, waiting) = carol.starts(&["get", "song.bin"]);
    until("a failure counts", || counts("failures")(&carol.told(&["details", "song.bin"])));
    waiting.signal(rustix::process::Signal::TERM);
    waiting.ends_with(3);

    ada.does(&["unpublish", "song.bin"]);
    let errors = carol.fails(&["details", "song.bin"], 1);
    assert!(errors.contains("nothing is published as song.bin"), "{errors}");
    assert_eq!(bob.does(&["logout"]), format!("bob is logged out at {place}."));
    let errors = bob.fails(&["list"], 1);
    assert!(errors.contains(LOGIN_FIRST), "{errors}");
    let errors = bob.fails(&["logout"], 1);
    assert!(errors.contains("not logged in at"), "{errors}");
}

#[test]
fn a_public_catalogue_is_read_by_everybody_and_written_by_members() {
    let group = Group::public();
    let (ada, guest) = (group.member("ada"), group.user());
    let content = ada.writes("a song", 50_000, 2);
    let told = ada.told(&["publish", "a song", "--no-share"]);
    assert_eq!((&told["event"], number(&told, "parts")), (&"published".into(), 4));
    let list = guest.does(&["list"]);
    assert!(list.lines().nth(1).unwrap().starts_with("a song  48.8 KiB         0        0  ada"), "{list}");

    // A manifest that is there is published as it is, and what it describes shared from where it is.
    fs::create_dir(ada.path("else")).unwrap();
    fs::rename(ada.path("a song"), ada.path("else/a song")).unwrap();
    let (again, mut sharing) = ada.starts(&["publish", "a song.orch", "--dir", "else"]);
    assert_eq!((&again["event"], again.get("already_by")), (&"published".into(), None), "{again}");
    sharing.until_complete();
    fs::create_dir(guest.path("music")).unwrap();
    let (_, getting) = guest.starts(&["get", "a song", "--dir", "music", "--leave"]);
    getting.ends_with(0);
    assert_eq!(fs::read(guest.path("music/a song")).unwrap(), content);
    sharing.leaves();

    guest.writes("own", 10, 3);
    for arguments in [["publish", "own"].as_slice(), &["unpublish", "a song"], &["logout"]] {
        let errors = guest.fails(arguments, 1);
        assert!(errors.contains("not logged in at ") && errors.contains("member login NAME"), "{errors}");
    }
    assert!(!guest.path("own.orch").exists(), "nothing is composed in vain");
}

#[test]
fn a_long_list_comes_in_pages() {
    let group = Group::public();
    let ada = group.member("ada");
    let all = 230;
    for number in 0..all {
        // One content under many names.
        let text = format!("h:1\nsong {number:03}\n{0}\n1\n1\n1\n{0}\n", "29".repeat(20));
        fs::write(ada.path("x.orch"), text).unwrap();
        ada.does(&["publish", "x.orch", "--no-share", "--quiet"]);
    }
    let names = |arguments: &[&str]| {
        let text = ada.does(&[&["list", "--json"], arguments].concat());
        let objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (page, rows) = objects.split_last().unwrap();
        assert_eq!((&page["event"], number(page, "matches")), (&"page".into(), all), "{page}");
        let names: Vec<String> = rows.iter().map(|row| row["called"].as_str().unwrap().to_owned()).collect();
        (names, page["more"] == true)
    };
    let expected = |from: u64, to: u64| (from..to).map(|at| format!("song {at:03}")).collect::<Vec<_>>();
    assert_eq!(names(&[]), (expected(0, 50), true));
    assert_eq!(names(&["--page", "5"]), (expected(200, 230), false));
    assert_eq!(names(&["--limit", "115", "--page", "2"]), (expected(115, 230), false));
    assert_eq!(names(&["--limit", "1000"]), (expected(0, 230), false));
    assert_eq!(names(&["--page", "6"]), (Vec::new(), false));
    let text = ada.does(&["list", "--limit", "2", "--page", "3"]);
    assert_eq!(
        text.lines().last(),
        Some("5 to 6 of 230; to see more: member list --page 4 --limit 2"),
        "{text}"
    );
    assert_eq!(ada.does(&["list", "--page", "9"]), "There are only 5 pages.");
}
