use serde_json::json;

use super::*;

fn specs() -> BTreeMap<String, ParamSpec> {
    let spec = |kind| ParamSpec::of(kind);
    BTreeMap::from([
        ("stack".to_owned(), ParamSpec { required: true, ..spec(ParamType::String) }),
        (
            "strategy".to_owned(),
            ParamSpec {
                default: Some(json!("rolling")),
                choices: vec![json!("rolling"), json!("canary")],
                ..spec(ParamType::String)
            },
        ),
        ("count".to_owned(), ParamSpec { min: Some(1.0), max: Some(9.0), ..spec(ParamType::Integer) }),
        ("wait".to_owned(), ParamSpec { max: Some(3_600.0), ..spec(ParamType::Duration) }),
        ("limit".to_owned(), ParamSpec { min: Some(1024.0), ..spec(ParamType::Size) }),
        ("force".to_owned(), spec(ParamType::Boolean)),
        ("ratio".to_owned(), spec(ParamType::Number)),
        ("tag".to_owned(), ParamSpec { pattern: Some("[a-z0-9\\-]+".into()), ..spec(ParamType::String) }),
        ("hosts".to_owned(), ParamSpec { max: Some(2.0), ..spec(ParamType::List) }),
        ("labels".to_owned(), spec(ParamType::Map)),
        ("key".to_owned(), spec(ParamType::Secret)),
    ])
}

fn check(given: Value) -> Result<Value, Vec<String>> {
    let Value::Object(given) = given else { panic!("an object") };
    validate(&specs(), &given).map(Value::Object).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// The one problem with `name` set to `value`.
fn problem(name: &str, value: Value) -> String {
    let mut given = json!({ "stack": "web" });
    given[name] = value;
    match check(given) {
        Ok(kept) => panic!("accepted {kept}"),
        Err(problems) => problems.join(" | "),
    }
}

#[test]
fn text_and_json_come_to_the_same() {
    let json = json!({
        "stack": "web", "strategy": "canary", "count": 3, "wait": 300, "limit": 65_536, "force": true, "ratio": 0.5,
        "tag": "v1-2", "hosts": ["a", 1], "labels": {"a": null}, "key": "TOKEN",
    });
    let text = json!({
        "stack": "web", "strategy": "canary", "count": "3", "wait": "5m", "limit": "64KiB", "force": "yes",
        "ratio": "0.5", "tag": "v1-2", "hosts": "[\"a\", 1]", "labels": "{\"a\": null}", "key": "TOKEN",
    });
    let kept = check(json.clone()).expect("valid");
    assert_eq!(kept, json);
    assert_eq!(check(text), Ok(kept.clone()));
    assert_eq!(check(kept.clone()), Ok(kept), "validating twice changes nothing");
}

#[test]
fn absent_values_get_their_defaults_or_are_named() {
    assert_eq!(check(json!({ "stack": "web" })), Ok(json!({ "stack": "web", "strategy": "rolling" })));
    assert_eq!(check(json!({ "stack": "web", "count": null, "wait": "" })), check(json!({ "stack": "web" })));
    assert_eq!(check(json!({})), Err(vec!["parameter \"stack\": it is required (string)".to_owned()]));
    assert!(check(json!({ "stack": "" })).is_err());
}

#[test]
fn a_wrong_value_is_told_what_was_expected() {
    for (name, value, says) in [
        ("count", json!("many"), "expected a whole number such as 42, got \"many\""),
        ("count", json!(2.5), "expected a whole number such as 42, got 2.5"),
        ("count", json!(10), "expected at most 9, got 10"),
        ("count", json!("0"), "expected at least 1, got 0"),
        ("count", json!(1_u64 << 60), "±2^53"),
        ("wait", json!("soon"), "expected a duration such as \"30s\", \"5m\" or a number of seconds, got \"soon\""),
        ("wait", json!(-1), "expected a duration"),
        ("wait", json!("2h"), "expected at most 1h, got 2h"),
        ("limit", json!(1), "expected at least 1KiB, got 1"),
        ("limit", json!(1.5), "expected a size"),
        ("force", json!("maybe"), "expected true or false, got \"maybe\""),
        ("force", json!(1), "expected true or false, got 1"),
        ("ratio", json!("nan"), "expected a number"),
        ("strategy", json!("big-bang"), "expected one of rolling, canary, got \"big-bang\""),
        ("tag", json!("V1"), "expected text that matches \"[a-z0-9\\\\-]+\", got \"V1\""),
        ("tag", json!("a\nb"), "matches"),
        ("tag", json!(7), "expected text, got 7"),
        ("hosts", json!("[1"), "expected a list such as"),
        ("hosts", json!([1, 2, 3]), "expected at most 2 items, got 3"),
        ("hosts", json!({"a": 1}), "expected a list such as [\"a\", \"b\"], got a map"),
        ("labels", json!([1]), "got a list"),
        ("conut", json!(1), "did you mean \"count\"?"),
    ] {
        let message = problem(name, value);
        assert!(message.contains(says) && message.contains(name), "{name}: {message}");
    }
}

#[test]
fn bounds_hold_before_anything_is_parsed() {
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    assert!(problem("labels", deep).contains("nested deeper"));
    assert!(problem("labels", json!("[".repeat(300_000))).contains("in all"));
    // Text that is short, but deep once it is read.
    let nested = format!("{}{}", "[".repeat(100), "]".repeat(100));
    assert!(problem("hosts", json!(nested)).contains("nested deeper"));
}

#[test]
fn shown_values_read_back() {
    for (kind, value, text) in [
        (ParamType::Duration, json!(300), "5m"),
        (ParamType::Duration, json!(0.25), "250ms"),
        (ParamType::Duration, json!(90.5), "90.5s"),
        (ParamType::Duration, json!(0), "0s"),
        (ParamType::Size, json!(1_536), "1536"),
        (ParamType::Size, json!(64 << 20), "64MiB"),
        (ParamType::List, json!(["a"]), "[\"a\"]"),
        (ParamType::Boolean, json!(true), "true"),
    ] {
        assert_eq!(show(kind, &value), text);
        assert_eq!(super::super::from_text(kind, text), Ok(value));
    }
}
