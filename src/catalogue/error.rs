//! Why something was not done, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::naming::told_apart;
use crate::address::HostPort;
use crate::credential::Fingerprint;
use crate::host::state::StateError;
use crate::limits::{ACCOUNT_NAME_MAX, PASSWORD_LEN_MAX, PASSWORD_LEN_MIN, SEARCH_LEN_MAX};
use crate::shell;
use crate::stream::catalogue::CatalogueError;
use crate::text::{Escaped, bytes, span};
use crate::wire::catalogue::{Listed, Refusal};

/// Why a catalogue did not do what the user wants.
#[derive(Debug, Error)]
pub enum ClientError {
    /// What is known of conductors.
    #[error(transparent)]
    State(#[from] StateError),
    /// The conductor cannot be asked.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// It has another key than before.
    #[error(
        "the conductor at {conductor} has another key than before: {shown}, and not {known}; \
         either it was set up anew, or somebody else answers in its place, and nothing was said to it; \
         ask its operator for the fingerprint, and if it is {shown}, delete {}",
        Escaped(&file.to_string_lossy())
    )]
    Changed {
        /// Where.
        conductor: HostPort,
        /// The fingerprint that is remembered.
        known: Fingerprint,
        /// The fingerprint of the key that it has now.
        shown: Fingerprint,
        /// The file that remembers it.
        file: PathBuf,
    },
    /// It has another key than the user says.
    #[error(
        "the conductor at {conductor} has a key with the fingerprint {shown}, and not {pinned}, as behind the #: \
         nothing was said to it"
    )]
    Pinned {
        /// Where.
        conductor: HostPort,
        /// The fingerprint that was named.
        pinned: Fingerprint,
        /// The fingerprint of its key.
        shown: Fingerprint,
    },
    /// There is no session.
    #[error(
        "not logged in at {conductor}; first, type: member login NAME, or to make an account: member register NAME"
    )]
    NotLoggedIn {
        /// Where.
        conductor: HostPort,
    },
    /// The conductor says no.
    #[error("{}", refused(*refusal, conductor, about))]
    Refused {
        /// Where.
        conductor: HostPort,
        /// What it was about: the name of an account or a composition.
        about: String,
        /// Why.
        refusal: Refusal,
    },
    /// Several compositions have that name.
    #[error("{}", several(about, namesakes))]
    Several {
        /// The name.
        about: String,
        /// Those compositions, a few of them.
        namesakes: Vec<Listed>,
    },
    /// What it sent describes no composition, or another one than was asked for.
    #[error(
        "what the conductor at {conductor} sent for {} does not describe it; \
         ask its operator, or whoever published it, for the manifest",
        Escaped(about)
    )]
    Misled {
        /// Where.
        conductor: HostPort,
        /// What was asked for.
        about: String,
    },
    /// It named a composition or an account as none can be called: whoever reads what we print may take it for a file's name.
    #[error(
        "the conductor at {conductor} sends names that no file and no account can have, and nothing of it was used; \
         tell its operator"
    )]
    Unnameable {
        /// Where.
        conductor: HostPort,
    },
    /// A search that is longer than any name.
    #[error("a text of at most {SEARCH_LEN_MAX} bytes can be searched for")]
    SearchLen,
}

impl ClientError {
    /// Whether the caller gave up, which is no failure of anybody.
    #[must_use]
    pub const fn is_stop(&self) -> bool {
        matches!(self, ClientError::Catalogue(CatalogueError::Stopped))
    }
}

fn refused(refusal: Refusal, conductor: &HostPort, about: &str) -> String {
    let (name, about) = (shell::words(about), Escaped(about));
    match refusal {
        Refusal::WrongLogin => format!(
            "{conductor} knows no account {about} with this password; to make an account: member register NAME"
        ),
        Refusal::TryAgainIn { seconds } => {
            let wait = span(Duration::from_secs(seconds.into()));
            format!(
                "too many names or passwords were tried at {conductor} from here, or passwords for {about}; \
                    try again in {wait}"
            )
        }
        Refusal::NameTaken => format!(
            "somebody at {conductor} has the name {about}; choose another one, or if it is you: member login NAME"
        ),
        Refusal::BadName => format!(
            "nobody at {conductor} can have the name {about}: 1 to {ACCOUNT_NAME_MAX} visible characters are needed, \
             without spaces at the ends"
        ),
        Refusal::BadPassword => {
            format!("{conductor} takes passwords of {PASSWORD_LEN_MIN} to {PASSWORD_LEN_MAX} bytes")
        }
        Refusal::LoginFirst => format!(
            "{conductor} answers only who is logged in; first, type: member login NAME, or to make an account: \
             member register NAME"
        ),
        Refusal::SessionOver => format!("the session at {conductor} is over; type: member login NAME"),
        Refusal::NotFound => {
            format!("nothing is published as {about} at {conductor}; to see what there is: member list")
        }
        Refusal::NotYours => {
            format!("only who published {about} can take it out of the catalogue of {conductor}")
        }
        Refusal::BadComposition => {
            format!(
                "{conductor} does not take {about}: its name, sizes or digests are not those of a composition"
            )
        }
        Refusal::Disabled => format!("the account {about} is disabled at {conductor}; ask its operator"),
        Refusal::Closed => format!(
            "nobody can register at {conductor}: ask its operator for an account, and then type: member login {name}"
        ),
        Refusal::AccountsFull => format!("{conductor} has as many accounts as it can have; ask its operator"),
        Refusal::ListingsFull => format!(
            "the catalogue of {conductor} is full, or you have published as much as one may; \
             make room with: member unpublish NAME"
        ),
        Refusal::NameFull => format!(
            "you have published {about} as often as one may at {conductor}; make room with --replace, or with: \
             member unpublish NAME@DIGITS"
        ),
        Refusal::Busy => format!("{conductor} has more to do than it can do now; try again in a moment"),
        Refusal::Trouble => format!(
            "{conductor} cannot write its catalogue, and nothing was changed; its operator finds the reason in its log"
        ),
    }
}

fn several(about: &str, namesakes: &[Listed]) -> String {
    let of = |listed: &Listed| {
        let name = told_apart(listed, namesakes);
        format!(
            "{} ({}, by {})",
            shell::words(&name),
            bytes(listed.composition.size),
            Escaped(&listed.publisher)
        )
    };
    let named: Vec<String> = namesakes.iter().map(of).collect();
    format!("several compositions have the name {}; say which one: {}", Escaped(about), named.join(", "))
}
