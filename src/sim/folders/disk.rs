//! A folder on a made-up disk.

use std::collections::BTreeMap;

use crate::entry::{Attributes, Content, ContentHash, TreePath};

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) attributes: Attributes,
}

impl Node {
    pub(super) fn folder() -> Node {
        Node { content: Content::Folder, attributes: Attributes::default() }
    }
}

/// A tree: what is in something is in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Disk(BTreeMap<TreePath, Node>);

impl Disk {
    pub(super) fn get(&self, path: &TreePath) -> Option<&Node> {
        self.0.get(path)
    }

    pub(super) fn paths(&self) -> impl DoubleEndedIterator<Item = &TreePath> {
        self.0.keys()
    }

    pub(super) fn nodes(&self) -> Vec<(TreePath, Node)> {
        self.0.iter().map(|(path, node)| (path.clone(), node.clone())).collect()
    }

    pub(super) fn hashes(&self) -> impl Iterator<Item = ContentHash> + '_ {
        self.0.values().filter_map(|node| node.content.hash())
    }

    /// Whether something can be put there without anything else giving way.
    pub(super) fn can_hold(&self, path: &TreePath) -> bool {
        path.parent()
            .is_none_or(|parent| self.0.get(&parent).is_some_and(|node| node.content == Content::Folder))
    }

    pub(super) fn is_empty_folder(&self, path: &TreePath) -> bool {
        !self.0.keys().any(|other| other.is_beneath(path))
    }

    /// Puts it there, with the folders above it.
    pub(super) fn put(&mut self, path: &TreePath, node: Node) {
        let mut above = path.parent();
        while let Some(parent) = above {
            above = parent.parent();
            self.0.entry(parent).or_insert_with(Node::folder);
        }
        self.0.insert(path.clone(), node);
    }

    /// Removes it, and what is in it.
    pub(super) fn remove(&mut self, path: &TreePath) -> Vec<(TreePath, Node)> {
        let gone: Vec<TreePath> =
            self.0.keys().filter(|other| *other == path || other.is_beneath(path)).cloned().collect();
        gone.into_iter().filter_map(|path| self.0.remove_entry(&path)).collect()
    }

    /// Removes what is at the path, and what is not a folder above it.
    pub(super) fn clear_way(&mut self, path: &TreePath) -> Vec<(TreePath, Node)> {
        let mut gone = self.remove(path);
        let mut above = path.parent();
        while let Some(parent) = above {
            if self.0.get(&parent).is_some_and(|node| node.content != Content::Folder) {
                gone.extend(self.remove(&parent));
            }
            above = parent.parent();
        }
        gone
    }

    /// Sets what is remembered beside a file. Whether there is one.
    pub(super) fn touch(&mut self, path: &TreePath, attributes: Attributes) -> bool {
        match self.0.get_mut(path) {
            Some(node) if matches!(node.content, Content::File { .. }) => {
                node.attributes = attributes;
                true
            }
            _ => false,
        }
    }

    /// The first path at which two disks differ.
    pub(super) fn differs_from(&self, other: &Disk) -> Option<TreePath> {
        self.0.keys().chain(other.0.keys()).find(|path| self.0.get(*path) != other.0.get(*path)).cloned()
    }
}
