//! A message as the request that its provider documents.

use super::deliver::Letterhead;
use super::destination::{Destination, Kind, Resend, Telegram, Whatsapp, is_topic};
use super::mail::Mail;
use super::{format, telegram, whatsapp};
use crate::base::{Clock, ExposeSecret, Fault, SecretString, limits};
use crate::primitives::http::{Body, Method, Request};
use crate::primitives::secrets::{Secrets, Setting};

pub struct Prepared {
    pub request: Request,
    /// Texts that must not come back out in a message.
    hidden: Vec<SecretString>,
}

impl Prepared {
    pub fn hide(&self, text: &str) -> String {
        let hide = |text: String, part: &SecretString| text.replace(part.expose_secret(), "***");
        self.hidden.iter().fold(text.to_owned(), hide)
    }
}

/// Where a request goes, with what, and what of it is secret.
struct Draft {
    address: SecretString,
    body: serde_json::Value,
    headers: Vec<(String, SecretString)>,
    hidden: Vec<SecretString>,
}

impl Draft {
    fn new(address: SecretString, body: serde_json::Value) -> Self {
        Self { address, body, headers: Vec::new(), hidden: Vec::new() }
    }

    fn header(mut self, name: &str, value: impl Into<SecretString>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// Settings with their values.
struct Values<'a> {
    kind: &'a Kind,
    secrets: &'a dyn Secrets,
}

impl Values<'_> {
    fn of(&self, setting: &Setting) -> Result<SecretString, Fault> {
        setting.value(self.secrets).ok_or_else(|| missing(self.kind.name(), setting))
    }

    fn maybe(&self, setting: Option<&Setting>) -> Result<SecretString, Fault> {
        setting.map_or_else(|| Ok(String::new().into()), |setting| self.of(setting))
    }

    fn unusable(&self, setting: &Setting, wanted: &str) -> Fault {
        Fault::new("notify.bad_secret", format!("{}: the value of {setting} is not {wanted}", self.kind.name()))
            .hint("correct the secret's value, and start the daemon again")
    }
}

pub fn prepare(
    secrets: &dyn Secrets,
    clock: &Clock,
    destination: &Destination,
    letter: &Letterhead<'_>,
) -> Result<Prepared, Fault> {
    let kind = &destination.kind;
    let values = Values { kind, secrets };
    let Draft { address, body, headers, mut hidden } = draft(&values, clock, letter)?;
    let web = |url: &url::Url| matches!(url.scheme(), "http" | "https");
    let Some(mut url) = url::Url::parse(address.expose_secret()).ok().filter(web) else {
        return Err(match kind.address() {
            Some((_, setting)) => values.unusable(setting, "a URL"),
            None => Fault::new("notify.bad_secret", format!("{}: its address is not a URL", kind.name())),
        });
    };
    hidden.extend(telling_parts(&url));
    hidden.extend(headers.iter().map(|(_, value)| value.clone()));
    if matches!(kind, Kind::Discord(_)) {
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
    hidden.retain(|part| !part.expose_secret().is_empty());
    hidden.sort_by_key(|part| std::cmp::Reverse(part.expose_secret().len()));
    Ok(Prepared { request, hidden })
}

fn draft(values: &Values<'_>, clock: &Clock, letter: &Letterhead<'_>) -> Result<Draft, Fault> {
    let (message, id) = (letter.message, letter.id);
    Ok(match values.kind {
        Kind::Discord(discord) => Draft::new(values.of(&discord.webhook)?, format::discord(message, clock.now())),
        Kind::Slack(slack) => Draft::new(values.of(&slack.webhook)?, format::slack(message)),
        Kind::Webhook(webhook) => {
            let body = format::webhook(message, letter.route, id, clock.now());
            let mut draft = Draft::new(values.of(&webhook.url)?, body);
            for (name, setting) in &webhook.headers {
                draft = draft.header(name, values.of(setting)?);
            }
            draft
        }
        Kind::Ntfy(ntfy) => {
            let topic = values.of(&ntfy.topic)?;
            if !is_topic(topic.expose_secret()) {
                return Err(values.unusable(&ntfy.topic, "an ntfy topic"));
            }
            let mut draft = Draft::new(values.of(&ntfy.url)?, format::ntfy(message, topic.expose_secret()));
            if let Some(token) = &ntfy.token {
                let token = values.of(token)?;
                draft = draft.header("Authorization", format!("Bearer {}", token.expose_secret()));
                draft.hidden.push(token);
            }
            draft.hidden.push(topic);
            draft
        }
        Kind::Telegram(telegram) => telegram_draft(values, telegram, letter)?,
        Kind::Whatsapp(whatsapp) => whatsapp_draft(values, whatsapp, clock, letter)?,
        Kind::Resend(resend) => resend_draft(values, resend, letter)?,
        Kind::Smtp(_) => return Err(Fault::new("notify.setup", "mail goes to its server, not over HTTP")),
    })
}

fn telegram_draft(values: &Values<'_>, telegram: &Telegram, letter: &Letterhead<'_>) -> Result<Draft, Fault> {
    let (token, chat, base) = (values.of(&telegram.token)?, values.of(&telegram.chat)?, values.of(&telegram.url)?);
    let url = format!("{}/bot{}/sendMessage", base.expose_secret().trim_end_matches('/'), token.expose_secret());
    let body = telegram::body(letter.message, chat.expose_secret().trim(), telegram.thread);
    let mut draft = Draft::new(url.into(), body);
    draft.hidden.extend([token, chat]);
    Ok(draft)
}

fn whatsapp_draft(
    values: &Values<'_>,
    whatsapp: &Whatsapp,
    clock: &Clock,
    letter: &Letterhead<'_>,
) -> Result<Draft, Fault> {
    let (from, to) = (values.of(&whatsapp.from)?, values.of(&whatsapp.to)?);
    let body = whatsapp::body(letter.message, from.expose_secret(), to.expose_secret(), letter.id);
    let mut draft = Draft::new(values.of(&whatsapp.url)?, body);
    draft.hidden.extend([from, to]);
    let authorization = match (&whatsapp.application, &whatsapp.private_key) {
        (Some(application), Some(key)) => {
            let application = values.of(application)?;
            let made = whatsapp::bearer(application.expose_secret(), &values.of(key)?, clock.now());
            made.ok_or_else(|| values.unusable(key, "an RSA key in PEM"))?
        }
        _ => {
            let secret = values.maybe(whatsapp.secret.as_ref())?;
            let header = whatsapp::basic(&values.maybe(whatsapp.key.as_ref())?, &secret);
            draft.hidden.push(secret);
            header
        }
    };
    Ok(draft.header("Authorization", authorization))
}

fn resend_draft(values: &Values<'_>, resend: &Resend, letter: &Letterhead<'_>) -> Result<Draft, Fault> {
    let key = values.of(&resend.key)?;
    let Mail { subject, text, html } = Mail::of(letter.message);
    let body = serde_json::json!({
        "from": resend.from, "to": resend.to.0, "subject": subject, "text": text, "html": html,
    });
    let mut draft = Draft::new(values.of(&resend.url)?, body)
        .header("Authorization", format!("Bearer {}", key.expose_secret()))
        .header("Idempotency-Key", letter.id.to_owned());
    draft.hidden.push(key);
    Ok(draft)
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

pub fn missing(kind: &str, setting: &Setting) -> Fault {
    let name = match setting {
        Setting::Secret(name) => name.as_str(),
        Setting::Plain(_) => "",
    };
    Fault::new("notify.secret_missing", format!("{kind}: there is no secret {name}"))
        .hint(format!("put {name} into a source of secrets, such as with `aegis secret set {name}`"))
}
