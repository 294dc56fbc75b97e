//! Bringing what was written safely to the disk, and knowing when that failed.
//!
//! A sync that fails leaves pages that look clean although they are lost, so none is ever tried again: what was
//! written before it is thrown away (Rebello and others, "Can Applications Recover from fsync Failures?", 2020).

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Mutex;

use rustix::fs::fstatvfs;

use super::beneath::{Folder, Stat};
use super::trouble::Trouble;
use crate::limits::SYNC_EACH_MAX;

/// The file system that the folder is on.
#[derive(Debug)]
pub(super) struct Disk {
    /// Open since before anything was written, so that it hears of every failure since then.
    handle: OwnedFd,
    /// Whether a sync of the whole file system tells of failures.
    tells: bool,
    /// How many syncs of the whole file system failed. What is older than the last failure may be lost, whoever
    /// wrote it: the system tells one caller only. The lock is held while a sync is under way.
    failures: Mutex<u64>,
}

/// How much there is on a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this user may still write, as far as the file system knows; quotas are not counted.
    pub free: u64,
    /// Bytes in all.
    pub all: u64,
}

/// What was written before a failed sync is older than the failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Age(u64);

/// Names and attributes that were changed and are perhaps not on the disk yet.
///
/// Invariant: unless `all` is set, at most [`SYNC_EACH_MAX`] handles.
#[derive(Debug, Default)]
#[must_use = "what is not settled may be gone after a power cut"]
pub struct Unsettled {
    /// By device and inode.
    handles: BTreeMap<(u64, u64), OwnedFd>,
    all: bool,
}

impl Disk {
    pub(super) fn of(folder: &Folder) -> Result<Disk, Trouble> {
        Ok(Disk { handle: folder.readable()?, tells: tells(), failures: Mutex::new(0) })
    }

    /// The age of what is written from now on.
    pub(super) fn age(&self) -> Age {
        Age(*self.failures.lock().expect("no thread panics while it holds this lock"))
    }

    /// Whether one sync of everything is as good as one of each.
    pub(super) const fn syncs_together(&self) -> bool {
        self.tells
    }

    /// How much room there is.
    pub(super) fn space(&self) -> Result<Space, Trouble> {
        let told = fstatvfs(&self.handle)?;
        let bytes = |blocks: u64| blocks.saturating_mul(told.f_frsize);
        Ok(Space { free: bytes(told.f_bavail), all: bytes(told.f_blocks) })
    }

    /// Brings everything to the disk; nothing older than the age that it yields is safe.
    pub(super) fn sync_all(&self) -> Result<Age, Trouble> {
        let mut failures = self.failures.lock().expect("no thread panics while it holds this lock");
        sync_file_system(&self.handle).inspect_err(|_| *failures += 1)?;
        Ok(Age(*failures))
    }
}

impl Unsettled {
    /// Remembers that names in this folder changed.
    pub(super) fn add_folder(&mut self, folder: &Folder) {
        if self.all {
            return;
        }
        // What cannot be opened for it is not synced on its own.
        match folder.itself().and_then(|stat| Ok((stat, folder.readable()?))) {
            Ok((stat, handle)) => self.add(&stat, handle),
            Err(_) => self.everything(),
        }
    }

    /// Remembers that attributes of this file changed.
    pub(super) fn add_file(&mut self, stat: &Stat, file: File) {
        if !self.all {
            self.add(stat, file.into());
        }
    }

    fn add(&mut self, stat: &Stat, handle: OwnedFd) {
        self.handles.insert((stat.device, stat.inode), handle);
        if self.handles.len() > SYNC_EACH_MAX {
            self.everything();
        }
    }

    fn everything(&mut self) {
        self.all = true;
        self.handles.clear();
    }

    /// Brings all of it to the disk: names and attributes are there after a power cut as well.
    pub(super) fn settle_on(self, disk: &Disk) -> Result<(), Trouble> {
        if self.all {
            return disk.sync_all().map(|_age| ());
        }
        self.handles.into_values().try_for_each(|handle| match File::from(handle).sync_all() {
            // Some file systems have no such operation for folders: then there is no way to ask for more.
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::InvalidInput | std::io::ErrorKind::Unsupported
                ) =>
            {
                Ok(())
            }
            result => Ok(result?),
        })
    }
}

/// Since 5.8 Linux tells of failed writes when a whole file system is synced.
#[cfg(target_os = "linux")]
fn tells() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= (5, 8)
}

#[cfg(not(target_os = "linux"))]
fn tells() -> bool {
    false
}

#[cfg(target_os = "linux")]
fn sync_file_system(handle: &OwnedFd) -> Result<(), Trouble> {
    Ok(rustix::fs::syncfs(handle)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_file_system(_handle: &OwnedFd) -> Result<(), Trouble> {
    rustix::fs::sync();
    Ok(())
}
