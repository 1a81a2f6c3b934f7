//! How many files the daemon may have open: connections are files, too.

use rustix::process::{Resource, Rlimit};

use crate::base::limits;

/// Raises the soft bound as far as the hard one lets it. Soft bounds are low for programs of old, which the daemon is not.
pub fn raise() {
    let bounds = rustix::process::getrlimit(Resource::Nofile);
    let Some(current) = raised(&bounds) else { return };
    if let Err(failure) = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..bounds }) {
        tracing::debug!(%failure, "the bound on open files stays as it is");
    }
}

/// None when it is high enough, or cannot be higher.
fn raised(bounds: &Rlimit) -> Option<u64> {
    let wanted = bounds.maximum.map_or(limits::OPEN_FILES_WANTED, |most| most.min(limits::OPEN_FILES_WANTED));
    bounds.current.filter(|current| *current < wanted).map(|_| wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_raised_as_far_as_it_may_be_and_never_lowered() {
        for (current, maximum, expected) in [
            (Some(1_024), Some(4_096), Some(4_096)),
            (Some(1_024), Some(1 << 20), Some(limits::OPEN_FILES_WANTED)),
            (Some(1_024), None, Some(limits::OPEN_FILES_WANTED)),
            (Some(4_096), Some(4_096), None),
            (Some(1 << 20), Some(1 << 20), None),
            (None, None, None),
        ] {
            assert_eq!(raised(&Rlimit { current, maximum }), expected, "{current:?} {maximum:?}");
        }
    }

    #[test]
    fn a_daemon_that_may_have_few_files_open_may_have_more_afterwards() {
        let before = rustix::process::getrlimit(Resource::Nofile);
        let low = Rlimit { current: Some(256), ..before };
        rustix::process::setrlimit(Resource::Nofile, low).expect("lowered");
        raise();
        assert_eq!(rustix::process::getrlimit(Resource::Nofile).current, raised(&low));
        rustix::process::setrlimit(Resource::Nofile, before).expect("as it was");
    }
}
