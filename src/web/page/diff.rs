//! What changed between two versions of a job.

use std::collections::BTreeSet;

use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;
use similar::{ChangeTag, TextDiff};

use super::cx::Cx;
use super::layout::{Page, Place};
use super::ui;
use crate::base::{VersionHash, limits};
use crate::store::ScriptVersion;
use crate::web::error::{ApiError, ApiResult};
use crate::web::extract::{Path, Query};
use crate::web::parts::Web;
use crate::web::read::jobs;

/// Unchanged lines that are shown around a change.
const CONTEXT_LINES: usize = 3;

#[derive(Debug, Deserialize)]
pub struct Pair {
    from: String,
    to: String,
}

pub async fn page(
    State(web): State<Web>,
    cx: Cx,
    Path(name): Path<String>,
    Query(pair): Query<Pair>,
) -> ApiResult<Markup> {
    let job = jobs::find(&web, &cx.who, &name)?;
    let (from, to) = (version(&web, &pair.from).await?, version(&web, &pair.to).await?);
    if from.job != job.spec.name || to.job != job.spec.name {
        return Err(unknown(&pair.from));
    }
    let paths: BTreeSet<&str> = from.files.iter().chain(&to.files).map(|(path, _)| path.as_str()).collect();
    let body = html! {
        p.lead { "From " code { (from.hash.short()) } " " (ui::time(from.created_at, cx.now)) " to " code { (to.hash.short()) } " " (ui::time(to.created_at, cx.now)) }
        @for path in paths {
            @let (old, new) = (source(&from, path), source(&to, path));
            @if old != new { (ui::section("changes", path, ui::nothing(), changes(old, new))) }
        }
    };
    Ok(Page::new(Place::Jobs, "Changes", body).crumb("/jobs", "Jobs").crumb(format!("/jobs/{name}"), name).render(&cx))
}

async fn version(web: &Web, text: &str) -> ApiResult<ScriptVersion> {
    let hash: VersionHash = text.parse().map_err(|_| unknown(text))?;
    web.parts.store.version(hash).await?.ok_or_else(|| unknown(text))
}

fn unknown(text: &str) -> ApiError {
    let shown: String = text.chars().take(12).collect();
    ApiError::not_found("version.not_found", format!("there is no version {shown:?} of this job"))
}

fn source<'a>(version: &'a ScriptVersion, path: &str) -> &'a str {
    version.files.iter().find(|(found, _)| found == path).map_or("", |(_, source)| source)
}

fn changes(old: &str, new: &str) -> Markup {
    if old.lines().count().max(new.lines().count()) > limits::PAGE_DIFF_LINES_MAX {
        return html! { p.quiet-line { "The file is too long to be compared here." } };
    }
    let diff = TextDiff::from_lines(old, new);
    html! {
        div.table-box tabindex="0" role="region" aria-label="Changed lines" {
            table.diff {
                @for group in diff.grouped_ops(CONTEXT_LINES) {
                    tbody {
                        @for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                            @let (kind, mark, word) = match change.tag() {
                                ChangeTag::Delete => ("gone", "−", "removed"),
                                ChangeTag::Insert => ("new", "+", "added"),
                                ChangeTag::Equal => ("same", " ", ""),
                            };
                            tr class=(kind) {
                                td.num { @if let Some(line) = change.old_index() { (line + 1) } }
                                td.num { @if let Some(line) = change.new_index() { (line + 1) } }
                                td.mark { span aria-hidden="true" { (mark) } span.sr { (word) } }
                                td { code { (change.value().trim_end_matches(['\n', '\r'])) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_marked_and_escaped() {
        let html = changes("a\n<b>\nc\n", "a\n<B>\nc\n").into_string();
        assert!(html.contains("<tr class=\"gone\">") && html.contains("&lt;b&gt;"), "{html}");
        assert!(html.contains("<tr class=\"new\">") && html.contains("&lt;B&gt;"), "{html}");
    }
}
