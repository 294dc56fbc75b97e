//! Members among enemies: strangers without the key, and holders of the key who lie, flood, stall and steal.
//!
//! The member is the real program. Beside every attack an honest transfer runs and must come out right; no
//! thread of the program may panic, its memory stays bounded, and every link that ends leaves no thread.

#![expect(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

mod givers;
mod peer;
mod program;
mod rude;
mod strangers;
mod takers;
mod traitors;
mod wire;
