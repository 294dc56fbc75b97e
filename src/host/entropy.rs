//! The only source of numbers that nobody can foresee: seeds and ids.

use super::HostError;
use super::error::SystemAction;

/// A seed for a machine's own generator.
///
/// # Errors
/// The system yields no random bytes.
pub fn seed() -> Result<u64, HostError> {
    getrandom::u64().map_err(|error| HostError::system(SystemAction::DrawRandomness)(error.into()))
}

/// Random bytes for an id.
///
/// # Errors
/// The system yields no random bytes.
pub fn bytes<const LEN: usize>() -> Result<[u8; LEN], HostError> {
    let mut bytes = [0; LEN];
    getrandom::fill(&mut bytes)
        .map_err(|error| HostError::system(SystemAction::DrawRandomness)(error.into()))?;
    Ok(bytes)
}
