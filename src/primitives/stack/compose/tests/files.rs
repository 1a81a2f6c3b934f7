//! Which files are found, and how they are read.

use super::try_load;

#[test]
fn the_usual_names_are_found_in_their_order() {
    let file = |image: &str| format!("services: {{web: {{image: {image}}}}}");
    let (old, new, over) = (file("old"), file("new"), "services: {web: {hostname: over}}");
    let files = [("docker-compose.yml", &*old), ("compose.yaml", &*new), ("compose.override.yml", over)];
    let loaded = try_load(&files, |_| {}).expect("it loads");
    assert_eq!(loaded.files, ["/srv/shop/compose.yaml", "/srv/shop/compose.override.yml"]);
    assert_eq!(loaded.project.services["web"].image, "new");
    assert_eq!(loaded.project.services["web"].hostname, "over");
    assert!(loaded.warnings[0].message.contains("docker-compose.yml is left out"), "{:?}", loaded.warnings);
    let none = try_load(&[], |_| {}).expect_err("no file");
    assert!(none.to_string().contains("there is no Compose file in /srv/shop"), "{none}");
}

#[test]
fn files_can_be_named_by_a_variable() {
    let files = [
        ("a.yaml", "services: {web: {image: a}}"),
        ("b.yaml", "services: {web: {hostname: b}}"),
        (".env", "COMPOSE_FILE=a.yaml:b.yaml"),
    ];
    let loaded = try_load(&files, |_| {}).expect("it loads");
    assert_eq!(loaded.files, ["/srv/shop/a.yaml", "/srv/shop/b.yaml"]);
}

#[test]
fn loading_twice_gives_the_same() {
    let text = "services:\n  a: {image: a, depends_on: [b], environment: {Z: 1, A: 2}}\n  b: {image: b, unknown: 1}\n";
    let once = || {
        let loaded = try_load(&[("compose.yaml", text)], |_| {}).expect("it loads");
        (loaded.project.to_json().expect("JSON").to_string(), loaded.warnings)
    };
    assert_eq!(once(), once());
}
