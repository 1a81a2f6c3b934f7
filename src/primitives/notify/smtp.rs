//! E-mail over SMTP.

use std::time::Duration;

use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::destination::{Security, Smtp};
use super::mail::Mail;
use crate::base::{Clock, ExposeSecret, Fault, SecretString, limits};
use crate::primitives::http::tls_problem;

/// What a mail needs besides the destination's settings.
pub struct Letter<'a> {
    pub mail: Mail,
    /// Part of its Message-ID, by which receivers tell that they have it.
    pub id: &'a str,
    pub credentials: Option<(SecretString, SecretString)>,
    /// Besides the roots that are built in.
    pub roots: &'a [Certificate],
}

/// # Errors
/// With a message that names neither user nor password; retryable unless the server refused for good.
pub async fn send(smtp: &Smtp, letter: Letter<'_>, clock: &Clock) -> Result<(), Fault> {
    let message = compose(smtp, &letter, clock)?;
    let transport = transport(smtp, &letter)?;
    // One bound for each command is lettre's; the whole has one too.
    let whole: Duration = limits::NOTIFY_ATTEMPT_TIMEOUT * 3;
    let sent = tokio::select! {
        sent = transport.send(message) => sent,
        () = clock.sleep(whole) => {
            let message = format!("{}: the mail was not taken within {} s", smtp.host, whole.as_secs());
            return Err(Fault::new("notify.smtp", message).retryable());
        }
    };
    sent.map(drop).map_err(|problem| {
        let fault = Fault::new("notify.smtp", format!("{}: {}", smtp.host, said(&problem)));
        if problem.is_permanent() {
            fault.hint("it does not accept the mail or our credentials; correct the destination's settings")
        } else if is_tls(&problem) {
            fault.retryable().hint("a private authority's certificate goes into outgoing.ca_file; is tls right?")
        } else {
            fault.retryable().hint("is the server up, and is this its port?")
        }
    })
}

/// Problems of TLS arrive as those of the connection.
fn is_tls(problem: &lettre::transport::smtp::Error) -> bool {
    let mut cause = std::error::Error::source(problem);
    while let Some(link) = cause {
        if tls_problem(link).is_some() {
            return true;
        }
        cause = link.source();
    }
    problem.is_tls()
}

/// The problem with its causes.
fn said(problem: &lettre::transport::smtp::Error) -> String {
    let mut text = problem.to_string();
    let mut cause = std::error::Error::source(problem);
    while let Some(link) = cause {
        let link_text = link.to_string();
        if !text.contains(&link_text) {
            text = format!("{text}: {link_text}");
        }
        cause = link.source();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn compose(smtp: &Smtp, letter: &Letter<'_>, clock: &Clock) -> Result<lettre::Message, Fault> {
    let bad = |what: &str| Fault::new("notify.smtp", format!("{}: the mail cannot be made: {what}", smtp.host));
    let from: Mailbox = smtp.from.parse().map_err(|_| bad("from is not an address"))?;
    let domain = from.email.domain().to_owned();
    let mut builder = lettre::Message::builder().from(from);
    for to in &smtp.to.0 {
        builder = builder.to(to.parse().map_err(|_| bad("to is not an address"))?);
    }
    builder
        .subject(letter.mail.subject.clone())
        .date(clock.now().into())
        .message_id(Some(format!("<{}@{domain}>", letter.id)))
        .multipart(MultiPart::alternative_plain_html(letter.mail.text.clone(), letter.mail.html.clone()))
        .map_err(|problem| bad(&problem.to_string()))
}

fn transport(smtp: &Smtp, letter: &Letter<'_>) -> Result<AsyncSmtpTransport<Tokio1Executor>, Fault> {
    let parameters = || {
        let builder = TlsParameters::builder(smtp.host.clone()).certificate_store(CertificateStore::WebpkiRoots);
        let builder = letter.roots.iter().cloned().fold(builder, |builder, root| builder.add_root_certificate(root));
        builder.build().map_err(|problem| Fault::new("notify.smtp", format!("{}: {}", smtp.host, said(&problem))))
    };
    let tls = match smtp.tls {
        Security::Starttls => Tls::Required(parameters()?),
        Security::Implicit => Tls::Wrapper(parameters()?),
        Security::None => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(smtp.host.clone())
        .port(smtp.port())
        .tls(tls)
        .timeout(Some(limits::NOTIFY_ATTEMPT_TIMEOUT));
    if let Some((user, password)) = &letter.credentials {
        builder =
            builder.credentials(Credentials::new(user.expose_secret().to_owned(), password.expose_secret().to_owned()));
    }
    Ok(builder.build())
}
