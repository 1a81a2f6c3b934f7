//! What happens in the engine, as it happens.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::stream::{BoxStream, StreamExt};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::containers::labels;
use super::engine::Docker;
use super::error::DockerError;
use super::logs::{engine_time, moment};
use crate::base::{Timestamp, limits};
use crate::model::grants::Access;
use crate::primitives::option::Texts;
use crate::primitives::permit::DockerPermit;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventOptions {
    /// `container`, `image`, `network`, `volume`, `daemon`. Default: all.
    pub types: Texts,
    /// `start`, `die`, `oom`, `health_status`, … Default: all but `exec_*`, of which a health check makes three each time.
    pub actions: Texts,
    /// Names or patterns of names of containers.
    pub containers: Texts,
    /// `key` or `key=value` of the object; all must fit.
    pub labels: Texts,
    /// Past events first, from this moment on: RFC 3339, or a duration back from now.
    pub since: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EngineEvent {
    pub at: Timestamp,
    /// `container`, `image`, `network`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// `start`, `die`, `health_status`, …, without particulars.
    pub action: String,
    /// What follows the action's colon: `healthy` of `health_status: healthy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    pub id: String,
    pub name: String,
    pub exit_code: Option<i64>,
    pub attributes: BTreeMap<String, String>,
}

#[derive(Debug)]
pub enum EventItem {
    Event(EngineEvent),
    /// The engine went away. Events go on without a gap once it is back, as far as it remembers them.
    Interrupted(DockerError),
    /// It is back: what was restarted with it, or changed while it was away, shows in a new list only.
    Resumed,
}

impl Docker {
    /// What happened from `options.since` (default: now) until now, the oldest first, `limit` at most. When that is
    /// nothing, waits up to `wait` for something. Engines remember their last 256 events.
    pub async fn collect_events(
        &self,
        permit: &DockerPermit,
        mut options: EventOptions,
        limit: usize,
        wait: Duration,
    ) -> Result<Vec<EngineEvent>, DockerError> {
        let from = options.since.get_or_insert_with(|| self.clock().now().to_string());
        *from = moment("since", from, self.clock().now())?.to_string();
        let mut events = self.past_events(permit, options.clone(), limit).await?;
        if !events.is_empty() || wait.is_zero() {
            return Ok(events);
        }
        let mut coming = self.events(permit, options).await?;
        let mut patience = wait;
        while events.len() < limit {
            tokio::select! {
                item = coming.next() => match item {
                    Some(EventItem::Event(event)) => {
                        events.push(event);
                        // Events come in bursts: the rest of one is not left for the next call.
                        patience = limits::DOCKER_EVENT_BURST;
                    }
                    Some(EventItem::Interrupted(error)) if !error.is_absence() => return Err(error),
                    Some(_) => {}
                    None => break,
                },
                () = self.clock().sleep(patience) => break,
            }
        }
        Ok(events)
    }

    async fn past_events(
        &self,
        permit: &DockerPermit,
        options: EventOptions,
        limit: usize,
    ) -> Result<Vec<EngineEvent>, DockerError> {
        let mut subscription = self.subscription(permit, options)?;
        subscription.until = Some(self.clock().now());
        let mut events = Vec::new();
        let read = async {
            while let Some(item) = subscription.next().await {
                match item {
                    EventItem::Event(event) => events.push(event),
                    EventItem::Interrupted(error) => return Err(error),
                    EventItem::Resumed => {}
                }
                if events.len() >= limit {
                    break;
                }
            }
            Ok(())
        };
        self.within(limits::DOCKER_CALL_TIMEOUT, "reading events", read).await?;
        Ok(events)
    }

    /// Never ends by itself but for an error that waiting does not cure. Subscribes again, from the last event on,
    /// whenever the engine comes back.
    pub async fn events(
        &self,
        permit: &DockerPermit,
        options: EventOptions,
    ) -> Result<BoxStream<'static, EventItem>, DockerError> {
        let subscription = self.subscription(permit, options)?;
        Ok(futures_util::stream::unfold(subscription, |mut subscription| async move {
            let item = subscription.next().await?;
            Some((item, subscription))
        })
        .boxed())
    }

    fn subscription(&self, permit: &DockerPermit, options: EventOptions) -> Result<Subscription, DockerError> {
        permit.check_any(Access::Read, "following events")?;
        let since = match &options.since {
            Some(text) => moment("since", text, self.clock().now())?,
            None => self.clock().now(),
        };
        Ok(Subscription {
            docker: self.clone(),
            permit: permit.clone(),
            options,
            until: None,
            last: Position::starting(since),
            body: None,
            buffer: BytesMut::new(),
            ready: VecDeque::new(),
            attempt: 0,
            was_interrupted: false,
            finished: false,
        })
    }
}

/// How far the events have come, and the latest that were given. Engines repeat the moment that they are asked from, and
/// two that happen at once may come in the wrong order: what was not given yet is new, however old.
struct Position {
    at: Timestamp,
    seen: VecDeque<(Timestamp, String, String)>,
}

impl Position {
    fn starting(at: Timestamp) -> Self {
        Self { at, seen: VecDeque::new() }
    }

    fn is_new(&mut self, event: &EngineEvent) -> bool {
        /// As many as an engine remembers, and so can repeat.
        const SEEN_MAX: usize = 256;
        let key = (event.at, event.id.clone(), event.action.clone());
        if self.seen.contains(&key) {
            return false;
        }
        if self.seen.len() >= SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(key);
        self.at = self.at.max(event.at);
        true
    }
}

struct Subscription {
    docker: Docker,
    permit: DockerPermit,
    options: EventOptions,
    /// Ends there.
    until: Option<Timestamp>,
    last: Position,
    body: Option<hyper::body::Incoming>,
    buffer: BytesMut,
    ready: VecDeque<EngineEvent>,
    attempt: u32,
    was_interrupted: bool,
    finished: bool,
}

impl Subscription {
    async fn next(&mut self) -> Option<EventItem> {
        loop {
            while let Some(event) = self.ready.pop_front() {
                if self.last.is_new(&event) && self.wants(&event) {
                    return Some(EventItem::Event(event));
                }
            }
            if self.finished {
                return None;
            }
            let Some(body) = self.body.as_mut() else {
                match self.subscribe().await {
                    Ok(body) => self.body = Some(body),
                    Err(error) => return Some(self.interrupted(error).await),
                }
                if std::mem::take(&mut self.was_interrupted) {
                    return Some(EventItem::Resumed);
                }
                continue;
            };
            match body.frame().await {
                Some(Ok(frame)) => {
                    self.attempt = 0;
                    let Ok(data) = frame.into_data() else { continue };
                    self.buffer.extend_from_slice(&data);
                    self.take_lines();
                }
                None if self.until.is_some() => self.finished = true,
                ended => {
                    self.body = None;
                    self.buffer.clear();
                    let message = match ended {
                        Some(Err(error)) => error.to_string(),
                        _ => "the answer ended".to_owned(),
                    };
                    let error = DockerError::Lost { action: "following events".into(), message };
                    return Some(self.interrupted(error).await);
                }
            }
        }
    }

    fn take_lines(&mut self) {
        while let Some(end) = memchr::memchr(b'\n', &self.buffer) {
            let line = self.buffer.split_to(end + 1);
            // A line that cannot be read is none of ours: one odd event must not end all others.
            self.ready.extend(serde_json::from_slice::<Value>(&line).ok().as_ref().and_then(event));
        }
        if self.buffer.len() > limits::DOCKER_EVENT_BYTES_MAX {
            self.buffer.clear();
        }
    }

    async fn subscribe(&self) -> Result<hyper::body::Incoming, DockerError> {
        let mut filters: BTreeMap<&str, &Vec<String>> = BTreeMap::new();
        for (name, texts) in
            [("type", &self.options.types), ("event", &self.options.actions), ("label", &self.options.labels)]
        {
            if !texts.0.is_empty() {
                filters.insert(name, &texts.0);
            }
        }
        let filters = serde_json::to_string(&filters).unwrap_or_default();
        let mut query = vec![("since", engine_time(self.last.at)), ("filters", filters)];
        query.extend(self.until.map(|until| ("until", engine_time(until))));
        self.docker.open("following events", "/events", &query).await
    }

    async fn interrupted(&mut self, error: DockerError) -> EventItem {
        if error.is_absence() {
            self.was_interrupted = true;
            self.docker.pause_before_retry(self.attempt).await;
            self.attempt = self.attempt.saturating_add(1);
        } else {
            self.finished = true;
        }
        EventItem::Interrupted(error)
    }

    fn wants(&self, event: &EngineEvent) -> bool {
        let is_noise = self.options.actions.0.is_empty() && event.action.starts_with("exec_");
        let of_container = event.kind == "container";
        let patterns = &self.options.containers.0;
        let named = patterns.is_empty()
            || (of_container && patterns.iter().any(|pattern| crate::model::grants::matches(pattern, &event.name)));
        !is_noise && named && may_see(&self.permit, event)
    }
}

/// As the lists have it: images and the engine itself are nobody's, everything else goes by its name.
fn may_see(permit: &DockerPermit, event: &EngineEvent) -> bool {
    match event.kind.as_str() {
        "container" | "network" | "volume" => permit.covers(Access::Read, &event.name),
        "image" | "daemon" => true,
        _ => permit.covers_everything(Access::Read),
    }
}

fn event(raw: &Value) -> Option<EngineEvent> {
    let text = |pointer: &str| raw.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let nanos = raw.get("timeNano").and_then(Value::as_i64);
    let at = match nanos {
        Some(nanos) => Timestamp::from_nanosecond(i128::from(nanos)).ok()?,
        None => Timestamp::from_second(raw.get("time").and_then(Value::as_i64)?).ok()?,
    };
    let whole = text("/Action");
    let (action, detail) = match whole.split_once(": ") {
        Some((action, detail)) => (action.to_owned(), Some(detail.to_owned())),
        None => (whole, None),
    };
    let attributes = labels(raw.pointer("/Actor/Attributes"));
    let id = text("/Actor/ID");
    Some(EngineEvent {
        at,
        kind: text("/Type"),
        action,
        detail,
        name: attributes.get("name").cloned().unwrap_or_else(|| id.clone()),
        exit_code: attributes.get("exitCode").and_then(|code| code.parse().ok()),
        id,
        attributes,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn raw(nanos: i64, action: &str, name: &str) -> Value {
        json!({"Type": "container", "Action": action, "timeNano": nanos,
            "Actor": {"ID": "0a", "Attributes": {"name": name, "exitCode": "137"}}})
    }

    #[test]
    fn actions_are_taken_apart() {
        let read = event(&raw(1_000_000_000, "health_status: healthy", "web")).expect("an event");
        assert_eq!((read.action.as_str(), read.detail.as_deref()), ("health_status", Some("healthy")));
        assert_eq!((read.name.as_str(), read.exit_code, read.at.as_second()), ("web", Some(137), 1));
        let odd = json!({"Type": "teapot", "Action": "brew", "time": 5});
        assert_eq!(event(&odd).map(|event| event.kind), Some("teapot".into()));
        assert_eq!(event(&json!({"Type": "container"})), None);
    }

    #[test]
    fn what_the_engine_repeats_is_given_once() {
        let mut position = Position::starting(Timestamp::UNIX_EPOCH);
        let of = |nanos, action| event(&raw(nanos, action, "web")).expect("an event");
        assert!(position.is_new(&of(5, "start")));
        assert!(position.is_new(&of(5, "attach")), "another of the same moment");
        assert!(!position.is_new(&of(5, "start")));
        assert!(position.is_new(&of(6, "start")));
        assert!(position.is_new(&of(4, "die")), "one that was overtaken");
        assert_eq!(position.at, of(6, "start").at);
        assert!(!position.is_new(&of(4, "die")) && !position.is_new(&of(6, "start")));
    }

    #[test]
    fn events_of_others_are_not_shown() {
        use crate::model::Grants;
        use crate::model::grants::DockerGrant;

        let granted = |pattern: &str| {
            let levels = [(Access::Read, vec![pattern.to_owned()])].into();
            let grants = Grants { docker: Some(DockerGrant::Named(levels)), ..Grants::default() };
            crate::primitives::permit::docker(&grants, Access::Read, None).expect("a permit")
        };
        let of = |kind: &str, name: &str| {
            let mut raw = raw(1, "create", name);
            raw["Type"] = json!(kind);
            event(&raw).expect("an event")
        };
        let (some, all) = (granted("web-*"), granted("*"));
        for kind in ["container", "network", "volume"] {
            assert!(may_see(&some, &of(kind, "web-1")) && !may_see(&some, &of(kind, "db")), "{kind}");
        }
        assert!(may_see(&some, &of("image", "db:1")), "as the list of images has it");
        assert!(!may_see(&some, &of("secret", "web-1")) && may_see(&all, &of("secret", "web-1")));
    }
}
