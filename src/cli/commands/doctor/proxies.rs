//! Whether the load balancers answer, or their folders can be written.

use super::Finding;
use crate::base::Clock;
use crate::config::Config;
use crate::primitives::proxy::Proxies;

/// One finding for each; none where the configuration names none.
pub(super) async fn check(config: &Config, clock: &Clock) -> Vec<Finding> {
    let proxies = Proxies::new(config.proxies.clone(), clock);
    let finding = |(name, answer): (&str, Result<String, crate::base::Fault>)| match answer {
        Ok(said) => Finding::ok("proxy", format!("proxies.{name}: {said}")),
        Err(fault) => Finding::problem("proxy", fault.message, fault.hint.unwrap_or_default()),
    };
    proxies.check().await.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_proxy_is_asked() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = format!(
            "{{ web: {{ kind: traefik, directory: {} }}, edge: {{ kind: haproxy, socket: /nonexistent/admin.sock }} }}",
            folder.path().display()
        );
        let config = Config { proxies: serde_saphyr::from_str(&text).expect("proxies"), ..Config::default() };
        let found = check(&config, &Clock::system()).await;
        let edge = "proxies.edge: no connection to /nonexistent/admin.sock: No such file or directory (os error 2)";
        let hint = "is HAProxy running, with that as its `stats socket`? it stands in proxies.edge";
        assert_eq!(found[0], Finding::problem("proxy", edge, hint));
        let web = format!("proxies.web: Traefik's {} can be written", folder.path().display());
        assert_eq!(found[1], Finding::ok("proxy", web));
        assert!(check(&Config::default(), &Clock::system()).await.is_empty());
    }
}
