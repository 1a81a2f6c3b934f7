//! Certificates for tests, made by openssl.

use std::path::PathBuf;
use std::process::Command;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate with those above it, and its key.
pub type Signed = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// An authority and certificates that it signed.
#[derive(Debug)]
pub struct Authority(tempfile::TempDir);

#[allow(clippy::new_without_default, reason = "it runs programs")]
impl Authority {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let own = Self(dir);
        own.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "30",
            "-subj",
            "/CN=Test Authority",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-addext",
            "keyUsage=critical,keyCertSign",
        ]);
        own
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl").current_dir(self.0.path()).args(arguments).output().expect("openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A certificate for `service.test` and 127.0.0.1 between two moments such as `20200101000000Z`.
    pub fn sign(&self, name: &str, from: &str, to: &str) -> Signed {
        let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        self.openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/O=Tests/CN=service.test",
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        std::fs::write(self.file("index.txt"), "").expect("a file");
        std::fs::write(self.file("index.txt.attr"), "unique_subject = no\n").expect("a file");
        std::fs::write(
            self.file("ca.conf"),
            "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n\
             x509_extensions=e\n[p]\norganizationName=optional\ncommonName=supplied\n[e]\n\
             subjectAltName=DNS:service.test,DNS:*.service.test,IP:127.0.0.1\nbasicConstraints=CA:false\n",
        )
        .expect("a file");
        self.openssl(&[
            "ca",
            "-batch",
            "-config",
            "ca.conf",
            "-cert",
            "ca.pem",
            "-keyfile",
            "ca.key",
            "-in",
            &request,
            "-out",
            &certificate,
            "-notext",
            "-startdate",
            from,
            "-enddate",
            to,
        ]);
        let chain = [certificate.as_str(), "ca.pem"]
            .map(|name| CertificateDer::from_pem_file(self.file(name)).expect("a certificate"));
        (chain.to_vec(), PrivateKeyDer::from_pem_file(self.file(&key)).expect("a key"))
    }
}
