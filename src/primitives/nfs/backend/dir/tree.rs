//! Which files a volume has, and under which names.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::atomic::AtomicU64;

use nfsserve::nfs::nfsstat3;

use crate::base::limits;
use crate::primitives::nfs::backend::{Entry, FileId};

/// Below are `.`, `..` and the start.
const COOKIE_FIRST: u64 = 3;

/// Where a name of a file is: the directory's number and the name's cookie in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link {
    directory: u64,
    cookie: u64,
}

#[derive(Debug)]
pub struct Node {
    pub generation: u64,
    links: Vec<Link>,
    pub kind: Kind,
}

#[derive(Debug)]
pub enum Kind {
    Directory(Box<Children>),
    /// Bytes on disk that the quota was charged for.
    Regular {
        charged: AtomicU64,
    },
    Other,
}

impl Kind {
    pub fn directory() -> Self {
        Self::Directory(Box::default())
    }
}

/// What a directory holds, in the order of its listing.
#[derive(Debug, Default)]
pub struct Children {
    by_cookie: BTreeMap<u64, Child>,
    /// The directory's time of change on disk when this was what is in it: seconds and nanoseconds.
    pub as_of: Option<(i64, u32)>,
}

#[derive(Debug)]
struct Child {
    name: Box<[u8]>,
    number: u64,
}

/// A name that was taken away.
#[derive(Debug, PartialEq, Eq)]
pub struct Removed {
    pub number: u64,
    /// Of a file that has no names any more: what the quota gets back, `None` for what is not a regular file.
    pub last: Option<Option<u64>>,
}

#[derive(Debug)]
pub struct Tree {
    nodes: HashMap<u64, Node>,
    root: u64,
}

impl Tree {
    pub fn new(root: FileId) -> Self {
        let node = Node { generation: root.generation, links: Vec::new(), kind: Kind::directory() };
        Self { nodes: HashMap::from([(root.number, node)]), root: root.number }
    }

    pub fn root(&self) -> u64 {
        self.root
    }

    pub fn get(&self, id: FileId) -> Result<&Node, nfsstat3> {
        self.nodes.get(&id.number).filter(|node| node.generation == id.generation).ok_or(nfsstat3::NFS3ERR_STALE)
    }

    pub fn id(&self, number: u64) -> Option<FileId> {
        self.nodes.get(&number).map(|node| FileId { number, generation: node.generation })
    }

    pub fn children(&self, id: FileId) -> Result<&Children, nfsstat3> {
        match &self.get(id)?.kind {
            Kind::Directory(children) => Ok(children),
            _ => Err(nfsstat3::NFS3ERR_NOTDIR),
        }
    }

    fn children_mut(&mut self, number: u64) -> Option<&mut Children> {
        match &mut self.nodes.get_mut(&number)?.kind {
            Kind::Directory(children) => Some(children),
            _ => None,
        }
    }

    /// Notes that the directory's listing is what the disk has as of this time of change.
    pub fn set_as_of(&mut self, directory: u64, time: Option<(i64, u32)>) {
        if let Some(children) = self.children_mut(directory) {
            children.as_of = time;
        }
    }

    pub fn parent(&self, number: u64) -> Option<u64> {
        if number == self.root {
            return Some(self.root);
        }
        self.nodes.get(&number)?.links.first().map(|link| link.directory)
    }

    /// The names of a file, each with its directory; none for the root.
    pub fn places(&self, number: u64) -> impl Iterator<Item = (u64, &[u8])> {
        let links = self.nodes.get(&number).map(|node| node.links.as_slice()).unwrap_or_default();
        links.iter().filter_map(|link| match &self.nodes.get(&link.directory)?.kind {
            Kind::Directory(children) => Some((link.directory, &*children.by_cookie.get(&link.cookie)?.name)),
            _ => None,
        })
    }

    pub fn child(&self, directory: FileId, name: &[u8]) -> Result<Option<FileId>, nfsstat3> {
        let children = self.children(directory)?;
        Ok(children.find(name).and_then(|cookie| self.id(children.by_cookie.get(&cookie)?.number)))
    }

    /// Adds a name. A file that has none yet is added with it; `true` then. Another file of that name, or an earlier
    /// file of that number, must have been taken away.
    pub fn insert(&mut self, directory: u64, name: &[u8], id: FileId, kind: impl FnOnce() -> Kind) -> bool {
        let Some(children) = self.children_mut(directory) else { return false };
        let Some(cookie) = children.free_cookie(name) else { return false };
        children.by_cookie.insert(cookie, Child { name: name.into(), number: id.number });
        let link = Link { directory, cookie };
        match self.nodes.get_mut(&id.number) {
            Some(node) => {
                node.links.push(link);
                false
            }
            None => {
                let node = Node { generation: id.generation, links: vec![link], kind: kind() };
                self.nodes.insert(id.number, node);
                true
            }
        }
    }

    /// Takes a name away, and the file with its last name. What a directory held must be gone before.
    pub fn remove(&mut self, directory: u64, name: &[u8]) -> Option<Removed> {
        let children = self.children_mut(directory)?;
        let cookie = children.find(name)?;
        let number = children.by_cookie.remove(&cookie)?.number;
        let node = self.nodes.get_mut(&number)?;
        node.links.retain(|link| *link != Link { directory, cookie });
        if !node.links.is_empty() {
            return Some(Removed { number, last: None });
        }
        let node = self.nodes.remove(&number)?;
        let charged = match node.kind {
            Kind::Regular { charged } => Some(charged.into_inner()),
            _ => None,
        };
        Some(Removed { number, last: Some(charged) })
    }

    /// Moves a name. What had the new name must be gone before.
    pub fn rename(&mut self, from: u64, from_name: &[u8], to: u64, to_name: &[u8]) {
        let taken = self.children_mut(from).and_then(|children| {
            let cookie = children.find(from_name)?;
            Some((cookie, children.by_cookie.remove(&cookie)?.number))
        });
        let Some((old, number)) = taken else { return };
        let new = self.children_mut(to).and_then(|children| {
            let cookie = children.free_cookie(to_name)?;
            children.by_cookie.insert(cookie, Child { name: to_name.into(), number });
            Some(cookie)
        });
        let Some(node) = self.nodes.get_mut(&number) else { return };
        node.links.retain(|link| *link != Link { directory: from, cookie: old });
        node.links.extend(new.map(|cookie| Link { directory: to, cookie }));
    }

    /// Entries after `cookie`, and whether there are more.
    pub fn list(&self, directory: FileId, cookie: u64, entries_max: usize) -> Result<(Vec<Entry>, bool), nfsstat3> {
        let children = self.children(directory)?;
        let mut after = children.by_cookie.range((Bound::Excluded(cookie), Bound::Unbounded));
        let entry = |(cookie, child): (&u64, &Child)| {
            let id = self.id(child.number)?;
            Some(Entry { cookie: *cookie, name: child.name.to_vec(), id })
        };
        let entries = after.by_ref().take(entries_max).filter_map(entry).collect();
        Ok((entries, after.next().is_some()))
    }

    /// The names in a directory.
    pub fn names(&self, directory: FileId) -> Result<Vec<Vec<u8>>, nfsstat3> {
        Ok(self.children(directory)?.by_cookie.values().map(|child| child.name.to_vec()).collect())
    }
}

impl Children {
    /// The cookies that a name may have, the likeliest first. They follow from the name alone, so that they are the
    /// same after a restart.
    fn candidates(name: &[u8]) -> impl Iterator<Item = u64> {
        let digest = blake3::hash(name);
        let word = digest.as_bytes().iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte));
        // Clients take cookies for offsets, which are not negative.
        let first = (word >> 1).clamp(COOKIE_FIRST, (i64::MAX as u64) - limits::NFS_COOKIE_PROBES_MAX);
        first..first + limits::NFS_COOKIE_PROBES_MAX
    }

    fn find(&self, name: &[u8]) -> Option<u64> {
        Self::candidates(name).find(|cookie| self.by_cookie.get(cookie).is_some_and(|child| *child.name == *name))
    }

    /// `None` only when nine names have one digest.
    fn free_cookie(&self, name: &[u8]) -> Option<u64> {
        Self::candidates(name).find(|cookie| !self.by_cookie.contains_key(cookie))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> FileId {
        FileId { number, generation: number * 10 }
    }

    fn regular() -> Kind {
        Kind::Regular { charged: AtomicU64::new(4096) }
    }

    #[test]
    fn a_file_lives_as_long_as_it_has_names() {
        let mut tree = Tree::new(id(1));
        assert!(tree.insert(1, b"a", id(2), regular));
        assert!(!tree.insert(1, b"b", id(2), regular));
        assert_eq!(tree.places(2).count(), 2);
        assert_eq!(tree.remove(1, b"a"), Some(Removed { number: 2, last: None }));
        assert_eq!(tree.remove(1, b"a"), None);
        assert_eq!(tree.remove(1, b"b"), Some(Removed { number: 2, last: Some(Some(4096)) }));
        assert!(tree.get(id(2)).is_err());
    }

    #[test]
    fn another_generation_is_another_file() {
        let mut tree = Tree::new(id(1));
        tree.insert(1, b"a", id(2), regular);
        let later = FileId { number: 2, generation: 21 };
        assert!(matches!(tree.get(later), Err(nfsstat3::NFS3ERR_STALE)));
    }

    #[test]
    fn a_directory_keeps_what_it_holds_when_it_moves() {
        let mut tree = Tree::new(id(1));
        tree.insert(1, b"from", id(2), Kind::directory);
        tree.insert(1, b"to", id(3), Kind::directory);
        tree.insert(2, b"file", id(4), regular);
        tree.rename(1, b"from", 3, b"moved");
        assert_eq!(tree.parent(2), Some(3));
        assert_eq!(tree.places(4).collect::<Vec<_>>(), [(2, &b"file"[..])]);
        assert_eq!(tree.places(2).collect::<Vec<_>>(), [(3, &b"moved"[..])]);
    }

    #[test]
    fn a_listing_goes_on_where_it_was_whatever_comes_and_goes() {
        let mut tree = Tree::new(id(1));
        for number in 2..1002 {
            tree.insert(1, format!("file{number}").as_bytes(), id(number), regular);
        }
        let mut seen = std::collections::HashSet::new();
        let mut cookie = 0;
        loop {
            let (entries, more) = tree.list(id(1), cookie, 7).expect("a directory");
            for entry in &entries {
                assert!(entry.cookie >= COOKIE_FIRST && entry.cookie <= i64::MAX as u64);
                assert!(seen.insert(entry.name.clone()), "twice: {:?}", entry.name);
            }
            let Some(last) = entries.last() else { break };
            cookie = last.cookie;
            // The one where the listing stands goes away, and another comes.
            tree.remove(1, &last.name);
            let number = 5000 + seen.len() as u64;
            tree.insert(1, format!("new{number}").as_bytes(), id(number), regular);
            if !more {
                break;
            }
        }
        for number in 2..1002 {
            assert!(seen.contains(format!("file{number}").as_bytes()), "file{number} was left out");
        }
    }
}
