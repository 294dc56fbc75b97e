//! One folder on many machines: what is new here, and what to do about what is new elsewhere.
//!
//! Every machine keeps one [`Entry`](crate::entry::Entry) for each path that it has ever held, and tells it to the others.
//! Nothing else is stored but such observations: what is to be done follows from them, at any time anew.
//!
//! - [`mod@observe`]: what is seen on the disk, beside the entry, makes a new version or none;
//! - [`absence`]: when what is not seen counts as deleted;
//! - [`mod@plan`]: our entry and those of others make a step, the same on every machine that knows the same;
//! - [`mod@aside`]: under which name the loser of a conflict is kept;
//! - [`exchange`]: what one message of another member means, and whether it may come now;
//! - [`difference`]: a list of chunks as what it has in common with another one;
//! - [`gather`]: which chunk of a content to ask of whom next.
//!
//! In the end the version with the greatest [`Dot`](crate::entry::Dot) is in place everywhere. A version that the greater one's author
//! did not know is a conflict: whoever holds it keeps it aside before it takes the other, and a deletion of what
//! somebody changed meanwhile is answered by that change, written anew.
//! Why a conflict is resolved by those who hold the loser, and by nobody else, is in docs/decisions.md.

pub mod absence;
pub mod aside;
pub mod difference;
pub mod exchange;
pub mod gather;
pub mod observe;
pub mod plan;

pub use self::aside::aside;
pub use self::observe::observe;
pub use self::plan::{Around, Parent, Step, plan};
