//! The composition and its manifest.

/// The longest part. A part is verified in memory before it is written, so it must fit there.
pub const PART_LEN_MAX: u32 = 16 * 1024 * 1024;
/// The most parts: a set of them is then at most 128 KiB, and a manifest about 41 MiB.
pub const PARTS_MAX: u32 = 1 << 20;
/// The most parts when nobody asked for a part size: keeps a manifest under 84 KiB.
pub const PARTS_DEFAULT_MAX: u32 = 2_048;
/// The longest name of a composition, what file systems commonly allow for one component.
pub const NAME_LEN_MAX: usize = 255;
/// The longest host name (RFC 1035 allows 253 characters).
pub const HOST_LEN_MAX: usize = 255;
/// The longest manifest that is read: the largest one with `\r\n`, and as much again in extension lines.
pub const MANIFEST_LEN_MAX: u64 = 96 * 1024 * 1024;
/// The port of a conductor when none is named.
pub const CONDUCTOR_PORT_DEFAULT: u16 = 9999;
/// The ports that a member tries to listen on before it takes any.
pub const MEMBER_PORTS: std::ops::RangeInclusive<u16> = 10_001..=10_100;
