//! The forms in which a secret appears in texts: as it is, encoded, escaped, and line by line.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::base::limits::{SECRET_FORM_BYTES_MAX, SECRET_LINE_BYTES_MIN, SECRET_MASKED_BYTES_MIN};

/// One form of one secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Form {
    text: Vec<u8>,
    /// A character before or after it, in the alphabet of base64, carries some bits of the secret.
    before: bool,
    after: bool,
}

impl Form {
    fn whole(text: impl Into<Vec<u8>>) -> Self {
        Self { text: text.into(), before: false, after: false }
    }

    /// What is looked for: the beginning of a long form is enough to know it by.
    pub fn anchor(&self) -> &[u8] {
        &self.text[..self.text.len().min(SECRET_FORM_BYTES_MAX)]
    }

    /// Its length in bytes, with the characters around it that belong to it.
    pub fn reach(&self) -> usize {
        const AROUND: usize = 6;
        self.text.len() + AROUND
    }

    /// What of `bytes` is this form, where its anchor was found at `start`; nothing before `from` is.
    pub fn extent(&self, bytes: &[u8], from: usize, start: usize) -> (usize, usize) {
        let agree = bytes[start..].iter().zip(&self.text).take_while(|(found, own)| found == own).count();
        let (mut first, mut after) = (start, start + agree);
        if self.before && first > from && is_base64(bytes[first - 1]) {
            first -= 1;
        }
        if self.after && agree == self.text.len() {
            after += usize::from(bytes.get(after).is_some_and(|byte| is_base64(*byte)));
            after += bytes[after..].iter().take(2).take_while(|byte| **byte == b'=').count();
        }
        // A long form may have been cut in the middle of a character.
        const CONTINUES: u8 = 0b1000_0000;
        after += bytes[after..].iter().take_while(|byte| **byte & 0b1100_0000 == CONTINUES).count();
        (first, after)
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// The forms of all values, each once.
pub fn of_all<'a>(values: impl IntoIterator<Item = &'a str>) -> Vec<Form> {
    let mut forms = BTreeSet::new();
    for value in values {
        add(value, &mut forms);
        if value.trim() != value {
            add(value.trim(), &mut forms);
        }
        // A key of several lines is often printed line by line.
        let lines = value.lines().map(str::trim).filter(|line| line.len() >= SECRET_LINE_BYTES_MIN);
        if value.trim().contains('\n') {
            lines.filter(|line| !line.starts_with("-----")).for_each(|line| add(line, &mut forms));
        }
    }
    forms.into_iter().collect()
}

fn add(value: &str, forms: &mut BTreeSet<Form>) {
    if value.len() < SECRET_MASKED_BYTES_MIN {
        return;
    }
    forms.insert(Form::whole(value));
    let escaped = json_escaped(value);
    forms.insert(Form::whole(escaped.replace('/', "\\/")));
    forms.insert(Form::whole(json_escaped(&escaped)));
    forms.insert(Form::whole(escaped));
    for quotes in HTML_QUOTES {
        forms.insert(Form::whole(html_escaped(value, quotes)));
    }
    // A field of CSV, and a word in single quotes of a shell
    forms.insert(Form::whole(value.replace('"', "\"\"")));
    forms.insert(Form::whole(value.replace('\'', "'\\''")));
    for upper in [true, false] {
        forms.insert(Form::whole(hex(value.as_bytes(), upper)));
        let every = value.bytes().flat_map(|byte| [b"%".as_slice(), &hex(&[byte], upper)].concat());
        forms.insert(Form::whole(every.collect::<Vec<u8>>()));
        for (kept, plus) in URL_SETS {
            forms.insert(Form::whole(percent_encoded(value.as_bytes(), kept, plus, upper)));
        }
    }
    for shift in 0..3 {
        forms.extend(base64_at(value.as_bytes(), shift));
    }
}

/// What encoders leave as it is besides letters and digits, and whether they write a space as `+`.
const URL_SETS: [(&[u8], bool); 6] = [
    // RFC 3986
    (b"-._~", false),
    // encodeURIComponent
    (b"-_.!~*'()", false),
    // Forms
    (b"*-._", true),
    // A URL's path, its query and its user, as browsers write them
    (b"!$%&'()*+,-./:;=@[\\]^_|~", false),
    (b"!$%&()*+,-./:;=?@[\\]^_`{|}~", false),
    (b"!$%&'()*+,-._~", false),
];

fn percent_encoded(bytes: &[u8], kept: &[u8], plus: bool, upper: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b' ' if plus => out.push(b'+'),
            byte if byte.is_ascii_alphanumeric() || kept.contains(byte) => out.push(*byte),
            byte => {
                out.push(b'%');
                out.extend(hex(&[*byte], upper));
            }
        }
    }
    out
}

fn hex(bytes: &[u8], upper: bool) -> Vec<u8> {
    let digits: &[u8; 16] = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    bytes.iter().flat_map(|byte| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]).collect()
}

fn json_escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// What writers of HTML make of `"`, `'` and `/`.
const HTML_QUOTES: [[&str; 3]; 5] = [
    ["&quot;", "'", "/"],
    // Python and many others
    ["&quot;", "&#x27;", "/"],
    // Templates of scripts, after OWASP
    ["&quot;", "&#x27;", "&#x2f;"],
    // PHP
    ["&quot;", "&#039;", "/"],
    // Go and Jinja
    ["&#34;", "&#39;", "/"],
];

fn html_escaped(text: &str, [double, single, slash]: [&str; 3]) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', double).replace('\'', single).replace('/', slash)
}

/// The characters of base64 that the value alone decides, where `shift` bytes stand before it in its group of three.
fn base64_at(value: &[u8], shift: usize) -> Vec<Form> {
    const BITS: usize = 6;
    let padded = [vec![0; shift], value.to_vec()].concat();
    let (first, after) = ((shift * 8).div_ceil(BITS), padded.len() * 8 / BITS);
    let form = |encoded: String| {
        let text = encoded.as_bytes()[first..after].to_vec();
        let form = Form { text, before: shift > 0, after: !(padded.len() * 8).is_multiple_of(BITS) };
        (form.text.len() >= SECRET_MASKED_BYTES_MIN).then_some(form)
    };
    [form(STANDARD_NO_PAD.encode(&padded)), form(URL_SAFE_NO_PAD.encode(&padded))].into_iter().flatten().collect()
}
