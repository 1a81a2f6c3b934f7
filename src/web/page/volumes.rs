//! Volumes: what they hold of what they may, until when, and those that can still come back.

use axum::extract::State;
use maud::{Markup, html};

use super::cx::Cx;
use super::icons::Icon;
use super::layout::{Page, Place};
use super::ui;
use crate::base::quantity::show_size;
use crate::primitives::volumes::{DeletedVolume, Volume};
use crate::web::error::ApiResult;
use crate::web::parts::Web;
use crate::web::read::volumes::permit;

pub async fn page(State(web): State<Web>, cx: Cx) -> ApiResult<Markup> {
    let volumes = &web.parts.volumes;
    if !volumes.is_configured() {
        let body = ui::empty(
            Icon::Volumes,
            "Volumes are off",
            html! {
                p { "Give the gateway an address in the configuration, and it serves folders over NFS:" }
                pre { code { "nfs:\n  listen: 127.0.0.1:2049" } }
            },
        );
        return Ok(Page::new(Place::Volumes, "Volumes", body).render(&cx));
    }
    let (list, deleted) = (volumes.list(&permit())?, volumes.deleted(&permit())?);
    let body = html! {
        (ui::section("list", "Served", html! { span.muted.num { (list.len()) } }, served(&cx, &list)))
        @if !deleted.is_empty() { (ui::section("deleted", "Deleted", ui::nothing(), gone(&cx, &deleted))) }
    };
    Ok(Page::new(Place::Volumes, "Volumes", body).render(&cx))
}

fn served(cx: &Cx, volumes: &[Volume]) -> Markup {
    if volumes.is_empty() {
        return html! { p.quiet-line { "None yet. " code { "aegis volume create TENANT/NAME" } " makes one, and scripts do with " code { "aegis.volumes" } "." } };
    }
    html! {
        div.table-box {
            table.stack {
                thead { tr { th scope="col" { "Volume" } th scope="col" { "Holds" } th scope="col" { "Files" } th scope="col" { "Snapshots" } th scope="col" { "Ends" } } }
                tbody { @for volume in volumes { (row(cx, volume)) } }
            }
        }
    }
}

fn row(cx: &Cx, volume: &Volume) -> Markup {
    html! {
        tr {
            th scope="row" {
                span.name { (volume.name) }
                @if volume.read_only { " " span.tag { "read-only" } }
                span.sub.mono { (volume.mount.device) }
            }
            td data-label="Holds" { (share(volume.used_bytes, volume.quota_bytes, "Bytes of its quota")) span.sub { (show_size(volume.used_bytes)) " of " (show_size(volume.quota_bytes)) } }
            td data-label="Files" { (share(volume.used_inodes, volume.quota_inodes, "Files of its quota")) span.sub { (volume.used_inodes) " of " (volume.quota_inodes) } }
            td.num data-label="Snapshots" { @if volume.snapshots.is_empty() { (ui::none()) } @else { (volume.snapshots.len()) } }
            td data-label="Ends" { (ui::maybe_time(volume.expires_at, cx.now)) }
        }
    }
}

fn share(used: u64, most: u64, label: &str) -> Markup {
    html! { meter.gauge min="0" max=(most) high=(most / 10 * 9) value=(used) aria-label=(label) {} }
}

fn gone(cx: &Cx, deleted: &[DeletedVolume]) -> Markup {
    html! {
        div.table-box {
            table.stack {
                thead { tr { th scope="col" { "Volume" } th scope="col" { "Deleted" } th scope="col" { "Can come back until" } } }
                tbody {
                    @for volume in deleted {
                        tr {
                            th scope="row" { span.name { (volume.name) } span.sub.mono { "aegis volume recover " (volume.id) } }
                            td data-label="Deleted" { (ui::time(volume.deleted_at, cx.now)) }
                            td data-label="Until" { (ui::time(volume.purge_at, cx.now)) }
                        }
                    }
                }
            }
        }
    }
}
