//! `aegis.time`: moments are RFC 3339 text in UTC, differences are seconds.

use jiff::tz::TimeZone;

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Phase, Record, Type};
use crate::base::Fault;
use crate::lua::durable::Reads;

const TIME: Field = Field::required("time", Type::Time, "RFC 3339 text, or seconds since the epoch");

const FORMAT: Record = Record {
    name: "TimeFormat",
    doc: "How a moment is shown.",
    fields: &[
        Field::optional("pattern", Type::String, "As strftime has it, `%Y-%m-%d %H:%M:%S` unless said otherwise"),
        Field::optional("zone", Type::String, "IANA name such as `Europe/Berlin`; UTC unless said otherwise"),
    ],
};

const ZONE: Record = Record {
    name: "TimeZone",
    doc: "Where the clock hangs.",
    fields: &[Field::optional("zone", Type::String, "IANA name such as `Europe/Berlin`; UTC unless said otherwise")],
};

const PARTS: Record = Record {
    name: "TimeParts",
    doc: "A moment as a calendar and a clock show it.",
    fields: &[
        Field::required("year", Type::Integer, "Such as 2027"),
        Field::required("month", Type::Integer, "1 to 12"),
        Field::required("day", Type::Integer, "1 to 31"),
        Field::required("hour", Type::Integer, "0 to 23"),
        Field::required("minute", Type::Integer, "0 to 59"),
        Field::required("second", Type::Integer, "0 to 59"),
        Field::required("weekday", Type::Integer, "1 (Monday) to 7"),
        Field::required("yearday", Type::Integer, "1 to 366"),
        Field::required("offset", Type::Integer, "Seconds east of UTC"),
    ],
};

const fn pure(name: &'static str, doc: &'static str, params: &'static [Field], returns: Type, call: Call) -> Function {
    Function { name, doc, params, returns, phase: Phase::Any, call, ..Function::DEFAULT }
}

pub const MODULE: Module = Module {
    name: "time",
    doc: "Moments in UTC, as RFC 3339 text. Wherever one is asked for, seconds since the epoch will do.",
    functions: &[
        Function {
            reads: Reads::Clock,
            ..pure("now", "This moment.", &[], Type::Time, Call::Sync(|context, _| Ok(Datum::Time(context.now()))))
        },
        Function {
            reads: Reads::Clock,
            ..pure(
                "unix",
                "Seconds since the epoch, of a moment or of now.",
                &[Field::optional("time", Type::Time, "The moment; now when left out")],
                Type::Number,
                Call::Sync(unix),
            )
        },
        pure("parse", "Text or seconds as RFC 3339 text in UTC.", &[TIME], Type::Time, Call::Sync(parse)),
        pure(
            "format",
            "A moment as text for people.",
            &[TIME, Field::optional("options", Type::Record(&FORMAT), "Pattern and zone")],
            Type::String,
            Call::Sync(format),
        ),
        pure(
            "parts",
            "Year, month, day and so on.",
            &[TIME, Field::optional("options", Type::Record(&ZONE), "Zone")],
            Type::Record(&PARTS),
            Call::Sync(parts),
        ),
        pure(
            "add",
            "The moment that much later; earlier with a negative number of seconds.",
            &[TIME, Field::required("duration", Type::OneOf(&[Type::Number, Type::Duration]), "How much later")],
            Type::Time,
            Call::Sync(add),
        ),
        pure(
            "diff",
            "Seconds from `earlier` to `later`.",
            &[
                Field::required("later", Type::Time, "The later moment"),
                Field::required("earlier", Type::Time, "The earlier moment"),
            ],
            Type::Number,
            Call::Sync(diff),
        ),
    ],
    ..Module::DEFAULT
};

fn moment(context: &CallContext, args: &Args, name: &str) -> jiff::Timestamp {
    args.time(name).unwrap_or_else(|| context.now())
}

fn seconds(from: jiff::SignedDuration) -> Datum {
    Datum::Number(from.as_secs_f64())
}

fn unix(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    Ok(Datum::Number(moment(context, args, "time").as_microsecond() as f64 / 1e6))
}

fn parse(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    Ok(Datum::Time(moment(context, args, "time")))
}

fn zoned(context: &CallContext, args: &Args) -> Result<jiff::Zoned, Fault> {
    let zone = match args.record("options").text("zone") {
        None => TimeZone::UTC,
        Some(name) => TimeZone::get(name).map_err(|_| {
            Fault::new("time.zone", format!("{}: there is no time zone \"{name}\"", context.name))
                .hint("use an IANA name such as \"Europe/Berlin\" or \"UTC\"")
        })?,
    };
    Ok(moment(context, args, "time").to_zoned(zone))
}

fn format(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    const PATTERN_BYTES_MAX: usize = 256;
    let options = args.record("options");
    let pattern = options.text("pattern").unwrap_or("%Y-%m-%d %H:%M:%S");
    let bad = |problem: String| Fault::new("time.pattern", format!("{}: {problem}", context.name));
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(bad(format!("a pattern has at most {PATTERN_BYTES_MAX} bytes")));
    }
    let zoned = zoned(context, args)?;
    jiff::fmt::strtime::format(pattern, &zoned).map(Datum::Text).map_err(|problem| bad(problem.to_string()))
}

fn parts(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let zoned = zoned(context, args)?;
    let whole = |value: i64| Datum::Integer(value);
    Ok(Datum::record([
        ("year", whole(zoned.year().into())),
        ("month", whole(zoned.month().into())),
        ("day", whole(zoned.day().into())),
        ("hour", whole(zoned.hour().into())),
        ("minute", whole(zoned.minute().into())),
        ("second", whole(zoned.second().into())),
        ("weekday", whole(zoned.weekday().to_monday_one_offset().into())),
        ("yearday", whole(zoned.day_of_year().into())),
        ("offset", whole(zoned.offset().seconds().into())),
    ]))
}

fn add(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let out_of_range = || Fault::new("time.range", format!("{}: the result is out of range", context.name));
    let by = match (args.number("duration"), args.duration("duration")) {
        (Some(seconds), _) => jiff::SignedDuration::try_from_secs_f64(seconds).map_err(|_| out_of_range())?,
        (None, duration) => jiff::SignedDuration::try_from(duration.unwrap_or_default()).map_err(|_| out_of_range())?,
    };
    moment(context, args, "time").checked_add(by).map(Datum::Time).map_err(|_| out_of_range())
}

fn diff(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    Ok(seconds(moment(context, args, "later").duration_since(moment(context, args, "earlier"))))
}
