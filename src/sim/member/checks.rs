//! What an onlooker sees that must not be: it follows inputs and orders, and believes no machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use super::link::{Mirror, Watched};
use super::{Content, Ground, LinkId, Member, Order, Vice, Work};
use crate::limits::{LANDING_RATE_MIN, LINKS_MAX, RUN_BYTES_U32, TICK_INTERVAL, WINDOW_BYTES_MAX};
use crate::part::{PartIndex, Run};
use crate::part_set::PartSet;
use crate::time::Moment;

/// In so much time a part that hardly comes must be asked of a link that has nothing to do.
const VIGIL: Duration = Duration::from_secs(90);
/// Between two looks of somebody who is awake.
const AWAKE: Duration = TICK_INTERVAL.saturating_mul(4);

/// What an onlooker watches for a while.
#[derive(Debug)]
pub(super) struct Vigil {
    since: Moment,
    looked: Moment,
    /// The links that were asked for something, the bytes that they had brought, and what they have been asked for since.
    asked: Vec<(LinkId, u64, BTreeSet<PartIndex>)>,
    /// The links that were asked for nothing since, and what they held.
    idle: BTreeMap<LinkId, PartSet>,
}

impl Member {
    /// Looks at one step of the swarm and the orders that it gave.
    pub(super) fn check_step(&mut self, ground: &mut Ground, orders: &[Order]) {
        self.swarm.check_invariants(orders);
        for order in orders {
            match *order {
                Order::Want(id, run) => self.check_want(ground, id, run),
                Order::Cancel(id, run) => {
                    if let Some(mirror) = self.mirror(id) {
                        for part in run.parts() {
                            if let Some(asked) = mirror.asked.get_mut(&part) {
                                asked.cancelled = true;
                            }
                        }
                    }
                }
                Order::Close(id, _) => {
                    if let Some(mirror) = self.mirror(id) {
                        mirror.asked.clear();
                        mirror.claimed = None;
                    }
                }
                _ => {}
            }
        }
        self.check_held(ground);
    }

    /// What was asked over a link, also over one that has ended and of whose end the swarm has not heard yet.
    pub(super) fn mirror(&mut self, id: LinkId) -> Option<&mut Mirror> {
        let ended = self.works.iter_mut().find_map(|work| match work {
            Work::Ended { id: ended, mirror, .. } if *ended == id => Some(mirror),
            _ => None,
        });
        ended.or_else(|| {
            self.links.get_mut(&id).filter(|link| link.tag.is_some()).map(|link| &mut link.mirror)
        })
    }

    /// These parts were answered.
    pub(super) fn answered(&mut self, id: LinkId, run: Run) {
        if let Some(mirror) = self.mirror(id) {
            run.parts().for_each(|part| {
                mirror.asked.remove(&part);
            });
        }
        let watched = self.vigil.iter_mut().flat_map(|vigil| &mut vigil.asked);
        for (_, _, parts) in watched.filter(|(asked, ..)| *asked == id) {
            parts.retain(|&part| !run.contains(part));
        }
    }

    /// The bytes of these parts come next.
    pub(super) fn coming(&mut self, id: LinkId, run: Run) {
        if let Some(mirror) = self.mirror(id) {
            for part in run.parts() {
                if let Some(asked) = mirror.asked.get_mut(&part) {
                    asked.comes = true;
                }
            }
        }
    }

    /// What was asked over every link.
    fn mirrors(&self) -> impl Iterator<Item = (LinkId, &Mirror)> {
        let ended = self.works.iter().filter_map(|work| match work {
            Work::Ended { id, mirror, .. } => Some((*id, mirror)),
            Work::Landed { .. } => None,
        });
        ended.chain(self.links.iter().map(|(&id, link)| (id, &link.mirror)))
    }

    fn check_held(&self, ground: &mut Ground) {
        let me = self.make.index;
        if self.held.lacks_some_of(self.swarm.held()) {
            ground.violated(format_args!("{me}: the swarm believes in a part that is not on the shelf"));
        }
        if self.swarm.members() > LINKS_MAX {
            ground.violated(format_args!("{me}: more members than links"));
        }
        for (id, mirror) in self.mirrors() {
            let lost = mirror
                .asked
                .iter()
                .find(|&(&part, asked)| !asked.cancelled && self.swarm.held().contains(part));
            if let Some((part, _)) = lost {
                ground.violated(format_args!("{me} {id}: part {part} is held, and still asked for"));
            }
        }
    }

    /// Nobody waits for a part that hardly comes while somebody else who holds it has nothing to do.
    pub(super) fn check_vigil(&mut self, ground: &mut Ground) {
        let now = ground.now;
        let asleep = |vigil: &Vigil| now.since(vigil.looked) > AWAKE;
        let Some(mut vigil) = self.vigil.take().filter(|vigil| !asleep(vigil)) else {
            self.vigil = Some(self.begin_vigil(now));
            return;
        };
        vigil.looked = now;
        if now.since(vigil.since) < VIGIL {
            self.vigil = Some(vigil);
            return;
        }
        let found = vigil.asked.iter().find_map(|(id, received, parts)| {
            let link = self.links.get(id)?;
            let brought = link.flow.received - received;
            let hardly = brought < LANDING_RATE_MIN * VIGIL.as_secs() && !link.flow.waits;
            let part = parts.iter().find(|&&part| hardly && self.waits_for_one(*id, part))?;
            let mut holders =
                vigil.idle.iter().filter(|(_, held)| held.contains(*part)).map(|(&other, _)| other);
            let other = holders.find(|&other| self.could_bring(ground, other))?;
            Some(format!("part {part} hardly comes over {id}, and {other} is not asked"))
        });
        if let Some(found) = found.filter(|_| self.first_open().is_none()) {
            ground.violated(format_args!("{}: {found}", self.make.index));
        }
    }

    fn begin_vigil(&self, now: Moment) -> Vigil {
        let (mut asked, mut idle) = (Vec::new(), BTreeMap::new());
        for (&id, link) in self.links.iter().filter(|(_, link)| link.tag.is_some() && !link.closing) {
            if !link.mirror.asked.is_empty() {
                asked.push((id, link.flow.received, link.mirror.asked.keys().copied().collect()));
            } else if let Some(held) = &link.mirror.claimed {
                idle.insert(id, held.clone());
            }
        }
        Vigil { since: now, looked: now, asked, idle }
    }

    /// Whether the part is asked of this link and of no other one.
    fn waits_for_one(&self, id: LinkId, part: PartIndex) -> bool {
        let live = |mirror: &Mirror| mirror.asked.get(&part).is_some_and(|asked| !asked.cancelled);
        self.mirrors().filter(|(_, mirror)| live(mirror)).map(|(asked, _)| asked).eq([id])
    }

    /// Whether an honest member is at the far end.
    fn could_bring(&self, ground: &Ground, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| {
            let bad = |address: &SocketAddr| address.ip() == link.remote.ip();
            !ground.tainted[link.far] && !ground.tainted_addresses.iter().any(bad) && !link.closing
        })
    }

    fn check_want(&mut self, ground: &mut Ground, id: LinkId, run: Run) {
        if let Some(vigil) = &mut self.vigil {
            vigil.idle.remove(&id);
        }
        let me = self.make.index;
        let layout = ground.layout;
        let others = self.mirrors().filter(|&(other, _)| other != id);
        let doubled = others
            .flat_map(|(_, mirror)| &mirror.asked)
            .any(|(&part, asked)| asked.comes && !asked.cancelled && run.contains(part));
        if doubled && let Some(part) = self.first_open() {
            ground.violated(format_args!(
                "{me} {id}: parts {run} come and are asked again; part {part} is open"
            ));
        }
        let held = self.swarm.held().clone();
        let Some(mirror) = self.mirror(id) else {
            ground.violated(format_args!("{me} {id}: parts {run} are asked of a link that is not up"));
            return;
        };
        let before: u64 = mirror.asked.keys().map(|&part| u64::from(layout.len_of(part))).sum();
        if before >= WINDOW_BYTES_MAX
            || layout.bytes_of(run) > u64::from(layout.part_len().max(RUN_BYTES_U32))
        {
            ground.violated(format_args!("{me} {id}: {before} bytes in flight, and parts {run} are asked"));
        }
        for part in run.parts() {
            if held.contains(part) {
                ground.violated(format_args!("{me} {id}: part {part} is asked and held"));
            }
            if !mirror.claimed.as_ref().is_some_and(|claimed| claimed.contains(part)) {
                ground.violated(format_args!("{me} {id}: part {part} is asked and was never claimed"));
            }
            if mirror.asked.insert(part, Watched::default()).is_some() {
                ground.violated(format_args!("{me} {id}: part {part} is asked twice on one link"));
            }
        }
    }

    /// The first part that somebody holds, and that is missing and asked of nobody.
    fn first_open(&self) -> Option<PartIndex> {
        let asked = |part: &PartIndex| {
            self.mirrors().any(|(_, mirror)| mirror.asked.get(part).is_some_and(|asked| !asked.cancelled))
        };
        let to_be_had = |part: &PartIndex| {
            let mut claims = self.mirrors().filter_map(|(_, mirror)| mirror.claimed.as_ref());
            claims.any(|claimed| claimed.contains(*part))
        };
        self.missing.iter().find(|part| !self.swarm.held().contains(*part) && !asked(part) && to_be_had(part))
    }

    /// The far end broke the protocol: nobody honest does.
    pub(super) fn check_honest_fault(&self, ground: &mut Ground, id: LinkId, fault: &dyn Display) {
        let Some(link) = self.links.get(&id) else { return };
        ground.blames += 1;
        if self.make.vice == Vice::None && !ground.tainted[link.far] {
            let (me, far) = (self.make.index, link.far);
            ground.violated(format_args!("{me} {id}: honest member {far} broke the protocol: {fault}"));
        }
    }

    /// The link is ended as a fault of the far end.
    pub(super) fn check_blame(&self, ground: &mut Ground, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        let heard_at = |address| ground.tainted_addresses.contains(address);
        let known = link.dialled.as_ref().is_some_and(heard_at)
            || ground.tainted_addresses.iter().any(|address| address.ip() == link.remote.ip());
        if self.make.vice == Vice::None && !ground.tainted[link.far] && !known {
            let (me, far) = (self.make.index, link.far);
            ground.violated(format_args!("{me} {id}: honest member {far} is blamed"));
        }
    }

    /// Every part is there, for good.
    pub(super) fn check_whole(&self, ground: &mut Ground) {
        let wrong = ground.layout.all().find(|&part| self.disk.read(part) != Content::Right);
        if let Some(part) = wrong {
            ground.violated(format_args!("{} finished without part {part}", self.make.index));
        }
    }
}
