//! Takes part in sharing one composition, until the user wants no more.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Receiver;

use orchestra::address::HostPort;
use orchestra::catalogue;
use orchestra::cli::{self, Exit};
use orchestra::composer::{ComposeError, Composed, Request, compose};
use orchestra::conductor::{self, Conductor};
use orchestra::console::{self, About, End, View, Watched, WorkBar};
use orchestra::host::signal::{self, Signal};
use orchestra::host::state::StateDir;
use orchestra::host::tcp::{self, ListenOn};
use orchestra::host::{directory, manifest_file};
use orchestra::limits::CONDUCTOR_PORT_DEFAULT;
use orchestra::manifest::Manifest;
use orchestra::member::{Config, Member, Outcome, SessionSource, StartError};
use orchestra::shell;

use crate::{Options, PROGRAM, Sharing};

/// What is shared, and where it is.
pub(crate) struct Part {
    pub(crate) manifest: Manifest,
    /// Where the manifest is.
    pub(crate) path: PathBuf,
    /// Where the composition is, or will be.
    pub(crate) dir: PathBuf,
    pub(crate) conductor: HostPort,
    /// The whole composition is there, and was read a moment ago.
    pub(crate) verified: bool,
    /// It came from a catalogue, where the digest of the whole is what its publisher claims: that is checked.
    pub(crate) claimed: bool,
}

impl Part {
    /// Takes part until the user wants no more.
    pub(crate) fn take(&self, sharing: &Sharing, signals: &Receiver<Signal>) -> Result<Exit, Box<dyn Error>> {
        show(self.start(sharing)?, self.about(), sharing, signals)
    }

    fn start(&self, sharing: &Sharing) -> Result<Member, StartError> {
        Member::start(Config {
            manifest: Arc::new(self.manifest.clone()),
            dir: self.dir.clone(),
            listen: sharing.listen,
            session: session(&self.conductor),
            conductor: Some(self.conductor.clone()),
            members: sharing.members.clone(),
            leave: sharing.leave,
            repair: sharing.repair,
            check_digest: sharing.check_digest || self.claimed,
            verified: self.verified,
            up: sharing.up,
            down: sharing.down,
            classic: sharing.classic,
        })
    }

    /// What the views are told; where the member listens is not known yet.
    fn about(&self) -> About {
        About {
            program: PROGRAM,
            version: env!("CARGO_PKG_VERSION"),
            name: self.manifest.name().as_str().to_owned(),
            manifest: self.path.clone(),
            file: self.dir.join(self.manifest.name().as_str()),
            listen: (Ipv4Addr::UNSPECIFIED, 0).into(),
            swarm: self.manifest.swarm_id(),
            classic: false,
        }
    }
}

impl Sharing {
    /// How to show what is done.
    pub(crate) fn view(&self) -> View {
        View::choose(self.json, self.quiet)
    }

    /// Whether people read what is printed.
    pub(crate) fn shows(&self) -> bool {
        matches!(self.view(), View::Live | View::Lines)
    }

    pub(crate) fn start_log(&self) {
        cli::start_log(PROGRAM, self.logs.as_deref());
    }
}

/// What proves to this conductor who announces, as long as the user is logged in there.
fn session(conductor: &HostPort) -> SessionSource {
    let conductor = conductor.clone();
    match StateDir::of_user() {
        Ok(state) => SessionSource::new(move || catalogue::speaker(&state, &conductor)),
        // Who has no home was never logged in.
        Err(_) => SessionSource::nobody(),
    }
}

/// Gets the composition of this manifest and shares it on.
pub(crate) fn get(path: &Path, options: &Options) -> Result<Exit, Box<dyn Error>> {
    let manifest = manifest_file::read(path)?;
    let dir = options.sharing.dir.clone().unwrap_or_else(|| directory::of(path).to_owned());
    let conductor = options.conductor.clone().unwrap_or_else(|| manifest.conductor().clone());
    let signals = signal::watch()?;
    let part = Part { manifest, path: path.to_owned(), dir, conductor, verified: false, claimed: false };
    part.take(&options.sharing, &signals)
}

/// Composes this file, conducts and shares it.
pub(crate) fn share(file: &Path, options: &Options) -> Result<Exit, Box<dyn Error>> {
    let signals = signal::watch()?;
    // With a conductor of the user's choice, that one conducts.
    let (conducting, conductor) = match &options.conductor {
        Some(conductor) => (None, conductor.clone()),
        None => {
            let conducting = start_conductor(options.sharing.classic)?;
            let conductor = reach(&conducting)?;
            (Some(conducting), conductor)
        }
    };
    let output = options.sharing.dir.as_ref().map(|dir| {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(".orch");
        dir.join(name)
    });
    let request = Request { file: file.to_owned(), conductor: conductor.clone(), part_len: None, output };
    let shows = options.sharing.shows();
    let composed = match compose_until_stopped(&request, shows, &signals) {
        Err(ComposeError::Stopped { .. }) => return Ok(Exit::Incomplete),
        other => other?,
    };
    let dir = directory::of(file).to_owned();
    let (manifest, path) = (composed.manifest, composed.path);
    let part = Part { manifest, path, dir, conductor, verified: true, claimed: false };
    let member = part.start(&options.sharing)?;
    if shows {
        let name = part.path.file_name().unwrap_or_default();
        let conducts = match &conducting {
            Some(conducting) => {
                let listens = ListenOn::from(conducting.address());
                format!(
                    "Conducts as well: listens on {listens}, where others reach it as {}.\n",
                    part.conductor
                )
            }
            None => String::new(),
        };
        let text = format!(
            "{conducts}Copy {} to the other computers; there, beside it, type:\n  member {}\n",
            shell::word(&part.path),
            shell::word(Path::new(name))
        );
        cli::tell(&text)?;
    }
    let exit = show(member, part.about(), &options.sharing, &signals);
    if let Some(conducting) = conducting {
        conducting.stop();
        conducting.join()?;
    }
    exit
}

/// Composes with a progress bar; ^C and the like end it before anything is written.
pub(crate) fn compose_until_stopped(
    request: &Request,
    shows: bool,
    signals: &Receiver<Signal>,
) -> Result<Composed, ComposeError> {
    let stop = AtomicBool::new(false);
    let mut bar = WorkBar::new();
    let mut composed = compose(request, &stop, |done, all| {
        if shows {
            bar.show(done, all);
        }
        if signals.try_recv().is_ok() {
            stop.store(true, Ordering::Relaxed);
        }
    });
    bar.clear();
    if stop.load(Ordering::Relaxed) {
        composed = Err(ComposeError::Stopped { path: request.file.clone() });
    }
    composed
}

/// A conductor at the usual port, or at any if that one is taken.
fn start_conductor(classic: bool) -> Result<Conductor, conductor::StartError> {
    let at = |port| conductor::Config { classic, ..conductor::Config::new(ListenOn::EveryAddress(port)) };
    Conductor::start(at(CONDUCTOR_PORT_DEFAULT)).or_else(|_taken| Conductor::start(at(0)))
}

/// How others most likely reach this computer's conductor.
fn reach(conductor: &Conductor) -> Result<HostPort, Box<dyn Error>> {
    let host = tcp::outward_address().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Ok(SocketAddr::new(host, conductor.port()).to_string().parse()?)
}

/// Shows the member until it has ended.
fn show(
    member: Member,
    about: About,
    sharing: &Sharing,
    signals: &Receiver<Signal>,
) -> Result<Exit, Box<dyn Error>> {
    let about = About { listen: member.address(), classic: sharing.classic, ..about };
    let watched = Watched {
        snapshot: &|| member.snapshot(),
        stop: &|| member.stop(),
        news: member.news(),
        ended: member.ended(),
        signals,
    };
    let end = console::watch(sharing.view(), &about, &watched)?;
    match end {
        // Nothing is waited for; the system takes back what we hold.
        End::Interrupted => {
            std::mem::forget(member);
            Ok(Exit::Interrupted)
        }
        End::PipeClosed => {
            member.join()?;
            Ok(Exit::Done)
        }
        End::Ended => Ok(match member.join()? {
            Outcome::Complete => Exit::Done,
            Outcome::Incomplete => Exit::Incomplete,
        }),
    }
}
