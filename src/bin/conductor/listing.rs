//! `conductor unpublish`: what the operator does with what others published, also while the conductor runs.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use thiserror::Error;

use orchestra::catalogue::naming::readings;
use orchestra::cli::{self, Exit};
use orchestra::host::catalogue::{Catalogue, CatalogueError, Found, Listing, Writer};
use orchestra::shell;
use orchestra::text::{Escaped, bytes};
use orchestra::wire::catalogue::Wanted;

use crate::account::Place;

/// Digits of swarm ids that tell listings apart; nobody makes two that begin with the same so many.
const DIGITS: usize = 16;

/// One composition.
#[derive(Clone, Debug, Args)]
pub(crate) struct Which {
    /// The name; NAME@DIGITS where several have it, with the digits that `member list` shows
    name: String,
    #[command(flatten)]
    place: Place,
}

/// Nothing was taken out.
#[derive(Debug, Error)]
enum NotUnpublished {
    #[error("nothing is published as {name} in {catalogue}; `member list` shows what there is",
        name = Escaped(name), catalogue = Escaped(&catalogue.to_string_lossy()))]
    None { name: String, catalogue: PathBuf },
    #[error("several compositions have the name {}; say which one: {}", Escaped(name), told_apart(listings))]
    Several { name: String, listings: Vec<Listing> },
}

pub(crate) fn unpublish(which: &Which) -> Result<Exit, Box<dyn Error>> {
    let mut catalogue = Catalogue::open_existing(&which.place.catalogue)?;
    let taken = catalogue.write(|writer| take_out(writer, &which.name))?;
    let name = which.name.clone();
    let taken = match taken {
        Taken::None => {
            return Err(NotUnpublished::None { name, catalogue: which.place.catalogue.clone() }.into());
        }
        Taken::Several(listings) => return Err(NotUnpublished::Several { name, listings }.into()),
        Taken::These(taken) => taken,
    };
    let by: Vec<String> =
        taken.iter().map(|listing| Escaped(listing.publisher.as_str()).to_string()).collect();
    cli::tell(format!(
        "conductor: {} is no longer in the catalogue, published by {}; who has its manifest can go on sharing it\n",
        taken[0].name,
        by.join(" and ")
    ))?;
    Ok(Exit::Done)
}

/// What a name led to.
enum Taken {
    None,
    Several(Vec<Listing>),
    /// One composition, by everybody who published it under this name.
    These(Vec<Listing>),
}

fn take_out(writer: &mut Writer<'_>, name: &str) -> Result<Taken, CatalogueError> {
    for Wanted { name, digits } in readings(name) {
        let first = match writer.find(&name, &digits, None)? {
            Found::None => continue,
            Found::Several(listings) => return Ok(Taken::Several(listings)),
            Found::One(first) => *first,
        };
        let (name, swarm) = (first.name.clone(), first.swarm.digits());
        let mut taken = Vec::new();
        while let Found::One(listing) = writer.find(name.as_str(), &swarm, None)?
            && listing.name == name
        {
            writer.unpublish(listing.account, listing.id)?;
            taken.push(*listing);
        }
        return Ok(Taken::These(taken));
    }
    Ok(Taken::None)
}

fn told_apart(listings: &[Listing]) -> String {
    let of = |listing: &Listing| {
        let called = format!("{}@{}", listing.name.as_str(), &listing.swarm.digits()[..DIGITS]);
        let publisher = Escaped(listing.publisher.as_str());
        format!("{} ({}, by {publisher})", shell::words(&called), bytes(listing.layout.size()))
    };
    listings.iter().map(of).collect::<Vec<_>>().join(", ")
}
