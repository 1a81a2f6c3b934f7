//! The typed form of a job: one field a parameter, checked by the browser and again by the daemon.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::Value;

use super::cx::Cx;
use super::icons::{Icon, icon};
use super::layout::hidden;
use crate::model::JobSpec;
use crate::model::params::{self, BadParam, ParamSpec, ParamType, Params};
use crate::primitives::permit;
use crate::web::extract::Form;

/// Fields of the form that are no parameters. No parameter's name has a colon.
pub const DRY_RUN: &str = "aegis:dry_run";
pub const CONFIRMED: &str = "aegis:confirmed";

/// What was sent before, to be shown again with what is wrong about it.
#[derive(Debug, Default)]
pub struct Sent {
    pub values: BTreeMap<String, String>,
    pub problems: Vec<BadParam>,
    /// What is wrong with the whole.
    pub refusal: Option<String>,
}

impl Sent {
    pub fn new(form: &Form, problems: Vec<BadParam>, refusal: Option<String>) -> Self {
        Self { values: form.0.iter().cloned().collect(), problems, refusal }
    }

    fn problem(&self, name: &str) -> Option<&str> {
        self.problems.iter().find(|bad| bad.name == name).map(|bad| bad.problem.as_str())
    }
}

/// The parameters that a form sent. An empty field is an absent one; a box that is not ticked is `false`.
pub fn read(spec: &JobSpec, form: &Form) -> Params {
    // A button of a list sends no fields at all: then every parameter takes its default.
    let is_whole = form.get("aegis:form").is_some();
    let mut params = Params::new();
    for (name, param) in &spec.params {
        match form.get(name) {
            Some(text) if param.kind == ParamType::List => {
                let items = list(text);
                if !items.is_empty() {
                    params.insert(name.clone(), Value::Array(items));
                }
            }
            // The daemon's own check reads text of every type, and words what is wrong alike for all ways in.
            Some(text) if !text.trim().is_empty() => {
                params.insert(name.clone(), Value::from(text));
            }
            None if param.kind == ParamType::Boolean && is_whole => {
                params.insert(name.clone(), Value::Bool(false));
            }
            _ => {}
        }
    }
    params
}

/// One item a line; a JSON list too.
fn list(text: &str) -> Vec<Value> {
    if let Ok(Value::Array(items)) = serde_json::from_str(text.trim()) {
        return items;
    }
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Value::from).collect()
}

/// The same job, whose parameters of type secret are chosen from the names of those that it may use.
pub fn with_secret_names(spec: &JobSpec, names: &[String]) -> JobSpec {
    let mut spec = spec.clone();
    let usable = names.iter().filter(|name| permit::secret(&spec.permissions, name).is_ok());
    let usable: Vec<Value> = usable.map(|name| Value::from(name.as_str())).collect();
    let secrets = spec.params.values_mut().filter(|param| param.kind == ParamType::Secret);
    secrets.filter(|param| param.choices.is_empty()).for_each(|param| param.choices.clone_from(&usable));
    spec
}

/// The form, or a sentence for callers who may not use it.
pub fn start(cx: &Cx, spec: &JobSpec, sent: &Sent) -> Markup {
    let button = spec.ui.button.as_deref().unwrap_or("Run now");
    html! {
        form.start id="start" method="post" action=(format!("/jobs/{}/run", spec.name)) data-keep {
            (hidden(cx))
            input type="hidden" name="aegis:form" value="1";
            @if let Some(refusal) = &sent.refusal { p.refusal role="alert" { (icon(Icon::Warning)) (refusal) } }
            @for bad in sent.problems.iter().filter(|bad| !spec.params.contains_key(&bad.name)) {
                p.refusal role="alert" { (icon(Icon::Warning)) (bad.name) ": " (bad.problem) }
            }
            @if spec.params.is_empty() { p.quiet-line { "This job takes no parameters." } }
            @if !sent.problems.is_empty() {
                p.refusal role="alert" { (icon(Icon::Warning)) "Not started. " (sent.problems.len()) @if sent.problems.len() == 1 { " field needs" } @else { " fields need" } " another value." }
            }
            @for (name, param) in in_order(spec) { (field(name, param, sent)) }
            @if let Some(confirm) = &spec.ui.confirm {
                p.field { label.check { input type="checkbox" name=(CONFIRMED) value="yes" required; span { (confirm) } } }
            }
            div.form-foot {
                button.primary type="submit" { (icon(Icon::Play)) (button) }
                label.check { input type="checkbox" name=(DRY_RUN) value="yes" checked[sent.values.contains_key(DRY_RUN)]; "Dry run" }
            }
        }
    }
}

/// What must be given comes first, then by name.
fn in_order(spec: &JobSpec) -> Vec<(&String, &ParamSpec)> {
    let mut params: Vec<_> = spec.params.iter().collect();
    params.sort_by_key(|(_, param)| !must(param));
    params
}

fn field(name: &str, param: &ParamSpec, sent: &Sent) -> Markup {
    let id = format!("param-{name}");
    let problem = sent.problem(name);
    let has_help = !param.description.is_empty() || !help(param).is_empty();
    let describes = [(has_help, "help"), (problem.is_some(), "problem")];
    let describes: Vec<String> =
        describes.iter().filter(|(on, _)| *on).map(|(_, word)| format!("{id}-{word}")).collect();
    let described = (!describes.is_empty()).then(|| describes.join(" "));
    let is_first = sent.problems.first().is_some_and(|bad| bad.name == name);
    let invalid = problem.map(|_| "true");
    let control = Control { id: &id, name, param, invalid, is_first, described: described.as_deref() };
    let before = sent.values.get(name).cloned();
    html! {
        div.field data-invalid[problem.is_some()] {
            @if param.kind == ParamType::Boolean && param.choices.is_empty() {
                (control.checkbox(sent))
            } @else {
                label for=(id) { (name) @if must(param) { span.required { " required" } } }
                (control.input(before.or_else(|| param.default.as_ref().map(|value| shown(param.kind, value)))))
            }
            @if has_help { p.help id=(format!("{id}-help")) { (describe(param)) } }
            @if let Some(problem) = problem { p.problem id=(format!("{id}-problem")) { (icon(Icon::Warning)) (problem) } }
        }
    }
}

fn must(param: &ParamSpec) -> bool {
    param.required && param.default.is_none()
}

struct Control<'a> {
    id: &'a str,
    name: &'a str,
    param: &'a ParamSpec,
    invalid: Option<&'static str>,
    /// The first that is wrong gets the focus.
    is_first: bool,
    described: Option<&'a str>,
}

impl Control<'_> {
    fn checkbox(&self, sent: &Sent) -> Markup {
        let ticked = if sent.values.is_empty() {
            self.param.default == Some(Value::Bool(true))
        } else {
            sent.values.contains_key(self.name)
        };
        html! {
            label.check {
                input type="checkbox" id=(self.id) name=(self.name) value="true" checked[ticked]
                    autofocus[self.is_first] aria-invalid=[self.invalid] aria-describedby=[self.described];
                (self.name)
            }
        }
    }

    fn input(&self, value: Option<String>) -> Markup {
        let param = self.param;
        let value = value.as_deref();
        if !param.choices.is_empty() {
            return self.select(value);
        }
        match param.kind {
            ParamType::List | ParamType::Map => self.area(value),
            ParamType::Number | ParamType::Integer => self.number(value),
            _ => self.text(value),
        }
    }

    fn select(&self, value: Option<&str>) -> Markup {
        html! {
            select id=(self.id) name=(self.name) required[must(self.param)] autofocus[self.is_first] aria-invalid=[self.invalid] aria-describedby=[self.described] {
                @if self.param.default.is_none() { option value="" { "Choose…" } }
                @for choice in &self.param.choices {
                    @let text = params::show(self.param.kind, choice);
                    option value=(text) selected[value == Some(&text)] { (text) }
                }
            }
        }
    }

    fn area(&self, value: Option<&str>) -> Markup {
        let example = if self.param.kind == ParamType::List { "one item a line" } else { "{\"key\": \"value\"}" };
        html! {
            textarea id=(self.id) name=(self.name) rows="3" placeholder=(example) spellcheck="false" required[must(self.param)]
                autofocus[self.is_first] aria-invalid=[self.invalid] aria-describedby=[self.described] { (value.unwrap_or_default()) }
        }
    }

    fn number(&self, value: Option<&str>) -> Markup {
        let step = if self.param.kind == ParamType::Integer { "1" } else { "any" };
        html! {
            input type="number" inputmode="decimal" id=(self.id) name=(self.name) step=(step) value=[value] min=[self.param.min] max=[self.param.max]
                required[must(self.param)] autofocus[self.is_first] aria-invalid=[self.invalid] aria-describedby=[self.described];
        }
    }

    fn text(&self, value: Option<&str>) -> Markup {
        let param = self.param;
        let is_text = matches!(param.kind, ParamType::String | ParamType::Secret);
        // Somebody may take it for the place of the text.
        let is_secret = param.kind == ParamType::Secret;
        let length = |bound: Option<f64>| bound.filter(|_| is_text).map(|bound| bound as u64);
        let example = match param.kind {
            ParamType::Duration => "30s, 5m, 2h",
            ParamType::Size => "64MiB, 10MB",
            ParamType::Secret => "NAME_OF_A_SECRET",
            _ => "",
        };
        html! {
            input type=(if is_secret { "password" } else { "text" }) id=(self.id) name=(self.name) value=[value.filter(|_| !is_secret)] placeholder=[(!example.is_empty()).then_some(example)] autocomplete="off"
                minlength=[length(param.min)] maxlength=[length(param.max)] pattern=[param.pattern.as_ref()]
                required[must(param)] autofocus[self.is_first] aria-invalid=[self.invalid] aria-describedby=[self.described];
        }
    }
}

/// A value as its field shows it.
fn shown(kind: ParamType, value: &Value) -> String {
    match value {
        Value::Array(items) if kind == ParamType::List && items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
        }
        value => params::show(kind, value),
    }
}

/// What the job says of it, then what the declaration allows.
fn describe(param: &ParamSpec) -> String {
    let parts = [param.description.clone(), help(param)];
    parts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// Type and bounds in words.
fn help(param: &ParamSpec) -> String {
    let kind = match param.kind {
        ParamType::String | ParamType::Boolean => "",
        ParamType::Secret => "name of a secret",
        other => other.as_str(),
    };
    let unit = if matches!(param.kind, ParamType::String | ParamType::Secret) { " characters" } else { "" };
    let bound = |bound: f64| match param.kind {
        ParamType::Duration | ParamType::Size => params::show(param.kind, &Value::from(bound)),
        _ => bound.to_string(),
    };
    let bounds = match (param.min, param.max) {
        (Some(min), Some(max)) => format!("{} to {}{unit}", bound(min), bound(max)),
        (Some(min), None) => format!("at least {}{unit}", bound(min)),
        (None, Some(max)) => format!("at most {}{unit}", bound(max)),
        (None, None) => String::new(),
    };
    let pattern = param.pattern.as_ref().map(|pattern| format!("matches {pattern}")).unwrap_or_default();
    [kind.to_owned(), bounds, pattern].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec() -> JobSpec {
        let mut spec = JobSpec::named("demo".parse().expect("a name"));
        let declare = |value: Value| serde_json::from_value::<ParamSpec>(value).expect("a declaration");
        spec.params = BTreeMap::from([
            ("count".to_owned(), declare(json!({ "type": "integer", "min": 1, "max": 9, "required": true }))),
            ("loud".to_owned(), declare(json!({ "type": "boolean", "default": true }))),
            ("names".to_owned(), declare(json!({ "type": "list" }))),
        ]);
        spec
    }

    #[test]
    fn a_sent_form_becomes_parameters() {
        let pairs = |pairs: &[(&str, &str)]| Form(pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect());
        let whole =
            read(&spec(), &pairs(&[("aegis:form", "1"), ("count", "3"), ("names", "a\r\n\r\n b \n"), ("x", "y")]));
        assert_eq!(Value::from(whole), json!({ "count": "3", "loud": false, "names": ["a", "b"] }));
        let button = read(&spec(), &pairs(&[]));
        assert!(button.is_empty(), "a bare button leaves all to the defaults");
    }

    #[test]
    fn secrets_are_chosen_by_name_and_never_shown_again() {
        let mut spec = spec();
        let declared = serde_json::from_value(json!({ "type": "secret" })).expect("a declaration");
        spec.params.insert("key".into(), declared);
        spec.permissions.secrets = vec!["SHOP_*".into()];
        let sent = Sent { values: BTreeMap::from([("key".into(), "pasted".into())]), ..Sent::default() };
        let html = field("key", &spec.params["key"], &sent).into_string();
        assert!(html.contains("type=\"password\"") && !html.contains("pasted"), "{html}");
        let named = with_secret_names(&spec, &["OTHER".into(), "SHOP_KEY".into()]);
        let html = field("key", &named.params["key"], &sent).into_string();
        assert!(html.contains("<option value=\"SHOP_KEY\"") && !html.contains("OTHER"), "{html}");
        assert!(!html.contains("pasted"), "{html}");
    }

    #[test]
    fn fields_carry_the_declaration() {
        let spec = spec();
        let bad = BadParam { name: "count".into(), problem: "expected a whole number".into() };
        let sent =
            Sent { values: BTreeMap::from([("count".into(), "<many>".into())]), problems: vec![bad], refusal: None };
        let html = field("count", &spec.params["count"], &sent).into_string();
        for part in [
            "type=\"number\"",
            "min=\"1\"",
            "max=\"9\"",
            "required",
            "aria-invalid=\"true\"",
            "&lt;many&gt;",
            "expected a whole number",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(html.contains("aria-describedby=\"param-count-help param-count-problem\""), "{html}");
    }
}
