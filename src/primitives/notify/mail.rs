//! A message as an e-mail: subject, plain text and HTML. The same message is always the same mail.

use super::message::{Message, Severity};
use super::text::{cut, escape};

pub struct Mail {
    pub subject: String,
    pub text: String,
    pub html: String,
}

const SUBJECT_CHARS_MAX: usize = 200;

impl Mail {
    pub fn of(message: &Message) -> Self {
        let line: String = message.headline().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let severity = match message.severity {
            Severity::Info => "",
            Severity::Warning => "[warning] ",
            Severity::Critical => "[critical] ",
        };
        let subject = cut(&format!("{severity}{}", line.trim()), SUBJECT_CHARS_MAX);
        Self { subject, text: message.plain(), html: html(message) }
    }
}

fn html(message: &Message) -> String {
    let quoted = |text: &str| escape(text).replace('"', "&quot;");
    let mut html = String::from("<!doctype html><html><body style=\"font-family:sans-serif\">");
    html.push_str(&format!("<h2>{} {}</h2>", message.severity.mark(), quoted(message.headline())));
    if !message.title.trim().is_empty() && !message.text.trim().is_empty() {
        html.push_str(&format!("<p style=\"white-space:pre-wrap\">{}</p>", quoted(&message.text)));
    }
    if !message.fields.is_empty() {
        html.push_str("<table>");
        for (name, value) in &message.fields {
            let row = format!("<tr><th align=\"left\">{}</th><td>{}</td></tr>", quoted(name), quoted(value));
            html.push_str(&row);
        }
        html.push_str("</table>");
    }
    if let Some(url) = &message.url {
        html.push_str(&format!("<p><a href=\"{}\">{}</a></p>", quoted(url), quoted(url)));
    }
    html.push_str("</body></html>");
    html
}
