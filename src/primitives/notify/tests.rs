use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::receivers::{self, discord, ntfy, resend, slack, telegram, vonage};
use super::*;
use crate::base::{Clock, Fault, SecretString, Timestamp};
use crate::model::Grants;
use crate::primitives::http::testing::{Server, answer};
use crate::primitives::http::{self, Http};
use crate::primitives::permit::{self, NotifyPermit};

#[derive(Default)]
struct Known(BTreeMap<&'static str, String>);

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Known")
    }
}

impl Secrets for Known {
    fn secret(&self, name: &str) -> Option<SecretString> {
        self.0.get(name).map(|value| value.clone().into())
    }
}

fn may(route: &str) -> NotifyPermit {
    permit::notify(&Grants { notify: vec!["*".into()], ..Grants::default() }, route).expect("a permit")
}

fn service(routes: &serde_json::Value, secrets: Known, clock: Clock) -> Notify {
    let routes = serde_json::from_value(routes.clone()).expect("routes");
    let http = Http::new(&http::Options::default(), clock.clone()).expect("a client");
    Notify::new(Options { routes, ca_file: None }, http, Arc::new(secrets), clock).expect("a service")
}

fn notify(routes: &serde_json::Value) -> Notify {
    service(routes, Known::default(), Clock::system())
}

fn message() -> Message {
    Message {
        title: "db is down".into(),
        text: "exit code <137> & counting".into(),
        severity: Severity::Critical,
        fields: vec![("host".into(), "a".into()), ("since".into(), String::new())],
        url: Some("https://aegis.example.com/runs/1".into()),
        key: None,
    }
}

/// Larger in every direction than any provider takes.
fn huge() -> Message {
    Message {
        title: "ü".repeat(5_000),
        text: "<&>ü".repeat(4_000),
        fields: (0..60).map(|n| (format!("{n}{}", "n".repeat(200)), "ü<".repeat(60))).collect(),
        ..message()
    }
}

fn failure(delivery: &Delivery) -> &Fault {
    match &delivery.outcome {
        Outcome::Failed(fault) => fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_provider_takes_what_it_is_sent() {
    let (discord, slack) = (receivers::start(discord).await, receivers::start(slack).await);
    let (ntfy, webhook) = (receivers::start(ntfy).await, Server::start(|_, _| answer(204, &[], "")).await);
    let (telegram, vonage) = (receivers::start(telegram).await, receivers::start(vonage).await);
    let resend = receivers::start(resend).await;
    let secrets = Known(BTreeMap::from([
        ("TELEGRAM", "123:telegram-token".into()),
        ("PHONE", "+1 555 010-0000".into()),
        ("RESEND", "re_resend_key".into()),
        ("DISCORD", discord.url("/api/webhooks/111/discord-token")),
        ("NTFY", "tk_ntfy_token".into()),
        ("HOOK", "Bearer hook".into()),
    ]));
    let routes = json!({ "alerts": [
        { "discord": { "webhook": "secret:DISCORD" } },
        { "slack": { "webhook": slack.url("/services/T0/B0/slack-token") } },
        { "ntfy": { "url": ntfy.url(""), "topic": "ops-alerts", "token": "secret:NTFY" } },
        { "webhook": { "url": webhook.url("/hook"), "headers": { "Authorization": "secret:HOOK" } } },
        { "telegram": { "token": "secret:TELEGRAM", "chat": "-1000000000000", "url": telegram.url("/") } },
        { "whatsapp": { "key": "vonage-key", "secret": "vonage-secret", "from": "15550100001", "to": "secret:PHONE",
                        "url": vonage.url("/v1/messages") }, "min_severity": "info" },
        { "resend": { "key": "secret:RESEND", "from": "Aegis <aegis@example.com>", "to": "ops@example.com",
                      "url": resend.url("/emails") } },
    ] });
    let notify = service(&routes, secrets, Clock::system());
    let title_only = Message { title: "only a title".into(), ..Message::default() };
    let text_only = Message { text: "only\na text".into(), url: message().url, ..Message::default() };
    let far = |bytes: usize| Some(format!("https://aegis.example.com/{}", "x&".repeat(bytes / 2)));
    let (long_url, longer_url) = (Message { url: far(2_500), ..message() }, Message { url: far(12_000), ..huge() });
    let escaped = Message { text: "\u{1b}[31m\n\"".repeat(1_000), title: "\u{1b}".repeat(300), ..message() };
    for message in [message(), huge(), title_only, text_only, long_url, longer_url, escaped] {
        let deliveries = notify.send(&may("alerts"), &message).await.expect("sent");
        for delivery in &deliveries {
            assert_eq!((&delivery.outcome, delivery.attempts), (&Outcome::Delivered, 1), "{delivery:?}");
        }
        assert_eq!(deliveries.len(), 7);
    }
    let said = discord.asked()[0].json();
    assert_eq!(said["embeds"][0]["fields"][1], json!({ "name": "since", "value": "–", "inline": true }));
    let told = telegram.asked()[0].json();
    let text = "🚨 <b>db is down</b>\nexit code &lt;137&gt; &amp; counting\nhost: a\nsince: \n\
                <a href=\"https://aegis.example.com/runs/1\">Open</a>";
    assert_eq!((&told["text"], &told["disable_notification"]), (&text.into(), &false.into()));
    assert!(telegram.asked()[1].json()["text"].as_str().is_some_and(|text| text.contains(" more characters)")));
    let told = vonage.asked()[0].json();
    assert_eq!((&told["to"], &told["from"]), (&"15550100000".into(), &"15550100001".into()));
    let told = resend.asked()[0].json();
    assert_eq!((&told["subject"], &told["to"]), (&"[critical] db is down".into(), &json!(["ops@example.com"])));
    assert!(told["html"].as_str().is_some_and(|html| html.contains("exit code &lt;137&gt; &amp; counting")));
    assert!(slack.asked()[0].json().to_string().contains("exit code &lt;137&gt; &amp; counting"));
    assert_eq!(ntfy.asked()[0].json()["message"], "exit code <137> & counting\nhost: a\nsince: ");
    let asked = webhook.asked().remove(0);
    let said = asked.json();
    assert_eq!((asked.path.as_str(), asked.header("authorization")), ("/hook", "Bearer hook"));
    assert_eq!(
        (&said["route"], &said["severity"], &said["title"]),
        (&"alerts".into(), &"critical".into(), &"db is down".into())
    );
    assert_eq!(said["fields"][0], json!({ "name": "host", "value": "a" }));
}

#[tokio::test]
async fn a_phone_rings_for_what_is_critical_alone() {
    let vonage = receivers::start(vonage).await;
    let keys = json!({ "key": "vonage-key", "secret": "vonage-secret", "from": "15550100001", "to": "15550100000",
                       "url": vonage.url("/v1/messages") });
    let notify = notify(&json!({ "alerts": [{ "whatsapp": keys }] }));
    for (severity, expected) in [(Severity::Warning, "below_severity"), (Severity::Critical, "delivered")] {
        let deliveries = notify.send(&may("alerts"), &Message { severity, ..message() }).await.expect("sent");
        assert_eq!(deliveries[0].outcome.as_str(), expected);
    }
    assert_eq!(vonage.asked().len(), 1);
}

#[tokio::test]
async fn an_application_signs_its_tokens() {
    let dir = tempfile::tempdir().expect("a folder");
    let openssl = |arguments: &[&str]| {
        let output = std::process::Command::new("openssl").current_dir(dir.path()).args(arguments).output();
        let output = output.expect("openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "key.pem"]);
    openssl(&["rsa", "-in", "key.pem", "-pubout", "-out", "public.pem"]);
    let vonage = receivers::start(vonage).await;
    let pem = std::fs::read_to_string(dir.path().join("key.pem")).expect("a key");
    let secrets = Known(BTreeMap::from([("KEY", pem), ("BAD", "no key".into())]));
    let with = |key: &str| {
        json!({ "whatsapp": { "application": "app-1", "private_key": key, "from": "15550100001",
                                                 "to": "15550100000", "url": vonage.url("/v1/messages") } })
    };
    let routes = json!({ "alerts": [with("secret:KEY"), with("secret:BAD")] });
    let (clock, _) = Clock::fake(Timestamp::from_second(1_800_000_000).expect("a time"));
    let deliveries = service(&routes, secrets, clock).send(&may("alerts"), &message()).await.expect("sent");
    assert_eq!(deliveries[0].outcome, Outcome::Delivered);
    assert_eq!(failure(&deliveries[1]).code, "notify.bad_secret");
    let token = vonage.asked()[0].header("authorization").trim_start_matches("Bearer ").to_owned();
    let parts: Vec<&str> = token.split('.').collect();
    let decoded = |part: &str| {
        use base64::Engine;
        base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64url")
    };
    let claims: serde_json::Value = serde_json::from_slice(&decoded(parts[1])).expect("JSON");
    assert_eq!((&claims["application_id"], &claims["iat"]), (&"app-1".into(), &1_800_000_000.into()));
    assert_eq!(claims["exp"], 1_800_000_900);
    std::fs::write(dir.path().join("signed"), format!("{}.{}", parts[0], parts[1])).expect("written");
    std::fs::write(dir.path().join("signature"), decoded(parts[2])).expect("written");
    openssl(&["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "signed"]);
}

#[tokio::test]
async fn severity_decides_who_is_told() {
    let server = Server::start(|_, _| answer(204, &[], "")).await;
    let routes = json!({ "alerts": [
        { "webhook": { "url": server.url("/all") } },
        { "webhook": { "url": server.url("/bad") }, "min_severity": "critical" },
    ] });
    let warning = Message { severity: Severity::Warning, ..message() };
    let deliveries = notify(&routes).send(&may("alerts"), &warning).await.expect("sent");
    let outcomes: Vec<_> = deliveries.iter().map(|delivery| delivery.outcome.as_str()).collect();
    assert_eq!(outcomes, ["delivered", "below_severity"]);
    assert_eq!(server.asked().iter().map(|asked| asked.path.as_str()).collect::<Vec<_>>(), ["/all"]);
}

#[tokio::test]
async fn an_unknown_route_names_its_neighbours() {
    let notify = notify(&json!({ "alerts": [], "deploys": [] }));
    let fault = Fault::from(notify.send(&may("alert"), &message()).await.expect_err("unknown"));
    assert_eq!(fault.code, "notify.unknown_route");
    assert_eq!(fault.message, "there is no notification route \"alert\"; did you mean \"alerts\"?");
    assert_eq!(fault.hint.as_deref(), Some("configured are: alerts, deploys"));
    assert_eq!(notify.routes().map(|(name, _)| name).collect::<Vec<_>>(), ["alerts", "deploys"]);
}

#[tokio::test]
async fn messages_are_checked_before_anyone_is_told() {
    let notify = notify(&json!({ "alerts": [] }));
    let cases = [
        Message { title: " ".into(), ..Message::default() },
        Message { text: "x".repeat(100_000), ..Message::default() },
        Message { fields: vec![("a".into(), "b".into()); 65], ..message() },
        Message { url: Some("javascript:alert(1)".into()), ..message() },
    ];
    for message in cases {
        let fault = Fault::from(notify.send(&may("alerts"), &message).await.expect_err("bad"));
        assert_eq!(fault.code, "notify.bad_message", "{fault}");
    }
}

/// Turns the clock until `sending` is done.
async fn while_time_passes<T>(hand: &crate::base::FakeClock, sending: impl Future<Output = T>) -> T {
    let mut sending = std::pin::pin!(sending);
    loop {
        match tokio::time::timeout(Duration::from_millis(10), &mut sending).await {
            Ok(done) => return done,
            Err(_) => hand.advance(Duration::from_millis(200)),
        }
    }
}

#[tokio::test]
async fn a_receiver_that_is_not_well_is_tried_again_as_it_asks() {
    let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
    let times = Arc::new(Mutex::new(Vec::new()));
    let (seen, now) = (times.clone(), clock.clone());
    let server = Server::start(move |number, _| {
        seen.lock().expect("not poisoned").push(now.now().as_millisecond());
        match number {
            0 => answer(500, &[], ""),
            1 => answer(429, &[("retry-after", "3")], ""),
            2 => answer(429, &[], r#"{"message":"You are being rate limited.","retry_after":4.5,"global":false}"#),
            _ => answer(204, &[], ""),
        }
    })
    .await;
    let routes = json!({ "alerts": [{ "webhook": { "url": server.url("/") } }] });
    let notify = service(&routes, Known::default(), clock);
    let deliveries = while_time_passes(&hand, notify.send(&may("alerts"), &message())).await.expect("sent");
    assert_eq!((&deliveries[0].outcome, deliveries[0].attempts), (&Outcome::Delivered, 4));
    let times = times.lock().expect("not poisoned").clone();
    let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits[0] >= 500 && waits[1] >= 3_000 && waits[2] >= 4_500, "{waits:?}");
    let ids: Vec<_> = server.asked().iter().map(|asked| asked.json()["id"].clone()).collect();
    assert!(ids.iter().all(|id| id.is_string() && *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn attempts_end_and_the_fault_says_why() {
    let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
    let well = Server::start(|_, _| answer(204, &[], "")).await;
    let ill = Server::start(|_, _| answer(503, &[], "")).await;
    let busy = Server::start(|_, _| answer(429, &[("retry-after", "3600")], "")).await;
    let moved = Server::start(|_, _| answer(301, &[("location", "http://127.0.0.1:1/")], "")).await;
    let gone = Server::start(|_, _| answer(404, &[], "Unknown Webhook")).await;
    let hook = |server: &Server| json!({ "webhook": { "url": server.url("/") } });
    let routes = json!({ "alerts": [hook(&ill), hook(&busy), hook(&moved), hook(&gone), hook(&well)] });
    let notify = service(&routes, Known::default(), clock);
    let deliveries = while_time_passes(&hand, notify.send(&may("alerts"), &message())).await.expect("sent");
    let seen: Vec<_> = deliveries[..4]
        .iter()
        .map(|delivery| (failure(delivery).code.as_ref(), delivery.attempts, failure(delivery).retryable))
        .collect();
    assert_eq!(
        seen,
        [
            ("notify.refused", 4, true),
            ("notify.rate_limited", 1, true),
            ("notify.refused", 1, false),
            ("notify.refused", 1, false),
        ]
    );
    assert!(failure(&deliveries[3]).message.ends_with("the receiver answered 404: Unknown Webhook"));
    let labels: Vec<_> = deliveries.iter().map(|delivery| delivery.destination.as_str()).collect();
    assert_eq!((labels[0], labels[4]), ("webhook (127.0.0.1)", "webhook (127.0.0.1) #5"), "each has a name of its own");
    assert_eq!(deliveries[4].outcome, Outcome::Delivered, "one that fails keeps no other from being told");
}

#[tokio::test]
async fn no_failure_tells_the_address() {
    let echo = Server::start(|_, asked| {
        answer(404, &[], format!("cannot post {} with {}", asked.path, asked.header("x-key")))
    })
    .await;
    let closed = "http://127.0.0.1:1/services/T0/hunter2-token?key=hunter2";
    let secrets = Known(BTreeMap::from([("HOOK", echo.url("/services/T0/hunter2-token?key=hunter2"))]));
    let routes = json!({ "alerts": [
        { "webhook": { "url": "secret:HOOK", "headers": { "x-key": "hunter2-header" } } },
        { "slack": { "webhook": closed } },
        { "discord": { "webhook": "secret:ABSENT" } },
    ] });
    let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
    let notify = service(&routes, secrets, clock);
    let deliveries = while_time_passes(&hand, notify.send(&may("alerts"), &message())).await.expect("sent");
    let codes: Vec<_> = deliveries.iter().map(|delivery| failure(delivery).code.as_ref()).collect();
    assert_eq!(codes, ["notify.refused", "http.connect", "notify.secret_missing"]);
    let labels: Vec<_> = deliveries.iter().map(|delivery| delivery.destination.as_str()).collect();
    assert_eq!(labels, ["webhook (secret:HOOK)", "slack (127.0.0.1)", "discord (secret:ABSENT)"]);
    let all = format!("{deliveries:?} {notify:?}");
    assert!(!all.contains("hunter2"), "{all}");
    assert!(failure(&deliveries[2]).hint.as_deref().is_some_and(|hint| hint.contains("aegis secret set ABSENT")));
}

#[tokio::test]
async fn a_plan_tells_nobody() {
    let server = Server::start(|_, _| answer(204, &[], "")).await;
    let routes = json!({ "alerts": [
        { "webhook": { "url": server.url("/") } },
        { "webhook": { "url": server.url("/") }, "min_severity": "critical" },
    ] });
    let info = Message { severity: Severity::Info, ..message() };
    let planned = notify(&routes).plan(&may("alerts"), &info).expect("a plan");
    assert_eq!(planned.iter().map(|one| one.outcome.as_str()).collect::<Vec<_>>(), ["planned", "below_severity"]);
    assert_eq!(server.connections(), 0);
}

#[test]
fn routes_have_bounds() {
    let destination = json!({ "webhook": { "url": "http://127.0.0.1/" } });
    let routes = serde_json::from_value(json!({ "alerts": vec![destination; 17] })).expect("routes");
    let http = Http::new(&http::Options::default(), Clock::system()).expect("a client");
    let refused = Notify::new(Options { routes, ca_file: None }, http, Arc::new(ProcessSecrets), Clock::system());
    let fault = Fault::from(refused.expect_err("too many"));
    assert!(fault.message.starts_with("notify.routes.alerts: there are 17 destinations"), "{fault}");
}
