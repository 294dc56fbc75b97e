//! The file beside the index that says which index is the latest.
//!
//! Its stamp is random, and with it goes which file it is: a copy of index and stamp together is another one.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::host::error::FileAction;
use crate::host::{HostError, directory, entropy, regular};

const NAME: &str = "index.stamp";
/// Where the next one is written.
const COMING: &str = "index.stamp.new";
const LEN: usize = 16;

/// The random bytes of a stamp, and which file has them.
pub(super) type Stamp = Vec<u8>;

/// The stamp in this folder; none if there is none.
pub(super) fn read(folder: &Path) -> Result<Option<Stamp>, HostError> {
    let path = folder.join(NAME);
    let file = match regular::open(&path) {
        Ok(file) => file,
        Err(error) if error.io().kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    let read = (&file).take(LEN as u64 + 1).read_to_end(&mut bytes).and_then(|_| file.metadata());
    let metadata = read.map_err(HostError::file(FileAction::Read, &path))?;
    Ok((bytes.len() == LEN).then(|| with_identity(bytes, &metadata)))
}

/// Writes a new stamp, which [`put`] puts in place.
pub(super) fn prepare(folder: &Path) -> Result<Stamp, HostError> {
    let path = folder.join(COMING);
    let bytes: [u8; LEN] = entropy::bytes()?;
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        result => result.map_err(HostError::file(FileAction::Create, &path))?,
    }
    let write = || {
        let mut file = File::create_new(&path)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        file.metadata()
    };
    let metadata = write().map_err(HostError::file(FileAction::Write, &path))?;
    Ok(with_identity(bytes.to_vec(), &metadata))
}

/// Puts the stamp that was prepared in place.
pub(super) fn put(folder: &Path) -> Result<(), HostError> {
    let path = folder.join(NAME);
    fs::rename(folder.join(COMING), &path).map_err(HostError::file(FileAction::Rename, &path))?;
    directory::sync_of(&path)
}

/// With the number and the birth of the file: what is restored or copied has others. Where the file system tells no
/// birth, the number has to do.
fn with_identity(mut bytes: Vec<u8>, metadata: &Metadata) -> Stamp {
    let born = metadata.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    bytes.extend(metadata.ino().to_le_bytes());
    bytes.extend(born.map_or(0, |born| born.as_nanos()).to_le_bytes());
    bytes
}
