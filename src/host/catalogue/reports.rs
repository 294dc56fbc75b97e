//! Reports of how links went: which of them count, and what they change.

use std::time::Duration;

use rusqlite::params;
use thiserror::Error;

use super::{CatalogueError, Writer, seconds};
use crate::account::{AccountId, Counts};
use crate::identity::SwarmId;
use crate::limits::{FORGOTTEN_AT_A_TIME, REPORTS_ABOUT_MAX, REPORTS_PER_DAY_MAX};

const DAY_SECS: u64 = 24 * 3_600;

/// That a link went well, or did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Who says so.
    pub reporter: AccountId,
    /// Of whom.
    pub about: AccountId,
    /// Which composition moved over it. The caller makes sure that both take part in it.
    pub swarm: SwarmId,
}

/// Why a report does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Uncounted {
    /// It is about the reporter.
    #[error("nobody counts for themselves")]
    Oneself,
    /// The same was reported that day.
    #[error("it was reported today")]
    Again,
    /// The reporter said as much that day as counts, of that account or of all.
    #[error("enough was reported today")]
    Enough,
    /// There is no such account.
    #[error("there is no such account")]
    Nobody,
}

impl Writer<'_> {
    /// Notes a report if it counts, and replaces the counts of whom it is about by what `counted` makes of them; those.
    ///
    /// What one account reports counts once for each other account, composition and day (UTC), and at most
    /// [`REPORTS_ABOUT_MAX`] times a day for one account, [`REPORTS_PER_DAY_MAX`] for all.
    ///
    /// # Errors
    /// The database fails. That it does not count is no error of it.
    pub fn report(
        &mut self,
        report: &Report,
        now: Duration,
        counted: impl FnOnce(Counts) -> Counts,
    ) -> Result<Result<Counts, Uncounted>, CatalogueError> {
        let Report { reporter, about, swarm } = *report;
        if reporter == about {
            return Ok(Err(Uncounted::Oneself));
        }
        let (Some(before), Some(_)) = (self.counts(about)?, self.counts(reporter)?) else {
            return Ok(Err(Uncounted::Nobody));
        };
        let (reporter, about) = (reporter.number().cast_signed(), about.number().cast_signed());
        let day = seconds(now) / DAY_SECS.cast_signed();
        let said = "SELECT count(*), total(about = ?3), total(about = ?3 AND swarm = ?4) FROM reports \
                    WHERE day = ?1 AND reporter = ?2";
        let said = self.row(said, params![day, reporter, about, swarm.as_bytes()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, f64>(1)?, row.get::<_, f64>(2)?))
        })?;
        let (of_all, of_them, of_this) = said.unwrap_or_default();
        if of_this > 0.0 {
            return Ok(Err(Uncounted::Again));
        }
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        if of_all >= REPORTS_PER_DAY_MAX.cast_signed() || of_them >= REPORTS_ABOUT_MAX as f64 {
            return Ok(Err(Uncounted::Enough));
        }
        let note = "INSERT INTO reports (day, reporter, about, swarm) VALUES (?, ?, ?, ?)";
        self.change(note, params![day, reporter, about, swarm.as_bytes()])?;
        let after = counted(before);
        let set = "UPDATE accounts SET downloads = ?, failures = ?, counted = ? WHERE id = ?";
        self.change(set, params![after.downloads, after.failures, seconds(after.at), about])?;
        Ok(Ok(after))
    }

    /// Forgets what this account reported, and what was reported about it, [`FORGOTTEN_AT_A_TIME`] rows at most of each;
    /// whether these were all.
    pub(super) fn forget_reports_of(&mut self, account: AccountId) -> Result<bool, CatalogueError> {
        let account = account.number().cast_signed();
        let most = i64::try_from(FORGOTTEN_AT_A_TIME).unwrap_or(i64::MAX);
        let mut is_all = true;
        for column in ["reporter", "about"] {
            let forget = format!(
                "DELETE FROM reports WHERE (day, reporter, about, swarm) IN \
                 (SELECT day, reporter, about, swarm FROM reports WHERE {column} = ? LIMIT ?)"
            );
            is_all &= self.change(&forget, [account, most])? < FORGOTTEN_AT_A_TIME;
        }
        Ok(is_all)
    }

    /// Forgets what was reported before today, so many rows at most; how many there were.
    pub(super) fn forget_reports(&mut self, now: Duration, most: i64) -> Result<usize, CatalogueError> {
        let old = "DELETE FROM reports WHERE (day, reporter, about, swarm) IN \
                   (SELECT day, reporter, about, swarm FROM reports WHERE day < ? LIMIT ?)";
        self.change(old, params![seconds(now) / DAY_SECS.cast_signed(), most])
    }
}
