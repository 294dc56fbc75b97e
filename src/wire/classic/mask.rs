//! Sets of parts as the classic protocol writes them: one decimal integer.
//!
//! Bit `i`, from 0, is part `i`, and one more bit above the last part is always set.

use num_bigint::BigUint;

use super::LineError;
use crate::part::Layout;
use crate::part_set::PartSet;

/// A set as it is written. Making parts of it may cost a quarter of a second, so that is done only of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask(
    /// Invariant: ASCII digits, the first of them not 0, at most [`digits_max`].
    Vec<u8>,
);

impl Mask {
    /// How this set is written.
    #[must_use]
    pub fn of(set: &PartSet) -> Mask {
        Mask(render(set).into_bytes())
    }

    /// The line, if it is one integer of a size that a set of this composition's parts may have.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn check(layout: Layout, line: Vec<u8>) -> Result<Mask, LineError> {
        let is_plain = line.len() <= digits_max(layout.parts())
            && line.first().is_some_and(|&first| first != b'0')
            && line.iter().all(u8::is_ascii_digit);
        if is_plain { Ok(Mask(line)) } else { Err(LineError::Mask) }
    }

    /// The set that it stands for.
    ///
    /// # Errors
    /// It is not a set of this composition's parts.
    pub fn read(&self, layout: Layout) -> Result<PartSet, LineError> {
        // What could be too long for this composition is not even begun.
        let digits = Some(&self.0).filter(|digits| digits.len() <= digits_max(layout.parts()));
        let number = digits.and_then(|digits| BigUint::parse_bytes(digits, 10)).ok_or(LineError::Mask)?;
        set_of(layout, number)
    }

    /// How many digits it has: never none.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// The line, without its end.
    pub(super) fn digits(&self) -> &str {
        std::str::from_utf8(&self.0).expect("they are ASCII digits")
    }
}

/// The most digits that the set of a composition with so many parts has: those of a number of one bit more, by a
/// logarithm that is a little too large.
#[must_use]
pub const fn digits_max(parts: u32) -> usize {
    (parts as usize + 1) * 146 / 485 + 1
}

/// The set as an integer.
fn render(set: &PartSet) -> String {
    let mut number = BigUint::from_bytes_le(&set.to_bytes());
    number.set_bit(set.layout().parts().into(), true);
    number.to_string()
}

/// The set that this integer stands for.
fn set_of(layout: Layout, mut number: BigUint) -> Result<PartSet, LineError> {
    let parts = u64::from(layout.parts());
    if number.bits() != parts + 1 {
        return Err(LineError::Mask);
    }
    number.set_bit(parts, false);
    let mut bytes = number.to_bytes_le();
    bytes.resize((layout.parts() as usize).div_ceil(8), 0);
    PartSet::from_bytes(layout, &bytes).ok_or(LineError::Mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PARTS_MAX;
    use proptest::prelude::*;

    fn layout(parts: u64) -> Layout {
        Layout::new(parts, 1).unwrap()
    }

    fn parse(layout: Layout, line: &[u8]) -> Result<PartSet, LineError> {
        Mask::check(layout, line.to_vec())?.read(layout)
    }

    fn set(parts: u64, held: &[u32]) -> PartSet {
        let mut set = PartSet::empty(layout(parts));
        for &index in held {
            set.insert(layout(parts).part(index).unwrap());
        }
        set
    }

    #[test]
    fn the_examples_of_the_description() {
        for (set, text) in [
            (PartSet::full(layout(9)), "1023"),
            (set(9, &[0, 2]), "517"),
            (set(8, &[0, 2, 5]), "293"),
            (PartSet::empty(layout(0)), "1"),
            (PartSet::empty(layout(1)), "2"),
            (PartSet::full(layout(1)), "3"),
        ] {
            assert_eq!(render(&set), text);
            assert_eq!(parse(set.layout(), text.as_bytes()), Ok(set), "{text}");
        }
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in
            ["", "0", "511", "1024", "2047", "-517", "+517", " 517", "517 ", "5_17", "0517", "0x205", "517.0"]
        {
            assert_eq!(parse(layout(9), text.as_bytes()), Err(LineError::Mask), "{text:?}");
        }
    }

    #[test]
    fn the_largest_set_has_its_digits() {
        for parts in [0, 1, 2, 3, 9, 100, 14_280, PARTS_MAX] {
            let largest = render(&PartSet::full(layout(parts.into())));
            assert!(largest.len() <= digits_max(parts) && digits_max(parts) <= largest.len() + 1, "{parts}");
        }
        assert_eq!(render(&PartSet::full(layout(14_280))).len(), 4_300);
        let full = PartSet::full(layout(PARTS_MAX.into()));
        assert_eq!(parse(full.layout(), render(&full).as_bytes()), Ok(full));
    }

    #[test]
    fn what_is_too_long_for_a_composition_is_not_read() {
        let long = Mask::of(&PartSet::full(layout(1_000)));
        assert_eq!(long.read(layout(9)), Err(LineError::Mask));
        assert_eq!(Mask::of(&set(9, &[0, 2])).read(layout(8)), Err(LineError::Mask));
    }

    proptest! {
        #[test]
        fn sets_survive_the_way(parts in 0u64..300, seed in any::<u64>()) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut set = PartSet::empty(layout(parts));
            for part in layout(parts).all().filter(|_| rng.bool()) {
                set.insert(part);
            }
            prop_assert_eq!(parse(layout(parts), render(&set).as_bytes()), Ok(set));
        }

        #[test]
        fn any_digits_are_a_set_or_none(parts in 0u64..40, text in "[0-9]{0,14}") {
            if let Ok(set) = parse(layout(parts), text.as_bytes()) {
                prop_assert_eq!(render(&set), text);
            }
        }
    }
}
