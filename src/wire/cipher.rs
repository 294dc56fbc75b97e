//! AES-256-GCM (NIST SP 800-38D), by that of two libraries which is faster on this processor.
//!
//! Both use its instructions for AES, but not the same: `aws-lc-rs` the wide ones of AVX-512, `ring` those of 256 bits
//! (VAES), which many processors have that know nothing of AVX-512. The bytes are the same.

use std::fmt;

use aws_lc_rs::aead as aws;
use ring::aead as ring;

use crate::limits::RECORD_TAG_LEN;

/// The length of a key.
pub(super) const KEY_LEN: usize = 32;
/// The length of a nonce.
pub(super) const NONCE_LEN: usize = 12;

/// Whose nonce this is never seals anything else with the same key.
pub(super) type Nonce = [u8; NONCE_LEN];
type Tag = [u8; RECORD_TAG_LEN];

/// One key, ready for use.
pub(super) struct Cipher(Library);

enum Library {
    AwsLc(aws::LessSafeKey),
    Ring(Box<ring::LessSafeKey>),
}

/// The bytes were not sealed with this key and nonce.
#[derive(Debug)]
pub(super) struct Forged;

impl Cipher {
    pub(super) fn new(key: &[u8; KEY_LEN]) -> Cipher {
        if is_ring_faster() { Cipher::of_ring(key) } else { Cipher::of_aws_lc(key) }
    }

    fn of_aws_lc(key: &[u8; KEY_LEN]) -> Cipher {
        let key = aws::UnboundKey::new(&aws::AES_256_GCM, key).expect("the key has the cipher's length");
        Cipher(Library::AwsLc(aws::LessSafeKey::new(key)))
    }

    fn of_ring(key: &[u8; KEY_LEN]) -> Cipher {
        let key = ring::UnboundKey::new(&ring::AES_256_GCM, key).expect("the key has the cipher's length");
        Cipher(Library::Ring(Box::new(ring::LessSafeKey::new(key))))
    }

    /// Seals bytes in place; returns their tag.
    pub(super) fn seal(&self, nonce: Nonce, plain: &mut [u8]) -> Tag {
        const FITS: &str = "a record is far below the cipher's bound";
        const TAG: &str = "the tag has 16 bytes";
        match &self.0 {
            Library::AwsLc(key) => {
                let nonce = aws::Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, aws::Aad::empty(), plain).expect(FITS);
                tag.as_ref().try_into().expect(TAG)
            }
            Library::Ring(key) => {
                let nonce = ring::Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, ring::Aad::empty(), plain).expect(FITS);
                tag.as_ref().try_into().expect(TAG)
            }
        }
    }

    /// Opens bytes and the tag behind them in place.
    pub(super) fn open<'a>(&self, nonce: Nonce, sealed: &'a mut [u8]) -> Result<&'a mut [u8], Forged> {
        match &self.0 {
            Library::AwsLc(key) => {
                let nonce = aws::Nonce::assume_unique_for_key(nonce);
                key.open_in_place(nonce, aws::Aad::empty(), sealed).map_err(|_| Forged)
            }
            Library::Ring(key) => {
                let nonce = ring::Nonce::assume_unique_for_key(nonce);
                key.open_in_place(nonce, ring::Aad::empty(), sealed).map_err(|_| Forged)
            }
        }
    }

    /// Opens bytes and the tag behind them into `plain`, which has room for exactly these bytes. What is in either
    /// afterwards means nothing if they were forged.
    pub(super) fn open_into(&self, nonce: Nonce, sealed: &mut [u8], plain: &mut [u8]) -> Result<(), Forged> {
        match &self.0 {
            Library::AwsLc(key) => {
                let (sealed, tag) = sealed.split_at(plain.len());
                let nonce = aws::Nonce::assume_unique_for_key(nonce);
                key.open_separate_gather(nonce, aws::Aad::empty(), sealed, tag, plain).map_err(|_| Forged)
            }
            // It only works in place; a copy of what is in the core's cache costs a fifth of the opening.
            Library::Ring(_) => {
                plain.copy_from_slice(self.open(nonce, sealed)?);
                Ok(())
            }
        }
    }
}

/// Whether the processor has what only `ring` uses, and not what only `aws-lc-rs` does.
fn is_ring_faster() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        has!("vaes") && has!("vpclmulqdq") && has!("avx2") && !has!("avx512bw")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let library = match &self.0 {
            Library::AwsLc(_) => "aws-lc-rs",
            Library::Ring(_) => "ring",
        };
        f.debug_tuple("Cipher").field(&library).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; KEY_LEN] = [3; KEY_LEN];
    const NONCE: Nonce = [5; NONCE_LEN];

    fn sealed(cipher: &Cipher, plain: &[u8]) -> Vec<u8> {
        let mut bytes = plain.to_vec();
        let tag = cipher.seal(NONCE, &mut bytes);
        [bytes.as_slice(), &tag].concat()
    }

    #[test]
    fn either_opens_what_the_other_sealed() {
        let (aws, ring) = (Cipher::of_aws_lc(&KEY), Cipher::of_ring(&KEY));
        let plain: Vec<u8> = (0..=255).cycle().take(65_519).collect();
        // One block more or less is where each has its special cases.
        for len in (0..300).chain([511, 4_096, 65_519]) {
            let plain = &plain[..len];
            for (from, to) in [(&aws, &ring), (&ring, &aws)] {
                let bytes = sealed(from, plain);
                assert_eq!(to.open(NONCE, &mut bytes.clone()).unwrap(), plain);
                let mut place = vec![0; len];
                to.open_into(NONCE, &mut bytes.clone(), &mut place).unwrap();
                assert_eq!(place, plain);
            }
        }
    }

    #[test]
    fn what_was_changed_is_refused() {
        for cipher in [Cipher::of_aws_lc(&KEY), Cipher::of_ring(&KEY)] {
            let good = sealed(&cipher, b"one");
            for at in 0..good.len() {
                let mut bytes = good.clone();
                bytes[at] ^= 1;
                assert!(cipher.open(NONCE, &mut bytes.clone()).is_err());
                assert!(cipher.open_into(NONCE, &mut bytes, &mut [0; 3]).is_err());
            }
            assert!(cipher.open([6; NONCE_LEN], &mut good.clone()).is_err(), "another nonce");
        }
    }
}
