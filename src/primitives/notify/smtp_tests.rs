//! Mail to a real server: Debian's aiosmtpd, with certificates that openssl makes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::base::{Clock, Fault, SecretString};
use crate::model::Grants;
use crate::primitives::http::authority::Authority;
use crate::primitives::http::{self, Http};
use crate::primitives::permit;

/// Takes mail of `aegis` with the password `right`, prints its port, then each mail as a line of JSON.
const SERVER: &str = r#"
import asyncio, email, email.policy, json, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult
mode = sys.argv[1]
context = None
if mode != "none":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("server.pem", "server.key")
def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"aegis", b"right"), handled=False)
class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 no such mailbox"
        if address.startswith("later@"):
            return "451 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        kinds = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
        print(json.dumps({"from": envelope.mail_from, "to": envelope.rcpt_tos, "subject": mail["subject"],
                          "id": mail["message-id"], "header_from": mail["from"], "kinds": kinds,
                          "secure": session.ssl is not None or mode == "implicit"}), flush=True)
        return "250 OK"
async def main():
    secured = mode != "none"
    def factory():
        return SMTP(Handler(), hostname="mail.test", tls_context=context if mode == "starttls" else None, require_starttls=mode == "starttls",
                    authenticator=authenticate, auth_required=secured, auth_require_tls=mode == "starttls")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", 0, ssl=context if mode == "implicit" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"#;

struct MailServer {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    port: u16,
}

impl MailServer {
    fn start(authority: &Authority, mode: &str) -> Self {
        let mut child = Command::new("/usr/bin/python3")
            .args(["-c", SERVER, mode])
            .current_dir(authority.file("."))
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 with aiosmtpd, the Debian package python3-aiosmtpd");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let port = line(&mut lines).trim().parse().expect("a port");
        Self { child, lines, port }
    }

    fn mail(&mut self) -> Value {
        serde_json::from_str(&line(&mut self.lines)).expect("a mail")
    }
}

fn line(lines: &mut impl BufRead) -> String {
    let mut text = String::new();
    lines.read_line(&mut text).expect("a line");
    text
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

#[derive(Debug)]
struct Password(&'static str);

impl Secrets for Password {
    fn secret(&self, name: &str) -> Option<SecretString> {
        (name == "SMTP").then(|| self.0.to_owned().into())
    }
}

fn notify(authority: &Authority, to: &Value, password: &'static str) -> Notify {
    let routes: BTreeMap<String, Route> = serde_json::from_value(json!({ "ops": [{ "smtp": to }] })).expect("routes");
    let options = http::Options { ca_file: Some(authority.file("ca.pem")), ..http::Options::default() };
    let http = Http::new(&options, Clock::system()).expect("a client");
    let options = Options { routes, ca_file: Some(authority.file("ca.pem")) };
    Notify::new(options, http, Arc::new(Password(password)), Clock::system()).expect("a service")
}

async fn send(notify: &Notify) -> Outcome {
    let message = Message {
        title: "Größe: db is down".into(),
        text: "exit <137>\n.\nrest".into(),
        severity: Severity::Critical,
        fields: vec![("host".into(), "a".into())],
        ..Message::default()
    };
    let permit = permit::notify(&Grants { notify: vec!["ops".into()], ..Grants::default() }, "ops").expect("a permit");
    notify.try_once(&permit, &message).await.expect("tried").remove(0).outcome
}

fn settings(port: u16, tls: &str) -> Value {
    json!({ "host": "127.0.0.1", "port": port, "tls": tls, "user": "aegis", "password": "secret:SMTP",
            "from": "Aegis <aegis@example.com>", "to": ["ops@example.com", "Second <second@example.com>"] })
}

fn fault(outcome: Outcome) -> Fault {
    match outcome {
        Outcome::Failed(fault) => fault,
        other => panic!("{other:?}"),
    }
}

fn signed() -> Authority {
    let authority = Authority::new();
    authority.sign("server", "20200101000000Z", "20990101000000Z");
    authority
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_arrives_over_starttls_and_implicit_tls() {
    let authority = signed();
    for mode in ["starttls", "implicit"] {
        let mut server = MailServer::start(&authority, mode);
        assert_eq!(
            send(&notify(&authority, &settings(server.port, mode), "right")).await,
            Outcome::Delivered,
            "{mode}"
        );
        let mail = server.mail();
        assert_eq!(mail["to"], json!(["ops@example.com", "second@example.com"]), "{mode}");
        assert_eq!(
            (&mail["subject"], &mail["secure"]),
            (&"[critical] Größe: db is down".into(), &true.into()),
            "{mode}"
        );
        assert_eq!(
            (&mail["from"], &mail["header_from"]),
            (&"aegis@example.com".into(), &"Aegis <aegis@example.com>".into())
        );
        assert!(mail["id"].as_str().is_some_and(|id| id.ends_with("@example.com>")), "{mail}");
        let text = mail["kinds"]["text/plain"].as_str().unwrap_or_default().replace("\r\n", "\n");
        assert!(text.contains("exit <137>\n.\nrest\nhost: a"), "{text}");
        assert!(mail["kinds"]["text/html"].as_str().is_some_and(|html| html.contains("exit &lt;137&gt;")), "{mail}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_mail_server_refuses_is_told_apart_from_what_may_pass() {
    let authority = signed();
    let server = MailServer::start(&authority, "starttls");
    let good = settings(server.port, "starttls");
    let refused = fault(send(&notify(&authority, &good, "hunter2-wrong")).await);
    assert!(!refused.retryable && refused.message.contains("535"), "{refused}");
    assert!(!format!("{refused:?}").contains("hunter2"), "{refused}");
    let to = |address: &str| {
        let mut settings = good.clone();
        settings["to"] = address.into();
        settings
    };
    let refused = fault(send(&notify(&authority, &to("nobody@example.com"), "right")).await);
    assert!(!refused.retryable && refused.message.contains("no such mailbox"), "{refused}");
    let later = fault(send(&notify(&authority, &to("later@example.com"), "right")).await);
    assert!(later.retryable && later.message.contains("try again later"), "{later}");
    let stranger = fault(send(&notify(&Authority::new(), &good, "right")).await);
    assert!(stranger.hint.as_deref().is_some_and(|hint| hint.contains("outgoing.ca_file")), "{stranger:?}");
    let plain = MailServer::start(&authority, "none");
    let open = fault(send(&notify(&authority, &settings(plain.port, "starttls"), "right")).await);
    assert!(open.code == "notify.smtp" && !open.message.contains("right"), "{open}");
    drop(plain);
    let gone = settings(1, "starttls");
    assert!(fault(send(&notify(&authority, &gone, "right")).await).retryable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_this_machine_needs_no_password() {
    let authority = signed();
    let mut server = MailServer::start(&authority, "none");
    let to = json!({ "host": "127.0.0.1", "port": server.port, "tls": "none", "from": "aegis@example.com",
                     "to": "ops@example.com" });
    assert_eq!(send(&notify(&authority, &to, "right")).await, Outcome::Delivered);
    assert_eq!(server.mail()["secure"], false);
}
