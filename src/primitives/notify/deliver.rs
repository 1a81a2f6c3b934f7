//! One message to one destination: its attempts, and what the receiver said.

use std::time::Duration;

use lettre::transport::smtp::client::Certificate;

use super::destination::{Destination, Kind, Smtp};
use super::mail::Mail;
use super::message::Message;
use super::prepare::{Prepared, missing, prepare};
use super::smtp::{self, Letter};
use crate::base::{Clock, ExposeSecret, Fault, limits};
use crate::primitives::http::{Http, HttpError, OnBehalf, Response, Retry, retry_after};
use crate::primitives::secrets::{Secrets, Setting};

/// While a caller waits.
pub const RETRY: Retry =
    Retry { attempts: limits::NOTIFY_ATTEMPTS, initial: limits::NOTIFY_BACKOFF, max: limits::NOTIFY_BACKOFF_MAX };

/// What a mail server said, in a message for people.
const SAID_CHARS_MAX: usize = 300;

/// What deliveries need.
pub struct Means<'a> {
    pub http: &'a Http,
    pub secrets: &'a dyn Secrets,
    pub clock: &'a Clock,
    pub roots: &'a [Certificate],
    pub retry: Retry,
}

/// A message on its way.
pub struct Letterhead<'a> {
    pub message: &'a Message,
    pub route: &'a str,
    pub id: &'a str,
}

/// Why an attempt failed. The fault is retryable when another attempt may succeed, after the time that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    pub fault: Fault,
    pub asked: Option<Duration>,
    /// Whether anything was sent at all.
    pub is_sent: bool,
}

/// Tries until the receiver has taken it or will not. Gives the number of attempts, and why it failed.
pub async fn deliver(
    means: &Means<'_>,
    destination: &Destination,
    letter: &Letterhead<'_>,
) -> (u32, Result<(), Fault>) {
    let mut attempt = 1;
    loop {
        let Err(failure) = once(means, destination, letter).await else { return (attempt, Ok(())) };
        match means.retry.wait(attempt, failure.asked).filter(|_| failure.fault.retryable) {
            Some(wait) => means.clock.sleep(wait).await,
            None => return (if failure.is_sent { attempt } else { 0 }, Err(failure.fault)),
        }
        attempt += 1;
    }
}

pub async fn once(means: &Means<'_>, destination: &Destination, letter: &Letterhead<'_>) -> Result<(), Failure> {
    let label = label(&destination.kind);
    if let Kind::Smtp(smtp) = &destination.kind {
        return mail(means, &label, smtp, letter).await;
    }
    let unsent = |fault| Failure { fault, asked: None, is_sent: false };
    let prepared = prepare(means.secrets, means.clock, destination, letter).map_err(unsent)?;
    let answer = means.http.request_for_operator(&prepared.request, OnBehalf::Daemon).await;
    let (passing, asked) = match &answer {
        Ok(response) if response.is_success() => return Ok(()),
        Ok(response) => {
            // Resend says so while another request with the same key is under way.
            let is_concurrent = response.status == 409 && matches!(destination.kind, Kind::Resend(_));
            let passing = response.status == 429 || response.status >= 500 || is_concurrent;
            (passing, asked_wait(response, means.clock))
        }
        Err(error) => (error.is_passing(), None),
    };
    Err(Failure { fault: failure(&prepared, &label, answer, passing, asked), asked, is_sent: true })
}

async fn mail(means: &Means<'_>, label: &str, smtp: &Smtp, letter: &Letterhead<'_>) -> Result<(), Failure> {
    let value = |setting: &Setting| setting.value(means.secrets).ok_or_else(|| missing("smtp", setting));
    let credentials = match (&smtp.user, &smtp.password) {
        (Some(user), Some(password)) => value(user).and_then(|user| Ok(Some((user, value(password)?)))),
        _ => Ok(None),
    };
    let credentials = credentials.map_err(|fault| Failure { fault, asked: None, is_sent: false })?;
    let hidden: Vec<_> = credentials.iter().flat_map(|(user, password)| [user.clone(), password.clone()]).collect();
    let letter = Letter { mail: Mail::of(letter.message), id: letter.id, credentials, roots: means.roots };
    smtp::send(smtp, letter, means.clock).await.map_err(|fault| {
        let hide = |text: String, part: &crate::base::SecretString| text.replace(part.expose_secret(), "***");
        let message = hidden.iter().fold(fault.message.clone(), hide);
        // Only now: of a password that was cut first, a part would stay.
        let message: String = message.chars().take(SAID_CHARS_MAX).collect();
        let fault = Fault { message: format!("{label}: {message}"), ..fault };
        Failure { fault, asked: None, is_sent: true }
    })
}

/// How a destination is named to people: never by its address.
pub fn label(kind: &Kind) -> String {
    let host = |url: &Setting| match url {
        secret @ Setting::Secret(_) => Some(secret.to_string()),
        Setting::Plain(url) => {
            url::Url::parse(url.expose_secret()).ok().and_then(|url| url.host_str().map(str::to_owned))
        }
    };
    let place = match kind {
        Kind::Smtp(smtp) => Some(smtp.host.clone()),
        // Of a name that many share, the recipient tells more, if it is not told itself.
        Kind::Telegram(telegram) => match &telegram.chat {
            chat @ Setting::Secret(_) => Some(chat.to_string()),
            Setting::Plain(_) => host(&telegram.url),
        },
        Kind::Whatsapp(whatsapp) => match &whatsapp.to {
            to @ Setting::Secret(_) => Some(to.to_string()),
            Setting::Plain(_) => host(&whatsapp.url),
        },
        kind => kind.address().and_then(|(_, url)| host(url)),
    };
    place.map_or_else(|| kind.name().to_owned(), |place| format!("{} ({place})", kind.name()))
}

/// Retry-After, or what Discord and Telegram say in their bodies.
fn asked_wait(response: &Response, clock: &Clock) -> Option<Duration> {
    retry_after(&response.headers, clock.now()).or_else(|| {
        let body: serde_json::Value = serde_json::from_slice(&response.body).ok()?;
        let seconds = body.get("retry_after").or_else(|| body.pointer("/parameters/retry_after"))?;
        Duration::try_from_secs_f64(seconds.as_f64()?).ok()
    })
}

fn failure(
    prepared: &Prepared,
    label: &str,
    answer: Result<Response, HttpError>,
    passing: bool,
    asked: Option<Duration>,
) -> Fault {
    let fault = match answer {
        Err(error) => {
            let fault = Fault::from(error);
            let message = format!("{label}: {}", prepared.hide(&fault.message));
            return Fault { message, ..fault };
        }
        Ok(response) => {
            let said = response.excerpt_hiding(|text| prepared.hide(text));
            let said = if said.is_empty() { String::new() } else { format!(": {said}") };
            let code = if response.status == 429 { "notify.rate_limited" } else { "notify.refused" };
            let message = format!("{label}: the receiver answered {}{said}", response.status);
            let details = serde_json::json!({ "status": response.status });
            Fault::new(code, message).details(details).hint(hint(response.status, asked))
        }
    };
    if passing { fault.retryable() } else { fault }
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
