//! A deterministic world for the machines: virtual clock, network and disk, and one seed for everything.
//!
//! Whole swarms run here as in earnest: the machines of [`logic`](crate::logic) decide, the frames of
//! [`wire`](crate::wire) travel, and only what acts (threads, sockets, files) is made up.
//! In the first part of a run anything may break, and nothing may be wrong, which is looked at after every step.
//! Then the faults stop, and everybody must finish in time.
//! The same seed gives the same run, down to the last line of its trace.
//!
//! - [`plan`]: what a seed draws;
//! - [`world`]: members, conductor and network in one order of events;
//! - `net`, `disk`, `conductor`, `member`: what they are made of;
//! - `traffic`: connections, and what travels on them;
//! - `faults`: what goes wrong;
//! - [`harm`]: how often it really did;
//! - [`efficiency`]: how fast a swarm could be at best;
//! - `ground`, `queue`, `trace`: what all of them stand on.
//!
//! Nothing here knows the time of day, a file, a socket or a thread.

mod conductor;
mod disk;
pub mod efficiency;
mod faults;
pub mod folders;
mod ground;
pub mod harm;
mod member;
mod net;
pub mod plan;
mod queue;
mod trace;
mod traffic;
pub mod world;

pub use self::ground::Stopwatch;
pub use self::harm::{Harm, Harms};
pub use self::plan::Plan;
pub use self::trace::Detail;
pub use self::world::{Report, World};

/// Runs a plan.
#[must_use]
pub fn run(plan: Plan) -> Report {
    World::new(plan).run()
}
