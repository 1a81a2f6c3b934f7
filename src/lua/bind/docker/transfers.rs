//! Images that come, go and are made: what takes long, and shows how far it is.

use std::collections::BTreeMap;
use std::time::Duration;

use super::convert::{changing, engine, options_of, table};
use crate::base::clock::since;
use crate::base::{Fault, Timestamp};
use crate::lua::bind::{Args, CallContext, Datum, fs};
use crate::model::LogLevel;
use crate::model::grants::Access;
use crate::model::run::Progress;
use crate::primitives::docker::{BuildContext, BuildStep, Folder, PullProgress};

type Outcome = Result<Datum, Fault>;

/// The run's progress, told now and then.
struct Report<'a> {
    context: &'a CallContext,
    told: Option<Timestamp>,
}

impl<'a> Report<'a> {
    fn new(context: &'a CallContext) -> Self {
        Self { context, told: None }
    }

    fn tell(&mut self, done: f64, total: f64, text: impl FnOnce() -> String) {
        const BETWEEN: Duration = Duration::from_millis(500);
        let now = self.context.clock.now();
        let is_due = self.told.is_none_or(|at| since(now, at) >= BETWEEN);
        if let Some(log) = self.context.log.as_ref().filter(|_| is_due) {
            self.told = Some(now);
            log.progress(Progress { done, total: Some(total).filter(|total| *total > 0.0), text: Some(text()) });
        }
    }

    fn bytes(&mut self, image: &str, step: &PullProgress) {
        self.tell(step.bytes_done as f64, step.bytes_total as f64, || format!("{image}: {}", step.status));
    }
}

pub async fn pull(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    let image = args.need("image")?;
    let mut report = Report::new(&context);
    let progress = |step: PullProgress| report.bytes(image, &step);
    let pulled = docker.pull(&permit, image, changing(&context, &args)?, progress).await?;
    table(&context, &pulled)
}

pub async fn push(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    let image = args.need("image")?;
    let mut report = Report::new(&context);
    let progress = |step: PullProgress| report.bytes(image, &step);
    let pushed = docker.push(&permit, image, changing(&context, &args)?, progress).await?;
    table(&context, &pushed)
}

pub async fn build(context: CallContext, args: Args) -> Outcome {
    let (docker, permit) = engine(&context, Access::Write)?;
    let mut asked = args.record("options").0;
    // These two are ours, not the builder's.
    let (folder, files) = (asked.remove("context"), asked.remove("files"));
    let sources = BuildContext { files: given(files), folder: folder_of(&context, folder)? };
    asked.insert("dry_run".to_owned(), Datum::Bool(context.dry_run(&args)));
    let options = options_of(&context, asked)?;
    let mut report = Report::new(&context);
    let progress = |step: BuildStep| {
        // A step is begun when it is named.
        report.tell(step.step.saturating_sub(1) as f64, step.steps as f64, || step.line.clone());
        if let Some(log) = &context.log {
            log.line(LogLevel::Info, step.line, serde_json::Value::Null);
        }
    };
    let built = docker.build(&permit, sources, options, progress).await?;
    table(&context, &built)
}

fn given(files: Option<Datum>) -> BTreeMap<String, Vec<u8>> {
    let Some(Datum::Map(files)) = files else { return BTreeMap::new() };
    let content = |datum: Datum| match datum {
        Datum::Bytes(bytes) => bytes,
        Datum::Text(text) => text.into_bytes(),
        _ => Vec::new(),
    };
    files.into_iter().map(|(path, datum)| (path, content(datum))).collect()
}

fn folder_of(context: &CallContext, folder: Option<Datum>) -> Result<Option<Folder>, Fault> {
    let Some(Datum::Text(text)) = folder else { return Ok(None) };
    let (permit, path) = fs::path(context, &text, Access::Read)?;
    Ok(Some(Folder { files: context.primitives.fs.clone(), permit, path }))
}
