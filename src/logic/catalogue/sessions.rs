//! The sessions that a conductor's desk knows, so that it can check a proof without asking the database.
//!
//! It is told all of them at the start, and each that is opened or ends, also by time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::account::AccountId;
use crate::credential::{Challenge, SessionId, SessionKey};
use crate::limits::SESSIONS_MAX;
use crate::wire::desk::Proven;

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    /// The key of its proofs.
    pub key: SessionKey,
    /// Whose.
    pub account: AccountId,
    /// When it ends by itself, since 1970.
    pub expires: Duration,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Sessions {
    /// Invariant: at most [`SESSIONS_MAX`].
    known: BTreeMap<SessionId, Session>,
}

impl Sessions {
    /// No session is known.
    #[must_use]
    pub fn new() -> Sessions {
        Sessions::default()
    }

    /// These are all sessions.
    pub fn replace(&mut self, all: impl IntoIterator<Item = (SessionId, Session)>) {
        self.known.clear();
        all.into_iter().for_each(|(id, session)| self.open(id, session));
    }

    /// A session was opened. One more than [`SESSIONS_MAX`] is not known, so what is said in it is not believed.
    pub fn open(&mut self, id: SessionId, session: Session) {
        if (self.known.len() as u64) < SESSIONS_MAX {
            self.known.insert(id, session);
        }
    }

    /// A session ended.
    pub fn close(&mut self, id: SessionId) {
        self.known.remove(&id);
    }

    /// Who says this, as the proven request number `count` (from 0) on the connection with this challenge; nobody if the
    /// proof is wrong, or the session is over at this time, since 1970.
    #[must_use]
    pub fn verify(
        &self,
        wall: Duration,
        proven: &Proven,
        challenge: Challenge,
        count: u32,
    ) -> Option<AccountId> {
        let session = self.known.get(&proven.session).filter(|session| session.expires > wall)?;
        proven.holds(&session.key, challenge, count).then_some(session.account)
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::SessionToken;
    use crate::wire::desk::{Announce, Event, Said};

    const WALL: Duration = Duration::from_secs(1_800_000_000);
    const HERE: Challenge = Challenge::from_bytes([7; 16]);

    fn token(number: u8) -> SessionToken {
        SessionToken::from_bytes([number; 32])
    }

    fn session(number: u8) -> Session {
        let account = AccountId::from_number(number.into());
        Session { key: token(number).key(), account, expires: WALL + Duration::from_secs(1) }
    }

    fn said() -> Said {
        let announce = Announce { swarm: [1; 32], port: 2, complete: false, left: 3, event: Event::Started };
        Said::Announce(announce)
    }

    fn verified(sessions: &Sessions, wall: Duration, who: u8, count: u32) -> Option<AccountId> {
        let proof = Proven::new(&token(who).speaker(), HERE, 0, said());
        sessions.verify(wall, &proof, HERE, count)
    }

    #[test]
    fn a_session_is_believed_until_it_ends() {
        let mut sessions = Sessions::new();
        sessions.replace([1, 2].map(|number| (token(number).id(), session(number))));
        sessions.open(token(3).id(), session(3));
        for who in 1..=3 {
            assert_eq!(verified(&sessions, WALL, who, 0), Some(AccountId::from_number(who.into())));
        }
        assert_eq!(verified(&sessions, WALL, 4, 0), None, "nobody knows it");
        assert_eq!(verified(&sessions, WALL, 1, 1), None, "a replay");
        sessions.close(token(2).id());
        assert_eq!(verified(&sessions, WALL, 2, 0), None, "it was closed");
        assert_eq!(verified(&sessions, WALL + Duration::from_secs(1), 1, 0), None, "it expired");
        assert_eq!(sessions.len(), 2, "until the catalogue forgets it");
        sessions.replace([]);
        assert_eq!(verified(&sessions, WALL, 1, 0), None, "the operator ended it");
    }

    #[test]
    fn the_key_of_one_session_proves_nothing_of_another() {
        let mut sessions = Sessions::new();
        sessions.replace([1, 2].map(|number| (token(number).id(), session(number))));
        let mut proven = Proven::new(&token(1).speaker(), HERE, 0, said());
        assert!(sessions.verify(WALL, &proven, HERE, 0).is_some());
        proven.session = token(2).id();
        assert_eq!(sessions.verify(WALL, &proven, HERE, 0), None);
    }
}
