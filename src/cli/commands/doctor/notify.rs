//! Whether the routes of notifications have what they need. Nothing is sent.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Finding;
use crate::base::Clock;
use crate::config::Config;
use crate::primitives::secrets::Secrets;

/// One finding for each route; none where the configuration names none.
pub(super) async fn check(config: &Config, clock: &Clock) -> Vec<Finding> {
    if config.notify.routes.is_empty() {
        return Vec::new();
    }
    let vault = match crate::app::primitives(config, clock) {
        Ok(primitives) => primitives.secrets,
        Err(problem) => return vec![Finding::problem("notify", problem.to_string(), "correct the configuration")],
    };
    vault.refresh().await;
    let routes = config.notify.routes.iter();
    routes.map(|(name, route)| of_route(name, &serde_json::to_value(route).unwrap_or_default(), &vault)).collect()
}

fn of_route(name: &str, route: &Value, secrets: &dyn Secrets) -> Finding {
    let mut named = BTreeSet::new();
    names(route, &mut named);
    let missing: Vec<&str> = named.into_iter().filter(|name| secrets.secret(name).is_none()).collect();
    match missing.is_empty() {
        true => Finding::ok("notify", format!("the route {name} has what it needs; aegis notify test {name} tries it")),
        false => {
            let found = format!("the route {name} lacks the secrets {}", missing.join(", "));
            Finding::problem("notify", found, format!("aegis secret set {}", missing.first().unwrap_or(&"NAME")))
        }
    }
}

/// Secrets that are named in it: settings are shown as `secret:NAME`.
fn names<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::String(text) => found.extend(text.strip_prefix("secret:")),
        Value::Array(values) => values.iter().for_each(|value| names(value, found)),
        Value::Object(entries) => entries.values().for_each(|value| names(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[tokio::test]
    async fn a_route_whose_secret_is_missing_is_a_problem() {
        let (mut config, clock) = (Config::default(), Clock::system());
        assert!(check(&config, &clock).await.is_empty());
        let route = |text: &str| serde_json::from_str(text).expect("a route");
        config.notify.routes = [
            ("good".to_owned(), route(r#"[{"slack": {"webhook": "https://hooks.example.com/x"}}]"#)),
            ("poor".to_owned(), route(r#"{"to": [{"discord": {"webhook": "secret:NO_SUCH_HOOK"}}], "group": "30s"}"#)),
        ]
        .into();
        let found = check(&config, &clock).await;
        let verdicts: Vec<_> = found.iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Problem]);
        assert!(found[1].found.contains("NO_SUCH_HOOK") && found[1].fix.is_some(), "{found:?}");
    }
}
