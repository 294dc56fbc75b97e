//! Listings: compositions that accounts publish, found by name.

use std::time::Duration;

use rusqlite::{Row, params};
use thiserror::Error;

use super::accounts::name_of;
use super::error::Failure;
use super::{CatalogueError, Reader, Writer, id_of, seconds, time};
use crate::account::{AccountId, AccountName};
use crate::digest::{DIGEST_LEN, Digest};
use crate::identity::SwarmId;
use crate::limits::{
    LISTED_PARTS_MAX, LISTED_PARTS_PER_ACCOUNT_MAX, LISTINGS_MAX, LISTINGS_PER_ACCOUNT_MAX,
    LISTINGS_PER_NAME_MAX, LISTINGS_PER_PAGE, NAMESAKES_MAX, PARTS_MAX, SEARCH_LEN_MAX, TAKEN_BACK_AT_A_TIME,
};
use crate::name::Name;
use crate::part::Layout;
use crate::text::folded;

/// What a listing is read from; `listing_of` knows the order.
const COLUMNS: &str = "listings.id, listings.name, listings.digest, listings.size, listings.part_len, \
                       listings.swarm, listings.published, accounts.id, accounts.name";

/// The number of a listing, which no other one of the same catalogue ever gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListingId(u64);

/// A composition that somebody publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Its number.
    pub id: ListingId,
    /// The name that the publisher gave it.
    pub name: Name,
    /// The digest of the whole.
    pub digest: Digest,
    /// Its size, and that of its parts.
    pub layout: Layout,
    /// What members of its swarm announce.
    pub swarm: SwarmId,
    /// When it was published, since 1970.
    pub published: Duration,
    /// Whose it is.
    pub account: AccountId,
    /// The name of that account.
    pub publisher: AccountName,
}

/// A composition to be published.
#[derive(Clone, Copy, Debug)]
pub struct NewListing<'a> {
    /// Its name.
    pub name: &'a Name,
    /// The digest of the whole.
    pub digest: Digest,
    /// Its size, and that of its parts.
    pub layout: Layout,
    /// The digest of every part of the layout.
    pub parts: &'a [Digest],
}

/// What became of a composition that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The listing.
    pub id: ListingId,
    /// Whether it was not there before; else nothing changed.
    pub is_new: bool,
    /// Which other account publishes the same content under this name, if one does; it stays theirs.
    pub already_by: Option<AccountName>,
    /// The first listings of this name, in whatever spelling, that are other swarms; at most [`NAMESAKES_MAX`].
    pub namesakes: Vec<Listing>,
}

/// Why nothing was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotPublished {
    /// There is no such account, or it was shut out.
    #[error("there is no such account")]
    Nobody,
    /// The account has [`LISTINGS_PER_NAME_MAX`] listings of this name.
    #[error("this account publishes as many compositions of this name as one may; unpublish one")]
    NameFull,
    /// The account has [`LISTINGS_PER_ACCOUNT_MAX`] listings, or [`LISTED_PARTS_PER_ACCOUNT_MAX`] parts.
    #[error("this account publishes as much as one may; unpublish something")]
    AccountFull,
    /// There are [`LISTINGS_MAX`] listings, or [`LISTED_PARTS_MAX`] parts.
    #[error("this conductor lists as much as it can")]
    Full,
}

/// Some listings, in the order of their folded names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// They.
    pub listings: Vec<Listing>,
    /// Whether there are more after them.
    pub has_more: bool,
    /// How many there are in all, on all pages.
    pub matches: u64,
}

/// The place in the order of listings right after one of them, which stays a place if that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// Its name, in whatever spelling.
    pub name: String,
    /// Its number.
    pub id: ListingId,
}

/// The compositions of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is none.
    None,
    /// There is one; of several that publish the same swarm, the first.
    One(Box<Listing>),
    /// There are several swarms: the first listing of each, in the order of publication, at most [`NAMESAKES_MAX`].
    Several(Vec<Listing>),
}

impl ListingId {
    /// The listing with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> ListingId {
        ListingId(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl After {
    /// The place right after this listing.
    #[must_use]
    pub fn listing(listing: &Listing) -> After {
        After { name: listing.name.as_str().to_owned(), id: listing.id }
    }
}

impl Reader<'_> {
    /// Listings with this text anywhere in their names, in whatever spelling, in the order of names; at most `most`, and
    /// never more than [`LISTINGS_PER_PAGE`]. No name has a text in it that is longer than [`SEARCH_LEN_MAX`].
    ///
    /// # Errors
    /// The database fails.
    pub fn list(&self, text: &str, after: Option<&After>, most: usize) -> Result<Page, CatalogueError> {
        let most = most.clamp(1, LISTINGS_PER_PAGE);
        let mut page = Page { listings: Vec::new(), has_more: false, matches: 0 };
        if text.len() > SEARCH_LEN_MAX {
            return Ok(page);
        }
        // In the order of the index, so that nothing is sorted, and it ends with the page.
        let list = format!(
            "SELECT {COLUMNS} FROM listings INDEXED BY listings_folded \
             CROSS JOIN accounts ON accounts.id = listings.account \
             WHERE (listings.folded, listings.id) > (?1, ?2) AND instr(listings.folded, ?3) > 0 \
             AND NOT accounts.disabled ORDER BY listings.folded, listings.id LIMIT ?4"
        );
        let (name, id) = after.map_or_else(Default::default, |after| (folded(&after.name), signed(after.id)));
        let text = folded(text);
        let one_more = i64::try_from(most + 1).unwrap_or(i64::MAX);
        page.listings = self.rows(&list, params![name, id, text, one_more], listing_of)?;
        page.has_more = page.listings.len() > most;
        page.listings.truncate(most);
        if after.is_none() && !page.has_more {
            // All of them are on it: nothing has to be counted.
            page.matches = page.listings.len() as u64;
            return Ok(page);
        }
        // Few accounts are shut out, so nothing is looked up for each listing.
        let matches = "SELECT count(*) FROM listings INDEXED BY listings_folded WHERE instr(folded, ?) > 0 \
                       AND account NOT IN (SELECT id FROM accounts WHERE disabled)";
        page.matches = self.value::<i64>(matches, [text])?.cast_unsigned();
        Ok(page)
    }

    /// What is published under this name, by anybody or by one account.
    ///
    /// The very spelling counts if there is one that is published; if there is not, any. `digits` tell several of a name
    /// apart: the first hex digits of the digest or the swarm of the one that is meant, or nothing.
    ///
    /// # Errors
    /// The database fails.
    pub fn find(&self, name: &str, digits: &str, by: Option<AccountId>) -> Result<Found, CatalogueError> {
        let folded = folded(name);
        let mut found = self.namesakes(&folded, Some(name), digits, by)?;
        if found.is_empty() {
            found = self.namesakes(&folded, None, digits, by)?;
        }
        Ok(match found.len() {
            0 => Found::None,
            1 => Found::One(Box::new(found.remove(0))),
            _ => {
                found.truncate(NAMESAKES_MAX);
                Found::Several(found)
            }
        })
    }

    /// One listing of each swarm: the first. Not of each digest of the whole: nobody can tell whether that is the one of these
    /// parts before all of them came, so who claims a digest first would have it for good.
    fn namesakes(
        &self,
        folded: &str,
        exact: Option<&str>,
        digits: &str,
        by: Option<AccountId>,
    ) -> Result<Vec<Listing>, CatalogueError> {
        let Some((least, most)) = beginning_with(digits) else { return Ok(Vec::new()) };
        let find = format!(
            "SELECT {COLUMNS} FROM listings INDEXED BY listings_folded \
             CROSS JOIN accounts ON accounts.id = listings.account \
             WHERE listings.folded = ?1 AND (?2 IS NULL OR listings.account = ?2) \
             AND (?3 IS NULL OR listings.name = ?3) \
             AND (listings.digest BETWEEN ?4 AND ?5 OR listings.swarm BETWEEN ?4 AND ?5) \
             AND NOT accounts.disabled ORDER BY listings.id"
        );
        let by = by.map(|account| account.number().cast_signed());
        let mut found: Vec<Listing> = Vec::new();
        self.each(&find, params![folded, by, exact, least, most], |row| {
            let listing = listing_of(row)?;
            if found.iter().all(|other| other.swarm != listing.swarm) {
                found.push(listing);
            }
            // One more than is told, because one of them may be the one that they are namesakes of.
            Ok(found.len() <= NAMESAKES_MAX)
        })?;
        Ok(found)
    }

    /// The digests of the parts of a listing, in their order; nothing if it is gone.
    ///
    /// # Errors
    /// The database fails.
    pub fn parts(&self, listing: ListingId) -> Result<Option<Vec<Digest>>, CatalogueError> {
        self.row("SELECT parts FROM digests WHERE listing = ?", [signed(listing)], |row| {
            let (parts, rest) = row.get_ref(0)?.as_blob()?.as_chunks::<DIGEST_LEN>();
            if !rest.is_empty() {
                return Err(Failure::BadRow);
            }
            Ok(parts.iter().copied().map(Digest::from_bytes).collect())
        })
    }

    /// The digests of at most `count` parts of a listing, from the part `first` on, none behind the last one; nothing if the
    /// listing is gone. Only these are read.
    ///
    /// # Errors
    /// The database fails.
    pub fn some_parts(
        &self,
        listing: ListingId,
        first: u32,
        count: usize,
    ) -> Result<Option<Vec<Digest>>, CatalogueError> {
        let id = signed(listing);
        let len = "SELECT length(parts) FROM digests WHERE listing = ?";
        let len = self.row(len, [id], |row| Ok(row.get::<_, i64>(0)?))?;
        let Some(len) = len else { return Ok(None) };
        let all = usize::try_from(len).unwrap_or(usize::MAX) / DIGEST_LEN;
        let first = all.min(first as usize);
        let mut bytes = vec![0; count.min(all - first) * DIGEST_LEN];
        let mut run = || {
            let parts = self.transaction.blob_open(rusqlite::MAIN_DB, "digests", "parts", id, true)?;
            parts.read_at_exact(&mut bytes, first * DIGEST_LEN)
        };
        run().map_err(|error| Failure::from(error).at(self.path))?;
        let (parts, _) = bytes.as_chunks::<DIGEST_LEN>();
        Ok(Some(parts.iter().copied().map(Digest::from_bytes).collect()))
    }

    /// Whether anybody publishes the composition of this swarm.
    ///
    /// # Errors
    /// The database fails.
    pub fn is_listed(&self, swarm: SwarmId) -> Result<bool, CatalogueError> {
        let listed = "SELECT EXISTS (SELECT 1 FROM listings CROSS JOIN accounts ON accounts.id = listings.account \
                      WHERE listings.swarm = ? AND NOT accounts.disabled)";
        self.value(listed, [swarm.as_bytes()])
    }
}

impl Writer<'_> {
    /// Publishes a composition. The same content under the same name is listed once, as that of the account that published
    /// it first.
    ///
    /// # Errors
    /// The database fails. That there is no room is no error of it.
    ///
    /// # Panics
    /// There is not one digest for each part of the layout.
    pub fn publish(
        &mut self,
        account: AccountId,
        new: &NewListing<'_>,
        now: Duration,
    ) -> Result<Result<Published, NotPublished>, CatalogueError> {
        assert_eq!(new.parts.len(), new.layout.parts() as usize, "every part has one digest");
        let swarm = SwarmId::derive(new.digest, new.layout, new.parts);
        let (owner, name) = (account.number().cast_signed(), new.name.as_str());
        let room = self.room_for(owner, new.parts.len())?;
        if room == Err(NotPublished::Nobody) {
            return Ok(Err(NotPublished::Nobody));
        }
        let known = "SELECT listings.id, accounts.id, accounts.name FROM listings \
                     CROSS JOIN accounts ON accounts.id = listings.account \
                     WHERE listings.swarm = ?1 AND listings.name = ?2 AND NOT accounts.disabled \
                     ORDER BY accounts.id = ?3 DESC, listings.id LIMIT 1";
        let known = self.row(known, params![swarm.as_bytes(), name, owner], |row| {
            Ok((ListingId(row.get::<_, i64>(0)?.cast_unsigned()), id_of(row.get(1)?), name_of(row, 2)?))
        })?;
        let (id, is_new, already_by) = match (known, room) {
            (Some((id, by, by_name)), _) => (id, false, Some(by_name).filter(|_| by != account)),
            (None, Err(full)) => return Ok(Err(full)),
            (None, Ok(())) if self.is_name_full(owner, name)? => return Ok(Err(NotPublished::NameFull)),
            (None, Ok(())) => (self.insert(owner, new, swarm, now)?, true, None),
        };
        let mut namesakes = self.namesakes(&folded(name), None, "", None)?;
        namesakes.retain(|other| other.swarm != swarm);
        namesakes.truncate(NAMESAKES_MAX);
        Ok(Ok(Published { id, is_new, already_by, namesakes }))
    }

    /// Takes back what this account published; whether it was there.
    ///
    /// # Errors
    /// The database fails.
    pub fn unpublish(&mut self, account: AccountId, listing: ListingId) -> Result<bool, CatalogueError> {
        let (owner, id) = (account.number().cast_signed(), signed(listing));
        let parts = "SELECT length(digests.parts) / ?3 FROM listings JOIN digests ON digests.listing = listings.id \
                     WHERE listings.id = ?1 AND listings.account = ?2";
        let digest_len = i64::try_from(DIGEST_LEN).unwrap_or(i64::MAX);
        let parts = self.row(parts, params![id, owner, digest_len], |row| Ok(row.get::<_, i64>(0)?))?;
        let Some(parts) = parts else { return Ok(false) };
        self.change("DELETE FROM listings WHERE id = ?", [id])?;
        self.count(owner, -1, -parts)?;
        Ok(true)
    }

    /// Takes back listings of this account, at most [`TAKEN_BACK_AT_A_TIME`], and of so many parts as the largest composition
    /// has; how many, and whether these were all.
    pub(super) fn take_back(&mut self, account: AccountId) -> Result<(u64, bool), CatalogueError> {
        let owner = account.number().cast_signed();
        let some = "SELECT listings.id, length(digests.parts) / ?3 FROM listings \
                    JOIN digests ON digests.listing = listings.id WHERE listings.account = ?1 LIMIT ?2";
        let digest_len = i64::try_from(DIGEST_LEN).unwrap_or(i64::MAX);
        let one_more = i64::try_from(TAKEN_BACK_AT_A_TIME + 1).unwrap_or(i64::MAX);
        let some = self.rows(some, params![owner, one_more, digest_len], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?;
        let (mut listings, mut parts) = (0, 0);
        for &(id, its_parts) in &some {
            let is_full = listings == TAKEN_BACK_AT_A_TIME
                || (listings > 0 && parts + its_parts > i64::from(PARTS_MAX));
            if is_full {
                break;
            }
            self.change("DELETE FROM listings WHERE id = ?", [id])?;
            listings += 1;
            parts += its_parts;
        }
        self.count(owner, -i64::try_from(listings).unwrap_or(i64::MAX), -parts)?;
        Ok((listings as u64, listings == some.len()))
    }

    /// Whether one more of so many parts may be listed for this account.
    fn room_for(&self, owner: i64, parts: usize) -> Result<Result<(), NotPublished>, CatalogueError> {
        let pair = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let of_account = "SELECT listings, parts FROM accounts WHERE id = ? AND NOT disabled";
        let Some(of_account) = self.row(of_account, [owner], pair)? else {
            return Ok(Err(NotPublished::Nobody));
        };
        let of_all = self.row("SELECT listings, parts FROM totals", [], pair)?.unwrap_or_default();
        let parts = i64::try_from(parts).unwrap_or(i64::MAX);
        let fits = |(listings, listed): (i64, i64), listings_max: u64, parts_max: u64| {
            listings < listings_max.cast_signed() && listed.saturating_add(parts) <= parts_max.cast_signed()
        };
        Ok(if !fits(of_account, LISTINGS_PER_ACCOUNT_MAX, LISTED_PARTS_PER_ACCOUNT_MAX) {
            Err(NotPublished::AccountFull)
        } else if !fits(of_all, LISTINGS_MAX, LISTED_PARTS_MAX) {
            Err(NotPublished::Full)
        } else {
            Ok(())
        })
    }

    /// Whether this account publishes as many compositions of this name, in whatever spelling, as one may.
    fn is_name_full(&self, owner: i64, name: &str) -> Result<bool, CatalogueError> {
        let listings =
            "SELECT count(*) FROM listings INDEXED BY listings_account WHERE account = ? AND folded = ?";
        let listings: i64 = self.value(listings, params![owner, folded(name)])?;
        Ok(listings >= LISTINGS_PER_NAME_MAX.cast_signed())
    }

    fn insert(
        &mut self,
        owner: i64,
        new: &NewListing<'_>,
        swarm: SwarmId,
        now: Duration,
    ) -> Result<ListingId, CatalogueError> {
        let insert = "INSERT INTO listings (account, name, folded, digest, size, part_len, swarm, published) \
                      VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        let (name, layout) = (new.name.as_str(), new.layout);
        let (size, part_len) = (layout.size().cast_signed(), layout.part_len());
        let digest = new.digest.as_bytes();
        let swarm = swarm.as_bytes();
        self.change(insert, params![owner, name, folded(name), digest, size, part_len, swarm, seconds(now)])?;
        let id = self.0.transaction.last_insert_rowid();
        let parts: Vec<u8> = new.parts.iter().flat_map(|part| *part.as_bytes()).collect();
        self.change("INSERT INTO digests (listing, parts) VALUES (?, ?)", params![id, parts])?;
        self.count(owner, 1, i64::try_from(new.parts.len()).unwrap_or(i64::MAX))?;
        Ok(ListingId(id.cast_unsigned()))
    }

    fn count(&mut self, owner: i64, listings: i64, parts: i64) -> Result<(), CatalogueError> {
        let of_account = "UPDATE accounts SET listings = listings + ?, parts = parts + ? WHERE id = ?";
        self.change(of_account, [listings, parts, owner])?;
        self.change("UPDATE totals SET listings = listings + ?, parts = parts + ?", [listings, parts])?;
        Ok(())
    }
}

/// The least and the greatest bytes of which these are the first hex digits, as SQLite compares them; none if nothing has
/// such digits.
fn beginning_with(digits: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    /// Longer than what is compared with it, so that it is never the beginning of that.
    const LONGEST: usize = 33;
    let values: Option<Vec<u8>> =
        digits.chars().map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok())).collect();
    let values = values.filter(|values| values.len() < 2 * LONGEST)?;
    let padded =
        |with: u8| values.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).unwrap_or(&with)).collect();
    let (least, mut most): (Vec<u8>, Vec<u8>) = (padded(0), padded(0xf));
    most.resize(LONGEST, 0xff);
    Some((least, most))
}

fn signed(id: ListingId) -> i64 {
    // A number that no listing has stays one.
    i64::try_from(id.0).unwrap_or(i64::MAX)
}

fn listing_of(row: &Row<'_>) -> Result<Listing, Failure> {
    let bad = |_| Failure::BadRow;
    let size = u64::try_from(row.get::<_, i64>(3)?).map_err(|_| Failure::BadRow)?;
    let part_len = u64::try_from(row.get::<_, i64>(4)?).map_err(|_| Failure::BadRow)?;
    Ok(Listing {
        id: ListingId(row.get::<_, i64>(0)?.cast_unsigned()),
        name: Name::parse(row.get_ref(1)?.as_str()?).map_err(|_| Failure::BadRow)?,
        digest: Digest::from_bytes(row.get(2)?),
        layout: Layout::new(size, part_len).map_err(bad)?,
        swarm: SwarmId::from_bytes(row.get(5)?),
        published: time(row.get(6)?),
        account: id_of(row.get(7)?),
        publisher: name_of(row, 8)?,
    })
}
