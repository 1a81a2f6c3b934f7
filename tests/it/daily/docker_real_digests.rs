//! The morning's and the evening's digest: real containers, real runs and files; a payments API, an e-mail service and a
//! chat that hold every request to the documented format.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{ended, succeeded};
use crate::support::docker::Containers;
use crate::support::provider::{Asked, Provider};
use crate::support::{TestApp, Value, json};

/// A webhook of Discord: embeds within its limits.
fn discord(asked: &Asked) -> Result<Value, String> {
    asked.is("POST", "/api/webhooks/1/token")?;
    let embeds = asked.json["embeds"].as_array().ok_or("no embeds")?;
    let length = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
    let total: usize = embeds.iter().map(|embed| length(&embed["title"]) + length(&embed["description"])).sum();
    let embed = embeds.first().filter(|_| embeds.len() <= 10).ok_or("one to ten embeds")?;
    if length(&embed["title"]) > 256 || length(&embed["description"]) > 4096 || total > 6000 {
        return Err(format!("too long: {total}"));
    }
    if !embed["color"].is_u64() || asked.json["allowed_mentions"]["parse"] != json!([]) {
        return Err(format!("colour or mentions: {}", asked.json));
    }
    Ok(Value::Null)
}

/// Resend's `POST /emails`.
fn resend(asked: &Asked) -> Result<Value, String> {
    asked.is("POST", "/emails")?;
    if asked.header("authorization") != "Bearer re_test" {
        return Err(format!("authorization is {:?}", asked.header("authorization")));
    }
    let key = asked.header("idempotency-key");
    if key.is_empty() || key.len() > 256 {
        return Err(format!("the idempotency key is {key:?}"));
    }
    let text = |name: &str| asked.json[name].as_str().filter(|text| !text.is_empty()).ok_or(format!("no {name}"));
    let (from, _, html, _) = (text("from")?, text("subject")?, text("html")?, text("text")?);
    let to = asked.json["to"].as_array().ok_or("to is no list")?;
    if !from.contains('@') || to.is_empty() || to.len() > 50 || !html.starts_with("<!doctype html>") {
        return Err(format!("from, to or html: {}", asked.json));
    }
    let known = ["from", "to", "subject", "html", "text"];
    match asked.json.as_object().and_then(|body| body.keys().find(|key| !known.contains(&key.as_str()))) {
        Some(other) => Err(format!("there is no field {other}")),
        None => Ok(json!({ "id": "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794" })),
    }
}

/// Stripe's `GET /v1/balance_transactions`, two pages of it.
fn stripe(asked: &Asked) -> Result<Value, String> {
    asked.is("GET", "/v1/balance_transactions")?;
    if asked.header("authorization") != "Bearer rk_test" {
        return Err(format!("authorization is {:?}", asked.header("authorization")));
    }
    let number =
        |name: &str| asked.query.get(name).and_then(|text| text.parse::<i64>().ok()).ok_or(format!("no {name}"));
    let (from, to, limit) = (number("created[gte]")?, number("created[lt]")?, number("limit")?);
    if to - from != 86_400 || from % 86_400 != 0 || !(1..=100).contains(&limit) {
        return Err(format!("{:?} is not a day", asked.query));
    }
    let known = ["created[gte]", "created[lt]", "limit", "starting_after"];
    if let Some(other) = asked.query.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("there is no parameter {other}"));
    }
    let one = |id: usize, kind: &str, currency: &str, amount: i64, fee: i64| {
        json!({ "id": format!("txn_{id}"), "object": "balance_transaction", "type": kind, "currency": currency,
            "amount": amount, "fee": fee, "net": amount - fee, "created": from + 60, "status": "available" })
    };
    let page = |data: Vec<Value>, has_more: bool| json!({ "object": "list", "url": "/v1/balance_transactions", "has_more": has_more, "data": data });
    match asked.query.get("starting_after").map(String::as_str) {
        None => Ok(page((0..limit as usize).map(|id| one(id, "charge", "eur", 1_000, 50)).collect(), true)),
        Some(last) if last == format!("txn_{}", limit - 1) => Ok(page(
            vec![
                one(200, "refund", "eur", -2_500, 0),
                one(201, "charge", "jpy", 4_200, 150),
                one(202, "payout", "eur", -90_000, 0),
            ],
            false,
        )),
        Some(other) => Err(format!("there is no transaction {other}")),
    }
}

/// Three providers, and a daemon whose digests go to them.
struct Set {
    app: TestApp,
    discord: Provider,
    resend: Provider,
}

async fn set(script: &str, payments: Option<&Provider>) -> Set {
    let (chat, mail) = (Provider::start(discord).await, Provider::start(resend).await);
    let builder = TestApp::builder().real_docker();
    let folder = builder.dir().join("backups");
    fs::create_dir_all(folder.join("daily")).expect("a folder");
    fs::write(folder.join("daily/shop.dump"), vec![0; 2_000_000]).expect("a backup");
    let mail_host = format!("\"{}\"", mail.address);
    let mut changes = vec![("\"api.resend.com\"", mail_host.as_str())];
    let money_host = payments.map(|provider| format!("\"{}\"", provider.address)).unwrap_or_default();
    if payments.is_some() {
        changes.push(("\"api.stripe.com\"", &money_host));
    }
    let webhook = format!("{}/api/webhooks/1/token", chat.url());
    let keys = builder.dir().join("keys.env");
    fs::write(&keys, "STRIPE_KEY=rk_test\nRESEND_KEY=re_test\n").expect("the keys");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).expect("for the owner alone");
    let builder = builder
        .config("/fs/roots/backups", json!(folder))
        .config("/secrets/env_file", json!(keys))
        .config("/notify/routes/digest", json!([{ "discord": { "webhook": webhook } }]))
        .script("broken.lua", "return aegis.job { run = function() error('the disk is full') end }")
        .shipped(script, &changes);
    let app = builder.start().await;
    app.api.job_appears(script).await;
    app.api.job_appears("broken").await;
    assert_eq!(app.api.run_to_end("broken", json!({})).await["state"], "failed");
    Set { app, discord: chat, resend: mail }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_morning_routine_tells_of_the_night_by_chat_and_e_mail() {
    let containers = Containers::new();
    let ill = containers.start("ill", &[], &["sh", "-c", "exit 3"]);
    let money = Provider::start(stripe).await;
    let set = set("morning_routine", Some(&money)).await;
    let params = json!({
        "backups": ["backups:daily", "backups:weekly"], "payments": money.url(),
        "mail_to": ["ops@example.com"], "mail_api": set.resend.url(),
    });
    let run = set.app.api.trigger("morning_routine", params).await;
    let run = ended(&set.app, &run).await;
    let result = succeeded(&run);
    // There is no folder of weekly backups: that section says so, and the others are all there.
    assert_eq!((&result["sections"], &result["failed"]), (&json!(6), &json!(["Backups"])), "{run:#}");
    assert_eq!(result["sent"], json!({ "route": "sent", "e-mail": "sent" }));

    assert_eq!(money.asked().len(), 2, "two pages");
    let mail = set.resend.asked().remove(0).json;
    let text = mail["text"].as_str().expect("a text");
    for part in
        [&ill, "exited with code 3", "the disk is full", "broken", "shop.dump, 2.0 MB", "weekly", "at intervals: "]
    {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    for amount in ["1,000.00 EUR", "25.00 EUR", "50.00 EUR", "925.00 EUR", "4,200 JPY", "4,050 JPY"] {
        assert!(text.contains(amount) && mail["html"].to_string().contains(amount), "{amount:?} is not in\n{text}");
    }
    let chat = set.discord.wait_for(1).await.remove(0).json;
    assert!(chat["embeds"][0]["title"].to_string().contains("Good morning"), "{chat}");
    let id = run["id"].as_str().expect("an id");
    let page = set.app.api.get(&format!("/api/v1/runs/{id}/artifacts/digest.html")).await;
    assert!(page.status == 200 && page.text.contains("925.00 EUR"), "{}: {}", page.status, page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_evening_digest_tells_of_the_day() {
    let _containers = Containers::new();
    let set = set("evening_digest", None).await;
    let params = json!({ "mail_to": ["ops@example.com"], "mail_api": set.resend.url() });
    let run = set.app.api.trigger("evening_digest", params).await;
    let run = ended(&set.app, &run).await;
    assert_eq!((&succeeded(&run)["sections"], &run["result"]["failed"]), (&json!(5), &json!([])), "{run:#}");
    let text = set.resend.asked().remove(0).json["text"].to_string();
    for part in ["the disk is full", "memory: ", "% full, ", "RUNS OF TODAY", "TONIGHT"] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert_eq!(set.discord.wait_for(1).await.len(), 1);
}
