//! The 22 procedures (RFC 1813 section 3.3).

use crate::base::limits;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Procedure {
    Null,
    Getattr,
    Setattr,
    Lookup,
    Access,
    Readlink,
    Read,
    Write,
    Create,
    Mkdir,
    Symlink,
    Mknod,
    Remove,
    Rmdir,
    Rename,
    Link,
    Readdir,
    Readdirplus,
    Fsstat,
    Fsinfo,
    Pathconf,
    Commit,
}

impl Procedure {
    /// In the order of their numbers.
    pub const ALL: [Self; 22] = [
        Self::Null,
        Self::Getattr,
        Self::Setattr,
        Self::Lookup,
        Self::Access,
        Self::Readlink,
        Self::Read,
        Self::Write,
        Self::Create,
        Self::Mkdir,
        Self::Symlink,
        Self::Mknod,
        Self::Remove,
        Self::Rmdir,
        Self::Rename,
        Self::Link,
        Self::Readdir,
        Self::Readdirplus,
        Self::Fsstat,
        Self::Fsinfo,
        Self::Pathconf,
        Self::Commit,
    ];

    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// As metrics and the audit name it.
    pub fn name(self) -> &'static str {
        const NAMES: [&str; 22] = [
            "null",
            "getattr",
            "setattr",
            "lookup",
            "access",
            "readlink",
            "read",
            "write",
            "create",
            "mkdir",
            "symlink",
            "mknod",
            "remove",
            "rmdir",
            "rename",
            "link",
            "readdir",
            "readdirplus",
            "fsstat",
            "fsinfo",
            "pathconf",
            "commit",
        ];
        NAMES[self as usize]
    }

    /// Whether a second execution of the same call could do something else than the first, so that a retransmission
    /// has to be answered from memory.
    pub fn changes(self) -> bool {
        matches!(
            self,
            Self::Setattr
                | Self::Write
                | Self::Create
                | Self::Mkdir
                | Self::Symlink
                | Self::Mknod
                | Self::Remove
                | Self::Rmdir
                | Self::Rename
                | Self::Link
        )
    }

    /// Whether a call of this kind can be tried on the thread that reads the connection, where whatever it waits for
    /// holds up the calls behind it. What changes something can only if it is `alone`: a call in execution may hold a
    /// lock for as long as a disk takes.
    pub fn is_quick(self, alone: bool) -> bool {
        match self {
            Self::Create | Self::Mkdir | Self::Symlink | Self::Write => alone,
            // Removing frees what the file held, and listing may have to look at a tree that is new, which may be much.
            Self::Setattr | Self::Remove | Self::Rmdir | Self::Rename | Self::Readdir | Self::Readdirplus => false,
            // Rare, or waits for the disk.
            Self::Link | Self::Mknod | Self::Commit => false,
            _ => true,
        }
    }

    /// The most that the answer to a call with these arguments can take.
    pub fn answer_bytes_max(self, arguments: &[u8]) -> usize {
        // In the arguments of all three, the last word is how much the client wants.
        let last = arguments.last_chunk().map_or(0, |word| u32::from_be_bytes(*word));
        let wanted = match self {
            Self::Read => last.min(limits::NFS_TRANSFER_BYTES_MAX),
            Self::Readdir | Self::Readdirplus => last.min(limits::NFS_LISTING_BYTES_MAX),
            _ => 0,
        };
        wanted as usize + limits::NFS_REPLY_HEAD_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_rfc() {
        for (number, name) in
            [(0, "null"), (6, "read"), (7, "write"), (15, "link"), (17, "readdirplus"), (21, "commit")]
        {
            assert_eq!(Procedure::from_number(number).map(Procedure::name), Some(name));
        }
        assert_eq!(Procedure::from_number(22), None);
        assert_eq!(Procedure::from_number(u32::MAX), None);
        for (number, procedure) in Procedure::ALL.into_iter().enumerate() {
            assert_eq!(procedure as usize, number);
        }
    }

    #[test]
    fn an_answer_is_never_larger_than_its_bound() {
        let greedy = u32::MAX.to_be_bytes();
        let most = Procedure::ALL.into_iter().map(|procedure| procedure.answer_bytes_max(&greedy)).max();
        assert!(most.is_some_and(|most| most + limits::NFS_RECORD_BYTES_MAX < limits::NFS_CONNECTION_BYTES_MAX));
        assert_eq!(Procedure::Read.answer_bytes_max(&[]), limits::NFS_REPLY_HEAD_BYTES_MAX);
    }
}
