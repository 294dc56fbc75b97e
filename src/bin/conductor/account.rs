//! `conductor account`: what the operator does with accounts, also while the conductor runs.

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::thread;

use clap::{Args, Subcommand};
use serde_json::json;
use thiserror::Error;
use unicode_width::UnicodeWidthStr as _;

use orchestra::account::AccountName;
use orchestra::cli::{self, Exit};
use orchestra::host::catalogue::{Account, AccountLine, Catalogue, CatalogueError, NotRegistered, Reader};
use orchestra::host::clock;
use orchestra::host::password::{Password, PasswordHash};
use orchestra::limits::{LISTINGS_PER_PAGE, TAKEN_BACK_PAUSE};
use orchestra::logic::catalogue::counts::faded;
use orchestra::text::{Escaped, span};

/// What is to be done.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Action {
    /// Show all accounts
    List {
        #[command(flatten)]
        place: Place,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Make an account; its password is printed once
    Add(Which),
    /// Shut an account out: it is logged out everywhere, cannot log in, and its compositions are not listed
    Disable(Which),
    /// Let a disabled account in again
    Enable(Which),
    /// Give an account a new password, which is printed once, and log it out everywhere
    Reset(Which),
    /// Remove an account for good, with all that it has published; its name is free then
    Remove(Which),
}

/// Where the accounts are.
#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// The conductor's catalogue; the conductor may be running
    #[arg(long, value_name = "FILE")]
    pub(crate) catalogue: PathBuf,
}

/// One account.
#[derive(Clone, Debug, Args)]
pub(crate) struct Which {
    /// The name of the account, in any case
    #[arg(value_name = "NAME")]
    name: AccountName,
    #[command(flatten)]
    place: Place,
}

/// There is no account of that name.
#[derive(Debug, Error)]
#[error("there is no account {name} in {catalogue}; `conductor account list` shows them",
    catalogue = Escaped(&catalogue.to_string_lossy()))]
struct NoAccount {
    name: AccountName,
    catalogue: PathBuf,
}

/// An account cannot be made.
#[derive(Debug, Error)]
#[error("cannot make the account {name}")]
struct NotAdded {
    name: AccountName,
    #[source]
    reason: NotRegistered,
}

pub(crate) fn run(action: &Action) -> Result<Exit, Box<dyn Error>> {
    match action {
        Action::List { place, json } => list(place, *json)?,
        Action::Add(which) => add(which)?,
        Action::Disable(which) => set_disabled(which, true)?,
        Action::Enable(which) => set_disabled(which, false)?,
        Action::Reset(which) => reset(which)?,
        Action::Remove(which) => remove(which)?,
    }
    Ok(Exit::Done)
}

fn list(place: &Place, json: bool) -> Result<(), Box<dyn Error>> {
    let now = clock::wall();
    let mut catalogue = Catalogue::open_existing(&place.catalogue)?;
    let mut accounts: Vec<AccountLine> = Vec::new();
    loop {
        let after = accounts.last().map(|account| account.name.clone());
        // A page at a time, so that a conductor that writes is not kept from cutting its log back.
        let page = catalogue.read(|reader| reader.accounts(after.as_ref(), now))?;
        let is_last = page.len() < LISTINGS_PER_PAGE;
        accounts.extend(page);
        if is_last {
            break;
        }
    }
    let mut text = String::new();
    let width = accounts.iter().map(|account| account.name.as_str().width()).max().unwrap_or(0).max(4);
    if !json {
        writeln!(
            text,
            "NAME{}  SINCE          PUBLISHED  SESSIONS  DOWNLOADS  FAILURES",
            " ".repeat(width - 4)
        )?;
    }
    for account in &accounts {
        let counts = faded(account.counts, now);
        let name = account.name.as_str();
        if json {
            let line = json!({
                "name": name,
                "made": account.made.as_secs(),
                "disabled": account.is_disabled,
                "published": account.listings,
                "sessions": account.sessions,
                "downloads": counts.downloads,
                "failures": counts.failures,
            });
            writeln!(text, "{line}")?;
            continue;
        }
        writeln!(
            text,
            "{name}{:pad$}  {:<13}  {:>9}  {:>8}  {:>9.1}  {:>8.1}{}",
            "",
            span(now.saturating_sub(account.made)),
            account.listings,
            account.sessions,
            counts.downloads,
            counts.failures,
            if account.is_disabled { "  disabled" } else { "" },
            pad = width - name.width(),
        )?;
    }
    Ok(cli::tell(text)?)
}

fn add(which: &Which) -> Result<(), Box<dyn Error>> {
    let mut catalogue = Catalogue::open(&which.place.catalogue)?;
    let (password, hash) = drawn()?;
    match catalogue.write(|writer| writer.register(&which.name, &hash, clock::wall()))? {
        Ok(_) => {}
        Err(reason) => return Err(NotAdded { name: which.name.clone(), reason }.into()),
    }
    cli::tell(format!(
        "conductor: {} has an account; its password, which is not shown again:\n{}\n",
        which.name,
        password.reveal(),
    ))?;
    Ok(())
}

fn set_disabled(which: &Which, is_disabled: bool) -> Result<(), Box<dyn Error>> {
    let mut catalogue = Catalogue::open_existing(&which.place.catalogue)?;
    let found = catalogue.write(|writer| {
        let Some(account) = find(writer, which)? else { return Ok(None) };
        let ended = writer.set_disabled(account.id, is_disabled)?;
        Ok(Some((account, ended.len())))
    })?;
    let (account, ended) = found.ok_or_else(|| no_account(which))?;
    let name = account.name;
    cli::tell(match (is_disabled, account.is_disabled) {
        (true, true) => format!("conductor: {name} was disabled already\n"),
        (true, false) => format!("conductor: {name} is disabled; {}\n", sessions(ended)),
        (false, true) => format!("conductor: {name} may log in again\n"),
        (false, false) => format!("conductor: {name} was not disabled\n"),
    })?;
    Ok(())
}

fn reset(which: &Which) -> Result<(), Box<dyn Error>> {
    let mut catalogue = Catalogue::open_existing(&which.place.catalogue)?;
    let (password, hash) = drawn()?;
    let found = catalogue.write(|writer| {
        let Some(account) = find(writer, which)? else { return Ok(None) };
        let ended = writer.set_password(account.id, &hash)?;
        Ok(Some((account, ended.len())))
    })?;
    let (account, ended) = found.ok_or_else(|| no_account(which))?;
    let still = if account.is_disabled { ", and it is still disabled" } else { "" };
    cli::tell(format!(
        "conductor: {} has a new password, which is not shown again; {}{still}\n{}\n",
        account.name,
        sessions(ended),
        password.reveal(),
    ))?;
    Ok(())
}

fn remove(which: &Which) -> Result<(), Box<dyn Error>> {
    let mut catalogue = Catalogue::open_existing(&which.place.catalogue)?;
    let account = catalogue.read(|reader| find(reader, which))?.ok_or_else(|| no_account(which))?;
    let (mut listings, mut ended, mut is_done) = (0, 0, false);
    while !is_done {
        if ended > 0 || listings > 0 {
            thread::sleep(TAKEN_BACK_PAUSE);
        }
        // By its number: somebody may take the name as soon as it is free.
        let removed = catalogue.write(|writer| writer.remove(account.id))?;
        listings += removed.listings;
        ended += removed.ended.len();
        is_done = removed.is_done;
    }
    let published = match listings {
        0 => "it had published nothing".to_owned(),
        1 => "with the composition that it had published".to_owned(),
        more => format!("with the {more} compositions that it had published"),
    };
    cli::tell(format!("conductor: {} is removed, {published}; {}\n", account.name, sessions(ended)))?;
    Ok(())
}

/// A new password, hashed before anything is written, because nobody else can write meanwhile.
fn drawn() -> Result<(Password, PasswordHash), Box<dyn Error>> {
    let password = Password::draw()?;
    let hash = PasswordHash::of(&password)?;
    Ok((password, hash))
}

fn find(reader: &Reader<'_>, which: &Which) -> Result<Option<Account>, CatalogueError> {
    reader.account(&which.name)
}

fn no_account(which: &Which) -> NoAccount {
    NoAccount { name: which.name.clone(), catalogue: which.place.catalogue.clone() }
}

fn sessions(ended: usize) -> String {
    match ended {
        0 => "it had no session".to_owned(),
        1 => "its session has ended".to_owned(),
        more => format!("its {more} sessions have ended"),
    }
}
