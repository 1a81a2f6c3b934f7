//! Where variables come from, and which wins.

use serde_json::json;

use super::{shown_of, try_load};

#[test]
fn the_caller_wins_over_the_file_of_variables() {
    let files = [("compose.yaml", "services: {web: {image: '${A}-${B}-${C:-c}'}}"), (".env", "A=file\nB=file\n")];
    let set = |options: &mut super::Options| {
        options.environment.insert("A".into(), "caller".into());
    };
    let loaded = try_load(&files, set).expect("it loads");
    assert_eq!(loaded.project.services["web"].image, "caller-file-c");
}

#[test]
fn what_a_service_says_itself_wins_over_its_files() {
    let shown = shown_of(&[
        (
            "compose.yaml",
            "services:\n  web:\n    image: w\n    env_file: [a.env, {path: b.env}, {path: none.env, required: false}]\n\
             \x20   environment: {OWN: own, OUTER: }\n    label_file: labels\n    labels: {b: own}\n",
        ),
        (".env", "OUTER=outer\n"),
        ("a.env", "ONE=a\nTWO=a\nOWN=a\n"),
        ("b.env", "TWO=b\nTHREE=${ONE}-${OUTER}\n"),
        ("labels", "a=1\nb=1\n"),
    ]);
    let web = &shown["services"]["web"];
    let environment = json!({ "ONE": "a", "TWO": "b", "THREE": "a-outer", "OWN": "own", "OUTER": "outer" });
    assert_eq!(web["environment"], environment);
    assert_eq!(web["labels"], json!({ "a": "1", "b": "own" }));
    assert!(web.get("env_file").is_none());
}

#[test]
fn arguments_of_a_build_take_values_or_go() {
    let shown = shown_of(&[
        ("compose.yaml", "services: {web: {build: {context: ., args: [A, B, C=1]}}}"),
        (".env", "A=from-file\n"),
    ]);
    assert_eq!(shown["services"]["web"]["build"]["args"], json!({ "A": "from-file", "C": "1" }));
}

#[test]
fn the_name_comes_from_the_caller_the_variables_the_file_or_the_folder() {
    let named = |text: &str, change: fn(&mut super::Options)| {
        try_load(&[("compose.yaml", text)], change)
            .map(|loaded| loaded.project.name)
            .map_err(|problem| problem.to_string())
    };
    let plain = "services: {web: {image: '${COMPOSE_PROJECT_NAME}'}}";
    let with_name = "name: My Shop\nservices: {web: {image: w}}";
    assert_eq!(named(plain, |_| {}).as_deref(), Ok("shop"));
    assert_eq!(named(with_name, |_| {}).as_deref(), Ok("myshop"));
    assert_eq!(named(with_name, |options| options.name = Some("given".into())).as_deref(), Ok("given"));
    let set = |options: &mut super::Options| {
        options.environment.insert("COMPOSE_PROJECT_NAME".into(), "set".into());
    };
    assert_eq!(named(with_name, set).as_deref(), Ok("set"));
    let bad = named(plain, |options| options.name = Some("No".into())).expect_err("a bad name");
    assert!(bad.contains("write \"no\""), "{bad}");
}

#[test]
fn secrets_of_variables_are_known_and_never_shown() {
    let files = [
        ("compose.yaml", "services: {web: {image: w, secrets: [key]}}\nsecrets: {key: {environment: KEY}}"),
        (".env", "KEY=hunter2\n"),
    ];
    let loaded = try_load(&files, |_| {}).expect("it loads");
    let secret = loaded.project.secrets["key"].from_environment.clone().expect("its content");
    assert_eq!(secret.0, "hunter2");
    let shown = loaded.project.to_json().expect("JSON").to_string() + &format!("{:?}", loaded.project);
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn variables_that_are_not_set_are_told_with_their_place() {
    let loaded = try_load(&[("compose.yaml", "services:\n  web:\n    image: w:$TAG\n")], |_| {}).expect("it loads");
    let told: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("/srv/shop/compose.yaml:3:12: services.web.image: the variable TAG"), "{told:?}");
}
