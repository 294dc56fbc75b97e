//! What a link's two threads and the keeper share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::entry::ContentHash;
use crate::host::folder::temp::Temp;
use crate::stream::Cut;
use crate::wire::ensemble::Slice;

/// A slice that was asked for.
#[derive(Clone, Debug)]
pub(in crate::ensemble) struct Asked {
    pub(in crate::ensemble) slice: Slice,
    /// Where it goes.
    pub(in crate::ensemble) place: Place,
}

/// Where a slice goes that was asked for.
#[derive(Clone, Debug)]
pub(in crate::ensemble) enum Place {
    /// It is a whole content.
    Short,
    /// It is this chunk of a longer one, unless that is not wanted any more, or whole.
    Chunk(Weak<Temp>, usize),
}

impl Asked {
    /// For a whole content.
    pub(in crate::ensemble) const fn short(content: ContentHash, len: u32) -> Asked {
        Asked { slice: Slice { content, offset: 0, len }, place: Place::Short }
    }

    /// For a chunk of a longer one.
    pub(in crate::ensemble) fn chunk(content: ContentHash, temp: &Arc<Temp>, at: usize) -> Asked {
        let slice = Slice { content, offset: temp.offset(at), len: temp.chunks()[at].len };
        Asked { slice, place: Place::Chunk(Arc::downgrade(temp), at) }
    }
}

/// One link's shared facts.
#[derive(Debug, Default)]
pub(in crate::ensemble) struct Shared {
    /// Cut: nothing more may be waited for.
    socket: Cut,
    /// The last word was said or heard: what still arrives is not looked at.
    closing: AtomicBool,
    /// How many slices the other side asked for that were not answered.
    owed: AtomicUsize,
    /// How many lists.
    owed_lists: AtomicUsize,
    /// What was asked for, in the order of asking, and not answered. Written by the writer before it asks, and by the
    /// reader when an answer comes.
    asked: Mutex<VecDeque<Asked>>,
    /// The same for pages of lists: which content, and from which chunk on.
    described: Mutex<VecDeque<(ContentHash, u32)>>,
}

impl Shared {
    pub(super) const fn socket(&self) -> &Cut {
        &self.socket
    }

    /// Ends the link at once: both threads stop waiting.
    pub(in crate::ensemble) fn cut(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.socket.cut();
    }

    pub(in crate::ensemble) fn is_cut(&self) -> bool {
        self.socket.is_cut()
    }

    pub(in crate::ensemble) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    pub(in crate::ensemble) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// These are about to be asked for.
    pub(super) fn ask(&self, asked: &[Asked]) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).extend(asked.iter().cloned());
    }

    /// The next answer is to this.
    pub(super) fn answer(&self) -> Option<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// This page is about to be asked for.
    pub(super) fn describe(&self, content: ContentHash, from: u32) {
        self.described.lock().unwrap_or_else(PoisonError::into_inner).push_back((content, from));
    }

    /// Whether the next page that was asked for is this one.
    pub(super) fn is_page(&self, content: ContentHash, from: u32) -> bool {
        self.described.lock().unwrap_or_else(PoisonError::into_inner).pop_front() == Some((content, from))
    }

    /// Whether anything was asked for that was not answered.
    pub(super) fn is_owing(&self) -> bool {
        let slices = self.asked.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        let pages = self.described.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        !(slices && pages)
    }

    /// The other side asked for so many slices; returns how many it is owed.
    pub(super) fn owe(&self, slices: usize) -> usize {
        self.owed.fetch_add(slices, Ordering::Relaxed) + slices
    }

    pub(super) fn paid(&self, slices: usize) {
        self.owed.fetch_sub(slices, Ordering::Relaxed);
    }

    /// The other side asked for a list; returns how many it is owed.
    pub(super) fn owe_list(&self) -> usize {
        self.owed_lists.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The list, or that there is none, was told.
    pub(super) fn paid_list(&self) {
        self.owed_lists.fetch_sub(1, Ordering::Relaxed);
    }
}
