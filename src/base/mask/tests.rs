use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::base::limits::{MASK_LINE_BYTES_MAX, SECRET_FORM_BYTES_MAX, SECRET_LINE_BYTES_MIN, SECRET_MASKED_BYTES_MIN};

const SECRET: &str = "tr0ub4dor&3/ é\"x?>~";

fn knowing(values: &[&str]) -> Masker {
    let masker = Masker::default();
    assert!(masker.set(values.iter().copied()));
    masker
}

fn shown(masker: &Masker, text: &str) -> String {
    masker.text(text).into_owned()
}

#[test]
fn every_form_of_a_secret_is_masked() {
    let masker = knowing(&[SECRET]);
    let bytes = SECRET.as_bytes();
    let hex = |upper: bool| bytes.iter().map(move |b| if upper { format!("{b:02X}") } else { format!("{b:02x}") });
    let form: String = url::form_urlencoded::byte_serialize(bytes).collect();
    let mut address = url::Url::parse("https://h.example/").expect("an address");
    address.set_username(SECRET).expect("a user");
    address.set_path(&format!("/{SECRET}"));
    address.set_query(Some(SECRET));
    let strict: String = bytes
        .iter()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-._~".contains(b) {
                char::from(*b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    let html = SECRET.replace('&', "&amp;").replace('>', "&gt;");
    let forms = [
        SECRET.to_owned(),
        html.replace('"', "&quot;"),
        html.replace('"', "&quot;").replace('/', "&#x2f;"),
        html.replace('"', "&#34;"),
        SECRET.replace('"', "\"\""),
        bytes.iter().map(|b| format!("%{b:02x}")).collect(),
        bytes.iter().map(|b| format!("%{b:02X}")).collect(),
        STANDARD.encode(bytes),
        STANDARD_NO_PAD.encode(bytes),
        URL_SAFE.encode(bytes),
        URL_SAFE_NO_PAD.encode(bytes),
        form,
        strict.clone(),
        strict.to_ascii_lowercase(),
        hex(true).collect(),
        hex(false).collect(),
        json!(SECRET).to_string().trim_matches('"').replace("\"x", "\\\"x").replace("\\\\", "\\"),
        json!(json!(SECRET).to_string()).to_string()[3..].trim_end_matches("\\\"\"").to_owned(),
    ];
    for form in forms {
        assert_eq!(shown(&masker, &format!("a {form} z")), "a *** z", "{form}");
    }
    let address = shown(&masker, address.as_str());
    assert_eq!(address.matches(MASK).count(), 3, "{address}");
    for part in ["tr0ub4dor", "%C3%A9", "~"] {
        assert!(!address.contains(part), "{address}");
    }
}

#[test]
fn base64_is_found_wherever_the_secret_stands_in_it() {
    let masker = knowing(&["s3cr3t-value"]);
    for before in ["", "u", "us", "use", "user:"] {
        for after in ["", "x", "xy", "xyz"] {
            let text = format!("{before}s3cr3t-value{after}");
            for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                let masked = shown(&masker, &format!("Basic {encoded};"));
                assert!(masked.contains(MASK), "{text}: {masked}");
                let left = masked.replace(MASK, "");
                let left = left.trim_start_matches("Basic ").trim_end_matches([';', '=']);
                // At most what belongs to the neighbours is left, and no bit of the secret.
                let most = (before.len() * 8).div_ceil(6) + (after.len() * 8).div_ceil(6);
                assert!(left.len() <= most, "{text}: {masked}");
            }
        }
    }
}

#[test]
fn short_values_are_left_alone() {
    let masker = knowing(&["true", "12345"]);
    assert!(masker.is_idle());
    assert_eq!(shown(&masker, "true 12345"), "true 12345");
    assert!(knowing(&[&"x".repeat(SECRET_MASKED_BYTES_MIN)]).finds("xxxxxx"));
}

#[test]
fn the_lines_of_a_key_are_masked_one_by_one() {
    let line = "M".repeat(SECRET_LINE_BYTES_MIN);
    let key = format!("-----BEGIN PRIVATE KEY-----\n{line}\nshort\n-----END PRIVATE KEY-----\n");
    let masker = knowing(&[&key]);
    assert_eq!(shown(&masker, &key), MASK);
    assert_eq!(shown(&masker, &format!("1: {line}")), "1: ***");
    assert_eq!(shown(&masker, "-----BEGIN PRIVATE KEY-----"), "-----BEGIN PRIVATE KEY-----");
    assert_eq!(shown(&masker, "short"), "short");
}

#[test]
fn a_long_secret_is_masked_as_far_as_it_is_there() {
    let long: String = (0..40 * SECRET_FORM_BYTES_MAX).map(|n| char::from(b'a' + (n * 7 % 23) as u8)).collect();
    let masker = knowing(&[&long]);
    assert_eq!(shown(&masker, &format!("<{long}>")), "<***>");
    assert_eq!(shown(&masker, &format!("<{}>", &long[..SECRET_FORM_BYTES_MAX + 9])), "<***>");
    let encoded = STANDARD.encode(&long);
    assert_eq!(shown(&masker, &format!("<{encoded}>")), "<***>");
}

#[test]
fn long_secrets_that_begin_alike_are_told_apart() {
    let head = "h".repeat(2 * SECRET_FORM_BYTES_MAX);
    let keys = [format!("{head}-first-key"), format!("{head}-second-key"), format!("{head}-third")];
    let masker = knowing(&[&keys[0], &keys[1], &keys[2]]);
    for key in &keys {
        assert_eq!(shown(&masker, &format!("<{key}>")), "<***>");
    }
}

#[test]
fn overlapping_secrets_leave_nothing_between_them() {
    let masker = knowing(&["password", "password-of-root", "root-and-more"]);
    assert_eq!(shown(&masker, "password-of-root password"), "*** ***");
    assert_eq!(shown(&masker, "passwordpassword"), MASK);
    let rest = shown(&masker, "password-of-root-and-more");
    assert!(rest.starts_with(MASK) && !rest.contains("root"), "{rest}");
}

#[test]
fn json_is_masked_in_values_keys_and_numbers() {
    let masker = knowing(&["hunter2-hunter2", "987654321"]);
    let mut value = json!({ "a": ["hunter2-hunter2", 987_654_321, 1.5, null], "key hunter2-hunter2": { "b": true } });
    assert!(masker.finds_in_json(&value));
    masker.json(&mut value);
    assert_eq!(value, json!({ "a": [MASK, MASK, 1.5, null], "key ***": { "b": true } }));
    assert!(!masker.finds_in_json(&value));
}

#[test]
fn a_fault_is_masked_in_all_its_parts() {
    let masker = knowing(&["hunter2-hunter2"]);
    let position = crate::base::ScriptPosition {
        file: "a.lua".into(),
        line: 1,
        column: None,
        text: Some("local x = 'hunter2-hunter2'".into()),
    };
    let mut fault = Fault::new("x.y", "no hunter2-hunter2").hint("not hunter2-hunter2").at(position);
    fault = fault.details(json!({ "k": "hunter2-hunter2" }));
    fault.trace = vec!["a.lua:1 hunter2-hunter2".into()];
    masker.fault(&mut fault);
    let text = serde_json::to_string(&fault).expect("JSON");
    assert!(!text.contains("hunter2") && text.matches(MASK).count() == 5, "{text}");
}

#[test]
fn a_secret_written_in_pieces_is_one_secret() {
    let masker = knowing(&["hunter2-hunter2"]);
    let mut out = Vec::new();
    let mut writer = MaskWriter::new(&mut out, masker);
    for piece in ["a hun", "ter2-", "hunter2 b\nc hunter2-", "hunter2"] {
        writer.write_all(piece.as_bytes()).expect("written");
    }
    drop(writer);
    assert_eq!(String::from_utf8(out).expect("text"), "a *** b\nc ***");
}

#[test]
fn a_line_without_end_is_cut_beside_a_secret() {
    let masker = knowing(&["hunter2-hunter2"]);
    let long = vec![b'x'; MASK_LINE_BYTES_MAX - 5];
    let mut out = Vec::new();
    let mut writer = MaskWriter::new(&mut out, masker.clone());
    for piece in [long.as_slice(), b"hunter2-", b"hunter2", &long] {
        writer.write_all(piece).expect("written");
    }
    drop(writer);
    assert_eq!(out, [long.as_slice(), MASK.as_bytes(), &long].concat());
    assert_eq!((masker.cut(b"a hunter2-hunter2 b", 5), masker.cut(b"a hunter2-hunter2 b", 2)), (17, 2));
    assert_eq!(Masker::default().cut(b"a hunter2-hunter2 b", 5), 5);
}

#[test]
fn a_new_set_takes_the_place_of_the_old_one_everywhere() {
    let masker = knowing(&["first-secret"]);
    let other = masker.clone();
    assert!(masker.set(["second-secret"]));
    assert_eq!(shown(&other, "first-secret second-secret"), "first-secret ***");
}

proptest! {
    #[test]
    fn text_stays_text_and_the_secret_is_gone(before in ".{0,20}", secret in "[a-zA-Z0-9é€/+&=% \"]{6,200}", after in ".{0,20}") {
        prop_assume!(secret.trim().len() >= SECRET_MASKED_BYTES_MIN);
        let masker = knowing(&[&secret]);
        let masked = shown(&masker, &format!("{before}{secret}{after}"));
        prop_assert!(masked.contains(MASK));
        let rest = masked.replace(MASK, "\n");
        prop_assert!(!masker.finds(rest), "{}", masked);
    }
}
