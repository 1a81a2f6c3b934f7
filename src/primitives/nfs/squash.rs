//! Whom an export takes its callers for. What a client says about its users is worth nothing by itself.

use nfsserve::nfs::fattr3;

use super::v3::permission::{Caller, SET_GID, SET_UID};
use super::wire::auth::Credential;

/// The ids of nobody, as most systems have them.
const NOBODY: u32 = 65_534;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Squash {
    /// Every caller is this one, and every file is this one's: for volumes of one execution.
    All { uid: u32, gid: u32 },
    /// Root is nobody; others are believed.
    Root,
    /// Everybody is believed: only for clients that the operator controls.
    None,
}

impl Squash {
    pub fn caller(self, credential: &Credential) -> Caller {
        let (uid, gid, gids) = match credential {
            Credential::None => (NOBODY, NOBODY, Vec::new()),
            Credential::Unix { uid, gid, gids } => (*uid, *gid, gids.clone()),
        };
        match self {
            Self::All { uid, gid } => Caller { uid, gid, gids: Vec::new() },
            Self::Root if uid == 0 => Caller { uid: NOBODY, gid: NOBODY, gids: Vec::new() },
            Self::Root | Self::None => Caller { uid, gid, gids },
        }
    }

    /// A file's attributes as this export's clients see them.
    pub fn present(self, attributes: fattr3) -> fattr3 {
        match self {
            Self::All { uid, gid } => fattr3 { uid, gid, ..attributes },
            Self::Root | Self::None => attributes,
        }
    }

    /// The bits of a mode that may be set. Where the owner on the host is not the one that clients see, a file that
    /// takes its owner's rights when it runs would take the wrong one's.
    pub fn mode(self, mode: u32) -> u32 {
        match self {
            Self::All { .. } => mode & 0o7777 & !(SET_UID | SET_GID),
            Self::Root | Self::None => mode & 0o7777,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_means_root_too_and_loses_its_groups() {
        let root = Credential::Unix { uid: 0, gid: 0, gids: vec![0, 1] };
        let squash = Squash::All { uid: 1000, gid: 100 };
        assert_eq!(squash.caller(&root), Caller { uid: 1000, gid: 100, gids: Vec::new() });
        assert_eq!(squash.mode(0o6755), 0o755);
        let seen = squash.present(fattr3::default());
        assert_eq!((seen.uid, seen.gid), (1000, 100));
    }

    #[test]
    fn root_is_nobody_and_nobody_is_nobody() {
        let root = Credential::Unix { uid: 0, gid: 0, gids: vec![0] };
        assert_eq!(Squash::Root.caller(&root).uid, NOBODY);
        assert_eq!(Squash::None.caller(&Credential::None).uid, NOBODY);
        assert_eq!(Squash::None.caller(&root).gids, vec![0]);
    }
}
