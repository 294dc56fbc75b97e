//! Changes of the index as statements.

use rusqlite::{Transaction, params};

use super::error::Failure;
use super::{Change, bad_row, chunks_of, row};
use crate::entry::{Chunk, ContentHash};

pub(super) fn apply(
    transaction: &Transaction<'_>,
    change: Change<'_>,
    next: &mut u64,
    era: i64,
) -> Result<(), Failure> {
    match change {
        Change::Own { path, entry, facts } => {
            let key = row::key(path);
            let bytes = row::encode(&key, entry, facts);
            let content = &entry.content;
            transaction
                .prepare_cached(
                    "INSERT INTO own (sequence, path, kind, size, short, dot, era, entry) VALUES (?, ?, ?, ?, ?, ?, ?, ?) \
                     ON CONFLICT (path) DO UPDATE SET sequence = excluded.sequence, kind = excluded.kind, \
                     size = excluded.size, short = excluded.short, dot = excluded.dot, era = excluded.era, \
                     entry = excluded.entry",
                )?
                .execute(params![
                    next.cast_signed(),
                    key,
                    row::kind(content),
                    row::size(content),
                    row::short_of(content),
                    row::dot_key(entry.dot),
                    era,
                    bytes
                ])?;
            *next += 1;
        }
        Change::Looked { path, facts } => {
            let key = row::key(path);
            let mut old = transaction.prepare_cached("SELECT dot, entry FROM own WHERE path = ?")?;
            let mut old = old.query([&key])?;
            let Some(old) = old.next()? else { return Ok(()) };
            let (entry, _) = row::decode(&key, old.get_ref(0)?.as_blob()?, old.get_ref(1)?.as_blob()?)
                .map_err(|source| bad_row(&key, source))?;
            transaction
                .prepare_cached("UPDATE own SET era = ?, entry = ? WHERE path = ?")?
                .execute(params![era, row::encode(&key, &entry, facts), key])?;
        }
        Change::Remote { device, path, entry, sequence } => {
            let key = row::key(path);
            let bytes = row::encode(&key, entry, None);
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO remote (path, device, sequence, kind, short, dot, entry) \
                     VALUES (?, ?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    key,
                    device.bits().cast_signed(),
                    sequence.cast_signed(),
                    row::kind(&entry.content),
                    row::short_of(&entry.content),
                    row::dot_key(entry.dot),
                    bytes
                ])?;
        }
        Change::Through { device, sequence } => {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO devices (device, through) VALUES (?, ?)")?
                .execute([device.bits().cast_signed(), sequence.cast_signed()])?;
        }
        Change::Forget { device } => {
            let device = device.bits().cast_signed();
            transaction.execute("DELETE FROM remote WHERE device = ?", [device])?;
            transaction.execute("DELETE FROM devices WHERE device = ?", [device])?;
        }
        Change::Chunks { content, chunks } => put_list(transaction, content, chunks)?,
    }
    Ok(())
}

/// The last list that was told is the one that counts: an earlier one may be a lie of somebody else's.
fn put_list(transaction: &Transaction<'_>, content: ContentHash, chunks: &[Chunk]) -> Result<(), Failure> {
    let bytes = row::encode_chunks(content, chunks);
    let mut old = transaction.prepare_cached("SELECT id, chunks FROM lists WHERE content = ?")?;
    let mut old = old.query([content.as_bytes()])?;
    if let Some(list) = old.next()? {
        let there = list.get_ref(1)?.as_blob()?;
        if there == bytes {
            return Ok(());
        }
        forget_list(transaction, list.get(0)?, &chunks_of(content, there)?)?;
    }
    transaction
        .prepare_cached("INSERT INTO lists (content, short, chunks) VALUES (?, ?, ?)")?
        .execute(params![content.as_bytes(), row::short(content), bytes])?;
    let id = transaction.last_insert_rowid();
    // Of the same chunk in the same content, the first place is enough.
    let mut insert =
        transaction.prepare_cached("INSERT OR IGNORE INTO chunks (short, list, offset) VALUES (?, ?, ?)")?;
    let mut offset = 0_i64;
    for chunk in chunks {
        insert.execute([row::short(chunk.hash), id, offset])?;
        offset = offset.saturating_add(chunk.len.into());
    }
    Ok(())
}

pub(super) fn forget_list(transaction: &Transaction<'_>, id: i64, chunks: &[Chunk]) -> Result<(), Failure> {
    let mut delete = transaction.prepare_cached("DELETE FROM chunks WHERE short = ? AND list = ?")?;
    for chunk in chunks {
        delete.execute([row::short(chunk.hash), id])?;
    }
    transaction.prepare_cached("DELETE FROM lists WHERE id = ?")?.execute([id])?;
    Ok(())
}
