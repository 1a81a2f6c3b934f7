//! Every problem names its file, line, column, key and remedy.

use super::{refused, try_load};

/// The file is refused with its path, and what is said has these two in it.
#[track_caller]
fn expect_problem(text: &str, start: &str, word: &str) {
    let said = refused(text);
    assert!(said.starts_with("/srv/shop/compose.yaml:"), "{text}: {said}");
    assert!(said.contains(start), "{text}: {said}");
    assert!(said.contains(word), "{text}: {said}");
}

#[test]
fn problems_have_place_key_and_remedy() {
    for (text, start, word) in [
        ("services:\n  web:\n    image: [w]\n", "3:12: services.web.image: this is a list", "write a string"),
        ("services:\n  web:\n    image: w\n    ports: ['x:y']\n", "4:13: services.web.ports[0]: ", "write \"8080:80\""),
        ("services:\n  web:\n    image: ${\n", "3:12: services.web.image: ", "write ${NAME}"),
        (
            "services:\n  web:\n    image: ${A:?set it}\n",
            "3:12: services.web.image: the variable A is required: set it",
            "set A",
        ),
        (
            "services:\n  web:\n    image: w\n    networks: [frnt]\nnetworks: {front: {}}\n",
            "4:16: services.web.networks.frnt: ",
            "did you mean \"front\"",
        ),
        (
            "services:\n  web:\n    image: w\n    depends_on: [wb]\n",
            "4:18: services.web.depends_on.wb: ",
            "did you mean \"web\"",
        ),
        ("services:\n  web:\n    hostname: w\n", "2:3: services.web: the service has neither", "add image or build"),
        (
            "services:\n  a: {image: a, depends_on: [b]}\n  b: {image: b, depends_on: [a]}\n",
            "3:30: services.b.depends_on.a: dependencies lead back: a -> b -> a",
            "let one",
        ),
        (
            "services:\n  web:\n    image: w\n    image: v\n",
            "4:5: services.web: the key \"image\" stands in line 3",
            "keep one",
        ),
        ("services:\n  web:\n\timage: w\n", "3:", "no YAML"),
        (
            "services:\n  web: {image: w, stop_grace_period: 5}\n",
            "2:38: services.web.stop_grace_period: ",
            "write a string",
        ),
        ("services:\n  web: {image: w, stop_grace_period: 5x}\n", "2:38: services.web.stop_grace_period: ", "30s"),
        ("services:\n  web: {image: w, mem_limit: 5x}\n", "2:30: services.web.mem_limit: ", "64m"),
        ("services:\n  web: {image: w, command: \"a 'b\"}\n", "2:28: services.web.command: ", "list"),
        (
            "services:\n  web: {extends: bas}\n  base: {image: b}\n",
            "2:18: services.web.extends: ",
            "did you mean \"base\"",
        ),
        (
            "services:\n  a: {extends: b}\n  b: {extends: a}\n",
            "services.a.extends: the service extends itself",
            "stand alone",
        ),
        ("include: [none.yaml]\n", "1:11: include[0]: /srv/shop/none.yaml cannot be read", "create it"),
        ("include: [compose.yaml]\n", "1:11: include[0]: ", "includes itself"),
        ("a: &a [*a]\n", "1:8: ", "itself"),
        ("[]\n", "1:1: this is a list", "mapping"),
        ("services:\n  web: {image: w, 5: x}\n", "2:19: services.web: the key 5", "quotes"),
        ("services:\n  web: {image: w, pull_policy: sometimes}\n", "services.web.pull_policy: ", "always"),
        (
            "services:\n  web: {image: w, network_mode: host, networks: [a]}\nnetworks: {a: }\n",
            "2:19: services.web.network_mode: ",
            "exclude",
        ),
        (
            "services:\n  web: {image: w, env_file: no.env}\n",
            "2:29: services.web.env_file[0]: /srv/shop/no.env",
            "create it",
        ),
        ("", "1:1: the file is empty", "describe"),
    ] {
        expect_problem(text, start, word);
    }
}

#[test]
fn unknown_keys_warn_and_stay() {
    let text = "services:\n  web:\n    image: w\n    comand: x\n    models: [m]\nservces: {}\n";
    let loaded = try_load(&[("compose.yaml", text)], |_| {}).expect("it loads");
    let told: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("/srv/shop/compose.yaml:4:5: services.web.comand: "), "{told:?}");
    assert!(told[0].contains("did you mean \"command\"?"), "{told:?}");
    assert!(told[1].contains("services.web.models: models of a service is kept"), "{told:?}");
    assert!(told[2].contains("did you mean \"services\"?"), "{told:?}");
    let shown = loaded.project.to_json().expect("JSON");
    assert_eq!(shown["services"]["web"]["comand"], "x");
    assert!(shown.get("servces").is_some());
}

#[test]
fn bounds_hold() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    assert!(refused(&bomb).contains("aliases"));
    let deep = format!("a: {}{}\n", "[".repeat(500), "]".repeat(500));
    refused(&deep);
    let many: String = (0..2_001).map(|index| format!("  s{index}: {{image: i}}\n")).collect();
    assert!(refused(&format!("services:\n{many}")).contains("more than 2000"));
    let large = format!("# {}\n", "x".repeat(5 << 20));
    assert!(refused(&large).contains("more than"));
    let ports = "services: {web: {image: w, ports: ['1-65535:1-65535']}}\n";
    assert!(refused(ports).contains("10000 ports"));
    let growing: String = (1..40).map(|n| format!("V{n}=$V{p}$V{p}\n", p = n - 1)).collect();
    let files = [("compose.yaml", "services: {}"), (".env", &*format!("V0=xxxxxxxx\n{growing}"))];
    assert!(try_load(&files, |_| {}).expect_err("too much text").to_string().contains("too long"));
}
