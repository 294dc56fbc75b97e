//! What the fuzz targets do with bytes, as plain functions: `tests/fuzz.rs` calls them as well, without the
//! nightly compiler.
//!
//! Each panics if a promise is broken; that nothing else panics is the first promise.

pub mod catalogue;
pub mod classic;
pub mod ensemble;
pub mod gather;
pub mod messages;
pub mod registry;
pub mod script;
pub mod seal;
pub mod swarm;

/// What is done with the bytes of one input.
pub type Body = fn(&[u8]);

/// Every target by its name, which is also the name of its folder in `corpus/`.
pub const TARGETS: [(&str, Body); 13] = [
    ("manifest", messages::manifest),
    ("frames", messages::frames),
    ("member_messages", messages::member_messages),
    ("desk_messages", messages::desk_messages),
    ("seal", seal::seal),
    ("session", messages::session),
    ("swarm", swarm::swarm),
    ("registry", registry::registry),
    ("ensemble", ensemble::ensemble),
    ("gather", gather::gather),
    ("classic_messages", classic::messages),
    ("classic_link", classic::link),
    ("catalogue", catalogue::connection),
];
