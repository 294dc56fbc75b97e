//! What a conductor with a catalogue decides: who may try a password or a new name, whose word counts and how often, who
//! is the best source, what the database does next, and which connection gives way.
//!
//! It does not know the database.

pub mod attempts;
pub mod counts;
mod pauses;
pub mod places;
pub mod registrations;
pub mod reporters;
pub mod score;
pub mod sessions;
pub mod standing;
pub mod turns;
