//! `aegis check [PATH…]`: compiles and validates job files as the daemon would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use owo_colors::OwoColorize;

use crate::base::{Clock, JobName, ScriptPosition};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::{engine, show};
use crate::jobs::{self, Diagnostic, Policy, Severity, Site};
use crate::lua::Engine;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files and folders [default: the scripts folder]
    paths: Vec<PathBuf>,
}

/// The runtime, what files may name, and what they may be granted.
type With<'a> = (&'a Engine, &'a Site, &'a Policy);

/// What was found in all of the paths.
#[derive(Debug, Default)]
struct Report {
    files: usize,
    diagnostics: Vec<Diagnostic>,
    /// Which file has which job, since a name can be had once.
    names: BTreeMap<JobName, String>,
    /// What becomes of each job's permissions, under the path of its file.
    rights: Vec<(String, jobs::Report)>,
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let config = ctx.config(&[])?.config;
    let (engine, site) = (engine::without_secrets(&config, &ctx.clock)?, engine::site(&config)?);
    let scripts = config.scripts.dir.clone();
    let paths = if args.paths.is_empty() { vec![scripts.clone()] } else { args.paths };
    let clock = ctx.clock.clone();
    let policy_file = config.scripts.policy.clone();
    let work = move || {
        let mut report = Report::default();
        let policy = report.policy(&policy_file, &clock);
        let with = (&engine, &site, &policy);
        paths.iter().try_for_each(|path| report.look(with, &scripts, path, &clock)).map(|()| report)
    };
    let report = tokio::task::spawn_blocking(work).await;
    let report = report.map_err(|error| Failure::new(format!("the check broke: {error}")))??;
    print(&report, ctx)
}

impl Report {
    /// What the operator says of scripts; what is wrong with it is told like a mistake in a script.
    fn policy(&mut self, path: &Path, clock: &Clock) -> Policy {
        let faults = match Policy::load(path) {
            Ok(policy) => return policy,
            Err(faults) => faults,
        };
        let file = path.display().to_string();
        let told = faults.into_iter().map(|fault| Diagnostic {
            file: file.clone(),
            severity: Severity::Error,
            fault,
            since: clock.now(),
            last_good_kept: false,
        });
        self.diagnostics.extend(told);
        Policy::default()
    }

    fn look(&mut self, with: With, scripts: &Path, path: &Path, clock: &Clock) -> Result<(), Failure> {
        let metadata = std::fs::metadata(path).map_err(|error| {
            Failure::new(format!("cannot look at {}: {error}", path.display())).exit(Exit::NotFound)
        })?;
        if !metadata.is_dir() {
            self.file(with, Some(scripts), path, clock);
            return Ok(());
        }
        let found = jobs::scan(path)?;
        for (file, fault) in found.problems {
            let file = path.join(file).display().to_string();
            let since = clock.now();
            self.diagnostics.push(Diagnostic { file, severity: Severity::Error, fault, since, last_good_kept: false });
        }
        for file in found.files.keys().filter(|file| jobs::is_job(file)) {
            self.file(with, Some(path), &path.join(file), clock);
        }
        Ok(())
    }

    fn file(&mut self, (engine, site, policy): With, root: Option<&Path>, path: &Path, clock: &Clock) {
        self.files += 1;
        match jobs::load_file((engine, site), root, path, clock.now()) {
            Ok((job, warnings)) => {
                self.diagnostics.extend(warnings);
                let shown = path.display().to_string();
                let rights = policy.report(&job.file, &job.spec.permissions);
                let (severity, since) = (Severity::Warning, clock.now());
                let capped = rights.warnings().into_iter();
                let capped = capped.map(|fault| Diagnostic {
                    file: shown.clone(),
                    severity,
                    fault,
                    since,
                    last_good_kept: false,
                });
                self.diagnostics.extend(capped);
                if !policy.is_empty() {
                    self.rights.push((shown.clone(), rights));
                }
                if let Some(other) =
                    self.names.insert(job.spec.name.clone(), shown.clone()).filter(|other| *other != shown)
                {
                    let message = format!("the job {} is declared in {other} too", job.spec.name);
                    let fault = crate::base::Fault::new("job.duplicate", message).hint("give one of them another name");
                    let (severity, since) = (Severity::Error, clock.now());
                    self.diagnostics.push(Diagnostic { file: shown, severity, fault, since, last_good_kept: false });
                }
            }
            Err(diagnostics) => self.diagnostics.extend(diagnostics),
        }
    }

    fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }
}

fn print(report: &Report, ctx: &Context) -> Result<(), Failure> {
    if ctx.out.json {
        ctx.out.document(&report.diagnostics)?;
    } else {
        for diagnostic in &report.diagnostics {
            ctx.out.line(lines(diagnostic))?;
        }
        report.rights.iter().try_for_each(|(file, rights)| permissions(file, rights, ctx))?;
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let (files, errors) = (report.files, report.errors());
        let warnings = report.diagnostics.len() - errors;
        ctx.out.note(format_args!(
            "{files} file{} checked: {errors} error{}, {warnings} warning{}",
            plural(files),
            plural(errors),
            plural(warnings)
        ));
    }
    match report.errors() {
        0 => Ok(()),
        _ => Err(Failure::silent(Exit::Failure)),
    }
}

/// What the policy grants of a file's permissions, and what it has wait: for those it says something to.
fn permissions(file: &str, rights: &jobs::Report, ctx: &Context) -> Result<(), Failure> {
    if rights.capped.is_empty() && rights.asked.is_empty() {
        return Ok(());
    }
    for right in rights.granted.iter().filter(|right| !rights.asked.contains(right)) {
        ctx.out.line(format_args!("{file}: {} {right}", "granted:".green()))?;
    }
    for capped in &rights.capped {
        ctx.out.line(format_args!("{file}: {} {capped}", "capped:".yellow()))?;
    }
    for right in &rights.asked {
        ctx.out.line(format_args!("{file}: {} {right}", "waits for approval when it is new:".yellow()))?;
    }
    Ok(())
}

/// `file:line:column: error: message`, the line itself, the hint.
pub(super) fn lines(diagnostic: &Diagnostic) -> String {
    let fault = &diagnostic.fault;
    let severity = match diagnostic.severity {
        Severity::Error => "error".red().to_string(),
        Severity::Warning => "warning".yellow().to_string(),
    };
    let place = fault.at.as_ref().map_or_else(|| diagnostic.file.clone(), |at| place(&diagnostic.file, at));
    // The compiler's messages begin with their place, which is said already.
    let said = fault.at.as_ref().map(|at| format!("{}:{}: ", at.file, at.line)).unwrap_or_default();
    let message = fault.message.strip_prefix(&*said).unwrap_or(&fault.message);
    let mut text = format!("{place}: {severity}: {}", show::plain(message));
    if let Some(line) = fault.at.as_ref().and_then(|at| at.text.as_deref()) {
        text.push_str(&format!("\n    {}", show::plain(line.trim_start())));
    }
    if let Some(hint) = &fault.hint {
        text.push_str(&format!("\n  {} {}", "hint:".cyan(), show::plain(hint)));
    }
    text
}

/// The position, under the path that was asked for when it is in that file and not in one that it requires.
fn place(file: &str, at: &ScriptPosition) -> String {
    let shown = if Path::new(file).ends_with(&at.file) { file } else { &at.file };
    let column = at.column.map_or_else(String::new, |column| format!(":{column}"));
    format!("{shown}:{}{column}", at.line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_keep_the_path_that_was_asked_for() {
        let at = |file: &str, column| ScriptPosition { file: file.into(), line: 3, column, text: None };
        assert_eq!(place("a/scripts/x.lua", &at("x.lua", Some(7))), "a/scripts/x.lua:3:7");
        assert_eq!(place("a/scripts/x.lua", &at("lib/y.lua", None)), "lib/y.lua:3");
    }
}
