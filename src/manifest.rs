//! The manifest: the small text that describes a composition.
//!
//! Text to [`Manifest`] and back; only valid ones exist.
//! The text is hostile: nothing is allocated from a number in it before that number is checked, and every
//! refusal names the line and says what was expected.
//! This does not know files; `host::manifest_file` does.

use std::fmt::{self, Write as _};

use thiserror::Error;

use crate::address::{HostPort, HostPortError};
use crate::digest::{DIGEST_LEN, Digest, NotADigest};
use crate::identity::{LinkKey, SwarmId};
use crate::name::{Name, NameError};
use crate::part::{Layout, LayoutError, PartIndex};

/// Editors on Windows put it before UTF-8 text. It is read over and never written.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The length of a line with a digest.
const DIGEST_LINE_LEN: usize = 2 * DIGEST_LEN + 1;

/// What describes a composition: where its conductor is, its name, its size, and the digest of the whole and
/// of every part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    conductor: HostPort,
    name: Name,
    /// What stood in the place of the name: a path that ends in it, or the name itself.
    spelled_name: Box<str>,
    digest: Digest,
    layout: Layout,
    /// Invariant: one for each part of the layout.
    part_digests: Box<[Digest]>,
}

/// Why a text is not a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("line {line} ({field}): {problem}")]
pub struct ManifestError {
    /// The line, counted from 1.
    pub line: usize,
    /// What should have stood there.
    pub field: Field,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What a line of a manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Where the conductor is.
    Conductor,
    /// The name of the composition.
    Name,
    /// The digest of the whole.
    Digest,
    /// The size of the composition in bytes.
    Size,
    /// The size of a part in bytes.
    PartLen,
    /// The number of parts.
    Parts,
    /// The digest of one part.
    PartDigest(PartIndex),
    /// Something that a later version may say after the last part.
    Extension,
}

/// What is wrong with a line of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// There is no such line.
    #[error("the text ends before it")]
    Missing,
    /// The line is not text.
    #[error("UTF-8 text was expected")]
    NotUtf8,
    /// The conductor's address.
    #[error(transparent)]
    Conductor(#[from] HostPortError),
    /// The name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A digest.
    #[error(transparent)]
    Digest(#[from] NotADigest),
    /// A number that has anything but digits, or too many of them.
    #[error("a number in plain digits, at most {max}, was expected", max = u64::MAX)]
    Number,
    /// The part size, by itself or with the size.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The number of parts does not follow from size and part size.
    #[error("{expected} was expected, for {size} bytes in parts of {part_len}")]
    PartCount {
        /// The number that follows.
        expected: u32,
        /// The size in bytes.
        size: u64,
        /// The part size in bytes.
        part_len: u32,
    },
    /// A line after the last part that is neither empty nor `key value`.
    #[error("after the last part only lines like \"key value\" were expected")]
    Extension,
}

impl Manifest {
    /// The manifest of a composition.
    ///
    /// # Panics
    /// If there is not one digest for each part of the layout.
    #[must_use]
    pub fn new(
        conductor: HostPort,
        name: Name,
        digest: Digest,
        layout: Layout,
        part_digests: Vec<Digest>,
    ) -> Manifest {
        assert_eq!(part_digests.len(), layout.parts() as usize, "every part has one digest");
        let spelled_name = name.as_str().into();
        let part_digests = part_digests.into_boxed_slice();
        Manifest { conductor, name, spelled_name, digest, layout, part_digests }
    }

    /// Reads a manifest.
    ///
    /// Lines end in `\n` or `\r\n`, the last one may lack it, and a UTF-8 byte order mark may stand before
    /// the first.
    /// After the last part, empty lines and lines `key value` are read over: they belong to later versions.
    /// Anything else there is refused, for it is more likely a broken file than a message.
    ///
    /// # Errors
    /// The text is not a manifest; the error names the first line that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let mut lines = Lines { rest: bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes), number: 0 };
        let conductor = lines.field(Field::Conductor, |text| Ok(text.parse()?))?;
        let (name, spelled_name) =
            lines.field(Field::Name, |text| Ok((Name::parse(text)?, Box::from(text))))?;
        let digest = lines.field(Field::Digest, |text| Ok(text.parse()?))?;
        let size = lines.field(Field::Size, parse_number)?;
        let layout = lines.field(Field::PartLen, |text| Ok(Layout::new(size, parse_number(text)?)?))?;
        lines.field(Field::Parts, |text| check_part_count(layout, parse_number(text)?))?;

        let mut part_digests = Vec::with_capacity(digests_possible(layout, lines.rest));
        for part in layout.all() {
            part_digests.push(lines.field(Field::PartDigest(part), |text| Ok(text.parse()?))?);
        }
        while !lines.rest.is_empty() {
            lines.field(Field::Extension, check_extension)?;
        }
        Ok(Manifest { spelled_name, ..Manifest::new(conductor, name, digest, layout, part_digests) })
    }

    /// The text of the manifest, ready to be written to a file.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = format!(
            "{}\n{}\n{}\n{}\n{}\n{}\n",
            self.conductor,
            self.spelled_name,
            self.digest,
            self.layout.size(),
            self.layout.part_len(),
            self.layout.parts()
        );
        text.reserve(self.part_digests.len() * DIGEST_LINE_LEN);
        for digest in &self.part_digests {
            writeln!(text, "{digest}").expect("a String takes any text");
        }
        text
    }

    /// Where the conductor is.
    #[must_use]
    pub const fn conductor(&self) -> &HostPort {
        &self.conductor
    }

    /// The name of the composition: of what stood in the text, the last component.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// The name of the composition as it stood in the text, with all of its path: the original programs know the
    /// composition by exactly that. It is as long as the text had it, and not for files, terminals or logs.
    #[must_use]
    pub fn spelled_name(&self) -> &str {
        &self.spelled_name
    }

    /// The digest of the whole composition.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// How the composition is cut into parts.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The digest of one part.
    ///
    /// # Panics
    /// If the part belongs to another composition with more parts.
    #[must_use]
    pub fn part_digest(&self, part: PartIndex) -> Digest {
        self.part_digests[part.at()]
    }

    /// The digests of all parts, in order.
    #[must_use]
    pub const fn part_digests(&self) -> &[Digest] {
        &self.part_digests
    }

    /// What the conductor knows the composition by; derived anew on each call from all digests.
    #[must_use]
    pub fn swarm_id(&self) -> SwarmId {
        SwarmId::derive(self.digest, self.layout, &self.part_digests)
    }

    /// The secret that holders of this manifest share; derived anew on each call from all digests.
    #[must_use]
    pub fn swarm_key(&self) -> LinkKey {
        LinkKey::derive(self.digest, self.layout, &self.part_digests)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Conductor => f.write_str("conductor"),
            Field::Name => f.write_str("name"),
            Field::Digest => f.write_str("SHA-1 of the whole"),
            Field::Size => f.write_str("size in bytes"),
            Field::PartLen => f.write_str("part size in bytes"),
            Field::Parts => f.write_str("number of parts"),
            Field::PartDigest(part) => write!(f, "SHA-1 of part {part}"),
            Field::Extension => f.write_str("after the last part"),
        }
    }
}

/// What is still to be read, and how many lines were.
struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl Lines<'_> {
    /// Takes the next line and reads it as this field.
    fn field<T>(
        &mut self,
        field: Field,
        read: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Result<T, ManifestError> {
        self.number += 1;
        let line = self.number;
        self.next_text().and_then(read).map_err(|problem| ManifestError { line, field, problem })
    }

    fn next_text(&mut self) -> Result<&str, Problem> {
        if self.rest.is_empty() {
            return Err(Problem::Missing);
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = match end {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, [].as_slice()),
        };
        self.rest = rest;
        std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).map_err(|_| Problem::NotUtf8)
    }
}

fn parse_number(text: &str) -> Result<u64, Problem> {
    // `parse` would take a sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(Problem::Number)
}

fn check_part_count(layout: Layout, count: u64) -> Result<(), Problem> {
    if count == u64::from(layout.parts()) {
        return Ok(());
    }
    Err(Problem::PartCount { expected: layout.parts(), size: layout.size(), part_len: layout.part_len() })
}

/// How many part digests to make room for: a short text cannot have many, whatever it claims.
fn digests_possible(layout: Layout, rest: &[u8]) -> usize {
    (layout.parts() as usize).min(rest.len() / DIGEST_LINE_LEN + 1)
}

fn check_extension(text: &str) -> Result<(), Problem> {
    let is_pair = |(key, value): (&str, &str)| {
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic()) && !value.is_empty()
    };
    if text.is_empty() || text.split_once(' ').is_some_and(is_pair) {
        Ok(())
    } else {
        Err(Problem::Extension)
    }
}

#[cfg(test)]
mod tests;
