//! The folder of an ensemble on the disk: looked at, and changed without losing a byte.
//!
//! - [`beneath`]: paths by directory handles, so that no symbolic link leads out of the folder;
//! - [`root`]: which folder it is, and whether it still is the one;
//! - [`reuse`]: what is here already of contents that are to come;
//! - [`lending`]: files that are read for others;
//! - [`temp`]: contents on their way, until they are whole and on the disk;
//! - [`apply`]: putting them in place, and what was there into the archive;
//! - [`archive`]: what was replaced or deleted, for a month;
//! - [`scan`]: looks at what is there, and what is proven absent;
//! - [`rules`]: what is left out;
//! - [`watch`]: hints that something in it was changed;
//! - [`content`]: files read once, hashed and cut into chunks;
//! - [`index`]: what is known of every path, ours and others';
//! - [`facts`]: what the disk told of it;
//! - [`trouble`]: what the disk would not do.
//!
//! It reports facts and carries out orders; what should be where is decided elsewhere.

pub mod apply;
pub mod archive;
pub mod beneath;
pub mod content;
mod disk;
pub mod facts;
pub mod index;
pub mod lending;
pub mod reuse;
pub mod root;
pub mod rules;
pub mod scan;
pub mod temp;
pub mod trouble;
pub mod watch;

pub use self::beneath::{Beneath, Folder, Kind, Stat};
pub use self::disk::{Space, Unsettled};
pub use self::root::Root;
pub use self::trouble::{FolderError, Trouble};
