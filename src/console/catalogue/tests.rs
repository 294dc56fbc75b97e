use std::path::Path;

use serde_json::{Value, json};

use super::text::{DAY_SECS, age};
use super::*;
use crate::address::HostPort;
use crate::catalogue::{Composition, Details, Entered, Holder, Listed, Listing, News, Published, Reach, Row};
use crate::credential::Fingerprint;
use crate::digest::Digest;
use crate::manifest::Manifest;
use crate::part::Layout;

const NOW: u64 = 1_795_305_600;

fn nas() -> HostPort {
    "nas".parse().unwrap()
}

fn listed(name: &str, digest: u8) -> Listed {
    Listed {
        composition: Composition {
            name: name.to_owned(),
            digest: [digest; 20],
            size: 142_044,
            part_len: 16_384,
        },
        swarm: [digest ^ 0xff; 32],
        publisher: "ada".to_owned(),
        published: NOW - 7_200,
        complete: 2,
        getting: 1,
    }
}

fn details() -> Details {
    let holder = |port: u16, reach, account: Option<&str>, score| Holder {
        address: ([10, 0, 0, 7], port).into(),
        complete: port == 1,
        account: account.map(str::to_owned),
        reach,
        downloads: 150,
        failures: 5,
        score,
    };
    Details {
        listed: Listed { complete: 1, getting: 4, ..listed("song\u{1b}[2J", 0x29) },
        holders: vec![
            holder(1, Reach::Reached { millis: 20 }, Some("ada\u{202e}"), 1_500),
            holder(2, Reach::Unknown, None, 100_000),
            holder(3, Reach::Unreachable, None, 7),
        ],
    }
}

fn manifest() -> Manifest {
    let layout = Layout::new(142_044, 16_384).unwrap();
    let digest = Digest::from_bytes([0x29; 20]);
    Manifest::new(nas(), crate::name::Name::parse("my song").unwrap(), digest, layout, vec![digest; 9])
}

fn by<'a>(account: &'a str, published: &'a Published, replaced: &'a [Listed]) -> Publication<'a> {
    Publication { account, published, replaced }
}

fn asked(text: &str, page: u32) -> Asked<'_> {
    Asked { text, page, limit: 2 }
}

fn page(names: &[&str], more: bool) -> Listing {
    let rows = names.iter().map(|name| Row { listed: listed(name, 0x29), name: (*name).to_owned() });
    Listing { rows: rows.collect(), matches: 9, more }
}

#[test]
fn a_list_for_people() {
    let text = listing_text(&nas(), asked("it's", 2), &page(&["a", "gpj\u{202e}exe"], true), NOW);
    let expected = "\
NAME                 SIZE  COMPLETE  GETTING  PUBLISHER  AGE
a               138.7 KiB         2        1  ada        2 h
gpj\\u{202e}exe  138.7 KiB         2        1  ada        2 h
3 to 4 of 9; to see more: member list --page 3 --limit 2 'it'\\''s'
";
    assert_eq!(text, expected);
    assert!(listing_text(&nas(), asked("", 5), &page(&["i"], false), NOW).ends_with("\n9 to 9 of 9\n"));
    assert_eq!(listing_text(&nas(), asked("", 1), &page(&["i"], false), NOW).lines().count(), 2);
}

#[test]
fn an_empty_list_says_why() {
    let none = |matches| Listing { rows: Vec::new(), matches, more: false };
    for (asked, matches, expected) in [
        (asked("", 1), 0, "Nothing is published at nas:9999 yet; to begin: member publish FILE\n"),
        (asked("x\u{7}", 1), 0, "Nothing at nas:9999 has x\\u{7} in its name.\n"),
        (asked("", 7), 9, "There are only 5 pages.\n"),
        (asked("", 7), 2, "There is only 1 page.\n"),
    ] {
        assert_eq!(listing_text(&nas(), asked, &none(matches), NOW), expected);
    }
}

#[test]
fn details_for_people() {
    let expected = "\
song\\u{1b}[2J
  digest     2929292929292929292929292929292929292929
  swarm      d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6
  size       138.7 KiB in 9 parts of 16.0 KiB
  published  by ada, 2 h ago
  holders    1 complete, 4 getting

ADDRESS     HAS     ACCOUNT         RESPONSE  DOWNLOADS  FAILURES    SCORE
10.0.0.7:1  all     ada\\u{202e}        20 ms       1.50      0.05    15.00
10.0.0.7:2  a part  -                unknown       1.50      0.05  1000.00
10.0.0.7:3  a part  -            unreachable       1.50      0.05     0.07
and 2 more
The best comes first; a lower score is better.
";
    assert_eq!(details_text(&details(), NOW), expected);
    // A part of no bytes exists only in what somebody else sends.
    let mut odd = details();
    odd.listed.composition.part_len = 0;
    odd.holders.clear();
    assert!(details_text(&odd, NOW).contains(" in 142044 parts of 0 B\n"));
}

#[test]
fn what_was_published_says_how_it_is_found() {
    let alone = Published { already_by: None, namesakes: Vec::new() };
    assert_eq!(
        published_text(&nas(), &manifest(), by("ada", &alone, &[])),
        "my song is in the catalogue of nas:9999.\n\
         To get it elsewhere: member get --conductor nas:9999 'my song'\n"
    );
    let twin = Published { already_by: Some("bob".to_owned()), namesakes: vec![listed("my song", 0x31)] };
    assert_eq!(
        published_text(&nas(), &manifest(), by("ada", &twin, &[])),
        "my song was in the catalogue of nas:9999 already, published by bob.\n\
         Other compositions have the same name:\n  'my song@31313131'  138.7 KiB, by ada\n\
         What you published yourself goes with: member unpublish NAME@DIGITS, or the next time: --replace\n\
         To get it elsewhere: member get --conductor nas:9999 'my song@29292929'\n"
    );
}

#[test]
fn what_was_replaced_is_no_namesake_any_more() {
    let [older, bobs] =
        [listed("my song", 0x31), Listed { publisher: "bob".to_owned(), ..listed("my song", 0x32) }];
    let published = Published { already_by: None, namesakes: vec![older.clone(), bobs] };
    let publication = by("ada", &published, std::slice::from_ref(&older));
    let text = published_text(&nas(), &manifest(), publication);
    assert_eq!(
        text,
        "my song is in the catalogue of nas:9999.\n\
         It takes the place of what you had published under this name before.\n\
         Other compositions have the same name:\n  'my song@32323232'  138.7 KiB, by bob\n\
         To get it elsewhere: member get --conductor nas:9999 'my song@29292929'\n"
    );
    let json = published_json(&nas(), &manifest(), Path::new("x.orch"), publication);
    let json: Value = serde_json::from_str(&json).unwrap();
    let of = |key: &str| {
        json[key].as_array().unwrap().iter().map(|listed| listed["publisher"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((of("namesakes"), of("replaced")), (vec!["bob".into()], vec!["ada".into()]));
}

#[test]
fn who_is_logged_in_is_told_for_how_long() {
    let entered = Entered { account: "ada".to_owned(), expires: NOW + 30 * DAY_SECS - 5 };
    let text = entered_text(&nas(), &entered, true, NOW);
    assert!(text.starts_with("ada has an account and is logged in at nas:9999, for 30 days.\n"), "{text}");
    let text = entered_text(&nas(), &entered, false, NOW + 30 * DAY_SECS);
    assert!(text.starts_with("ada is logged in at nas:9999, for 0 days.\n"), "{text}");
}

#[test]
fn ages_people_read() {
    for (seconds, text) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7_199, "1 h"), (172_800, "2 d")] {
        assert_eq!(age(NOW, NOW - seconds), text);
    }
    // The clocks of two computers are two clocks.
    assert_eq!(age(NOW, NOW + 5), "0 s");
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "every caller makes it for this")]
fn assert_is(line: &str, expected: Value) {
    assert!(!line.contains('\n'), "{line}");
    assert_eq!(serde_json::from_str::<Value>(line).unwrap(), expected);
}

#[test]
fn the_names_that_scripts_rely_on() {
    let digest = "29".repeat(20);
    let cut = |name: &str, mut fields: Value| {
        let cut = json!({"name": name, "digest": digest, "size": 142_044, "part_size": 16_384, "parts": 9});
        fields.as_object_mut().unwrap().extend(cut.as_object().unwrap().clone());
        fields.as_object_mut().unwrap().entry("swarm").or_insert("d6".repeat(32).into());
        fields
    };
    let ours = manifest().swarm_id().digits();
    let told = |name: &str, mut fields: Value| {
        let told = json!({"publisher": "ada", "published": NOW - 7_200, "complete": 2, "getting": 1});
        for (key, value) in told.as_object().unwrap() {
            fields.as_object_mut().unwrap().entry(key).or_insert(value.clone());
        }
        cut(name, fields)
    };
    let (nas, place) = (nas(), "nas:9999");
    let entered = Entered { account: "ada".to_owned(), expires: NOW };
    for (event, new) in [("registered", true), ("logged_in", false)] {
        assert_is(
            &entered_json(&nas, &entered, new),
            json!({"event": event, "conductor": place, "account": "ada", "expires": NOW}),
        );
    }
    assert_is(
        &logged_out_json(&nas, "ada"),
        json!({"event": "logged_out", "conductor": place, "account": "ada"}),
    );
    assert_is(
        &unpublished_json(&nas, "song"),
        json!({"event": "unpublished", "conductor": place, "name": "song"}),
    );
    let published = Published { already_by: None, namesakes: vec![listed("my song", 0x29)] };
    assert_is(
        &published_json(&nas, &manifest(), Path::new("/s.orch"), by("ada", &published, &[])),
        cut(
            "my song",
            json!({"event": "published", "conductor": place, "manifest": "/s.orch", "swarm": ours,
                   "namesakes": [told("my song", json!({}))], "replaced": []}),
        ),
    );
    assert_is(
        &manifest_json(&nas, &manifest(), Path::new("/s.orch"), true),
        cut(
            "my song",
            json!({"event": "manifest", "conductor": place, "manifest": "/s.orch", "swarm": ours,
                   "written": true}),
        ),
    );
    let listing = listing_json(&nas, asked("", 2), &page(&["a", "b\n"], true));
    let lines: Vec<_> = listing.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_is(lines[0], told("a", json!({"event": "listing", "called": "a"})));
    assert_is(lines[1], told("b\n", json!({"event": "listing", "called": "b\n"})));
    assert_is(
        lines[2],
        json!({"event": "page", "conductor": place, "page": 2, "limit": 2, "matches": 9, "more": true}),
    );
    let mut one = details();
    one.holders.truncate(2);
    assert_is(
        &details_json(&nas, &one),
        told(
            "song\u{1b}[2J",
            json!({"event": "details", "conductor": place, "complete": 1, "getting": 4, "holders": [
                {"address": "10.0.0.7:1", "complete": true, "account": "ada\u{202e}", "reach": "reached",
                 "response_ms": 20, "downloads": 1.5, "failures": 0.05, "score_ms": 15.0},
                {"address": "10.0.0.7:2", "complete": false, "account": null, "reach": "unknown",
                 "response_ms": null, "downloads": 1.5, "failures": 0.05, "score_ms": 1000.0},
            ]}),
        ),
    );
    assert_is(&several_json(&nas, &[listed("a", 0x29), listed("a", 0x31)]), {
        let mut other = told("a", json!({"called": "a@31313131"}));
        other["digest"] = "31".repeat(20).into();
        other["swarm"] = "ce".repeat(32).into();
        json!({"event": "several", "conductor": place,
                   "namesakes": [told("a", json!({"called": "a@29292929"})), other]})
    });
}

#[test]
fn news_for_programs() {
    let [a, b] = [1, 2].map(|byte| Fingerprint::of(&[byte; 32]));
    let object = |news: &News<'_>| news_json(&nas(), news);
    assert_is(
        &object(&News::FirstMet { fingerprint: a }).unwrap(),
        json!({"event": "conductor_met", "conductor": "nas:9999", "fingerprint": a.to_string()}),
    );
    assert_is(
        &object(&News::NewKey { fingerprint: a, before: b }).unwrap(),
        json!({"event": "conductor_key_replaced", "conductor": "nas:9999", "fingerprint": a.to_string(),
               "before": b.to_string()}),
    );
    assert_is(
        &object(&News::SessionOver { account: "ada" }).unwrap(),
        json!({"event": "session_over", "conductor": "nas:9999", "account": "ada"}),
    );
}
