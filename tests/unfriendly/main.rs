//! An ensemble among enemies: strangers without the key, and holders of the key who lie, flood, stall and steal.
//!
//! The member is the library's, with real sockets and a real folder. After every attack it must still keep its folder
//! alike with that of an honest one, and nothing outside of the folder may have changed.

#![expect(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

mod faults;
mod floods;
mod home;
mod liars;
mod peer;
mod stalls;
mod strangers;
mod versions;
