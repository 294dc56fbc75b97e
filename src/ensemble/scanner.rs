//! Looks at the folder for the keeper, which compares what is there with what it knows.

use std::sync::Arc;

use super::context::Context;
use super::keeper::Event;
use crate::entry::TreePath;
use crate::host::folder::FolderError;
use crate::host::folder::root::Standing;
use crate::host::folder::rules::{Rules, RulesError};
use crate::host::folder::scan::{Look, LookTrouble, Seen, Sight, Walk};
use crate::limits::SIGHTS_MAX;

/// What to look at.
#[derive(Debug)]
pub(super) enum Order {
    /// Everything, or these paths and what is beneath them.
    Look(Option<Vec<TreePath>>),
    /// Whether these, which were not seen, are absent. Folders are said to be such.
    Confirm(Vec<(TreePath, bool)>),
}

/// What a look tells, in its order.
#[derive(Debug)]
pub(super) enum Glimpse {
    /// A walk begins: of everything, or of this path.
    Begin(Option<TreePath>),
    /// Something is there.
    Seen(Seen),
    /// Something is not as it should be.
    Trouble(LookTrouble),
    /// The walk ends.
    End(Look),
}

/// How a look ended.
#[derive(Debug)]
pub(super) enum Looked {
    /// It is done, and the folder is there.
    Done(Arc<Rules>),
    /// These are absent.
    Absent(Vec<TreePath>),
    /// The folder is not there, or not the one that it was: nothing that was or was not seen means anything.
    Elsewhere(Standing),
    /// The system does not say what the folder is.
    Failed(FolderError),
    /// The rules of what is left out cannot be read.
    NoRules(RulesError),
}

/// Carries out an order.
pub(super) fn look(context: &Context, order: Order, cover: &dyn Fn(Option<&TreePath>)) -> Event {
    Event::Looked(try_look(context, order, cover).unwrap_or_else(|looked| looked))
}

fn try_look(context: &Context, order: Order, cover: &dyn Fn(Option<&TreePath>)) -> Result<Looked, Looked> {
    let rules = rules(context)?;
    match order {
        Order::Look(paths) => {
            let scopes = match paths {
                None => vec![None],
                Some(paths) => paths.into_iter().map(Some).collect(),
            };
            let mut page = Page { context, glimpses: Vec::new() };
            for scope in scopes {
                if context.is_stopping() {
                    break;
                }
                page.put(Glimpse::Begin(scope.clone()));
                let mut walk =
                    Walk::new(context.root.beneath(), &rules, scope.as_ref()).before_listing(cover);
                for sight in walk.by_ref() {
                    page.put(match sight {
                        Sight::Seen(seen) => Glimpse::Seen(seen),
                        Sight::Trouble(trouble) => Glimpse::Trouble(trouble),
                    });
                }
                page.put(Glimpse::End(walk.end()));
            }
            page.send();
            check(context)?;
            Ok(Looked::Done(Arc::new(rules)))
        }
        Order::Confirm(missing) => {
            let mut absent = Vec::new();
            for (path, is_folder) in missing {
                let mut walk = Walk::new(context.root.beneath(), &rules, Some(&path));
                let is_seen =
                    walk.by_ref().any(|sight| matches!(sight, Sight::Seen(seen) if seen.path == path));
                if !is_seen && walk.end().proves_absent(&rules, &path, is_folder) {
                    absent.push(path);
                }
            }
            // What was on a disk that is gone by now was not deleted.
            check(context)?;
            Ok(Looked::Absent(absent))
        }
    }
}

fn check(context: &Context) -> Result<(), Looked> {
    match context.root.look() {
        Ok(Standing::There { .. }) => Ok(()),
        Ok(standing) => Err(Looked::Elsewhere(standing)),
        Err(error) => Err(Looked::Failed(error)),
    }
}

fn rules(context: &Context) -> Result<Rules, Looked> {
    check(context)?;
    let (rules, bad) = Rules::read(context.root.beneath()).map_err(Looked::NoRules)?;
    for line in bad {
        log::warn!("{}", crate::text::chain(&line));
    }
    Ok(rules)
}

/// Glimpses on their way to the keeper.
struct Page<'c> {
    context: &'c Context,
    glimpses: Vec<Glimpse>,
}

impl Page<'_> {
    fn put(&mut self, glimpse: Glimpse) {
        self.glimpses.push(glimpse);
        if self.glimpses.len() >= SIGHTS_MAX {
            self.send();
        }
    }

    fn send(&mut self) {
        self.context.report(Event::Glimpses(std::mem::take(&mut self.glimpses)));
    }
}
