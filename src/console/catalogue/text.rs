//! For people.

use super::{Asked, PER_PAGE, Publication};
use crate::address::HostPort;
use crate::catalogue::naming::told_apart;
use crate::catalogue::{Composition, Details, Entered, Holder, Listed, Listing, News, Reach};
use crate::console::table::{Side, table};
use crate::console::words::counted;
use crate::digest::Digest;
use crate::identity::SwarmId;
use crate::manifest::Manifest;
use crate::shell;
use crate::text::{Escaped, bytes, chain};

pub(super) const DAY_SECS: u64 = 86_400;

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
            shell::words(account)
        ),
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

/// Says what became of a composition that was published, and how others get it.
#[must_use]
pub fn published_text(conductor: &HostPort, manifest: &Manifest, publication: Publication<'_>) -> String {
    let Publication { account, published, replaced } = publication;
    let name = manifest.name();
    let mut text = match &published.already_by {
        None => format!("{name} is in the catalogue of {conductor}.\n"),
        Some(by) => {
            format!("{name} was in the catalogue of {conductor} already, published by {}.\n", Escaped(by))
        }
    };
    let mut called = name.as_str().to_owned();
    let is_left = |other: &&Listed| !replaced.contains(other);
    let namesakes: Vec<Listed> = published.namesakes.iter().filter(is_left).cloned().collect();
    text += &match replaced.len() {
        0 => String::new(),
        1 => "It takes the place of what you had published under this name before.\n".to_owned(),
        more => format!("It takes the place of {more} that you had published under this name before.\n"),
    };
    if !namesakes.is_empty() {
        let mine = Listed {
            composition: Composition {
                name: name.as_str().to_owned(),
                digest: *manifest.digest().as_bytes(),
                size: manifest.layout().size(),
                part_len: manifest.layout().part_len(),
            },
            swarm: *manifest.swarm_id().as_bytes(),
            publisher: String::new(),
            published: 0,
            complete: 0,
            getting: 0,
        };
        called = told_apart(&mine, &namesakes);
        text += "Other compositions have the same name:\n";
        for other in &namesakes {
            text += &format!(
                "  {}  {}, by {}\n",
                shell::words(&told_apart(other, std::slice::from_ref(&mine))),
                bytes(other.composition.size),
                Escaped(&other.publisher)
            );
        }
        if namesakes.iter().any(|other| other.publisher == account) {
            text += "What you published yourself goes with: member unpublish NAME@DIGITS, or the next time: --replace\n";
        }
    }
    text + &format!("To get it elsewhere: member get --conductor {conductor} {}\n", shell::words(&called))
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
                let are = if pages == 1 { "is" } else { "are" };
                format!("There {are} only {}.\n", counted(pages, "page"))
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
        let limit = if asked.limit == PER_PAGE { String::new() } else { format!(" --limit {}", asked.limit) };
        let about =
            if asked.text.is_empty() { String::new() } else { format!(" {}", shell::words(asked.text)) };
        text += &format!(
            "{first} to {last} of {}; to see more: member list --page {}{limit}{about}\n",
            listing.matches,
            asked.page + 1
        );
    } else if asked.page > 1 {
        text += &format!("{first} to {last} of {}\n", listing.matches);
    }
    text
}

/// All about one composition; `now` in seconds since 1970.
#[must_use]
pub fn details_text(details: &Details, now: u64) -> String {
    let Details { listed, holders } = details;
    let composition = &listed.composition;
    let mut text = format!(
        "{}\n  digest     {}\n  swarm      {}\n  size       {} in {} of {}\n  published  by {}, {} ago\n  holders    {} complete, {} getting\n",
        Escaped(&composition.name),
        Digest::from_bytes(composition.digest),
        SwarmId::from_bytes(listed.swarm).digits(),
        bytes(composition.size),
        counted(composition.parts(), "part"),
        bytes(composition.part_len.into()),
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

/// How long ago something was, in its largest unit.
pub(super) fn age(now: u64, then: u64) -> String {
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
