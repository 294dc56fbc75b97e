//! The machines of the classic protocol.
//!
//! - [`session`]: what one message on one link means, and whether it may come;
//! - [`duties`]: what a link says next: our questions, one at a time, and the answers to those of the other side;
//! - [`doubt`]: whether a conductor is asked in our dialect as well;
//! - [`dialects`]: in which of the two dialects an address is dialled;
//! - [`sets`]: how often sets of parts are read and told, because that costs much;
//! - [`sample`]: a few of many addresses that a conductor tells;
//! - [`complaints`]: whom a conductor does not hand out because others complained.
//!
//! A classic link makes the same facts as any other and takes the same orders, so the swarm does not know that there is
//! another dialect.

pub mod complaints;
pub mod dialects;
pub mod doubt;
pub mod duties;
pub mod sample;
pub mod session;
pub mod sets;
