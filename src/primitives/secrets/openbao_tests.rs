//! Against a server that answers as the documentation of OpenBao says, and refuses what it would refuse.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::base::{Clock, ExposeSecret, FakeClock, Fault, Masker, Timestamp};
use crate::model::Grants;
use crate::primitives::http::testing::{Answer, Asked, Server, answer};
use crate::primitives::http::{self, Http};
use crate::primitives::permit;

/// What the server is like now.
#[derive(Debug, Clone)]
struct Bao {
    sealed: bool,
    secret_id: &'static str,
    renewable: bool,
    /// Seconds.
    life: u64,
    /// Tokens that are alive.
    tokens: Vec<String>,
    logins: usize,
    renewals: usize,
    path: &'static str,
    data: Value,
    broken: Option<u16>,
}

impl Bao {
    fn answer(&mut self, asked: &Asked) -> Answer {
        let json = |status, body: Value| answer(status, &[("content-type", "application/json")], body.to_string());
        let errors = |status, text: &str| json(status, json!({ "errors": [text] }));
        if let Some(status) = self.broken {
            return errors(status, "internal error");
        }
        if self.sealed {
            return errors(503, "Vault is sealed");
        }
        // Without it OpenBao's agent and proxies refuse.
        assert_eq!(asked.header("x-vault-request"), "true");
        assert_eq!(asked.header("x-vault-namespace"), "team/a");
        let token = asked.header("x-vault-token").to_owned();
        match (asked.method.as_str(), asked.path.as_str()) {
            ("POST", "/v1/auth/approle/login") => {
                assert_eq!(token, "", "a login needs no token");
                let body = asked.json();
                assert_eq!(body.as_object().map(serde_json::Map::len), Some(2), "{body}");
                if body["role_id"] != "the-role-id" || body["secret_id"] != self.secret_id {
                    return errors(400, "invalid role or secret ID");
                }
                self.logins += 1;
                self.tokens.push(format!("hvs.token-{}", self.logins));
                let token = self.tokens.last().expect("one").clone();
                json(200, self.auth(&token))
            }
            _ if !self.tokens.contains(&token) => errors(403, "permission denied"),
            ("POST", "/v1/auth/token/renew-self") => {
                self.renewals += 1;
                json(200, self.auth(&token))
            }
            ("GET", path) if path == self.path => json(
                200,
                json!({
                    "request_id": "r", "lease_id": "", "renewable": false, "lease_duration": 0,
                    "data": {
                        "data": self.data,
                        "metadata": { "created_time": "2026-03-01T10:00:00.5Z", "version": 3, "destroyed": false },
                    },
                }),
            ),
            ("GET", "/v1/secret/data/denied") => errors(403, "1 error occurred: permission denied"),
            _ => json(404, json!({ "errors": [] })),
        }
    }

    fn auth(&self, token: &str) -> Value {
        json!({ "auth": { "client_token": token, "accessor": "a", "policies": ["default"],
            "lease_duration": self.life, "renewable": self.renewable, "token_type": "service" } })
    }
}

struct Bed {
    bao: Arc<Mutex<Bao>>,
    server: Server,
    vault: Vault,
    hand: FakeClock,
    masker: Masker,
    _folder: tempfile::TempDir,
}

impl Bed {
    async fn new() -> Self {
        Self::at("apps/aegis").await
    }

    async fn at(path: &str) -> Self {
        let bao = Bao {
            sealed: false,
            secret_id: "the-secret-id",
            renewable: true,
            life: 3_600,
            tokens: Vec::new(),
            logins: 0,
            renewals: 0,
            path: "/v1/secret/data/apps/aegis",
            data: json!({ "SHOP_KEY": "from-openbao", "NUMBER": 12, "not a name": "x", "HIDDEN": "of-openbao" }),
            broken: None,
        };
        let bao = Arc::new(Mutex::new(bao));
        let shared = bao.clone();
        let server = Server::start(move |_, asked| shared.lock().expect("not poisoned").answer(asked)).await;
        let folder = tempfile::tempdir().expect("a folder");
        let env_file = folder.path().join("env");
        std::fs::write(&env_file, "BAO_SECRET_ID=the-secret-id\nHIDDEN=of-the-file").expect("written");
        std::fs::set_permissions(&env_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a mode");
        let openbao = json!({ "address": server.url("/"), "path": path, "namespace": "team/a",
            "role_id": "the-role-id", "secret_id": "secret:BAO_SECRET_ID", "refresh": "1m" });
        let config = json!({ "env_file": env_file, "openbao": openbao });
        let config = serde_json::from_value(config).expect("a section");
        let (clock, hand) = Clock::fake(Timestamp::UNIX_EPOCH);
        let masker = Masker::default();
        let http = Http::new(&http::Options::default(), clock.clone()).expect("a client");
        let options = Options { config, credentials_directory: None };
        let vault = Vault::open(options, http, masker.clone(), clock).expect("a service");
        Self { bao, server, vault, hand, masker, _folder: folder }
    }

    fn change(&self, change: impl FnOnce(&mut Bao)) {
        change(&mut self.bao.lock().expect("not poisoned"));
    }

    fn seen(&self) -> (usize, usize) {
        let bao = self.bao.lock().expect("not poisoned");
        (bao.logins, bao.renewals)
    }

    async fn value(&self, name: &str) -> Result<String, Fault> {
        let permit = permit::secret(&Grants::all(), name).expect("every right");
        Ok(self.vault.get(&permit).await?.value.expose_secret().to_owned())
    }

    async fn code(&self, name: &str) -> String {
        self.value(name).await.expect_err("it fails").code.into_owned()
    }

    fn pass(&self, seconds: u64) {
        self.hand.advance(Duration::from_secs(seconds));
    }
}

#[tokio::test]
async fn a_role_logs_in_and_the_keys_of_the_path_are_secrets() {
    let bed = Bed::new().await;
    assert_eq!(bed.value("SHOP_KEY").await.as_deref(), Ok("from-openbao"));
    assert_eq!(bed.value("NUMBER").await.as_deref(), Ok("12"));
    assert_eq!(bed.value("HIDDEN").await.as_deref(), Ok("of-the-file"), "what is nearer comes first");
    assert_eq!(bed.code("not a name").await, "secrets.not_found");
    assert_eq!(bed.masker.text("from-openbao of-openbao"), "*** ***");
    assert!(bed.vault.list().iter().any(|one| one.name == "SHOP_KEY" && one.source == SourceKind::OpenBao));
    assert_eq!(bed.server.asked().len(), 2, "one login and one reading serve all");
    assert!(!format!("{:?}", bed.vault).contains("hvs.token"));
}

#[tokio::test]
async fn values_are_read_again_after_their_time_and_tokens_renewed_before_theirs() {
    let bed = Bed::new().await;
    assert!(bed.value("SHOP_KEY").await.is_ok());
    bed.change(|bao| bao.data = json!({ "SHOP_KEY": "rotated-value" }));
    bed.pass(59);
    assert_eq!(bed.value("SHOP_KEY").await.as_deref(), Ok("from-openbao"));
    bed.pass(2);
    assert_eq!(bed.value("SHOP_KEY").await.as_deref(), Ok("rotated-value"));
    assert_eq!(bed.masker.text("from-openbao rotated-value"), "*** ***", "what was is masked still");
    assert_eq!(bed.seen(), (1, 0));
    bed.pass(2_400);
    assert!(bed.value("SHOP_KEY").await.is_ok());
    assert_eq!(bed.seen(), (1, 1), "a third of its life was left");
    bed.change(|bao| bao.renewable = false);
    bed.pass(2_500);
    assert!(bed.value("SHOP_KEY").await.is_ok());
    assert_eq!(bed.seen(), (1, 2));
    bed.pass(2_500);
    assert!(bed.value("SHOP_KEY").await.is_ok());
    assert_eq!(bed.seen(), (2, 2), "one that cannot be renewed is replaced");
    bed.pass(90_000);
    assert!(bed.value("SHOP_KEY").await.is_ok());
    assert_eq!(bed.seen(), (3, 2), "so is one that has expired");
}

#[tokio::test]
async fn a_token_that_reached_its_greatest_age_or_was_revoked_is_replaced() {
    let bed = Bed::new().await;
    assert!(bed.value("SHOP_KEY").await.is_ok());
    bed.change(|bao| bao.life = 0);
    bed.pass(2_500);
    bed.change(|bao| bao.tokens.clear());
    assert_eq!(bed.value("SHOP_KEY").await.as_deref(), Ok("from-openbao"));
    assert_eq!(bed.seen().0, 2);
    // It lasts for ever now, and is revoked nevertheless.
    bed.change(|bao| bao.tokens.clear());
    bed.pass(100);
    bed.change(|bao| bao.data = json!({ "SHOP_KEY": "newest-value" }));
    assert_eq!(bed.value("SHOP_KEY").await.as_deref(), Ok("newest-value"));
    assert_eq!(bed.seen().0, 3);
}

#[tokio::test]
async fn what_is_wrong_is_said_and_what_was_known_stays() {
    let bed = Bed::new().await;
    bed.change(|bao| bao.sealed = true);
    let fault = bed.value("SHOP_KEY").await.expect_err("it is sealed");
    assert_eq!((&*fault.code, fault.retryable), ("secrets.sealed", true));
    assert!(fault.hint.is_some_and(|hint| hint.contains("unseal")));
    assert_eq!(bed.value("HIDDEN").await.as_deref(), Ok("of-the-file"), "other sources go on");
    bed.change(|bao| (bao.sealed, bao.secret_id) = (false, "another-id"));
    assert_eq!(bed.code("SHOP_KEY").await, "secrets.sealed", "it is not asked at once again");
    bed.pass(5);
    let fault = bed.value("SHOP_KEY").await.expect_err("a wrong secret id");
    assert_eq!(&*fault.code, "secrets.denied");
    assert!(fault.message.contains("login") && !fault.message.contains("the-secret-id"), "{fault}");
    bed.change(|bao| bao.secret_id = "the-secret-id");
    bed.pass(60);
    assert!(bed.value("SHOP_KEY").await.is_ok());
    bed.change(|bao| bao.broken = Some(500));
    bed.pass(61);
    assert!(bed.value("SHOP_KEY").await.is_ok(), "what was known stays in use");
    assert!(matches!(bed.vault.problems().as_slice(), [SecretError::Away { .. }]));
    bed.change(|bao| bao.broken = None);
    bed.pass(61);
    assert!(bed.value("SHOP_KEY").await.is_ok());
    assert_eq!(bed.vault.problems(), []);
}

#[tokio::test]
async fn paths_that_are_denied_or_empty_are_named() {
    for (path, code) in [("denied", "secrets.denied"), ("elsewhere", "secrets.no_path")] {
        let bed = Bed::at(path).await;
        assert_eq!(bed.code("SHOP_KEY").await, code, "{path}");
    }
    let bed = Bed::new().await;
    bed.change(|bao| bao.data = json!("KV version 1"));
    assert_eq!(bed.code("SHOP_KEY").await, "secrets.strange_answer");
}

#[test]
fn wrong_settings_are_named() {
    let base = json!({ "address": "https://bao.example:8200", "path": "apps/aegis", "role_id": "r", "secret_id": "s" });
    let read = |key: &str, value: Value| {
        let mut raw = base.clone();
        raw[key] = value;
        serde_json::from_value::<OpenBaoOptions>(raw).map_err(|problem| problem.to_string())
    };
    let good = read("path", json!("/apps/aegis/")).expect("slashes around it are no harm");
    assert_eq!(
        (good.path.as_str(), good.mount.as_str(), good.auth_mount.as_str()),
        ("apps/aegis", "secret", "approle")
    );
    for (key, value, said) in [
        ("address", json!("bao:8200"), "address"),
        ("path", json!("a/../b"), "path"),
        ("path", json!("a b"), "path"),
        ("mount", json!(""), "mount"),
        ("refresh", json!("1s"), "refresh"),
        ("timeout", json!("0s"), "timeout"),
        ("role", json!("x"), "unknown field"),
        ("secret_id", json!(""), "empty"),
    ] {
        let problem = read(key, value).map(|_| ()).expect_err(key);
        assert!(problem.contains(said), "{key}: {problem}");
    }
}
