//! From what a script says to a file that Traefik takes. What Traefik would refuse, or take for something else, is
//! refused here.

use std::time::Duration;

use url::Url;

use super::document::{
    Cookie, Document, HealthCheck, LoadBalancer, Part, Router, Server, Service, StickyCookie, Tls, Weighted,
};
use super::options::{Entry, Health, Route, SetOptions, Sticky};
use crate::base::limits;
use crate::primitives::option::Span;

/// What is wrong, and what to write instead.
pub type Wrong = (String, String);

/// The file of a set.
pub fn document(name: &str, options: SetOptions) -> Result<Document, Wrong> {
    check_name("a set of services", name)?;
    let SetOptions { services, rule, sticky, health, routes, .. } = &options;
    check_count("services", services.len(), 1)?;
    check_count("routes", routes.len(), 0)?;
    let (sticky, health) = (sticky.as_ref().map(cookie).transpose()?, health.as_ref().map(checked_health).transpose()?);
    let mut document = Document::default();
    let mut parts: Vec<Part> = Vec::with_capacity(services.len());
    for (at, entry) in services.iter().enumerate() {
        let own = entry.name.clone().unwrap_or_else(|| (at + 1).to_string());
        check_name("a service", &own)?;
        let part = Part { name: service_name(name, &own), weight: checked_weight(entry.weight)? };
        let servers = servers(&own, entry)?;
        let balancer = Service::LoadBalancer(LoadBalancer { servers, health_check: health.clone() });
        if document.http.services.insert(part.name.clone(), balancer).is_some() {
            return Err((format!("two services are called {own:?}"), "give each a name of its own".into()));
        }
        parts.push(part);
    }
    check_weights(&parts)?;
    for (key, router) in routers(name, &options, &parts)? {
        document.http.routers.insert(key, router);
    }
    if rule.is_none() && options.is_about_routers() {
        let hint = "give a rule such as Host(`shop.example.com`)";
        return Err(("routes, entry points, middlewares, priority and tls are of a router".into(), hint.into()));
    }
    let health_check = health.is_some().then(Default::default);
    let weighted = Service::Weighted(Weighted { services: parts, sticky, health_check });
    document.http.services.insert(name.to_owned(), weighted);
    Ok(document)
}

impl SetOptions {
    fn is_about_routers(&self) -> bool {
        let lists = [self.entry_points.is_empty(), self.middlewares.is_empty(), self.routes.is_empty()];
        lists.contains(&false) || self.priority.is_some() || self.tls || self.cert_resolver.is_some()
    }
}

/// What an entry is called in Traefik, where all files share their names.
pub fn service_name(set: &str, entry: &str) -> String {
    format!("{set}-{entry}")
}

pub fn checked_weight(weight: i64) -> Result<u32, Wrong> {
    const MAX: u32 = limits::PROXY_SERVICE_WEIGHT_MAX as u32;
    let checked = u32::try_from(weight).ok().filter(|weight| *weight <= MAX);
    checked.ok_or_else(|| (format!("{weight} is no weight"), format!("write 0 to {MAX}")))
}

/// Somebody gets the requests.
pub fn check_weights(parts: &[Part]) -> Result<(), Wrong> {
    match parts.iter().any(|part| part.weight > 0) {
        true => Ok(()),
        false => Err(("every weight is 0: all requests would fail".into(), "give at least one service more".into())),
    }
}

pub fn is_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (1..=limits::PROXY_NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(legal)
}

fn check_name(what: &str, name: &str) -> Result<(), Wrong> {
    match is_name(name) {
        true => Ok(()),
        false => Err((
            format!("{:?} is no name for {what}", clipped(name)),
            format!("write up to {} letters, digits, '-' and '_'", limits::PROXY_NAME_BYTES_MAX),
        )),
    }
}

pub fn clipped(text: &str) -> String {
    text.chars().take(limits::PROXY_NAME_BYTES_MAX).collect()
}

fn check_count(what: &str, count: usize, min: usize) -> Result<(), Wrong> {
    match (min..=limits::PROXY_SERVICES_MAX).contains(&count) {
        true => Ok(()),
        false => Err((format!("{count} {what}"), format!("write {min} to {}", limits::PROXY_SERVICES_MAX))),
    }
}

fn servers(entry: &str, Entry { url, urls, .. }: &Entry) -> Result<Vec<Server>, Wrong> {
    let all: Vec<&String> = url.iter().chain(urls).collect();
    let one =
        |problem: String| (format!("the service {entry:?}: {problem}"), "write url = \"http://10.0.0.5:8080\"".into());
    check_count("URLs", all.len(), 1).map_err(|(problem, _)| one(problem))?;
    let server = |text: &&String| {
        let bad = |problem: &str| Err(one(format!("{:?} {problem}", clipped(text))));
        // A URL may have braces, which the provider takes for a template when it reads the file.
        match Url::parse(text) {
            _ if !is_plain(text) || text.contains(['{', '}']) => bad("has control characters or braces"),
            Ok(url) if !matches!(url.scheme(), "http" | "https" | "h2c") => bad("is neither http, https nor h2c"),
            Ok(url) if !url.username().is_empty() || url.password().is_some() => bad("has a password in it"),
            Ok(url) if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() => {
                bad("has a path, which Traefik leaves out")
            }
            // What is written is what was understood, so that no other reader takes it for something else.
            Ok(url) if url.has_host() => Ok(Server { url: url.as_str().trim_end_matches('/').to_owned() }),
            _ => bad("is not a URL"),
        }
    };
    all.iter().map(server).collect()
}

fn cookie(Sticky { cookie, secure, http_only, same_site }: &Sticky) -> Result<StickyCookie, Wrong> {
    let wrong = |problem: String| Err((format!("sticky: {problem}"), "write sticky = { cookie = \"shop\" }".into()));
    if !is_token(cookie) {
        return wrong(format!("{:?} is no name for a cookie", clipped(cookie)));
    }
    if same_site.as_deref() == Some("none") && !secure {
        return wrong("browsers drop a cookie with same_site = \"none\" that is not secure".into());
    }
    let (name, same_site) = (cookie.clone(), same_site.clone());
    Ok(StickyCookie { cookie: Cookie { name, secure: *secure, http_only: *http_only, same_site } })
}

/// Every 5 seconds unless said otherwise.
fn checked_health(Health { path, interval, timeout }: &Health) -> Result<HealthCheck, Wrong> {
    const EVERY: Duration = Duration::from_secs(5);
    const PATIENCE: Duration = Duration::from_secs(3);
    let wrong = |problem: &str| Err((format!("health: {problem}"), "write health = { path = \"/health\" }".into()));
    let span = |given: &Option<Span>, default| given.as_ref().map_or(default, |Span(span)| *span);
    let (interval, timeout) = (span(interval, EVERY), span(timeout, PATIENCE));
    if !path.starts_with('/') || !is_plain(path) {
        return wrong("the path begins with / and is plain text");
    }
    if timeout.is_zero() || interval <= timeout || interval > limits::PROXY_HEALTH_INTERVAL_MAX {
        return wrong("the interval must be longer than the timeout, and at most an hour");
    }
    let go = |span: Duration| format!("{}ms", span.as_millis());
    Ok(HealthCheck { path: path.clone(), interval: go(interval), timeout: go(timeout) })
}

/// The set's own router, and one for each route, all of which come before it: the first before the second.
fn routers(name: &str, options: &SetOptions, parts: &[Part]) -> Result<Vec<(String, Router)>, Wrong> {
    let Some(rule) = &options.rule else { return Ok(Vec::new()) };
    check_rule(rule)?;
    for text in options.entry_points.iter().chain(&options.middlewares).chain(&options.cert_resolver) {
        if text.is_empty() || !is_plain(text) {
            return Err((format!("{:?} is no name of Traefik's", clipped(text)), "write such as \"websecure\"".into()));
        }
    }
    let tls =
        (options.tls || options.cert_resolver.is_some()).then(|| Tls { cert_resolver: options.cert_resolver.clone() });
    let router = |rule: String, service: &str, priority| Router {
        rule,
        service: service.to_owned(),
        priority,
        entry_points: options.entry_points.clone(),
        middlewares: options.middlewares.clone(),
        tls: tls.clone(),
    };
    // Traefik's own order is by the length of rules.
    let base = options.priority.unwrap_or(u32::try_from(rule.len()).unwrap_or(u32::MAX));
    let count = u32::try_from(options.routes.len()).unwrap_or(u32::MAX);
    let mut routers = vec![(name.to_owned(), router(rule.clone(), name, options.priority))];
    for (at, route) in (0_u32..).zip(&options.routes) {
        let service = service_name(name, &route.to);
        if !parts.iter().any(|part| part.name == service) {
            let hint = "`to` is the name of one of the services";
            return Err((format!("routes: there is no service {:?}", clipped(&route.to)), hint.into()));
        }
        let combined = format!("({rule}) && {}", matcher(route)?);
        let priority = base.saturating_add(count - at);
        routers.push((format!("{name}-route-{}", at + 1), router(combined, &service, Some(priority))));
    }
    Ok(routers)
}

fn matcher(Route { header, cookie, value, .. }: &Route) -> Result<String, Wrong> {
    let hint =
        || "write { to = \"next\", header = \"X-Beta\", value = \"1\" }, or cookie in place of header".to_owned();
    let wrong = |problem: String| Err((format!("routes: {problem}"), hint()));
    let is_value = is_plain(value) && !value.contains('`') && !value.is_empty();
    match (header, cookie) {
        _ if !is_value => wrong(format!("{:?} cannot be asked for", clipped(value))),
        (Some(name), None) if is_token(name) => Ok(format!("Header(`{name}`, `{value}`)")),
        (None, Some(name)) if is_token(name) && value.chars().all(is_of_cookie) => {
            let (name, value) = (regex_lite::escape(name), regex_lite::escape(value));
            Ok(format!("HeaderRegexp(`Cookie`, `(?:^|; ?){name}={value}(?:;|$)`)"))
        }
        (Some(name), None) => wrong(format!("{:?} is no name of a header", clipped(name))),
        (None, Some(name)) => wrong(format!("{:?} with {:?} is no cookie", clipped(name), clipped(value))),
        _ => wrong("each has either a header or a cookie".into()),
    }
}

/// Brackets and back ticks close, so that the rule means the same inside a longer one.
fn check_rule(rule: &str) -> Result<(), Wrong> {
    let wrong = |problem: &str| Err((format!("rule: {problem}"), "write such as Host(`shop.example.com`)".into()));
    if rule.trim().is_empty() || rule.len() > limits::PROXY_RULE_BYTES_MAX {
        return wrong(&format!("it has 1 to {} bytes", limits::PROXY_RULE_BYTES_MAX));
    }
    if !is_plain(rule) {
        return wrong("it has control characters or {{, which would open a template");
    }
    let (mut depth, mut quoted) = (0_i32, false);
    for c in rule.chars() {
        match c {
            '`' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            break;
        }
    }
    if depth != 0 || quoted { wrong("its brackets or back ticks do not close") } else { Ok(()) }
}

/// Neither control characters nor the beginning of a template.
fn is_plain(text: &str) -> bool {
    !text.contains("{{") && !text.contains(char::is_control)
}

/// RFC 9110: what names of headers and cookies are made of. The back tick, which is one of these, ends texts in rules.
fn is_token(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_|~".contains(c);
    (1..=limits::PROXY_NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(legal)
}

/// RFC 6265.
fn is_of_cookie(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '"' | ',' | ';' | '\\')
}
