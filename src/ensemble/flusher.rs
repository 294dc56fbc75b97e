//! Brings to the disk what is on its way, while more of it comes.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use super::context::Context;
use crate::host::HostError;
use crate::host::folder::temp::Temp;
use crate::host::thread::Thread;

/// Whoever writes tells what is due.
#[derive(Debug)]
pub(super) struct Flusher(Sender<Arc<Temp>>);

/// What the flusher's thread hears.
pub(super) type Due = Receiver<Arc<Temp>>;

impl Flusher {
    pub(super) fn new() -> (Flusher, Due) {
        let (sender, due) = crossbeam_channel::bounded(1);
        (Flusher(sender), due)
    }

    /// Something was written to this one.
    pub(super) fn wrote(&self, temp: &Arc<Temp>) {
        if temp.is_flush_due() {
            // If it has enough to do, the next one is soon due.
            let _busy = self.0.try_send(Arc::clone(temp));
        }
    }
}

/// Starts the thread.
pub(super) fn start(context: &Arc<Context>, due: Due) -> Result<Thread, HostError> {
    context.spawn("flusher", move |context| {
        while !context.is_stopping() {
            if let Ok(temp) = due.recv_timeout(crate::limits::POLL_INTERVAL) {
                temp.flush();
            }
        }
    })
}
