//! What the commands of a catalogue have in common: which conductor is asked, how, and the user's password.

use std::cell::Cell;
use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _};
use crossbeam_channel::Receiver;
use thiserror::Error;
use zeroize::Zeroizing;

use orchestra::address::HostPort;
use orchestra::catalogue::{Client, ClientError, News, Place};
use orchestra::cli::{self, Exit};
use orchestra::console::catalogue::{news_json, news_text, several_json};
use orchestra::credential::Secret;
use orchestra::host::error::FileAction;
use orchestra::host::signal::Signal;
use orchestra::host::state::{Conductors, StateDir};
use orchestra::host::{HostError, clock, terminal};
use orchestra::limits::{PASSWORD_LEN_MAX, PASSWORD_LEN_MIN};
use orchestra::text::{Escaped, chain};

use crate::{Arguments, PROGRAM};

/// Which conductor is asked, if no option says so.
const CONDUCTOR_VARIABLE: &str = "ORCHESTRA_CONDUCTOR";
/// Where a password may be, beside a file and the terminal.
const PASSWORD_VARIABLE: &str = "ORCHESTRA_PASSWORD";
/// Where one that is to be one may be, where the other one is asked for as well.
const NEW_PASSWORD_VARIABLE: &str = "ORCHESTRA_NEW_PASSWORD";
/// What is read of a password: what is longer is refused all the same, but as what it is.
const PASSWORD_READ_MAX: u64 = PASSWORD_LEN_MAX as u64 + 3;

/// Where a password comes from.
#[derive(Debug, Args)]
pub(crate) struct PasswordFrom {
    /// The password is in this file [default: $ORCHESTRA_PASSWORD, or asked]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// What a password is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It is to be one from now on.
    New,
    /// It is one.
    Existing,
}

/// Why there is no password.
#[derive(Debug, Error)]
enum NoPassword {
    #[error("there is no terminal to ask for the password; use --{option} FILE or ${variable}")]
    NobodyToAsk { option: &'static str, variable: &'static str },
    #[error("the password is not UTF-8 text")]
    NotText,
    #[error("a password has {PASSWORD_LEN_MIN} to {PASSWORD_LEN_MAX} bytes, this one has {len}")]
    Len { len: String },
    #[error("these are two passwords, not one; nothing was changed")]
    Differ,
}

/// One who asks a catalogue, for a command.
pub(crate) struct Asker<'a> {
    pub(crate) client: Client<'a>,
    give_up: &'a dyn Fn() -> bool,
    json: bool,
}

/// Does something with a catalogue: finds out which, and says what there is to be said meanwhile.
pub(crate) fn ask(
    conductor: Option<&Place>,
    json: bool,
    quiet: bool,
    signals: &Receiver<Signal>,
    work: impl FnOnce(&Asker<'_>) -> Result<Exit, Box<dyn Error>>,
) -> Result<Exit, Box<dyn Error>> {
    let state = StateDir::of_user()?;
    let place = choose(conductor, &state, json || quiet)?;
    let conductor = place.conductor.clone();
    let stopped = Cell::new(false);
    let give_up = || {
        stopped.set(stopped.get() || signals.try_recv().is_ok());
        stopped.get()
    };
    let tell = |news: News<'_>| tell_news(&conductor, &news, json, quiet);
    let asker = Asker { client: Client::new(place, state, &give_up, &tell), give_up: &give_up, json };
    let result = work(&asker);
    match result {
        Err(error) => match error.downcast_ref::<ClientError>() {
            Some(error) if error.is_stop() => Ok(Exit::Incomplete),
            Some(ClientError::Several { namesakes, .. }) if json => {
                cli::tell(several_json(&conductor, namesakes) + "\n")?;
                Err(error)
            }
            _ => Err(error),
        },
        done => done,
    }
}

/// The conductor that is meant: the named one, that of the environment, the only one that is known, or of several the only
/// one with a session.
fn choose(named: Option<&Place>, state: &StateDir, silent: bool) -> Result<Place, Box<dyn Error>> {
    if let Some(place) = named {
        return Ok(place.clone());
    }
    if let Some(text) = env::var_os(CONDUCTOR_VARIABLE).filter(|text| !text.is_empty()) {
        let text = text.to_string_lossy();
        return Ok(text.parse().unwrap_or_else(|error| {
            wrong(
                ErrorKind::ValueValidation,
                &format!("${CONDUCTOR_VARIABLE} is '{}': {error}", Escaped(&text)),
            )
        }));
    }
    let Conductors { mut known, left_out } = state.conductors()?;
    let mut why = "the only conductor known here";
    for error in left_out {
        cli::note(format!("One conductor is left out: {}\n", chain(&error)));
    }
    if known.len() > 1 {
        // A look at another one, or at the same one under another name, leaves it clear which one is meant.
        let now = clock::wall().as_secs();
        let mut ours = known.iter().filter(|(_, known)| known.session(now).is_some());
        if let (Some(only), None) = (ours.next(), ours.next()) {
            known = vec![only.clone()];
            why = "the only conductor at which you are logged in";
        }
    }
    let conductor = match known.as_slice() {
        [_] => known.remove(0).0,
        [] => wrong(
            ErrorKind::MissingRequiredArgument,
            &format!(
                "which conductor? None is known here yet; name it with --conductor HOST:PORT or ${CONDUCTOR_VARIABLE}"
            ),
        ),
        several => {
            let names: Vec<String> = several.iter().map(|(conductor, _)| conductor.to_string()).collect();
            wrong(
                ErrorKind::MissingRequiredArgument,
                &format!(
                    "which conductor? Known here are {}; name one with --conductor or ${CONDUCTOR_VARIABLE}",
                    names.join(", ")
                ),
            )
        }
    };
    if !silent {
        cli::note(format!("Asks {conductor}, {why}.\n"));
    }
    Ok(Place { conductor, pin: None })
}

/// Ends the program as wrong options do.
fn wrong(kind: ErrorKind, text: &str) -> ! {
    Arguments::command().error(kind, text).exit()
}

fn tell_news(conductor: &HostPort, news: &News<'_>, json: bool, quiet: bool) {
    match news {
        // What scripts do not read, their users do.
        _ if json && !matches!(news, News::NotRemembered(_)) => {
            if let Some(object) = news_json(conductor, news)
                && let Err(error) = cli::tell(object + "\n")
            {
                cli::note(format!("{PROGRAM}: {error}\n"));
            }
        }
        News::SessionOver { .. } if quiet => {}
        _ => cli::note(news_text(conductor, news)),
    }
}

impl Asker<'_> {
    /// Prints an answer: one or more objects for programs, or lines for people.
    pub(crate) fn answer(
        &self,
        json: impl FnOnce() -> String,
        text: impl FnOnce() -> String,
    ) -> io::Result<()> {
        cli::tell(if self.json { json() + "\n" } else { text() })
    }

    /// The password for this account. Who is asked for it knows by then that the conductor is the right one. None if the
    /// user wants no more.
    pub(crate) fn password(
        &self,
        from: &PasswordFrom,
        purpose: Purpose,
        account: &str,
    ) -> Result<Option<Secret>, Box<dyn Error>> {
        let question = format!("Password for {} at {}: ", Escaped(account), self.client.conductor());
        self.secret(from.password_file.as_deref(), PASSWORD_VARIABLE, purpose, &question)
    }

    /// What the password of this account is to be. None if the user wants no more.
    pub(crate) fn new_password(
        &self,
        file: Option<&Path>,
        account: &str,
    ) -> Result<Option<Secret>, Box<dyn Error>> {
        let question = format!("New password for {} at {}: ", Escaped(account), self.client.conductor());
        self.secret(file, NEW_PASSWORD_VARIABLE, Purpose::New, &question)
    }

    fn secret(
        &self,
        file: Option<&Path>,
        variable: &'static str,
        purpose: Purpose,
        question: &str,
    ) -> Result<Option<Secret>, Box<dyn Error>> {
        let password = if let Some(path) = file {
            let mut text =
                Zeroizing::new(Vec::with_capacity(usize::try_from(PASSWORD_READ_MAX).unwrap_or(0)));
            let read = |file: File| file.take(PASSWORD_READ_MAX).read_to_end(&mut text);
            File::open(path).and_then(read).map_err(HostError::file(FileAction::Read, path))?;
            // What follows the first line may be anything, and may be cut off anywhere.
            let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
            if first.len() > PASSWORD_LEN_MAX + 1 {
                return Err(NoPassword::Len { len: "more".to_owned() }.into());
            }
            str::from_utf8(first).map_err(|_| NoPassword::NotText)?.to_owned().into()
        } else if let Some(text) = env::var_os(variable).filter(|text| !text.is_empty()) {
            text.into_string().map_err(|_| NoPassword::NotText)?.into()
        } else if terminal::has_keys() {
            self.client.meet()?;
            let Some(password) = self.typed(question)? else { return Ok(None) };
            if purpose == Purpose::New {
                let password = checked(password.reveal())?;
                let Some(again) = self.typed("The same again: ")? else { return Ok(None) };
                if line(again.reveal()) != password {
                    return Err(NoPassword::Differ.into());
                }
            }
            password
        } else {
            let option = if variable == PASSWORD_VARIABLE { "password-file" } else { "new-password-file" };
            return Err(NoPassword::NobodyToAsk { option, variable }.into());
        };
        let password =
            if purpose == Purpose::New { checked(password.reveal())? } else { line(password.reveal()) };
        Ok(Some(password.to_owned().into()))
    }

    fn typed(&self, question: &str) -> Result<Option<Secret>, Box<dyn Error>> {
        let typed = terminal::ask_secret(question, PASSWORD_READ_MAX, self.give_up)?;
        // What is no text was replaced: two passwords would be one.
        if typed.as_ref().is_some_and(|typed| typed.reveal().contains(char::REPLACEMENT_CHARACTER)) {
            return Err(NoPassword::NotText.into());
        }
        Ok(typed)
    }
}

/// The first line, whatever ends it.
fn line(text: &str) -> &str {
    text.split(['\r', '\n']).next().unwrap_or_default()
}

/// The first line, if it can be a password.
fn checked(text: &str) -> Result<&str, NoPassword> {
    let password = line(text);
    match password.len() {
        PASSWORD_LEN_MIN..=PASSWORD_LEN_MAX => Ok(password),
        len if len > PASSWORD_LEN_MAX => Err(NoPassword::Len { len: "more".to_owned() }),
        len => Err(NoPassword::Len { len: len.to_string() }),
    }
}
