//! What a certificate says.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use serde::Serialize;
use sha2::Digest;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Certificate {
    pub subject: String,
    pub issuer: String,
    /// Names and addresses that it is for.
    pub sans: Vec<String>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// Until `not_after`; negative afterwards.
    pub days_left: f64,
    pub serial: String,
    /// Fingerprint, as hex.
    pub sha256: String,
    /// Whether it may sign others.
    pub is_ca: bool,
}

/// None for what is no certificate.
pub(super) fn read(der: &CertificateDer<'_>, now: Timestamp) -> Option<Certificate> {
    const DAY_SECONDS: f64 = 86_400.0;
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let validity = parsed.validity();
    let not_after = Timestamp::from_second(validity.not_after.timestamp()).ok()?;
    let names = parsed.subject_alternative_name().ok().flatten();
    let days = not_after.duration_since(now).as_secs_f64() / DAY_SECONDS;
    Some(Certificate {
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        sans: names.map(|names| names.value.general_names.iter().filter_map(name).collect()).unwrap_or_default(),
        not_before: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
        not_after,
        days_left: (days * 100.0).floor() / 100.0,
        serial: parsed.raw_serial_as_string(),
        sha256: sha2::Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect(),
        is_ca: parsed.is_ca(),
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    }
}
