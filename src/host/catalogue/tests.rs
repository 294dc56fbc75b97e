//! What a catalogue promises, and that it holds when the disk is full, another process writes, or ours is killed.

mod accounts;
mod file;
mod listings;
mod model;
mod reports;
mod trouble;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::account::{AccountName, Counts};
use crate::credential::SessionToken;
use crate::digest::Digest;
use crate::host::password::PasswordHash;
use crate::identity::SwarmId;
use crate::limits::*;
use crate::name::Name;
use crate::part::Layout;
use crate::text::chain;

const NOW: Duration = Duration::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A catalogue in a folder of its own.
struct Scene {
    catalogue: Catalogue,
    dir: TempDir,
}

impl Scene {
    fn new() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::open(&dir.path().join("catalogue.sqlite")).unwrap();
        Scene { catalogue, dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("catalogue.sqlite")
    }

    /// Another connection, as another process has it.
    fn other(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    /// Changes what no program of ours would.
    fn meddle(&self, sql: &str) {
        self.other().execute_batch(sql).unwrap();
    }

    fn write<R>(&mut self, work: impl FnOnce(&mut Writer<'_>) -> Result<R, CatalogueError>) -> R {
        self.catalogue.write(work).unwrap()
    }

    fn read<R>(&mut self, work: impl FnOnce(&Reader<'_>) -> Result<R, CatalogueError>) -> R {
        self.catalogue.read(work).unwrap()
    }

    fn register(&mut self, text: &str) -> AccountId {
        self.write(|writer| writer.register(&name(text), &hash(), NOW)).unwrap()
    }

    fn publish(&mut self, account: AccountId, text: &str, content: u8) -> Published {
        self.write(|writer| Composition::new(content).publish(writer, account, text)).unwrap()
    }

    fn names(&mut self, text: &str) -> Vec<String> {
        let page = self.read(|reader| reader.list(text, None, LISTINGS_PER_PAGE));
        page.listings.iter().map(|listing| listing.name.as_str().to_owned()).collect()
    }
}

fn name(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
}

fn hash() -> PasswordHash {
    PasswordHash::from_text("$argon2id$none".to_owned())
}

fn session(account: AccountId, number: u64) -> Session {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    let token = SessionToken::from_bytes(bytes);
    Session { id: token.id(), key: token.key(), account, expires: NOW + SESSION_SPAN }
}

/// A composition of two parts, by a number.
struct Composition {
    digest: Digest,
    parts: Vec<Digest>,
}

impl Composition {
    fn new(content: u8) -> Composition {
        let parts = [0, 1].map(|part| Digest::of(&[content, part])).to_vec();
        Composition { digest: Digest::of(&[content]), parts }
    }

    fn layout() -> Layout {
        Layout::new(30, 16).unwrap()
    }

    fn swarm(&self) -> SwarmId {
        SwarmId::derive(self.digest, Composition::layout(), &self.parts)
    }

    fn publish(
        &self,
        writer: &mut Writer<'_>,
        account: AccountId,
        text: &str,
    ) -> Result<Result<Published, NotPublished>, CatalogueError> {
        let name = Name::parse(text).unwrap();
        let layout = Composition::layout();
        writer.publish(
            account,
            &NewListing { name: &name, digest: self.digest, layout, parts: &self.parts },
            NOW,
        )
    }
}

fn one(found: Found) -> Listing {
    match found {
        Found::One(listing) => *listing,
        other => panic!("one was expected: {other:?}"),
    }
}

fn plus_one(counts: Counts) -> Counts {
    Counts { downloads: counts.downloads + 1.0, at: NOW, ..counts }
}
