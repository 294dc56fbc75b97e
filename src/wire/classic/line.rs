//! Lines that end in `\r\n`, put together from slices that end anywhere.

use super::{CRLF, LineError};

/// See the module.
#[derive(Debug, Default)]
pub struct Lines {
    /// The line in the making, as far as it came. Invariant: at most one byte longer than it may be, and that one is the
    /// first of its end.
    partial: Vec<u8>,
}

impl Lines {
    /// Takes one line from the front of `input`, without its end, or all of `input` if the line is not whole yet.
    ///
    /// # Errors
    /// The line has more than `max` bytes; no more of it is kept. The stream cannot be read any further.
    pub fn next(&mut self, input: &mut &[u8], max: usize) -> Result<Option<Vec<u8>>, LineError> {
        if self.partial.last() == Some(&CRLF[0]) && input.first() == Some(&CRLF[1]) {
            *input = &input[1..];
            self.partial.pop();
            return Ok(Some(std::mem::take(&mut self.partial)));
        }
        // What lies beyond is not looked at: it cannot belong to a line of this length.
        let room = (max + CRLF.len()).saturating_sub(self.partial.len()).min(input.len());
        let end = input[..room].windows(CRLF.len()).position(|pair| pair == CRLF);
        self.partial.extend_from_slice(&input[..end.unwrap_or(room)]);
        if end.is_none() {
            let ends = usize::from(self.partial.last() == Some(&CRLF[0]));
            if self.partial.len() > max + ends {
                self.partial = Vec::new();
                return Err(LineError::TooLong { max });
            }
        }
        *input = &input[end.map_or(room, |end| end + CRLF.len())..];
        Ok(end.map(|_| std::mem::take(&mut self.partial)))
    }

    /// Whether no line has begun.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.partial.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All lines of at most `max` bytes, taken in slices of `step`, and whether the stream was one of lines.
    fn lines(bytes: &[u8], max: usize, step: usize) -> (Vec<Vec<u8>>, bool) {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for mut input in bytes.chunks(step) {
            while !input.is_empty() {
                match lines.next(&mut input, max) {
                    Ok(Some(line)) => found.push(line),
                    Ok(None) => assert!(input.is_empty()),
                    Err(_) => return (found, false),
                }
                assert!(lines.partial.len() <= max + 1);
            }
        }
        (found, true)
    }

    #[test]
    fn only_both_together_end_a_line() {
        for step in 1..8 {
            let (found, whole) = lines(b"a\rb\nc\n\r\r\n\r\n\r\r\nrest", 7, step);
            assert_eq!(found, [&b"a\rb\nc\n\r"[..], b"", b"\r"], "cut every {step}");
            assert!(whole);
        }
    }

    #[test]
    fn a_line_may_be_as_long_as_it_may_be() {
        for step in 1..9 {
            assert_eq!(lines(b"12345\r\n1234\r\n", 5, step).0.len(), 2);
            assert_eq!(lines(b"123456\r\n", 5, step), (vec![], false));
            assert_eq!(lines(b"12345\r1\r\n", 5, step), (vec![], false));
            assert_eq!(lines(b"\r\n\r\n", 0, step).0.len(), 2);
        }
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_cut(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a')], 0..60),
            max in 0usize..9, step in 1usize..9,
        ) {
            let whole = lines(&bytes, max, bytes.len().max(1));
            prop_assert_eq!(lines(&bytes, max, step), whole);
        }
    }
}
