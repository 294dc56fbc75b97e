//! `NAME` and `NAME@DIGITS`: how compositions are named, and how those of one name are told apart.

use crate::digest::Digest;
use crate::identity::SwarmId;
use crate::text::folded;
use crate::wire::catalogue::{Listed, Wanted};

/// How many digits are shown; more where so many do not tell two apart.
const DIGITS_SHOWN: usize = 8;
/// Fewer digits are taken for a part of the name.
const DIGITS_MIN: usize = 4;
/// A swarm id has so many.
const DIGITS_MAX: usize = 64;

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

/// How a composition is named to users where others have its name: `NAME@2953289a`, with more digits if the digest or the
/// swarm id of one of the others begins with the same. They are those of its digest, or of its swarm id where one of the
/// others claims the same digest. The name is as it came, not escaped.
#[must_use]
pub fn told_apart(listed: &Listed, others: &[Listed]) -> String {
    let others = others.iter().filter(|other| other.swarm != listed.swarm);
    let others: Vec<String> = others.flat_map(digits_of).collect();
    let shared = |own: &str| {
        let shared = |other: &String| own.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
        others.iter().map(shared).max().unwrap_or(0)
    };
    let [digest, swarm] = digits_of(listed);
    let own = if shared(&digest) < digest.len() { digest } else { swarm };
    let digits = DIGITS_SHOWN.max(shared(&own) + 1).min(own.len());
    format!("{}@{}", listed.composition.name, &own[..digits])
}

/// What a listing is found by, beside its name: the digits of its digest, and those of its swarm id.
fn digits_of(listed: &Listed) -> [String; 2] {
    [Digest::from_bytes(listed.composition.digest).to_string(), SwarmId::from_bytes(listed.swarm).digits()]
}

/// Whether this listing is one that was asked for, by name and digits.
pub(super) fn is_wanted(wanted: &Wanted, listed: &Listed) -> bool {
    let (digest, swarm) = (Digest::from_bytes(listed.composition.digest), SwarmId::from_bytes(listed.swarm));
    is_same_name(&wanted.name, &listed.composition.name) && leads_to(&wanted.digits, digest, swarm)
}

/// Whether these digits are the first ones of this digest or of this swarm id.
pub(super) fn leads_to(digits: &str, digest: Digest, swarm: SwarmId) -> bool {
    digest.to_string().starts_with(digits) || swarm.digits().starts_with(digits)
}

/// Whether both are one name, whatever their letters' case and however these were put together.
#[must_use]
pub fn is_same_name(a: &str, b: &str) -> bool {
    a == b || folded(a) == folded(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::DIGEST_LEN;
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
            ["me@home", "me@abc", "@2953289a", "song@", "song@2953 ", &format!("x@{}", "a".repeat(65))]
        {
            assert_eq!(read(name), [pair(name, "")]);
        }
    }

    fn listed(digest: [u8; DIGEST_LEN], swarm: [u8; 32]) -> Listed {
        Listed {
            composition: Composition { name: "song".to_owned(), digest, size: 1, part_len: 1 },
            swarm,
            publisher: "ada".to_owned(),
            published: 0,
            complete: 0,
            getting: 0,
        }
    }

    #[test]
    fn as_many_digits_are_shown_as_are_needed() {
        let mut twin = [0x29; DIGEST_LEN];
        twin[5] = 0x28;
        let (a, b) = (listed([0x29; DIGEST_LEN], [1; 32]), listed(twin, [2; 32]));
        let c = listed([0x31; DIGEST_LEN], [3; 32]);
        assert_eq!(told_apart(&a, &[a.clone(), c.clone()]), "song@29292929");
        assert_eq!(told_apart(&a, &[a.clone(), b.clone(), c.clone()]), "song@292929292929");
        assert_eq!(told_apart(&b, std::slice::from_ref(&a)), "song@292929292928");
        // What is shown leads to the one that is meant, and to no other.
        assert_eq!(readings(&told_apart(&b, &[a, c]))[0].digits, "292929292928");
    }

    #[test]
    fn who_claims_the_digest_or_the_digits_of_another_is_told_from_it() {
        let digest = [0x29; DIGEST_LEN];
        let mut near = [0x51; 32];
        near[31] = 0x50;
        let (a, b) = (listed(digest, [0x51; 32]), listed(digest, [0x52; 32]));
        // One whose swarm id begins as that of the first one, and one whose digest does.
        let (c, d) = (listed(digest, near), listed([0x51; DIGEST_LEN], [0x53; 32]));
        // One whose swarm id begins as the digest of the first one.
        let e = listed([0x31; DIGEST_LEN], [0x29; 32]);
        assert_eq!(told_apart(&a, std::slice::from_ref(&b)), "song@51515151");
        let all = [a, b, c, d, e];
        for one in &all {
            let called = told_apart(one, &all);
            let [wanted, _] = readings(&called).try_into().unwrap();
            let found: Vec<&Listed> = all.iter().filter(|listed| is_wanted(&wanted, listed)).collect();
            assert_eq!(found, [one], "{called}");
        }
    }

    #[test]
    fn names_are_the_same_however_they_are_typed() {
        assert!(is_same_name("Café", "cafe\u{301}"));
        assert!(!is_same_name("cafe", "café"));
    }
}
