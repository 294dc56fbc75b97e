//! A conductor as users name it, and the key that they expect there: `HOST:PORT#FINGERPRINT`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::address::{HostPort, HostPortError};
use crate::credential::Fingerprint;
use crate::letters::BadLetters;

/// Where a conductor is and, if the user knows it from elsewhere, the fingerprint of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it is.
    pub conductor: HostPort,
    /// The fingerprint of its key; none if whatever is remembered, or comes first, will do.
    pub pin: Option<Fingerprint>,
}

/// Why a text names no conductor.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadPlace {
    /// What stands before the `#`, or all of it.
    #[error(transparent)]
    Conductor(#[from] HostPortError),
    /// What stands behind the `#`.
    #[error("a fingerprint was expected behind the #, as the conductor prints it at its start: {0}")]
    Fingerprint(BadLetters),
}

impl FromStr for Place {
    type Err = BadPlace;

    /// Reads `HOST[:PORT][#FINGERPRINT]`; a missing port is the usual one.
    fn from_str(text: &str) -> Result<Place, BadPlace> {
        let (conductor, pin) = match text.split_once('#') {
            Some((conductor, pin)) => (conductor, Some(pin.parse().map_err(BadPlace::Fingerprint)?)),
            None => (text, None),
        };
        Ok(Place { conductor: conductor.parse()?, pin })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.conductor)?;
        self.pin.map_or(Ok(()), |pin| write!(f, "#{pin}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conductor_may_be_pinned() {
        let pin = Fingerprint::of(&[7; 32]);
        let nas: Place = "nas".parse().unwrap();
        assert_eq!((nas.conductor.to_string().as_str(), nas.pin), ("nas:9999", None));
        let text = format!("[::1]:7#{pin}");
        let pinned: Place = text.parse().unwrap();
        assert_eq!((pinned.to_string(), pinned.pin), (text, Some(pin)));
        let shouted = format!("nas#{}", pin.to_string().to_uppercase().replace('-', ""));
        assert_eq!(shouted.parse::<Place>().unwrap().pin, Some(pin));
        assert_eq!(
            "nas#".parse::<Place>(),
            Err(BadPlace::Fingerprint(BadLetters::Len { expected: 32, found: 0 }))
        );
        assert!(matches!("#abc".parse::<Place>(), Err(BadPlace::Fingerprint(_))));
        assert!(matches!(format!("#{pin}").parse::<Place>(), Err(BadPlace::Conductor(_))));
    }
}
