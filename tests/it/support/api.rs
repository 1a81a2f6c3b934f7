//! The HTTP API, as a program with a token uses it.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::wait::{PATIENCE, settles};

/// States in which a run has ended.
const FINAL: [&str; 5] = ["succeeded", "failed", "timed_out", "cancelled", "interrupted"];

#[derive(Debug, Clone)]
pub struct Api {
    client: Client,
    pub base: String,
    token: Option<String>,
}

/// What came back: the status and the body as JSON, `null` when it was not JSON.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub text: String,
    pub body: Value,
}

/// A client that goes straight to its address, whatever proxy the environment names.
pub fn client() -> Client {
    // Everything here is plain HTTP on loopback; the client insists on a provider of cryptography all the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()
        .expect("a client can be made")
}

impl Api {
    pub fn new(base: String) -> Self {
        Self { client: client(), base, token: None }
    }

    #[must_use]
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    #[must_use]
    pub fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(&body)).await
    }

    /// Submits a run of `job` and gives its id.
    #[track_caller]
    pub fn trigger(&self, job: &str, params: Value) -> impl Future<Output = String> {
        let path = format!("/api/v1/jobs/{job}/runs");
        let api = self.clone();
        async move {
            let answer = api.post(&path, json!({ "params": params })).await.expect(StatusCode::ACCEPTED);
            answer.body["run_id"].as_str().unwrap_or_else(|| panic!("no run_id in {}", answer.text)).to_owned()
        }
    }

    pub async fn run(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/runs/{id}")).await.expect(StatusCode::OK).body
    }

    /// Waits until the run has ended and gives it.
    pub async fn ended(&self, id: &str) -> Value {
        self.reaches(id, &FINAL).await
    }

    /// Waits until the run is in one of `states` and gives it.
    pub async fn reaches(&self, id: &str, states: &[&str]) -> Value {
        settles(PATIENCE * 2, &format!("run {id} is {states:?}"), || async {
            let run = self.run(id).await;
            states.contains(&run["state"].as_str().unwrap_or_default()).then_some(run)
        })
        .await
    }

    /// Submits a run and waits for its end.
    pub async fn run_to_end(&self, job: &str, params: Value) -> Value {
        let id = self.trigger(job, params).await;
        self.ended(&id).await
    }

    /// The runs of a job, newest first.
    pub async fn runs_of(&self, job: &str) -> Vec<Value> {
        let answer = self.get(&format!("/api/v1/runs?job={job}&limit=200")).await.expect(StatusCode::OK);
        items(&answer.body, "runs")
    }

    pub async fn job_names(&self) -> Vec<String> {
        let answer = self.get("/api/v1/jobs").await.expect(StatusCode::OK);
        items(&answer.body, "jobs").iter().filter_map(|job| job["name"].as_str().map(str::to_owned)).collect()
    }

    pub async fn diagnostics(&self) -> Vec<Value> {
        let answer = self.get("/api/v1/scripts/diagnostics").await.expect(StatusCode::OK);
        items(&answer.body, "diagnostics")
    }

    /// The texts of a run's log, in order.
    pub async fn log_texts(&self, run: &str) -> Vec<String> {
        let lines = self.log_lines(run, 0).await;
        lines.iter().filter_map(|line| line["text"].as_str().map(str::to_owned)).collect()
    }

    /// A page of a run's log, after the line of that number.
    pub async fn log_lines(&self, run: &str, after: u64) -> Vec<Value> {
        let answer = self.get(&format!("/api/v1/runs/{run}/logs?after={after}")).await.expect(StatusCode::OK);
        items(&answer.body, "lines")
    }

    /// Waits until a job of that name is live.
    pub async fn job_appears(&self, job: &str) {
        super::eventually(&format!("job {job} is live"), || async {
            self.job_names().await.iter().any(|name| name == job).then_some(())
        })
        .await;
    }
}

/// The list under `key`.
pub fn items(body: &Value, key: &str) -> Vec<Value> {
    body[key].as_array().unwrap_or_else(|| panic!("no list of {key} in {body}")).clone()
}

impl Answer {
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("the daemon answers");
        let status = response.status();
        let text = response.text().await.expect("the body can be read");
        let body = serde_json::from_str(&text).unwrap_or_default();
        Self { status, text, body }
    }

    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The envelope of a failure: status, dotted code, and words that its message or details must hold.
    #[track_caller]
    pub fn expect_error(&self, status: StatusCode, words: &[&str]) {
        assert_eq!(self.status, status, "{}", self.text);
        let error = &self.body["error"];
        assert!(error["code"].is_string() && error["message"].is_string(), "not the error envelope: {}", self.text);
        for word in words {
            assert!(error.to_string().contains(word), "{word:?} is not in {}", self.text);
        }
    }
}
