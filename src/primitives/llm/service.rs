//! The service: permit, bounds, attempts.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::error::LlmError;
use super::neutral::{Answer, Ask, Embedded, Message, Role};
use super::source::{Kind, Source, Sources};
use super::{anthropic, ollama, openai};
use crate::base::clock::since;
use crate::base::{Clock, ExposeSecret, Fault, SecretString, limits};
use crate::primitives::http::{Body, Http, Method, OnBehalf, Request, Response, Retry, retry_after};
use crate::primitives::notify::{Secrets, Setting};
use crate::primitives::permit::LlmPermit;

const RETRY: Retry =
    Retry { attempts: limits::LLM_ATTEMPTS, initial: limits::LLM_BACKOFF, max: limits::LLM_BACKOFF_MAX };

/// Why an answer cannot be read; a phrase.
pub type Unreadable = &'static str;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Llm(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sources: Sources,
    http: Http,
    secrets: Arc<dyn Secrets>,
    clock: Clock,
}

/// A source for the time of one call.
struct Call<'a> {
    llm: &'a Shared,
    name: &'a str,
    source: &'a Source,
    key: Option<SecretString>,
    base: url::Url,
    timeout: Duration,
}

impl Llm {
    /// Connects to nothing.
    pub fn new(sources: Sources, http: Http, secrets: Arc<dyn Secrets>, clock: Clock) -> Self {
        Self(Arc::new(Shared { sources, http, secrets, clock }))
    }

    pub fn sources(&self) -> impl Iterator<Item = (&str, Kind, Option<&str>)> {
        self.0.sources.iter().map(|(name, source)| (name.as_str(), source.kind, source.model.as_deref()))
    }

    /// Asks a model. Tried again when the provider is busy or away, after the time that it asks for.
    pub async fn chat(&self, permit: &LlmPermit, ask: &Ask) -> Result<Answer, LlmError> {
        let call = self.call(permit, ask.timeout)?;
        check(call.name, ask)?;
        let model = call.model(ask.model.as_deref())?;
        let started = self.0.clock.now();
        let (path, body) = match call.source.kind {
            Kind::Openai => ("chat/completions", openai::chat(ask, model, "max_tokens")),
            Kind::Anthropic => ("messages", anthropic::chat(ask, model)),
            Kind::Ollama => ("api/chat", ollama::chat(ask, model)),
        };
        let sent = match call.post(path, body).await {
            Err(refused) if wants_other_limit(&refused) => {
                call.post(path, openai::chat(ask, model, "max_completion_tokens")).await
            }
            sent => sent,
        };
        let (body, attempts) = sent?;
        let answer = match call.source.kind {
            Kind::Openai => openai::answer(&body),
            Kind::Anthropic => anthropic::answer(&body, ask.schema.is_some()),
            Kind::Ollama => ollama::answer(&body),
        };
        let answer = answer.map_err(|problem| call.unreadable(problem))?;
        let answer = Answer { attempts, took: since(self.0.clock.now(), started), ..answer };
        match ask.schema {
            // A model that asks for a tool first has not answered yet.
            Some(_) if answer.tool_calls.is_empty() => with_json(call.name, answer),
            _ => Ok(answer),
        }
    }

    /// Vectors of texts.
    pub async fn embed(
        &self,
        permit: &LlmPermit,
        texts: &[String],
        model: Option<&str>,
        timeout: Option<Duration>,
    ) -> Result<Embedded, LlmError> {
        let call = self.call(permit, timeout)?;
        let bytes: usize = texts.iter().map(String::len).sum();
        if texts.is_empty() || texts.len() > limits::LLM_TEXTS_MAX || bytes > limits::LLM_REQUEST_BYTES_MAX {
            return Err(call.bad(format!("{} texts of {bytes} bytes cannot be sent at once", texts.len())));
        }
        let model = call.model(model)?;
        let (path, body) = match call.source.kind {
            Kind::Openai => ("embeddings", openai::embed(texts, model)),
            Kind::Ollama => ("api/embed", ollama::embed(texts, model)),
            Kind::Anthropic => {
                return Err(LlmError::Unsupported { source_name: call.name.to_owned(), kind: "anthropic" });
            }
        };
        let (body, attempts) = call.post(path, body).await?;
        let embedded = match call.source.kind {
            Kind::Ollama => ollama::embedded(&body),
            _ => openai::embedded(&body, texts.len()),
        };
        let embedded = embedded.map_err(|problem| call.unreadable(problem))?;
        if embedded.vectors.len() != texts.len() || embedded.vectors.iter().any(Vec::is_empty) {
            return Err(call.unreadable("it has not one vector for each text"));
        }
        Ok(Embedded { attempts, ..embedded })
    }

    fn call<'a>(&'a self, permit: &'a LlmPermit, timeout: Option<Duration>) -> Result<Call<'a>, LlmError> {
        let (name, shared) = (permit.source(), &*self.0);
        let unknown = || {
            let known = shared.sources.keys().cloned().collect();
            LlmError::UnknownSource { source_name: name.to_owned(), known }
        };
        let source = shared.sources.get(name).ok_or_else(unknown)?;
        let value = |setting: &Setting| {
            let secret = || LlmError::NoSecret {
                source_name: name.to_owned(),
                secret: setting.to_string().trim_start_matches("secret:").to_owned(),
            };
            setting.value(&*shared.secrets).ok_or_else(secret)
        };
        let key = source.key.as_ref().map(value).transpose()?;
        let url = url::Url::parse(value(&source.url)?.expose_secret());
        let base = url.ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let base = base.ok_or_else(|| LlmError::BadUrl { source_name: name.to_owned() })?;
        Ok(Call { llm: shared, name, source, key, base, timeout: timeout.unwrap_or(source.timeout) })
    }
}

impl Call<'_> {
    fn bad(&self, problem: String) -> LlmError {
        LlmError::BadRequest { source_name: self.name.to_owned(), problem }
    }

    fn unreadable(&self, problem: &str) -> LlmError {
        LlmError::Unreadable { source_name: self.name.to_owned(), problem: problem.to_owned() }
    }

    fn model<'a>(&'a self, asked: Option<&'a str>) -> Result<&'a str, LlmError> {
        let no_model = || LlmError::NoModel { source_name: self.name.to_owned() };
        asked.or(self.source.model.as_deref()).ok_or_else(no_model)
    }

    /// Where a path of the API is, as the provider's own clients put it together.
    fn address(&self, path: &str) -> String {
        let mut url = self.base.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        let base = match self.source.kind {
            Kind::Openai if base.is_empty() => "/v1".to_owned(),
            Kind::Anthropic if !base.ends_with("/v1") => format!("{base}/v1"),
            // Ollama's own address of its API ends in what the path begins with.
            Kind::Ollama => base.strip_suffix("/api").unwrap_or(&base).to_owned(),
            _ => base,
        };
        url.set_path(&format!("{base}/{path}"));
        url.into()
    }

    /// The answer's body, and how often it was asked for.
    async fn post(&self, path: &str, body: Value) -> Result<(Value, u32), LlmError> {
        if body.to_string().len() > limits::LLM_REQUEST_BYTES_MAX {
            return Err(self.bad(format!("the request has more than {} bytes", limits::LLM_REQUEST_BYTES_MAX)));
        }
        let mut request = Request::new(Method::POST, self.address(path));
        request.body = Body::Json(body);
        request.timeout = self.timeout;
        request.body_bytes_max = limits::LLM_ANSWER_BYTES_MAX;
        // A redirect would carry the key and the script's texts to a host that nobody configured.
        request.redirects_max = 0;
        if self.source.kind == Kind::Anthropic {
            request.headers.push(("anthropic-version".into(), anthropic::VERSION.into()));
        }
        if let Some(key) = &self.key {
            let key = key.expose_secret();
            request.headers.push(match self.source.kind {
                Kind::Anthropic => ("x-api-key".into(), key.into()),
                Kind::Openai | Kind::Ollama => ("Authorization".into(), format!("Bearer {key}")),
            });
        }
        let mut attempt = 1;
        loop {
            let answer = self.llm.http.request_for_operator(&request, OnBehalf::Script).await;
            let (passing, asked) = match &answer {
                Ok(response) if response.is_success() => return self.read(response).map(|body| (body, attempt)),
                Ok(response) => {
                    let asked = retry_after(&response.headers, self.llm.clock.now());
                    (response.status == 429 || response.status >= 500, asked)
                }
                Err(error) => (error.is_passing(), None),
            };
            match RETRY.wait(attempt, asked).filter(|_| passing) {
                Some(wait) => self.llm.clock.sleep(wait).await,
                None => {
                    return Err(match answer {
                        Ok(response) => self.refused(&response, attempt),
                        Err(error) => LlmError::Http { source_name: self.name.to_owned(), fault: Fault::from(error) },
                    });
                }
            }
            attempt += 1;
        }
    }

    fn read(&self, response: &Response) -> Result<Value, LlmError> {
        serde_json::from_slice(&response.body).map_err(|_| self.unreadable("it is not JSON"))
    }

    /// What the provider says is wrong, without the key.
    fn refused(&self, response: &Response, attempts: u32) -> LlmError {
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let said = [body.pointer("/error/message"), body.get("error"), body.get("message")];
        let said = said.into_iter().flatten().find_map(Value::as_str).map(clip);
        let said = said.unwrap_or_else(|| response.excerpt());
        let said = match &self.key {
            Some(key) if !key.expose_secret().is_empty() => said.replace(key.expose_secret(), "***"),
            _ => said,
        };
        let said = if said.is_empty() { said } else { format!(": {said}") };
        LlmError::Refused { source_name: self.name.to_owned(), status: response.status, said, attempts }
    }
}

/// What newer models of OpenAI say about the older name of the limit.
fn wants_other_limit(error: &LlmError) -> bool {
    matches!(error, LlmError::Refused { status: 400, said, .. } if said.contains("max_completion_tokens"))
}

fn check(name: &str, ask: &Ask) -> Result<(), LlmError> {
    let bad = |problem: String| Err(LlmError::BadRequest { source_name: name.to_owned(), problem });
    let speaks = |message: &&Message| message.role != Role::System;
    if ask.messages.iter().find(speaks).is_none() {
        return bad("there is nothing to answer: give a prompt, or a message that is not the system's".into());
    }
    if ask.messages.len() > limits::LLM_MESSAGES_MAX || ask.tools.len() > limits::LLM_TOOLS_MAX {
        return bad(format!("{} messages and {} tools are too many", ask.messages.len(), ask.tools.len()));
    }
    if ask.messages.iter().any(|message| message.role == Role::Tool && message.tool_call_id.is_none()) {
        return bad("a message of a tool says which call it answers: tool_call_id".into());
    }
    if ask.max_tokens.is_some_and(|tokens| tokens < 1) {
        return bad("max_tokens must be at least 1".into());
    }
    Ok(())
}

fn with_json(name: &str, answer: Answer) -> Result<Answer, LlmError> {
    match serde_json::from_str(answer.text.trim()) {
        Ok(json) => Ok(Answer { json: Some(json), ..answer }),
        Err(_) => {
            let (finish, said) = (answer.finish, clip(&answer.text));
            Err(LlmError::NotJson { source_name: name.to_owned(), finish, said })
        }
    }
}

fn clip(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 300;
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARS_MAX).collect()
}

/// A member's text; empty without one.
pub fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub fn integer(value: Option<&Value>) -> i64 {
    value.and_then(Value::as_i64).unwrap_or_default()
}

pub fn vector(value: Option<&Value>) -> Result<Vec<f64>, Unreadable> {
    let numbers = value.and_then(Value::as_array).ok_or("a vector is missing")?;
    numbers.iter().map(|number| number.as_f64().ok_or("a vector holds something else than numbers")).collect()
}
