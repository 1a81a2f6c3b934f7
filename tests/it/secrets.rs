//! Secrets on the real daemon: none is seen, wherever a script puts it and however it is encoded.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use crate::support::hook::Hook;
use crate::support::{TestApp, Value, eventually, json};

const SECRET: &str = "p&ss/w+rd \"9~\" ünd?>> more";
const STORED: &str = "of-the-store-7f3a9c";

/// A secret in the forms in which it is given away; the script makes the same ones.
fn forms(secret: &str) -> BTreeMap<&'static str, String> {
    let bytes = secret.as_bytes();
    let percent = |keep: &[u8], upper: bool| -> String {
        let one = |byte: &u8| match byte {
            byte if byte.is_ascii_alphanumeric() || keep.contains(byte) => char::from(*byte).to_string(),
            byte if upper => format!("%{byte:02X}"),
            byte => format!("%{byte:02x}"),
        };
        bytes.iter().map(one).collect()
    };
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let quoted = Value::from(secret).to_string();
    BTreeMap::from([
        ("plain", secret.to_owned()),
        ("base64", STANDARD.encode(bytes)),
        ("base64 without padding", STANDARD_NO_PAD.encode(bytes)),
        ("base64 for URLs", URL_SAFE.encode(bytes)),
        ("base64 for URLs without padding", URL_SAFE_NO_PAD.encode(bytes)),
        // Less their first and last characters, which the neighbours decide too.
        ("base64 after one byte", STANDARD_NO_PAD.encode([b"u".as_slice(), bytes].concat())[2..].to_owned()),
        ("base64 after two bytes", STANDARD_NO_PAD.encode([b"u:".as_slice(), bytes].concat())[3..].to_owned()),
        ("URL", percent(b"-._~", true)),
        ("URL in lower case", percent(b"-._~", false)),
        ("URL as browsers do", percent(b"-_.!~*'()", true)),
        ("hex in upper case", hex.to_uppercase()),
        ("hex", hex),
        ("JSON", quoted[1..quoted.len() - 1].to_owned()),
    ])
}

/// Fails when a form of a secret is in `text`, or a good part of it.
#[track_caller]
fn assert_clean(place: &str, text: &str) {
    for secret in [SECRET, STORED] {
        for (name, form) in forms(secret) {
            let part = &form[..form.floor_char_boundary(form.len() * 2 / 3)];
            assert!(!text.contains(part), "{place}: the secret is there, {name}: {text}");
        }
    }
}

/// Puts `form(text)` of both secrets wherever a script can put something.
const LEAKY: &str = r#"
local function forms(text)
  local hex, url = aegis.hex.encode(text), aegis.url.encode(text)
  local lower = string.gsub(url, "%%%x%x", string.lower)
  return {
    text, aegis.base64.encode(text), aegis.base64.encode("u" .. text), aegis.base64.encode("u:" .. text),
    aegis.base64.encode(text, { url = true }), url, lower, hex, string.upper(hex), aegis.json.encode(text),
  }
end
return aegis.job {
  resume = true,
  permissions = {
    secrets = { ENV_KEY = "reveal", STORE_KEY = "reveal" }, notify = { "people" }, events = { "leak" },
    kv = { "shared:leak" }, jobs = { "*" },
  },
  params = { fail = { type = "boolean", default = false } },
  run = function(ctx)
    local all = forms(aegis.secrets.get("ENV_KEY"):reveal())
    table.move(forms(aegis.secrets.get("STORE_KEY"):reveal()), 1, 10, #all + 1, all)
    local whole = table.concat(all, " | ")
    if ctx.params.fail then
      error({ code = "leak.failed", message = "failed with " .. whole, hint = whole, details = { all = all } })
    end
    for _, form in all do
      print("log " .. form)
      ctx:log("warn", "fields", { form = form, [form] = 1 })
    end
    ctx:progress(1, 2, "progress " .. all[1])
    ctx:artifact("text.txt", whole)
    ctx:artifact("name " .. all[8] .. ".json", aegis.json.encode({ all = all }))
    local kept = ctx:step("step", function() return { all = all } end)
    local caught = select(2, aegis.try(ctx.step, ctx, "bad step", function() error("step " .. whole) end))
    local refused = select(2, aegis.try(aegis.kv.set, "k", whole, { scope = "shared:leak" }))
    aegis.events.send("leak", { payload = { all = all } })
    aegis.notify.send("people", { title = all[2], text = whole, fields = { { name = "f", value = all[6] } } })
    aegis.alerts.report({ name = "leak", summary = "alert " .. whole })
    ctx:sleep("10ms")
    return { all = all, [all[1]] = true, refused = refused.code, kept = kept.all[1] }
  end,
}
"#;

fn private(path: &Path, content: &str) {
    std::fs::write(path, content).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
}

async fn start(hook: &Hook) -> TestApp {
    let builder = TestApp::builder()
        .config("/secrets", json!({ "env_file": "secrets.env", "age_identity": "identity.age" }))
        .config("/notify/routes", json!({ "people": [{ "webhook": { "url": hook.url() } }] }))
        .config("/log/level", json!("debug"))
        .script("leaky.lua", LEAKY);
    let quoted = SECRET.replace('\\', "\\\\").replace('"', "\\\"");
    private(&builder.dir().join("secrets.env"), &format!("ENV_KEY=\"{quoted}\"\n"));
    let app = builder.start().await;
    // While the daemon runs: it notices.
    let typed = format!("{STORED}\n");
    let set = app.cli.run_with_input(&["secret", "set", "STORE_KEY", "--config", "aegis.yaml"], &typed);
    set.await.expect_code(0);
    app.api.job_appears("leaky").await;
    app
}

/// Everything that somebody can be shown of a run.
async fn places(app: &TestApp, run: &str) -> Vec<(String, String)> {
    let mut places = Vec::new();
    let paths = ["", "/logs?limit=1000", "/steps", "/artifacts", "/artifacts/text.txt"];
    let of_run = paths.iter().map(|path| format!("/api/v1/runs/{run}{path}"));
    let others = ["runs", "events?limit=500", "alerts", "scripts/diagnostics"].map(|path| format!("/api/v1/{path}"));
    let pages = [format!("/runs/{run}"), "/".to_owned(), "/jobs/leaky".to_owned(), "/runs".to_owned()];
    for path in of_run.chain(others).chain(pages) {
        let answer = app.api.get(&path).await;
        places.push((format!("GET {path}"), answer.text));
    }
    let commands: [&[&str]; 6] = [
        &["show", run],
        &["logs", run],
        &["logs", run, "--json"],
        &["runs", "--json"],
        &["alerts"],
        &["artifacts", run],
    ];
    for command in commands {
        let said = app.cli.run(command).await.said();
        places.push((format!("aegis {}", command.join(" ")), said));
    }
    places
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_nowhere_to_be_seen() {
    let hook = Hook::start().await;
    let app = start(&hook).await;
    let run = app.api.trigger("leaky", json!({})).await;
    let ended = app.api.ended(&run).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!((&ended["result"]["refused"], &ended["result"]["kept"]), (&json!("kv.secret"), &json!("***")));
    let failed = app.api.trigger("leaky", json!({ "fail": true })).await;
    let error = app.api.ended(&failed).await;
    assert_eq!((&error["state"], &error["error"]["code"]), (&json!("failed"), &json!("leak.failed")), "{error}");
    assert!(error["error"]["message"].as_str().is_some_and(|text| text.contains("*** | ***")), "{error}");

    let mut seen = places(&app, &run).await;
    seen.extend(places(&app, &failed).await);
    let full: Vec<&String> = seen.iter().filter(|(_, text)| text.contains("***")).map(|(place, _)| place).collect();
    assert!(full.len() >= 14, "what is masked is there: {full:?}");
    // A console, which may reveal everything.
    let line = "local k = aegis.secrets.get('ENV_KEY'):reveal() print(k) return { k, aegis.base64.encode(k) }";
    let said = app.cli.run(&["repl", "-e", line]).await.expect_code(0).said();
    assert!(said.matches("***").count() >= 3, "{said}");
    seen.push(("console".into(), said));
    let line = "error('no ' .. aegis.secrets.get('ENV_KEY'):reveal())";
    seen.push(("console's error".into(), app.cli.run(&["repl", "-e", line]).await.said()));
    let delivered = hook.wait_for(1).await;
    assert!(delivered[0].body.to_string().contains("***"), "{:?}", delivered[0]);
    seen.push(("notification".into(), delivered[0].body.to_string()));
    seen.push(("GET /metrics".into(), app.api.get("/metrics").await.text));
    for (place, text) in &seen {
        assert_clean(place, text);
    }
    assert_clean("the daemon's log", &app.log());
    for file in std::fs::read_dir(app.path("data")).expect("the data").flatten() {
        let content = std::fs::read(file.path()).expect("a file");
        assert_clean(&file.path().display().to_string(), &String::from_utf8_lossy(&content));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_refused_or_masked() {
    let hook = Hook::start().await;
    let app = start(&hook).await;
    let declared = "return aegis.job { permissions = { secrets = { 'ENV_KEY' } },
        params = { text = { type = 'string' }, key = { type = 'secret' } },
        run = function(ctx) return tostring(aegis.secrets.get(ctx.params.key)) end }";
    app.add_job("asks", declared).await;
    let path = "/api/v1/jobs/asks/runs";
    for (name, form) in forms(SECRET) {
        let answer = app.api.post(path, json!({ "params": { "text": format!("a {form} b") } })).await;
        assert_eq!(answer.status, 422, "{name}: {}", answer.text);
        assert_clean(name, &answer.text);
    }
    let answer = app.api.post(path, json!({ "params": { "key": "pasted-by-mistake" } })).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert!(answer.text.contains("no secret of that name") && !answer.text.contains("pasted"), "{}", answer.text);
    let run = app.api.run_to_end("asks", json!({ "key": "ENV_KEY" })).await;
    assert_eq!((&run["result"], &run["params"]["key"]), (&json!("secret(ENV_KEY)"), &json!("ENV_KEY")), "{run}");
    // A mistake that names a secret: in the diagnostics, and in the daemon's log.
    app.write_script("odd.lua", &format!("return aegis.job {{ [{:?}] = 1, run = 5 }}", STORED));
    eventually("the file is rejected", || async {
        app.api.diagnostics().await.iter().any(|found| found["file"] == "odd.lua").then_some(())
    })
    .await;
    assert_clean("diagnostics", &app.api.get("/api/v1/scripts/diagnostics").await.text);
    assert_clean("check", &app.cli.run(&["show", STORED]).await.stdout);
    assert_clean("the daemon's log", &app.log());
    let form = app.api.get("/jobs/asks").await;
    assert_clean("the form", &form.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_keeps_the_store() {
    let app = TestApp::builder().config("/secrets", json!({ "age_identity": "identity.age" })).start().await;
    let secret = async |arguments: &[&str], input: &str| {
        let arguments = [&["secret"], arguments, &["--config", "aegis.yaml"]].concat();
        app.cli.run_with_input(&arguments, input).await
    };
    let made = secret(&["init"], "").await.expect_code(0);
    assert!(made.stdout.starts_with("age1"), "{made}");
    secret(&["set", "A_KEY"], "two\nlines of it\n").await.expect_code(0).expect_said(&["A_KEY is set"]);
    secret(&["set", "A_KEY"], "other value").await.expect_code(0).expect_said(&["replaced"]);
    secret(&["set", "B"], "").await.expect_code(1).expect_said(&["is empty"]);
    secret(&["set", "a b"], "x").await.expect_code(1).expect_said(&["cannot be the name"]);
    let listed = secret(&["list", "--json"], "").await.expect_code(0);
    assert_eq!((&listed.json()[0]["name"], &listed.json()[0]["source"]), (&json!("A_KEY"), &json!("store")));
    assert!(!listed.said().contains("other value"), "{listed}");
    let uses = "return aegis.job { permissions = { secrets = { A_KEY = 'reveal' } },
        run = function() return #aegis.secrets.get('A_KEY'):reveal() end }";
    app.add_job("uses", uses).await;
    assert_eq!(app.api.run_to_end("uses", json!({})).await["result"], 11);
    secret(&["remove", "A_KEY"], "").await.expect_code(2).expect_said(&["--yes"]);
    secret(&["remove", "A_KEY", "--yes"], "").await.expect_code(0);
    secret(&["remove", "A_KEY", "--yes"], "").await.expect_code(5).expect_said(&["no secret"]);
    let run = app.api.run_to_end("uses", json!({})).await;
    assert_eq!(run["error"]["code"], "secrets.not_found", "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_does_not_start_on_secrets_that_others_can_read() {
    let builder = TestApp::builder().config("/secrets", json!({ "env_file": "secrets.env" }));
    let file = builder.dir().join("secrets.env");
    std::fs::write(&file, "A=readable-by-all\n").expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    let output = builder.start_and_fail().await.expect_code(1);
    output.expect_said(&["secrets.env: it can be read by others (mode 644)", "chmod 600 secrets.env"]);
    assert!(!output.said().contains("readable-by-all"), "{output}");
}
