//! For programs: objects, each on a line.
//!
//! Scripts rely on the names in them: fields and events may be added, none is renamed or taken away.

use std::path::Path;

use serde::Serialize;

use super::{Asked, Publication};
use crate::address::HostPort;
use crate::catalogue::naming::told_apart;
use crate::catalogue::{Details, Entered, Holder, Listed, Listing, News, Reach};
use crate::digest::Digest;
use crate::identity::SwarmId;
use crate::manifest::Manifest;

/// What is told of news that are no answer, as one object; none for what is not for programs.
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

/// Says that somebody is logged in now, as one object.
#[must_use]
pub fn entered_json(conductor: &HostPort, entered: &Entered, new: bool) -> String {
    let (conductor, account, expires) = (conductor.to_string(), &entered.account, entered.expires);
    render(&if new {
        Event::Registered { conductor, account, expires }
    } else {
        Event::LoggedIn { conductor, account, expires }
    })
}

/// Says that an account has a new password and only this session, as one object.
#[must_use]
pub fn renewed_json(conductor: &HostPort, entered: &Entered) -> String {
    let (conductor, account, expires) = (conductor.to_string(), &entered.account, entered.expires);
    render(&Event::PasswordChanged { conductor, account, expires })
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
    publication: Publication<'_>,
) -> String {
    let Publication { published, replaced, .. } = publication;
    render(&Event::Published {
        conductor: conductor.to_string(),
        composition: manifest.into(),
        manifest: path.to_string_lossy().into_owned(),
        already_by: published.already_by.as_deref(),
        namesakes: published
            .namesakes
            .iter()
            .filter(|other| !replaced.contains(other))
            .map(Told::from)
            .collect(),
        replaced: replaced.iter().map(Told::from).collect(),
    })
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

/// A page of the catalogue, one object a line: each listing, and then the page.
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

/// All about one composition, as one object.
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
    /// There is this session, and a new password.
    PasswordChanged { conductor: String, account: &'a str, expires: u64 },
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
        replaced: Vec<Told<'a>>,
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
    /// What tells it from all others, whatever digest they claim.
    swarm: String,
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
            swarm: manifest.swarm_id().digits(),
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
                parts: composition.parts(),
                swarm: SwarmId::from_bytes(listed.swarm).digits(),
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
