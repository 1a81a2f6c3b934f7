//! What a policy says, and what is said of one that is wrong.

use super::read::read;
use super::*;

const POLICY: &str = r#"
rules:
  - scripts: [team/**, "x_*.lua"]
    allow:
      docker: { read: "*", write: [web-*] }
      http: ["*.example.com"]
      sql: { main: read }
    approve:
      default: additions
      docker.write: always
      http: never
  - scripts: "**"
    approve: never
"#;

fn policy(text: &str) -> Policy {
    read("policy.yaml", text).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn right(area: &str, level: Option<Access>, on: &str) -> Right {
    Right { area: area.into(), level, on: Some(on.into()) }
}

#[test]
fn the_first_rule_that_covers_a_script_holds() {
    let policy = policy(POLICY);
    let cap = policy.cap("team/deep/a.lua").expect("a bound");
    assert_eq!(cap.grants.http, ["*.example.com"]);
    let Origin::Policy { line, lines, .. } = &cap.origin else { panic!("{cap:?}") };
    assert_eq!((*line, lines["docker"], lines["http"], lines["sql"]), (4, 5, 6, 7));
    assert!(policy.cap("x_1.lua").is_some() && policy.cap("other.lua").is_none());
    assert!(policy.asks() && policy.asks_about("team/a.lua") && !policy.asks_about("other.lua"));
    let when = |area, level| policy.when("team/a.lua", &right(area, level, "y"));
    assert_eq!(when("process", None), When::Additions);
    assert_eq!(when("http", None), When::Never);
    assert_eq!(when("docker", Some(Access::Read)), When::Additions);
    assert_eq!(when("docker", Some(Access::Write)), When::Always);
    assert_eq!(when("docker", Some(Access::Admin)), When::Always, "more than what always waits");
}

#[test]
fn without_a_policy_everything_is_granted_and_nothing_waits() {
    for text in ["", "# nothing\n", "rules:\n", "rules: []\n"] {
        let policy = policy(text);
        assert!(policy.is_empty() && !policy.asks() && policy.cap("a.lua").is_none(), "{text:?}");
    }
    let report = Policy::default().report("a.lua", &Grants::all());
    assert_eq!((report.granted, report.capped.len(), report.asked.len()), (Grants::all().rights(), 0, 0));
    let missing = Policy::load(Path::new("/nonexistent/policy.yaml"));
    assert_eq!(missing, Ok(Policy::default()));
}

#[test]
fn a_report_names_what_is_left_and_the_line_that_says_so() {
    let manifest = Grants {
        http: vec!["api.example.com".into(), "api.example.org".into()],
        process: vec!["git".into()],
        sql: [("main".to_owned(), Access::Write)].into(),
        ..Grants::default()
    };
    let report = policy(POLICY).report("team/a.lua", &manifest);
    assert_eq!(report.granted, [right("http", None, "api.example.com")]);
    let shown: Vec<String> = report.capped.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "sql write on main: policy.yaml:7 allows sql read on main",
            "http api.example.org: policy.yaml:6 allows http *.example.com",
            "process git: policy.yaml:4 allows nothing of process",
        ]
    );
    assert_eq!(report.asked, [right("sql", Some(Access::Write), "main")], "process git is not to be had at all");
    assert_eq!(report.warnings().len(), 3);
}

/// What may be left of a right after the bound is asked about; what cannot be left is not.
#[test]
fn a_capped_right_waits_only_if_something_of_it_may_be_left() {
    let text = "rules:\n  - scripts: a.lua\n    allow: { process: [git, 'x-*'], docker: read, http: ['*.b:80'], sql: { main: read } }\n    approve: always\n";
    let policy = policy(text);
    let asked = |manifest: Grants| policy.report("a.lua", &manifest).asked.len();
    let programs =
        |names: &[&str]| Grants { process: names.iter().map(|n| (*n).into()).collect(), ..Grants::default() };
    assert_eq!(asked(programs(&["tar"])), 0);
    assert_eq!(asked(programs(&["git", "x-1", "*", "*-y"])), 4);
    let named = [(Access::Write, vec!["web".to_owned()])].into_iter().collect();
    let docker = Some(crate::model::grants::DockerGrant::Named(named));
    assert_eq!(asked(Grants { docker, ..Grants::default() }), 1, "reading is left");
    assert_eq!(asked(Grants { http: vec!["a.b".into()], ..Grants::default() }), 1, "one port is left");
    assert_eq!(asked(Grants { sql: [("main".to_owned(), Access::Write)].into(), ..Grants::default() }), 1);
    assert_eq!(asked(Grants { sql: [("other".to_owned(), Access::Read)].into(), ..Grants::default() }), 0);
}

#[test]
fn an_empty_allow_allows_nothing() {
    let policy = policy("rules:\n  - scripts: a.lua\n    allow: {}\n  - scripts: b.lua\n    allow:\n");
    for script in ["a.lua", "b.lua"] {
        assert_eq!(policy.cap(script).expect("a bound").grants, Grants::default(), "{script}");
    }
}

/// Each with what is wrong, the place, and the remedy where one can be told.
#[test]
fn mistakes_are_told_with_line_column_and_suggestion() {
    let table: [(&str, &str, Option<&str>); 13] = [
        ("rulez: []\n", "policy.yaml:1:1: unknown key \"rulez\" in the policy", Some("did you mean rules?")),
        ("rules: yes\n", "policy.yaml:1:8: rules must be a list: - scripts: team/**", None),
        ("rules:\n  - allow: {}\n", "policy.yaml:2:5: the rule does not say which scripts it is about", Some("**")),
        ("rules:\n  - scripts: a\n    alow: {}\n", "policy.yaml:3:5: unknown key \"alow\" in a rule", Some("allow")),
        (
            "rules:\n  - scripts: 1\n    allow: { dcoker: read }\n",
            "3:14: unknown key \"dcoker\" in allow",
            Some("docker"),
        ),
        (
            "rules:\n  - scripts: a\n    allow: { docker: raed }\n",
            "3:22: docker must be read, write or admin",
            Some("read"),
        ),
        ("rules:\n  - scripts: a\n    allow: { sql: main }\n", "3:19: sql must be names with levels", None),
        ("rules:\n  - scripts: a\n    allow: { http: [\"a b\"] }\n", "3:20: \"a b\" is not a host pattern", None),
        (
            "rules:\n  - scripts: a\n    allow: { process: [[git]] }\n",
            "process must be a text or a list of texts",
            None,
        ),
        (
            "rules:\n  - scripts: a\n    approve: alwys\n",
            "3:14: approve must be never, additions or always",
            Some("always"),
        ),
        (
            "rules:\n  - scripts: a\n    approve: { docker.amdin: always }\n",
            "unknown key \"docker.amdin\"",
            Some("docker.admin"),
        ),
        ("rules:\n  - scripts: a\n    scripts: b\n", "3:5: ", None),
        ("rules: [\n", "policy.yaml:", None),
    ];
    for (text, words, hint) in table {
        let faults = read("policy.yaml", text).expect_err(text);
        let fault = &faults[0];
        assert_eq!(fault.code, "policy.invalid");
        assert!(fault.message.contains(words), "{text:?}: {}", fault.message);
        if let Some(hint) = hint {
            assert!(fault.hint.as_deref().is_some_and(|said| said.contains(hint)), "{text:?}: {:?}", fault.hint);
        }
        assert!(fault.at.as_ref().is_some_and(|at| at.line >= 1 && at.file == "policy.yaml"), "{fault:?}");
    }
    let both = read("p", "rules:\n  - scripts: a\n    alow: {}\n    aprove: never\n").expect_err("two mistakes");
    assert_eq!(both.len(), 2);
    let rule = "  - scripts: a\n".repeat(limits::POLICY_RULES_MAX + 1);
    let many = read("p", &format!("rules:\n{rule}")).expect_err("too many rules");
    assert!(many[0].message.contains("at most"), "{many:?}");
}

#[test]
fn a_policy_that_is_too_large_is_not_read() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let size = usize::try_from(limits::CONFIG_FILE_BYTES_MAX).expect("small") + 1;
    std::fs::write(file.path(), "#".repeat(size)).expect("written");
    let faults = Policy::load(file.path()).expect_err("too large");
    assert_eq!(faults[0].code, "policy.unreadable");
}

#[test]
fn the_shipped_policy_is_sound_and_changes_nothing() {
    let text = include_str!("../../../config/policy.yaml");
    assert!(policy(text).is_empty());
    // What stands there as an example is one that can be used.
    let example: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#   ")).collect();
    let example = policy(&format!("rules:\n  {}\n", example.join("\n  ")));
    assert!(example.asks() && example.cap("team/a.lua").is_some(), "{example:?}");
}
