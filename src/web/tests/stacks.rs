//! Stacks over the API. There is no Docker here: what reaches it says so.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::App;
use crate::base::RunId;
use crate::model::{Actor, Role, Run};
use crate::runner::CancelOutcome;
use crate::store::tests::support::{new_run, running};

async fn get(app: &App, path: &str, status: StatusCode) -> Value {
    app.as_role(Role::Viewer, Method::GET, path, Value::Null).await.expect(status).json()
}

#[tokio::test]
async fn stacks_are_listed_and_shown_without_their_values() {
    let app = App::new().await;
    let list = get(&app, "/api/v1/stacks", StatusCode::OK).await;
    assert_eq!((&list["stacks"][1]["name"], &list["stacks"][1]["containers"]), (&json!("shop"), &Value::Null));
    let shown = get(&app, "/api/v1/stacks/shop/config", StatusCode::OK).await;
    assert_eq!(shown["services"]["web"]["environment"]["TOKEN"], "<hidden>");
    let unknown = get(&app, "/api/v1/stacks/shp/config", StatusCode::NOT_FOUND).await;
    assert_eq!(unknown["error"]["code"], "stack.unknown");
    let broken = get(&app, "/api/v1/stacks/broken/config", StatusCode::UNPROCESSABLE_ENTITY).await;
    assert_eq!(broken["error"]["code"], "stack.shape");
    for path in ["plan", "containers", "logs"] {
        let away = get(&app, &format!("/api/v1/stacks/shop/{path}"), StatusCode::SERVICE_UNAVAILABLE).await;
        assert_eq!(away["error"]["code"], "docker.unavailable", "{path}");
    }
}

#[tokio::test]
async fn changes_want_a_role_and_tell_how_they_end() {
    let app = App::new().await;
    let post = async |role, path: &str, body| app.as_role(role, Method::POST, path, body).await;
    for act in ["up", "down", "restart", "pull", "build"] {
        let path = format!("/api/v1/stacks/shop/{act}");
        post(Role::Viewer, &path, json!({})).await.expect(StatusCode::FORBIDDEN);
        post(Role::Operator, &path, json!({ "forse": true })).await.expect(StatusCode::BAD_REQUEST);
        post(Role::Operator, &path.replace("shop", "shp"), json!({})).await.expect(StatusCode::NOT_FOUND);
    }
    post(Role::Operator, "/api/v1/stacks/broken/up", json!({})).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    let answer = post(Role::Operator, "/api/v1/stacks/shop/up", json!({ "wait": true })).await;
    let text = answer.expect(StatusCode::OK).text;
    let last: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["error"]["code"], "docker.unavailable", "{text}");
}

#[tokio::test]
async fn a_stack_that_a_run_deploys_is_not_changed_meanwhile() {
    let app = App::new().await;
    // Once the runner answers it has taken up what it found, and what appears now is not its own.
    let nobody = app.web.parts.runner.cancel(RunId::generate(), Actor::new("test")).await;
    assert_eq!(nobody, Ok(CancelOutcome::NotFound));
    let run = Run { concurrency_key: Some("deploy/shop".into()), ..running("deploy", 1_000_000) };
    app.store.accept_run(new_run(&run)).await.expect("accepted");
    let post = async |act: &str, body| {
        app.as_role(Role::Operator, Method::POST, &format!("/api/v1/stacks/shop/{act}"), body).await
    };
    for act in ["up", "restart"] {
        let refused = post(act, json!({})).await;
        refused.expect_error(StatusCode::CONFLICT, "stack.busy", &["shop", &run.id.to_string()]);
    }
    for (act, body) in [("up", json!({ "dry_run": true })), ("pull", json!({}))] {
        post(act, body).await.expect(StatusCode::OK);
    }
}
