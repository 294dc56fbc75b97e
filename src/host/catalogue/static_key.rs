//! The file with a conductor's key, beside its catalogue.
//!
//! It is not in the database, so that a backup of that can be handed around without it. Its text is 64 hex digits.

use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use super::{CatalogueError, beside};
use crate::host::error::FileAction;
use crate::host::guarded::Guarded;
use crate::host::{HostError, directory, entropy, regular};
use crate::limits::CONDUCTOR_KEY_FILE_LEN_MAX;

/// The length of a key in bytes.
const KEY_LEN: usize = 32;

/// The secret key of a conductor.
pub struct ConductorKey {
    /// A key of Curve25519.
    pub secret: Zeroizing<[u8; KEY_LEN]>,
    /// Whether it was made just now, so that nobody knows the conductor by it.
    pub is_new: bool,
    /// Keeps another conductor from having it meanwhile.
    _held: Guarded,
}

impl std::fmt::Debug for ConductorKey {
    /// A secret is never written anywhere.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConductorKey(..)")
    }
}

/// Reads the key that belongs to this catalogue, and makes it if there is none.
pub(super) fn load(catalogue: &Path) -> Result<ConductorKey, CatalogueError> {
    let path = beside(catalogue, "key");
    let mut is_new = false;
    loop {
        match fs::symlink_metadata(&path) {
            Ok(_) => return read(catalogue, &path, is_new),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(HostError::file(FileAction::Inspect, &path)(error).into()),
        }
        let secret = Zeroizing::new(entropy::bytes()?);
        is_new = make(catalogue, &path, &secret)?;
    }
}

fn read(catalogue: &Path, path: &Path, is_new: bool) -> Result<ConductorKey, CatalogueError> {
    let no_key = || CatalogueError::NoKey { path: path.to_owned() };
    let file = Guarded::locked(regular::open(path)?).map_err(|error| match error {
        TryLockError::WouldBlock => CatalogueError::Conducted { path: catalogue.to_owned() },
        TryLockError::Error(error) => HostError::file(FileAction::Lock, path)(error).into(),
    })?;
    let metadata = file.metadata().map_err(HostError::file(FileAction::Inspect, path))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(CatalogueError::KeyExposed { path: path.to_owned() });
    }
    let mut text =
        Zeroizing::new(Vec::with_capacity(usize::try_from(CONDUCTOR_KEY_FILE_LEN_MAX).unwrap_or(0)));
    let read = (&*file).take(CONDUCTOR_KEY_FILE_LEN_MAX).read_to_end(&mut text);
    read.map_err(HostError::file(FileAction::Read, path))?;
    let digits = text.trim_ascii_end();
    let mut secret = Zeroizing::new([0; KEY_LEN]);
    if digits.len() != 2 * KEY_LEN {
        return Err(no_key());
    }
    for (byte, pair) in secret.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        let value = digit(0).zip(digit(1)).map(|(high, low)| high << 4 | low);
        *byte = value.and_then(|value| u8::try_from(value).ok()).ok_or_else(no_key)?;
    }
    Ok(ConductorKey { secret, is_new, _held: file })
}

/// Writes a new key, whole or not at all; false if there is one by now.
fn make(catalogue: &Path, path: &Path, secret: &[u8; KEY_LEN]) -> Result<bool, CatalogueError> {
    let temporary = beside(catalogue, &format!("key.{:08x}.tmp", fastrand::u32(..)));
    let text: Zeroizing<String> = Zeroizing::new(secret.iter().map(|byte| format!("{byte:02x}")).collect());
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    };
    let made = write().map_err(HostError::file(FileAction::Create, &temporary)).and_then(|()| {
        // Two conductors may start at once: a link replaces nothing.
        match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            result => result.map(|()| true).map_err(HostError::file(FileAction::Create, path)),
        }
    });
    let _gone = fs::remove_file(&temporary);
    let made = made?;
    directory::sync_of(path)?;
    Ok(made)
}
