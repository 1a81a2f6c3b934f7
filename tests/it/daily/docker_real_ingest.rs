//! Transcripts into a real FalkorDB: once, twice, killed in the middle, and with a language model.

use std::time::Duration;

use super::{ended, succeeded, transcripts};
use crate::support::falkordb::FalkorDb;
use crate::support::provider::{Asked, Provider};
use crate::support::{TestApp, Value, json, settles};

/// Everything in a graph by its keys, in order: what was said, what was named, and each relation with its provenance.
async fn whole(graph: &FalkorDb, name: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for query in [
        "MATCH (n) RETURN labels(n)[0], n.key, n.name, n.file, n.line, n.hash, n.at ORDER BY n.key, labels(n)[0]",
        "MATCH (a)-[r:RELATES]->(b) RETURN a.key, r.type, b.key, r.file, r.line, r.hash, r.speaker, r.at ORDER BY r.key",
        "MATCH (a)-[r]->(b) WHERE type(r) <> 'RELATES' RETURN type(r), a.key, b.key ORDER BY type(r), a.key, b.key",
    ] {
        all.extend(graph.rows(name, query).await);
    }
    all
}

async fn counts(graph: &FalkorDb, name: &str) -> Vec<Vec<String>> {
    let mut all = graph.rows(name, "MATCH (n) RETURN labels(n)[0] AS kind, count(n) ORDER BY kind").await;
    all.extend(graph.rows(name, "MATCH ()-[r]->() RETURN type(r) AS kind, count(r) ORDER BY kind").await);
    all
}

async fn app(
    graph: &FalkorDb,
    changes: impl FnOnce(crate::support::app::Builder) -> crate::support::app::Builder,
) -> TestApp {
    let builder = TestApp::builder();
    let folder = builder.dir().join("transcripts");
    std::fs::create_dir_all(&folder).expect("a folder");
    let builder = builder
        .config("/graph/knowledge/url", json!(graph.url))
        .config("/fs/roots/transcripts", json!(folder))
        .shipped("ingest_transcripts", &[]);
    let app = changes(builder).start().await;
    app.api.job_appears("ingest_transcripts").await;
    app
}

async fn ingest(app: &TestApp, params: Value) -> Value {
    let run = app.api.trigger("ingest_transcripts", params).await;
    ended(app, &run).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_transcripts_twice_add_nothing_the_second_time() {
    let graph = FalkorDb::start().await;
    let app = app(&graph, |builder| builder).await;
    let bytes = transcripts::write(&app.path("transcripts"), 200, 100);
    assert!(bytes > 3 << 20, "only {bytes} bytes");

    let first = ingest(&app, json!({})).await;
    let result = succeeded(&first);
    assert_eq!((&result["files"], &result["bytes"], &result["failed"]), (&json!(200), &json!(bytes), &json!([])));
    assert_eq!(result["utterances"], 20_000);
    println!(
        "{bytes} bytes in {:.1} s: {:.0} utterances/s, {:.2} MB/s",
        result["seconds"].as_f64().unwrap(),
        result["utterances_per_second"].as_f64().unwrap(),
        result["bytes_per_second"].as_f64().unwrap() / 1e6
    );
    let before = counts(&graph, "transcripts").await;
    println!("{before:?}");
    assert!(before.contains(&vec!["Transcript".into(), "200".into()]), "{before:?}");
    assert!(before.contains(&vec!["Utterance".into(), "20000".into()]), "{before:?}");
    let from = "MATCH (:Entity {name: 'Billing API'})-[r:RELATES]->(:Entity) RETURN r.file, r.line, r.hash, r.speaker, r.at LIMIT 1";
    let provenance = graph.rows("transcripts", from).await.remove(0);
    assert!(provenance.iter().all(|part| part != "null" && !part.is_empty()), "{provenance:?}");

    let unchanged = ingest(&app, json!({})).await;
    assert_eq!((&succeeded(&unchanged)["utterances"], &unchanged["result"]["created"]), (&json!(0), &json!(0)));
    let again = ingest(&app, json!({ "again": true })).await;
    assert_eq!((&succeeded(&again)["utterances"], &again["result"]["created"]), (&json!(20_000), &json!(0)));
    assert_eq!(counts(&graph, "transcripts").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_in_the_middle_ends_with_the_same_graph() {
    let graph = FalkorDb::start().await;
    let mut app = app(&graph, |builder| builder).await;
    transcripts::write(&app.path("transcripts"), 60, 60);
    succeeded(&ingest(&app, json!({ "graph": "whole" })).await);

    let run = app.api.trigger("ingest_transcripts", json!({ "graph": "killed" })).await;
    let done = |run: &Value| {
        run["progress"]["done"].as_f64().unwrap_or(0.0) / run["progress"]["total"].as_f64().unwrap_or(1.0)
    };
    let share = settles(Duration::from_secs(60), "a third is done", || async {
        let share = done(&app.api.run(&run).await);
        (share > 0.3).then_some(share)
    })
    .await;
    app.kill().await;
    assert!(share < 0.9, "it was nearly done: {share}");
    let left =
        graph.rows("killed", "MATCH (t:Transcript) WHERE t.hash IS NOT NULL RETURN count(t)").await[0][0].clone();
    let left: usize = left.parse().expect("a number");
    assert!((1..60).contains(&left), "{left} transcripts were whole when the daemon was killed");

    app.restart().await;
    let resumed = ended(&app, &run).await;
    let result = succeeded(&resumed);
    assert_eq!((&result["files"], &result["utterances"]), (&json!(60), &json!(60 * 60)));
    println!("killed after {left} of 60 transcripts");
    assert_eq!(whole(&graph, "killed").await, whole(&graph, "whole").await);
}

/// Holds a request to OpenAI's chat completions, and reads names between stars.
fn model(asked: &Asked) -> Result<Value, String> {
    asked.is("POST", "/v1/chat/completions")?;
    if asked.header("authorization") != "Bearer test-key" {
        return Err(format!("authorization is {:?}", asked.header("authorization")));
    }
    let schema = &asked.json["response_format"];
    if asked.json["model"] != "reader-1"
        || schema["type"] != "json_schema"
        || !schema["json_schema"]["schema"].is_object()
    {
        return Err(format!("model or schema are missing: {}", asked.json));
    }
    let messages = asked.json["messages"].as_array().ok_or("no messages")?;
    if messages.len() != 2 || messages[0]["role"] != "system" || messages[1]["role"] != "user" {
        return Err("there is to be a system message and a user's".into());
    }
    let (mut entities, mut relations) = (Vec::new(), Vec::new());
    for line in messages[1]["content"].as_str().ok_or("no text")?.lines() {
        let (number, text) = line.split_once(". ").ok_or_else(|| format!("{line:?} has no number"))?;
        let number: usize = number.parse().map_err(|_| format!("{line:?} has no number"))?;
        let names: Vec<&str> = text.split('*').skip(1).step_by(2).collect();
        entities.extend(names.iter().map(|name| json!({ "name": name, "kind": "person", "line": number })));
        if let [one, other] = names[..] {
            relations.push(json!({ "from": one, "type": "met", "to": other, "line": number }));
        }
    }
    let content = json!({ "entities": entities, "relations": relations }).to_string();
    Ok(json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "reader-1",
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": content } }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 },
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_language_model_reads_where_there_is_one() {
    let (graph, provider) = (FalkorDb::start().await, Provider::start(model).await);
    let source =
        json!({ "kind": "openai", "url": format!("{}/v1", provider.url()), "key": "test-key", "model": "reader-1" });
    let app = app(&graph, |builder| builder.config("/llm/main", source)).await;
    let said: Vec<String> =
        (0..50).map(|line| format!("Ada: today *Person {line}* met *Person {}*", line + 1)).collect();
    std::fs::write(app.path("transcripts/talk.txt"), said.join("\n")).expect("a transcript");
    let run = ingest(&app, json!({ "llm": "main" })).await;
    assert_eq!(succeeded(&run)["relations"], 50);
    assert_eq!(provider.asked().len(), 2, "fifty utterances are two batches");
    let met = "MATCH (a:Entity)-[r:RELATES {type: 'met'}]->(b:Entity) WHERE r.line = 50 RETURN a.name, b.name, r.speaker, r.file";
    let row = graph.rows("transcripts", met).await.remove(0);
    assert_eq!(row, ["Person 49", "Person 50", "Ada", "transcripts:talk.txt"]);
}
