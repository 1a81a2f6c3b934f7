//! A real HTTP server on loopback, for tests: it answers by a function and keeps what it was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// With the query.
    pub path: String,
    pub headers: hyper::HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

pub type Answer = hyper::Response<Full<Bytes>>;

pub fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let mut response = hyper::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::new(body.into())).expect("a response")
}

/// Serves until it is dropped.
#[derive(Debug)]
pub struct Server {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<Mutex<usize>>,
    task: AbortHandle,
}

impl Server {
    /// `serve` is given each request with its number, from 0.
    pub async fn start(serve: impl Fn(usize, &Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let connections = Arc::<Mutex<usize>>::default();
        let (serve, inbox, count) = (Arc::new(serve), asked.clone(), connections.clone());
        let mut tasks = JoinSet::new();
        let accept = async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                *count.lock().expect("not poisoned") += 1;
                let (serve, inbox) = (serve.clone(), inbox.clone());
                open.spawn(async move {
                    let service = service_fn(move |request| respond(request, serve.clone(), inbox.clone()));
                    let io = TokioIo::new(stream);
                    hyper::server::conn::http1::Builder::new().serve_connection(io, service).await.ok();
                });
            }
        };
        let task = tasks.spawn(accept);
        tasks.detach_all();
        Self { address, asked, connections, task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("not poisoned").clone()
    }

    /// Connections that were accepted so far.
    pub fn connections(&self) -> usize {
        *self.connections.lock().expect("not poisoned")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn respond<F>(
    request: hyper::Request<Incoming>,
    serve: Arc<F>,
    inbox: Arc<Mutex<Vec<Asked>>>,
) -> Result<Answer, Infallible>
where
    F: Fn(usize, &Asked) -> Answer,
{
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let asked = Asked { method: head.method.to_string(), path, headers: head.headers, body };
    let number = {
        let mut inbox = inbox.lock().expect("not poisoned");
        inbox.push(asked.clone());
        inbox.len() - 1
    };
    Ok(serve(number, &asked))
}
