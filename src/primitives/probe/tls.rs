//! The certificates that a server shows, whether they are trusted or not.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Probe;
use super::certificate::{Certificate, read};
use super::error::ProbeError;
use crate::base::clock::since;
use crate::base::{Clock, limits};
use crate::primitives::http::roots;
use crate::primitives::permit::ProbePermit;

#[derive(Debug, Clone)]
pub struct TlsQuery {
    pub host: String,
    pub port: u16,
    /// That the certificate is to be for, where it is not the host.
    pub server_name: Option<String>,
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chain {
    pub trusted: bool,
    /// Why not: `expired`, `not_yet_valid`, `wrong_name`, `unknown_issuer`, `revoked` or `invalid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Of the certificate that expires first.
    pub days_left: f64,
    /// The server's own first, as it sent them.
    pub chain: Vec<Certificate>,
    /// Such as `TLSv1.3`.
    pub protocol: String,
    pub cipher: String,
    pub address: String,
    pub took_ms: f64,
}

/// Lets every certificate pass and keeps what it saw: nothing is sent over such a connection.
#[derive(Debug)]
struct Witness {
    judge: Arc<WebPkiServerVerifier>,
    clock: Clock,
    seen: Mutex<(Vec<CertificateDer<'static>>, Option<Error>)>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let seconds = u64::try_from(self.clock.now().as_second()).unwrap_or(now.as_secs());
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let problem = self.judge.verify_server_cert(own, others, name, ocsp, now).err();
        let chain = std::iter::once(own).chain(others).take(limits::PROBE_CHAIN_MAX);
        let chain = chain.map(|certificate| certificate.clone().into_owned()).collect();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = (chain, problem);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}

impl Probe {
    /// Shakes hands and looks at what the server shows.
    pub async fn tls(&self, permit: &ProbePermit, query: &TlsQuery) -> Result<Chain, ProbeError> {
        let target = format!("{}:{}", query.host, query.port);
        tokio::select! {
            outcome = async {
                let addresses = self.addresses(permit, "connecting to", &query.host, query.port).await?;
                self.shake(&addresses, query, &target).await
            } => outcome,
            () = self.0.clock.sleep(query.timeout) => Err(ProbeError::Timeout { target, after: query.timeout }),
        }
    }

    /// The same for what the operator has named: no permit limits it, and no deadline but its caller's.
    pub(in crate::primitives) async fn tls_for_operator(&self, query: &TlsQuery) -> Result<Chain, ProbeError> {
        let unknown = |problem: String| ProbeError::Unresolved { host: query.host.clone(), problem };
        let found = self.0.lookup.lookup(query.host.clone()).await.map_err(|problem| unknown(problem.to_string()))?;
        let addresses: Vec<SocketAddr> = found.into_iter().map(|ip| SocketAddr::new(ip, query.port)).collect();
        self.shake(&addresses, query, &format!("{}:{}", query.host, query.port)).await
    }

    async fn shake(&self, addresses: &[SocketAddr], query: &TlsQuery, target: &str) -> Result<Chain, ProbeError> {
        let target = || target.to_owned();
        let started = self.0.clock.now();
        let wanted = query.server_name.as_deref().unwrap_or(&query.host);
        let wanted = wanted.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(wanted);
        let wanted = ServerName::try_from(wanted.trim_end_matches('.').to_owned())
            .map_err(|_| ProbeError::BadHost { host: wanted.to_owned() })?;
        let (config, witness) = self.watching().await?;
        let stream = TcpStream::connect(addresses).await;
        let stream =
            stream.map_err(|problem| ProbeError::Unreachable { target: target(), problem: problem.to_string() })?;
        let address = stream.peer_addr().map(|address| address.to_string()).unwrap_or_default();
        let shaken = TlsConnector::from(Arc::new(config)).connect(wanted, stream).await;
        let (chain, problem) = std::mem::take(&mut *witness.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let now = self.0.clock.now();
        let chain: Vec<Certificate> = chain.iter().filter_map(|der| read(der, now)).collect();
        let (protocol, cipher) = match &shaken {
            Ok(stream) => {
                let (_, session) = stream.get_ref();
                let protocol = session.protocol_version().and_then(|version| version.as_str()).unwrap_or("unknown");
                let cipher = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
                (protocol.replace('_', "."), cipher.unwrap_or("unknown").to_owned())
            }
            // A server that wants a certificate of ours has shown its own by then.
            Err(_) if !chain.is_empty() => ("unknown".to_owned(), "unknown".to_owned()),
            Err(problem) => return Err(ProbeError::Tls { target: target(), problem: problem.to_string() }),
        };
        let days_left = chain.iter().map(|certificate| certificate.days_left).fold(f64::INFINITY, f64::min);
        Ok(Chain {
            trusted: problem.is_none() && shaken.is_ok(),
            reason: problem.as_ref().map(reason),
            problem: problem.map(|problem| problem.to_string()).or(shaken.err().map(|problem| problem.to_string())),
            days_left: if days_left.is_finite() { days_left } else { 0.0 },
            chain,
            protocol,
            cipher,
            address,
            took_ms: since(now, started).as_secs_f64() * 1_000.0,
        })
    }

    async fn watching(&self) -> Result<(ClientConfig, Arc<Witness>), ProbeError> {
        let ca_file = self.0.ca_file.clone();
        let read = tokio::task::spawn_blocking(move || roots(ca_file.as_deref())).await;
        let setup = |problem: String| ProbeError::Roots(crate::primitives::http::HttpError::Setup(problem));
        let roots = read.map_err(|problem| setup(problem.to_string()))??;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let judge = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
        let judge = judge.map_err(|problem| setup(problem.to_string()))?;
        let witness = Arc::new(Witness { judge, clock: self.0.clock.clone(), seen: Mutex::default() });
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|problem| setup(problem.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(witness.clone())
            .with_no_client_auth();
        Ok((config, witness))
    }
}

fn reason(problem: &Error) -> &'static str {
    match problem {
        Error::InvalidCertificate(problem) => match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "not_yet_valid",
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "wrong_name",
            CertificateError::UnknownIssuer => "unknown_issuer",
            CertificateError::Revoked => "revoked",
            _ => "invalid",
        },
        _ => "invalid",
    }
}
