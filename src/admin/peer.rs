//! Who is on the other end of a connection, by the kernel's word.

use tokio::net::UnixStream;

use crate::model::{Identity, Role, TriggerKind};

/// A peer that is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("the credentials of the peer cannot be read: {0}")]
    Unknown(String),
    #[error("{0} is neither the daemon's user nor root")]
    Stranger(String),
}

/// The peer as an administrator, if it is the daemon's own user or root.
pub(super) fn identify(stream: &UnixStream) -> Result<Identity, Refused> {
    let credentials = stream.peer_cred().map_err(|error| Refused::Unknown(error.to_string()))?;
    admit(credentials.uid(), rustix::process::geteuid().as_raw())
}

fn admit(uid: u32, own: u32) -> Result<Identity, Refused> {
    let actor = actor(uid);
    if uid == own || uid == 0 {
        Ok(Identity::new(actor, Role::Admin, TriggerKind::Cli))
    } else {
        Err(Refused::Stranger(actor))
    }
}

/// `uid:1000(alice)`, or `uid:1000` when the user has no line in `/etc/passwd`.
fn actor(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    match user_name(&users, uid) {
        Some(name) => format!("uid:{uid}({name})"),
        None => format!("uid:{uid}"),
    }
}

fn user_name(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_stay_outside() {
        assert!(admit(1000, 1000).is_ok_and(|who| who.role == Role::Admin && who.actor.0.starts_with("uid:1000")));
        assert!(admit(0, 1000).is_ok());
        assert!(matches!(admit(1001, 1000), Err(Refused::Stranger(_))));
        assert!(matches!(admit(1000, 0), Err(Refused::Stranger(_))), "a daemon of root is root's alone");
    }

    #[test]
    fn names_come_from_the_passwd_file() {
        let users = "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/sh\nbroken\n";
        assert_eq!((user_name(users, 1000), user_name(users, 7)), (Some("alice"), None));
    }
}
