//! Real servers that refuse what the providers' documentation refuses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response as Answer};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::super::http::{self, Http};
use super::{Destination, Message, Notify, NotifyError, Options, Report, Secrets};
use crate::base::{Clock, FakeClock, Fault, SecretString};
use crate::model::Grants;
use crate::primitives::permit::{self, NotifyPermit};

#[derive(Debug, Default)]
struct FakeSecrets(BTreeMap<String, String>);

impl Secrets for FakeSecrets {
    fn get(&self, name: &str) -> Option<SecretString> {
        self.0.get(name).cloned().map(SecretString::from)
    }
}

/// What arrived, in order.
type Inbox = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

fn length(value: &Value) -> usize {
    value.as_str().unwrap_or_default().encode_utf16().count()
}

/// The limits of Discord's documentation, checked independently of the code under test.
fn discord_fault(body: &Value) -> Option<&'static str> {
    let known = ["content", "username", "avatar_url", "tts", "embeds", "allowed_mentions"];
    if body.as_object()?.keys().any(|key| !known.contains(&key.as_str())) {
        return Some("unknown field");
    }
    let embeds = body["embeds"].as_array().cloned().unwrap_or_default();
    if length(&body["content"]) > 2_000 || embeds.len() > 10 || (embeds.is_empty() && body["content"].is_null()) {
        return Some("content or embeds");
    }
    let mut total = 0;
    for embed in &embeds {
        let fields = embed["fields"].as_array().cloned().unwrap_or_default();
        let has_text = embed["title"].is_string() || embed["description"].is_string() || !fields.is_empty();
        if !has_text || length(&embed["title"]) > 256 || length(&embed["description"]) > 4_096 || fields.len() > 25 {
            return Some("embed");
        }
        for field in &fields {
            let (name, value) = (length(&field["name"]), length(&field["value"]));
            if name == 0 || name > 256 || value == 0 || value > 1_024 {
                return Some("field");
            }
            total += name + value;
        }
        total += length(&embed["title"]) + length(&embed["description"]);
    }
    (total > 6_000).then_some("6000 characters")
}

fn slack_fault(body: &Value) -> Option<&'static str> {
    if length(&body["text"]) == 0 {
        return Some("no_text");
    }
    for block in body["blocks"].as_array().cloned().unwrap_or_default() {
        let fields = block["fields"].as_array().cloned().unwrap_or_default();
        let fits = match block["type"].as_str() {
            Some("header") => {
                block["text"]["type"] == "plain_text" && (1..=150).contains(&length(&block["text"]["text"]))
            }
            Some("section") if fields.is_empty() => (1..=3_000).contains(&length(&block["text"]["text"])),
            Some("section") => {
                fields.len() <= 10 && fields.iter().all(|field| (1..=2_000).contains(&length(&field["text"])))
            }
            _ => false,
        };
        if !fits {
            return Some("invalid_blocks");
        }
    }
    None
}

fn ntfy_fault(body: &Value) -> Option<&'static str> {
    let topic = body["topic"].as_str().unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let message = body["message"].as_str().unwrap_or_default();
    let bad = topic.is_empty()
        || topic.len() > 64
        || !topic.chars().all(fits)
        || message.len() > 4_096
        || !(1..=5).contains(&body["priority"].as_u64().unwrap_or_default());
    bad.then_some("invalid request")
}

async fn take(
    Path(kind): Path<String>,
    State(inbox): State<Inbox>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Answer {
    inbox.lock().expect("not poisoned").push((headers, body.clone()));
    let fault = match kind.as_str() {
        "discord" => discord_fault(&body),
        "slack" => slack_fault(&body),
        "ntfy" => ntfy_fault(&body),
        _ => None,
    };
    let seen = inbox.lock().expect("not poisoned").len();
    match (kind.as_str(), fault) {
        (_, Some(fault)) => (StatusCode::BAD_REQUEST, fault).into_response(),
        ("busy", _) if seen < 3 => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "5")]).into_response(),
        ("broken", _) => (StatusCode::INTERNAL_SERVER_ERROR, "out of order").into_response(),
        ("discord", _) => StatusCode::NO_CONTENT.into_response(),
        _ => "ok".into_response(),
    }
}

struct Desk {
    address: std::net::SocketAddr,
    inbox: Inbox,
}

impl Desk {
    async fn open() -> Self {
        let inbox = Inbox::default();
        let app = Router::new().route("/{kind}", post(take)).with_state(inbox.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, inbox }
    }

    fn url(&self, kind: &str) -> String {
        format!("http://{}/{kind}", self.address)
    }

    fn arrived(&self) -> Vec<(HeaderMap, Value)> {
        self.inbox.lock().expect("not poisoned").clone()
    }
}

fn notify(destinations: Value, secrets: &[(&str, &str)]) -> (Notify, FakeClock) {
    let list: Vec<Destination> = serde_json::from_value(destinations).expect("destinations");
    let secrets = secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let (clock, hand) = Clock::fake("2026-01-01T00:00:00Z".parse().expect("a time"));
    let http = Http::new(http::Options::default()).expect("a client");
    let routes = BTreeMap::from([("alerts".to_owned(), list)]);
    let notify = Notify::new(Options { routes, clock, secrets: Arc::new(FakeSecrets(secrets)), http }).expect("routes");
    (notify, hand)
}

fn permit(route: &str) -> NotifyPermit {
    permit::notify(&Grants { notify: vec!["*".into()], ..Grants::default() }, route).expect("granted")
}

async fn send(notify: &Notify, message: Value) -> Result<Report, NotifyError> {
    let message: Message = serde_json::from_value(message).expect("a message");
    notify.send(&permit("alerts"), message).await
}

fn states(report: &Report) -> Vec<String> {
    report.deliveries.iter().map(|delivery| format!("{} {:?}", delivery.destination, delivery.state)).collect()
}

#[tokio::test]
async fn every_provider_takes_an_ordinary_message() {
    let desk = Desk::open().await;
    let (notify, _) = notify(
        json!([
            {"discord": {"webhook": "secret:HOOK", "username": "Aegis"}},
            {"slack": {"webhook": desk.url("slack")}},
            {"ntfy": {"url": desk.url("ntfy"), "topic": "ops", "token": "secret:NTFY"}},
            {"webhook": {"url": desk.url("own"), "headers": {"X-Key": "secret:NTFY"}}}
        ]),
        &[("HOOK", &desk.url("discord")), ("NTFY", "tk_1")],
    );
    let message = json!({"title": "web is down", "text": "exit 137 <oom> & co", "severity": "critical",
        "fields": {"host": "a", "container": "web"}, "url": "https://ops.example.com/runs/1"});
    let report = send(&notify, message).await.expect("sent");
    assert_eq!(states(&report), ["discord Sent", "slack Sent", "ntfy Sent", "webhook Sent"]);
    let arrived = desk.arrived();
    let of = |key: &str| arrived.iter().find(|(_, body)| body.get(key).is_some()).cloned().expect(key);
    let (_, discord) = of("embeds");
    assert_eq!(discord["embeds"][0]["fields"][0]["name"], "container");
    assert_eq!(discord["allowed_mentions"], json!({"parse": []}));
    let (headers, ntfy) = of("topic");
    assert_eq!(
        (&headers["authorization"], &ntfy["priority"], &ntfy["click"]),
        (&"Bearer tk_1".parse().expect("a value"), &json!(5), &json!("https://ops.example.com/runs/1"))
    );
    let (headers, own) = of("at");
    assert_eq!((&headers["x-key"], &own["severity"]), (&"tk_1".parse().expect("a value"), &json!("critical")));
    let (_, slack) = of("blocks");
    assert!(slack["blocks"][1]["text"]["text"].as_str().is_some_and(|text| text.contains("&lt;oom&gt; &amp; co")));
}

#[tokio::test]
async fn enormous_messages_are_cut_to_what_providers_take() {
    let desk = Desk::open().await;
    let (notify, _) = notify(
        json!([
            {"discord": {"webhook": desk.url("discord"), "username": "x".repeat(500)}},
            {"slack": {"webhook": desk.url("slack")}},
            {"ntfy": {"url": desk.url("ntfy"), "topic": "ops"}}
        ]),
        &[],
    );
    let fields: BTreeMap<String, String> =
        (0..25).map(|number| (format!("{number}{}", "n🦀".repeat(400)), "<v&🦀".repeat(2_000))).collect();
    let message = json!({"title": "t🦀".repeat(3_000), "text": "<x&>🦀".repeat(20_000), "fields": fields});
    let report = send(&notify, message).await.expect("sent");
    assert_eq!(states(&report), ["discord Sent", "slack Sent", "ntfy Sent"], "{report:?}");
    for short in
        [json!({"title": "only a title"}), json!({"text": "only a text"}), json!({"text": "x", "fields": {"": ""}})]
    {
        assert_eq!(states(&send(&notify, short).await.expect("sent")), ["discord Sent", "slack Sent", "ntfy Sent"]);
    }
}

#[tokio::test]
async fn severity_chooses_destinations() {
    let desk = Desk::open().await;
    let (notify, _) = notify(
        json!([
            {"webhook": {"url": desk.url("a")}},
            {"slack": {"webhook": desk.url("slack")}, "min_severity": "error"}
        ]),
        &[],
    );
    let report = send(&notify, json!({"text": "x", "severity": "warning"})).await.expect("sent");
    assert_eq!(states(&report), ["webhook Sent", "slack Skipped"]);
    assert_eq!(desk.arrived().len(), 1);
    let dry = send(&notify, json!({"text": "x", "severity": "error", "dry_run": true})).await.expect("a plan");
    assert_eq!(states(&dry), ["webhook Planned", "slack Planned"]);
    assert!(dry.deliveries[1].body.is_some() && desk.arrived().len() == 1);
}

#[tokio::test]
async fn busy_providers_are_asked_again_when_they_say() {
    let desk = Desk::open().await;
    let (notify, hand) = notify(json!([{"webhook": {"url": desk.url("busy")}}]), &[]);
    let started = hand.now();
    let turn = async {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            hand.advance(Duration::from_secs(1));
        }
    };
    let report = tokio::select! { report = send(&notify, json!({"text": "x"})) => report, () = turn => unreachable!() };
    assert_eq!(report.expect("sent").deliveries[0].attempts, 3);
    let waited = hand.now().duration_since(started).as_secs();
    assert!(waited >= 10, "twice the five seconds that were asked for, not {waited}");
}

#[tokio::test]
async fn failures_are_told_without_secrets() {
    let desk = Desk::open().await;
    let (broken, hand) = notify(json!([{"slack": {"webhook": desk.url("broken")}}]), &[]);
    let turn = async {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            hand.advance(Duration::from_secs(1));
        }
    };
    let failed = tokio::select! { failed = send(&broken, json!({"text": "x"})) => failed, () = turn => unreachable!() };
    let fault = Fault::from(failed.expect_err("out of order"));
    assert_eq!((fault.code.as_ref(), fault.retryable), ("notify.failed", true));
    assert!(fault.message.contains("it answered 500: out of order"), "{fault}");
    assert_eq!(fault.details["deliveries"][0]["attempts"], 4);

    let (other, _) = notify(
        json!([{"webhook": {"url": "secret:NONE"}}, {"webhook": {"url": "secret:ODD"}}, {"webhook": {"url": desk.url("ok")}}]),
        &[("ODD", "not a url s3cret")],
    );
    let report = send(&other, json!({"text": "x"})).await.expect("one took it");
    assert_eq!(states(&report), ["webhook Failed", "webhook Failed", "webhook Sent"]);
    let shown = format!("{report:?}");
    assert!(shown.contains("the secret NONE is not set") && !shown.contains("s3cret"), "{shown}");
    assert_eq!(other.missing_secrets(), ["alerts: NONE"]);
}

#[tokio::test]
async fn routes_and_messages_are_checked() {
    let (notify, _) = notify(json!([]), &[]);
    let unknown = notify.send(&permit("alert"), Message { text: "x".into(), ..Message::default() }).await;
    let fault = Fault::from(unknown.expect_err("no such route"));
    assert!(fault.code == "notify.no_route" && fault.message.contains("did you mean \"alerts\""), "{fault}");
    assert!(send(&notify, json!({"title": " "})).await.is_err());
    assert!(send(&notify, json!({"text": "x", "url": "javascript:alert(1)"})).await.is_err());
    assert!(serde_json::from_value::<Message>(json!({"text": "x", "sevirity": "error"})).is_err());
}
