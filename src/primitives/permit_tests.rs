//! What grants and their bounds allow, and what is said when they do not.

use super::*;
use crate::primitives::net::Target;

#[test]
fn a_source_is_granted_by_name_and_level() {
    let levels = [("main".to_owned(), Access::Read), ("shop-*".to_owned(), Access::Admin)];
    let grants = Grants { redis: levels.into(), ..Grants::default() };
    let permit = redis(&grants, "main").expect("a permit");
    assert!(permit.reaches(Access::Read) && !permit.reaches(Access::Write));
    let denied = permit.check(Access::Write, "SET on redis.main").expect_err("read only");
    assert_eq!(denied.line, "permissions = { redis = { main = \"write\", [\"shop-*\"] = \"admin\" } }");
    assert!(redis(&grants, "shop-1").is_ok_and(|permit| permit.reaches(Access::Admin)));
    assert!(redis(&grants, "other").is_err());
    let denied = graph(&grants, "main").map(|_| ()).expect_err("another area");
    assert_eq!(denied.line, "permissions = { graph = { main = \"read\" } }");
    let denied = llm(&grants, "main").map(|_| ()).expect_err("nothing");
    assert_eq!(denied.line, "permissions = { llm = { \"main\" } }");
}

fn named(levels: &[(Access, &[&str])]) -> Grants {
    let levels = levels.iter().map(|(level, names)| (*level, names.iter().map(|n| (*n).to_owned()).collect()));
    Grants { docker: Some(DockerGrant::Named(levels.collect())), ..Grants::default() }
}

#[test]
fn a_docker_level_includes_the_lower_ones() {
    let grants = Grants { docker: Some(DockerGrant::Everything(Access::Write)), ..Grants::default() };
    assert!(docker(&grants, Access::Read, None).is_ok());
    let permit = docker(&grants, Access::Write, Some("web")).expect("a permit");
    assert!(permit.check(Access::Admin, "web").is_err());
    assert_eq!(
        docker(&grants, Access::Admin, None).map(|_| ()).map_err(|denied| denied.line),
        Err("permissions = { docker = \"admin\" }".to_owned())
    );
}

#[test]
fn docker_patterns_cover_names_and_the_hint_keeps_them() {
    let grants = named(&[(Access::Read, &["*"]), (Access::Write, &["web-*"])]);
    let permit = docker(&grants, Access::Write, None).expect("a permit");
    assert!(permit.covers(Access::Write, "web-1") && permit.covers(Access::Read, "db"));
    assert!(permit.covers_everything(Access::Read) && !permit.covers_everything(Access::Write));
    let denied = permit.check(Access::Write, "db").expect_err("not covered");
    assert_eq!(denied.line, r#"permissions = { docker = { read = { "*" }, write = { "web-*", "db" } } }"#);
    assert!(docker(&grants, Access::Write, Some("db")).is_err());
}

#[test]
fn nothing_granted_is_nothing_allowed() {
    let none = Grants::default();
    let denied = docker(&none, Access::Read, None).expect_err("denied");
    assert_eq!(
        Fault::from(denied).hint.as_deref(),
        Some("add to the job's table: permissions = { docker = \"read\" }")
    );
    let empty = named(&[(Access::Admin, &[])]);
    assert!(docker(&empty, Access::Read, None).is_err());
    assert!(notify(&none, "alerts").is_err() && jobs(&none, "backup").is_err());
    assert!(http(&none).policy().patterns().is_empty());
}

#[test]
fn a_job_owns_its_scope_and_no_other_job_s() {
    let grants = Grants { kv: vec!["shared:deploys".into()], ..Grants::default() };
    assert_eq!(kv(&grants, "sweep", "job").map(|permit| permit.scope().to_owned()), Ok("job:sweep".into()));
    assert!(kv(&grants, "sweep", "job:sweep").is_ok() && kv(&grants, "sweep", "shared:deploys").is_ok());
    let denied = kv(&grants, "sweep", "shared:other").expect_err("denied");
    assert_eq!(denied.line, r#"permissions = { kv = { "shared:deploys", "shared:other" } }"#);
    assert!(kv(&grants, "sweep", "job:backup").is_err());
}

#[test]
fn sources_are_granted_by_name_and_access() {
    let sql_grants = [("main", Access::Read), ("app-*", Access::Write)];
    let sql_grants = sql_grants.map(|(name, access)| (name.to_owned(), access)).into();
    let grants = Grants { sql: sql_grants, ..Grants::default() };
    assert_eq!(sql(&grants, "main").map(|permit| permit.writes()), Ok(false));
    assert_eq!(sql(&grants, "app-1").map(|permit| permit.writes()), Ok(true));
    let denied = sql(&grants, "my-db").expect_err("denied");
    assert_eq!(denied.line, r#"permissions = { sql = { ["my-db"] = "read" } }"#);
    assert_eq!(sql(&Grants::all(), "any").map(|permit| permit.writes()), Ok(true));
}

#[test]
fn lists_name_routes_and_jobs() {
    let grants = Grants { notify: vec!["alerts".into()], jobs: vec!["backup-*".into()], ..Grants::default() };
    assert_eq!(notify(&grants, "alerts").map(|permit| permit.route().to_owned()), Ok("alerts".into()));
    assert_eq!(jobs(&grants, "backup-db").map(|permit| permit.job().to_owned()), Ok("backup-db".into()));
    let fault = Fault::from(notify(&grants, "pages").expect_err("denied"));
    assert_eq!(fault.code, "permission.denied");
    assert_eq!(fault.details["line"], r#"permissions = { notify = { "alerts", "pages" } }"#);
}

/// Whatever a script's own table grants, a bound takes away, and says who set it.
#[test]
fn a_bound_holds_in_every_area() {
    let nothing = std::sync::Arc::new(crate::model::grants::Cap {
        grants: Grants::default(),
        origin: Origin::Caller { job: "boss".into() },
    });
    let everything = std::sync::Arc::new(crate::model::grants::Cap {
        grants: Grants::all(),
        origin: Origin::Caller { job: "boss".into() },
    });
    let target = |url: &str| Target::of(&url::Url::parse(url).expect("a URL")).expect("a target");
    type Ask = fn(&Grants) -> Result<(), Denied>;
    let asks: [(&str, Ask); 16] = [
        ("docker", |grants| docker(grants, Access::Write, Some("web")).map(drop)),
        ("docker", |grants| docker(grants, Access::Read, None).map(drop)),
        ("notify", |grants| notify(grants, "alerts").map(drop)),
        ("sql", |grants| sql(grants, "main").map(drop)),
        ("redis", |grants| redis(grants, "main").map(drop)),
        ("graph", |grants| graph(grants, "main").map(drop)),
        ("llm", |grants| llm(grants, "main").map(drop)),
        ("proxy", |grants| proxy(grants, "edge").map(drop)),
        ("kv", |grants| kv(grants, "x", "shared:deploys").map(drop)),
        ("jobs", |grants| jobs(grants, "hello").map(drop)),
        ("host", |grants| host(grants).map(drop)),
        ("process", |grants| process(grants, "git").map(drop)),
        ("fs", |grants| fs(grants, "backups", Access::Write).map(drop)),
        ("events", |grants| event(grants, "paid").map(drop)),
        ("secrets", |grants| secret(grants, "TOKEN").map(drop)),
        ("secrets", |grants| reveal(grants, "TOKEN").map(drop)),
    ];
    let with = |cap: &std::sync::Arc<crate::model::grants::Cap>| Grants { caps: vec![cap.clone()], ..Grants::all() };
    for (area, ask) in asks {
        assert_eq!(ask(&Grants::all()), Ok(()), "{area}");
        assert_eq!(ask(&with(&everything)), Ok(()), "{area}");
        let denied = ask(&with(&nothing)).expect_err(area);
        assert!(denied.needed.starts_with(area) && denied.forbidden_by.is_some(), "{denied:?}");
        let own = ask(&Grants { caps: vec![everything.clone()], ..Grants::default() }).expect_err(area);
        assert_eq!(own.forbidden_by, None, "{area}: the script's own table lacks it");
    }
    assert_eq!(alerts(&with(&everything), "x"), Ok(()));
    assert!(alerts(&with(&nothing), "x").is_err_and(|denied| denied.forbidden_by.is_some()));
    assert!(kv(&with(&nothing), "x", "job").is_ok(), "a job's own scope is not granted by anybody");
    assert!(http(&with(&everything)).policy().check(&target("https://example.com")).is_ok());
    assert!(http(&with(&nothing)).policy().check(&target("https://example.com")).is_err());
    let denied = http(&with(&nothing)).denied("x".into(), "example.com");
    assert!(denied.forbidden_by.is_some(), "{denied:?}");
}

#[test]
fn a_level_is_the_least_of_all_bounds() {
    let capped = |own, most| {
        let level = |access| Grants { sql: [("main".to_owned(), access)].into(), ..Grants::default() };
        let cap = crate::model::grants::Cap { grants: level(most), origin: Origin::Caller { job: "boss".into() } };
        Grants { caps: vec![std::sync::Arc::new(cap)], ..level(own) }
    };
    let writes = |grants: &Grants| sql(grants, "main").map(|permit| permit.writes());
    assert_eq!(writes(&capped(Access::Write, Access::Read)), Ok(false));
    assert_eq!(writes(&capped(Access::Read, Access::Write)), Ok(false));
    assert_eq!(writes(&capped(Access::Write, Access::Admin)), Ok(true));
    let read_only = || Fault::new("sql.read_only", "x").hint("own").details(serde_json::json!({ "source": "main" }));
    let hint = |grants: &Grants| explained(grants, read_only()).hint.unwrap_or_default();
    assert!(hint(&capped(Access::Write, Access::Read)).contains("boss"));
    assert_eq!(hint(&capped(Access::Read, Access::Write)), "own", "the script's own table lacks it");
}

#[test]
fn a_request_stays_within_every_list_of_hosts() {
    let list =
        |hosts: &[&str]| Grants { http: hosts.iter().map(|host| (*host).to_owned()).collect(), ..Grants::default() };
    let cap = crate::model::grants::Cap {
        grants: list(&["*.example.com:443"]),
        origin: Origin::Caller { job: "boss".into() },
    };
    let grants = Grants { caps: vec![std::sync::Arc::new(cap)], ..list(&["api.example.com", "10.0.0.5"]) };
    let permit = http(&grants);
    let check =
        |url: &str| permit.policy().check(&Target::of(&url::Url::parse(url).expect("a URL")).expect("a target"));
    assert!(check("https://api.example.com/").is_ok());
    for url in ["http://api.example.com/", "https://www.example.com/", "http://10.0.0.5/"] {
        assert!(check(url).is_err(), "{url}");
    }
    assert_eq!(permit.denied("x".into(), "www.example.com").forbidden_by, None);
    assert!(permit.denied("x".into(), "10.0.0.5").forbidden_by.is_some());
    let without = http(&list(&["api.example.com", "10.0.0.5"]));
    assert_ne!(permit.policy().fingerprint(443), without.policy().fingerprint(443), "connections are not shared");
}

#[test]
fn a_permit_notes_what_it_was_used_for() {
    let reach = Reach::default();
    let grants = named(&[(Access::Read, &["*"]), (Access::Write, &["web-*"])]);
    let permit = docker(&grants, Access::Read, None).expect("granted").noting(&reach);
    assert_eq!(reach.level(), None);
    assert!(permit.check(Access::Admin, "web-1").is_err());
    assert_eq!(reach.level(), None, "what is refused was not used");
    assert!(permit.check(Access::Write, "web-1").is_ok() && permit.check(Access::Read, "db").is_ok());
    assert_eq!(reach.level(), Some(Access::Write));
    let source = redis(&Grants::all(), "main").expect("granted").noting(&reach);
    assert!(source.check(Access::Admin, "FLUSHALL").is_ok());
    assert_eq!(reach.level(), Some(Access::Admin));
}

#[test]
fn runs_of_others_are_looked_at_with_a_grant() {
    let grants = Grants { runs: vec!["nightly-*".into()], jobs: vec!["backup".into()], ..Grants::default() };
    let may = |job: Option<&str>| runs(&grants, "own", job).is_ok();
    assert!(may(Some("own")) && may(Some("nightly-db")) && may(Some("nightly-*")) && may(Some("backup")));
    assert!(!may(Some("other")) && !may(Some("*")) && !may(None));
    let all = Grants { runs: vec!["*".into()], ..Grants::default() };
    assert!(runs(&all, "own", None).is_ok());
    assert_eq!(runs(&Grants::default(), "own", None).expect_err("not granted").needed, "runs = { \"*\" }");
}

#[test]
fn an_execution_is_let_out_to_what_each_bound_names() {
    let grants = Grants { egress: vec!["*.example.com".into(), "10.0.0.0/8".into()], ..Grants::default() };
    let asked = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        egress(&grants, &names).map(|permit| permit.bounds().len()).map_err(|denied| denied.line)
    };
    assert_eq!(asked(&["api.example.com:8443", "10.1.0.0/16", "*.example.com"]), Ok(1));
    let line =
        |add: &str| Err(format!("permissions = {{ egress = {{ \"*.example.com\", \"10.0.0.0/8\", \"{add}\" }} }}"));
    for name in ["example.org", "*", "*.com", "redis", "db.internal", "192.168.0.0/16"] {
        assert_eq!(asked(&["api.example.com", name]), line(name));
    }
    let cap = crate::model::grants::Cap {
        grants: Grants { egress: vec!["api.example.com".into()], ..Grants::default() },
        origin: Origin::Caller { job: "nightly".into() },
    };
    let capped = Grants { caps: vec![Arc::new(cap)], ..grants };
    assert!(egress(&capped, &["api.example.com".into()]).is_ok_and(|permit| permit.bounds().len() == 2));
    let denied = egress(&capped, &["www.example.com".into()]).expect_err("the caller may not");
    assert!(denied.remedy().contains("the job nightly"), "{}", denied.remedy());
    assert_eq!(
        egress(&Grants::default(), &[]).map(|_| ()).map_err(|denied| denied.line),
        Err("permissions = { egress = { \"*\" } }".to_owned())
    );
}
