//! `NAME` and `NAME@DIGITS`: how compositions are named, and how those of one name are told apart.

use crate::digest::{DIGEST_LEN, Digest};
use crate::text::folded;
use crate::wire::catalogue::{Listed, Wanted};

/// How many digits are shown; more where so many do not tell two apart.
const DIGITS_SHOWN: usize = 8;
/// Fewer digits are taken for a part of the name.
const DIGITS_MIN: usize = 4;
const DIGITS_MAX: usize = 2 * DIGEST_LEN;

/// What this text may name, likeliest first: `NAME@DIGITS` is asked for as that, and only then as a name with an `@` in it,
/// so that nobody can publish something under the name that others type to be sure.
#[must_use]
pub fn readings(text: &str) -> Vec<Wanted> {
    let digits_of = |digits: &str| {
        let are_digits = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        are_digits && (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len())
    };
    let plain = Wanted { name: text.to_owned(), digits: String::new() };
    match text.rsplit_once('@') {
        Some((name, digits)) if !name.is_empty() && digits_of(digits) => {
            vec![Wanted { name: name.to_owned(), digits: digits.to_ascii_lowercase() }, plain]
        }
        _ => vec![plain],
    }
}

/// How a composition is named to users where others have its name: `NAME@2953289a`, with more digits if one of the others
/// begins with the same. The name is as it came, not escaped.
#[must_use]
pub fn told_apart(listed: &Listed, others: &[Listed]) -> String {
    let own = Digest::from_bytes(listed.composition.digest).to_string();
    let shared = others
        .iter()
        .filter(|other| other.composition.digest != listed.composition.digest)
        .map(|other| {
            let other = Digest::from_bytes(other.composition.digest).to_string();
            own.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count()
        })
        .max();
    let digits = DIGITS_SHOWN.max(shared.map_or(0, |shared| shared + 1)).min(DIGITS_MAX);
    format!("{}@{}", listed.composition.name, &own[..digits])
}

/// Whether both are one name, whatever their letters' case and however these were put together.
#[must_use]
pub fn is_same_name(a: &str, b: &str) -> bool {
    a == b || folded(a) == folded(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::catalogue::Composition;

    fn read(text: &str) -> Vec<(String, String)> {
        readings(text).into_iter().map(|wanted| (wanted.name, wanted.digits)).collect()
    }

    #[test]
    fn digits_behind_the_last_at_sign_tell_apart() {
        let pair = |name: &str, digits: &str| (name.to_owned(), digits.to_owned());
        assert_eq!(read("song.mp3"), [pair("song.mp3", "")]);
        assert_eq!(read("song@2953289A"), [pair("song", "2953289a"), pair("song@2953289A", "")]);
        assert_eq!(read("a@b@2953"), [pair("a@b", "2953"), pair("a@b@2953", "")]);
        for name in
            ["me@home", "me@abc", "@2953289a", "song@", "song@2953 ", &format!("x@{}", "a".repeat(41))]
        {
            assert_eq!(read(name), [pair(name, "")]);
        }
    }

    #[test]
    fn as_many_digits_are_shown_as_are_needed() {
        let listed = |digest: [u8; DIGEST_LEN]| Listed {
            composition: Composition { name: "song".to_owned(), digest, size: 1, part_len: 1 },
            publisher: "ada".to_owned(),
            published: 0,
            complete: 0,
            getting: 0,
        };
        let mut twin = [0x29; DIGEST_LEN];
        twin[5] = 0x28;
        let (a, b, c) = (listed([0x29; DIGEST_LEN]), listed(twin), listed([0x31; DIGEST_LEN]));
        assert_eq!(told_apart(&a, &[a.clone(), c.clone()]), "song@29292929");
        assert_eq!(told_apart(&a, &[a.clone(), b.clone(), c.clone()]), "song@292929292929");
        assert_eq!(told_apart(&b, std::slice::from_ref(&a)), "song@292929292928");
        // What is shown leads to the one that is meant, and to no other.
        assert_eq!(readings(&told_apart(&b, &[a, c]))[0].digits, "292929292928");
    }

    #[test]
    fn names_are_the_same_however_they_are_typed() {
        assert!(is_same_name("Café", "cafe\u{301}"));
        assert!(!is_same_name("cafe", "café"));
    }
}
