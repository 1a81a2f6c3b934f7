//! `aegis doctor`: checks the installation and says the fix for what is wrong.

mod daemon;
mod docker;
mod egress;
mod grants;
mod host;
mod nfs;
mod notify;
mod proxies;
mod secrets;
mod sources;
mod sql;
mod stacks;
mod storage;

use comfy_table::{Cell, Color};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::show;
use crate::config::Config;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    /// What was found.
    found: String,
    /// What to do, unless all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, found: found.into(), fix: None }
    }

    fn warning(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, found: found.into(), fix: Some(fix.into()) }
    }

    fn problem(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Problem, found: found.into(), fix: Some(fix.into()) }
    }
}

pub(super) async fn run(ctx: &Context) -> Result<(), Failure> {
    let mut findings = vec![Finding::ok("version", format!("aegis {}", env!("CARGO_PKG_VERSION")))];
    let config = match ctx.config(&[]) {
        Ok(loaded) => {
            let found = match &loaded.file {
                Some(file) => format!("{} is sound", file.display()),
                None => "no file, the defaults".to_owned(),
            };
            findings.push(Finding::ok("configuration", found));
            loaded.config
        }
        Err(failure) => {
            findings.push(Finding::problem(
                "configuration",
                failure.message(),
                "correct the file; the defaults are checked below",
            ));
            Config::default()
        }
    };
    let socket = ctx.global.socket.clone().unwrap_or_else(|| config.admin.socket.clone());
    let is_running = crate::admin::socket_is_live(&socket).await;
    findings.extend(daemon::check(&socket, is_running).await);
    findings.push(daemon::port(config.http.listen, is_running).await);
    findings.push(docker::check(&config.docker.host).await);
    findings.push(storage::database(&config.store.url).await);
    findings.extend(sql::check(&config, &ctx.clock).await);
    findings.push(storage::scripts(&config.scripts.dir));
    findings.extend(grants::check(&config));
    findings.extend(sources::check(&config, &ctx.clock).await);
    findings.extend(stacks::check(&config, &ctx.clock).await);
    findings.extend(proxies::check(&config, &ctx.clock).await);
    findings.extend(secrets::check(&config, &ctx.clock).await);
    findings.extend(nfs::check(&config, is_running).await);
    findings.extend(egress::check(&config, &ctx.clock).await);
    findings.extend(notify::check(&config, &ctx.clock).await);
    findings.extend(host::check(ctx.clock.now()));
    report(&findings, ctx)
}

fn report(findings: &[Finding], ctx: &Context) -> Result<(), Failure> {
    if ctx.out.json {
        ctx.out.document(&findings)?;
    } else {
        let rows = findings.iter().map(|finding| {
            let verdict = match finding.verdict {
                Verdict::Ok => Cell::new("ok").fg(Color::Green),
                Verdict::Warning => Cell::new("warning").fg(Color::Yellow),
                Verdict::Problem => Cell::new("problem").fg(Color::Red),
            };
            let fix = finding.fix.as_ref().map_or_else(String::new, |fix| format!("\n-> {fix}"));
            vec![Cell::new(finding.check), verdict, Cell::new(show::plain(&format!("{}{fix}", finding.found)))]
        });
        ctx.out.table(&["CHECK", "", "FOUND"], rows.collect(), "")?;
    }
    match findings.iter().filter(|finding| finding.verdict == Verdict::Problem).count() {
        0 => Ok(()),
        _ => Err(Failure::silent(Exit::Failure)),
    }
}
