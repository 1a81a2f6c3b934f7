//! A real Chromium, driven through chromedriver by the WebDriver protocol.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::api::client;
use super::app::free_port;
use super::settles;

/// Chromium takes its time on a busy machine.
const BROWSER_TIMEOUT: Duration = Duration::from_secs(60);

/// One browser window with a profile of its own. The driver and the browser end when it is dropped.
pub struct Browser {
    client: Client,
    session: String,
    driver: Child,
}

impl Browser {
    /// Opens a window of that inner width and height, in CSS pixels.
    pub async fn open(width: u32, height: u32) -> Self {
        let port = free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver is installed; tests/run does that");
        let client = client();
        let base = format!("http://127.0.0.1:{port}");
        let status = format!("{base}/status");
        settles(BROWSER_TIMEOUT, "chromedriver answers", || async { client.get(&status).send().await.ok() }).await;
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": {
                "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"],
                "mobileEmulation": { "deviceMetrics": { "width": width, "height": height, "pixelRatio": 1.0, "touch": false } },
            },
        } } });
        let created: Value = client
            .post(format!("{base}/session"))
            .json(&capabilities)
            .send()
            .await
            .expect("chromedriver answers")
            .json()
            .await
            .expect("JSON");
        let id = created["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {created}"));
        Self { session: format!("{base}/session/{id}"), client, driver }
    }

    async fn command(&self, path: &str, body: Value) -> Result<Value, Value> {
        let request = self.client.post(format!("{}/{path}", self.session)).json(&body);
        let response = request.send().await.expect("chromedriver answers");
        let ok = response.status().is_success();
        let mut answer: Value = response.json().await.expect("JSON");
        if ok { Ok(answer["value"].take()) } else { Err(answer["value"].take()) }
    }

    pub async fn goto(&self, url: &str) {
        self.command("url", json!({ "url": url })).await.expect("the page loads");
    }

    /// What a function body gives in the page.
    pub async fn script(&self, body: &str) -> Value {
        self.command("execute/sync", json!({ "script": body, "args": [] })).await.expect("the script runs")
    }

    pub async fn url(&self) -> String {
        self.script("return location.href").await.as_str().unwrap_or_default().to_owned()
    }

    /// Everything that a reader sees.
    pub async fn text(&self) -> String {
        self.script("return document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page shows `words`.
    pub async fn sees(&self, words: &str) {
        let what = format!("the page shows {words:?}");
        settles(BROWSER_TIMEOUT, &what, || async { self.text().await.contains(words).then_some(()) }).await;
    }

    /// Clicks as a person does: the element is scrolled to and must be visible and not covered.
    pub async fn click(&self, css: &str) {
        let found = self.command("element", json!({ "using": "css selector", "value": css })).await;
        let element = found.unwrap_or_else(|error| panic!("no {css}: {error}"));
        let id = element.as_object().and_then(|keys| keys.values().next()).and_then(Value::as_str).expect("an element");
        let clicked = self.command(&format!("element/{id}/click"), json!({})).await;
        clicked.unwrap_or_else(|error| panic!("{css} cannot be clicked: {error}"));
    }

    /// Errors and refusals of the content security policy since the last call.
    pub async fn console_errors(&self) -> Vec<String> {
        let entries = self.command("se/log", json!({ "type": "browser" })).await.expect("the console can be read");
        let entries = entries.as_array().cloned().unwrap_or_default();
        let is_bad = |entry: &Value| {
            entry["level"] == "SEVERE"
                || entry["message"].as_str().is_some_and(|text| text.contains("Content Security"))
        };
        entries.iter().filter(|entry| is_bad(entry)).map(Value::to_string).collect()
    }

    /// What the window shows, as PNG.
    pub async fn picture(&self) -> Vec<u8> {
        let answer =
            self.client.get(format!("{}/screenshot", self.session)).send().await.expect("chromedriver answers");
        let answer: Value = answer.json().await.expect("JSON");
        let png = base64::engine::general_purpose::STANDARD.decode(answer["value"].as_str().expect("a picture"));
        png.expect("base64")
    }

    /// Saves what the window shows, under the build's scratch folder.
    pub async fn screenshot(&self, name: &str) {
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
        std::fs::write(&path, self.picture().await).expect("the picture is written");
        println!("screenshot: {}", path.display());
    }

    /// How many CSS pixels the page is wider than the window.
    pub async fn overflow(&self) -> i64 {
        let body = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        self.script(body).await.as_i64().unwrap_or_default()
    }
}

impl Drop for Browser {
    /// Asks chromedriver to close the browser before it goes itself; killed alone, it would leave Chromium behind.
    fn drop(&mut self) {
        let Ok(url) = url::Url::parse(&self.session) else { return };
        let address = format!("127.0.0.1:{}", url.port().unwrap_or_default());
        let Ok(mut stream) = TcpStream::connect(&address) else { return };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
        let request = format!("DELETE {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n", url.path());
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_end(&mut Vec::new()));
        let _ = self.driver.start_kill();
    }
}
