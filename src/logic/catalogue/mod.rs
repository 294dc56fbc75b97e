//! What a conductor with a catalogue decides: who may try a password or a new name, whose word counts and how often, and who is the best source.
//!
//! It does not know the database.

pub mod attempts;
pub mod counts;
mod pauses;
pub mod registrations;
pub mod reporters;
pub mod score;
pub mod sessions;
pub mod standing;
