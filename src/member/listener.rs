//! Accepts connections and hands them to the director.
//!
//! Owns the listening socket; waits on it, and on the director's inbox.

use std::net::TcpListener;
use std::sync::Arc;

use super::context::Context;
use super::director::Event;
use crate::host::thread::{self, Thread};
use crate::host::{HostError, dial};
use crate::limits::POLL_INTERVAL;

/// Starts to accept; ends when the member stops.
pub(super) fn start(context: &Arc<Context>, listener: TcpListener) -> Result<Thread, HostError> {
    context.spawn("listener", move |context| {
        while !context.is_stopping() {
            match dial::accept(&listener) {
                Ok(Some((stream, remote))) => context.report(Event::Knock(stream, remote)),
                Ok(None) => {}
                Err(error) => {
                    // No room for another socket: others may close some.
                    log::warn!("cannot accept a connection: {error}");
                    thread::pause(POLL_INTERVAL, POLL_INTERVAL, || context.is_stopping());
                }
            }
        }
    })
}
