//! The API's description as a page, made from the same document that programs get.

use std::sync::Arc;

use maud::{Markup, html};
use serde_json::Value;
use utoipa::openapi::OpenApi;

use super::cx::Cx;
use super::layout::{Page, Place};
use super::ui;
use crate::web::error::ApiResult;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

pub async fn page(cx: Cx, document: Arc<OpenApi>) -> ApiResult<Markup> {
    let document = serde_json::to_value(&*document).unwrap_or_default();
    let body = html! {
        p.lead { (prose(text(&document["info"]["description"]))) }
        div.columns.wide-left {
            div { @for tag in list(&document["tags"]) { (group(&document, tag)) } (schemas(&document)) }
            div { (calling(&cx, &document)) }
        }
    };
    let head = html! { a.button href="/openapi.json" { "openapi.json" } };
    Ok(Page::new(Place::Api, "API", body).head(head).render(&cx))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Text with `code` in it.
fn prose(text: &str) -> Markup {
    html! { @for (index, part) in text.split('`').enumerate() { @if index % 2 == 1 { code { (part) } } @else { (part) } } }
}

fn calling(cx: &Cx, document: &Value) -> Markup {
    let base = format!("http://{}", cx.web.options.listen);
    let scheme = &document["components"]["securitySchemes"]["bearer"];
    ui::section(
        "calling",
        "Calling it",
        ui::nothing(),
        html! {
            p { (prose(text(&scheme["description"]))) " Make one under " a href="/settings" { "Settings" } "." }
            pre tabindex="0" role="region" aria-label="Example: list the jobs" { code { "curl -H \"Authorization: Bearer $TOKEN\" \\\n  " (base) "/api/v1/jobs" } }
            pre tabindex="0" role="region" aria-label="Example: start a run" { code { "curl -H \"Authorization: Bearer $TOKEN\" \\\n  -H 'Content-Type: application/json' \\\n  -H 'Idempotency-Key: 2026-11-22' \\\n  -d '{\"params\": {}}' \\\n  " (base) "/api/v1/jobs/hello/runs" } }
            nav aria-label="Groups" { ul.plain-list { @for tag in list(&document["tags"]) { li { a href=(format!("#{}", text(&tag["name"]))) { (text(&tag["name"])) } } } } }
        },
    )
}

fn group(document: &Value, tag: &Value) -> Markup {
    let name = text(&tag["name"]);
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, item)| METHODS.iter().map(move |method| (path, *method, &item[*method])));
    let mine = operations.filter(|(_, _, operation)| list(&operation["tags"]).iter().any(|tag| tag == name));
    ui::section(
        name,
        name,
        ui::nothing(),
        html! {
            p.quiet-line { (text(&tag["description"])) }
            @for (path, method, operation) in mine { (one(path, method, operation)) }
        },
    )
}

fn one(path: &str, method: &str, operation: &Value) -> Markup {
    html! {
        details.operation id=(format!("op-{}", text(&operation["operationId"]))) {
            summary { span.method data-method=(method) { (method.to_uppercase()) } code { (path) } span.muted { (text(&operation["summary"])) } }
            @if !operation["description"].is_null() { p { (prose(text(&operation["description"]))) } }
            @if !list(&operation["parameters"]).is_empty() {
                h3 { "Parameters" }
                dl.facts {
                    @for parameter in list(&operation["parameters"]) {
                        div {
                            dt { code { (text(&parameter["name"])) } @if parameter["required"] == true { span.required { " required" } } }
                            dd { span.muted { (text(&parameter["in"])) ", " (kind(&parameter["schema"])) } @if !parameter["description"].is_null() { span.sub { (text(&parameter["description"])) } } }
                        }
                    }
                }
            }
            @if !operation["requestBody"].is_null() { h3 { "Body" } (content(&operation["requestBody"])) }
            h3 { "Answers" }
            dl.facts {
                @for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
                    div { dt { code { (status) } } dd { (text(&answer["description"])) (content(answer)) } }
                }
            }
        }
    }
}

fn content(holder: &Value) -> Markup {
    html! {
        @for (media, body) in holder["content"].as_object().into_iter().flatten() {
            span.sub { code { (media) } " " (kind(&body["schema"])) }
        }
    }
}

/// A schema in one phrase, with a link where it has a name.
fn kind(schema: &Value) -> Markup {
    let named = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    let choices: Vec<&Value> =
        list(&schema["oneOf"]).iter().chain(list(&schema["anyOf"])).chain(list(&schema["allOf"])).collect();
    html! {
        @if let Some(name) = named { a href=(format!("#schema-{name}")) { (name) } }
        @else if !choices.is_empty() { @for (index, choice) in choices.iter().enumerate() { @if index > 0 { " or " } (kind(choice)) } }
        @else if schema["type"] == "array" { "list of " (kind(&schema["items"])) }
        @else if let Some(words) = schema["enum"].as_array() { (words.iter().map(text).collect::<Vec<_>>().join(" | ")) }
        @else if let Some(types) = schema["type"].as_array() { (types.iter().map(text).collect::<Vec<_>>().join(" or ")) }
        @else { (schema["type"].as_str().unwrap_or("any")) @if let Some(format) = schema["format"].as_str() { " (" (format) ")" } }
    }
}

fn schemas(document: &Value) -> Markup {
    let schemas = document["components"]["schemas"].as_object();
    ui::section(
        "schemas",
        "Shapes",
        ui::nothing(),
        html! {
            @for (name, schema) in schemas.into_iter().flatten() {
                details.operation id=(format!("schema-{name}")) {
                    summary { code { (name) } span.muted { (text(&schema["description"])) } }
                    @if schema["properties"].is_null() { p { (kind(schema)) } }
                    dl.facts {
                        @for (field, of) in fields(schema) {
                            div { dt { code { (field) } } dd { span.muted { (kind(of)) } @if !of["description"].is_null() { span.sub { (text(&of["description"])) } } } }
                        }
                    }
                }
            }
        },
    )
}

/// Properties of a shape, those that it takes over from another included.
fn fields(schema: &Value) -> Vec<(&String, &Value)> {
    let parts = std::iter::once(schema).chain(list(&schema["allOf"]));
    parts.flat_map(|part| part["properties"].as_object().into_iter().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_and_shape_is_on_the_page() {
        let (_, document) = crate::web::api::router();
        let document = serde_json::to_value(&*document).expect("JSON");
        let groups: String = list(&document["tags"]).iter().map(|tag| group(&document, tag).into_string()).collect();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (_, operation) in item.as_object().expect("operations") {
                let id = operation["operationId"].as_str().expect("an id");
                assert!(groups.contains(&format!("id=\"op-{id}\"")), "{path}: {id}");
            }
        }
        let shapes = schemas(&document).into_string();
        for name in document["components"]["schemas"].as_object().expect("schemas").keys() {
            assert!(shapes.contains(&format!("id=\"schema-{name}\"")), "{name}");
        }
    }
}
