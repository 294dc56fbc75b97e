//! What a catalogue says, as people read it and as programs do.
//!
//! Scripts rely on the names in the objects: fields and events may be added, none is renamed or taken away.

use std::path::Path;

use serde::Serialize;

use crate::address::HostPort;
use crate::catalogue::naming::told_apart;
use crate::catalogue::{Composition, Details, Entered, Holder, Listed, Listing, News, Published, Reach};
use crate::cli::shell_word;
use crate::console::table::{Side, table};
use crate::console::words::counted;
use crate::digest::Digest;
use crate::manifest::Manifest;
use crate::text::{Escaped, bytes, chain};

const DAY_SECS: u64 = 86_400;

/// Which page of a list was asked for, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// What the names contain.
    pub text: &'a str,
    /// Which page, from 1.
    pub page: u32,
    /// How many listings a page has.
    pub limit: u32,
}

impl Asked<'_> {
    /// How many listings come before the page.
    #[must_use]
    pub fn skip(&self) -> u64 {
        u64::from(self.page.saturating_sub(1)) * u64::from(self.limit)
    }
}

/// What is told of news that are no answer: lines for standard error, each with its end.
#[must_use]
pub fn news_text(conductor: &HostPort, news: &News<'_>) -> String {
    match news {
        News::FirstMet { fingerprint } => format!(
            "First use of the conductor at {conductor}. Its key, which is remembered from now on:\n  {fingerprint}\n\
             Compare it with what the conductor printed at its start.\n"
        ),
        News::NewKey { fingerprint, before } => format!(
            "The conductor at {conductor} has the key that you named, which is remembered instead of {before}:\n  \
             {fingerprint}\n"
        ),
        News::NotRemembered(error) => format!("This is not remembered: {}\n", chain(*error)),
        News::SessionOver { account } => format!(
            "The session of {} at {conductor} is over; to log in again: member login {}\n",
            Escaped(account),
            Escaped(account)
        ),
    }
}

/// The same as one object; none for what is not for programs.
#[must_use]
pub fn news_json(conductor: &HostPort, news: &News<'_>) -> Option<String> {
    let conductor = conductor.to_string();
    match news {
        News::FirstMet { fingerprint } => {
            Some(render(&Event::ConductorMet { conductor, fingerprint: fingerprint.to_string() }))
        }
        News::NewKey { fingerprint, before } => Some(render(&Event::ConductorKeyReplaced {
            conductor,
            fingerprint: fingerprint.to_string(),
            before: before.to_string(),
        })),
        News::SessionOver { account } => Some(render(&Event::SessionOver { conductor, account })),
        News::NotRemembered(_) => None,
    }
}

/// Says that somebody is logged in now; `now` in seconds since 1970.
#[must_use]
pub fn entered_text(conductor: &HostPort, entered: &Entered, new: bool, now: u64) -> String {
    let left = counted(entered.expires.saturating_sub(now).div_ceil(DAY_SECS), "day");
    let made = if new { "has an account and " } else { "" };
    format!(
        "{} {made}is logged in at {conductor}, for {left}.\nNext, for instance: member list, or: member publish FILE\n",
        Escaped(&entered.account)
    )
}

/// The same as one object.
#[must_use]
pub fn entered_json(conductor: &HostPort, entered: &Entered, new: bool) -> String {
    let (conductor, account, expires) = (conductor.to_string(), &entered.account, entered.expires);
    render(&if new {
        Event::Registered { conductor, account, expires }
    } else {
        Event::LoggedIn { conductor, account, expires }
    })
}

/// Says that a session has ended, as one object.
#[must_use]
pub fn logged_out_json(conductor: &HostPort, account: &str) -> String {
    render(&Event::LoggedOut { conductor: conductor.to_string(), account })
}

/// Says that something is not in the catalogue any more, as one object.
#[must_use]
pub fn unpublished_json(conductor: &HostPort, name: &str) -> String {
    render(&Event::Unpublished { conductor: conductor.to_string(), name })
}

/// Says what became of a composition that was published, as one object.
#[must_use]
pub fn published_json(
    conductor: &HostPort,
    manifest: &Manifest,
    path: &Path,
    published: &Published,
) -> String {
    render(&Event::Published {
        conductor: conductor.to_string(),
        composition: manifest.into(),
        manifest: path.to_string_lossy().into_owned(),
        already_by: published.already_by.as_deref(),
        namesakes: published.namesakes.iter().map(Told::from).collect(),
    })
}

/// The same for people.
#[must_use]
pub fn published_text(conductor: &HostPort, manifest: &Manifest, published: &Published) -> String {
    let name = manifest.name();
    let mut text = match &published.already_by {
        None => format!("{name} is in the catalogue of {conductor}.\n"),
        Some(by) => {
            format!("{name} was in the catalogue of {conductor} already, published by {}.\n", Escaped(by))
        }
    };
    let mut called = name.as_str().to_owned();
    if !published.namesakes.is_empty() {
        let mine = Listed {
            composition: Composition {
                name: name.as_str().to_owned(),
                digest: *manifest.digest().as_bytes(),
                size: manifest.layout().size(),
                part_len: manifest.layout().part_len(),
            },
            publisher: String::new(),
            published: 0,
            complete: 0,
            getting: 0,
        };
        called = told_apart(&mine, &published.namesakes);
        text += "Others have the same name:\n";
        for other in &published.namesakes {
            text += &format!(
                "  {}  {}, by {}\n",
                Escaped(&told_apart(other, std::slice::from_ref(&mine))),
                bytes(other.composition.size),
                Escaped(&other.publisher)
            );
        }
    }
    let called = shell_word(Path::new(&called));
    text + &format!("To get it elsewhere: member get {called} --conductor {conductor}\n")
}

/// Says where the manifest is that was fetched, as one object; `written` unless it was there.
#[must_use]
pub fn manifest_json(conductor: &HostPort, manifest: &Manifest, path: &Path, written: bool) -> String {
    render(&Event::Manifest {
        conductor: conductor.to_string(),
        composition: manifest.into(),
        manifest: path.to_string_lossy().into_owned(),
        written,
    })
}

/// A page of the catalogue, and how to see more; `now` in seconds since 1970.
#[must_use]
pub fn listing_text(conductor: &HostPort, asked: Asked<'_>, listing: &Listing, now: u64) -> String {
    if listing.rows.is_empty() {
        return match (listing.matches, asked.text) {
            (0, "") => format!("Nothing is published at {conductor} yet; to begin: member publish FILE\n"),
            (0, text) => format!("Nothing at {conductor} has {} in its name.\n", Escaped(text)),
            (matches, _) => {
                let pages = u64::from(matches).div_ceil(asked.limit.max(1).into());
                format!("There are only {}.\n", counted(pages, "page"))
            }
        };
    }
    let rows: Vec<_> = listing
        .rows
        .iter()
        .map(|row| {
            let listed = &row.listed;
            [
                Escaped(&row.name).to_string(),
                bytes(listed.composition.size),
                listed.complete.to_string(),
                listed.getting.to_string(),
                Escaped(&listed.publisher).to_string(),
                age(now, listed.published),
            ]
        })
        .collect();
    let columns = [
        ("NAME", Side::Left),
        ("SIZE", Side::Right),
        ("COMPLETE", Side::Right),
        ("GETTING", Side::Right),
        ("PUBLISHER", Side::Left),
        ("AGE", Side::Right),
    ];
    let mut text = table(columns, &rows);
    let (first, last) = (asked.skip() + 1, asked.skip() + listing.rows.len() as u64);
    if listing.more {
        text +=
            &format!("{first} to {last} of {}; to see more: --page {}\n", listing.matches, asked.page + 1);
    } else if asked.page > 1 {
        text += &format!("{first} to {last} of {}\n", listing.matches);
    }
    text
}

/// The same, one object a line: each listing, and then the page.
#[must_use]
pub fn listing_json(conductor: &HostPort, asked: Asked<'_>, listing: &Listing) -> String {
    let mut text = String::new();
    for row in &listing.rows {
        text += &render(&Event::Listing { called: &row.name, told: Told::from(&row.listed) });
        text.push('\n');
    }
    text + &render(&Event::Page {
        conductor: conductor.to_string(),
        page: asked.page,
        limit: asked.limit,
        matches: listing.matches,
        more: listing.more,
    })
}

/// All about one composition; `now` in seconds since 1970.
#[must_use]
pub fn details_text(details: &Details, now: u64) -> String {
    let Details { listed, holders } = details;
    let told = Told::from(listed);
    let mut text = format!(
        "{}\n  digest     {}\n  size       {} in {} of {}\n  published  by {}, {} ago\n  holders    {} complete, {} getting\n",
        Escaped(told.composition.name),
        told.composition.digest,
        bytes(listed.composition.size),
        counted(told.composition.parts, "part"),
        bytes(listed.composition.part_len.into()),
        Escaped(&listed.publisher),
        age(now, listed.published),
        listed.complete,
        listed.getting,
    );
    if holders.is_empty() {
        return text;
    }
    let rows: Vec<_> = holders.iter().map(holder_row).collect();
    let columns = [
        ("ADDRESS", Side::Left),
        ("HAS", Side::Left),
        ("ACCOUNT", Side::Left),
        ("RESPONSE", Side::Right),
        ("DOWNLOADS", Side::Right),
        ("FAILURES", Side::Right),
        ("SCORE", Side::Right),
    ];
    text += "\n";
    text += &table(columns, &rows);
    let all = u64::from(listed.complete) + u64::from(listed.getting);
    match all.saturating_sub(holders.len() as u64) {
        0 => {}
        more => text += &format!("and {more} more\n"),
    }
    text + "The best comes first; a lower score is better.\n"
}

fn holder_row(holder: &Holder) -> [String; 7] {
    [
        holder.address.to_string(),
        if holder.complete { "all" } else { "a part" }.to_owned(),
        holder.account.as_deref().map_or("-".to_owned(), |account| Escaped(account).to_string()),
        match holder.reach {
            Reach::Unknown => "unknown".to_owned(),
            Reach::Reached { millis } => format!("{millis} ms"),
            Reach::Unreachable => "unreachable".to_owned(),
        },
        hundredths(holder.downloads.into()),
        hundredths(holder.failures.into()),
        hundredths(holder.score),
    ]
}

/// The same as one object.
#[must_use]
pub fn details_json(conductor: &HostPort, details: &Details) -> String {
    render(&Event::Details {
        conductor: conductor.to_string(),
        told: Told::from(&details.listed),
        holders: details.holders.iter().map(HolderTold::from).collect(),
    })
}

/// Which compositions share the name that was asked for, one object.
#[must_use]
pub fn several_json(conductor: &HostPort, namesakes: &[Listed]) -> String {
    let namesakes = namesakes
        .iter()
        .map(|listed| Namesake { called: told_apart(listed, namesakes), told: Told::from(listed) });
    render(&Event::Several { conductor: conductor.to_string(), namesakes: namesakes.collect() })
}

/// How long ago something was, in its largest unit.
fn age(now: u64, then: u64) -> String {
    let seconds = now.saturating_sub(then);
    match (seconds / DAY_SECS, seconds / 3_600, seconds / 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, _) => format!("{hours} h"),
        (days, ..) => format!("{days} d"),
    }
}

fn hundredths(value: u64) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    /// The conductor's key was seen for the first time.
    ConductorMet { conductor: String, fingerprint: String },
    /// The user named another key than the remembered one.
    ConductorKeyReplaced { conductor: String, fingerprint: String, before: String },
    /// The session has ended; what follows is asked without one.
    SessionOver { conductor: String, account: &'a str },
    /// There is an account, and a session; `expires` in seconds since 1970.
    Registered { conductor: String, account: &'a str, expires: u64 },
    /// There is a session.
    LoggedIn { conductor: String, account: &'a str, expires: u64 },
    /// There is none any more.
    LoggedOut { conductor: String, account: &'a str },
    /// It is in the catalogue.
    Published {
        conductor: String,
        #[serde(flatten)]
        composition: Cut<'a>,
        /// Where its manifest is.
        manifest: String,
        /// Who published it before; absent if nobody did.
        #[serde(skip_serializing_if = "Option::is_none")]
        already_by: Option<&'a str>,
        namesakes: Vec<Told<'a>>,
    },
    /// It is not any more.
    Unpublished { conductor: String, name: &'a str },
    /// It is about to be fetched from others.
    Manifest {
        conductor: String,
        #[serde(flatten)]
        composition: Cut<'a>,
        manifest: String,
        written: bool,
    },
    /// A line of a list.
    Listing {
        /// What leads to it and to no other.
        called: &'a str,
        #[serde(flatten)]
        told: Told<'a>,
    },
    /// What the lines before belong to.
    Page { conductor: String, page: u32, limit: u32, matches: u32, more: bool },
    /// All about one composition.
    Details {
        conductor: String,
        #[serde(flatten)]
        told: Told<'a>,
        /// The best first.
        holders: Vec<HolderTold<'a>>,
    },
    /// Several have the name that was asked for.
    Several { conductor: String, namesakes: Vec<Namesake<'a>> },
}

/// A composition.
#[derive(Serialize)]
struct Cut<'a> {
    /// As its publisher wrote it, not escaped.
    name: &'a str,
    digest: String,
    size: u64,
    part_size: u32,
    parts: u64,
}

/// A composition in the catalogue.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    composition: Cut<'a>,
    publisher: &'a str,
    /// In seconds since 1970.
    published: u64,
    complete: u32,
    getting: u32,
}

#[derive(Serialize)]
struct Namesake<'a> {
    called: String,
    #[serde(flatten)]
    told: Told<'a>,
}

#[derive(Serialize)]
struct HolderTold<'a> {
    address: String,
    complete: bool,
    /// Null if it did not log in.
    account: Option<&'a str>,
    reach: &'static str,
    /// Null unless it can be reached.
    response_ms: Option<u32>,
    downloads: f64,
    failures: f64,
    /// Less is better.
    score_ms: f64,
}

impl<'a> From<&'a Manifest> for Cut<'a> {
    fn from(manifest: &'a Manifest) -> Cut<'a> {
        Cut {
            name: manifest.name().as_str(),
            digest: manifest.digest().to_string(),
            size: manifest.layout().size(),
            part_size: manifest.layout().part_len(),
            parts: manifest.layout().parts().into(),
        }
    }
}

impl<'a> From<&'a Listed> for Told<'a> {
    fn from(listed: &'a Listed) -> Told<'a> {
        let composition = &listed.composition;
        Told {
            composition: Cut {
                name: &composition.name,
                digest: Digest::from_bytes(composition.digest).to_string(),
                size: composition.size,
                part_size: composition.part_len,
                // Somebody else says how long a part is.
                parts: composition.size.div_ceil(u64::from(composition.part_len).max(1)),
            },
            publisher: &listed.publisher,
            published: listed.published,
            complete: listed.complete,
            getting: listed.getting,
        }
    }
}

impl<'a> From<&'a Holder> for HolderTold<'a> {
    fn from(holder: &'a Holder) -> HolderTold<'a> {
        let (reach, response_ms) = match holder.reach {
            Reach::Unknown => ("unknown", None),
            Reach::Reached { millis } => ("reached", Some(millis)),
            Reach::Unreachable => ("unreachable", None),
        };
        #[expect(clippy::cast_precision_loss, reason = "nobody reads the sixteenth digit of a score")]
        let score_ms = holder.score as f64 / 100.0;
        HolderTold {
            address: holder.address.to_string(),
            complete: holder.complete,
            account: holder.account.as_deref(),
            reach,
            response_ms,
            downloads: f64::from(holder.downloads) / 100.0,
            failures: f64::from(holder.failures) / 100.0,
            score_ms,
        }
    }
}

fn render(object: &impl Serialize) -> String {
    serde_json::to_string(object).expect("numbers, texts and finite fractions are always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Row;
    use crate::credential::Fingerprint;
    use crate::part::Layout;
    use serde_json::{Value, json};

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

    fn asked(text: &str, page: u32) -> Asked<'_> {
        Asked { text, page, limit: 2 }
    }

    fn page(names: &[&str], more: bool) -> Listing {
        let rows = names.iter().map(|name| Row { listed: listed(name, 0x29), name: (*name).to_owned() });
        Listing { rows: rows.collect(), matches: 9, more }
    }

    #[test]
    fn a_list_for_people() {
        let text = listing_text(&nas(), asked("", 2), &page(&["a", "gpj\u{202e}exe"], true), NOW);
        let expected = "\
NAME                 SIZE  COMPLETE  GETTING  PUBLISHER  AGE
a               138.7 KiB         2        1  ada        2 h
gpj\\u{202e}exe  138.7 KiB         2        1  ada        2 h
3 to 4 of 9; to see more: --page 3
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
            (asked("", 7), 2, "There are only 1 page.\n"),
        ] {
            assert_eq!(listing_text(&nas(), asked, &none(matches), NOW), expected);
        }
    }

    #[test]
    fn details_for_people() {
        let expected = "\
song\\u{1b}[2J
  digest     2929292929292929292929292929292929292929
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
            published_text(&nas(), &manifest(), &alone),
            "my song is in the catalogue of nas:9999.\n\
             To get it elsewhere: member get 'my song' --conductor nas:9999\n"
        );
        let twin = Published { already_by: Some("bob".to_owned()), namesakes: vec![listed("my song", 0x31)] };
        assert_eq!(
            published_text(&nas(), &manifest(), &twin),
            "my song was in the catalogue of nas:9999 already, published by bob.\n\
             Others have the same name:\n  my song@31313131  138.7 KiB, by ada\n\
             To get it elsewhere: member get 'my song@29292929' --conductor nas:9999\n"
        );
    }

    #[test]
    fn who_is_logged_in_is_told_for_how_long() {
        let entered = Entered { account: "ada".to_owned(), expires: NOW + 30 * DAY_SECS - 5 };
        let text = entered_text(&nas(), &entered, true, NOW);
        assert!(
            text.starts_with("ada has an account and is logged in at nas:9999, for 30 days.\n"),
            "{text}"
        );
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
            let cut =
                json!({"name": name, "digest": digest, "size": 142_044, "part_size": 16_384, "parts": 9});
            fields.as_object_mut().unwrap().extend(cut.as_object().unwrap().clone());
            fields
        };
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
            &published_json(&nas, &manifest(), Path::new("/s.orch"), &published),
            cut(
                "my song",
                json!({"event": "published", "conductor": place, "manifest": "/s.orch",
                       "namesakes": [told("my song", json!({}))]}),
            ),
        );
        assert_is(
            &manifest_json(&nas, &manifest(), Path::new("/s.orch"), true),
            cut(
                "my song",
                json!({"event": "manifest", "conductor": place, "manifest": "/s.orch", "written": true}),
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
}
