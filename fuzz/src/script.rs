//! Decisions out of bytes, so that every input means something and a small change of it a small change of what
//! happens.

/// Bytes that are read as decisions. When none are left, every decision is 0.
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// The decisions that these bytes make.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Script<'a> {
        Script(bytes)
    }

    /// Whether nothing is left to decide.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    /// A number below `bound`, or 0 if there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()).checked_rem(bound).unwrap_or(0)
    }

    /// One of these.
    pub fn among<'b, T>(&mut self, choices: &'b [T]) -> Option<&'b T> {
        let at = self.below(choices.len());
        choices.get(at)
    }

    /// At most so many bytes, as they are.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
