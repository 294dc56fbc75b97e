//! Sessions: opened by a password, kept by what follows from their tokens, ended by their owner, the operator or time.

use std::time::Duration;

use rusqlite::{Row, params};
use thiserror::Error;

use super::accounts::name_of;
use super::error::Failure;
use super::{CatalogueError, Reader, Writer, id_of, seconds, time};
use crate::account::{AccountId, AccountName};
use crate::credential::{SessionId, SessionKey};
use crate::limits::{FORGOTTEN_AT_A_TIME, SESSIONS_MAX, SESSIONS_PER_ACCOUNT_MAX};

/// Sessions that are no more.
pub type EndedSessions = Vec<SessionId>;

/// A session, as who checks proofs needs it.
#[derive(Clone, Debug)]
pub struct Session {
    /// What it is known by.
    pub id: SessionId,
    /// The key of its proofs.
    pub key: SessionKey,
    /// Whose.
    pub account: AccountId,
    /// When it ends by itself, since 1970.
    pub expires: Duration,
}

/// Whose session it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOwner {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub name: AccountName,
}

/// What opening a session did besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedSession {
    /// The oldest sessions of the account, which had more than [`SESSIONS_PER_ACCOUNT_MAX`].
    pub ended: EndedSessions,
}

/// Why a session was not opened: there are [`SESSIONS_MAX`], or the account was shut out meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this conductor has as many sessions as it can keep; try again later")]
pub struct NoRoomForSession;

impl Reader<'_> {
    /// Whose session this is, if it is one at this time.
    ///
    /// # Errors
    /// The database fails.
    pub fn session(&self, id: SessionId, now: Duration) -> Result<Option<SessionOwner>, CatalogueError> {
        let owner = "SELECT accounts.id, accounts.name FROM sessions JOIN accounts ON accounts.id = sessions.account \
                     WHERE sessions.id = ? AND sessions.expires > ? AND NOT accounts.disabled";
        self.row(owner, params![id.as_bytes(), seconds(now)], |row| {
            Ok(SessionOwner { account: id_of(row.get(0)?), name: name_of(row, 1)? })
        })
    }

    /// All sessions at this time, at most [`SESSIONS_MAX`].
    ///
    /// # Errors
    /// The database fails.
    pub fn sessions(&self, now: Duration) -> Result<Vec<Session>, CatalogueError> {
        let sessions = "SELECT id, key, account, expires FROM sessions WHERE expires > ?";
        self.rows(sessions, [seconds(now)], |row| {
            Ok(Session {
                id: SessionId::from_bytes(row.get(0)?),
                key: SessionKey::from_bytes(row.get(1)?),
                account: id_of(row.get(2)?),
                expires: time(row.get(3)?),
            })
        })
    }
}

impl Writer<'_> {
    /// Opens a session.
    ///
    /// # Errors
    /// The database fails. That there is no room is no error of it.
    pub fn open_session(
        &mut self,
        session: &Session,
        now: Duration,
    ) -> Result<Result<OpenedSession, NoRoomForSession>, CatalogueError> {
        let account = session.account.number().cast_signed();
        let is_open = "SELECT EXISTS (SELECT 1 FROM accounts WHERE id = ? AND NOT disabled)";
        let all = "SELECT count(*) FROM sessions";
        if !self.value::<bool>(is_open, [account])?
            || self.value::<i64>(all, [])? >= SESSIONS_MAX.cast_signed()
        {
            return Ok(Err(NoRoomForSession));
        }
        let open = "INSERT INTO sessions (id, account, key, opened, expires) VALUES (?, ?, ?, ?, ?)";
        let (id, key) = (session.id.as_bytes(), session.key.as_bytes());
        self.change(open, params![id, account, key, seconds(now), seconds(session.expires)])?;
        // The new one stays, even if the clock was set back.
        let oldest = "SELECT id FROM sessions WHERE account = ?1 AND id <> ?2 ORDER BY opened DESC, id \
                      LIMIT -1 OFFSET ?3";
        let others = SESSIONS_PER_ACCOUNT_MAX.cast_signed() - 1;
        let ended = self.rows(oldest, params![account, id, others], id_in)?;
        for id in &ended {
            self.close_session(*id)?;
        }
        Ok(Ok(OpenedSession { ended }))
    }

    /// Ends a session; whether there was one.
    ///
    /// # Errors
    /// The database fails.
    pub fn close_session(&mut self, id: SessionId) -> Result<bool, CatalogueError> {
        Ok(self.change("DELETE FROM sessions WHERE id = ?", [id.as_bytes()])? > 0)
    }

    /// Ends all sessions of an account.
    pub(super) fn end_sessions(&mut self, account: AccountId) -> Result<EndedSessions, CatalogueError> {
        let account = [account.number().cast_signed()];
        let ended = self.rows("SELECT id FROM sessions WHERE account = ?", account, id_in)?;
        self.change("DELETE FROM sessions WHERE account = ?", account)?;
        Ok(ended)
    }

    /// Forgets what time has ended, [`FORGOTTEN_AT_A_TIME`] rows at most: sessions, and on which days who reported what;
    /// whether there may be more.
    ///
    /// # Errors
    /// The database fails.
    pub fn forget(&mut self, now: Duration) -> Result<bool, CatalogueError> {
        let most = i64::try_from(FORGOTTEN_AT_A_TIME).unwrap_or(i64::MAX);
        let sessions = "DELETE FROM sessions WHERE id IN \
                        (SELECT id FROM sessions WHERE expires <= ? ORDER BY expires LIMIT ?)";
        let sessions = self.change(sessions, params![seconds(now), most])?;
        let left = most - i64::try_from(sessions).unwrap_or(most);
        let reports = self.forget_reports(now, left)?;
        Ok(sessions + reports >= FORGOTTEN_AT_A_TIME)
    }
}

fn id_in(row: &Row<'_>) -> Result<SessionId, Failure> {
    Ok(SessionId::from_bytes(row.get(0)?))
}
