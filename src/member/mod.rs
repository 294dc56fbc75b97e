//! A member: gets a composition from all other members and shares it on.

pub mod progress;
