//! The machine itself and a real TLS server, watched.

use std::process::{Child, Command, Stdio};

use super::{ended, succeeded};
use crate::support::app::free_port;
use crate::support::{TestApp, eventually, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_machine_is_measured_for_the_rules_that_are_shipped() {
    let app = TestApp::builder().shipped("host_watch", &[("every = \"30s\"", "every = \"1s\"")]).start().await;
    app.api.job_appears("host_watch").await;
    let run = eventually("the schedule fires", || async {
        app.api.runs_of("host_watch").await.into_iter().find(|run| run["state"] == "succeeded")
    })
    .await;
    let run = ended(&app, run["id"].as_str().expect("an id")).await;
    // There is no Docker here; the rest is measured all the same.
    let problems = succeeded(&run)["problems"].as_object().expect("problems").clone();
    assert_eq!(problems.keys().collect::<Vec<_>>(), ["containers"], "{problems:?}");
    let metrics = app.api.get("/metrics").await.text;
    for metric in ["host_cpu_percent", "host_memory_percent", "host_disk_percent", "host_load_1"] {
        assert!(metrics.contains(metric), "{metric} is not in\n{metrics}");
    }
}

/// `openssl s_server` with a certificate that ends soon. Ends with the test.
struct Server(Child);

impl Server {
    async fn start(folder: &std::path::Path, days: u32) -> (Self, u16) {
        let port = free_port();
        let openssl = |arguments: &[&str]| {
            let done = Command::new("openssl").current_dir(folder).args(arguments).output().expect("openssl");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        let days = days.to_string();
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            &days,
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
        ]);
        let child = Command::new("openssl")
            .current_dir(folder)
            .args([
                "s_server",
                "-quiet",
                "-accept",
                &format!("127.0.0.1:{port}"),
                "-cert",
                "cert.pem",
                "-key",
                "key.pem",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed; tests/run does that");
        eventually("the server listens", || async {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop)
        })
        .await;
        (Self(child), port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ends_soon_is_an_alert() {
    let builder = TestApp::builder();
    let folder = builder.dir().join("tls");
    std::fs::create_dir(&folder).expect("a folder");
    let (_server, port) = Server::start(&folder, 5).await;
    let closed = free_port();
    let app = builder
        .config("/outgoing/ca_file", json!(folder.join("cert.pem")))
        .shipped("cert_watch", &[("\"*.example.com\"", "\"127.0.0.1\"")])
        .start()
        .await;
    app.api.job_appears("cert_watch").await;
    let hosts = json!({ "hosts": [format!("127.0.0.1:{port}"), format!("127.0.0.1:{closed}")] });
    let run = app.api.run_to_end("cert_watch", hosts).await;
    let result = succeeded(&run);
    let days = result["certificates"][0]["days_left"].as_i64().expect("days");
    assert!((4..=5).contains(&days), "{result:#}");
    assert!(result["certificates"][1]["problem"].is_string(), "{result:#}");
    let findings = result["findings"].as_array().expect("findings");
    let of = |port: u16| {
        let host = format!("127.0.0.1:{port}");
        findings.iter().find(|one| one["labels"]["host"] == host.as_str()).expect("a finding")["severity"].clone()
    };
    assert_eq!((of(port), of(closed)), (json!("critical"), json!("warning")), "{result:#}");
    let alerts = app.api.get("/api/v1/alerts").await.text;
    assert!(alerts.contains("certificate") && alerts.contains("127.0.0.1"), "{alerts}");
}
