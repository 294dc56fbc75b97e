//! Accounts: registered by anybody, disabled or removed by the operator. The number of a removed one is never used again.

use std::time::Duration;

use rusqlite::{Row, params};
use thiserror::Error;

use super::error::Failure;
use super::sessions::EndedSessions;
use super::{CatalogueError, Reader, Writer, id_of, seconds, time};
use crate::account::{AccountId, AccountName, Counts};
use crate::host::password::PasswordHash;
use crate::limits::{ACCOUNTS_MAX, LISTINGS_PER_PAGE};

/// An account, as who logs in needs it.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// Its name.
    pub name: AccountName,
    /// The hash of its password.
    pub password: PasswordHash,
    /// Whether the operator shut it out: then it cannot log in, has no sessions, and its compositions are not listed.
    pub is_disabled: bool,
}

/// An account, as the operator sees it.
#[derive(Clone, Debug)]
pub struct AccountLine {
    /// Its number.
    pub id: AccountId,
    /// Its name.
    pub name: AccountName,
    /// When it was made, since 1970.
    pub made: Duration,
    /// Whether it was shut out.
    pub is_disabled: bool,
    /// How many compositions it publishes.
    pub listings: u64,
    /// How many sessions it has that have not expired.
    pub sessions: u64,
    /// How links with it went.
    pub counts: Counts,
}

/// Why an account was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotRegistered {
    /// Somebody has the name, perhaps in another spelling.
    #[error("this name is taken")]
    Taken,
    /// There are [`ACCOUNTS_MAX`] accounts.
    #[error("this conductor has as many accounts as it can keep")]
    Full,
}

/// What [`Writer::remove`] removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// How many compositions are not listed any more.
    pub listings: u64,
    /// The sessions of the account.
    pub ended: EndedSessions,
    /// Whether that was all, and the account is gone. Else it is disabled.
    pub is_done: bool,
}

impl Reader<'_> {
    /// The account with this name, in whatever spelling.
    ///
    /// # Errors
    /// The database fails.
    pub fn account(&self, name: &AccountName) -> Result<Option<Account>, CatalogueError> {
        let account = "SELECT id, name, password, disabled FROM accounts WHERE folded = ?";
        self.row(account, [name.folded()], |row| {
            Ok(Account {
                id: id_of(row.get(0)?),
                name: name_of(row, 1)?,
                password: PasswordHash::from_text(row.get(2)?),
                is_disabled: row.get(3)?,
            })
        })
    }

    /// What this account is called, if there is one of this number.
    ///
    /// # Errors
    /// The database fails.
    pub fn account_name(&self, account: AccountId) -> Result<Option<AccountName>, CatalogueError> {
        let name = "SELECT name FROM accounts WHERE id = ?";
        self.row(name, [account.number().cast_signed()], |row| name_of(row, 0))
    }

    /// Accounts in the order of their names, those after this one, at most [`LISTINGS_PER_PAGE`].
    ///
    /// # Errors
    /// The database fails.
    pub fn accounts(
        &self,
        after: Option<&AccountName>,
        now: Duration,
    ) -> Result<Vec<AccountLine>, CatalogueError> {
        let accounts = "SELECT id, name, made, disabled, listings, downloads, failures, counted, \
                        (SELECT count(*) FROM sessions WHERE account = accounts.id AND expires > ?1) \
                        FROM accounts WHERE folded > ?2 ORDER BY folded LIMIT ?3";
        let after = after.map(AccountName::folded).unwrap_or_default();
        let most = i64::try_from(LISTINGS_PER_PAGE).unwrap_or(i64::MAX);
        self.rows(accounts, params![seconds(now), after, most], |row| {
            Ok(AccountLine {
                id: id_of(row.get(0)?),
                name: name_of(row, 1)?,
                made: time(row.get(2)?),
                is_disabled: row.get(3)?,
                listings: row.get::<_, i64>(4)?.cast_unsigned(),
                counts: counts_of(row, 5)?,
                sessions: row.get::<_, i64>(8)?.cast_unsigned(),
            })
        })
    }

    /// How links with this account went; nothing if there is no such account.
    ///
    /// # Errors
    /// The database fails.
    pub fn counts(&self, account: AccountId) -> Result<Option<Counts>, CatalogueError> {
        let counts = "SELECT downloads, failures, counted FROM accounts WHERE id = ?";
        self.row(counts, [account.number().cast_signed()], |row| counts_of(row, 0))
    }

    /// How links went with all accounts that somebody reported anything about: at most [`ACCOUNTS_MAX`].
    ///
    /// # Errors
    /// The database fails.
    pub fn all_counts(&self) -> Result<Vec<(AccountId, Counts)>, CatalogueError> {
        let counts = "SELECT id, downloads, failures, counted FROM accounts WHERE counted > 0";
        self.rows(counts, [], |row| Ok((id_of(row.get(0)?), counts_of(row, 1)?)))
    }
}

impl Writer<'_> {
    /// Makes an account.
    ///
    /// # Errors
    /// The database fails. That the name is taken is no error of it.
    pub fn register(
        &mut self,
        name: &AccountName,
        password: &PasswordHash,
        now: Duration,
    ) -> Result<Result<AccountId, NotRegistered>, CatalogueError> {
        if self.account(name)?.is_some() {
            return Ok(Err(NotRegistered::Taken));
        }
        if self.value::<i64>("SELECT count(*) FROM accounts", [])? >= ACCOUNTS_MAX.cast_signed() {
            return Ok(Err(NotRegistered::Full));
        }
        let account = "INSERT INTO accounts (name, folded, password, made) VALUES (?, ?, ?, ?)";
        self.change(account, params![name.as_str(), name.folded(), password.as_str(), seconds(now)])?;
        Ok(Ok(id_of(self.0.transaction.last_insert_rowid())))
    }

    /// Shuts an account out, or lets it in again. Who is shut out has no session any more: they are returned.
    ///
    /// # Errors
    /// The database fails.
    pub fn set_disabled(
        &mut self,
        account: AccountId,
        is_disabled: bool,
    ) -> Result<EndedSessions, CatalogueError> {
        let set = "UPDATE accounts SET disabled = ? WHERE id = ?";
        self.change(set, params![is_disabled, account.number().cast_signed()])?;
        if is_disabled { self.end_sessions(account) } else { Ok(Vec::new()) }
    }

    /// Gives an account another password, and ends its sessions: they are returned.
    ///
    /// # Errors
    /// The database fails.
    pub fn set_password(
        &mut self,
        account: AccountId,
        password: &PasswordHash,
    ) -> Result<EndedSessions, CatalogueError> {
        let set = "UPDATE accounts SET password = ? WHERE id = ?";
        self.change(set, params![password.as_str(), account.number().cast_signed()])?;
        self.end_sessions(account)
    }

    /// Gives an account another password if it still has the one whose hash `before` is, and ends its sessions: they are
    /// returned. Nothing if it has another one meanwhile, or is disabled.
    ///
    /// # Errors
    /// The database fails.
    pub fn replace_password(
        &mut self,
        account: AccountId,
        before: &PasswordHash,
        after: &PasswordHash,
    ) -> Result<Option<EndedSessions>, CatalogueError> {
        let set = "UPDATE accounts SET password = ?3 WHERE id = ?1 AND NOT disabled AND password = ?2";
        let id = account.number().cast_signed();
        match self.change(set, params![id, before.as_str(), after.as_str()])? {
            0 => Ok(None),
            _ => self.end_sessions(account).map(Some),
        }
    }

    /// Removes an account with all that it published, and all that it or others reported about it today. Nothing if there is no
    /// such account.
    ///
    /// Of one that has very much only a part is removed, so that others wait no longer than a moment; meanwhile it is
    /// disabled, so that nobody sees the rest. Whoever removes it goes on, in another transaction, until that was all.
    ///
    /// # Errors
    /// The database fails.
    pub fn remove(&mut self, account: AccountId) -> Result<Removed, CatalogueError> {
        let ended = self.set_disabled(account, true)?;
        let (listings, all_listings) = self.take_back(account)?;
        let is_done = all_listings && self.forget_reports_of(account)?;
        if is_done {
            self.change("DELETE FROM accounts WHERE id = ?", [account.number().cast_signed()])?;
        }
        Ok(Removed { listings, ended, is_done })
    }
}

pub(super) fn name_of(row: &Row<'_>, column: usize) -> Result<AccountName, Failure> {
    AccountName::parse(row.get_ref(column)?.as_str()?).map_err(|_| Failure::BadRow)
}

pub(super) fn counts_of(row: &Row<'_>, first: usize) -> Result<Counts, Failure> {
    let counts =
        Counts { downloads: row.get(first)?, failures: row.get(first + 1)?, at: time(row.get(first + 2)?) };
    let is_sound = |count: f64| count.is_finite() && count >= 0.0;
    (is_sound(counts.downloads) && is_sound(counts.failures)).then_some(counts).ok_or(Failure::BadRow)
}
