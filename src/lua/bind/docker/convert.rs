//! From a script's option table to a primitive's, and from its answer to a table.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::base::Fault;
use crate::lua::bind::{Args, CallContext, Datum};
use crate::model::grants::Access;
use crate::primitives::docker::Docker;
use crate::primitives::permit::{self, Denied, DockerPermit};

/// The service, and a permit if the run's grants reach `access` on anything.
pub fn engine(context: &CallContext, access: Access) -> Result<(Docker, DockerPermit), Fault> {
    let run = context.run()?;
    let permit = permit::docker(&run.grants, access, None);
    let permit = permit.map_err(|denied| Denied { what: context.name.to_string(), ..denied })?;
    Ok((context.primitives.docker.clone(), permit.noting(&context.reach).of_run(run.run)))
}

/// The argument `options`, which the registry has checked already: what is refused here is a value, not a type.
pub fn options<T: DeserializeOwned>(context: &CallContext, args: &Args) -> Result<T, Fault> {
    options_of(context, args.record("options").0)
}

/// The same for a call that changes something: a dry run of the job is one of the call.
pub fn changing<T: DeserializeOwned>(context: &CallContext, args: &Args) -> Result<T, Fault> {
    let mut options = args.record("options").0;
    options.insert("dry_run".to_owned(), Datum::Bool(context.dry_run(args)));
    options_of(context, options)
}

/// Of a table that a call has changed.
pub fn options_of<T: DeserializeOwned>(context: &CallContext, options: BTreeMap<String, Datum>) -> Result<T, Fault> {
    read(context, plain(Datum::Map(options)))
}

fn read<T: DeserializeOwned>(context: &CallContext, options: Value) -> Result<T, Fault> {
    serde_path_to_error::deserialize(options).map_err(|error| {
        let path = error.path().to_string();
        let problem = error.into_inner().to_string();
        // `at line 0 column 0` says nothing about a table.
        let problem = problem.split(" at line ").next().unwrap_or(&problem).to_owned();
        Fault::new("args.option", format!("{}: option \"{path}\": {problem}", context.name))
    })
}

/// Durations become seconds, as the primitives read bare numbers.
fn plain(datum: Datum) -> Value {
    match datum {
        Datum::Duration(span) => Value::from(span.as_secs_f64()),
        Datum::List(values) => values.into_iter().map(plain).collect(),
        Datum::Map(values) => Value::Object(values.into_iter().map(|(key, value)| (key, plain(value))).collect()),
        other => other.into_json(),
    }
}

/// An answer as a table. What does not apply is nil, so that scripts need not know `aegis.null`; the engine's own
/// words under `raw` stay as they are.
pub fn table<T: Serialize>(context: &CallContext, answer: &T) -> Result<Datum, Fault> {
    let value = serde_json::to_value(answer).map_err(|problem| {
        Fault::new("internal.answer", format!("{}: the answer cannot be shown: {problem}", context.name))
    })?;
    Ok(Datum::Json(without_nulls(value)))
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(without_nulls).collect(),
        Value::Object(entries) => {
            let kept = entries.into_iter().filter(|(_, value)| !value.is_null());
            let deep = kept.map(|(key, value)| if key == "raw" { (key, value) } else { (key, without_nulls(value)) });
            Value::Object(deep.collect::<Map<_, _>>())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn durations_become_seconds_at_any_depth() {
        let inner = Datum::record([("interval", Datum::Duration(Duration::from_millis(1_500)))]);
        assert_eq!(plain(Datum::List(vec![inner])), json!([{"interval": 1.5}]));
    }

    #[test]
    fn nulls_go_but_for_the_engine_s_own() {
        let value = json!({"a": null, "b": [{"c": null, "d": 1}], "raw": {"e": null}});
        assert_eq!(without_nulls(value), json!({"b": [{"d": 1}], "raw": {"e": null}}));
    }
}
