//! A conductor's catalogue from outside: over raw sealed sockets, as honest members, broken ones and hostile ones use it.

#![allow(clippy::unwrap_used, reason = "clippy knows test functions, but not the helpers between them")]

#[path = "../common/mod.rs"]
mod common;

mod accounts;
mod asker;
mod crashes;
mod desk;
mod listings;
mod rude;

use std::net::SocketAddr;
use std::process::Command;

use orchestra::conductor::{CatalogueConfig, Conductor, Config};
use tempfile::TempDir;

use crate::common::program::{ConductorProgram, binary};

/// A conductor with a catalogue in this process, so that its counters can be seen.
struct Here {
    conductor: Conductor,
    _dir: TempDir,
}

impl Here {
    fn start(private: bool) -> Here {
        let dir = tempfile::tempdir().unwrap();
        let conductor = Conductor::start(config(&dir, private)).unwrap();
        Here { conductor, _dir: dir }
    }

    fn address(&self) -> SocketAddr {
        self.conductor.address()
    }

    /// The database, as another process has it.
    fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self._dir.path().join("group.sqlite")).unwrap()
    }

    /// Another process writes until this is dropped. Meanwhile the conductor reads what was there before; when it is to write,
    /// it waits for this, and then for so long does nothing else.
    fn lock(&self) -> rusqlite::Connection {
        let other = self.database();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        other
    }
}

fn config(dir: &TempDir, private: bool) -> Config {
    let catalogue = CatalogueConfig { private, ..CatalogueConfig::new(dir.path().join("group.sqlite")) };
    Config { catalogue: Some(catalogue), ..Config::new("127.0.0.1:0".parse().unwrap()) }
}

/// The real program on this catalogue.
fn program(catalogue: &std::path::Path, options: &[&str]) -> ConductorProgram {
    let mut command = Command::new(binary("conductor"));
    command.args(["--listen", "127.0.0.1:0", "--catalogue"]).arg(catalogue).args(options);
    ConductorProgram::start(&mut command)
}
