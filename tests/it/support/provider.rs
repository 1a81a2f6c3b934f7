//! A provider's HTTP API on loopback: it holds requests to the documented format and keeps them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};

/// One request.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    /// `null` when it is not JSON.
    pub json: Value,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Says no unless the request is like this.
    pub fn is(&self, method: &str, path: &str) -> Result<(), String> {
        let got = format!("{} {}", self.method, self.path);
        if got == format!("{method} {path}") { Ok(()) } else { Err(format!("{got} is not {method} {path}")) }
    }
}

/// What is answered; an `Err` says how the request breaks the format, and becomes a 400.
type Answer = dyn Fn(&Asked) -> Result<Value, String> + Send + Sync;

#[derive(Clone)]
struct Desk {
    answer: Arc<Answer>,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    asked: Vec<Asked>,
    broken: Vec<String>,
}

/// Serves until it is dropped.
pub struct Provider {
    pub address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
    server: tokio::task::JoinHandle<()>,
}

impl Provider {
    pub async fn start(answer: impl Fn(&Asked) -> Result<Value, String> + Send + Sync + 'static) -> Self {
        let kept = Arc::<Mutex<Kept>>::default();
        let desk = Desk { answer: Arc::new(answer), kept: kept.clone() };
        let router = Router::new().fallback(receive).with_state(desk);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("the provider serves") });
        Self { address, kept, server }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked; fails when a request broke the format.
    #[track_caller]
    pub fn asked(&self) -> Vec<Asked> {
        let kept = self.kept.lock().expect("not poisoned");
        assert_eq!(kept.broken, Vec::<String>::new(), "requests broke the provider's format");
        kept.asked.clone()
    }
}

impl Provider {
    /// Waits until it was asked so often: what was handed in may be on its way for a moment.
    pub async fn wait_for(&self, count: usize) -> Vec<Asked> {
        super::eventually(&format!("{count} requests"), || async {
            let asked = self.asked();
            (asked.len() >= count).then_some(asked)
        })
        .await
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(
    State(desk): State<Desk>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, axum::Json<Value>) {
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let asked = Asked {
        method: method.to_string(),
        path: uri.path().to_owned(),
        query: query.into_owned().collect(),
        headers: headers.iter().map(header).collect(),
        json: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let answer = (desk.answer)(&asked);
    let mut kept = desk.kept.lock().expect("not poisoned");
    kept.asked.push(asked);
    match answer {
        Ok(value) => (StatusCode::OK, axum::Json(value)),
        Err(problem) => {
            kept.broken.push(problem.clone());
            (StatusCode::BAD_REQUEST, axum::Json(json!({ "error": { "message": problem } })))
        }
    }
}
