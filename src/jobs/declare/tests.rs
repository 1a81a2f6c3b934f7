use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::model::Calendar;
use crate::model::grants::{Access, DockerGrant};
use crate::model::job::{Backoff, Overlap};
use crate::model::schedule::{CatchUp, Rule};

fn function() -> Value {
    json!({ "$function": true })
}

/// Has two calendars.
fn site() -> Site {
    let day = "12-25".parse::<crate::model::calendar::Day>().expect("a day");
    let calendar = Calendar::new("UTC", [day], []).expect("a calendar");
    let named = ["holidays", "nights"].map(|name| (name.to_owned(), calendar.clone()));
    Site { calendars: std::sync::Arc::new(named.into_iter().collect()) }
}

/// Declares `table` with a `run` function added.
fn declared(mut table: Value) -> Result<JobSpec, Vec<String>> {
    table["run"] = function();
    let inspected = Inspected { table, lines: BTreeMap::new() };
    declare(&inspected, "sweep.lua", "return aegis.job {}", &site())
        .map_err(|faults| faults.iter().map(|fault| fault.message.clone()).collect())
}

#[test]
fn a_whole_table_is_understood() {
    let spec = declared(json!({
        "description": "Sweeps", "tags": ["health"], "enabled": false,
        "schedule": [{"cron": "0 6 * * *", "timezone": "Europe/Berlin", "jitter": "10s", "window": "2h"}, {"every": 30}],
        "on": [{"docker": {"event": "die", "container": "web-*"}, "file": {"path": "backups:*.csv"}}, {"sql": {"source": "main", "channel": "jobs"}}],
        "params": {"stack": {"type": "string", "default": "all", "choices": ["all", "web"]}},
        "timeout": "2m", "cpu": 1.5, "memory": "128MiB", "overlap": "queue", "runs_on": ["gpu"], "priority": 5.0,
        "retry": {"attempts": 3, "backoff": "linear", "initial": "2s", "on": ["http.*"]},
        "concurrency": {"key": "sweep/${stack}"},
        "permissions": {
            "docker": {"read": ["*"], "write": ["web-*"]}, "sql": {"main": "read"}, "http": ["*.example.com:443", "10.0.0.0/8"],
            "fs": {"backups": "write"}, "kv": ["shared:deploys"], "host": "read",
        },
        "ui": {"group": "Health", "button": "Sweep now"}, "mcp": true, "on_failure": function(),
    }))
    .expect("valid");
    assert_eq!(spec.name.as_str(), "sweep");
    assert!(!spec.enabled && spec.mcp && spec.has_on_failure && !spec.has_on_success);
    let [cron, every] = &spec.schedules[..] else { panic!("two schedules") };
    assert_eq!((cron.catch_up, every.catch_up), (CatchUp::Latest, CatchUp::None));
    assert_eq!((cron.jitter, cron.window), (Duration::from_secs(10), Some(Duration::from_secs(7_200))));
    assert_eq!(every.rule, Rule::Every { interval: Duration::from_secs(30) });
    assert_eq!((spec.limits.cpu, spec.limits.memory_bytes), (Duration::from_millis(1_500), 128 << 20));
    assert_eq!(spec.runs_on, ["gpu"]);
    assert_eq!((spec.retry.attempts, spec.retry.backoff, spec.overlap), (3, Backoff::Linear, Overlap::Queue));
    assert_eq!(spec.concurrency.as_ref().map(|limit| limit.limit), Some(1));
    assert!(matches!(&spec.permissions.docker, Some(DockerGrant::Named(named)) if named[&Access::Write] == ["web-*"]));
    assert_eq!(spec.permissions.fs["backups"], Access::Write);
    assert_eq!(warnings(&spec), []);
    let kinds: Vec<&str> = spec.on.iter().map(|trigger| trigger.kind.as_str()).collect();
    assert_eq!(kinds, ["docker", "file", "sql"]);
    let docker = json!({"event": ["die"], "type": "container", "container": ["web-*"], "label": []});
    assert_eq!(spec.on[0].options, docker);
    let on = json!([{"job": {"name": "backup-*"}}, {"alert": {"rule": ["a", "b"], "state": "resolved"}}]);
    let others = json!({"on": on, "permissions": {"runs": ["backup-*"]}});
    let others = declared(others).expect("valid").on;
    assert_eq!(others[0].options, json!({"name": ["backup-*"], "state": ["succeeded"]}));
    assert_eq!(others[1].options, json!({"rule": ["a", "b"], "state": ["resolved"]}));
    let kept = serde_json::to_value(&spec).expect("serialises");
    assert_eq!(serde_json::from_value::<JobSpec>(kept).expect("reads back"), spec);
}

#[test]
fn schedules_name_the_calendars_of_the_configuration() {
    let spec = declared(json!({"schedule": {"every": "5m", "skip": ["holidays"]}})).expect("valid");
    assert_eq!(spec.schedules[0].skip, ["holidays"]);
    let told = |name: &str| declared(json!({"schedule": {"every": "5m", "skip": [name]}})).expect_err("a fault");
    assert_eq!(told("hollidays"), ["schedule.skip: there is no calendar \"hollidays\"; did you mean \"holidays\"?"]);
    let all = "schedule.skip: there is no calendar \"x\"; the configuration defines holidays, nights";
    assert_eq!(told("x"), [all]);
}

#[test]
fn an_empty_table_has_defaults_and_empty_lists_may_be_maps() {
    let spec = declared(json!({})).expect("valid");
    assert_eq!(spec, JobSpec::named("sweep".parse().expect("a name")));
    assert_eq!(declared(json!({"params": [], "tags": {}, "permissions": [], "schedule": []})), Ok(spec));
}

#[test]
fn no_job_takes_the_name_of_the_console() {
    let faults = declared(json!({"name": "(console)"})).expect_err("it is taken");
    assert!(faults[0].contains("is what lines of the console are recorded under"), "{faults:?}");
}

#[test]
fn each_fault_names_its_field() {
    for (table, says) in [
        (json!({"shedule": {}}), "unknown field \"shedule\"; did you mean \"schedule\"?"),
        (json!({"frobnicate": 1}), "unknown field \"frobnicate\"; there are name, description"),
        (json!({"cron": "* * * * *"}), "write schedule = { cron = \"0 6 * * *\" }"),
        (json!({"name": "../x"}), "name: \"../x\" is not a job name"),
        (json!({"timeout": "soon"}), "timeout: expected a duration such as \"30s\" or \"5m\", got \"soon\""),
        (json!({"timeout": "30d"}), "timeout: expected 1ms to 7d"),
        (json!({"memory": "1MiB"}), "memory: expected 32.0 MiB to 2.0 GiB"),
        (json!({"enabled": "yes"}), "enabled: expected true or false, got \"yes\""),
        (json!({"tags": "health"}), "tags: expected a list of text"),
        (
            json!({"overlap": "skp"}),
            "overlap: expected skip, queue, replace, parallel, got \"skp\"; did you mean \"skip\"?",
        ),
        (json!({"priority": 1.5}), "priority: expected a whole number from -1000 to 1000, got 1.5"),
        (json!({"retry": 3}), "retry: expected a table, got 3"),
        (json!({"retry": {"attempts": 0}}), "retry.attempts: expected a whole number from 1 to 100, got 0"),
        (json!({"schedule": "0 6 * * *"}), "schedule: expected a table such as { cron ="),
        (json!({"schedule": {"cron": "0 25 * * *"}}), "schedule.cron: the hour field \"25\""),
        (
            json!({"schedule": [{"every": "5m"}, {"every": "10ms"}]}),
            "schedule[2].every: the interval is shorter than 1s",
        ),
        (json!({"schedule": {"every": "5m", "at": "x"}}), "expected one of cron, every and at, got every and at"),
        (json!({"schedule": {"jitter": "5m"}}), "expected one of cron, every and at, got none"),
        (json!({"schedule": {"at": "tomorrow"}}), "schedule.at: expected a time with its offset"),
        (
            json!({"schedule": {"cron": "0 6 * * *", "timezone": "Berlin"}}),
            "schedule.timezone: \"Berlin\" is not a time zone",
        ),
        (json!({"schedule": {"every": "5m", "timezone": "UTC"}}), "only cron has a time zone"),
        (json!({"params": {"a b": {"type": "string"}}}), "params.a b: a parameter's name"),
        (
            json!({"params": {"n": {"type": "string", "requird": true}}}),
            "unknown field \"requird\" in params.n; did you mean \"required\"?",
        ),
        (json!({"params": {"n": {"type": "text"}}}), "params.n.type: expected string, number"),
        (json!({"params": {"n": {"type": "integer", "default": "x"}}}), "params.n.default: expected a whole number"),
        (json!({"params": {"n": {"type": "integer", "min": 5, "max": 2}}}), "params.n.min: it is greater than max"),
        (
            json!({"params": {"n": {"type": "string", "pattern": "("}}}),
            "params.n.pattern: \"(\" is not a regular expression",
        ),
        (
            json!({"params": {"n": {"type": "string", "choices": function()}}}),
            "params.n.choices: expected a list of values",
        ),
        (json!({"params": {"n": {"type": "string", "required": true, "default": "x"}}}), "no default"),
        (
            json!({"concurrency": {"key": "a/${stak}"}, "params": {"stack": {"type": "string"}}}),
            "did you mean \"stack\"?",
        ),
        (json!({"permissions": {"docker": "all"}}), "permissions.docker: expected read, write, admin, got \"all\""),
        (json!({"permissions": {"docker": {"raed": ["*"]}}}), "did you mean \"read\"?"),
        (json!({"permissions": {"htpp": []}}), "unknown field \"htpp\" in permissions; did you mean \"http\"?"),
        (json!({"permissions": {"http": ["https://x.example.com/"]}}), "is not a host such as"),
        (
            json!({"permissions": {"fs": {"backups": "admin"}}}),
            "permissions.fs.backups: expected read, write, got \"admin\"",
        ),
        (json!({"permissions": {"kv": ["deploys"]}}), "is not a scope such as \"shared:deploys\""),
        (json!({"ui": {"colour": "red"}}), "unknown field \"colour\" in ui"),
        (json!({"on": {"webhok": {}}}), "did you mean \"webhook\"?"),
        (json!({"on_failure": 1}), "on_failure: expected a function, got 1"),
    ] {
        has_one_fault(&table, says);
    }
}

#[track_caller]
fn has_one_fault(table: &Value, says: &str) {
    let faults = declared(table.clone()).expect_err("a fault");
    assert_eq!(faults.len(), 1, "{table}: {faults:?}");
    assert!(faults[0].contains(says), "{table}: {}", faults[0]);
}

#[test]
fn each_fault_of_a_webhook_or_a_file_names_its_field() {
    for (table, says) in [
        (
            json!({"on": {"webhook": {"secret": "HOOK"}}}),
            "on.webhook: the job may not listen there; add permissions = { secrets = { \"HOOK\" } }",
        ),
        (json!({"on": {"webhook": {"scheme": "github"}}}), "on.webhook: secret is missing; write { secret"),
        (
            json!({"on": {"webhook": {"secret": "HOOK", "scheme": "gitlab"}}, "permissions": {"secrets": ["HOOK"]}}),
            "on.webhook.scheme: expected standard, github, got \"gitlab\"",
        ),
        (
            json!({"on": {"file": {"path": "inbox:*.csv"}}}),
            "on.file: the job may not listen there; add permissions = { fs = { [\"inbox\"] = \"read\" } }",
        ),
        (json!({"on": {"file": {}}}), "on.file: path is missing; write { path"),
        (json!({"on": {"file": {"path": "/var/x"}}}), "on.file.path: \"/var/x\" is not a path"),
        (
            json!({"on": {"file": {"path": "inbox:"}}, "permissions": {"fs": {"inbox": "read"}}}),
            "on.file.path: it names a root and no files",
        ),
        (
            json!({"on": {"file": {"path": "inbox:*/a"}}, "permissions": {"fs": {"inbox": "read"}}}),
            "on.file.path: only its last name may hold *",
        ),
        (
            json!({"on": {"file": {"path": "inbox:a", "settle": "2d"}}, "permissions": {"fs": {"inbox": "read"}}}),
            "on.file.settle: expected 100ms to 1h",
        ),
    ] {
        has_one_fault(&table, says);
    }
}

#[test]
fn each_fault_of_a_trigger_names_its_field() {
    for (table, says) in [
        (
            json!({"on": {"docker": {"event": "die"}}}),
            "on.docker: the job may not listen there; add permissions = { docker",
        ),
        (
            json!({"on": {"docker": {}}, "permissions": {"docker": "read"}}),
            "on.docker: event is missing; write { event",
        ),
        (
            json!({"on": {"docker": {"event": ["start", "dye"]}}, "permissions": {"docker": "read"}}),
            "on.docker.event: \"dye\" is not an event of a container; did you mean \"die\"?",
        ),
        (
            json!({"on": {"docker": {"event": "pull", "type": "image", "container": "x"}}, "permissions": {"docker": "read"}}),
            "on.docker.container: the type is \"image\"",
        ),
        (
            json!({"on": {"docker": {"events": "die", "event": "die"}}, "permissions": {"docker": "read"}}),
            "unknown field \"events\" in on.docker; did you mean \"event\"?",
        ),
        (
            json!({"on": {"sql": {"source": "main", "channel": "x"}}}),
            "on.sql: the job may not listen there; add permissions",
        ),
        (
            json!({"on": {"sql": {"source": "main"}}, "permissions": {"sql": {"main": "read"}}}),
            "on.sql: channel is missing",
        ),
        (json!({"on": {"job": {}}}), "on.job: name is missing; write { name = \"backup\" }"),
        (
            json!({"on": {"job": {"name": "x"}}}),
            "on.job: the job may not listen there; add permissions = { runs = { \"x\" } }",
        ),
        (
            json!({"on": {"job": {"name": "x", "state": "faild"}}, "permissions": {"runs": ["x"]}}),
            "got \"faild\"; did you mean \"failed\"?",
        ),
        (
            json!({"on": {"alert": {"rule": "x", "rules": "y"}}}),
            "unknown field \"rules\" in on.alert; did you mean \"rule\"?",
        ),
    ] {
        has_one_fault(&table, says);
    }
}

#[test]
fn a_fault_has_its_line_and_text() {
    let source = "local x = 1\nreturn aegis.job {\n  params = {\n    stack = { type = \"string\" },\n    count = {\n      typ = \"integer\",\n    },\n  },\n  run = 1,\n}\n";
    let lines = BTreeMap::from([("params".to_owned(), 3), ("run".to_owned(), 9)]);
    let table =
        json!({"params": {"stack": {"type": "string"}, "count": {"type": "integer", "typ": "integer"}}, "run": 1});
    let faults = declare(&Inspected { table, lines }, "dir/a.lua", source, &site()).expect_err("faults");
    let at: Vec<_> = faults.iter().filter_map(|fault| fault.at.clone()).collect();
    assert_eq!((at[0].line, at[0].text.as_deref()), (6, Some("      typ = \"integer\",")));
    assert_eq!((at[1].file.as_str(), at[1].line), ("dir/a.lua", 9));
}

#[test]
fn what_is_no_job_is_said_at_its_call() {
    let fault = |table: Value| {
        let inspected = Inspected { table, lines: BTreeMap::new() };
        declare(&inspected, "x.lua", "\nreturn aegis.job(5)", &site()).expect_err("a fault").remove(0)
    };
    assert_eq!(fault(json!(5)).at.map(|at| at.line), Some(2));
    assert!(fault(json!({})).message.contains("no run function"));
}

#[test]
fn what_is_probably_not_meant_is_warned_of() {
    let codes =
        |table| warnings(&declared(table).expect("valid")).into_iter().map(|fault| fault.code).collect::<Vec<_>>();
    let required = json!({"stack": {"type": "string", "required": true}});
    assert_eq!(codes(json!({"schedule": {"every": "5m"}, "params": required.clone()})), ["job.schedule_params"]);
    assert_eq!(codes(json!({"schedule": {"cron": "* * * * *", "jitter": "2m"}})), ["job.jitter_long"]);
    let event = json!({"docker": {"event": "die"}});
    let with_event = json!({"on": event, "permissions": {"docker": "read"}, "params": required.clone()});
    assert_eq!(codes(with_event), ["job.schedule_params"]);
    assert!(codes(json!({"params": required, "schedule": []})).is_empty());
}
