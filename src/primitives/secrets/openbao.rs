//! OpenBao, and Vault, whose API is the same: log in with a role, keep the token alive, and read one path of a KV
//! version 2 mount, whose keys are the secrets.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::error::SecretError;
use super::setting::{Secrets, Setting, is_name};
use super::source::{Entry, SourceKind, Values, checked};
use crate::base::clock::later;
use crate::base::{Clock, ExposeSecret, SecretString, Timestamp, limits};
use crate::primitives::http::{Body, Http, Method, OnBehalf, Request, Response};

/// `secrets.openbao`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct OpenBaoOptions {
    /// `https://bao.example.com:8200`.
    pub address: String,
    /// Of the KV version 2 engine.
    pub mount: String,
    /// Below the mount; its keys are the names of secrets.
    pub path: String,
    pub namespace: Option<String>,
    pub role_id: Setting,
    pub secret_id: Setting,
    /// Where the AppRole method is mounted.
    pub auth_mount: String,
    /// How often the path is read again.
    pub refresh: Duration,
    /// Of one request.
    pub timeout: Duration,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    address: String,
    #[serde(default = "default_mount")]
    mount: String,
    path: String,
    #[serde(default)]
    namespace: Option<String>,
    role_id: Setting,
    secret_id: Setting,
    #[serde(default = "default_auth_mount")]
    auth_mount: String,
    #[serde(default)]
    refresh: Option<String>,
    #[serde(default)]
    timeout: Option<String>,
}

fn default_mount() -> String {
    "secret".to_owned()
}

fn default_auth_mount() -> String {
    "approle".to_owned()
}

impl TryFrom<Raw> for OpenBaoOptions {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let web = |url: &url::Url| matches!(url.scheme(), "http" | "https") && url.host().is_some();
        if !url::Url::parse(&raw.address).is_ok_and(|url| web(&url)) {
            return Err("address: this is no address: write https://host:8200".to_owned());
        }
        for (key, part) in [("mount", &raw.mount), ("path", &raw.path), ("auth_mount", &raw.auth_mount)] {
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
            let segments = part.trim_matches('/').split('/');
            if !part.chars().all(legal) || segments.clone().any(|segment| segment.trim_matches('.').is_empty()) {
                return Err(format!(
                    "{key}: {part:?} is no path: write names with '/' between them, such as apps/aegis"
                ));
            }
        }
        let duration = |key: &str, text: &Option<String>, default: Duration| match text {
            None => Ok(default),
            Some(text) => crate::base::quantity::parse_duration(text).map_err(|bad| format!("{key}: {bad}")),
        };
        let refresh = duration("refresh", &raw.refresh, limits::OPENBAO_REFRESH_DEFAULT)?;
        let timeout = duration("timeout", &raw.timeout, limits::OPENBAO_TIMEOUT_DEFAULT)?;
        if refresh < limits::OPENBAO_REFRESH_MIN {
            return Err(format!("refresh: at least {:?}", limits::OPENBAO_REFRESH_MIN));
        }
        if timeout.is_zero() || timeout > limits::HTTP_TIMEOUT_MAX {
            return Err(format!("timeout: more than 0, and at most {:?}", limits::HTTP_TIMEOUT_MAX));
        }
        let trimmed = |text: String| text.trim_matches('/').to_owned();
        let Raw { address, mount, path, namespace, role_id, secret_id, auth_mount, .. } = raw;
        let address = address.trim_end_matches('/').to_owned();
        let (mount, path, auth_mount) = (trimmed(mount), trimmed(path), trimmed(auth_mount));
        Ok(Self { address, mount, path, namespace, role_id, secret_id, auth_mount, refresh, timeout })
    }
}

impl From<OpenBaoOptions> for Raw {
    fn from(options: OpenBaoOptions) -> Self {
        let shown = |duration: Duration| Some(crate::base::quantity::show_duration(duration));
        let OpenBaoOptions { address, mount, path, namespace, role_id, secret_id, auth_mount, refresh, timeout } =
            options;
        let (refresh, timeout) = (shown(refresh), shown(timeout));
        Self { address, mount, path, namespace, role_id, secret_id, auth_mount, refresh, timeout }
    }
}

/// A connection that is logged in while that is needed.
#[derive(Debug)]
pub struct OpenBao {
    options: OpenBaoOptions,
    http: Http,
    clock: Clock,
    token: Mutex<Option<Token>>,
}

#[derive(Debug, Clone)]
struct Token {
    value: SecretString,
    /// None when it lasts for ever.
    renew_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    renewable: bool,
}

impl Token {
    /// From the `auth` part of an answer.
    fn read(auth: &Value, now: Timestamp) -> Option<Self> {
        let value = auth["client_token"].as_str().filter(|token| !token.is_empty())?;
        let life = Duration::from_secs(auth["lease_duration"].as_u64()?);
        let mortal = !life.is_zero();
        Some(Self {
            value: value.into(),
            renew_at: mortal.then(|| later(now, life - life / limits::OPENBAO_RENEW_PART)),
            expires_at: mortal.then(|| later(now, life)),
            renewable: auth["renewable"].as_bool().unwrap_or(false),
        })
    }
}

impl OpenBao {
    pub fn new(options: OpenBaoOptions, http: Http, clock: Clock) -> Self {
        Self { options, http, clock, token: Mutex::default() }
    }

    pub fn options(&self) -> &OpenBaoOptions {
        &self.options
    }

    /// The keys of the path with their values. `secrets` are the sources that role and secret id may come from.
    pub async fn read(&self, secrets: &dyn Secrets) -> Result<Values, SecretError> {
        let mut token = self.token.lock().await;
        // It stays there while it is used: a network that fails, or a run that is cancelled, costs no login.
        let mut current = self.usable(token.clone(), secrets).await?;
        *token = Some(current.clone());
        let path = format!("{}/data/{}", self.options.mount, self.options.path);
        let mut answer = self.ask(Method::GET, &path, Some(&current), None).await?;
        if answer.status == 403 {
            // The token may have been revoked: only a fresh one tells whether the path is denied.
            *token = None;
            current = self.log_in(secrets).await?;
            *token = Some(current.clone());
            answer = self.ask(Method::GET, &path, Some(&current), None).await?;
        }
        let body = self.checked(&answer, "reading", &path)?;
        let data = &body["data"];
        let strange = |problem: &str| self.strange("reading", problem);
        let keys =
            data["data"].as_object().ok_or_else(|| strange("there is no data.data: is the mount KV version 2?"))?;
        let at = data["metadata"]["created_time"].as_str().and_then(|text| text.parse().ok());
        let mut values = Values::new();
        for (name, value) in keys.iter().filter(|(name, _)| is_name(name)) {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            values.insert(name.clone(), Entry { value: text.into(), at });
        }
        checked(values, SourceKind::OpenBao)
    }

    /// The token there is, renewed or replaced where its end is near.
    async fn usable(&self, token: Option<Token>, secrets: &dyn Secrets) -> Result<Token, SecretError> {
        let now = self.clock.now();
        match token {
            Some(token) if token.renew_at.is_none_or(|at| now < at) => Ok(token),
            Some(token) if token.renewable && token.expires_at.is_none_or(|end| now < end) => {
                match self.renew(&token).await {
                    // One that does not live longer for it has reached its greatest age.
                    Ok(renewed) if renewed.renew_at.is_none_or(|at| now < at) => Ok(renewed),
                    _ => self.log_in(secrets).await,
                }
            }
            _ => self.log_in(secrets).await,
        }
    }

    async fn log_in(&self, secrets: &dyn Secrets) -> Result<Token, SecretError> {
        let value = |setting: &Setting| {
            let missing = || SecretError::missing(setting.name().unwrap_or_default(), [], &["environment file"]);
            setting.value(secrets).ok_or_else(missing)
        };
        let (role, secret) = (value(&self.options.role_id)?, value(&self.options.secret_id)?);
        let body = json!({ "role_id": role.expose_secret(), "secret_id": secret.expose_secret() });
        let path = format!("auth/{}/login", self.options.auth_mount);
        let answer = self.ask(Method::POST, &path, None, Some(body)).await?;
        self.token(&answer, "login", &path)
    }

    async fn renew(&self, token: &Token) -> Result<Token, SecretError> {
        let path = "auth/token/renew-self";
        let answer = self.ask(Method::POST, path, Some(token), Some(json!({}))).await?;
        self.token(&answer, "renewal", path)
    }

    fn token(&self, answer: &Response, what: &'static str, path: &str) -> Result<Token, SecretError> {
        let body = self.checked(answer, what, path)?;
        Token::read(&body["auth"], self.clock.now()).ok_or_else(|| self.strange(what, "there is no token in it"))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&Token>,
        body: Option<Value>,
    ) -> Result<Response, SecretError> {
        let mut request = Request::new(method, format!("{}/v1/{path}", self.options.address));
        request.timeout = self.options.timeout;
        request.body_bytes_max = limits::OPENBAO_ANSWER_BYTES_MAX;
        request.redirects_max = 0;
        request.headers.push(("X-Vault-Request".into(), "true".into()));
        request.headers.extend(self.options.namespace.clone().map(|name| ("X-Vault-Namespace".into(), name)));
        request.headers.extend(token.map(|token| ("X-Vault-Token".into(), token.value.expose_secret().to_owned())));
        request.body = body.map_or(Body::Empty, Body::Json);
        self.http.request_for_operator(&request, OnBehalf::Daemon).await.map_err(|problem| SecretError::Away {
            address: self.options.address.clone(),
            problem: problem.to_string(),
        })
    }

    /// The answer's JSON, where it is a success.
    fn checked(&self, answer: &Response, what: &'static str, path: &str) -> Result<Value, SecretError> {
        let address = || self.options.address.clone();
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let said = || {
            let errors = body["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
            errors.fold(String::new(), |mut all, error| {
                let _ = write!(all, ": {}", error.trim());
                all
            })
        };
        match answer.status {
            200 if body.is_object() => Ok(body),
            503 => Err(SecretError::Sealed { address: address() }),
            // A role or secret id that is wrong is answered with 400.
            400 | 401 | 403 => Err(SecretError::Refused { address: address(), what, said: said() }),
            404 => Err(SecretError::NoPath { address: address(), path: path.to_owned() }),
            status if status == 429 || status >= 500 => {
                Err(SecretError::Away { address: address(), problem: format!("status {status}{}", said()) })
            }
            status => Err(self.strange(what, &format!("status {status}{}", said()))),
        }
    }

    fn strange(&self, what: &'static str, problem: &str) -> SecretError {
        SecretError::Strange { address: self.options.address.clone(), what, problem: problem.to_owned() }
    }
}
