//! In whose name a request goes out, and where that may lead.

use url::Url;

use super::error::HttpError;
use super::request::{Prepared, shown};
use crate::primitives::net::{Blocked, Policy, Target};
use crate::primitives::permit::HttpPermit;

pub(super) enum Reach<'a> {
    Granted {
        permit: &'a HttpPermit,
        policy: Policy,
    },
    /// To where the operator's configuration says.
    Operator(OnBehalf),
}

/// For whom it is that the operator's configuration is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::primitives) enum OnBehalf {
    /// The daemon: alerts, checks, secrets. They get through however much scripts have under way.
    Daemon,
    /// A script that called something which goes there.
    Script,
}

impl Reach<'_> {
    /// Whether the daemon itself waits for it.
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Operator(OnBehalf::Daemon))
    }

    /// Whether the request may be sent; where it goes to. `hop` counts the redirects before it.
    pub fn check(&self, request: &Prepared, hop: usize) -> Result<Target, HttpError> {
        let target = Target::of(&request.url).map_err(|reason| self.refused(&request.url, hop, reason))?;
        if let Self::Granted { policy, .. } = self {
            policy.check(&target).map_err(|reason| self.refused(&request.url, hop, reason))?;
            if let Some(pretended) = request.pretended()? {
                let checked = Target::of(&pretended).and_then(|target| policy.check(&target));
                checked.map_err(|reason| self.refused(&pretended, hop, reason))?;
            }
        }
        Ok(target)
    }

    pub fn refused(&self, url: &Url, hop: usize, reason: Blocked) -> HttpError {
        let what = match hop {
            0 => format!("the request to {}", self.shown(url)),
            _ => format!("following the redirect to {}", self.shown(url)),
        };
        let denied = |add: &str| match self {
            Self::Granted { permit, .. } => Some(permit.denied(what.clone(), add)),
            Self::Operator(_) => None,
        };
        match &reason {
            Blocked::BadTarget(problem) => HttpError::BadUrl(format!("{what}: {problem}")),
            Blocked::NotNamed { add, .. } => match denied(add) {
                Some(denied) => HttpError::NotGranted(denied),
                None => HttpError::DeniedAddress { what, reason, denied: None },
            },
            Blocked::NotPublic { add, .. } => {
                let denied = denied(add);
                HttpError::DeniedAddress { what, reason, denied }
            }
            Blocked::Denied { .. } => HttpError::DeniedAddress { what, reason, denied: None },
        }
    }

    /// A URL in messages. Of the operator's only the origin: a webhook's path is its password.
    pub fn shown(&self, url: &Url) -> String {
        match self {
            Self::Granted { .. } => shown(url),
            Self::Operator(_) => url.origin().ascii_serialization(),
        }
    }
}
