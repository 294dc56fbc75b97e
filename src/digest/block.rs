//! The words of those who take blocks in.

/// The bytes that SHA-1 takes in at a time.
pub(super) const BLOCK_LEN: usize = 64;
/// One block of a padded message.
pub(super) type Block = [u8; BLOCK_LEN];
/// The five words a, b, c, d, e of a hash value.
pub(super) type State = [u32; 5];

/// The hash value before the first block (FIPS 180-4, section 5.3.1).
pub(super) const INITIAL: State = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
