//! `metrics`, `alerts` and `checks`: what is kept of measurements, what is wrong, what is asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Config, values};
use crate::base::limits;
use crate::base::quantity::show_duration;
use crate::base::suggest;
use crate::model::alerts::{Condition, Measure, Policy, Rule, Severity, defaults};
use crate::model::checks::Debounce;
use crate::model::metrics::{Labels, SeriesKey};
use crate::primitives::prober::{ContainerProbe, DnsProbe, HttpProbe, Probe, RedisProbe, SqlProbe, TcpProbe, TlsProbe};
use crate::watch::CheckPlan;

/// How long measurements are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    #[serde(with = "values::duration")]
    pub samples: Duration,
    #[serde(with = "values::duration")]
    pub minutes: Duration,
    #[serde(with = "values::duration")]
    pub hours: Duration,
}

impl Default for Metrics {
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        Self { samples: hours(48), minutes: hours(14 * 24), hours: hours(400 * 24) }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    /// Whether the shipped rules are there.
    pub defaults: bool,
    pub group_by: Vec<String>,
    #[serde(with = "values::duration")]
    pub group_wait: Duration,
    #[serde(with = "values::duration")]
    pub group_interval: Duration,
    #[serde(with = "values::duration")]
    pub repeat_interval: Duration,
    /// Routes by severity.
    pub routes: BTreeMap<Severity, Vec<String>>,
    pub rules: BTreeMap<String, RuleConfig>,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            defaults: true,
            group_by: vec!["alert".to_owned()],
            group_wait: limits::ALERT_GROUP_WAIT_DEFAULT,
            group_interval: limits::ALERT_GROUP_INTERVAL_DEFAULT,
            repeat_interval: limits::ALERT_REPEAT_INTERVAL_DEFAULT,
            routes: BTreeMap::new(),
            rules: BTreeMap::new(),
        }
    }
}

impl Alerts {
    /// The shipped rules and those of the configuration, which take the place of shipped ones with the same name.
    pub fn rules(&self) -> Vec<Rule> {
        let shipped = if self.defaults { defaults() } else { Vec::new() };
        let kept = shipped.into_iter().filter(|rule| !self.rules.contains_key(&rule.name));
        let own = self.rules.iter().filter_map(|(name, config)| config.0.rule(name).ok());
        kept.chain(own).collect()
    }

    pub fn policy(&self) -> Policy {
        Policy {
            group_by: self.group_by.clone(),
            group_wait: self.group_wait,
            group_interval: self.group_interval,
            repeat_interval: self.repeat_interval,
            routes: self.routes.clone(),
        }
    }
}

/// A duration that may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Span(#[serde(with = "values::duration")] Duration);

/// A rule as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawRule", into = "RawRule")]
pub struct RuleConfig(RawRule);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawRule {
    metric: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    above: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    below: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clear: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    absent: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent_of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<Span>,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    hold: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clear_for: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale: Option<Span>,
    severity: Severity,
    /// Labels that the series must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    with: Labels,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: Labels,
    #[serde(skip_serializing_if = "String::is_empty")]
    summary: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<String>,
}

impl TryFrom<RawRule> for RuleConfig {
    type Error = String;

    fn try_from(raw: RawRule) -> Result<Self, String> {
        raw.rule("").map(|_| Self(raw))
    }
}

impl From<RuleConfig> for RawRule {
    fn from(config: RuleConfig) -> Self {
        config.0
    }
}

impl RawRule {
    fn rule(&self, name: &str) -> Result<Rule, String> {
        let condition = match (self.above, self.below, self.absent) {
            (Some(threshold), None, None) => Condition::Above { threshold, clear: self.clear.unwrap_or(threshold) },
            (None, Some(threshold), None) => Condition::Below { threshold, clear: self.clear.unwrap_or(threshold) },
            (None, None, Some(Span(after))) if self.clear.is_none() => Condition::Absent { after },
            (None, None, Some(_)) => return Err("clear: is for above and below".to_owned()),
            _ => return Err("a rule needs one of above, below and absent".to_owned()),
        };
        let measure = match (self.rate, &self.percent_of, self.window) {
            (None, None, None) => Measure::Value,
            (Some(Span(window)), None, None) => Measure::Rate { window },
            (None, Some(of), Some(Span(window))) => Measure::Percent { of: of.clone(), window },
            (None, Some(_), None) => return Err("percent_of: needs window, such as `window: 5m`".to_owned()),
            (Some(_), Some(_), _) => return Err("rate: and percent_of are two rules".to_owned()),
            (_, None, Some(_)) => return Err("window: belongs to percent_of".to_owned()),
        };
        let span = |span: Option<Span>| span.map_or(Duration::ZERO, |span| span.0);
        let rule = Rule {
            matching: self.with.clone(),
            measure,
            hold: span(self.hold),
            clear_for: span(self.clear_for),
            stale: self.stale.map_or(limits::ALERT_STALE_DEFAULT, |span| span.0),
            severity: self.severity,
            labels: self.labels.clone(),
            summary: self.summary.clone(),
            routes: self.routes.clone(),
            ..Rule::new(name, &self.metric, condition)
        };
        rule.check().map(|()| rule)
    }
}

/// A check as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawCheck", into = "RawCheck")]
pub struct CheckConfig(RawCheck);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawCheck {
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sql: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<String>,
    /// Of tls.
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
    /// Of sql.
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    status: Vec<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contains: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    up_after: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    down_after: Option<u32>,
}

impl TryFrom<RawCheck> for CheckConfig {
    type Error = String;

    fn try_from(raw: RawCheck) -> Result<Self, String> {
        raw.plan("").map(|_| Self(raw))
    }
}

impl From<CheckConfig> for RawCheck {
    fn from(config: CheckConfig) -> Self {
        config.0
    }
}

impl CheckConfig {
    pub fn plan(&self, name: &str) -> Result<CheckPlan, String> {
        self.0.plan(name)
    }

    /// The source that it asks: the section of the configuration that must have it, and its name.
    fn source(&self) -> Option<(&'static str, &str)> {
        let sql = self.0.sql.as_deref().map(|name| ("sql", name));
        sql.or_else(|| self.0.redis.as_deref().map(|name| ("redis", name)))
    }
}

impl RawCheck {
    fn plan(&self, name: &str) -> Result<CheckPlan, String> {
        let probe = self.probe()?;
        let interval = self.interval.map_or(limits::CHECK_INTERVAL_DEFAULT, |span| span.0);
        let (least, most) = (limits::CHECK_INTERVAL_MIN, limits::CHECK_INTERVAL_MAX);
        if interval < least || interval > most {
            return Err(format!("interval: write {} to {}", show_duration(least), show_duration(most)));
        }
        let timeout = self.timeout.map_or(limits::CHECK_TIMEOUT_DEFAULT.min(interval), |span| span.0);
        if timeout.is_zero() || timeout > interval {
            return Err(format!("timeout: write more than 0 and at most the interval, {}", show_duration(interval)));
        }
        let debounce = Debounce { up_after: self.up_after.unwrap_or(2), down_after: self.down_after.unwrap_or(3) };
        for (field, count) in [("up_after", debounce.up_after), ("down_after", debounce.down_after)] {
            if !(1..=limits::CHECK_STREAK_MAX).contains(&count) {
                return Err(format!("{field}: write 1 to {}", limits::CHECK_STREAK_MAX));
            }
        }
        Ok(CheckPlan { name: name.to_owned(), probe, interval, timeout, debounce })
    }

    fn probe(&self) -> Result<Probe, String> {
        let url = |url: &String| {
            let is_web = url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            if is_web { Ok(url.clone()) } else { Err("http: this is not a URL: write https://host/path".to_owned()) }
        };
        let http = |address| {
            let (status, contains) = (self.status.clone(), self.contains.clone());
            url(address).map(|url| Probe::Http(HttpProbe { url, status, contains }))
        };
        let tcp = |address: &String| {
            let probe = TcpProbe { address: address.clone() };
            probe.parts().map(|_| ()).ok_or_else(|| format!("tcp: {address:?} is not host:port"))?;
            Ok(Probe::Tcp(probe))
        };
        let dns = |name: &String| Ok(Probe::Dns(DnsProbe { name: name.clone(), address: self.address }));
        let container = |name: &String| Ok(Probe::Container(ContainerProbe { name: name.clone() }));
        let tls = |address: &String| {
            let days = self.days.unwrap_or(limits::CHECK_TLS_DAYS_DEFAULT);
            let probe = TlsProbe { address: address.clone(), server_name: self.server_name.clone(), days };
            probe.parts().map(|_| ()).ok_or_else(|| format!("tls: {address:?} is neither a host nor host:port"))?;
            Ok(Probe::Tls(probe))
        };
        let sql = |source: &String| {
            let query = self.query.clone().unwrap_or_else(|| "SELECT 1".to_owned());
            Ok(Probe::Sql(SqlProbe { source: source.clone(), query }))
        };
        let redis = |source: &String| Ok(Probe::Redis(RedisProbe { source: source.clone() }));
        let found = [
            self.http.as_ref().map(http),
            self.tcp.as_ref().map(tcp),
            self.dns.as_ref().map(dns),
            self.container.as_ref().map(container),
            self.tls.as_ref().map(tls),
            self.sql.as_ref().map(sql),
            self.redis.as_ref().map(redis),
        ];
        let mut kinds = found.into_iter().flatten();
        let (Some(probe), None) = (kinds.next(), kinds.next()) else {
            return Err("a check needs one of http, tcp, dns, container, tls, sql and redis".to_owned());
        };
        if self.http.is_none() && (!self.status.is_empty() || self.contains.is_some()) {
            return Err("status: and contains are for http".to_owned());
        }
        if self.dns.is_none() && self.address.is_some() {
            return Err("address: is for dns".to_owned());
        }
        if self.tls.is_none() && (self.days.is_some() || self.server_name.is_some()) {
            return Err("days: and server_name are for tls".to_owned());
        }
        if self.sql.is_none() && self.query.is_some() {
            return Err("query: is for sql".to_owned());
        }
        probe
    }
}

/// What no single value shows: the key, and what is wrong with it.
pub(super) fn check(config: &Config) -> Result<(), (String, String)> {
    let alerts = &config.alerts;
    let routes = alerts.routes.iter().map(|(severity, routes)| (format!("alerts.routes.{severity}"), routes));
    let of_rules = alerts.rules.iter().map(|(name, rule)| (format!("alerts.rules.{name}.routes"), &rule.0.routes));
    for (key, names) in routes.chain(of_rules) {
        if let Some(name) = names.iter().find(|name| !config.notify.routes.contains_key(*name)) {
            let near = suggest::did_you_mean(name, config.notify.routes.keys().map(String::as_str));
            return Err((key, format!("there is no route {name:?} in notify.routes{near}")));
        }
    }
    for (name, check) in &config.checks {
        let Some((section, source)) = check.source() else { continue };
        let known: Vec<&str> = match section {
            "sql" => config.sql.keys().map(String::as_str).collect(),
            _ => config.redis.keys().map(String::as_str).collect(),
        };
        if !known.contains(&source) {
            let near = suggest::did_you_mean(source, known.iter().copied());
            return Err((
                format!("checks.{name}.{section}"),
                format!("there is no source {source:?} in {section}{near}"),
            ));
        }
    }
    for name in alerts.rules.keys().chain(config.checks.keys()) {
        let as_label = SeriesKey::new("check", [("name", name.as_str())]);
        if name.is_empty() || name.len() > limits::METRIC_LABEL_BYTES_MAX || as_label.check().is_err() {
            let problem = format!("a name has 1 to {} bytes", limits::METRIC_LABEL_BYTES_MAX);
            return Err((format!("alerts.rules and checks: {name:?}"), problem));
        }
    }
    if alerts.rules.len() > limits::ALERT_RULES_MAX {
        return Err(("alerts.rules".to_owned(), format!("at most {} are possible", limits::ALERT_RULES_MAX)));
    }
    if config.checks.len() > limits::CHECKS_MAX {
        return Err(("checks".to_owned(), format!("at most {} are possible", limits::CHECKS_MAX)));
    }
    let kept =
        [("samples", config.metrics.samples), ("minutes", config.metrics.minutes), ("hours", config.metrics.hours)];
    for (name, kept) in kept {
        if kept < limits::METRIC_RETENTION_MIN {
            let least = show_duration(limits::METRIC_RETENTION_MIN);
            return Err((format!("metrics.{name}"), format!("at least {least} must be kept")));
        }
    }
    Ok(())
}
