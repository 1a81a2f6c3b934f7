//! Whom TLS trusts: the Mozilla roots that are built in, the machine's own, and the operator's.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::error::HttpError;

/// The provider is named here, for nothing may depend on a process-wide default. `own` is our certificate, with its key.
pub fn config(ca_file: Option<&Path>, own: Option<(&Path, &Path)>) -> Result<ClientConfig, HttpError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|problem| HttpError::Setup(format!("TLS cannot be set up: {problem}")))?
        .with_root_certificates(roots(ca_file)?);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let (chain, secret) = identity(certificate, key)?;
            let bad = |problem: rustls::Error| refused(certificate, problem.to_string());
            builder.with_client_auth_cert(chain, secret).map_err(bad)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn identity(
    certificate: &Path,
    key: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), HttpError> {
    let bad = |problem: rustls::pki_types::pem::Error| refused(certificate, problem.to_string());
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(certificate).map_err(bad)?.collect::<Result<_, _>>().map_err(bad)?;
    if chain.is_empty() {
        return Err(refused(certificate, "it holds no PEM certificate".into()));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|problem| refused(key, problem.to_string()))?;
    Ok((chain, secret))
}

fn refused(path: &Path, problem: String) -> HttpError {
    HttpError::ClientCertificate { path: path.to_owned(), problem }
}

pub fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, HttpError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let native = rustls_native_certs::load_native_certs();
    for problem in &native.errors {
        tracing::debug!(%problem, "a root certificate of this machine cannot be read");
    }
    roots.add_parsable_certificates(native.certs);
    if let Some(path) = ca_file {
        let failed = |problem: String| HttpError::CaFile { path: path.to_owned(), problem };
        let found = CertificateDer::pem_file_iter(path).map_err(|problem| failed(problem.to_string()))?;
        let mut count = 0;
        for certificate in found {
            let certificate = certificate.map_err(|problem| failed(problem.to_string()))?;
            roots.add(certificate).map_err(|problem| failed(problem.to_string()))?;
            count += 1;
        }
        if count == 0 {
            return Err(failed("it holds no PEM certificate".into()));
        }
    }
    Ok(roots)
}
