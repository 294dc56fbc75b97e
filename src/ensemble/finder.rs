//! Finds other members: those that the user named, those that a conductor knows, and where they were found before.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::keeper::Event;
use crate::address::HostPort;
use crate::host::thread::{self, Thread};
use crate::host::{HostError, clock, dial};
use crate::key::EnsembleKey;
use crate::limits::{
    ANNOUNCE_INTERVAL_MAX, ANNOUNCE_INTERVAL_MIN, ANNOUNCE_RETRY_MAX, ANNOUNCE_RETRY_MIN, DESK_TIMEOUT,
    LEAVE_GRACE, POLL_INTERVAL, REMEMBERED_TEXT_LEN_MAX, RESOLVE_INTERVAL,
};
use crate::logic::addresses::Source;
use crate::logic::remembered::Remembered;
use crate::stream::desk;
use crate::text::chain;
use crate::wire::desk::{Announce, Event as About, Greeted};

/// The file in [`OWN_FOLDER`](crate::entry::path::OWN_FOLDER) with the addresses at which members were reached.
const MEMBERS_FILE: &str = "members";

/// Where members were reached in earlier runs. Without that others are found as at the first time.
pub(super) fn remembered(context: &Context) -> Remembered {
    let text = context.root.read_own(MEMBERS_FILE, REMEMBERED_TEXT_LEN_MAX).unwrap_or_else(|error| {
        log::warn!("{}", chain(&error));
        None
    });
    Remembered::parse(&String::from_utf8_lossy(&text.unwrap_or_default()), clock::wall())
}

/// Writes that down: what the thread `memory` does.
pub(super) fn remember(context: &Context, text: &str) -> Event {
    if let Err(error) = context.root.write_own(MEMBERS_FILE, text.as_bytes()) {
        log::warn!("{}; at the next start others may have to be named again", chain(&error));
    }
    Event::Remembered
}

/// Starts to look wherever the user said.
pub(super) fn start(
    context: &Arc<Context>,
    key: &EnsembleKey,
    members: Vec<HostPort>,
    conductor: Option<HostPort>,
) -> Result<Vec<Thread>, HostError> {
    let mut threads = Vec::new();
    if !members.is_empty() {
        threads.push(context.spawn("resolver", move |context| resolve(context, &members))?);
    }
    if let Some(conductor) = conductor {
        let id = *key.id().as_bytes();
        threads.push(context.spawn("scout", move |context| announce(context, &conductor, id))?);
    }
    Ok(threads)
}

/// Names may come to mean other addresses.
fn resolve(context: &Context, members: &[HostPort]) {
    while !context.is_stopping() {
        for member in members {
            let found = dial::resolve(member.host(), member.port());
            let found = found.map_err(|error| format!("{}; check the name", chain(&error)));
            context.report(Event::Named(format!("--member {member}"), found));
        }
        thread::pause(RESOLVE_INTERVAL, POLL_INTERVAL, || context.is_stopping());
    }
}

fn announce(context: &Context, conductor: &HostPort, swarm: [u8; 32]) {
    let mut event = About::Started;
    let mut retry = ANNOUNCE_RETRY_MIN;
    // Nobody in an ensemble has everything for good: each is told of all.
    let words = |event| Announce { swarm, port: context.port, complete: false, left: 1, event };
    let tell_how_it_is = |how| context.report(Event::Named(format!("--conductor {conductor}"), how));
    while !context.is_stopping() {
        let pause =
            match desk::announce(conductor, words(event), None, DESK_TIMEOUT, || context.is_stopping()) {
                Ok(Ok(Greeted { roster, .. })) => {
                    event = About::Going;
                    retry = ANNOUNCE_RETRY_MIN;
                    tell_how_it_is(Ok(Vec::new()));
                    tell(context, roster.members, Source::Conductor);
                    let interval = Duration::from_millis(roster.interval_ms.into());
                    interval.clamp(ANNOUNCE_INTERVAL_MIN, ANNOUNCE_INTERVAL_MAX)
                }
                Ok(Err(refusal)) => {
                    tell_how_it_is(Err(format!("it refuses ({refusal:?})")));
                    retry = (retry * 2).min(ANNOUNCE_RETRY_MAX);
                    retry
                }
                Err(error) => {
                    if !context.is_stopping() {
                        tell_how_it_is(Err(format!("{}; is a conductor running there?", chain(&error))));
                    }
                    retry = (retry * 2).min(ANNOUNCE_RETRY_MAX);
                    retry
                }
            };
        thread::pause(pause, POLL_INTERVAL, || context.is_stopping());
    }
    if event == About::Going {
        // The conductor forgets us by itself if it does not hear this.
        drop(desk::announce(conductor, words(About::Left), None, LEAVE_GRACE, || false));
    }
}

fn tell(context: &Context, addresses: Vec<SocketAddr>, source: Source) {
    addresses.into_iter().for_each(|address| context.report(Event::Address(address, source)));
}
