//! The user's side of a conductor's catalogue: each call is one conversation, from meeting the conductor to its answer.
//!
//! It works in the calling thread and prints nothing. It does not know how anything is shown, or what is done with a
//! manifest.

mod error;
pub mod naming;
mod place;
mod trust;

pub use self::error::ClientError;
use self::naming::{is_same_name, is_wanted, leads_to, readings};
pub use self::place::{BadPlace, Place};
use self::trust::{Distrust, Trust, judge};
use crate::account::AccountName;
use crate::address::HostPort;
use crate::credential::{Fingerprint, Secret, SessionToken, Speaker};
use crate::digest::Digest;
use crate::host::clock;
use crate::host::state::{Known, Login, StateDir, StateError};
use crate::identity::SwarmId;
use crate::limits::{
    ACCOUNT_NAME_MAX, DIGESTS_PER_FRAME, LISTINGS_PER_PAGE, NAME_LEN_MAX, NAMESAKES_MAX, PASSWORD_LEN_MAX,
    SEARCH_LEN_MAX,
};
use crate::manifest::Manifest;
use crate::name::Name;
use crate::part::Layout;
use crate::stream::catalogue::{self, Conversation};
use crate::wire::catalogue::{self as wire, Digests, Query, Reply, Request, Wanted};
pub use crate::wire::catalogue::{Composition, Details, Holder, Listed, Published, Refusal};
pub use crate::wire::desk::Reach;

/// Says whether the user wants no more; looked at while something is waited for.
pub type GiveUp<'a> = &'a dyn Fn() -> bool;

/// One who asks a conductor's catalogue.
pub struct Client<'a> {
    place: Place,
    state: StateDir,
    give_up: GiveUp<'a>,
    tell: &'a dyn Fn(News<'_>),
}

/// What a user should know that is not the answer.
#[derive(Debug)]
pub enum News<'a> {
    /// The conductor was never met before; from now on its key is known.
    FirstMet {
        /// Of its key.
        fingerprint: Fingerprint,
    },
    /// The user has named another key than the one that was remembered; from now on that one is known.
    NewKey {
        /// Of the key that it has now.
        fingerprint: Fingerprint,
        /// Of the one that it had before.
        before: Fingerprint,
    },
    /// What was found out could not be remembered.
    NotRemembered(&'a StateError),
    /// The session has ended; what follows is asked without one.
    SessionOver {
        /// Whose it was.
        account: &'a str,
    },
}

/// A session that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// The name of the account, as it was registered.
    pub account: String,
    /// When the session ends by itself, in seconds since 1970.
    pub expires: u64,
}

/// Some listings, and where they stand among all that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// In the order of their names.
    pub rows: Vec<Row>,
    /// How many match in all.
    pub matches: u32,
    /// Whether more come after these.
    pub more: bool,
}

/// A listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What the catalogue says.
    pub listed: Listed,
    /// Its name, as it came: with digits where others have the same.
    pub name: String,
}

impl<'a> Client<'a> {
    /// Will ask the conductor at this place; `tell` hears news meanwhile.
    #[must_use]
    pub fn new(place: Place, state: StateDir, give_up: GiveUp<'a>, tell: &'a dyn Fn(News<'_>)) -> Client<'a> {
        Client { place, state, give_up, tell }
    }

    /// Where the conductor is.
    #[must_use]
    pub const fn conductor(&self) -> &HostPort {
        &self.place.conductor
    }

    /// Looks whether the conductor is there, has a catalogue and the right key, and remembers that: to be done before a
    /// password is asked for. Returns the fingerprint.
    ///
    /// # Errors
    /// There is no such conductor, or it is another one; or what is known cannot be written.
    pub fn meet(&self) -> Result<Fingerprint, ClientError> {
        let (_, known) = self.begin(Memory::Needed)?;
        Ok(known.fingerprint)
    }

    /// Makes an account and logs in.
    ///
    /// # Errors
    /// As of [`Client::meet`]; the name is taken, name or password cannot be.
    pub fn register(&self, name: &str, password: Secret) -> Result<Entered, ClientError> {
        self.enter(name, password, Request::Register)
    }

    /// Begins a session.
    ///
    /// # Errors
    /// As of [`Client::meet`]; name or password are wrong.
    pub fn login(&self, name: &str, password: Secret) -> Result<Entered, ClientError> {
        self.enter(name, password, Request::Login)
    }

    /// Gives the account another password. All its sessions end, and a new one begins here.
    ///
    /// # Errors
    /// As of [`Client::login`]; the new password cannot be one.
    pub fn renew(&self, name: &str, password: Secret, new: Secret) -> Result<Entered, ClientError> {
        if new.reveal().len() > PASSWORD_LEN_MAX {
            let (conductor, about) = (self.conductor().clone(), name.to_owned());
            return Err(ClientError::Refused { conductor, about, refusal: Refusal::BadPassword });
        }
        let renewal = |login| Request::Renew(wire::Renewal { login, password: new });
        self.enter(name, password, renewal)
    }

    fn enter(
        &self,
        name: &str,
        password: Secret,
        request: impl FnOnce(wire::Login) -> Request,
    ) -> Result<Entered, ClientError> {
        // What is longer than any message is not sent.
        let refusal = match password.reveal().len() {
            _ if name.chars().count() > ACCOUNT_NAME_MAX => Some(Refusal::BadName),
            ..=PASSWORD_LEN_MAX => None,
            _ => Some(Refusal::BadPassword),
        };
        if let Some(refusal) = refusal {
            let conductor = self.conductor().clone();
            return Err(ClientError::Refused { conductor, about: name.to_owned(), refusal });
        }
        // What follows is worth nothing if it cannot be kept.
        let (mut talk, known) = self.begin(Memory::Needed)?;
        match self.ask(&mut talk, &request(wire::Login { name: name.to_owned(), password }))? {
            Reply::Session(session) => {
                let (account, expires) = (session.account, session.expires);
                let login = Login { account: account.clone(), token: session.token, expires };
                self.state.write(self.conductor(), &Known { login: Some(login), ..known })?;
                Ok(Entered { account, expires })
            }
            other => Err(self.no(other, name, &talk)),
        }
    }

    /// Ends the session, here and at the conductor. Returns whose it was.
    ///
    /// # Errors
    /// There is none, or the conductor cannot be asked: then it goes on.
    pub fn logout(&self) -> Result<String, ClientError> {
        let known = self.state.read(self.conductor())?;
        let Some(login) = known.and_then(|known| known.login) else { return Err(self.not_logged_in()) };
        // One that is over was ended and told of by `resume`.
        if let (mut talk, Some(account)) = self.resume()? {
            match self.ask(&mut talk, &Request::Logout)? {
                Reply::Done | Reply::Refused(Refusal::SessionOver | Refusal::LoginFirst) => {
                    self.forget(&login.token)?;
                }
                other => return Err(self.no(other, &account, &talk)),
            }
        }
        Ok(login.account)
    }

    /// Whose session there is: looked up before something that takes long and needs one.
    ///
    /// # Errors
    /// As of [`Client::publish`].
    pub fn account(&self) -> Result<String, ClientError> {
        self.resume()?.1.ok_or_else(|| self.not_logged_in())
    }

    /// Puts a composition into the catalogue.
    ///
    /// # Errors
    /// As of [`Client::meet`]; nobody is logged in, or the catalogue does not take it.
    pub fn publish(&self, manifest: &Manifest) -> Result<Published, ClientError> {
        let name = manifest.name().as_str();
        let mut talk = self.resume_surely()?;
        talk.say(&Request::Publish(Composition {
            name: name.to_owned(),
            digest: *manifest.digest().as_bytes(),
            size: manifest.layout().size(),
            part_len: manifest.layout().part_len(),
        }))?;
        for digests in manifest.part_digests().chunks(DIGESTS_PER_FRAME) {
            if let Err(error) = talk.say(&Request::Digests(Digests::new(digests))) {
                // Whoever refuses it may not read all of it, but says why.
                return match talk.hear() {
                    Ok(reply) => Err(self.no(self.vetted(reply)?, name, &talk)),
                    Err(_) => Err(error.into()),
                };
            }
        }
        match self.vetted(talk.hear()?)? {
            Reply::Published(published) => Ok(published),
            other => Err(self.no(other, name, &talk)),
        }
    }

    /// Takes those out of the catalogue that this account published under the very name of one that it has just published; they
    /// are returned. Those that are many namesakes away, as [`Published`] tells only a few, stay.
    ///
    /// # Errors
    /// As of [`Client::unpublish`]; what was taken out before stays so.
    pub fn take_out_older(
        &self,
        account: &str,
        manifest: &Manifest,
        published: &Published,
    ) -> Result<Vec<Listed>, ClientError> {
        let name = manifest.name().as_str();
        let is_older = |other: &&Listed| other.publisher == account && other.composition.name == name;
        let older: Vec<Listed> = published.namesakes.iter().filter(is_older).cloned().collect();
        if older.is_empty() {
            return Ok(older);
        }
        let mut talk = self.resume_surely()?;
        for listed in &older {
            let digits = SwarmId::from_bytes(listed.swarm).digits();
            let wanted = Wanted { name: name.to_owned(), digits };
            match self.ask(&mut talk, &Request::Unpublish(wanted))? {
                // It is gone by another hand of the same user.
                Reply::Done | Reply::Refused(Refusal::NotFound) => {}
                other => return Err(self.no(other, name, &talk)),
            }
        }
        Ok(older)
    }

    /// Lists compositions whose names contain `text`: `limit` of them, after the first `skip`.
    ///
    /// # Errors
    /// As of [`Client::meet`]; the conductor is private, and nobody is logged in.
    pub fn list(&self, text: &str, skip: u64, limit: u64) -> Result<Listing, ClientError> {
        if text.len() > SEARCH_LEN_MAX {
            return Err(ClientError::SearchLen);
        }
        let (mut talk, _) = self.resume()?;
        // Some before and some after these, for they may have the same name.
        let around = NAMESAKES_MAX as u64;
        let (from, to) = (skip.saturating_sub(around), skip.saturating_add(limit).saturating_add(around));
        let (mut seen, mut after, mut matches) = (0u64, None, 0);
        let mut window = Vec::new();
        while seen < to {
            let limit = u16::try_from((to - seen).min(LISTINGS_PER_PAGE as u64)).unwrap_or(u16::MAX);
            let page =
                match self.ask(&mut talk, &Request::List(Query { text: text.to_owned(), after, limit }))? {
                    Reply::Page(page) => page,
                    other => return Err(self.no(other, text, &talk)),
                };
            (matches, after) = (page.matches, page.next);
            let count = page.listings.len() as u64;
            let first = usize::try_from(from.saturating_sub(seen)).unwrap_or(usize::MAX);
            window.extend(page.listings.into_iter().skip(first));
            seen += count;
            if after.is_none() || count == 0 {
                break;
            }
        }
        let before = usize::try_from(skip - from).unwrap_or(usize::MAX);
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = window.len() > before.saturating_add(shown);
        let rows = (before..window.len()).take(shown).map(|at| row(&window, at)).collect();
        Ok(Listing { rows, matches, more })
    }

    /// All about the composition that this text names.
    ///
    /// # Errors
    /// As of [`Client::list`]; there is none, or several have that name.
    pub fn details(&self, text: &str) -> Result<Details, ClientError> {
        let (mut talk, _) = self.resume()?;
        let (_, reply) = self.look_up(&mut talk, text, Request::Details)?;
        match reply {
            Reply::Details(details) => Ok(details),
            other => Err(self.no(other, text, &talk)),
        }
    }

    /// The manifest of the composition that this text names, with this conductor as its conductor.
    ///
    /// # Errors
    /// As of [`Client::details`]; or what came describes something else.
    pub fn fetch(&self, text: &str) -> Result<Manifest, ClientError> {
        let (mut talk, _) = self.resume()?;
        let (wanted, reply) = self.look_up(&mut talk, text, Request::Fetch)?;
        let composition = match reply {
            Reply::Manifest(composition) => composition,
            other => return Err(self.no(other, text, &talk)),
        };
        let misled = || self.misled(text);
        let (name, layout) = checked(&composition, &wanted).ok_or_else(misled)?;
        let digest = Digest::from_bytes(composition.digest);
        let mut digests = Vec::new();
        while digests.len() < layout.parts() as usize {
            match talk.hear()? {
                Reply::Digests(more) => {
                    let room = layout.parts() as usize - digests.len();
                    if !(1..=room).contains(&more.iter().len()) {
                        return Err(misled());
                    }
                    digests.extend(more.iter());
                }
                other => return Err(self.no(other, text, &talk)),
            }
        }
        let manifest = Manifest::new(self.conductor().clone(), name, digest, layout, digests);
        // Now it is known what the digits of its swarm id are.
        if leads_to(&wanted.digits, digest, manifest.swarm_id()) { Ok(manifest) } else { Err(misled()) }
    }

    /// Takes the user's composition that this text names out of the catalogue.
    ///
    /// # Errors
    /// As of [`Client::publish`]; there is none, several have that name, or it is somebody else's.
    pub fn unpublish(&self, text: &str) -> Result<(), ClientError> {
        let mut talk = self.resume_surely()?;
        match self.look_up(&mut talk, text, Request::Unpublish)? {
            (_, Reply::Done) => Ok(()),
            (_, other) => Err(self.no(other, text, &talk)),
        }
    }

    /// Asks about what this text may name, one reading after the other, until there is such a composition.
    fn look_up(
        &self,
        talk: &mut Conversation<GiveUp<'a>>,
        text: &str,
        request: impl Fn(Wanted) -> Request,
    ) -> Result<(Wanted, Reply), ClientError> {
        let mut last = Reply::Refused(Refusal::NotFound);
        // No name is longer than that, and no message could carry it.
        for wanted in readings(text).into_iter().filter(|wanted| wanted.name.len() <= NAME_LEN_MAX) {
            let found = self.ask(talk, &request(wanted.clone()))?;
            let told = match &found {
                Reply::Refused(Refusal::NotFound) => {
                    last = found;
                    continue;
                }
                Reply::Details(details) => std::slice::from_ref(&details.listed),
                Reply::Several(several) => several.as_slice(),
                _ => &[],
            };
            let is_right = told.iter().all(|listed| is_wanted(&wanted, listed));
            return if is_right { Ok((wanted, found)) } else { Err(self.misled(text)) };
        }
        Err(self.no(last, text, talk))
    }

    /// What the conductor answers, if its names are names.
    fn ask(&self, talk: &mut Conversation<GiveUp<'a>>, request: &Request) -> Result<Reply, ClientError> {
        self.vetted(talk.ask(request)?)
    }

    /// This answer, if all names in it are names; that of a manifest is looked at with the rest of it.
    fn vetted(&self, reply: Reply) -> Result<Reply, ClientError> {
        let is_sound = match &reply {
            Reply::Session(session) => is_account(&session.account),
            Reply::Account(account) => is_account(account),
            Reply::Published(told) => {
                told.already_by.iter().all(|account| is_account(account))
                    && told.namesakes.iter().all(is_named)
            }
            Reply::Page(page) => page.listings.iter().all(is_named),
            Reply::Details(details) => {
                let mut accounts = details.holders.iter().filter_map(|holder| holder.account.as_deref());
                is_named(&details.listed) && accounts.all(is_account)
            }
            Reply::Several(several) => several.iter().all(is_named),
            Reply::Manifest(_) | Reply::Done | Reply::Digests(_) | Reply::Refused(_) => true,
        };
        if is_sound {
            Ok(reply)
        } else {
            Err(ClientError::Unnameable { conductor: self.conductor().clone() })
        }
    }

    /// A conversation with the right conductor, and what is known of it.
    fn begin(&self, memory: Memory) -> Result<(Conversation<GiveUp<'a>>, Known), ClientError> {
        let known = self.state.read(self.conductor())?;
        let met = catalogue::meet(self.conductor(), self.give_up)?;
        let fingerprint = met.fingerprint();
        let judged = judge(fingerprint, self.place.pin, known.as_ref().map(|known| known.fingerprint));
        let trust = judged.map_err(|distrust| {
            let conductor = self.conductor().clone();
            match distrust {
                Distrust::Pinned(pinned) => ClientError::Pinned { conductor, pinned, shown: fingerprint },
                Distrust::Changed(known) => {
                    let file = self.state.file_of(&conductor);
                    ClientError::Changed { conductor, known, shown: fingerprint, file }
                }
            }
        })?;
        if let (Trust::Known, Some(known)) = (trust, known) {
            return Ok((met.talk(), known));
        }
        match trust {
            Trust::Instead(before) => (self.tell)(News::NewKey { fingerprint, before }),
            Trust::First | Trust::Known => (self.tell)(News::FirstMet { fingerprint }),
        }
        // A session with another key was one with another conductor.
        let known = Known { fingerprint, login: None };
        match self.state.write(self.conductor(), &known) {
            Err(error) if memory == Memory::Spared => (self.tell)(News::NotRemembered(&error)),
            written => written?,
        }
        Ok((met.talk(), known))
    }

    /// A conversation in the user's session, and whose that is; without one, if there is none.
    fn resume(&self) -> Result<(Conversation<GiveUp<'a>>, Option<String>), ClientError> {
        let (mut talk, known) = self.begin(Memory::Spared)?;
        let Some(login) = &known.login else { return Ok((talk, None)) };
        if known.session(clock::wall().as_secs()).is_some() {
            match self.ask(&mut talk, &Request::Resume(login.token.clone()))? {
                Reply::Account(account) => return Ok((talk, Some(account))),
                Reply::Refused(Refusal::SessionOver | Refusal::LoginFirst) => {}
                other => return Err(self.no(other, &login.account, &talk)),
            }
        }
        (self.tell)(News::SessionOver { account: &login.account });
        // It is found out again next time.
        if let Err(error) = self.forget(&login.token) {
            (self.tell)(News::NotRemembered(&error));
        }
        Ok((talk, None))
    }

    /// A conversation in the user's session.
    fn resume_surely(&self) -> Result<Conversation<GiveUp<'a>>, ClientError> {
        match self.resume()? {
            (talk, Some(_)) => Ok(talk),
            (_, None) => Err(self.not_logged_in()),
        }
    }

    /// This session is none any more; the conductor is known as before. One that was begun meanwhile is another one.
    fn forget(&self, token: &SessionToken) -> Result<(), StateError> {
        let is_it = |known: &Known| known.login.as_ref().is_some_and(|login| login.token == *token);
        if let Some(known) = self.state.read(self.conductor())?.filter(is_it) {
            self.state.write(self.conductor(), &Known { login: None, ..known })?;
        }
        Ok(())
    }

    fn misled(&self, about: &str) -> ClientError {
        ClientError::Misled { conductor: self.conductor().clone(), about: about.to_owned() }
    }

    fn not_logged_in(&self) -> ClientError {
        ClientError::NotLoggedIn { conductor: self.conductor().clone() }
    }

    /// What an answer means that is not the one that was hoped for.
    fn no(&self, reply: Reply, about: &str, talk: &Conversation<GiveUp<'a>>) -> ClientError {
        let (conductor, about) = (self.conductor().clone(), about.to_owned());
        match reply {
            Reply::Refused(refusal) => ClientError::Refused { conductor, about, refusal },
            Reply::Several(namesakes) => ClientError::Several { about, namesakes },
            _ => talk.misled().into(),
        }
    }
}

/// Whether it is needed that a conductor is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    /// Without it nothing may be said.
    Needed,
    /// It may fail.
    Spared,
}

/// With what a member proves its announces to this conductor; none if the user is not logged in there, or what is known
/// cannot be read.
#[must_use]
pub fn speaker(state: &StateDir, conductor: &HostPort) -> Option<Speaker> {
    let known =
        state.read(conductor).inspect_err(|error| log::warn!("{}", crate::text::chain(error))).ok()??;
    known.session(clock::wall().as_secs()).map(|login| login.token.speaker())
}

/// Whether a listing has the names of a composition and of an account, as they are.
fn is_named(listed: &Listed) -> bool {
    Name::may_be(&listed.composition.name) && is_account(&listed.publisher)
}

fn is_account(text: &str) -> bool {
    AccountName::parse(text).is_ok_and(|name| name.as_str() == text)
}

/// The row of the listing at this place, among its neighbours.
fn row(window: &[Listed], at: usize) -> Row {
    let listed = &window[at];
    let is_twin = |other: &&Listed| {
        is_same_name(&other.composition.name, &listed.composition.name) && other.swarm != listed.swarm
    };
    let beside = at.saturating_sub(NAMESAKES_MAX)..window.len().min(at + 1 + NAMESAKES_MAX);
    let twins: Vec<Listed> = window[beside].iter().filter(is_twin).cloned().collect();
    let name =
        if twins.is_empty() { listed.composition.name.clone() } else { naming::told_apart(listed, &twins) };
    Row { listed: listed.clone(), name }
}

/// The name and the layout of a composition, if it is one, and has the name that was asked for.
fn checked(composition: &Composition, wanted: &Wanted) -> Option<(Name, Layout)> {
    let name = Name::parse(&composition.name).ok().filter(|name| name.as_str() == composition.name)?;
    let layout = Layout::new(composition.size, composition.part_len.into()).ok()?;
    // Another name could be that of a file that is there, or will be read by somebody.
    is_same_name(&wanted.name, &composition.name).then_some((name, layout))
}
