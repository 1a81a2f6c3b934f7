//! One message to one destination: its request, its attempts, and what the receiver said.

use std::time::Duration;

use super::destination::{Destination, Kind, is_topic};
use super::format;
use super::message::Message;
use crate::base::{Clock, ExposeSecret, Fault, SecretString, limits};
use crate::primitives::http::{Body, Http, HttpError, Method, Request, Response, Retry, retry_after};
use crate::primitives::secrets::{Secrets, Setting};

const RETRY: Retry =
    Retry { attempts: limits::NOTIFY_ATTEMPTS, initial: limits::NOTIFY_BACKOFF, max: limits::NOTIFY_BACKOFF_MAX };

/// A message on its way.
pub struct Parcel<'a> {
    pub message: &'a Message,
    pub route: &'a str,
    pub id: &'a str,
}

/// Tries until the receiver has taken it or will not. Gives the number of attempts, and why it failed.
pub async fn deliver(
    http: &Http,
    secrets: &dyn Secrets,
    clock: &Clock,
    destination: &Destination,
    parcel: &Parcel<'_>,
) -> (u32, Result<(), Fault>) {
    let label = label(&destination.kind);
    let prepared = match prepare(secrets, clock, destination, parcel) {
        Ok(prepared) => prepared,
        Err(fault) => return (0, Err(fault)),
    };
    let mut attempt = 1;
    loop {
        let answer = http.request_for_operator(&prepared.request).await;
        let (passing, asked) = match &answer {
            Ok(response) if response.is_success() => return (attempt, Ok(())),
            Ok(response) => (response.status == 429 || response.status >= 500, asked_wait(response, clock)),
            Err(error) => (error.is_passing(), None),
        };
        match RETRY.wait(attempt, asked).filter(|_| passing) {
            Some(wait) => clock.sleep(wait).await,
            None => return (attempt, Err(prepared.failure(&label, answer, passing, asked))),
        }
        attempt += 1;
    }
}

/// How a destination is named to people: never by its address.
pub fn label(kind: &Kind) -> String {
    let place = match address_of(kind) {
        secret @ Setting::Secret(_) => Some(secret.to_string()),
        Setting::Plain(url) => {
            url::Url::parse(url.expose_secret()).ok().and_then(|url| url.host_str().map(str::to_owned))
        }
    };
    place.map_or_else(|| kind.name().to_owned(), |place| format!("{} ({place})", kind.name()))
}

struct Prepared {
    request: Request,
    /// Texts that must not come back out in a message.
    hidden: Vec<SecretString>,
}

fn prepare(
    secrets: &dyn Secrets,
    clock: &Clock,
    destination: &Destination,
    parcel: &Parcel<'_>,
) -> Result<Prepared, Fault> {
    let value = |setting: &Setting| setting.value(secrets).ok_or_else(|| missing(&destination.kind, setting));
    let message = parcel.message;
    let mut hidden = Vec::new();
    let mut headers: Vec<(String, SecretString)> = Vec::new();
    let (address, body) = match &destination.kind {
        Kind::Discord(discord) => (value(&discord.webhook)?, format::discord(message, clock.now())),
        Kind::Slack(slack) => (value(&slack.webhook)?, format::slack(message)),
        Kind::Webhook(webhook) => {
            for (name, setting) in &webhook.headers {
                headers.push((name.clone(), value(setting)?));
            }
            (value(&webhook.url)?, format::webhook(message, parcel.route, parcel.id, clock.now()))
        }
        Kind::Ntfy(ntfy) => {
            let topic = value(&ntfy.topic)?;
            if !is_topic(topic.expose_secret()) {
                return Err(unusable(&destination.kind, &ntfy.topic, "an ntfy topic"));
            }
            if let Some(token) = &ntfy.token {
                let token = value(token)?;
                headers.push(("Authorization".into(), format!("Bearer {}", token.expose_secret()).into()));
                hidden.push(token);
            }
            let body = format::ntfy(message, topic.expose_secret());
            hidden.push(topic);
            (value(&ntfy.url)?, body)
        }
    };
    let web = |url: &url::Url| matches!(url.scheme(), "http" | "https");
    let Some(mut url) = url::Url::parse(address.expose_secret()).ok().filter(web) else {
        return Err(unusable(&destination.kind, address_of(&destination.kind), "a URL"));
    };
    hidden.extend(telling_parts(&url));
    hidden.extend(headers.iter().map(|(_, value)| value.clone()));
    if matches!(destination.kind, Kind::Discord(_)) {
        // Without it Discord answers before it knows whether it can post the message.
        url.query_pairs_mut().append_pair("wait", "true");
    }
    let mut request = Request::new(Method::POST, url);
    request.headers = headers.into_iter().map(|(name, value)| (name, value.expose_secret().to_owned())).collect();
    request.body = Body::Json(body);
    request.timeout = limits::NOTIFY_ATTEMPT_TIMEOUT;
    request.body_bytes_max = limits::NOTIFY_ANSWER_BYTES_MAX;
    request.redirects_max = 0;
    // The longest first, so that hiding a part of one leaves no rest of it.
    hidden.sort_by_key(|part| std::cmp::Reverse(part.expose_secret().len()));
    Ok(Prepared { request, hidden })
}

fn address_of(kind: &Kind) -> &Setting {
    match kind {
        Kind::Discord(discord) => &discord.webhook,
        Kind::Slack(slack) => &slack.webhook,
        Kind::Ntfy(ntfy) => &ntfy.url,
        Kind::Webhook(webhook) => &webhook.url,
    }
}

/// The parts of a URL that can be passwords.
fn telling_parts(url: &url::Url) -> Vec<SecretString> {
    const TELLING_BYTES_MIN: usize = 6;
    let path = url.path().split('/').filter(|segment| segment.len() >= TELLING_BYTES_MIN);
    let user = [url.username(), url.password().unwrap_or_default()].into_iter().filter(|part| !part.is_empty());
    let mut parts: Vec<String> = path.chain(user).map(str::to_owned).collect();
    parts.extend(url.query_pairs().map(|(_, value)| value.into_owned()).filter(|v| v.len() >= TELLING_BYTES_MIN));
    parts.extend(url.query().map(str::to_owned).filter(|query| query.len() >= TELLING_BYTES_MIN));
    if url.path().len() >= TELLING_BYTES_MIN {
        parts.push(url.path().to_owned());
    }
    parts.into_iter().map(SecretString::from).collect()
}

fn missing(kind: &Kind, setting: &Setting) -> Fault {
    let name = match setting {
        Setting::Secret(name) => name.as_str(),
        Setting::Plain(_) => "",
    };
    Fault::new("notify.secret_missing", format!("{}: there is no secret {name}", kind.name()))
        .hint(format!("put {name} into a source of secrets, such as with `aegis secret set {name}`"))
}

fn unusable(kind: &Kind, setting: &Setting, wanted: &str) -> Fault {
    Fault::new("notify.bad_secret", format!("{}: the value of {setting} is not {wanted}", kind.name()))
        .hint("correct the secret's value, and start the daemon again")
}

/// Retry-After, or what Discord says in its body.
fn asked_wait(response: &Response, clock: &Clock) -> Option<Duration> {
    retry_after(&response.headers, clock.now()).or_else(|| {
        let body: serde_json::Value = serde_json::from_slice(&response.body).ok()?;
        Duration::try_from_secs_f64(body.get("retry_after")?.as_f64()?).ok()
    })
}

impl Prepared {
    fn failure(
        &self,
        label: &str,
        answer: Result<Response, HttpError>,
        passing: bool,
        asked: Option<Duration>,
    ) -> Fault {
        let fault = match answer {
            Err(error) => {
                let fault = Fault::from(error);
                let message = format!("{label}: {}", self.hide(&fault.message));
                return Fault { message, ..fault };
            }
            Ok(response) => {
                let said = self.hide(&response.excerpt());
                let said = if said.is_empty() { String::new() } else { format!(": {said}") };
                let code = if response.status == 429 { "notify.rate_limited" } else { "notify.refused" };
                let message = format!("{label}: the receiver answered {}{said}", response.status);
                let details = serde_json::json!({ "status": response.status });
                Fault::new(code, message).details(details).hint(hint(response.status, asked))
            }
        };
        if passing { fault.retryable() } else { fault }
    }

    fn hide(&self, text: &str) -> String {
        let hide = |text: String, part: &SecretString| text.replace(part.expose_secret(), "***");
        self.hidden.iter().fold(text.to_owned(), hide)
    }
}

fn hint(status: u16, asked: Option<Duration>) -> String {
    match status {
        429 => match asked {
            Some(wait) => format!("it takes no more messages for {} seconds", wait.as_secs()),
            None => "it takes no more messages for now; send fewer".to_owned(),
        },
        300..=399 => "the destination has moved: put its new address into the configuration".to_owned(),
        401 | 403 => "it does not accept our credentials: was the webhook or token revoked?".to_owned(),
        404 | 410 => "it is not there: was the webhook deleted?".to_owned(),
        400..=499 => "it does not accept the message as it is".to_owned(),
        _ => "it is not well; the message was not taken".to_owned(),
    }
}
