//! One machine among members that mean no good: each link is played by hand.

mod liars;

use super::*;
use crate::limits::{
    DIALS_MAX, END_PHASE_PATIENCE_MAX, GOSSIP_HEARD_INTERVAL, HEDGE_PATIENCE, LINKS_DIALLED_MIN,
    LINKS_KEYLESS_MAX, ROSTER_MAX, STALL_TIMEOUT,
};
use std::time::Duration;

const ME: MemberId = MemberId::from_bytes([0; 16]);

struct Siege {
    swarm: Swarm,
    now: Moment,
    layout: Layout,
    /// What each link has carried.
    flows: BTreeMap<LinkId, Flow>,
}

fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], port))
}

impl Siege {
    /// A member that holds nothing of so many parts of this length.
    fn of(parts: u32, part_len: u32) -> Siege {
        let mut siege = Siege::unchecked(parts, part_len);
        siege.step(Input::Checked { run: siege.layout.whole().unwrap(), held: false });
        siege.step(Input::CheckEnded);
        siege
    }

    /// One that does not know yet what it holds.
    fn unchecked(parts: u32, part_len: u32) -> Siege {
        let layout = Layout::new(u64::from(parts) * u64::from(part_len), u64::from(part_len)).unwrap();
        let rules = Rules { member: ME, layout, links_per_member: 1, conductor: false, seed: 3 };
        let now = Moment::from_micros(1_000_000);
        Siege { swarm: Swarm::new(now, rules), now, layout, flows: BTreeMap::new() }
    }

    fn step(&mut self, input: Input) -> Vec<Order> {
        let mut orders = Vec::new();
        self.swarm.step(self.now, input, &mut orders);
        orders
    }

    /// A link that somebody at `10.0.0.HOST` opened.
    fn up(&mut self, link: u64, member: u8, host: u8) -> Vec<Order> {
        let hello = Hello { member: MemberId::from_bytes([member; 16]), port: 1, abilities: 0 };
        let link = LinkId(link);
        self.flows.insert(link, Flow::default());
        self.step(Input::LinkUp { link, hello, remote: address(host, 50_000), dialled: None, keyed: true })
    }

    /// The same, by somebody who holds everything.
    fn up_complete(&mut self, link: u64, member: u8) -> Vec<Order> {
        self.up(link, member, member);
        self.step(Input::Holds(LinkId(link), PartSet::full(self.layout)))
    }

    /// Lets time pass in which every link carries a byte each tick.
    fn drips_for(&mut self, span: Duration) -> Vec<Order> {
        self.flows_for(span, 1)
    }

    /// Lets time pass in which every link carries so many bytes each tick.
    fn flows_for(&mut self, span: Duration, bytes: u64) -> Vec<Order> {
        let end = self.now + span;
        let mut orders = Vec::new();
        while self.now < end {
            self.now = self.now + TICK_INTERVAL;
            for flow in self.flows.values_mut() {
                flow.received += bytes;
            }
            for (link, flow) in self.flows.clone() {
                orders.extend(self.step(Input::Flowed(link, flow)));
            }
            orders.extend(self.step(Input::Tick { held_back: false }));
        }
        orders
    }
}

fn wanted(orders: &[Order], from: u64) -> Vec<Run> {
    let wants = orders.iter().filter_map(|order| match order {
        Order::Want(link, run) if *link == LinkId(from) => Some(*run),
        _ => None,
    });
    wants.collect()
}

#[test]
fn only_as_many_wait_here_as_for_each_who_holds_the_part() {
    let mut siege = Siege::of(4, 65_536);
    let layout = siege.layout;
    let part = |index| layout.part(index).unwrap();
    let (rare, new, common) = (part(0), part(1), part(2));
    siege.up_complete(1, 1);
    for part in [rare, new, common] {
        siege.step(Input::Stored(LinkId(1), Run::one(part)));
    }
    let holders = |part: PartIndex| match part.get() {
        0 => 0,
        1 => 1,
        _ => 9,
    };
    for other in 0..10_u8 {
        let mut set = PartSet::empty(siege.layout);
        for part in [rare, new, common].into_iter().filter(|&part| other < holders(part)) {
            set.insert(part);
        }
        let link = u64::from(other) + 2;
        siege.up(link, other + 2, other + 2);
        siege.step(Input::Holds(LinkId(link), set));
    }
    let room = |siege: &Siege, part| siege.swarm.supply()(part).rooms;
    assert_eq!(room(&siege, rare), None, "nobody else holds it but who is complete");
    assert_eq!(room(&siege, new), Some(2), "two hold it, and half of nine wait");
    assert_eq!(room(&siege, common), Some(0), "whoever lacks it finds it anywhere");
    assert_eq!(siege.swarm.supply()(common).holders, 9);
    siege.step(Input::Stored(LinkId(1), Run::one(part(3))));
    assert!(siege.swarm.is_complete());
    assert_eq!(room(&siege, common), None, "a complete member has the book of what it gave");
}

#[test]
fn who_is_complete_is_not_asked_for_what_others_hold_while_they_fill_the_line() {
    let mut siege = Siege::of(4_096, 65_536);
    let mut all_but_one = PartSet::full(siege.layout);
    let rare = siege.layout.part(7).unwrap();
    all_but_one.remove(rare);
    siege.up(1, 1, 1);
    siege.step(Input::Holds(LinkId(1), all_but_one));
    siege.flows_for(Duration::from_secs(20), 1 << 20);
    assert_eq!(wanted(&siege.up_complete(2, 2), 2), [Run::one(rare)]);
    let orders = siege.flows_for(Duration::from_secs(4), 0);
    assert_ne!(wanted(&orders, 2), [], "the other one brings nothing any more");
}

#[test]
fn what_is_not_begun_is_asked_of_who_is_idle_and_the_first_to_begin_brings_it() {
    let mut siege = Siege::of(1, 65_536);
    let part = siege.layout.whole().unwrap();
    assert_eq!(wanted(&siege.up_complete(1, 1), 1), [part]);
    assert_eq!(wanted(&siege.up_complete(2, 2), 2), [], "it is asked of one");
    siege.now = siege.now + TICK_INTERVAL;
    let orders = siege.step(Input::Tick { held_back: false });
    assert_eq!(wanted(&orders, 2), [], "it may still begin");
    siege.now = siege.now + HEDGE_PATIENCE;
    let orders = siege.step(Input::Tick { held_back: false });
    assert_eq!(wanted(&orders, 2), [part], "the first has others to serve");
    let orders = siege.step(Input::Coming(LinkId(2), part));
    assert!(orders.contains(&Order::Cancel(LinkId(1), part)), "{orders:?}");
    assert_eq!(
        siege.step(Input::Refused(LinkId(1), part, Denial::Cancelled)),
        [],
        "it comes from the second"
    );
    let orders = siege.step(Input::Stored(LinkId(2), part));
    assert!(orders.contains(&Order::Finish), "{orders:?}");
}

#[test]
fn two_slow_members_do_not_keep_a_part_from_a_third() {
    let mut siege = Siege::of(1, 1 << 20);
    assert_eq!(wanted(&siege.up_complete(1, 1), 1).len(), 1);
    siege.up_complete(2, 2);
    let orders = siege.drips_for(Duration::from_secs(1));
    assert_eq!(wanted(&orders, 2).len(), 1, "the second is asked in the end phase");
    siege.up_complete(3, 3);
    let orders = siege.drips_for(STALL_TIMEOUT / 2);
    assert_eq!(wanted(&orders, 3).len(), 1, "and so is the one who can");
    let orders = siege.step(Input::Stored(LinkId(3), siege.layout.whole().unwrap()));
    assert!(orders.contains(&Order::Finish));
}

#[test]
fn who_came_to_a_halt_does_not_keep_a_part_from_others() {
    let mut siege = Siege::of(1, 16 << 20);
    let run = wanted(&siege.up_complete(1, 1), 1)[0];
    siege.step(Input::Coming(LinkId(1), run));
    siege.flows_for(8 * TICK_INTERVAL, 1 << 20);
    siege.up_complete(2, 2);
    let orders = siege.drips_for(Duration::from_secs(1));
    assert_eq!(wanted(&orders, 2), [], "it came well");
    let orders = siege.drips_for(END_PHASE_PATIENCE_MAX);
    assert_eq!(wanted(&orders, 2), [run]);
}

#[test]
fn what_comes_slowly_is_not_asked_of_another_link_to_whoever_brings_it() {
    let mut siege = Siege::of(1, 16 << 20);
    let run = wanted(&siege.up_complete(1, 1), 1)[0];
    siege.step(Input::Coming(LinkId(1), run));
    siege.flows_for(8 * TICK_INTERVAL, 1 << 20);
    siege.up_complete(2, 1);
    // Somebody else may say that it is the first one.
    siege.up(3, 1, 3);
    siege.step(Input::Holds(LinkId(3), PartSet::full(siege.layout)));
    let orders = siege.flows_for(2 * END_PHASE_PATIENCE_MAX, 8 << 10);
    assert_eq!(wanted(&orders, 2), []);
    assert_eq!(wanted(&orders, 3), [run]);
    let mut siege = Siege::of(1, 16 << 20);
    siege.up_complete(1, 1);
    siege.step(Input::Coming(LinkId(1), run));
    siege.up_complete(2, 1);
    assert_eq!(
        wanted(&siege.drips_for(END_PHASE_PATIENCE_MAX), 2),
        [run],
        "the connection may be what is broken"
    );
}

#[test]
fn what_nobody_holds_does_not_keep_the_rest_with_who_hardly_brings_it() {
    let mut siege = Siege::of(2, 16 << 20);
    let first = siege.layout.run(0, 1).unwrap();
    let mut set = PartSet::empty(siege.layout);
    set.insert(first.first());
    siege.up(1, 1, 1);
    assert_eq!(wanted(&siege.step(Input::Holds(LinkId(1), set.clone())), 1), [first]);
    siege.step(Input::Coming(LinkId(1), first));
    siege.up(2, 2, 2);
    siege.step(Input::Holds(LinkId(2), set));
    let orders = siege.drips_for(END_PHASE_PATIENCE_MAX);
    assert_eq!(wanted(&orders, 2), [first]);
}

#[test]
fn what_came_from_elsewhere_is_cancelled_in_one_word() {
    let mut siege = Siege::of(64, 16_384);
    let first = siege.up_complete(1, 1);
    assert_eq!(wanted(&first, 1), [siege.layout.whole().unwrap()]);
    siege.up_complete(2, 2);
    let again = siege.drips_for(Duration::from_secs(1));
    let run = wanted(&again, 2)[0];
    assert_eq!(run.count(), 64);
    let orders = siege.step(Input::Stored(LinkId(2), run));
    let cancels: Vec<_> = orders.iter().filter(|order| matches!(order, Order::Cancel(..))).collect();
    assert_eq!(cancels, [&Order::Cancel(LinkId(1), run)]);
}

#[test]
fn what_one_refuses_is_asked_of_another() {
    let mut siege = Siege::of(1, 1 << 20);
    let run = wanted(&siege.up_complete(1, 1), 1)[0];
    assert_eq!(wanted(&siege.up_complete(2, 2), 2), [], "one is asked for it");
    let orders = siege.step(Input::Refused(LinkId(1), run, Denial::Elsewhere));
    assert_eq!(wanted(&orders, 2), [run]);
    assert_eq!(wanted(&orders, 1), []);
}

#[test]
fn who_had_nothing_to_give_is_asked_for_what_it_gets() {
    let mut siege = Siege::of(2, 1 << 20);
    siege.up(1, 1, 1);
    assert_eq!(siege.step(Input::Holds(LinkId(1), PartSet::empty(siege.layout))), []);
    for at in [0, 1] {
        let run = siege.layout.run(at, 1).unwrap();
        assert_eq!(wanted(&siege.step(Input::HoldsAlso(LinkId(1), vec![run])), 1), [run]);
        siege.step(Input::Stored(LinkId(1), run));
    }
}

#[test]
fn answers_may_leave_any_holes() {
    // The window grows by what arrives, until many runs of 64 parts are in flight.
    let mut siege = Siege::of(8_192, 16_384);
    let mut wants = wanted(&siege.up_complete(1, 1), 1);
    while wants.len() < 8 {
        let run = wants.remove(0);
        let orders = siege.step(Input::Stored(LinkId(1), run));
        wants.extend(wanted(&orders, 1));
    }
    for run in wants {
        for part in run.parts().step_by(2) {
            siege.step(Input::Refused(LinkId(1), Run::one(part), Denial::Elsewhere));
        }
    }
    assert_eq!(siege.swarm.members(), 1, "odd, and no fault");
}

#[test]
fn a_flood_of_addresses_is_heard_once_in_a_while() {
    let mut siege = Siege::of(1, 1 << 20);
    siege.up(1, 1, 1);
    let mut next = 0..u8::MAX;
    let mut gossip = |siege: &mut Siege| {
        let hosts: Vec<u8> = next.by_ref().take(ROSTER_MAX).collect();
        let addresses = hosts.into_iter().map(|host| address(host, 9)).collect();
        let orders = siege.step(Input::Gossip(LinkId(1), addresses));
        orders.iter().filter(|order| matches!(order, Order::Dial(_))).count()
    };
    let known = gossip(&mut siege);
    assert!(known > 0);
    siege.now = siege.now + Duration::from_secs(1);
    assert_eq!(gossip(&mut siege), 0, "not so soon again");
    assert_eq!(siege.swarm.meeting.known(), ROSTER_MAX + 1);
    siege.now = siege.now + GOSSIP_HEARD_INTERVAL;
    gossip(&mut siege);
    assert_eq!(siege.swarm.meeting.known(), 2 * ROSTER_MAX + 1);
}

#[test]
fn a_borrowed_id_does_not_keep_its_owner_out() {
    let mut siege = Siege::of(1, 1 << 20);
    for link in 1..=4 {
        assert_eq!(siege.up(link, 7, 66), []);
    }
    assert_eq!(siege.up(5, 7, 66), [Order::Close(LinkId(5), Reason::TooMany)]);
    assert_eq!(siege.up(6, 7, 1), [], "the owner, from his own address");
}

#[test]
fn who_comes_later_hears_of_who_came_before() {
    let mut siege = Siege::of(1, 1 << 20);
    let comes = |siege: &mut Siege, link: u8| {
        siege.up(link.into(), link, link);
        siege.step(Input::Holds(LinkId(link.into()), PartSet::empty(siege.layout)));
        siege.step(Input::Tick { held_back: false })
    };
    comes(&mut siege, 1);
    assert!(comes(&mut siege, 2).contains(&Order::Gossip(LinkId(2), vec![address(1, 1)])));
    siege.step(Input::LinkDown(LinkId(1)));
    assert!(comes(&mut siege, 3).contains(&Order::Gossip(LinkId(3), vec![address(2, 1)])));
}

/// One host opens link after link, each as another member that holds everything and gives nothing.
#[test]
fn a_flood_of_links_leaves_room_for_others() {
    let mut siege = Siege::of(1, 1 << 20);
    let mut refused = 0;
    for link in 1..=200 {
        let orders = siege.up(u64::from(link), link, 66);
        refused += usize::from(orders.contains(&Order::Close(LinkId(link.into()), Reason::TooMany)));
    }
    assert_eq!(refused, 200 - (LINKS_MAX - LINKS_DIALLED_MIN));
    // Somebody else who knocks gets in, and one of the many has to go.
    let orders = siege.up(1_000, 201, 1);
    assert_eq!(orders, [Order::Close(LinkId(1), Reason::TooMany)]);
    // And whoever we learn of is dialled.
    let orders = siege.step(Input::Named(address(2, 1)));
    assert_eq!(orders, [Order::Dial(address(2, 1))]);
    let hello = Hello { member: MemberId::from_bytes([202; 16]), port: 1, abilities: 0 };
    let (link, to) = (LinkId(1_001), address(2, 1));
    let up = Input::LinkUp { link, hello, remote: to, dialled: Some(to), keyed: true };
    assert_eq!(siege.step(up), []);
}

/// Many hosts open as many links as they may, and none of them can prove that it has the manifest.
#[test]
fn whoever_has_no_key_leaves_room_for_those_who_have() {
    let mut siege = Siege::of(1, 1 << 20);
    let up = |siege: &mut Siege, link: u64, host: u8, keyed: bool, dialled: bool| {
        let hello = Hello { member: MemberId::from_bytes([host; 16]), port: 0, abilities: 0 };
        let (link, remote) = (LinkId(link), address(host, 50_000));
        let dialled = dialled.then_some(remote);
        siege.step(Input::LinkUp { link, hello, remote, dialled, keyed })
    };
    let count =
        |siege: &Siege, keyed: bool| siege.swarm.links.values().filter(|link| link.keyed == keyed).count();
    for link in 0..200 {
        up(&mut siege, link, u8::try_from(link % 50).unwrap(), false, link % 3 == 0);
        assert!(count(&siege, false) <= LINKS_KEYLESS_MAX);
    }
    assert_eq!(count(&siege, false), LINKS_KEYLESS_MAX);
    // Those who have it take every place that there is for them, and keep it.
    for host in 100..=200 {
        up(&mut siege, 1_000 + u64::from(host), host, true, false);
    }
    assert!(count(&siege, true) >= LINKS_MAX - LINKS_KEYLESS_MAX, "{}", count(&siege, true));
    for host in 201..=220 {
        up(&mut siege, 1_000 + u64::from(host), host, true, true);
    }
    assert_eq!((count(&siege, true), count(&siege, false)), (LINKS_MAX, 0));
    for host in 1..=50 {
        let orders = up(&mut siege, 2_000 + u64::from(host), host, false, false);
        assert_eq!(orders, [Order::Close(LinkId(2_000 + u64::from(host)), Reason::TooMany)]);
    }
}

#[test]
fn hosts_with_as_many_links_do_not_push_each_other_out() {
    let mut siege = Siege::of(1, 1 << 20);
    let mut closed = 0;
    for link in 1..=200 {
        let orders = siege.up(u64::from(link), link, link % 2);
        closed += orders
            .iter()
            .filter(|order| matches!(order, Order::Close(id, _) if id.0 != u64::from(link)))
            .count();
    }
    assert_eq!(closed, 0);
}

#[test]
fn two_complete_members_part_even_if_one_is_still_looking_at_its_disk() {
    let mut siege = Siege::unchecked(1, 1 << 20);
    siege.up_complete(1, 1);
    siege.step(Input::Checked { run: siege.layout.whole().unwrap(), held: true });
    let orders = siege.step(Input::CheckEnded);
    assert!(orders.contains(&Order::Close(LinkId(1), Reason::Complete)), "{orders:?}");
}

#[test]
fn a_second_wrong_part_of_a_link_that_was_closed_for_the_first_changes_nothing() {
    let mut siege = Siege::of(8, 1 << 20);
    siege.up_complete(1, 1);
    let part = siege.layout.part(0).unwrap();
    let orders = siege.step(Input::Corrupt(LinkId(1), part));
    assert_eq!(orders, [Order::Close(LinkId(1), Reason::Fault)]);
    assert_eq!(siege.step(Input::Corrupt(LinkId(1), part)), [], "the other one was verified meanwhile");
}

#[test]
fn further_links_to_one_member_are_dialled_only_while_few_dials_are_under_way() {
    let mut siege = Siege::of(8, 1 << 20);
    let rules = Rules { links_per_member: 4, ..siege.swarm.rules.clone() };
    siege.swarm = Swarm::new(siege.now, rules);
    siege.step(Input::Checked { run: siege.layout.whole().unwrap(), held: false });
    siege.step(Input::CheckEnded);
    let dials = |orders: &[Order]| orders.iter().filter(|order| matches!(order, Order::Dial(_))).count();
    let named = (100..=250).map(|host| Input::Named(address(host, 9)));
    let under_way: usize = named.map(|input| dials(&siege.step(input))).sum();
    assert_eq!(under_way, DIALS_MAX, "none of them ever answers");
    assert_eq!(dials(&siege.up_complete(1, 1)), 0);
    siege.step(Input::DialFailed(address(100, 9)));
    assert!(dials(&siege.step(Input::Tick { held_back: false })) <= 1);
}

#[test]
fn what_came_before_the_far_end_said_what_it_holds_is_told() {
    let mut siege = Siege::unchecked(1, 1 << 20);
    siege.up(1, 1, 1);
    let whole = siege.layout.whole().unwrap();
    // Our own set went out with our hello, and this was not in it.
    assert!(!siege.step(Input::Checked { run: whole, held: true }).contains(&Order::Publish(LinkId(1))));
    let orders = siege.step(Input::Holds(LinkId(1), PartSet::empty(siege.layout)));
    assert!(orders.contains(&Order::Publish(LinkId(1))), "{orders:?}");
}

#[test]
fn what_everybody_holds_is_spread() {
    let mut siege = Siege::of(4, 1 << 20);
    let one = |index| siege.layout.run(index, 1).unwrap();
    let (first, second) = (one(0), one(1));
    let spread = |siege: &Siege| siege.swarm.spread().map(PartIndex::get).collect::<Vec<_>>();
    siege.up_complete(1, 1);
    siege.step(Input::Stored(LinkId(1), first));
    siege.step(Input::Stored(LinkId(1), second));
    assert_eq!(spread(&siege), [0, 1], "the other one is complete");
    siege.up(2, 2, 2);
    assert!(spread(&siege).is_empty(), "what it holds is not known");
    let mut set = PartSet::empty(siege.layout);
    set.insert(siege.layout.part(1).unwrap());
    set.insert(siege.layout.part(2).unwrap());
    siege.step(Input::Holds(LinkId(2), set));
    assert_eq!(spread(&siege), [1]);
    siege.step(Input::HoldsAlso(LinkId(2), vec![first]));
    assert_eq!(spread(&siege), [0, 1]);
}

#[test]
fn a_member_that_moves_is_let_in_beside_its_dead_links() {
    let mut siege = Siege::of(64, 1 << 20);
    let mut up = |link: u64, host: u16| {
        let hello = Hello { member: MemberId::from_bytes([1; 16]), port: 1, abilities: 0 };
        let remote = SocketAddr::from(([0xfd77, 0, 0, 0, 0, 0, 0, host], 50_000));
        siege.step(Input::LinkUp { link: LinkId(link), hello, remote, dialled: None, keyed: true })
    };
    for link in 1..=4 {
        assert_eq!(up(link, 3), []);
    }
    assert_eq!(up(5, 3), [Order::Close(LinkId(5), Reason::TooMany)]);
    assert_eq!(up(6, 200), [], "of the same /64");
}
