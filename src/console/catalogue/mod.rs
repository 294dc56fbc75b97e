//! What a catalogue says, as people read it and as programs do.

mod json;
#[cfg(test)]
mod tests;
mod text;

use crate::catalogue::{Listed, Published};

pub use self::json::{
    details_json, entered_json, listing_json, logged_out_json, manifest_json, news_json, published_json,
    renewed_json, several_json, unpublished_json,
};
pub use self::text::{details_text, entered_text, listing_text, news_text, published_text};

/// A composition that was published.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// By whom.
    pub account: &'a str,
    /// What the catalogue said.
    pub published: &'a Published,
    /// Which of its namesakes it took the place of.
    pub replaced: &'a [Listed],
}

/// How many listings a page has unless another number is asked for.
pub const PER_PAGE: u32 = 50;

/// Which page of a list was asked for, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// What the names contain.
    pub text: &'a str,
    /// Which page, from 1.
    pub page: u32,
    /// How many listings a page has.
    pub limit: u32,
}

impl Asked<'_> {
    /// How many listings come before the page.
    #[must_use]
    pub fn skip(&self) -> u64 {
        u64::from(self.page.saturating_sub(1)) * u64::from(self.limit)
    }
}
