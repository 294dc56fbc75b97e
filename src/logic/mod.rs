//! The machines: every decision, and nothing else.
//!
//! A machine is a plain value that takes `(now, input)` and appends orders:
//!
//! ```text
//! fn step(&mut self, now: Moment, input: Input, orders: &mut Vec<Order>)
//! ```
//!
//! It accepts every input in every state; it never blocks, fails or logs, and never looks at a clock, file,
//! socket or thread.
//! Inputs are facts in the past tense, orders are imperatives.
//! Randomness comes from a seed that the constructor takes, so a run can be repeated.
//! `check_invariants` recounts a machine from scratch; debug builds call it after every step.

pub mod addresses;
pub mod backoff;
pub mod bucket;
pub mod giving;
pub mod picker;
pub mod session;
pub mod swarm;
pub mod window;
