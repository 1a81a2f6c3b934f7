//! Pages of a real site, taken by a real Chromium behind a small screenshot service.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, post};

use super::{ended, succeeded};
use crate::support::browser::Browser;
use crate::support::{TestApp, Value, json};

/// Listens on a port of its own as long as the test lasts.
async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    address.to_string()
}

/// A page whose price is what `price` says.
async fn page(State(price): State<Arc<AtomicU32>>) -> Html<String> {
    let price = price.load(Ordering::Relaxed);
    let body = format!("<h1 style='margin:0'>Shop</h1><p style='font:bold 120px sans-serif'>{price} EUR</p>");
    Html(format!("<!doctype html><title>Shop</title><body style='background:#fff'>{body}</body>"))
}

/// `POST /screenshot` with what is to be taken.
async fn shoot(State(browser): State<Arc<Browser>>, axum::Json(wanted): axum::Json<Value>) -> (StatusCode, Vec<u8>) {
    let Some(url) = wanted["url"].as_str().filter(|_| wanted["width"].is_u64() && wanted["height"].is_u64()) else {
        return (StatusCode::BAD_REQUEST, b"url, width and height".to_vec());
    };
    browser.goto(url).await;
    (StatusCode::OK, browser.picture().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_looks_different_is_told_with_its_pictures() {
    let price = Arc::new(AtomicU32::new(10));
    let site = serve(Router::new().route("/", get(page)).with_state(price.clone())).await;
    let browser = Arc::new(Browser::open(800, 600).await);
    let health = get(async || "ok");
    let shots = Router::new().route("/screenshot", post(shoot)).route("/health", health).with_state(browser);
    let service = serve(shots).await;
    let builder = TestApp::builder();
    let folder = builder.dir().join("pages");
    std::fs::create_dir(&folder).expect("a folder");
    let host = format!("\"{service}\"");
    let app = builder
        .config("/fs/roots/pages", json!(folder))
        .shipped("page_watch", &[("\"127.0.0.1:3000\"", &host)])
        .start()
        .await;
    app.api.job_appears("page_watch").await;
    let look = async || {
        let params = json!({ "pages": [format!("http://{site}/")], "service": format!("http://{service}") });
        let run = app.api.trigger("page_watch", params).await;
        ended(&app, &run).await
    };

    let first = look().await;
    assert_eq!(
        (&succeeded(&first)["pages"][0]["first"], &first["result"]["changed"]),
        (&json!(true), &json!(0)),
        "{first:#}"
    );
    let same = look().await;
    assert_eq!(succeeded(&same)["pages"][0]["percent"], 0, "{same:#}");
    price.store(99, Ordering::Relaxed);
    let changed = look().await;
    let result = succeeded(&changed);
    assert_eq!(result["changed"], 1, "{changed:#}");
    let found = &result["pages"][0];
    assert!(found["percent"].as_f64().is_some_and(|percent| percent > 0.5 && percent < 50.0), "{found}");
    assert!(found["area"]["top"].as_u64().is_some_and(|top| top > 20), "the headline stayed: {found}");
    let id = changed["id"].as_str().expect("an id");
    let kept = app.api.get(&format!("/api/v1/runs/{id}/artifacts")).await.text;
    assert!(kept.contains("-now.png") && kept.contains("-difference.png"), "{kept}");
    assert!(app.api.get("/api/v1/alerts").await.text.contains("page_changed"));

    let settled = look().await;
    assert_eq!((&succeeded(&settled)["changed"], &settled["result"]["cleared"]), (&json!(0), &json!(1)), "{settled:#}");
}
