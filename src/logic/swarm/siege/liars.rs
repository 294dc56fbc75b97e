//! Whom wrong parts, and parts that are never ended, cost what: the liar, whose id it borrows, and who is beside it.

use super::*;

impl Siege {
    /// A link to somebody that was dialled at `10.0.0.HOST:PORT`, and holds everything.
    fn dialled_complete(&mut self, link: u64, member: u8, host: u8, port: u16) -> Vec<Order> {
        self.step(Input::Named(address(host, port)));
        let hello = Hello { member: MemberId::from_bytes([member; 16]), port: 9, abilities: 0 };
        let (id, to) = (LinkId(link), address(host, port));
        self.flows.insert(id, Flow::default());
        let up = Input::LinkUp { link: id, hello, remote: to, dialled: Some(to), keyed: true };
        let mut orders = self.step(up);
        orders.extend(self.step(Input::Holds(id, PartSet::full(self.layout))));
        orders
    }

    /// Lets time pass in which nothing comes.
    fn waits_for(&mut self, span: Duration) -> Vec<Order> {
        let end = self.now + span;
        let mut orders = Vec::new();
        while self.now < end {
            self.now = self.now + TICK_INTERVAL;
            orders.extend(self.step(Input::Tick { held_back: false }));
        }
        orders
    }

    fn corrupt(&mut self, link: u64) -> Vec<Order> {
        let part = self.layout.part(0).unwrap();
        self.step(Input::Corrupt(LinkId(link), part))
    }
}

fn bytes_wanted(orders: &[Order], layout: Layout) -> u64 {
    let wants = orders.iter().filter_map(|order| match order {
        Order::Want(_, run) => Some(layout.bytes_of(*run)),
        _ => None,
    });
    wants.sum()
}

/// A liar comes back at once under another id, with another port or none, as often as it can, from one address.
#[test]
fn who_lies_under_ever_new_names_is_asked_for_little() {
    let mut siege = Siege::of(64, 1 << 20);
    let (mut asked, mut link, began) = (0, 0, siege.now);
    while siege.now.since(began) < Duration::from_secs(1_200) {
        for _ in 0..5 {
            link += 1;
            let hello = Hello {
                member: MemberId::from_bytes(u128::from(link).to_le_bytes()),
                port: u16::try_from(link % 3 * 1_000).unwrap(),
                abilities: 0,
            };
            let (id, remote) = (LinkId(link), address(66, 50_000));
            siege.step(Input::LinkUp { link: id, hello, remote, dialled: None, keyed: true });
            let mut orders = siege.step(Input::Holds(id, PartSet::full(siege.layout)));
            orders.extend(siege.waits_for(TICK_INTERVAL));
            asked += bytes_wanted(&orders, siege.layout);
            // Whoever was asked lies, and nobody gives anything else.
            for order in &orders {
                if let Order::Want(id, _) = order {
                    siege.corrupt(id.0);
                }
            }
            if link % 30 == 0 {
                (link - 29..=link).for_each(|link| drop(siege.step(Input::LinkDown(LinkId(link)))));
            }
        }
        // One to begin with, six while the pauses grow, and one a minute.
        let seconds = siege.now.since(began).as_secs();
        assert!(asked <= (7 + seconds / 60) << 20, "{asked} bytes were asked for after {seconds} s");
    }
    assert!(asked > 20 << 20, "it is not shut out for good: there may be others");
}

#[test]
fn an_honest_neighbour_of_a_liar_goes_on() {
    let mut siege = Siege::of(64, 1 << 20);
    // Two behind one address. The first has shown what it is worth before the other one lies.
    let first = wanted(&siege.up_complete(1, 1), 1)[0];
    siege.up(2, 2, 1);
    assert!(!wanted(&siege.step(Input::Holds(LinkId(2), PartSet::full(siege.layout))), 2).is_empty());
    let next = wanted(&siege.step(Input::Stored(LinkId(1), first)), 1)[0];
    siege.corrupt(2);
    assert!(!wanted(&siege.step(Input::Stored(LinkId(1), next)), 1).is_empty());
    // A third one comes: it is not refused, it is tried in its turn, and by and by it is asked for more.
    assert_eq!(siege.up(3, 3, 1), []);
    assert_eq!(siege.step(Input::Holds(LinkId(3), PartSet::full(siege.layout))), []);
    let began = siege.now;
    let mut wants = Vec::new();
    while wants.is_empty() && siege.now.since(began) < Duration::from_secs(2) {
        wants = wanted(&siege.waits_for(TICK_INTERVAL), 3);
    }
    // What it has brought, it is trusted with.
    for most in [1, 1, 2, 4] {
        assert_eq!(wants.len(), most);
        let more = wants.into_iter().flat_map(|run| wanted(&siege.step(Input::Stored(LinkId(3), run)), 3));
        wants = more.collect();
    }
}

#[test]
fn a_claimed_port_brings_no_blame_to_who_is_there() {
    let mut siege = Siege::of(8, 1 << 20);
    let honest = address(1, 1);
    // The liar claims to be at the address of its neighbour.
    siege.up(1, 66, 1);
    siege.step(Input::Holds(LinkId(1), PartSet::full(siege.layout)));
    siege.corrupt(1);
    assert_eq!(siege.up(2, 66, 1), [Order::Close(LinkId(2), Reason::Fault)], "the liar is refused");
    assert_eq!(siege.up(3, 1, 1), [], "and its neighbour is not");
    siege.step(Input::LinkDown(LinkId(3)));
    let dials = siege.waits_for(Duration::from_secs(5));
    assert!(dials.contains(&Order::Dial(honest)), "nor is it not dialled: {dials:?}");
    // Once it was dialled, nobody else counts as being there.
    let hello = Hello { member: MemberId::from_bytes([1; 16]), port: 1, abilities: 0 };
    siege.step(Input::LinkUp { link: LinkId(4), hello, remote: honest, dialled: Some(honest), keyed: true });
    siege.step(Input::LinkDown(LinkId(4)));
    assert_eq!(siege.up(5, 67, 1), []);
    let dials = siege.waits_for(Duration::from_secs(5));
    assert!(dials.contains(&Order::Dial(honest)), "it has no link: {dials:?}");
}

#[test]
fn every_link_to_an_address_that_lies_ends() {
    let mut siege = Siege::of(64, 1 << 20);
    let first = wanted(&siege.dialled_complete(1, 1, 1, 7), 1)[0];
    siege.step(Input::Stored(LinkId(1), first));
    // It may even say that it is several.
    siege.dialled_complete(2, 1, 1, 7);
    siege.dialled_complete(3, 2, 1, 7);
    siege.dialled_complete(4, 3, 1, 8);
    let orders = siege.corrupt(2);
    let is_closed = |link| orders.contains(&Order::Close(LinkId(link), Reason::Fault));
    assert_eq!([1, 2, 3, 4].map(is_closed), [true, true, true, false]);
    assert!(!siege.waits_for(Duration::from_secs(500)).contains(&Order::Dial(address(1, 7))));
}

#[test]
fn a_liar_loses_its_other_links_and_who_lends_it_an_id_does_not() {
    let mut siege = Siege::of(64, 1 << 20);
    for link in 1..=3 {
        siege.up_complete(link, 1);
    }
    let run = siege.layout.run(0, 1).unwrap();
    siege.step(Input::Stored(LinkId(2), run));
    siege.up(4, 1, 2);
    let orders = siege.corrupt(3);
    let is_closed = |link| orders.contains(&Order::Close(LinkId(link), Reason::Fault));
    // The second one has brought something, and the fourth is elsewhere.
    assert_eq!([1, 2, 3, 4].map(is_closed), [true, false, true, false]);
}

/// Parts that are begun and never ended are waste that names nobody: it is bounded all the same.
#[test]
fn who_always_breaks_off_is_asked_for_ever_less() {
    let part_len = 16 << 20;
    let mut siege = Siege::of(64, part_len);
    let (mut asked, mut link) = (0, 0);
    for _ in 0..600 {
        link += 1;
        siege.up(link, 1, 66);
        let mut orders = siege.step(Input::Holds(LinkId(link), PartSet::full(siege.layout)));
        orders.extend(siege.waits_for(Duration::from_secs(1)));
        let wants = wanted(&orders, link);
        asked += wants.len();
        let received = wants.len() as u64 * u64::from(part_len - 1);
        siege.step(Input::Flowed(LinkId(link), Flow { received, sent: 0, waits: false }));
        siege.step(Input::LinkDown(LinkId(link)));
    }
    assert!((20..80).contains(&asked), "{asked} parts of 16 MiB in 600 calls");
}
