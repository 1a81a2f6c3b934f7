//! `aegis.metrics`: numbers over time.

use std::time::Duration;

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Record, Type};
use crate::base::clock::earlier;
use crate::base::{Fault, limits};
use crate::model::metrics::{Aggregate, Labels, Sample, SeriesKey};
use crate::store::{MetricQuery, SeriesPoints, SeriesRow};

const LABELS: Type = Type::Map(&Type::String);
const QUERY_SPAN_DEFAULT: Duration = Duration::from_secs(3_600);
const QUERY_STEP_DEFAULT: Duration = Duration::from_secs(60);

const QUERY: Record = Record {
    name: "MetricsQuery",
    doc: "Which samples, and how they become points.",
    fields: &[
        Field::optional("labels", LABELS, "Labels that a series must have; values may be patterns with `*`"),
        Field::optional("from", Type::Time, "From when on; an hour before `to` unless said otherwise"),
        Field::optional("to", Type::Time, "Until when; now unless said otherwise"),
        Field::optional("step", Type::Duration, "Samples of so long become one point; a minute unless said otherwise"),
        Field::optional(
            "agg",
            Type::Choice(Aggregate::NAMES),
            "What a point is of its samples; \"avg\" unless said otherwise",
        ),
    ],
};

const POINT: Record = Record {
    name: "MetricsPoint",
    doc: "What was measured in one step.",
    fields: &[
        Field::required("at", Type::Time, "The beginning of the step"),
        Field::required("value", Type::Number, "The number"),
    ],
};

const MEASURED: Record = Record {
    name: "MetricsSeries",
    doc: "A series and its points, oldest first. Steps without a sample have no point.",
    fields: &[
        Field::required("labels", LABELS, "What tells it from the metric's other series"),
        Field::required("points", Type::List(&Type::Record(&POINT)), "Its points"),
    ],
};

const LAST: Record = Record {
    name: "MetricsLast",
    doc: "A series with its last sample.",
    fields: &[
        Field::required("name", Type::String, "The metric"),
        Field::required("labels", LABELS, "What tells it from the metric's other series"),
        Field::required("at", Type::Time, "When it was measured last"),
        Field::required("value", Type::Number, "What was measured then"),
    ],
};

pub const MODULE: Module = Module {
    name: "metrics",
    doc: "Numbers over time: recorded by scripts and checks, watched by the rules under `alerts`, shown to Prometheus at \
          `/metrics`.",
    functions: &[
        Function {
            name: "record",
            doc: "Records a measurement of this moment. A metric has at most 1 000 series, so labels must not be ids.",
            params: &[
                Field::required("name", Type::String, "Letters, digits and `_`; counters end in `_total`"),
                Field::required("value", Type::Number, "What was measured"),
                Field::optional("labels", LABELS, "What tells this series from the metric's others; 10 at most"),
            ],
            call: Call::Async(|context, args| Box::pin(record(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "query",
            doc: "What was measured, as points. Steps of whole minutes reach back as far as rollups are kept.",
            params: &[
                Field::required("name", Type::String, "The metric"),
                Field::optional("options", Type::Record(&QUERY), "Which series, which time, how fine"),
            ],
            returns: Type::List(&Type::Record(&MEASURED)),
            call: Call::Async(|context, args| Box::pin(query(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "series",
            doc: "All series, or those of one metric, with their last samples.",
            params: &[Field::optional("name", Type::String, "Only of this metric")],
            returns: Type::List(&Type::Record(&LAST)),
            call: Call::Async(|context, args| Box::pin(series(context, args))),
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

async fn record(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let series = SeriesKey { name: args.need("name")?.to_owned(), labels: args.text_map("labels").unwrap_or_default() };
    series.check().map_err(|fault| Fault { message: format!("{}: {}", context.name, fault.message), ..fault })?;
    let value = args.number("value").unwrap_or_default();
    if !value.is_finite() {
        let message = format!("{}: argument \"value\" is {value}, which is no measurement", context.name);
        return Err(Fault::new("metrics.value", message).hint("leave out what could not be measured"));
    }
    if !context.dry_run(&args) {
        let sample = Sample { series, at: context.clock.now(), value };
        context.run()?.watch.record(vec![sample]).await?;
    }
    Ok(Datum::Null)
}

async fn query(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let options = args.record("options");
    let to = options.time("to").unwrap_or_else(|| context.clock.now());
    let from = options.time("from").unwrap_or_else(|| earlier(to, QUERY_SPAN_DEFAULT));
    let step = options.duration("step").unwrap_or(QUERY_STEP_DEFAULT);
    if from >= to || step.is_zero() {
        let message = format!("{}: there is no time from {from} to {to} in steps of {step:?}", context.name);
        return Err(Fault::new("metrics.span", message).hint("`from` comes before `to`, and `step` is more than 0"));
    }
    let matching: Labels = options.text_map("labels").unwrap_or_default();
    let aggregate = options.text("agg").and_then(Aggregate::parse).unwrap_or(Aggregate::Avg);
    let asked = MetricQuery { name: args.need("name")?.to_owned(), matching, from, to, step };
    let found = context.run()?.watch.query(asked).await?;
    let points = |series: &SeriesPoints| -> Vec<Datum> {
        let point = |(at, rollup): &(crate::base::Timestamp, crate::model::metrics::Rollup)| {
            Datum::record([("at", Datum::Time(*at)), ("value", rollup.get(aggregate).into())])
        };
        series.points.iter().map(point).collect()
    };
    let one = |series: SeriesPoints| {
        let points = Datum::List(points(&series));
        Datum::record([("labels", labels(series.series.labels)), ("points", points)])
    };
    Ok(Datum::List(found.into_iter().map(one).collect()))
}

async fn series(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let found = context.run()?.watch.series(args.text("name").map(str::to_owned)).await?;
    let most = limits::LIST_ITEMS_MAX;
    let one = |row: SeriesRow| {
        Datum::record([
            ("name", row.series.name.into()),
            ("labels", labels(row.series.labels)),
            ("at", Datum::Time(row.last_at)),
            ("value", row.last_value.into()),
        ])
    };
    Ok(Datum::List(found.into_iter().take(most).map(one).collect()))
}

pub(super) fn labels(labels: Labels) -> Datum {
    Datum::Map(labels.into_iter().map(|(label, value)| (label, value.into())).collect())
}
