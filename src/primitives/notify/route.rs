//! A route as the configuration has it: where it leads, and how what goes over it is told.

use std::time::Duration;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::destination::Destination;
use super::message::{Message, Severity};
use super::quiet::Quiet;
use crate::base::limits;
use crate::primitives::option::Span;
use crate::primitives::template::Template;

/// Written as a list of destinations, or as a mapping where more is to be said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Route {
    pub to: Vec<Destination>,
    /// Messages of one key within this time become one with a count.
    pub group: Option<Duration>,
    /// Hours in which what is not critical waits.
    pub quiet: Option<Quiet>,
    pub title: Option<Template>,
    pub text: Option<Template>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    to: Vec<Destination>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quiet: Option<Quiet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<Template>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Template>,
}

impl Route {
    /// As the route's templates say it, with how often it came. A template that cannot be filled changes nothing.
    pub(super) fn told(&self, name: &str, message: &Message, count: u64) -> Message {
        let mut told = message.clone();
        if self.title.is_some() || self.text.is_some() {
            let fields: serde_json::Map<_, _> =
                message.fields.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
            let values = serde_json::json!({
                "title": message.headline(), "text": message.text, "severity": message.severity.as_str(),
                "fields": fields, "url": message.url, "route": name, "count": count,
            });
            let fill = |template: &Option<Template>, old: &str| match template.as_ref().map(|one| one.render(&values)) {
                Some(Ok(text)) => text,
                Some(Err(problem)) => {
                    tracing::warn!(route = name, %problem, "a template cannot be filled; the message goes out without it");
                    old.to_owned()
                }
                None => old.to_owned(),
            };
            (told.title, told.text) = (fill(&self.title, &message.title), fill(&self.text, &message.text));
        }
        if count > 1 {
            told.title = format!("{} ({count} times)", told.headline());
        }
        told
    }

    /// Messages with the same key are grouped. Their severity is part of it: one that is worse is no repetition.
    pub(super) fn key(message: &Message) -> String {
        let own = message.key.as_deref().unwrap_or_else(|| message.headline());
        let end = own.floor_char_boundary(limits::NOTIFY_KEY_BYTES_MAX);
        format!("{}/{}", message.severity.as_str(), &own[..end])
    }

    /// Until when a message of this severity waits.
    pub fn quiet_until(&self, severity: Severity, now: crate::base::Timestamp) -> Option<crate::base::Timestamp> {
        self.quiet.as_ref().filter(|_| severity < Severity::Critical)?.until(now)
    }
}

impl From<Vec<Destination>> for Route {
    fn from(to: Vec<Destination>) -> Self {
        Self { to, ..Self::default() }
    }
}

impl Serialize for Route {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { to, group, quiet, title, text } = self.clone();
        if group.is_none() && quiet.is_none() && title.is_none() && text.is_none() {
            return to.serialize(serializer);
        }
        Raw { to, group: group.map(Span), quiet, title, text }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Route {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Shape)
    }
}

struct Shape;

impl<'de> Visitor<'de> for Shape {
    type Value = Route;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of destinations, or a mapping with `to`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Route, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(Route::from)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Route, A::Error> {
        let Raw { to, group, quiet, title, text } = Raw::deserialize(MapAccessDeserializer::new(map))?;
        let group = group.map(|Span(window)| window);
        if group.is_some_and(|window| window.is_zero() || window > limits::NOTIFY_GROUP_MAX) {
            let max = crate::base::quantity::show_duration(limits::NOTIFY_GROUP_MAX);
            return Err(de::Error::custom(format!("group must be more than 0 and at most {max}")));
        }
        Ok(Route { to, group, quiet, title, text })
    }
}
