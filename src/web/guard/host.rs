//! Answers only under known names, so that a foreign name that resolves here (DNS rebinding) gets nothing, and only
//! to pages of its own.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::web::error::ApiError;
use crate::web::parts::Web;

/// The names under which requests are answered.
#[derive(Debug)]
pub struct HostRules {
    listen: IpAddr,
    /// Lower case; the port only where the configuration names one.
    names: Vec<(String, Option<u16>)>,
}

impl HostRules {
    pub fn new(listen: SocketAddr, allowed: &[String]) -> Self {
        let named = allowed.iter().filter_map(|text| text.parse::<Authority>().ok());
        let names = named.map(|authority| (bare(authority.host()), authority.port_u16())).collect();
        Self { listen: listen.ip(), names }
    }

    /// Whether `authority` (`host` or `host:port`) is one of ours.
    pub fn allows(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else { return false };
        let host = bare(authority.host());
        if let Ok(address) = host.parse::<IpAddr>() {
            // Rebinding needs a name: an address that reached this listener is its own.
            return address.is_loopback()
                || self.listen.is_unspecified()
                || address == self.listen
                || self.named(&host, &authority);
        }
        host == "localhost" || host.ends_with(".localhost") || self.named(&host, &authority)
    }

    fn named(&self, host: &str, authority: &Authority) -> bool {
        self.names.iter().any(|(name, port)| name == host && (port.is_none() || *port == authority.port_u16()))
    }
}

fn bare(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase()
}

/// The authority a request was sent to.
pub fn authority(request: &Request) -> Option<&str> {
    let named = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    named.or_else(|| request.uri().authority().map(Authority::as_str))
}

/// The authority of the page that made the request, where the browser tells: `Some(None)` for an opaque origin.
pub fn origin(headers: &HeaderMap) -> Option<Option<String>> {
    let value = headers.get(header::ORIGIN)?;
    let parsed = value.to_str().ok().and_then(|text| text.parse::<axum::http::Uri>().ok());
    Some(parsed.and_then(|uri| uri.authority().map(ToString::to_string)))
}

pub async fn check(State(web): State<Web>, request: Request, next: Next) -> Response {
    let Some(host) = authority(&request) else {
        return ApiError::bad_request("the request names no host").into_response();
    };
    if !web.hosts.allows(host) {
        let shown: String = host.chars().take(100).collect();
        return ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            "request.host",
            format!("this daemon does not answer as {shown:?}"),
        )
        .hint("add the name to http.allowed_hosts in the configuration")
        .into_response();
    }
    if let Some(origin) = origin(request.headers())
        && !origin.as_deref().is_some_and(|origin| web.hosts.allows(origin))
    {
        return ApiError::new(StatusCode::FORBIDDEN, "request.origin", "a page of another site made this request")
            .hint("if the page is served through a proxy, add its name to http.allowed_hosts")
            .into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_are_answered() {
        let allowed = ["aegis.example.com".to_owned(), "10.0.0.5:9000".to_owned()];
        let rules = HostRules::new(SocketAddr::from(([127, 0, 0, 1], 8080)), &allowed);
        let yes =
            ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "AEGIS.example.com.", "10.0.0.5:9000"];
        let no = [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.5",
            "10.0.0.6:9000",
            "",
            "a b",
            "aegis.example.com.evil.example",
        ];
        for host in yes {
            assert!(rules.allows(host), "{host}");
        }
        for host in no {
            assert!(!rules.allows(host), "{host}");
        }
        let everywhere = HostRules::new(SocketAddr::from(([0, 0, 0, 0], 8080)), &[]);
        assert!(everywhere.allows("192.0.2.7:8080") && !everywhere.allows("evil.example"));
    }
}
