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
    /// The line has more than `max` bytes; no more of it is kept. The stream can be read further only after
    /// [`skip`](Lines::skip).
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
        *input = &input[end.map_or(room, |end| end + CRLF.len())..];
        if end.is_none() {
            let ends = usize::from(self.partial.last() == Some(&CRLF[0]));
            if self.partial.len() > max + ends {
                self.partial = CRLF[..ends].to_vec();
                return Err(LineError::TooLong { max });
            }
        }
        Ok(end.map(|_| std::mem::take(&mut self.partial)))
    }

    /// Takes what is left of a line that was too long, with its end, or all of `input` if that is not in it; says whether
    /// the end has come.
    pub fn skip(&mut self, input: &mut &[u8]) -> bool {
        let is_halfway = self.partial == [CRLF[0]];
        if is_halfway && input.first() == Some(&CRLF[1]) {
            *input = &input[1..];
            self.partial.clear();
            return true;
        }
        let end = input.windows(CRLF.len()).position(|pair| pair == CRLF);
        if let Some(&last) = input.last() {
            let is_halfway = end.is_none() && last == CRLF[0];
            self.partial = CRLF[..usize::from(is_halfway)].to_vec();
        }
        *input = &input[end.map_or(input.len(), |end| end + CRLF.len())..];
        end.is_some()
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

    /// All lines; of those that are too long, nothing.
    fn short_lines(bytes: &[u8], max: usize, step: usize) -> Vec<Option<Vec<u8>>> {
        let (mut lines, mut found, mut skips) = (Lines::default(), Vec::new(), false);
        for mut input in bytes.chunks(step) {
            while !input.is_empty() {
                if skips {
                    if lines.skip(&mut input) {
                        found.push(None);
                        skips = false;
                    }
                    continue;
                }
                match lines.next(&mut input, max) {
                    Ok(line) => found.extend(line.map(Some)),
                    Err(_) => skips = true,
                }
                assert!(lines.partial.len() <= max + 1);
            }
        }
        found
    }

    #[test]
    fn a_line_that_is_too_long_can_be_skipped() {
        let bytes = b"12345\r\n1234567\r\nab\r123456\r\r\n\r\n123456\r\n1234567";
        for step in 1..40 {
            let found = short_lines(bytes, 5, step);
            assert_eq!(found, [Some(b"12345".to_vec()), None, None, Some(vec![]), None], "cut every {step}");
        }
    }

    proptest! {
        /// As if the lines had been cut where they end.
        #[test]
        fn skipping_loses_no_other_line(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a')], 0..60),
            max in 0usize..9, step in 1usize..9,
        ) {
            let mut expected = Vec::new();
            let mut rest = bytes.as_slice();
            while let Some(end) = rest.windows(2).position(|pair| pair == CRLF) {
                expected.push((end <= max).then(|| rest[..end].to_vec()));
                rest = &rest[end + 2..];
            }
            prop_assert_eq!(short_lines(&bytes, max, step), expected);
        }

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
