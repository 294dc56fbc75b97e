//! What a user's programs remember of conductors from run to run: one small file for each, which only the user can read.
//!
//! It reads and writes what is known; whether a conductor is the one that is known is decided elsewhere.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::atomic::{self, Readers};
use super::error::FileAction;
use super::{HostError, regular};
use crate::account::AccountName;
use crate::address::HostPort;
use crate::credential::{Fingerprint, SessionToken};
use crate::digest::Digest;
use crate::limits::{STATE_FILE_LEN_MAX, STATE_FILES_MAX};
use crate::text::Escaped;

/// The folder of ours among those of other programs, and the one in it with what is known of conductors.
const OURS: &str = "orchestra";
const CONDUCTORS: &str = "conductors";
const SUFFIX: &str = ".json";
/// The permissions of folders that only their owner may look into.
const PRIVATE_MODE: u32 = 0o700;
/// The longest host that is part of a file's name; of longer ones a digest tells them apart.
const HOST_IN_NAME_MAX: usize = 200;

/// The user's state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir {
    /// Where the files with what is known of conductors are.
    conductors: PathBuf,
}

/// What is known of one conductor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The fingerprint of the key that it showed first.
    pub fingerprint: Fingerprint,
    /// The user's session there, if there is one.
    pub login: Option<Login>,
}

/// A session at a conductor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The name of the account.
    pub account: String,
    /// The secret.
    pub token: SessionToken,
    /// When it ends by itself, in seconds since 1970.
    pub expires: u64,
}

/// All conductors of which something is known.
#[derive(Debug)]
pub struct Conductors {
    /// They, and what is known of them, in the order of their files' names.
    pub known: Vec<(HostPort, Known)>,
    /// Why files were left out, each with its path: one that is damaged says nothing against the others.
    pub left_out: Vec<StateError>,
}

/// Why what is known cannot be read or written.
#[derive(Debug, Error)]
pub enum StateError {
    /// Nothing says where the user's files are.
    #[error(
        "cannot tell where to keep what is known of conductors; set $HOME or $XDG_STATE_HOME to a folder"
    )]
    NoPlace,
    /// The system refuses.
    #[error("cannot use what is known of conductors, which $XDG_STATE_HOME would put elsewhere")]
    Host(#[from] HostError),
    /// A file is not what was written there.
    #[error(
        "{} is damaged: {problem}; delete it, then log in again, comparing the fingerprint that is shown",
        Escaped(&path.to_string_lossy())
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
}

/// What stands in a file.
#[derive(Serialize, Deserialize)]
struct Written {
    conductor: String,
    fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
}

impl StateDir {
    /// The state directory of the user who runs this process; nothing is made yet.
    ///
    /// # Errors
    /// The environment does not say where it is.
    pub fn of_user() -> Result<StateDir, StateError> {
        place(|name| std::env::var_os(name)).map(|place| StateDir::at(&place)).ok_or(StateError::NoPlace)
    }

    /// The state directory at this place.
    #[must_use]
    pub fn at(place: &Path) -> StateDir {
        StateDir { conductors: place.join(CONDUCTORS) }
    }

    /// The file with what is known of this conductor; it need not be there.
    #[must_use]
    pub fn file_of(&self, conductor: &HostPort) -> PathBuf {
        // Upper and lower case mean the same host, and a colon is no part of a file's name everywhere.
        let host = conductor.host().to_ascii_lowercase();
        let host = if host.len() > HOST_IN_NAME_MAX {
            format!("{}~{}", &host[..HOST_IN_NAME_MAX / 2], Digest::of(host.as_bytes()))
        } else if host.contains(':') {
            format!("[{}]", host.replace(':', "_"))
        } else {
            host
        };
        self.conductors.join(format!("{host}_{}{SUFFIX}", conductor.port()))
    }

    /// What is known of this conductor; none if it was never met.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub fn read(&self, conductor: &HostPort) -> Result<Option<Known>, StateError> {
        let path = self.file_of(conductor);
        let Some((named, known)) = read_file(&path)? else { return Ok(None) };
        if named.port() == conductor.port() && named.host().eq_ignore_ascii_case(conductor.host()) {
            Ok(Some(known))
        } else {
            Err(StateError::Damaged { path, problem: "it is about another conductor" })
        }
    }

    /// Remembers this of a conductor, instead of what was known: all of it or, if that fails, nothing.
    ///
    /// # Errors
    /// The system refuses.
    pub fn write(&self, conductor: &HostPort, known: &Known) -> Result<(), StateError> {
        let path = self.file_of(conductor);
        let made = DirBuilder::new().recursive(true).mode(PRIVATE_MODE).create(&self.conductors);
        made.map_err(HostError::file(FileAction::Create, &self.conductors))?;
        let login = known.login.as_ref();
        let written = Written {
            conductor: conductor.to_string(),
            fingerprint: known.fingerprint.to_string(),
            account: login.map(|login| login.account.clone()),
            session: login.map(|login| hex(login.token.as_bytes())),
            expires: login.map(|login| login.expires),
        };
        let text = serde_json::to_string_pretty(&written).expect("texts and numbers are always JSON");
        atomic::write(&path, format!("{text}\n").as_bytes(), Readers::Owner)?;
        Ok(())
    }

    /// All conductors of which something is known.
    ///
    /// # Errors
    /// The folder cannot be read. A file that cannot, or that is damaged, is only left out.
    pub fn conductors(&self) -> Result<Conductors, StateError> {
        let mut all = Conductors { known: Vec::new(), left_out: Vec::new() };
        let listed = match fs::read_dir(&self.conductors) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(all),
            listed => listed.and_then(|entries| {
                entries.take(STATE_FILES_MAX).map(|entry| entry.map(|entry| entry.path())).collect()
            }),
        };
        let mut paths: Vec<PathBuf> = listed.map_err(HostError::file(FileAction::Read, &self.conductors))?;
        paths.retain(|path| path.to_string_lossy().ends_with(SUFFIX));
        paths.sort();
        for path in &paths {
            match read_file(path) {
                Ok(found) => all.known.extend(found),
                Err(error) => all.left_out.push(error),
            }
        }
        Ok(all)
    }
}

impl Known {
    /// The session, unless it has ended by itself at this time, in seconds since 1970.
    #[must_use]
    pub fn session(&self, now: u64) -> Option<&Login> {
        self.login.as_ref().filter(|login| login.expires > now)
    }
}

/// Where programs keep such things, in this environment and on this system.
fn place(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = if cfg!(windows) {
        folder("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join("Library/Application Support")))
    } else {
        // What is not absolute does not count, says the XDG base directory specification.
        folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))
    };
    Some(base?.join(OURS))
}

/// What stands in this file; none if there is no such file.
fn read_file(path: &Path) -> Result<Option<(HostPort, Known)>, StateError> {
    let file = match regular::open(path) {
        Err(error) if error.io().kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = Vec::new();
    let read = file.take(STATE_FILE_LEN_MAX).read_to_end(&mut text);
    read.map_err(HostError::file(FileAction::Read, path))?;
    parse(&text).map(Some).map_err(|problem| StateError::Damaged { path: path.to_owned(), problem })
}

fn parse(text: &[u8]) -> Result<(HostPort, Known), &'static str> {
    let written: Written = serde_json::from_slice(text).map_err(|_| "it is not what was written there")?;
    let conductor = HostPort::parse(&written.conductor, None).map_err(|_| "it names no conductor")?;
    let fingerprint = written.fingerprint.parse().map_err(|_| "its fingerprint is none")?;
    let login = match (written.account, written.session, written.expires) {
        (None, None, None) => None,
        (Some(account), Some(session), Some(expires)) => {
            AccountName::parse(&account).map_err(|_| "no account has such a name")?;
            let token = bytes_of(&session).ok_or("its session is none")?;
            Some(Login { account, token: SessionToken::from_bytes(token), expires })
        }
        _ => return Err("a part of the session is missing"),
    };
    Ok((conductor, Known { fingerprint, login }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(hex: &str) -> Option<[u8; SessionToken::LEN]> {
    let digits: Option<Vec<u32>> = hex.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() == 2 * SessionToken::LEN)?;
    let mut bytes = [0; SessionToken::LEN];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::try_from(pair[0] << 4 | pair[1]).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::chain;
    use std::os::unix::fs::PermissionsExt as _;

    fn places(all: &Conductors) -> Vec<HostPort> {
        all.known.iter().map(|(conductor, _)| conductor.clone()).collect()
    }

    fn known() -> Known {
        let login =
            Login { account: "ada".to_owned(), token: SessionToken::from_bytes([0xab; 32]), expires: 100 };
        Known { fingerprint: Fingerprint::of(&[7; 32]), login: Some(login) }
    }

    fn conductor(text: &str) -> HostPort {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_known_and_only_to_the_owner() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("deep/orchestra");
        let state = StateDir::at(&place);
        let nas = conductor("nas.local");
        assert_eq!(state.read(&nas).unwrap(), None);
        assert_eq!(places(&state.conductors().unwrap()), []);
        state.write(&nas, &known()).unwrap();
        assert_eq!(state.read(&nas).unwrap(), Some(known()));
        assert_eq!(state.read(&conductor("NAS.local:9999")).unwrap(), Some(known()));
        assert_eq!(state.read(&conductor("nas.local:1")).unwrap(), None);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state.file_of(&nas)), 0o600);
        assert_eq!((mode(&place), mode(&place.join("conductors"))), (0o700, 0o700));

        let met = Known { login: None, ..known() };
        state.write(&nas, &met).unwrap();
        assert_eq!(state.read(&nas).unwrap(), Some(met.clone()));
        state.write(&conductor("[::1]:7"), &met).unwrap();
        assert_eq!(places(&state.conductors().unwrap()), [conductor("[::1]:7"), nas]);
    }

    #[test]
    fn every_conductor_has_a_file_of_its_own() {
        let state = StateDir::at(Path::new("/s"));
        let long = "h".repeat(255);
        let places = ["a:1", "a:11", "a_1:1", "[::1]:1", "__1:1", "[fe80::1%eth0]:1", "a.b:1", &long];
        let files: std::collections::BTreeSet<_> =
            places.iter().map(|text| state.file_of(&conductor(text))).collect();
        assert_eq!(files.len(), places.len(), "{files:?}");
        for file in &files {
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(name.len() <= 255 && !name.contains(':') && !name.starts_with('.'), "{name}");
            assert_eq!(file.parent(), Some(Path::new("/s/conductors")));
        }
        // A host name may begin with dots, or consist of them.
        assert_eq!(state.file_of(&conductor("..:1")).components().count(), 4);
    }

    #[test]
    fn a_session_ends_at_its_time() {
        assert!(known().session(99).is_some() && known().session(100).is_none());
    }

    #[test]
    fn damage_is_named_with_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path());
        let nas = conductor("nas:1");
        state.write(&nas, &known()).unwrap();
        let path = state.file_of(&nas);
        let right = fs::read_to_string(&path).unwrap();
        for (from, to, problem) in [
            ("{", "[", "it is not what was written there"),
            ("nas:1", "nas:2", "it is about another conductor"),
            ("nas:1", "nas", "it names no conductor"),
            ("\"expires\": 100", "\"expires\": -1", "it is not what was written there"),
            ("\"account\": \"ada\",", "", "a part of the session is missing"),
            ("abab", "abaz", "its session is none"),
            ("abab", "ab", "its session is none"),
            ("ada", &"a".repeat(65), "no account has such a name"),
            ("\"fingerprint\": \"", "\"fingerprint\": \"u", "its fingerprint is none"),
        ] {
            assert!(right.contains(from), "{from}");
            fs::write(&path, right.replacen(from, to, 1)).unwrap();
            let error = chain(&state.read(&nas).unwrap_err());
            let expected = format!("{} is damaged: {problem}; delete it, ", path.display());
            assert!(error.starts_with(&expected), "{error}");
        }
        // However long it is, little of it is read.
        fs::write(&path, " ".repeat(1 << 20) + &right).unwrap();
        assert!(matches!(state.read(&nas), Err(StateError::Damaged { .. })));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let error = chain(&state.read(&nas).unwrap_err());
        assert!(error.ends_with("it is a directory, not a file"), "{error}");
    }

    #[test]
    fn one_damaged_file_does_not_hide_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::at(dir.path());
        let (bad, nas, odd) = (conductor("bad:1"), conductor("nas:1"), conductor("odd:1"));
        for one in [&bad, &nas] {
            state.write(one, &known()).unwrap();
        }
        fs::write(state.file_of(&bad), b"{").unwrap();
        fs::create_dir(state.file_of(&odd)).unwrap();
        let all = state.conductors().unwrap();
        assert_eq!(places(&all), [nas]);
        let left_out: Vec<String> = all.left_out.iter().map(|error| chain(error)).collect();
        assert_eq!(left_out.len(), 2, "{left_out:?}");
        for (one, error) in [bad, odd].iter().zip(&left_out) {
            assert!(error.contains(&state.file_of(one).display().to_string()), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_told_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), b"").unwrap();
        let state = StateDir::at(&dir.path().join("file"));
        let error = chain(&state.write(&conductor("nas:1"), &known()).unwrap_err());
        let begin = "cannot use what is known of conductors, which $XDG_STATE_HOME would put elsewhere: cannot create ";
        assert!(error.starts_with(begin), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_environment_says_where() {
        let at = |set: &[(&str, &str)]| {
            place(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value)))
        };
        assert_eq!(at(&[("HOME", "/h")]), Some("/h/.local/state/orchestra".into()));
        assert_eq!(at(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]), Some("/s/orchestra".into()));
        assert_eq!(at(&[("HOME", "/h"), ("XDG_STATE_HOME", "s")]), Some("/h/.local/state/orchestra".into()));
        assert_eq!(at(&[("HOME", "")]), None);
        assert_eq!(at(&[]), None);
    }

    #[test]
    fn a_token_never_shows_in_debug_output() {
        let shown = format!("{:?}", known());
        assert!(!shown.contains("abab") && !shown.contains("171"), "{shown}");
    }
}
