//! A receiver of webhooks on loopback, which keeps what it was sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;

use super::eventually;

/// One delivery.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub body: Value,
}

#[derive(Debug, Clone, Default)]
struct Inbox {
    deliveries: Arc<Mutex<Vec<Delivery>>>,
    /// Answer the next this many with 503.
    failures_left: Arc<Mutex<u32>>,
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Hook {
    pub address: SocketAddr,
    inbox: Inbox,
    server: tokio::task::JoinHandle<()>,
}

impl Hook {
    pub async fn start() -> Self {
        let inbox = Inbox::default();
        let router = Router::new().fallback(receive).with_state(inbox.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("the receiver serves") });
        Self { address, inbox, server }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// From now on, `count` deliveries are refused with 503.
    pub fn refuse(&self, count: u32) {
        *self.inbox.failures_left.lock().expect("not poisoned") = count;
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.inbox.deliveries.lock().expect("not poisoned").clone()
    }

    pub async fn wait_for(&self, count: usize) -> Vec<Delivery> {
        eventually(&format!("{count} deliveries"), || async {
            let deliveries = self.deliveries();
            (deliveries.len() >= count).then_some(deliveries)
        })
        .await
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(inbox): State<Inbox>, body: String) -> StatusCode {
    {
        let mut left = inbox.failures_left.lock().expect("not poisoned");
        if *left > 0 {
            *left -= 1;
            return StatusCode::SERVICE_UNAVAILABLE;
        }
    }
    let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
    inbox.deliveries.lock().expect("not poisoned").push(Delivery { body });
    StatusCode::NO_CONTENT
}
