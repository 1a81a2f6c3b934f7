//! The HTTP API, version 1, and its description.

mod audit;
mod backup;
mod containers;
mod durable;
mod events;
mod hooks;
mod jobs;
mod notifications;
mod ops;
mod runs;
mod stacks;
mod tokens;
mod volumes;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, SecurityRequirement};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) use durable::{DecisionBody, decide};
pub(super) use jobs::triggered;
pub(super) use runs::cancel_run;
pub(super) use tokens::{expiry, revoke_token};

use super::error::ErrorEnvelope;
use super::health;
use super::parts::Web;

pub const PREFIX: &str = "/api/v1";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Aegis",
        description = "Runs a server's operations from hot-reloadable Lua. Every failure has the body `{\"error\": {code, message, details, hint}}`. Times are RFC 3339 in UTC; fields are only ever added.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
        contact()
    ),
    tags(
        (name = "jobs", description = "Jobs are the scripts of the scripts folder."),
        (name = "runs", description = "A run is one execution of a job, with its log and its result."),
        (name = "durable", description = "What durable runs have done, wait for and keep."),
        (name = "schedule", description = "Due times: what became of them and what is to come."),
        (name = "containers", description = "Containers on the Docker host."),
        (name = "stacks", description = "Stacks of containers from Compose files."),
        (name = "volumes", description = "Folders with a quota, snapshots and an end, served over NFS."),
        (name = "alerts", description = "What is wrong, what is asked, and what nobody wants to hear of."),
        (name = "events", description = "What happened, as it happens."),
        (name = "tokens", description = "Who may call."),
        (name = "audit", description = "What was done, and by whom."),
        (name = "health", description = "For monitors."),
    ),
    components(schemas(ErrorEnvelope)),
    modifiers(&Security)
)]
struct Api;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut Document) {
        let bearer = SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some("A token made with `aegis token create NAME --role viewer|operator|admin`."))
                .build(),
        );
        document.components.get_or_insert_default().add_security_scheme("bearer", bearer);
        document.security = Some(vec![SecurityRequirement::new::<_, [String; 0], String>("bearer", [])]);
    }
}

fn described() -> OpenApiRouter<Web> {
    let v1 = OpenApiRouter::new()
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::show))
        .routes(routes!(jobs::trigger))
        .routes(routes!(jobs::enable))
        .routes(routes!(jobs::disable))
        .routes(routes!(jobs::approve))
        .routes(routes!(runs::list))
        .routes(routes!(runs::show))
        .routes(routes!(runs::logs))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::retry))
        .routes(routes!(durable::steps))
        .routes(routes!(durable::approve))
        .routes(routes!(durable::reject))
        .routes(routes!(durable::artifacts))
        .routes(routes!(durable::artifact))
        .routes(routes!(durable::approvals))
        .routes(routes!(durable::send))
        .routes(routes!(ops::schedule))
        .routes(routes!(ops::occurrences))
        .routes(routes!(ops::simulation))
        .routes(routes!(ops::diagnostics))
        .routes(routes!(containers::list))
        .routes(routes!(containers::logs))
        .routes(routes!(containers::start))
        .routes(routes!(containers::stop))
        .routes(routes!(containers::restart))
        .routes(routes!(stacks::list))
        .routes(routes!(stacks::config))
        .routes(routes!(stacks::plan))
        .routes(routes!(stacks::containers))
        .routes(routes!(stacks::logs))
        .routes(routes!(stacks::rollouts))
        .routes(routes!(stacks::up))
        .routes(routes!(stacks::down))
        .routes(routes!(stacks::restart))
        .routes(routes!(stacks::pull))
        .routes(routes!(stacks::build))
        .routes(routes!(volumes::list, volumes::create))
        .routes(routes!(volumes::show, volumes::change, volumes::delete))
        .routes(routes!(volumes::clone))
        .routes(routes!(volumes::snapshot))
        .routes(routes!(volumes::remove_snapshot))
        .routes(routes!(volumes::restore))
        .routes(routes!(volumes::files))
        .routes(routes!(volumes::read, volumes::write, volumes::remove))
        .routes(routes!(volumes::deleted))
        .routes(routes!(volumes::recover))
        .routes(routes!(watch::alerts))
        .routes(routes!(watch::acknowledge))
        .routes(routes!(watch::silences, watch::silence))
        .routes(routes!(watch::end_silence))
        .routes(routes!(watch::checks))
        .routes(routes!(notifications::list))
        .routes(routes!(notifications::retry))
        .routes(routes!(notifications::test))
        .routes(routes!(events::stream))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(audit::list))
        .routes(routes!(backup::nodes))
        .routes(routes!(backup::backup));
    OpenApiRouter::with_openapi(Api::openapi())
        .nest(PREFIX, v1)
        .routes(routes!(hooks::receive))
        .routes(routes!(health::health))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(ops::metrics))
}

/// The routes, and their description for `/openapi.json` and the page that shows it.
pub fn router() -> (Router<Web>, Arc<Document>) {
    let (router, document) = described().split_for_parts();
    let document = Arc::new(document);
    let served = document.clone();
    let router = router.route("/openapi.json", get(move || async move { axum::Json((*served).clone()) }));
    (router, document)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The API is a promise: a change of it shows in this file's snapshot, and is reviewed there.
    #[test]
    fn the_description_changes_only_on_purpose() {
        let (_, document) = router();
        let mut text = serde_json::to_value(&*document).expect("the description is JSON");
        text["info"]["version"] = "of the package".into();
        insta::assert_json_snapshot!("openapi", text);
    }

    #[test]
    fn every_operation_is_described() {
        let (_, document) = router();
        let text = serde_json::to_value(&*document).expect("the description is JSON");
        for (path, item) in text["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                for key in ["summary", "operationId", "tags", "responses"] {
                    assert!(!operation[key].is_null(), "{method} {path} has no {key}");
                }
            }
        }
    }
}
