//! Volumes through the API.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::App;
use crate::model::Role;

#[tokio::test]
async fn a_volume_lives_through_the_api() {
    let app = App::new().await;
    let _gateway = app.web.parts.volumes.open().await.expect("opened");
    let made = json!({ "name": "agents/one", "quota_bytes": "1MiB", "expires": "7d" });
    let answer = app.post("/api/v1/volumes", made.clone()).await.expect(StatusCode::CREATED).json();
    assert_eq!((&answer["name"], &answer["quota_bytes"]), (&json!("agents/one"), &json!(1 << 20)));
    app.post("/api/v1/volumes", made).await.expect(StatusCode::CONFLICT);
    let one = "/api/v1/volumes/agents/one";
    let put = |path: &str| format!("{one}/content?path={path}");
    let operate = |method: Method, path: String, body: Value| {
        let app = &app;
        async move { app.as_role(Role::Operator, method, &path, body).await }
    };
    operate(Method::PUT, put("deep/file"), json!("text")).await.expect(StatusCode::NO_CONTENT);
    let half = json!("x".repeat(600 << 10));
    operate(Method::PUT, put("half"), half.clone()).await.expect(StatusCode::NO_CONTENT);
    operate(Method::PUT, put("full"), half).await.expect(StatusCode::INSUFFICIENT_STORAGE);
    operate(Method::DELETE, put("half"), Value::Null).await.expect(StatusCode::NO_CONTENT);
    let content = operate(Method::GET, put("deep/file"), Value::Null).await.expect(StatusCode::OK);
    assert_eq!(content.text, "\"text\"");
    app.get(&put("deep/file")).await.expect(StatusCode::FORBIDDEN);
    let files = operate(Method::GET, format!("{one}/files?path=deep"), Value::Null).await.expect(StatusCode::OK).json();
    assert_eq!(files["files"][0]["path"], "deep/file");
    let snapshot = json!({ "snapshot": "first" });
    app.post(&format!("{one}/snapshots"), snapshot.clone()).await.expect(StatusCode::CREATED);
    operate(Method::DELETE, put("deep/file"), Value::Null).await.expect(StatusCode::NO_CONTENT);
    operate(Method::GET, put("deep/file"), Value::Null).await.expect(StatusCode::NOT_FOUND);
    let copy = json!({ "name": "agents/two", "snapshot": "first" });
    app.post(&format!("{one}/clone"), copy).await.expect(StatusCode::CREATED);
    app.post(&format!("{one}/restore"), snapshot.clone()).await.expect(StatusCode::FORBIDDEN);
    let back = app.as_role(Role::Admin, Method::POST, &format!("{one}/restore"), snapshot).await;
    assert_eq!(back.expect(StatusCode::OK).json()["used_inodes"], 2);
    let never = json!({ "expires": "never", "quota_bytes": 4 << 20 });
    let changed = app.as_role(Role::Operator, Method::PATCH, one, never).await.expect(StatusCode::OK).json();
    assert_eq!((&changed["expires_at"], &changed["quota_bytes"]), (&Value::Null, &json!(4 << 20)));
    let gone = app.as_role(Role::Operator, Method::DELETE, &format!("{one}/snapshots/first"), Value::Null).await;
    gone.expect(StatusCode::NO_CONTENT);
    let listed = app.get("/api/v1/volumes").await.expect(StatusCode::OK).json();
    assert_eq!(listed["volumes"].as_array().map(Vec::len), Some(2));
    let deleted = app.as_role(Role::Admin, Method::DELETE, one, Value::Null).await.expect(StatusCode::OK).json();
    app.get(one).await.expect(StatusCode::NOT_FOUND);
    let id = deleted["id"].as_str().expect("an id").to_owned();
    assert_eq!(app.get("/api/v1/deleted-volumes").await.expect(StatusCode::OK).json()["volumes"][0]["id"], id);
    app.post(&format!("/api/v1/deleted-volumes/{id}/recover"), json!({})).await.expect(StatusCode::OK);
    let metrics = app.get("/metrics").await.expect(StatusCode::OK);
    assert!(metrics.text.contains("\naegis_volumes 2"), "{}", metrics.text);
}

#[tokio::test]
async fn without_an_address_volumes_are_off() {
    let app = App::new().await;
    let answer = app.get("/api/v1/volumes").await.expect(StatusCode::SERVICE_UNAVAILABLE).json();
    assert_eq!(answer["error"]["code"], "volumes.unavailable");
    app.post("/api/v1/volumes", json!({ "name": "agents" })).await.expect(StatusCode::BAD_REQUEST);
}
