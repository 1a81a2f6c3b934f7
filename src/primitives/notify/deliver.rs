//! One message to one destination: built, sent, and sent again where that may help.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::Value;

use super::destination::{Destination, Kind, Reference};
use super::message::{Delivery, DeliveryState, Message};
use super::{Shared, discord, ntfy, slack, webhook};
use crate::base::{ExposeSecret, Timestamp, limits};
use crate::primitives::http::retry;

struct Post {
    url: url::Url,
    headers: HeaderMap,
    body: Value,
}

/// How one attempt went.
enum Attempt {
    Taken(u16),
    /// Not now; perhaps after so long.
    Later {
        status: Option<u16>,
        problem: String,
        after: Option<std::time::Duration>,
    },
    Never {
        status: Option<u16>,
        problem: String,
    },
}

impl Shared {
    pub(super) async fn deliver(&self, destination: &Destination, message: &Message, at: Timestamp) -> Delivery {
        let post = match self.post(&destination.kind, message, at) {
            Ok(post) => post,
            Err(problem) => {
                return Delivery { problem: Some(problem), ..Delivery::new(destination, DeliveryState::Failed) };
            }
        };
        if message.dry_run {
            return Delivery { body: Some(post.body), ..Delivery::new(destination, DeliveryState::Planned) };
        }
        let mut attempts = 1;
        loop {
            let (state, status, problem) = match self.attempt(&post).await {
                Attempt::Taken(status) => (DeliveryState::Sent, Some(status), None),
                Attempt::Later { after, .. } if attempts < limits::NOTIFY_ATTEMPTS_MAX => {
                    self.clock.sleep(retry::pause(attempts, after, limits::NOTIFY_RETRY_DELAY_MAX)).await;
                    attempts += 1;
                    continue;
                }
                Attempt::Later { status, problem, .. } | Attempt::Never { status, problem } => {
                    (DeliveryState::Failed, status, Some(problem))
                }
            };
            if let Some(problem) = &problem {
                tracing::warn!(destination = destination.kind.name(), attempts, %problem, "a notification was not taken");
            }
            return Delivery { attempts, status, problem, ..Delivery::new(destination, state) };
        }
    }

    async fn attempt(&self, post: &Post) -> Attempt {
        let request = self.client.post(post.url.clone()).headers(post.headers.clone()).json(&post.body);
        let answer = tokio::select! {
            answer = request.send() => answer,
            () = self.clock.sleep(limits::NOTIFY_TIMEOUT) => {
                return Attempt::Later { status: None, problem: "no answer in time".into(), after: None };
            }
        };
        let answer = match answer {
            Ok(answer) => answer,
            // The URL may be the secret: it must not be in the text.
            Err(error) => {
                let problem = format!("no connection: {}", error.without_url());
                return Attempt::Later { status: None, problem, after: None };
            }
        };
        let status = answer.status().as_u16();
        if (200..300).contains(&status) {
            return Attempt::Taken(status);
        }
        let asked = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after = asked.and_then(|value| retry::retry_after(value, self.clock.now()));
        let said = self.first_words(answer).await;
        let problem = format!("it answered {status}{said}");
        if status == 429 || status >= 500 {
            Attempt::Later { status: Some(status), problem, after }
        } else {
            Attempt::Never { status: Some(status), problem }
        }
    }

    async fn first_words(&self, mut answer: reqwest::Response) -> String {
        let piece = tokio::select! {
            piece = answer.chunk() => piece.ok().flatten().unwrap_or_default(),
            () = self.clock.sleep(limits::NOTIFY_TIMEOUT) => return String::new(),
        };
        let text = String::from_utf8_lossy(&piece[..piece.len().min(300)]).trim().to_owned();
        if text.is_empty() { text } else { format!(": {text}") }
    }

    fn post(&self, kind: &Kind, message: &Message, at: Timestamp) -> Result<Post, String> {
        let plain = |url: &Reference, body| Ok(Post { url: self.url(url)?, headers: HeaderMap::new(), body });
        match kind {
            Kind::Discord(to) => plain(&to.webhook, discord::body(to, message, at)),
            Kind::Slack(to) => plain(&to.webhook, slack::body(message)),
            Kind::Webhook(to) => {
                let mut post = plain(&to.url, webhook::body(message, at))?;
                for (name, value) in &to.headers {
                    let header = HeaderName::from_bytes(name.as_bytes())
                        .map_err(|_| format!("{name:?} is not the name of a header"))?;
                    post.headers.insert(header, self.header(value, "")?);
                }
                Ok(post)
            }
            Kind::Ntfy(to) => {
                let topic = to.topic.resolve(self.secrets.as_ref())?;
                let mut post = plain(&to.url, ntfy::body(topic.expose_secret(), message))?;
                if let Some(token) = &to.token {
                    post.headers.insert(reqwest::header::AUTHORIZATION, self.header(token, "Bearer ")?);
                }
                Ok(post)
            }
        }
    }

    fn url(&self, reference: &Reference) -> Result<url::Url, String> {
        let text = reference.resolve(self.secrets.as_ref())?;
        let url = url::Url::parse(text.expose_secret().trim()).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.ok_or_else(|| format!("{reference:?} is not an http or https URL"))
    }

    fn header(&self, reference: &Reference, before: &str) -> Result<HeaderValue, String> {
        let text = reference.resolve(self.secrets.as_ref())?;
        let mut value = HeaderValue::from_str(&format!("{before}{}", text.expose_secret().trim()))
            .map_err(|_| format!("{reference:?} has characters that a header cannot have"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}
