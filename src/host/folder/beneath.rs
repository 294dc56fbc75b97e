//! Paths beneath a folder, by directory handles.
//!
//! A path is walked from the handle of the folder, and whatever on the way is not a folder of the same file system
//! ends the walk: a symbolic link is never followed, wherever it stands and whenever it came there, and `..` cannot
//! be said. Everything is then done by the last folder's handle and one name.
//! Where the kernel can, it walks itself (`openat2`); elsewhere each name is opened in turn.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use super::trouble::{Action, FolderError, Place, Trouble};
use crate::entry::path::OWN_FOLDER;
use crate::entry::{Attributes, TreePath};
use crate::limits::LINK_TEXT_LEN_MAX;

/// The permissions that new folders ask for; the user's mask takes from it.
const FOLDER_MODE: u32 = 0o777;
/// Who may execute a file, of those who may read it.
const EXECUTE_BITS: u32 = 0o111;
/// What of a mode is permissions of user, group and others: never set-user-id, set-group-id or sticky.
const PERMISSION_BITS: u32 = 0o777;

/// A folder by its handle, and what is reached from it.
#[derive(Debug)]
pub struct Beneath {
    root: OwnedFd,
    device: u64,
    /// Whether the kernel walks whole paths.
    pub(super) walks: bool,
}

/// One folder by its handle: it stays the same folder, whatever happens to its name.
#[derive(Debug)]
pub struct Folder(OwnedFd);

/// What kind of thing has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A pipe that has a path.
    Pipe,
    /// A socket that has a path.
    Socket,
    /// A block or character device, or what this system calls something else.
    Device,
}

/// What one look tells of something. If two looks agree, most likely nobody changed it in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// The length of a file in bytes.
    pub size: u64,
    /// When the content was last written, in nanoseconds since 1970.
    pub mtime: i64,
    /// When anything about it was last changed, in nanoseconds since 1970; nobody can set it.
    pub ctime: i64,
    /// Which one of its file system.
    pub inode: u64,
    /// Which file system.
    pub device: u64,
    /// Permissions, as Unix has them, without the kind.
    pub mode: u32,
    /// How many names it has.
    pub links: u64,
}

/// The names in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Those that are text, in no order.
    pub names: Vec<String>,
    /// Those that are not UTF-8, so that no other machine could have them.
    pub not_text: Vec<OsString>,
}

impl Beneath {
    /// The folder with this path, which may lead over symbolic links: it comes from the user.
    ///
    /// # Errors
    /// There is no folder, or it cannot be opened.
    pub fn open(path: &Path) -> Result<Beneath, Trouble> {
        let flags = handle_flags() | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Beneath::of(fs::openat(fs::CWD, path, flags, Mode::empty())?)
    }

    /// The folder with this handle.
    ///
    /// # Errors
    /// The system does not say what it is.
    pub fn of(root: OwnedFd) -> Result<Beneath, Trouble> {
        let device = Stat::of(&root)?.device;
        let walks = walk_at_once(root.as_fd(), ".").is_ok();
        Ok(Beneath { root, device, walks })
    }

    /// The file system that it is on, and everything that is reached from it.
    #[must_use]
    pub const fn device(&self) -> u64 {
        self.device
    }

    /// A folder beneath it, or itself.
    ///
    /// # Errors
    /// It is not there, or not a folder, or something on the way is none; or it is on another file system.
    pub fn folder(&self, path: Option<&TreePath>) -> Result<Folder, FolderError> {
        let Some(path) = path else {
            return self.itself().map_err(|trouble| FolderError {
                action: Action::Open,
                place: Place::Root,
                trouble,
            });
        };
        self.walk(path).map_err(|trouble| trouble.at(Action::Open, path))
    }

    /// The folder that something is in, by a handle.
    ///
    /// # Errors
    /// As for [`Beneath::folder`].
    pub fn parent(&self, path: &TreePath) -> Result<Folder, Trouble> {
        match path.parent() {
            Some(parent) => self.walk(&parent),
            None => self.itself(),
        }
    }

    /// Looks at a path; none if nothing is there.
    ///
    /// # Errors
    /// Something on the way is not a folder, or the system does not say; neither means that nothing is there.
    pub fn stat(&self, path: &TreePath) -> Result<Option<Stat>, FolderError> {
        let look = || match self.parent(path) {
            Ok(folder) => folder.stat(path.name()),
            Err(Trouble::Missing) => Ok(None),
            Err(trouble) => Err(trouble),
        };
        look().map_err(|trouble| trouble.at(Action::Inspect, path))
    }

    /// The names in a folder, all of them.
    ///
    /// [`OWN_FOLDER`] of the topmost folder is left out.
    ///
    /// # Errors
    /// The folder is not there, or the system does not tell all names.
    pub fn list(&self, path: Option<&TreePath>) -> Result<Names, FolderError> {
        let place = || path.map_or(Place::Root, |path| Place::Tree(path.clone()));
        let folder = path.map_or_else(|| self.itself(), |path| self.walk(path));
        let mut names = folder.and_then(|folder| folder.list()).map_err(|trouble| FolderError {
            action: Action::List,
            place: place(),
            trouble,
        })?;
        if path.is_none() {
            names.names.retain(|name| name != OWN_FOLDER);
        }
        Ok(names)
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// It is something else ([`Trouble::Is`]), or cannot be opened.
    pub fn open_file(&self, path: &TreePath) -> Result<File, FolderError> {
        let open = || self.parent(path)?.open_file(path.name());
        open().map_err(|trouble| trouble.at(Action::Open, path))
    }

    /// The text of a symbolic link.
    ///
    /// # Errors
    /// It is something else ([`Trouble::Is`]), or not UTF-8, or cannot be read.
    pub fn read_link(&self, path: &TreePath) -> Result<String, FolderError> {
        let read = || self.parent(path)?.read_link(path.name());
        read().map_err(|trouble| trouble.at(Action::Read, path))
    }

    fn itself(&self) -> Result<Folder, Trouble> {
        Ok(Folder(self.root.try_clone()?))
    }

    fn walk(&self, path: &TreePath) -> Result<Folder, Trouble> {
        let folder = if self.walks {
            walk_at_once(self.root.as_fd(), path.as_str())
        } else {
            walk_by_names(self.root.as_fd(), self.device, path)
        };
        folder.map(Folder)
    }
}

impl Folder {
    /// What it is by now: it may have lost its name, or got another one.
    ///
    /// # Errors
    /// The system does not say.
    pub fn itself(&self) -> Result<Stat, Trouble> {
        Stat::of(&self.0)
    }

    /// A folder in it.
    ///
    /// # Errors
    /// It is not there, or not a folder, or on another file system.
    pub fn folder(&self, name: &str) -> Result<Folder, Trouble> {
        let folder = open_folder(self.0.as_fd(), single(name)?)?;
        if Stat::of(&folder)?.device == self.itself()?.device {
            Ok(Folder(folder))
        } else {
            Err(Trouble::Mounted)
        }
    }

    /// The same, made if it is missing.
    ///
    /// # Errors
    /// It cannot be made, or something else is there.
    pub fn folder_or_new(&self, name: &str) -> Result<Folder, Trouble> {
        match self.folder(name) {
            Err(Trouble::Missing) => {}
            found => return found,
        }
        match self.make_folder(name) {
            // Somebody else was faster.
            Ok(()) | Err(Trouble::Occupied) => self.folder(name),
            Err(trouble) => Err(trouble),
        }
    }

    /// Looks at a name; none if nothing has it.
    ///
    /// # Errors
    /// The system does not say.
    pub fn stat(&self, name: &str) -> Result<Option<Stat>, Trouble> {
        match fs::statat(&self.0, single(name)?, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// All names in it.
    ///
    /// # Errors
    /// The system does not tell all of them.
    pub fn list(&self) -> Result<Names, Trouble> {
        let mut found = Names::default();
        for entry in Dir::new(self.readable()?)? {
            let name = entry?.file_name().to_bytes().to_vec();
            match String::from_utf8(name) {
                Ok(name) if name == "." || name == ".." => {}
                Ok(name) => found.names.push(name),
                Err(error) => found.not_text.push(OsString::from_vec(error.into_bytes())),
            }
        }
        Ok(found)
    }

    /// Opens a regular file in it for reading.
    ///
    /// # Errors
    /// It is something else ([`Trouble::Is`]), or cannot be opened.
    pub fn open_file(&self, name: &str) -> Result<File, Trouble> {
        // Looked at before it is opened, because opening a device may already do something.
        self.stat(name)?.ok_or(Trouble::Missing)?.must_be(Kind::File)?;
        // Between the look and here it may have been replaced by a pipe, for which a plain open would wait.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match fs::openat(&self.0, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            // A symbolic link, or a socket, that was not there a moment ago.
            Err(Errno::LOOP | Errno::NXIO) => return Err(Trouble::Changed),
            Err(errno) => return Err(errno.into()),
        };
        Stat::of(&file)?.must_be(Kind::File)?;
        Ok(file)
    }

    /// The text of a symbolic link in it.
    ///
    /// # Errors
    /// It is something else ([`Trouble::Is`]), or not UTF-8, or cannot be read.
    pub fn read_link(&self, name: &str) -> Result<String, Trouble> {
        self.stat(name)?.ok_or(Trouble::Missing)?.must_be(Kind::Link)?;
        let text = fs::readlinkat(&self.0, name, Vec::new()).map_err(|errno| match errno {
            Errno::INVAL => Trouble::Changed,
            errno => errno.into(),
        })?;
        text.into_string().map_err(|_| Trouble::NotText)
    }

    /// Brings the names in it safely to the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn sync(&self) -> Result<(), Trouble> {
        match self.readable().and_then(|folder| Ok(fs::fsync(folder)?)) {
            // The folder may be writable but not readable, or the file system has no such operation: then there is
            // no way to ask for more.
            Err(Trouble::Denied(_)) => Ok(()),
            Err(Trouble::Io(error))
                if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
            {
                Ok(())
            }
            result => result,
        }
    }

    /// Makes a folder.
    pub(super) fn make_folder(&self, name: &str) -> Result<(), Trouble> {
        Ok(fs::mkdirat(&self.0, single(name)?, Mode::from_raw_mode(FOLDER_MODE))?)
    }

    /// Makes a folder that only this user may enter.
    pub(super) fn make_own_folder(&self, name: &str) -> Result<(), Trouble> {
        Ok(fs::mkdirat(&self.0, single(name)?, Mode::RWXU)?)
    }

    /// Makes a symbolic link.
    pub(super) fn make_link(&self, name: &str, text: &str) -> Result<(), Trouble> {
        if text.is_empty() || text.len() > LINK_TEXT_LEN_MAX || text.contains('\0') {
            return Err(Trouble::BadLink);
        }
        Ok(fs::symlinkat(text, &self.0, single(name)?)?)
    }

    /// Creates a file; nothing may have the name.
    pub(super) fn create_file(&self, name: &str, mode: Mode) -> Result<File, Trouble> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(fs::openat(&self.0, single(name)?, flags, mode)?.into())
    }

    /// Opens a file of ours for reading and writing.
    pub(super) fn open_own_file(&self, name: &str) -> Result<File, Trouble> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(fs::openat(&self.0, single(name)?, flags, Mode::empty())?);
        Stat::of(&file)?.must_be(Kind::File)?;
        Ok(file)
    }

    /// Lets us write to a file of ours again.
    pub(super) fn make_writable(&self, name: &str) -> Result<(), Trouble> {
        Ok(fs::chmodat(&self.0, single(name)?, Mode::RUSR | Mode::WUSR, AtFlags::empty())?)
    }

    /// Removes an empty folder.
    pub(super) fn remove_folder(&self, name: &str) -> Result<(), Trouble> {
        match fs::unlinkat(&self.0, single(name)?, AtFlags::REMOVEDIR) {
            // Some file systems say so of a folder that is not empty.
            Err(Errno::EXIST) => Err(Trouble::NotEmpty),
            result => Ok(result?),
        }
    }

    /// Removes a file or link of ours: what is the user's goes to the archive.
    pub(super) fn remove_file(&self, name: &str) -> Result<(), Trouble> {
        Ok(fs::unlinkat(&self.0, single(name)?, AtFlags::empty())?)
    }

    /// Gives something a further name, which nothing may have.
    pub(super) fn link(&self, name: &str, to: &Folder, new: &str) -> Result<(), Trouble> {
        Ok(fs::linkat(&self.0, single(name)?, &to.0, single(new)?, AtFlags::empty())?)
    }

    /// Gives something another name; what had it is gone.
    pub(super) fn rename_over(&self, name: &str, to: &Folder, new: &str) -> Result<(), Trouble> {
        Ok(fs::renameat(&self.0, single(name)?, &to.0, single(new)?)?)
    }

    /// Gives something another name, which nothing may have ([`Trouble::Occupied`]).
    pub(super) fn rename_new(&self, name: &str, to: &Folder, new: &str) -> Result<(), Trouble> {
        match fs::renameat_with(&self.0, single(name)?, &to.0, single(new)?, RenameFlags::NOREPLACE) {
            Err(errno) if cannot(errno) => {}
            result => return Ok(result?),
        }
        // File systems that cannot do this in one step: a further name is never one that is taken.
        match self.link(name, to, new) {
            Ok(()) => return self.remove_file(name),
            Err(Trouble::Denied(_) | Trouble::Io(_)) => {}
            Err(trouble) => return Err(trouble),
        }
        // Those that have no second names either: a look before the rename is the next best.
        if to.stat(new)?.is_some() {
            return Err(Trouble::Occupied);
        }
        self.rename_over(name, to, new)
    }

    /// Lets two things change their names, at one moment; false where the file system cannot.
    pub(super) fn exchange(&self, name: &str, with: &Folder, other: &str) -> Result<bool, Trouble> {
        match fs::renameat_with(&self.0, single(name)?, &with.0, single(other)?, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(errno) if cannot(errno) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Another handle of it.
    pub(in crate::host) fn handle(&self) -> Result<OwnedFd, Trouble> {
        Ok(self.0.try_clone()?)
    }

    /// A handle that can be listed and brought to the disk.
    pub(super) fn readable(&self) -> Result<OwnedFd, Trouble> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(fs::openat(&self.0, ".", flags, Mode::empty())?)
    }
}

impl Stat {
    /// Looks at what is open.
    ///
    /// # Errors
    /// The system does not say.
    pub fn of(open: impl AsFd) -> Result<Stat, Trouble> {
        Ok(fs::fstat(open)?.into())
    }

    /// Whether its owner may execute it.
    #[must_use]
    pub const fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }

    /// Whether both looks were at the same thing, under whatever name.
    #[must_use]
    pub const fn is_same_thing(&self, other: &Stat) -> bool {
        self.device == other.device && self.inode == other.inode
    }

    /// Whether the thing is the same, and was not written to as far as one can see, although its name changed.
    #[must_use]
    pub fn is_same_version(&self, other: &Stat) -> bool {
        let same = self.is_same_thing(other) && self.kind == other.kind;
        // What is in a folder has entries of its own.
        same && (self.kind == Kind::Folder
            || (self.size, self.mtime, self.mode) == (other.size, other.mtime, other.mode))
    }

    /// Whether nothing about the thing changed at all.
    #[must_use]
    pub fn is_untouched(&self, other: &Stat) -> bool {
        self.is_same_version(other) && (self.kind == Kind::Folder || self.ctime == other.ctime)
    }

    pub(super) fn must_be(&self, kind: Kind) -> Result<(), Trouble> {
        if self.kind == kind { Ok(()) } else { Err(Trouble::Is(self.kind)) }
    }
}

impl From<fs::Stat> for Stat {
    fn from(stat: fs::Stat) -> Stat {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Link,
            FileType::Fifo => Kind::Pipe,
            FileType::Socket => Kind::Socket,
            _ => Kind::Device,
        };
        Stat {
            kind,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: nanos(stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
            ctime: nanos(stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or(0)),
            inode: stat.st_ino,
            device: stat.st_dev,
            mode: stat.st_mode & 0o7777,
            links: stat.st_nlink,
        }
    }
}

/// Times that do not fit, before 1678 and after 2261, are the nearest that do.
fn nanos(seconds: i64, nanos: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// Sets time and executable bit of an open file, with permissions like those of what it stands for.
///
/// Who may read the file may execute it, or nobody may; other bits beyond permissions are never set.
pub(super) fn set_attributes(file: &File, attributes: Attributes, like: u32) -> Result<(), Trouble> {
    let readers = (like & 0o444) >> 2;
    let mode = match attributes.executable {
        true => like | readers | 0o100,
        false => like & !EXECUTE_BITS,
    };
    if Stat::of(file)?.mode != mode & PERMISSION_BITS {
        fs::fchmod(file, Mode::from_raw_mode(mode & PERMISSION_BITS))?;
    }
    let mtime = Timespec {
        tv_sec: attributes.mtime.div_euclid(1_000_000_000),
        tv_nsec: attributes.mtime.rem_euclid(1_000_000_000),
    };
    let unchanged = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    Ok(fs::futimens(file, &Timestamps { last_access: unchanged, last_modification: mtime })?)
}

/// Whether a file system says that it has no such operation.
pub(super) const fn cannot(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOTTY)
}

/// A name of something in a folder, and nothing else.
fn single(name: &str) -> Result<&str, Trouble> {
    if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) { Err(Trouble::Name) } else { Ok(name) }
}

/// A handle that says where something is and no more, so that a folder need not be readable.
const fn handle_flags() -> OFlags {
    #[cfg(target_os = "linux")]
    return OFlags::PATH;
    #[cfg(not(target_os = "linux"))]
    return OFlags::RDONLY;
}

fn open_folder(folder: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Trouble> {
    let flags = handle_flags() | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(fs::openat(folder, name, flags, Mode::empty())?)
}

#[cfg(target_os = "linux")]
fn walk_at_once(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Trouble> {
    use rustix::fs::ResolveFlags;
    let flags = handle_flags() | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    Ok(fs::openat2(root, path, flags, Mode::empty(), resolve)?)
}

#[cfg(not(target_os = "linux"))]
fn walk_at_once(_root: BorrowedFd<'_>, _path: &str) -> Result<OwnedFd, Trouble> {
    Err(Errno::NOSYS.into())
}

fn walk_by_names(root: BorrowedFd<'_>, device: u64, path: &TreePath) -> Result<OwnedFd, Trouble> {
    let mut folder = root.try_clone_to_owned()?;
    for name in path.names() {
        folder = open_folder(folder.as_fd(), name)?;
        if Stat::of(&folder)?.device != device {
            return Err(Trouble::Mounted);
        }
    }
    Ok(folder)
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::File => "a file",
            Kind::Folder => "a folder",
            Kind::Link => "a symbolic link",
            Kind::Pipe => "a pipe",
            Kind::Socket => "a socket",
            Kind::Device => "a device",
        })
    }
}

#[cfg(test)]
mod tests;
