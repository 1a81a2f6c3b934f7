//! Whom TLS trusts: the Mozilla roots that are built in, the machine's own, and the operator's.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::error::HttpError;

/// The provider is named here, for nothing may depend on a process-wide default.
pub fn config(ca_file: Option<&Path>) -> Result<ClientConfig, HttpError> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|problem| HttpError::Setup(format!("TLS cannot be set up: {problem}")))?
        .with_root_certificates(roots(ca_file)?)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
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
