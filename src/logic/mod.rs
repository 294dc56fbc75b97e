//! The machines that decide.
//!
//! A machine is a plain value with one way in:
//!
//! ```text
//! /// Advances the machine by one input and appends what must now be done.
//! /// Total: it accepts every input in every state, and never blocks or fails.
//! pub fn step(&mut self, now: Moment, input: Input, orders: &mut Vec<Order>);
//!
//! /// When to call `step` with `Input::Tick` if nothing else happens first.
//! pub fn deadline(&self) -> Option<Moment>;
//! ```
//!
//! - Inputs are facts, in the past tense; orders are imperatives.
//! - Out-parameters instead of polling: there is no inner queue, hence no rule about draining it.
//! - A machine sees ids that are never reused; the actor keeps the handles. Late facts about an id that is
//!   gone are normal, and ignored.
//! - A machine never logs, and draws from its own generator, seeded by its maker: the same inputs give the
//!   same orders. The actor logs each input and each order in one place.
//! - `check_invariants` recounts everything from scratch; debug builds do so after each step.
//!
//! Where every input has exactly one consequence, it is the return value instead of an order: the
//! [`registry`] owes each announce one reply, and the type says so.
//!
//! No machine knows clocks, files, sockets, threads, channels or the order of a hash map.

pub mod addresses;
pub mod asked;
pub mod backoff;
pub mod bucket;
pub mod catalogue;
pub mod classic;
pub mod company;
pub mod deadlines;
pub mod giving;
pub mod named;
pub mod pace;
pub mod picker;
pub mod ration;
pub mod registry;
pub mod remembered;
pub mod reports;
pub mod serving;
pub mod session;
pub mod suspects;
pub mod swarm;
pub mod sync;
pub mod turns;
pub mod window;
