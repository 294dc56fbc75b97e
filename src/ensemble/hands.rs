//! Threads that do one order after the other for the keeper.

use std::sync::Arc;

use crossbeam_channel::Sender;

use super::context::Context;
use super::keeper::Event;
use crate::host::HostError;
use crate::host::thread::Thread;

/// A thread that takes orders. The keeper has at most one under way at each, so that sending never waits.
#[derive(Debug)]
pub(super) struct Hand<Order> {
    orders: Sender<Order>,
    busy: bool,
}

impl<Order: Send + 'static> Hand<Order> {
    /// Starts the thread; what it yields of an order goes to the keeper.
    pub(super) fn start(
        context: &Arc<Context>,
        name: &str,
        mut work: impl FnMut(&Context, Order) -> Event + Send + 'static,
    ) -> Result<(Hand<Order>, Thread), HostError> {
        let (orders, queue) = crossbeam_channel::bounded(1);
        let thread = context.spawn(name, move |context| {
            for order in queue {
                let event = work(context, order);
                context.report(event);
            }
        })?;
        Ok((Hand { orders, busy: false }, thread))
    }

    /// Whether an order is under way.
    pub(super) const fn is_busy(&self) -> bool {
        self.busy
    }

    /// Gives an order to a thread that has none.
    pub(super) fn order(&mut self, order: Order) {
        assert!(!self.busy, "one order at a time");
        self.busy = true;
        // A thread that is gone has panicked, and the keeper heard of it.
        drop(self.orders.try_send(order));
    }

    /// The last order is done.
    pub(super) const fn done(&mut self) {
        self.busy = false;
    }
}
