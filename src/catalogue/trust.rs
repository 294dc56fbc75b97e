//! Whether a conductor is the one that it was: its key is remembered at first use, as `ssh` does it.

use crate::credential::Fingerprint;

/// What to make of the key that a conductor shows, if it is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// It is the remembered one.
    Known,
    /// It is to be remembered from now on, as the first one.
    First,
    /// It is to be remembered instead of another one: the user has named it.
    Instead(Fingerprint),
}

/// Why it is the wrong one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Distrust {
    /// The user has named another one.
    Pinned(Fingerprint),
    /// It had another one before.
    Changed(Fingerprint),
}

/// Judges the fingerprint that a conductor shows by the one that the user named, and the one that is remembered.
pub(super) fn judge(
    shown: Fingerprint,
    pin: Option<Fingerprint>,
    known: Option<Fingerprint>,
) -> Result<Trust, Distrust> {
    match (pin, known) {
        (Some(pin), _) if pin != shown => Err(Distrust::Pinned(pin)),
        (_, Some(known)) if known == shown => Ok(Trust::Known),
        (Some(_), Some(known)) => Ok(Trust::Instead(known)),
        (None, Some(known)) => Err(Distrust::Changed(known)),
        (_, None) => Ok(Trust::First),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_user_says_replaces_what_is_remembered() {
        let [a, b] = [1, 2].map(|byte| Fingerprint::of(&[byte; 32]));
        for (pin, known, judged) in [
            (None, None, Ok(Trust::First)),
            (None, Some(a), Ok(Trust::Known)),
            (None, Some(b), Err(Distrust::Changed(b))),
            (Some(a), None, Ok(Trust::First)),
            (Some(a), Some(a), Ok(Trust::Known)),
            (Some(a), Some(b), Ok(Trust::Instead(b))),
            (Some(b), None, Err(Distrust::Pinned(b))),
            (Some(b), Some(a), Err(Distrust::Pinned(b))),
            (Some(b), Some(b), Err(Distrust::Pinned(b))),
        ] {
            assert_eq!(judge(a, pin, known), judged, "{pin:?} {known:?}");
        }
    }
}
