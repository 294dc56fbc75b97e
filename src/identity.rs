//! Who is who: what identifies a composition to the conductor and to members, and a member to members.
//!
//! Everything that names a composition is derived from its content (size, part size, digests), never from
//! its name or conductor, which a user may edit.

use std::fmt;
use std::net::IpAddr;

use crate::digest::Digest;
use crate::part::Layout;

const ID_CONTEXT: &str = "orchestra 2026-11 swarm id v1";
const KEY_CONTEXT: &str = "orchestra 2026-11 swarm key v1";
const TOKEN_CONTEXT: &str = "orchestra 2026-11 rendezvous token v1";
const CLASSIC_SWARM_CONTEXT: &str = "orchestra 2026-11 classic swarm v1";
const CLASSIC_MEMBER_CONTEXT: &str = "orchestra 2026-11 classic member v1";

/// What a conductor knows a composition by. It reveals neither content nor key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SwarmId([u8; 32]);

/// The secret that all who may open a link with each other share: the holders of a manifest, or of an ensemble's key.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkKey([u8; 32]);

/// What a dialling member says in clear, so that the other side finds the key to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token([u8; Token::LEN]);

/// A member for as long as it runs: random, so that links of the same member are known as such.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct MemberId([u8; 16]);

impl SwarmId {
    /// The id of the composition with this content.
    #[must_use]
    pub fn derive(whole: Digest, layout: Layout, parts: &[Digest]) -> SwarmId {
        SwarmId(derive(ID_CONTEXT, whole, layout, parts))
    }

    /// What a conductor knows a composition by whose members it meets in the classic protocol: they tell the name and the
    /// checksum of it, and nothing else. It never travels.
    #[must_use]
    pub fn of_classic(name: &str, sha1: &str) -> SwarmId {
        let mut hasher = blake3::Hasher::new_derive_key(CLASSIC_SWARM_CONTEXT);
        hasher.update(sha1.as_bytes()).update(name.as_bytes());
        SwarmId(*hasher.finalize().as_bytes())
    }

    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> SwarmId {
        SwarmId(bytes)
    }

    /// The bytes, as they travel.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// All 64 hex digits, in lower case: `Display` shows the first eight.
    #[must_use]
    pub fn digits(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl LinkKey {
    /// The key of the composition with this content.
    #[must_use]
    pub fn derive(whole: Digest, layout: Layout, parts: &[Digest]) -> LinkKey {
        LinkKey(derive(KEY_CONTEXT, whole, layout, parts))
    }

    /// The key with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> LinkKey {
        LinkKey(bytes)
    }

    /// The bytes, for the handshake and nothing else.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The token under which members with this key meet.
    #[must_use]
    pub fn token(&self) -> Token {
        let mut bytes = [0; Token::LEN];
        bytes.copy_from_slice(&blake3::derive_key(TOKEN_CONTEXT, &self.0)[..Token::LEN]);
        Token(bytes)
    }
}

impl Token {
    /// The length in bytes.
    pub const LEN: usize = 16;

    /// The token with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Token::LEN]) -> Token {
        Token(bytes)
    }

    /// The bytes, as they travel.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Token::LEN] {
        &self.0
    }
}

impl MemberId {
    /// A classic member has no id: all links with one host count as links with one member.
    #[must_use]
    pub fn of_classic(host: IpAddr) -> MemberId {
        let octets = match host.to_canonical() {
            IpAddr::V4(host) => host.to_ipv6_mapped().octets(),
            IpAddr::V6(host) => host.octets(),
        };
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&blake3::derive_key(CLASSIC_MEMBER_CONTEXT, &octets)[..16]);
        MemberId(bytes)
    }

    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> MemberId {
        MemberId(bytes)
    }

    /// The bytes, as they travel.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// BLAKE3 `derive_key` over: digest of the whole (20 bytes), size (u64, little endian), part size (u32,
/// little endian), the digest of every part.
fn derive(context: &str, whole: Digest, layout: Layout, parts: &[Digest]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(whole.as_bytes());
    hasher.update(&layout.size().to_le_bytes());
    hasher.update(&layout.part_len().to_le_bytes());
    for part in parts {
        hasher.update(part.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// The first eight digits tell swarms and members apart in a log.
fn short_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for SwarmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        short_hex(&self.0, f)
    }
}

impl fmt::Debug for SwarmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        short_hex(&self.0, f)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        short_hex(&self.0, f)
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        short_hex(&self.0, f)
    }
}

impl fmt::Debug for LinkKey {
    /// A key is never written anywhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_depends_on_all_of_the_content() {
        let layout = Layout::new(10, 5).unwrap();
        let (whole, parts) = (Digest::of(b"whole"), [Digest::of(b"a"), Digest::of(b"b")]);
        let id = SwarmId::derive(whole, layout, &parts);
        assert_eq!(id, SwarmId::derive(whole, layout, &parts));
        assert_ne!(id, SwarmId::derive(Digest::of(b"other"), layout, &parts));
        assert_ne!(id, SwarmId::derive(whole, Layout::new(9, 5).unwrap(), &parts));
        assert_ne!(id, SwarmId::derive(whole, layout, &[parts[1], parts[0]]));
        assert_ne!(id.as_bytes(), LinkKey::derive(whole, layout, &parts).as_bytes());
    }

    #[test]
    fn a_key_never_shows_in_debug_output() {
        let key = LinkKey::from_bytes([0xab; 32]);
        assert!(!format!("{key:?}").contains("ab"));
    }
}
