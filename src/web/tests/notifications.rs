//! Notifications over the API.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::App;
use crate::base::Fault;
use crate::model::Role;
use crate::store::{OutboxWrite, ParcelChange, ParcelRow, ParcelState};

fn parcel(app: &App, id: &str, title: &str) -> ParcelRow {
    let now = app.clock.now();
    ParcelRow {
        id: id.into(),
        route: "ops".into(),
        destination: "discord (secret:OPS)".into(),
        state: ParcelState::Waiting,
        group_key: String::new(),
        count: 2,
        attempts: 0,
        created_at: now,
        due_at: now,
        body: json!({ "title": title, "severity": "warning" }),
        error: None,
    }
}

#[tokio::test]
async fn the_queue_shows_what_was_given_up_and_tries_it_again() {
    let app = App::new().await;
    let fault = Fault::new("notify.refused", "discord: the receiver answered 404");
    let write = OutboxWrite {
        add: vec![parcel(&app, "a", "one"), parcel(&app, "b", "two")],
        changes: vec![("b".into(), ParcelChange::Dead { attempts: 3, error: fault })],
        ..OutboxWrite::default()
    };
    app.store.outbox(write).await.expect("written");
    let get = async || {
        let answer = app.as_role(Role::Viewer, Method::GET, "/api/v1/notifications", Value::Null).await;
        answer.expect(StatusCode::OK).json()
    };
    let found = get().await;
    assert_eq!((&found["waiting"], &found["dead"]), (&json!(1), &json!(1)));
    let dead = &found["notifications"][0];
    assert_eq!((&dead["id"], &dead["state"], &dead["title"]), (&json!("b"), &json!("dead"), &json!("two")));
    assert_eq!((&dead["messages"], &dead["severity"], &dead["attempts"]), (&json!(2), &json!("warning"), &json!(3)));
    assert_eq!(dead["error"]["code"], "notify.refused");
    let act = async |role, path: &str| app.as_role(role, Method::POST, path, json!({})).await;
    act(Role::Viewer, "/api/v1/notifications/b/retry").await.expect(StatusCode::FORBIDDEN);
    act(Role::Operator, "/api/v1/notifications/zz/retry").await.expect(StatusCode::NOT_FOUND);
    act(Role::Operator, "/api/v1/notifications/a/retry").await.expect(StatusCode::CONFLICT);
    let again = act(Role::Operator, "/api/v1/notifications/b/retry").await.expect(StatusCode::OK).json();
    assert_eq!((&again["state"], &again["attempts"]), (&json!("waiting"), &json!(0)));
    assert_eq!(get().await["waiting"], 2);
}

#[tokio::test]
async fn a_route_that_is_not_there_cannot_be_tested() {
    let app = App::new().await;
    let act = async |role| app.as_role(role, Method::POST, "/api/v1/notify/alerts/test", json!({})).await;
    act(Role::Viewer).await.expect(StatusCode::FORBIDDEN);
    let refused = act(Role::Operator).await.expect(StatusCode::NOT_FOUND);
    assert!(refused.text.contains("notify.unknown_route"), "{}", refused.text);
}
