//! `aegis.alerts`: what is wrong, said and read by scripts.

use std::collections::BTreeMap;

use super::metrics::labels;
use super::{Args, Call, CallContext, Datum, Field, Function, Module, Record, Type};
use crate::base::clock::{earlier, later};
use crate::base::{Fault, RunId, limits};
use crate::model::alerts::{Acknowledgement, Alert, AlertState, Origin, Severity, Silence, fingerprint};
use crate::model::metrics::SeriesKey;
use crate::primitives::permit;
use crate::store::Report;

const LABELS: Type = Type::Map(&Type::String);
const PERMISSION: &str = "alerts = \"write\"";

const FINDING: Record = Record {
    name: "AlertFinding",
    doc: "How one thing is. Findings of the same name and labels are about the same thing.",
    fields: &[
        Field::required("name", Type::String, "What can be wrong, such as \"container_unhealthy\""),
        Field::optional("labels", LABELS, "With what, such as `{ container = \"web\" }`"),
        Field::optional("ok", Type::Boolean, "It is fine: an alert about it is over"),
        Field::optional("severity", Type::Choice(Severity::NAMES), "\"warning\" unless said otherwise"),
        Field::optional("summary", Type::String, "In one sentence, for whoever is told"),
        Field::optional("subject", Type::String, "What it is about; something worse about the same keeps this quiet"),
        Field::optional("value", Type::Number, "What was measured"),
        Field::optional(
            "ttl",
            Type::Duration,
            "When it is over if it is not reported again; an hour unless said otherwise",
        ),
        Field::DRY_RUN,
    ],
};

const LIST: Record = Record {
    name: "AlertsList",
    doc: "Which alerts.",
    fields: &[
        Field::optional("state", Type::Choice(&["pending", "firing", "resolved"]), "Only in this state"),
        Field::optional("over_since", Type::Time, "Also those that were over since then"),
    ],
};

const ALERT: Record = Record {
    name: "AlertEntry",
    doc: "One alert.",
    fields: &[
        Field::required("id", Type::String, "Its id"),
        Field::required("name", Type::String, "Of the rule or the finding"),
        Field::required("state", Type::String, "pending, firing or resolved"),
        Field::required("severity", Type::String, "info, warning, critical or emergency"),
        Field::required("labels", LABELS, "What it is about"),
        Field::required("summary", Type::String, "In one sentence"),
        Field::required("since", Type::Time, "When it began"),
        Field::required("last_seen", Type::Time, "The last sample or report of it"),
        Field::optional("value", Type::Number, "What was measured"),
        Field::optional("fired_at", Type::Time, "When it had lasted long enough"),
        Field::optional("resolved_at", Type::Time, "When it was over"),
        Field::optional("acknowledged_by", Type::String, "Who has seen it"),
    ],
};

const SILENCE: Record = Record {
    name: "AlertsSilence",
    doc: "Which alerts nobody is told of, and how long.",
    fields: &[
        Field::required(
            "labels",
            LABELS,
            "What an alert must have; patterns with `*`. `alert` and `severity` are its own",
        ),
        Field::required("duration", Type::Duration, "How long"),
        Field::optional("note", Type::String, "Why"),
        Field::DRY_RUN,
    ],
};

const ACKNOWLEDGE: Record = Record {
    name: "AlertsAcknowledge",
    doc: "What is noted.",
    fields: &[Field::optional("note", Type::String, "For the record"), Field::DRY_RUN],
};

pub const MODULE: Module = Module {
    name: "alerts",
    doc: "What is wrong now. Rules of the configuration and scripts raise alerts; routes by severity tell people.",
    functions: &[
        Function {
            name: "report",
            doc: "Raises an alert, renews it, or clears it with `ok = true`. True when that changed something.",
            params: &[Field::required("finding", Type::Record(&FINDING), "How one thing is")],
            returns: Type::Boolean,
            call: Call::Async(|context, args| Box::pin(report(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "list",
            doc: "Alerts that pend or fire, the oldest first.",
            params: &[Field::optional("options", Type::Record(&LIST), "Which")],
            returns: Type::List(&Type::Record(&ALERT)),
            call: Call::Async(|context, args| Box::pin(list(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "silence",
            doc: "Keeps alerts with these labels quiet for a while, and returns the silence's id.",
            params: &[Field::required("options", Type::Record(&SILENCE), "Which, and how long")],
            returns: Type::String,
            permission: Some(PERMISSION),
            call: Call::Async(|context, args| Box::pin(silence(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "acknowledge",
            doc: "Says that somebody looks after an alert: it is not told again. False when it is over.",
            params: &[
                Field::required("id", Type::String, "The alert's id"),
                Field::optional("options", Type::Record(&ACKNOWLEDGE), "What is noted"),
            ],
            returns: Type::Boolean,
            permission: Some(PERMISSION),
            call: Call::Async(|context, args| Box::pin(acknowledge(context, args))),
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

/// Who does it, for the record.
fn actor(context: &CallContext) -> Result<String, Fault> {
    let run = context.run()?;
    Ok(format!("job:{}/{}", run.job, run.run))
}

fn may_write(context: &CallContext, what: &str) -> Result<(), Fault> {
    Ok(permit::alerts(&context.run()?.grants, &format!("{} ({what})", context.name))?)
}

fn within(context: &CallContext, field: &str, text: &str, most: usize) -> Result<(), Fault> {
    if text.len() <= most {
        return Ok(());
    }
    let message = format!("{}: \"{field}\" has {} bytes", context.name, text.len());
    Err(Fault::new("alerts.too_large", message).hint(format!("at most {most} are kept")))
}

async fn report(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let finding = args.record("finding");
    let (name, labels) = (finding.need("name")?.to_owned(), finding.text_map("labels").unwrap_or_default());
    if name.is_empty() {
        return Err(Fault::new("alerts.name", format!("{}: \"name\" is empty", context.name)));
    }
    within(&context, "name", &name, limits::ALERT_NAME_BYTES_MAX)?;
    let about = SeriesKey { name: "finding".to_owned(), labels };
    about.check().map_err(|fault| Fault { message: format!("{}: {}", context.name, fault.message), ..fault })?;
    let labels = about.labels;
    let summary = finding.text("summary").unwrap_or(&name).to_owned();
    let subject = finding.text("subject").map(str::to_owned);
    let subject = subject.unwrap_or_else(|| SeriesKey { name: String::new(), labels: labels.clone() }.to_string());
    within(&context, "summary", &summary, limits::ALERT_TEXT_BYTES_MAX)?;
    within(&context, "subject", &subject, limits::ALERT_TEXT_BYTES_MAX)?;
    let ttl = finding.duration("ttl").unwrap_or(limits::ALERT_REPORT_TTL_DEFAULT).min(limits::ALERT_REPORT_TTL_MAX);
    let now = context.clock.now();
    let fingerprint = fingerprint(Origin::Report, &name, &labels);
    let alert = Alert {
        id: Alert::id_of(&fingerprint, now),
        fingerprint,
        name,
        origin: Origin::Report,
        state: AlertState::Firing,
        severity: finding.text("severity").and_then(Severity::parse).unwrap_or_default(),
        labels,
        summary,
        subject,
        series: None,
        routes: Vec::new(),
        value: finding.number("value"),
        since: now,
        fired_at: Some(now),
        clear_since: None,
        resolved_at: None,
        reason: None,
        last_seen: now,
        expires_at: Some(later(now, ttl)),
        acknowledged: None,
        told: BTreeMap::new(),
    };
    if context.dry_run(&args) {
        return Ok(Datum::Bool(false));
    }
    let changed = context.run()?.watch.report(Report { alert, ok: finding.flag("ok") }).await?;
    Ok(Datum::Bool(changed))
}

async fn list(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let options = args.record("options");
    let state = options.text("state").and_then(AlertState::parse);
    let over_since = options.time("over_since").or_else(|| {
        // Without a time, those of the last day.
        let day = std::time::Duration::from_secs(86_400);
        (state == Some(AlertState::Resolved)).then(|| earlier(context.clock.now(), day))
    });
    let found = context.run()?.watch.alerts(over_since).await?;
    let wanted = found.into_iter().filter(|alert| state.is_none_or(|state| alert.state == state));
    Ok(Datum::List(wanted.map(entry).collect()))
}

fn entry(alert: Alert) -> Datum {
    let time = |at: Option<crate::base::Timestamp>| at.map_or(Datum::Null, Datum::Time);
    Datum::record([
        ("id", alert.id.into()),
        ("name", alert.name.into()),
        ("state", alert.state.as_str().into()),
        ("severity", alert.severity.as_str().into()),
        ("labels", labels(alert.labels)),
        ("summary", alert.summary.into()),
        ("since", Datum::Time(alert.since)),
        ("last_seen", Datum::Time(alert.last_seen)),
        ("value", alert.value.into()),
        ("fired_at", time(alert.fired_at)),
        ("resolved_at", time(alert.resolved_at)),
        ("acknowledged_by", alert.acknowledged.map(|seen| seen.by).into()),
    ])
}

async fn silence(context: CallContext, args: Args) -> Result<Datum, Fault> {
    may_write(&context, "silence alerts")?;
    let options = args.record("options");
    let matching = options.text_map("labels").unwrap_or_default();
    if matching.is_empty() {
        let message = format!("{}: \"labels\" is empty", context.name);
        return Err(
            Fault::new("alerts.silence", message).hint("name what is to be quiet, such as { alert = \"disk_*\" }")
        );
    }
    let note = options.text("note").unwrap_or_default().to_owned();
    within(&context, "note", &note, limits::ALERT_TEXT_BYTES_MAX)?;
    let (now, span) = (context.clock.now(), options.duration("duration").unwrap_or_default());
    if span.is_zero() || span > limits::SILENCE_MAX {
        let message = format!("{}: \"duration\" is out of range", context.name);
        return Err(Fault::new("alerts.silence", message).hint("write more than 0 and at most a year"));
    }
    let id = RunId::generate().to_string();
    let silence =
        Silence { id: id.clone(), matching, starts_at: now, ends_at: later(now, span), by: actor(&context)?, note };
    if !context.dry_run(&args) {
        context.run()?.watch.silence(silence).await?;
    }
    Ok(Datum::Text(id))
}

async fn acknowledge(context: CallContext, args: Args) -> Result<Datum, Fault> {
    may_write(&context, "acknowledge alerts")?;
    let note = args.record("options").text("note").unwrap_or_default().to_owned();
    within(&context, "note", &note, limits::ALERT_TEXT_BYTES_MAX)?;
    let seen = Acknowledgement { by: actor(&context)?, at: context.clock.now(), note };
    if context.dry_run(&args) {
        return Ok(Datum::Bool(false));
    }
    Ok(Datum::Bool(context.run()?.watch.acknowledge(args.need("id")?.to_owned(), seen).await?))
}
