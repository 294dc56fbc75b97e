//! Sessions: opened by a password, kept by what follows from their tokens, ended by their owner, the operator or time.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Params, params};
use thiserror::Error;

use super::accounts::name_of;
use super::{CatalogueError, Reader, Writer, id_of, seconds, time};
use crate::account::{AccountId, AccountName};
use crate::credential::{SessionId, SessionKey};
use crate::host::password::PasswordHash;
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
    /// The sessions that made room for it.
    pub ended: EndedSessions,
}

/// Why a session was not opened: meanwhile the account was removed or shut out, or got another password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("there is no such account with this password any more")]
pub struct NotOpened;

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
    /// Opens a session of an account that still has the password whose hash this is: while it was verified, the operator may
    /// have given another one, because somebody else knew it.
    ///
    /// There is always room. The oldest sessions of an account with more than [`SESSIONS_PER_ACCOUNT_MAX`] end. If there are
    /// more than [`SESSIONS_MAX`] in all, those end that have expired; if there are none, the oldest other one of this
    /// account; if it has none, the oldest of an account that has most.
    ///
    /// # Errors
    /// The database fails. That the password is another one is no error of it.
    pub fn open_session(
        &mut self,
        session: &Session,
        password: &PasswordHash,
        now: Duration,
    ) -> Result<Result<OpenedSession, NotOpened>, CatalogueError> {
        let account = session.account.number().cast_signed();
        let is_open = "SELECT EXISTS (SELECT 1 FROM accounts WHERE id = ? AND NOT disabled AND password = ?)";
        if !self.value::<bool>(is_open, params![account, password.as_str()])? {
            return Ok(Err(NotOpened));
        }
        let open = "INSERT INTO sessions (id, account, key, opened, expires) VALUES (?, ?, ?, ?, ?)";
        let (id, key) = (session.id.as_bytes(), session.key.as_bytes());
        self.change(open, params![id, account, key, seconds(now), seconds(session.expires)])?;
        self.change("UPDATE accounts SET sessions = sessions + 1 WHERE id = ?", [account])?;
        self.change("UPDATE totals SET sessions = sessions + 1", [])?;
        // The new one stays, even if the clock was set back.
        let oldest = "SELECT id FROM sessions WHERE account = ?1 AND id <> ?2 ORDER BY opened DESC, id \
                      LIMIT -1 OFFSET ?3";
        let others = SESSIONS_PER_ACCOUNT_MAX.cast_signed() - 1;
        let mut ended = self.end(oldest, params![account, id, others])?;
        if self.are_too_many()? {
            ended.extend(self.end_expired(now)?);
        }
        if self.are_too_many()? {
            let own = "SELECT id FROM sessions WHERE account = ?1 AND id <> ?2 ORDER BY opened, id LIMIT 1";
            ended.extend(self.end(own, params![account, id])?);
        }
        if self.are_too_many()? {
            let of_most = "SELECT id FROM sessions WHERE account = \
                           (SELECT id FROM accounts WHERE id <> ? ORDER BY sessions DESC LIMIT 1) \
                           ORDER BY opened, id LIMIT 1";
            ended.extend(self.end(of_most, [account])?);
        }
        Ok(Ok(OpenedSession { ended }))
    }

    fn are_too_many(&self) -> Result<bool, CatalogueError> {
        let all: i64 = self.value("SELECT sessions FROM totals", [])?;
        Ok(all > SESSIONS_MAX.cast_signed())
    }

    /// Ends a session; whether there was one.
    ///
    /// # Errors
    /// The database fails.
    pub fn close_session(&mut self, id: SessionId) -> Result<bool, CatalogueError> {
        Ok(!self.end("SELECT ?", [id.as_bytes()])?.is_empty())
    }

    /// Ends all sessions of an account.
    pub(super) fn end_sessions(&mut self, account: AccountId) -> Result<EndedSessions, CatalogueError> {
        self.end("SELECT id FROM sessions WHERE account = ?", [account.number().cast_signed()])
    }

    /// Forgets what time has ended, [`FORGOTTEN_AT_A_TIME`] rows at most: sessions, which are returned, and on which days who
    /// reported what; and whether there may be more.
    ///
    /// # Errors
    /// The database fails.
    pub fn forget(&mut self, now: Duration) -> Result<(EndedSessions, bool), CatalogueError> {
        let ended = self.end_expired(now)?;
        let left = FORGOTTEN_AT_A_TIME.saturating_sub(ended.len());
        let reports = self.forget_reports(now, i64::try_from(left).unwrap_or(i64::MAX))?;
        let may_be_more = ended.len() + reports >= FORGOTTEN_AT_A_TIME;
        Ok((ended, may_be_more))
    }

    /// Ends sessions that have expired, at most [`FORGOTTEN_AT_A_TIME`].
    fn end_expired(&mut self, now: Duration) -> Result<EndedSessions, CatalogueError> {
        let most = i64::try_from(FORGOTTEN_AT_A_TIME).unwrap_or(i64::MAX);
        let expired = "SELECT id FROM sessions WHERE expires <= ? ORDER BY expires LIMIT ?";
        self.end(expired, params![seconds(now), most])
    }

    /// Ends the sessions whose numbers this query yields; those that there were.
    fn end(&mut self, which: &str, params: impl Params) -> Result<EndedSessions, CatalogueError> {
        let end = format!("DELETE FROM sessions WHERE id IN ({which}) RETURNING id, account");
        let mut ended = Vec::new();
        let mut fewer: BTreeMap<i64, i64> = BTreeMap::new();
        for (id, account) in self.rows(&end, params, |row| Ok((row.get(0)?, row.get(1)?)))? {
            ended.push(SessionId::from_bytes(id));
            *fewer.entry(account).or_default() += 1;
        }
        for (account, fewer) in fewer {
            self.change("UPDATE accounts SET sessions = sessions - ? WHERE id = ?", [fewer, account])?;
            self.change("UPDATE totals SET sessions = sessions - ?", [fewer])?;
        }
        Ok(ended)
    }
}
