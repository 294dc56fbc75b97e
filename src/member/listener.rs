//! Accepts connections and hands them to the director.
//!
//! Owns the listening socket; waits on it, and on the director's inbox.

use std::net::TcpListener;
use std::sync::Arc;

use super::context::Context;
use super::director::Event;
use crate::host::HostError;
use crate::host::thread::Thread;
use crate::stream::listener::accept;

/// Starts to accept; ends when the member stops.
pub(super) fn start(context: &Arc<Context>, listener: TcpListener) -> Result<Thread, HostError> {
    context.spawn("listener", move |context| {
        let knock = |stream, remote| context.report(Event::Knock(stream, remote));
        accept(&listener, || context.is_stopping(), knock);
    })
}
