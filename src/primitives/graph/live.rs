//! Against a real FalkorDB.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::testing::Server;
use super::*;
use crate::base::{Clock, Fault, limits};
use crate::model::Grants;
use crate::model::grants::Access;
use crate::primitives::http::client_tls;
use crate::primitives::notify::{ProcessSecrets, Setting};
use crate::primitives::permit::{self, SourcePermit};
use crate::primitives::redis::{PoolOptions, Source};

struct Bed {
    graph: Graph,
    _server: Server,
}

async fn bed() -> Bed {
    let server = Server::start().await;
    let tls = Arc::new(client_tls(None).expect("TLS"));
    let options = PoolOptions { secrets: Arc::new(ProcessSecrets), tls, clock: Clock::system() };
    let source = Source::new(Setting::parse(server.url()).expect("a setting"));
    let nowhere = Source::new(Setting::parse("redis://127.0.0.1:1".into()).expect("a setting"));
    let sources = [("main".to_owned(), source), ("nowhere".to_owned(), nowhere)];
    Bed { graph: Graph::new(sources.into(), &options), _server: server }
}

fn may(source: &str, access: Access) -> SourcePermit {
    let graph = BTreeMap::from([(source.to_owned(), access)]);
    permit::graph(&Grants { graph, ..Grants::default() }, source).expect("a permit")
}

impl Bed {
    async fn ask(&self, access: Access, cypher: &str, params: Value) -> Result<Answer, Fault> {
        let params = params.as_object().cloned().unwrap_or_default();
        let query =
            Query { graph: "g", cypher, params: &params, timeout: limits::GRAPH_TIMEOUT_DEFAULT, dry_run: false };
        Ok(self.graph.query(&may("main", access), &query).await?)
    }

    #[track_caller]
    fn rows(answer: Result<Answer, Fault>) -> Value {
        Value::Array(answer.expect("an answer").rows)
    }

    async fn write(&self, cypher: &str, params: Value) -> Value {
        Self::rows(self.ask(Access::Write, cypher, params).await)
    }
}

/// Everything that has tried to be more than a value somewhere, and all that a text can hold.
fn hostile_texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "'",
        "\"",
        "\\",
        "\\\\",
        "\\\"",
        "\\'",
        "\"\"",
        "''",
        "`",
        "``",
        "$a",
        "${a}",
        "{",
        "}",
        "[",
        "]",
        "//",
        "/*",
        "*/",
        "--",
        ";",
        ":",
        "=",
        "\" RETURN 1 //",
        "' OR '1'='1",
        "\\\" RETURN 1 //",
        "\"}) DETACH DELETE n //",
        "x\" b=\"y",
        "\" CYPHER b=1 ",
        "CYPHER a=1 RETURN 1",
        "\\u0022",
        "\\x22",
        "\\n",
        "\\0",
        "%00",
        "null",
        "true",
        "1",
        "1e5",
        "[1]",
        "{a:1}",
        "é",
        "ü\u{308}",
        "\u{202e}abc",
        "𝄞",
        "\u{10ffff}",
        "\u{feff}",
        "\u{2028}",
        "雪",
        "🙂",
        "\u{7f}",
        "\u{80}",
        "\r\n",
    ]
    .map(str::to_owned)
    .into();
    texts.extend((1..32_u8).map(|byte| format!("a{}b", char::from(byte))));
    texts.extend((1..=12).map(|count| "\\".repeat(count)));
    texts.extend((1..=12).map(|count| format!("{}\"", "\\".repeat(count))));
    texts.push("long ".repeat(50_000));
    texts
}

#[tokio::test]
async fn no_parameter_is_more_than_a_value() {
    let bed = bed().await;
    bed.write("CREATE (:Kept {n: 1})", json!({})).await;
    for text in hostile_texts() {
        let params = json!({ "a": text, "l": [text, [text]], "m": { "k": text }, "after": 7 });
        let rows = bed.write("RETURN $a AS a, $l AS l, $m AS m, $after AS after", params.clone()).await;
        assert_eq!(rows, json!([params]), "{:?}", text.chars().take(40).collect::<String>());
        let stored = bed.write("CREATE (t:Text {v: $a}) RETURN t.v AS v", json!({ "a": text })).await;
        assert_eq!(stored, json!([{ "v": text }]));
        let found = bed.write("MATCH (t:Text {v: $a}) DELETE t RETURN count(*) AS n", json!({ "a": text })).await;
        assert_eq!(found, json!([{ "n": 1 }]));
        let key =
            json!({ "m": { format!("k{}", text.replace(['`', '\\'], "").chars().take(60).collect::<String>()): 1 } });
        assert_eq!(bed.write("RETURN $m AS m", key.clone()).await, json!([key]));
    }
    assert_eq!(
        bed.write("MATCH (n) RETURN labels(n) AS l, n.n AS n", json!({})).await,
        json!([{ "l": ["Kept"], "n": 1 }])
    );
    let params = json!({ "a": "a\u{0}\" RETURN 1" });
    let fault = bed.ask(Access::Write, "RETURN $a", params).await.expect_err("a NUL");
    assert_eq!(fault.code, "graph.bad_query", "{fault}");
}

#[tokio::test]
async fn values_come_back_as_they_went() {
    let bed = bed().await;
    bed.write("CREATE (:Seed)", json!({})).await;
    let values = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(9_007_199_254_740_993_i64),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(0.1),
        json!(-2.5e-7),
        json!(1e300),
        json!(1e21),
        json!([]),
        json!({}),
        json!([1, "a", null, true, 2.5, [[]], { "a": [] }]),
        json!({ "a": { "b": [{ "c": null }] }, "x y": "z" }),
    ];
    for value in values {
        let rows = bed.write("RETURN $v AS v", json!({ "v": value })).await;
        assert_eq!(rows, json!([{ "v": value }]));
    }
    let made = "RETURN point({latitude: 1.5, longitude: 2.5}) AS p, vecf32([1, 2.5]) AS v, date('2024-02-29') AS d,
                localdatetime('2024-01-02T03:04:05') AS t, localtime('03:04:05') AS c, duration('P1DT2H') AS l,
                1.0 / 0 AS inf, 0.0 / 0.0 AS nan";
    let expected = json!([{
        "p": { "latitude": 1.5, "longitude": 2.5 }, "v": [1.0, 2.5], "d": "2024-02-29", "t": "2024-01-02T03:04:05",
        "c": "03:04:05", "l": 93_600, "inf": "inf", "nan": "NaN",
    }]);
    assert_eq!(bed.write(made, json!({})).await, expected);
}

#[tokio::test]
async fn nodes_edges_and_paths_have_names() {
    let bed = bed().await;
    let cypher =
        "CREATE (a:Person {name: $a, tags: ['x']})-[:KNOWS {since: 2020}]->(:Person:Admin {name: 'b', ok: true})";
    let answer = bed.ask(Access::Write, cypher, json!({ "a": "a" })).await.expect("an answer");
    assert_eq!((answer.rows.len(), answer.columns.len()), (0, 0));
    let counted = ["nodes_created", "relationships_created", "labels_added", "properties_set"];
    assert_eq!(counted.map(|name| answer.statistics[name]), [2.0, 1.0, 2.0, 5.0]);
    assert!(answer.statistics["took_ms"] > 0.0);
    let answer = bed.ask(Access::Read, "MATCH p = (a)-[r]->(b) RETURN a, r, b, p, {n: [b]} AS m", json!({})).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.columns, ["a", "r", "b", "p", "m"]);
    let (a, b) = (
        json!({ "kind": "node", "id": 0, "labels": ["Person"], "properties": { "name": "a", "tags": ["x"] } }),
        json!({ "kind": "node", "id": 1, "labels": ["Person", "Admin"], "properties": { "name": "b", "ok": true } }),
    );
    let r = json!({ "kind": "edge", "id": 0, "type": "KNOWS", "from": 0, "to": 1, "properties": { "since": 2020 } });
    let p = json!({ "kind": "path", "nodes": [a, b], "edges": [r] });
    assert_eq!(answer.rows, [json!({ "a": a, "r": r, "b": b, "p": p, "m": { "n": [b] } })]);
}

#[tokio::test]
async fn a_read_grant_cannot_write_whatever_the_query() {
    let bed = bed().await;
    bed.write("CREATE (:A {n: 1})", json!({})).await;
    let writing = [
        "CREATE (:B)",
        "MATCH (a:A) SET a.n = 2",
        "MATCH (a:A) DELETE a",
        "MERGE (:B)",
        "MATCH (a:A) REMOVE a.n",
        "CREATE INDEX FOR (a:A) ON (a.n)",
        "UNWIND [1] AS x CREATE (:B {x: x})",
        "MATCH (a:A) SET a:B RETURN a",
    ];
    for cypher in writing {
        let fault = bed.ask(Access::Read, cypher, json!({})).await.expect_err(cypher);
        assert_eq!(fault.code, "permission.denied", "{cypher}: {fault}");
        assert!(fault.hint.is_some_and(|hint| hint.contains("graph = { main = \"write\" }")), "{cypher}");
    }
    let nothing = Map::new();
    for cypher in writing {
        let query = Query { graph: "g", cypher, params: &nothing, timeout: Duration::from_secs(5), dry_run: true };
        let answer = bed.graph.query(&may("main", Access::Write), &query).await.expect(cypher);
        assert!(answer.plan.is_some() && answer.rows.is_empty(), "{cypher}: {answer:?}");
    }
    let rows = Bed::rows(bed.ask(Access::Read, "MATCH (n) RETURN labels(n) AS l, n.n AS n", json!({})).await);
    assert_eq!(rows, json!([{ "l": ["A"], "n": 1 }]));
    assert!(bed.graph.delete(&may("main", Access::Read), "g", Duration::from_secs(5), false).await.is_err());
}

#[tokio::test]
async fn graphs_are_listed_explained_and_deleted() {
    let bed = bed().await;
    let (read, write, soon) = (may("main", Access::Read), may("main", Access::Write), Duration::from_secs(5));
    assert_eq!(bed.graph.graphs(&read, soon).await.expect("a list"), [""; 0]);
    bed.write("CREATE (:A)", json!({})).await;
    assert_eq!(bed.graph.graphs(&read, soon).await.expect("a list"), ["g"]);
    let params = json!({ "x": 1 }).as_object().cloned().unwrap_or_default();
    let query =
        Query { graph: "g", cypher: "MATCH (a:A {x: $x}) RETURN a", params: &params, timeout: soon, dry_run: false };
    let plan = bed.graph.explain(&read, &query).await.expect("a plan");
    assert!(plan.iter().any(|line| line.contains("Node By Label Scan")), "{plan:?}");
    assert!(bed.graph.delete(&write, "g", soon, true).await.expect("a look"));
    assert!(bed.graph.delete(&write, "g", soon, false).await.expect("deleted"));
    assert!(!bed.graph.delete(&write, "g", soon, false).await.expect("there is none"));
}

#[tokio::test]
async fn what_goes_wrong_has_a_name() {
    let bed = bed().await;
    bed.write("CREATE (:A)", json!({})).await;
    let long = "RETURN size([x IN range(1, 100000000) | x * x])";
    let cases = [
        ("g", "MACH (a)", 5_000, "graph.syntax"),
        ("g", "RETURN $absent", 5_000, "graph.failed"),
        ("nope", "MATCH (a) RETURN a", 5_000, "graph.unknown_graph"),
        ("", "RETURN 1", 5_000, "graph.bad_query"),
        ("g", "RETURN 1\0", 5_000, "graph.bad_query"),
        ("g", long, 100, "graph.timeout"),
    ];
    let params = Map::new();
    for (graph, cypher, timeout_ms, code) in cases {
        let timeout = Duration::from_millis(timeout_ms);
        let query = Query { graph, cypher, params: &params, timeout, dry_run: false };
        let fault: Fault = bed.graph.query(&may("main", Access::Read), &query).await.expect_err(cypher).into();
        assert_eq!(fault.code, code, "{cypher}: {fault}");
    }
    for (source, code) in [("nowhere", "graph.connect"), ("mian", "graph.unknown_source")] {
        let query =
            Query { graph: "g", cypher: "RETURN 1", params: &params, timeout: Duration::from_secs(5), dry_run: false };
        let fault: Fault = bed.graph.query(&may(source, Access::Read), &query).await.expect_err(source).into();
        assert_eq!(fault.code, code, "{fault}");
    }
    let answers = bed.graph.ping().await;
    assert_eq!(answers.iter().map(|(_, answer)| answer.is_ok()).collect::<Vec<_>>(), [true, false]);
}
