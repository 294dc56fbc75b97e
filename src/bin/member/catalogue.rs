//! The commands of a catalogue.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::Args;
use thiserror::Error;

use orchestra::catalogue::Place;
use orchestra::cli::Exit;
use orchestra::composer::{ComposeError, Request};
use orchestra::console::catalogue::{
    Asked, PER_PAGE, Publication, details_json, details_text, entered_json, entered_text, listing_json,
    listing_text, logged_out_json, manifest_json, published_json, published_text, renewed_json,
    unpublished_json,
};
use orchestra::host::atomic::{self, Readers};
use orchestra::host::manifest_file::{self, ManifestFileError};
use orchestra::host::{clock, directory, signal};
use orchestra::manifest::Manifest;
use orchestra::text::Escaped;

use crate::Sharing;
use crate::asking::{Asker, PasswordFrom, Purpose, ask};
use crate::sharing::{Part, compose_until_stopped};

/// What follows the name of a composition in the name of its manifest.
const SUFFIX: &str = "orch";

/// Which conductor, and how its answer is printed.
#[derive(Debug, Args)]
pub(crate) struct Where {
    /// HOST[:PORT][#FINGERPRINT] [default: $ORCHESTRA_CONDUCTOR, or the one known]
    #[arg(long, value_name = "CONDUCTOR")]
    conductor: Option<Place>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Account {
    /// The name of the account
    name: String,
    #[command(flatten)]
    password: PasswordFrom,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(crate) struct NewPassword {
    #[command(flatten)]
    password: PasswordFrom,
    /// The new one is in this file [default: $ORCHESTRA_NEW_PASSWORD, or asked]
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(crate) struct Logout {
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The file, or its manifest
    file: PathBuf,
    /// HOST[:PORT][#FINGERPRINT] [default: $ORCHESTRA_CONDUCTOR]
    #[arg(long, value_name = "CONDUCTOR")]
    conductor: Option<Place>,
    /// Take out what you have published under this name before
    #[arg(long)]
    replace: bool,
    /// Only publish: somebody shares it already, or will
    #[arg(long)]
    no_share: bool,
    #[command(flatten)]
    sharing: Sharing,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only names with this in them, in whatever case
    text: Option<String>,
    /// Which page
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    page: u32,
    /// How many there are on a page
    #[arg(long, value_name = "N", default_value_t = PER_PAGE, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(crate) struct Details {
    /// The name; NAME@DIGITS where several have it, with the digits that list shows
    name: String,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The name; NAME@DIGITS where several have it
    name: String,
    /// HOST[:PORT][#FINGERPRINT] [default: $ORCHESTRA_CONDUCTOR]
    #[arg(long, value_name = "CONDUCTOR")]
    conductor: Option<Place>,
    #[command(flatten)]
    sharing: Sharing,
}

#[derive(Debug, Args)]
pub(crate) struct Unpublish {
    /// The name; NAME@DIGITS where several have it, with the digits that list shows
    name: String,
    #[command(flatten)]
    at: Where,
}

/// A manifest that is not to be overwritten.
#[derive(Debug, Error)]
#[error(
    "{} is there and describes something else; it was not touched: use --dir DIR, or move it away",
    Escaped(&path.to_string_lossy())
)]
struct OtherManifest {
    path: PathBuf,
}

type Ended = Result<Exit, Box<dyn Error>>;

pub(crate) fn register(account: &Account) -> Ended {
    enter(account, Purpose::New)
}

pub(crate) fn login(account: &Account) -> Ended {
    enter(account, Purpose::Existing)
}

fn enter(account: &Account, purpose: Purpose) -> Ended {
    at(&account.at, |asker| {
        let Some(password) = asker.password(&account.password, purpose, &account.name)? else {
            return Ok(Exit::Incomplete);
        };
        let (client, new) = (&asker.client, purpose == Purpose::New);
        let entered = match purpose {
            Purpose::New => client.register(&account.name, password)?,
            Purpose::Existing => client.login(&account.name, password)?,
        };
        asker.answer(
            || entered_json(client.conductor(), &entered, new),
            || entered_text(client.conductor(), &entered, new, now()),
        )?;
        Ok(Exit::Done)
    })
}

pub(crate) fn password(asked: &NewPassword) -> Ended {
    at(&asked.at, |asker| {
        let client = &asker.client;
        let account = client.account()?;
        let Some(password) = asker.password(&asked.password, Purpose::Existing, &account)? else {
            return Ok(Exit::Incomplete);
        };
        let Some(new) = asker.new_password(asked.new_password_file.as_deref(), &account)? else {
            return Ok(Exit::Incomplete);
        };
        let entered = client.renew(&account, password, new)?;
        asker.answer(
            || renewed_json(client.conductor(), &entered),
            || {
                format!(
                    "{} has a new password at {}, and is logged in only here.\n",
                    Escaped(&entered.account),
                    client.conductor()
                )
            },
        )?;
        Ok(Exit::Done)
    })
}

pub(crate) fn logout(logout: &Logout) -> Ended {
    at(&logout.at, |asker| {
        let conductor = asker.client.conductor();
        let account = asker.client.logout()?;
        asker.answer(
            || logged_out_json(conductor, &account),
            || format!("{} is logged out at {conductor}.\n", Escaped(&account)),
        )?;
        Ok(Exit::Done)
    })
}

pub(crate) fn list(list: &List) -> Ended {
    at(&list.at, |asker| {
        let asked =
            Asked { text: list.text.as_deref().unwrap_or_default(), page: list.page, limit: list.limit };
        let (client, conductor) = (&asker.client, asker.client.conductor());
        let listing = client.list(asked.text, asked.skip(), asked.limit.into())?;
        asker.answer(
            || listing_json(conductor, asked, &listing),
            || listing_text(conductor, asked, &listing, now()),
        )?;
        Ok(Exit::Done)
    })
}

pub(crate) fn details(details: &Details) -> Ended {
    at(&details.at, |asker| {
        let found = asker.client.details(&details.name)?;
        asker.answer(|| details_json(asker.client.conductor(), &found), || details_text(&found, now()))?;
        Ok(Exit::Done)
    })
}

pub(crate) fn unpublish(unpublish: &Unpublish) -> Ended {
    at(&unpublish.at, |asker| {
        let conductor = asker.client.conductor();
        asker.client.unpublish(&unpublish.name)?;
        asker.answer(
            || unpublished_json(conductor, &unpublish.name),
            || {
                format!(
                    "{} is no longer in the catalogue of {conductor}; who has its manifest can go on sharing it.\n",
                    Escaped(&unpublish.name)
                )
            },
        )?;
        Ok(Exit::Done)
    })
}

pub(crate) fn publish(publish: &Publish) -> Ended {
    let sharing = &publish.sharing;
    sharing.start_log();
    let signals = signal::watch()?;
    ask(publish.conductor.as_ref(), sharing.json, sharing.quiet, &signals, |asker| {
        let client = &asker.client;
        let conductor = client.conductor();
        // Before a long file is read in vain.
        let account = client.account()?;
        let part = if publish.file.extension() == Some(OsStr::new(SUFFIX)) {
            let manifest = manifest_file::read(&publish.file)?;
            let dir = sharing.dir.clone().unwrap_or_else(|| directory::of(&publish.file).to_owned());
            let (path, conductor) = (publish.file.clone(), conductor.clone());
            Part { manifest, path, dir, conductor, verified: false, claimed: false }
        } else {
            let request = Request {
                file: publish.file.clone(),
                conductor: conductor.clone(),
                part_len: None,
                output: None,
            };
            let composed = match compose_until_stopped(&request, sharing.shows(), &signals) {
                Err(ComposeError::Stopped { .. }) => return Ok(Exit::Incomplete),
                composed => composed?,
            };
            let dir = directory::of(&publish.file).to_owned();
            let (manifest, path) = (composed.manifest, composed.path);
            Part { manifest, path, dir, conductor: conductor.clone(), verified: true, claimed: false }
        };
        let published = client.publish(&part.manifest)?;
        let replaced = if publish.replace {
            client.take_out_older(&account, &part.manifest, &published)?
        } else {
            Vec::new()
        };
        let news = Publication { account: &account, published: &published, replaced: &replaced };
        if !sharing.quiet {
            asker.answer(
                || published_json(conductor, &part.manifest, &part.path, news),
                || published_text(conductor, &part.manifest, news),
            )?;
        }
        if publish.no_share { Ok(Exit::Done) } else { part.take(sharing, &signals) }
    })
}

pub(crate) fn get(get: &Get) -> Ended {
    let sharing = &get.sharing;
    sharing.start_log();
    let signals = signal::watch()?;
    ask(get.conductor.as_ref(), sharing.json, sharing.quiet, &signals, |asker| {
        let conductor = asker.client.conductor();
        let manifest = asker.client.fetch(&get.name)?;
        let dir = sharing.dir.clone().unwrap_or_else(|| PathBuf::from("."));
        let path = beneath(&dir, &format!("{}.{SUFFIX}", manifest.name().as_str()));
        let written = keep(&manifest, &path)?;
        if !sharing.quiet {
            asker.answer(
                || manifest_json(conductor, &manifest, &path, written),
                || {
                    let how = if written { "is the manifest" } else { "is the manifest, and was there" };
                    format!("{} {how}.\n", Escaped(&path.to_string_lossy()))
                },
            )?;
        }
        let conductor = conductor.clone();
        let part = Part { manifest, path, dir, conductor, verified: false, claimed: true };
        part.take(sharing, &signals)
    })
}

/// Writes the manifest, unless the same one is there. Whether it did.
fn keep(manifest: &Manifest, path: &Path) -> Result<bool, Box<dyn Error>> {
    let other = || OtherManifest { path: path.to_owned() };
    match manifest_file::read(path) {
        Ok(there) if there.swarm_id() == manifest.swarm_id() && there.name() == manifest.name() => Ok(false),
        Ok(_) | Err(ManifestFileError::NotAManifest { .. } | ManifestFileError::TooLong { .. }) => {
            Err(other().into())
        }
        Err(ManifestFileError::Host(error)) if error.io().kind() == std::io::ErrorKind::NotFound => {
            atomic::write(path, manifest.render().as_bytes(), Readers::AsBefore)?;
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

/// A path in this folder, as short as people would write it.
fn beneath(dir: &Path, name: &str) -> PathBuf {
    if dir == Path::new(".") { PathBuf::from(name) } else { dir.join(name) }
}

fn at(at: &Where, work: impl FnOnce(&Asker<'_>) -> Ended) -> Ended {
    let signals = signal::watch()?;
    ask(at.conductor.as_ref(), at.json, false, &signals, work)
}

/// In seconds since 1970.
fn now() -> u64 {
    clock::wall().as_secs()
}
