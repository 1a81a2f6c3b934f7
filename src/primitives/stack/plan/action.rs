//! What is done, in words that people read.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{Container, Reason};

/// What is to be done, in this order where one thing needs another.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Plan {
    pub project: String,
    pub actions: Vec<Action>,
    /// What must be there and is not: the plan cannot be carried out before it is.
    pub missing: Vec<String>,
    pub warnings: Vec<String>,
    /// How many containers go at once when a stack is taken away, round after round.
    #[serde(skip)]
    pub rounds: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Action {
    pub verb: Verb,
    pub kind: Kind,
    /// Of the object, as it is called afterwards.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Of the container that is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(serialize_with = "texts")]
    pub reasons: Vec<Reason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Pull,
    Build,
    Create,
    Recreate,
    Update,
    Rename,
    Start,
    Restart,
    Stop,
    Remove,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Image,
    Network,
    Volume,
    Container,
    Secret,
    Config,
    Service,
}

impl Plan {
    pub(in crate::primitives::stack) fn of(project: &str) -> Self {
        Self { project: project.to_owned(), ..Self::default() }
    }

    pub(in crate::primitives::stack) fn add(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// Its actions on one kind of object.
    pub fn on(&self, kind: Kind) -> impl Iterator<Item = &Action> {
        self.actions.iter().filter(move |action| action.kind == kind)
    }
}

impl Action {
    pub(in crate::primitives::stack) fn image(verb: Verb, image: &str, service: &str, reason: Reason) -> Self {
        Self { service: Some(service.to_owned()), ..Self::surrounding(Kind::Image, verb, image, reason) }
    }

    pub(in crate::primitives::stack) fn surrounding(kind: Kind, verb: Verb, name: &str, reason: Reason) -> Self {
        Self { verb, kind, name: name.to_owned(), service: None, number: None, id: None, reasons: vec![reason] }
    }

    pub(in crate::primitives::stack) fn creation(service: &str, name: &str, number: u32) -> Self {
        Self {
            service: Some(service.to_owned()),
            number: Some(number),
            ..Self::surrounding(Kind::Container, Verb::Create, name, Reason::Missing)
        }
    }

    pub(super) fn container(verb: Verb, found: &Container, reason: Reason) -> Self {
        Self { id: Some(found.id.clone()), verb, ..Self::creation(&found.service, &found.name, found.number) }
            .because(reason)
    }

    pub(in crate::primitives::stack) fn because(mut self, reason: Reason) -> Self {
        self.reasons = vec![reason];
        self
    }
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Build => "build",
            Self::Create => "create",
            Self::Recreate => "recreate",
            Self::Update => "update",
            Self::Rename => "rename",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Remove => "remove",
        }
    }
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Container => "container",
            Self::Secret => "secret",
            Self::Config => "config",
            Self::Service => "service",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons: Vec<String> = self.reasons.iter().map(ToString::to_string).collect();
        write!(f, "{} {} {}: {}", self.verb.as_str(), self.kind.as_str(), self.name, reasons.join("; "))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "{}: nothing to do", self.project);
        }
        self.actions.iter().try_for_each(|action| writeln!(f, "{action}"))
    }
}

fn texts<S: Serializer>(reasons: &[Reason], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(reasons.iter().map(ToString::to_string))
}
