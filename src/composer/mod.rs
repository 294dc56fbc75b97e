//! The composer: makes the manifest of a file.
//!
//! It works in the calling thread, with one more for as long as the file is hashed, and prints nothing.
//! It does not know whether anybody will share the file, or whether a conductor runs where it says.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use thiserror::Error;

use crate::address::HostPort;
use crate::host::atomic::{self, Readers};
use crate::host::manifest_file::{self, ManifestFileError};
use crate::host::regular::{self, Stamp};
use crate::host::{HostError, clock, hashing};
use crate::limits::{PART_LEN_MAX, PARTS_MAX};
use crate::manifest::Manifest;
use crate::name::{Name, NameError};
use crate::part::{Layout, LayoutError};
use crate::text::Escaped;

/// What is put after the name of a file for the name of its manifest.
const MANIFEST_SUFFIX: &str = ".orch";
/// The longest file that can be composed, in bytes.
const FILE_LEN_MAX: u64 = PARTS_MAX as u64 * PART_LEN_MAX as u64;

/// What to compose.
#[derive(Clone, Debug)]
pub struct Request {
    /// The file.
    pub file: PathBuf,
    /// Where members will find each other.
    pub conductor: HostPort,
    /// The part size in bytes; if none is named, [`Layout::default_part_len`] chooses.
    pub part_len: Option<u64>,
    /// Where the manifest goes; if nothing is named, beside the file as `FILE.orch`.
    pub output: Option<PathBuf>,
}

/// What was composed.
#[derive(Clone, Debug)]
pub struct Composed {
    /// The manifest.
    pub manifest: Manifest,
    /// Where it was written.
    pub path: PathBuf,
    /// How long it took.
    pub elapsed: Duration,
}

/// Why a file was not composed. No manifest was written then, and none that was there was changed.
#[derive(Debug, Error)]
pub enum ComposeError {
    /// The file or its manifest cannot be read or written.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The name of the file is not text.
    #[error("the name of {} is not UTF-8 text; rename the file first", shown(path))]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// The name of the file would not be safe elsewhere.
    #[error("cannot share {} under its name", shown(path))]
    Name {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: NameError,
    },
    /// A file of this name would have another one elsewhere.
    #[error("others would know {} as {name}; rename the file first", shown(path))]
    OtherName {
        /// The file.
        path: PathBuf,
        /// The name that is left of its own.
        name: Name,
    },
    /// The file is longer than any composition.
    #[error("{} has {size} bytes, and {FILE_LEN_MAX} are the most", shown(path))]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
    /// The part size is out of bounds.
    #[error("cannot cut {} into parts of {part_len} bytes", shown(path))]
    PartLen {
        /// The file.
        path: PathBuf,
        /// The part size that was asked for, in bytes.
        part_len: u64,
        /// The bounds.
        source: LayoutError,
    },
    /// The part size is too small for this file.
    #[error(
        "cannot cut {} into parts of {part_len} bytes: this makes {parts} parts, and {PARTS_MAX} are the most; \
         the smallest part size for this file is {smallest}",
        shown(path)
    )]
    TooManyParts {
        /// The file.
        path: PathBuf,
        /// The part size that was asked for, in bytes.
        part_len: u64,
        /// The number of parts that it would make.
        parts: u64,
        /// The smallest part size that works, in bytes.
        smallest: u64,
    },
    /// The manifest would take the place of the file.
    #[error("the manifest would replace {} itself; name another file for it", shown(path))]
    OutputIsFile {
        /// The file.
        path: PathBuf,
    },
    /// The manifest would take the place of something else, which nobody could get back.
    #[error(
        "{} is there and is no manifest; it was not touched: name another file, or move it away",
        shown(path)
    )]
    OutputIsOther {
        /// What is there.
        path: PathBuf,
    },
    /// What is in the place of the manifest cannot be read.
    #[error(transparent)]
    Output(ManifestFileError),
    /// Somebody wrote to the file, or replaced it, in the meantime.
    #[error("{} changed while it was being composed; try again when nobody writes to it", shown(path))]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The caller asked to stop.
    #[error("stopped before {} was composed", shown(path))]
    Stopped {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a file and writes its manifest.
///
/// `progress` is called from the calling thread with the number of bytes done so far and in all.
/// Everything that can be refused without reading the file is refused before it is read.
///
/// # Errors
/// The file cannot be composed as asked, changed in the meantime, `stop` was set, or the manifest cannot be
/// written.
pub fn compose(
    request: &Request,
    stop: &AtomicBool,
    mut progress: impl FnMut(u64, u64),
) -> Result<Composed, ComposeError> {
    let started = clock::now();
    let path = request.file.as_path();
    let file = regular::open(path)?;
    let before = Stamp::of(&file, path)?;
    let name = name_of(path)?;
    let layout = layout_of(path, before.size(), request.part_len)?;
    let output = request.output.clone().unwrap_or_else(|| beside(path));
    let there = Stamp::at(&output)?;
    if there.is_some_and(|there| there.is_same_file(&before)) {
        return Err(ComposeError::OutputIsFile { path: path.to_owned() });
    }
    atomic::check_writable(&output)?;
    if there.is_some_and(|there| there.size() > 0) {
        check_is_manifest(&output)?;
    }

    let changed = || ComposeError::Changed { path: path.to_owned() };
    let digests =
        hashing::digest_whole_and_parts(&file, path, layout, stop, |done| progress(done, layout.size()))
            .map_err(|error| match error.io().kind() {
                io::ErrorKind::UnexpectedEof => changed(),
                _ => error.into(),
            })?;
    let (digest, part_digests) = digests.ok_or_else(|| ComposeError::Stopped { path: path.to_owned() })?;
    if Stamp::at(path)? != Some(before) {
        return Err(changed());
    }
    let manifest = Manifest::new(request.conductor.clone(), name, digest, layout, part_digests);
    atomic::write(&output, manifest.render().as_bytes(), Readers::AsBefore)?;
    Ok(Composed { manifest, path: output, elapsed: clock::now().since(started) })
}

/// A manifest is made again, and may be replaced; whatever else is there may be all that its owner has.
fn check_is_manifest(output: &Path) -> Result<(), ComposeError> {
    match manifest_file::read(output) {
        Ok(_) => Ok(()),
        Err(ManifestFileError::TooLong { .. } | ManifestFileError::NotAManifest { .. }) => {
            Err(ComposeError::OutputIsOther { path: output.to_owned() })
        }
        Err(error @ ManifestFileError::Host(_)) => Err(ComposeError::Output(error)),
    }
}

/// The name under which others will know the file: its own, or there is none.
fn name_of(path: &Path) -> Result<Name, ComposeError> {
    let own = path.file_name().unwrap_or_default();
    let own = own.to_str().ok_or_else(|| ComposeError::NotUtf8 { path: path.to_owned() })?;
    let name = Name::parse(own).map_err(|source| ComposeError::Name { path: path.to_owned(), source })?;
    if name.as_str() != own {
        return Err(ComposeError::OtherName { path: path.to_owned(), name });
    }
    Ok(name)
}

fn layout_of(path: &Path, size: u64, asked: Option<u64>) -> Result<Layout, ComposeError> {
    let path = || path.to_owned();
    if size > FILE_LEN_MAX {
        return Err(ComposeError::TooLong { path: path(), size });
    }
    let part_len = asked.unwrap_or_else(|| Layout::default_part_len(size).into());
    Layout::new(size, part_len).map_err(|error| match error {
        LayoutError::PartLen => ComposeError::PartLen { path: path(), part_len, source: error },
        LayoutError::TooManyParts { parts } => {
            let smallest = size.div_ceil(PARTS_MAX.into());
            ComposeError::TooManyParts { path: path(), part_len, parts, smallest }
        }
    })
}

fn beside(file: &Path) -> PathBuf {
    let mut output = file.as_os_str().to_owned();
    output.push(MANIFEST_SUFFIX);
    output.into()
}

fn shown(path: &Path) -> String {
    Escaped(&path.to_string_lossy()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::text::chain;
    use std::ffi::OsStr;
    use std::fs::{self, File, OpenOptions};
    use std::io::Write;
    use std::os::unix::ffi::OsStrExt;
    use std::sync::atomic::Ordering;

    fn request(file: &Path) -> Request {
        Request { file: file.to_owned(), conductor: HostPort::default(), part_len: None, output: None }
    }

    fn quietly(request: &Request) -> Result<Composed, ComposeError> {
        compose(request, &AtomicBool::new(false), |_, _| ())
    }

    /// Composes while `meddle` does something to the file after the first bytes were read.
    fn meddled(meddle: impl Fn(&Path)) -> (Result<Composed, ComposeError>, bool) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("song");
        fs::write(&path, vec![7; 3 << 20]).unwrap();
        let mut meddled = false;
        let result = compose(&request(&path), &AtomicBool::new(false), |_, _| {
            if !std::mem::replace(&mut meddled, true) {
                meddle(&path);
            }
        });
        (result, beside(&path).exists())
    }

    #[test]
    fn the_manifest_describes_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("song");
        fs::write(&path, b"abcde").unwrap();
        let mut last = None;
        let request = Request { part_len: Some(3), ..request(&path) };
        let composed =
            compose(&request, &AtomicBool::new(false), |done, all| last = Some((done, all))).unwrap();
        assert_eq!(composed.path, dir.path().join("song.orch"));
        assert_eq!(composed.manifest.digest(), Digest::of(b"abcde"));
        assert_eq!(composed.manifest.part_digests(), [Digest::of(b"abc"), Digest::of(b"de")]);
        assert_eq!(manifest_file::read(&composed.path).unwrap(), composed.manifest);
        assert_eq!(last, Some((5, 5)));
    }

    #[test]
    fn a_file_that_changes_is_not_composed() {
        let append = |path: &Path| {
            OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap();
        };
        let truncate = |path: &Path| OpenOptions::new().write(true).open(path).unwrap().set_len(9).unwrap();
        let rewrite = |path: &Path| {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        };
        let replace = |path: &Path| {
            let other = path.with_file_name("other");
            fs::write(&other, vec![8; 3 << 20]).unwrap();
            fs::rename(other, path).unwrap();
        };
        let remove = |path: &Path| fs::remove_file(path).unwrap();
        for (what, meddle) in [
            ("grew", &append as &dyn Fn(&Path)),
            ("shrank", &truncate),
            ("was written to", &rewrite),
            ("was replaced", &replace),
            ("was removed", &remove),
        ] {
            let (result, written) = meddled(meddle);
            assert!(matches!(result, Err(ComposeError::Changed { .. })), "{what}: {result:?}");
            assert!(!written, "{what}");
        }
        assert!(meddled(|_| ()).0.is_ok());
    }

    #[test]
    fn a_stop_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("song");
        fs::write(&path, vec![7; 3 << 20]).unwrap();
        let stop = AtomicBool::new(false);
        let result = compose(&request(&path), &stop, |_, _| stop.store(true, Ordering::Relaxed));
        assert!(matches!(result, Err(ComposeError::Stopped { .. })));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn part_sizes_that_do_not_fit_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("song");
        File::create(&path).unwrap().set_len(3 * u64::from(PARTS_MAX) + 1).unwrap();
        let refused = |part_len| chain(&quietly(&Request { part_len, ..request(&path) }).unwrap_err());
        let cut = |rest: &str| format!("cannot cut {} into parts of {rest}", path.display());
        let bounds = "a part size from 1 to 16777216 bytes was expected";
        assert_eq!(refused(Some(0)), cut(&format!("0 bytes: {bounds}")));
        assert_eq!(refused(Some(16_777_217)), cut(&format!("16777217 bytes: {bounds}")));
        assert_eq!(
            refused(Some(3)),
            cut("3 bytes: this makes 1048577 parts, and 1048576 are the most; \
                 the smallest part size for this file is 4")
        );
        assert!(quietly(&Request { part_len: Some(4), ..request(&path) }).is_ok());

        assert_eq!(
            layout_of(&path, FILE_LEN_MAX + 1, None).unwrap_err().to_string(),
            format!("{} has 17592186044417 bytes, and 17592186044416 are the most", path.display())
        );
        assert!(layout_of(&path, FILE_LEN_MAX, None).is_ok());
    }

    #[test]
    fn names_that_others_could_not_use_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |name: &[u8]| {
            let path = dir.path().join(OsStr::from_bytes(name));
            fs::write(&path, b"x").unwrap();
            let text = chain(&quietly(&request(&path)).unwrap_err());
            text.replace(&format!("{}/", dir.path().display()), "")
        };
        assert_eq!(
            refused(b"a\nb"),
            "cannot share a\\u{a}b under its name: a file name without control characters was expected"
        );
        assert_eq!(refused(b"a\\b"), "others would know a\\b as b; rename the file first");
        assert_eq!(refused(b"a\xff"), "the name of a\u{fffd} is not UTF-8 text; rename the file first");
    }

    #[test]
    fn the_manifest_never_replaces_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link, hard) = (dir.path().join("song"), dir.path().join("link"), dir.path().join("hard"));
        fs::write(&path, b"abc").unwrap();
        std::os::unix::fs::symlink("song", &link).unwrap();
        fs::hard_link(&path, &hard).unwrap();
        for output in [&path, &link, &hard] {
            let result = quietly(&Request { output: Some(output.clone()), ..request(&path) });
            assert!(matches!(result, Err(ComposeError::OutputIsFile { .. })), "{result:?}");
        }
        assert_eq!(fs::read(&path).unwrap(), b"abc");
    }

    #[test]
    fn the_manifest_replaces_nothing_but_manifests() {
        let dir = tempfile::tempdir().unwrap();
        let (path, output) = (dir.path().join("song"), dir.path().join("song.orch"));
        fs::write(&path, b"abc").unwrap();
        fs::write(&output, b"my notes\n").unwrap();
        let refused = quietly(&request(&path)).unwrap_err();
        assert!(matches!(refused, ComposeError::OutputIsOther { .. }), "{refused}");
        assert_eq!(fs::read(&output).unwrap(), b"my notes\n");
        // Nothing is lost with an empty file, or with a manifest.
        fs::write(&output, b"").unwrap();
        let composed = quietly(&request(&path)).unwrap();
        fs::write(&path, b"abcd").unwrap();
        let again = quietly(&request(&path)).unwrap();
        assert_ne!(again.manifest.digest(), composed.manifest.digest());
        assert_eq!(manifest_file::read(&output).unwrap().digest(), again.manifest.digest());
    }
}
