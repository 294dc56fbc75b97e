//! The catalogue does what a few lists in memory would do, whatever is asked, by one process or by two.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::credential::SessionId;

/// Names of accounts and of compositions, some of them spellings of the same.
const NAMES: [&str; 8] = ["alice", "Alice", "ALICE", "Straße", "STRASSE", "a%b", "b_c", "zoë"];
const TEXTS: [&str; 8] = ["", "a", "AL", "SS", "%", "_", "ë", "nowhere"];

#[derive(Clone, Debug)]
enum Act {
    Register(usize),
    Disable(usize, bool),
    Reset(usize),
    Remove(usize),
    Open(usize, u64),
    Close(u64),
    Publish(usize, usize, u8),
    Unpublish(usize, usize),
    Report(usize, usize, u8),
    Pass(u64),
    Forget,
    Reopen,
    /// Everything fails at the end of the transaction.
    Fail(usize, u8),
}

fn act() -> impl Strategy<Value = Act> {
    let name = || 0..NAMES.len();
    prop_oneof![
        3 => name().prop_map(Act::Register),
        1 => (name(), any::<bool>()).prop_map(|(who, is)| Act::Disable(who, is)),
        1 => name().prop_map(Act::Reset),
        1 => name().prop_map(Act::Remove),
        3 => (name(), 0..60_u64).prop_map(|(who, number)| Act::Open(who, number)),
        1 => (0..60_u64).prop_map(Act::Close),
        6 => (name(), name(), 0..4_u8).prop_map(|(who, what, content)| Act::Publish(who, what, content)),
        2 => (name(), 0..30_usize).prop_map(|(who, listing)| Act::Unpublish(who, listing)),
        3 => (name(), name(), 0..4_u8).prop_map(|(from, about, content)| Act::Report(from, about, content)),
        1 => (0..40 * 24 * 3_600_u64).prop_map(Act::Pass),
        1 => Just(Act::Forget),
        1 => Just(Act::Reopen),
        1 => (name(), 0..4_u8).prop_map(|(who, content)| Act::Fail(who, content)),
    ]
}

/// What should be there.
#[derive(Default)]
struct Model {
    accounts: Vec<Known>,
    /// The last account that was made.
    last: Option<AccountId>,
    sessions: BTreeMap<SessionId, (AccountId, Duration, Duration)>,
    listings: BTreeMap<u64, (AccountId, &'static str, u8)>,
    reports: BTreeSet<(u64, AccountId, AccountId, u8)>,
}

struct Known {
    id: AccountId,
    name: &'static str,
    is_disabled: bool,
    downloads: u32,
}

impl Model {
    fn find(&self, who: usize) -> Option<&Known> {
        self.accounts.iter().find(|known| name(known.name).folded() == name(NAMES[who]).folded())
    }

    fn by_id(&self, id: AccountId) -> &Known {
        self.accounts.iter().find(|known| known.id == id).unwrap()
    }

    /// In the order of the list: number, name, owner, content.
    fn listed(&self, text: &str) -> Vec<(u64, &'static str, AccountId, u8)> {
        let folded = |text: &str| crate::text::folded(text);
        let mut listed: Vec<_> = self
            .listings
            .iter()
            .filter(|(_, (owner, name, _))| {
                !self.by_id(*owner).is_disabled && folded(name).contains(&folded(text))
            })
            .map(|(&id, &(owner, name, content))| (id, name, owner, content))
            .collect();
        listed.sort_by_key(|&(id, name, ..)| (folded(name), id));
        listed
    }

    /// Does the same to both.
    fn apply(&mut self, scene: &mut Scene, act: &Act, now: &mut Duration) {
        match *act {
            Act::Register(who) => {
                let made = scene.write(|writer| writer.register(&name(NAMES[who]), &hash(), *now));
                if self.find(who).is_some() {
                    assert_eq!(made, Err(NotRegistered::Taken));
                } else {
                    let id = made.unwrap();
                    assert!(Some(id) > self.last, "no number is given twice");
                    self.last = Some(id);
                    self.accounts.push(Known { id, name: NAMES[who], is_disabled: false, downloads: 0 });
                }
            }
            Act::Disable(who, is_disabled) => {
                let Some(id) = self.find(who).map(|known| known.id) else { return };
                let ended = scene.write(|writer| writer.set_disabled(id, is_disabled));
                let known = self.accounts.iter_mut().find(|known| known.id == id).unwrap();
                known.is_disabled = is_disabled;
                assert_eq!(sorted(ended), if is_disabled { self.end(id) } else { Vec::new() });
            }
            Act::Reset(who) => {
                let Some(id) = self.find(who).map(|known| known.id) else { return };
                let ended = scene.write(|writer| writer.set_password(id, &hash()));
                assert_eq!(sorted(ended), self.end(id));
            }
            Act::Remove(who) => {
                let Some(id) = self.find(who).map(|known| known.id) else { return };
                let published = self.listings.values().filter(|listing| listing.0 == id).count() as u64;
                let removed = scene.write(|writer| writer.remove(id));
                assert_eq!(removed.listings, published);
                assert_eq!(sorted(removed.ended), self.end(id));
                assert!(removed.is_done);
                self.accounts.retain(|known| known.id != id);
                self.listings.retain(|_, listing| listing.0 != id);
                self.reports.retain(|report| report.1 != id && report.2 != id);
            }
            Act::Open(who, number) => self.open(scene, who, number, *now),
            Act::Close(number) => {
                let id = session(AccountId::from_number(0), number).id;
                let closed = scene.write(|writer| writer.close_session(id));
                assert_eq!(closed, self.sessions.remove(&id).is_some());
            }
            Act::Publish(who, what, content) => self.publish(scene, who, NAMES[what], content),
            Act::Unpublish(who, at) => {
                let Some(owner) = self.find(who).map(|known| known.id) else { return };
                let id = self.listings.keys().nth(at).copied().unwrap_or(1_000);
                let is_theirs = self.listings.get(&id).is_some_and(|listing| listing.0 == owner);
                let gone = scene.write(|writer| writer.unpublish(owner, ListingId::from_number(id)));
                assert_eq!(gone, is_theirs);
                if gone {
                    self.listings.remove(&id);
                }
            }
            Act::Report(from, about, content) => self.report(scene, from, about, content, *now),
            Act::Pass(seconds) => *now += Duration::from_secs(seconds),
            Act::Forget => {
                while scene.write(|writer| writer.forget(*now)).1 {}
                self.sessions.retain(|_, (_, _, expires)| *expires > *now);
                self.reports.retain(|report| report.0 >= day(*now));
            }
            Act::Reopen => scene.catalogue = Catalogue::open(&scene.path()).unwrap(),
            Act::Fail(who, content) => {
                let owner = self.find(who).map(|known| known.id);
                let path = scene.path();
                let failed: Result<(), CatalogueError> = scene.catalogue.write(|writer| {
                    writer.register(&name("nobody"), &hash(), *now)?.unwrap();
                    if let Some(owner) = owner {
                        Composition::new(content).publish(writer, owner, "nothing")?.ok();
                    }
                    Err(CatalogueError::Full { path })
                });
                assert!(failed.is_err());
            }
        }
    }

    fn end(&mut self, account: AccountId) -> Vec<SessionId> {
        let (ended, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.sessions).into_iter().partition(|(_, session)| session.0 == account);
        self.sessions = left.into_iter().collect();
        ended.into_iter().map(|(id, _)| id).collect()
    }

    fn open(&mut self, scene: &mut Scene, who: usize, number: u64, now: Duration) {
        let Some(known) = self.find(who) else { return };
        let mut opened = session(known.id, number);
        opened.expires = now + SESSION_SPAN;
        if self.sessions.contains_key(&opened.id) {
            return;
        }
        let result = scene.write(|writer| writer.open_session(&opened, &hash(), now));
        if known.is_disabled {
            assert_eq!(result, Err(NotOpened));
            return;
        }
        let account = known.id;
        let theirs = self.sessions.iter().filter(|(_, session)| session.0 == account);
        let mut theirs: Vec<(Duration, SessionId)> = theirs.map(|(&id, session)| (session.1, id)).collect();
        // Of those that were opened at the same time, those with the greater ids go first.
        theirs.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let most = usize::try_from(SESSIONS_PER_ACCOUNT_MAX).unwrap() - 1;
        let ended: Vec<SessionId> = theirs.into_iter().skip(most).map(|(_, id)| id).collect();
        assert_eq!(result.unwrap().ended, ended);
        self.sessions.retain(|id, _| !ended.contains(id));
        self.sessions.insert(opened.id, (account, now, opened.expires));
    }

    fn publish(&mut self, scene: &mut Scene, who: usize, text: &'static str, content: u8) {
        let Some(known) = self.find(who) else { return };
        let owner = known.id;
        let result = scene.write(|writer| Composition::new(content).publish(writer, owner, text));
        if known.is_disabled {
            assert_eq!(result, Err(NotPublished::Nobody));
            return;
        }
        let published = result.unwrap();
        let same =
            |(_, name, _, other): &(u64, &'static str, AccountId, u8)| (*name, *other) == (text, content);
        let mut before: Vec<_> = self.listed("").into_iter().filter(same).collect();
        before.sort_by_key(|&(id, _, by, _)| (by != owner, id));
        if let Some(&(id, _, by, _)) = before.first() {
            let already_by = (by != owner).then(|| name(self.by_id(by).name));
            assert_eq!((published.id.number(), published.is_new), (id, false));
            assert_eq!(published.already_by, already_by);
        } else {
            assert!(published.is_new && published.already_by.is_none());
            let id = published.id.number();
            assert!(self.listings.insert(id, (owner, text, content)).is_none());
        }
        let folded = crate::text::folded(text);
        let namesake = |&(_, name, _, other): &(u64, &str, AccountId, u8)| {
            crate::text::folded(name) == folded && other != content
        };
        let mut namesakes: BTreeMap<u8, u64> = BTreeMap::new();
        self.listed("").iter().filter(|listing| namesake(listing)).for_each(|&(id, _, _, other)| {
            namesakes.entry(other).and_modify(|first| *first = id.min(*first)).or_insert(id);
        });
        let mut first: Vec<u64> = namesakes.into_values().collect();
        first.sort_unstable();
        let told: Vec<u64> = published.namesakes.iter().map(|listing| listing.id.number()).collect();
        assert_eq!(told, first);
    }

    fn report(&mut self, scene: &mut Scene, from: usize, about: usize, content: u8, now: Duration) {
        let (Some(from), Some(about)) = (self.find(from), self.find(about)) else { return };
        let (reporter, about) = (from.id, about.id);
        let report = Report { reporter, about, swarm: Composition::new(content).swarm() };
        let result = scene.write(|writer| writer.report(&report, now, plus_one));
        let expected = if reporter == about {
            Err(Uncounted::Oneself)
        } else if !self.reports.insert((day(now), reporter, about, content)) {
            Err(Uncounted::Again)
        } else {
            let known = self.accounts.iter_mut().find(|known| known.id == about).unwrap();
            known.downloads += 1;
            Ok(f64::from(known.downloads))
        };
        assert_eq!(result.map(|counts| counts.downloads), expected);
    }

    /// What everybody sees is the same.
    fn compare(&self, scene: &mut Scene, now: Duration) {
        for (who, text) in NAMES.iter().enumerate() {
            let found = scene.read(|reader| reader.account(&name(text)));
            let found = found.map(|account| (account.id, account.name.to_string(), account.is_disabled));
            let known = self.find(who).map(|known| (known.id, known.name.to_owned(), known.is_disabled));
            assert_eq!(found, known);
        }
        let live = self.sessions.iter().filter(|(_, session)| session.2 > now);
        let live: BTreeMap<SessionId, AccountId> = live.map(|(&id, session)| (id, session.0)).collect();
        let found = scene.read(|reader| reader.sessions(now));
        let found: BTreeMap<SessionId, AccountId> =
            found.iter().map(|session| (session.id, session.account)).collect();
        assert_eq!(found, live);
        for text in TEXTS {
            let listed = self.listed(text);
            let mut pages: Vec<Listing> = Vec::new();
            loop {
                let after = pages.last().map(After::listing);
                let page = scene.read(|reader| reader.list(text, after.as_ref(), 3));
                assert_eq!(page.matches, listed.len() as u64);
                pages.extend(page.listings);
                if !page.has_more {
                    break;
                }
            }
            let pages: Vec<_> = pages
                .iter()
                .map(|listing| (listing.id.number(), listing.name.as_str(), listing.account))
                .collect();
            assert_eq!(
                pages,
                listed.iter().map(|&(id, name, by, _)| (id, name, by)).collect::<Vec<_>>(),
                "{text}"
            );
        }
        check_sums(scene);
    }
}

fn day(now: Duration) -> u64 {
    now.as_secs() / DAY.as_secs()
}

fn sorted(mut ids: Vec<SessionId>) -> Vec<SessionId> {
    ids.sort_unstable();
    ids
}

/// What is counted along is what there is.
pub(super) fn check_sums(scene: &mut Scene) {
    let differ = "SELECT (SELECT listings <> (SELECT count(*) FROM listings) \
                      OR sessions <> (SELECT count(*) FROM sessions) OR parts <> (SELECT coalesce(sum(length(parts)), 0) / 20 FROM digests) FROM totals) \
                  + (SELECT count(*) FROM accounts WHERE sessions <> \
                      (SELECT count(*) FROM sessions WHERE account = accounts.id) OR listings <> \
                      (SELECT count(*) FROM listings WHERE account = accounts.id) OR parts <> \
                      (SELECT coalesce(sum(length(digests.parts)), 0) / 20 FROM digests JOIN listings \
                       ON listings.id = listing WHERE account = accounts.id)) \
                  + (SELECT count(*) FROM listings) - (SELECT count(*) FROM digests)";
    assert_eq!(scene.read(|reader| reader.value::<i64>(differ, [])), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn it_does_what_lists_in_memory_would_do(acts in prop::collection::vec(act(), 1..80)) {
        let (mut scene, mut model, mut now) = (Scene::new(), Model::default(), NOW);
        // Commits wait for the disk; here they need not.
        for act in acts {
            scene.catalogue.database.pragma_update(None, "synchronous", "OFF").unwrap();
            model.apply(&mut scene, &act, &mut now);
            model.compare(&mut scene, now);
        }
    }
}
