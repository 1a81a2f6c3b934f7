//! What computes on the lane: encodings, documents, templates, regular expressions.

use serde_json::{Value, json};

use super::support::Bed;
use crate::base::limits;

#[test]
fn hashes_are_those_of_the_standards() {
    let bed = Bed::default();
    let body = "return { aegis.hash.sha1('abc'), aegis.hash.md5('abc'), aegis.hash.sha512('abc'):sub(1, 16),
                         aegis.hmac.sha256('key', 'The quick brown fox jumps over the lazy dog'),
                         aegis.hmac.sha1('key', 'The quick brown fox jumps over the lazy dog'),
                         aegis.hmac.sha512('key', ''):len(),
                         aegis.hex.encode('\\0\\255a'), aegis.hex.decode('00FF61') == '\\0\\255a' }";
    let expected = json!([
        "a9993e364706816aba3e25717850c26c9cd0d89d",
        "900150983cd24fb0d6963f7d28e17f72",
        "ddaf35a193617aba",
        "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
        "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9",
        128,
        "00ff61",
        true
    ]);
    assert_eq!(bed.value(body), expected);
    let body = "local s = aegis.hmac.sha256('k', 'd')
                return { aegis.hmac.verify('sha256', 'k', 'd', s), aegis.hmac.verify('sha256', 'k', 'd', s:upper()),
                         aegis.hmac.verify('sha256', 'k', 'e', s), aegis.hmac.verify('sha1', 'k', 'd', s),
                         aegis.hmac.verify('sha256', 'k', 'd', ''), aegis.hmac.verify('sha256', 'k', 'd', 'zz') }";
    assert_eq!(bed.value(body), json!([true, true, false, false, false, false]));
}

#[test]
fn documents_go_round() {
    let bed = Bed::default();
    let bed_with = |value: Value, codec: &str| {
        bed_params(&bed, &value, &format!("return aegis.{codec}.decode(aegis.{codec}.encode(ctx.params.v))"))
    };
    let value = json!({
        "text": "a: b # c\n\"d\"", "yes": "yes", "number": "007", "whole": 5, "part": 1.5, "flag": true, "list": [1, "a", [2]],
        "inner": { "a b": { "c": "" } }, "unicode": "雪🙂", "empty": {},
    });
    assert_eq!(bed_with(value.clone(), "yaml"), value);
    assert_eq!(bed_with(value.clone(), "toml"), value);
    assert_eq!(bed_with(json!({ "none": [null, 1] }), "yaml"), json!({ "none": [null, 1] }));
    let body = "return aegis.toml.decode('d = 2024-01-02T03:04:05Z\\nf = inf\\n[a.b]\\nc = [1, 2]')";
    assert_eq!(bed.value(body), json!({ "d": "2024-01-02T03:04:05Z", "f": "inf", "a": { "b": { "c": [1, 2] } } }));
    let body = "return aegis.yaml.decode('base: &b { x: 1 }\\nother: *b\\n1: one')";
    assert_eq!(bed.value(body), json!({ "base": { "x": 1 }, "other": { "x": 1 }, "1": "one" }));
}

/// Runs a body with `ctx.params.v` set.
fn bed_params(bed: &Bed, value: &Value, body: &str) -> Value {
    let text = serde_json::to_string(&value.to_string()).expect("a text").replace("\\u", "\\\\u");
    bed.value(&format!("local ctx = {{ params = {{ v = aegis.json.decode({text}) }} }} {body}"))
}

#[test]
fn csv_keeps_quotes_and_lines() {
    let bed = Bed::default();
    let body = r#"local text = aegis.csv.encode({ { a = 'x "y"', b = 'one\ntwo' }, { a = '1,2', b = aegis.null }, { a = 5, b = true } })
                  local rows = aegis.csv.decode(text)
                  return { text, rows }"#;
    let text = "a,b\n\"x \"\"y\"\"\",\"one\ntwo\"\n\"1,2\",\n5,true\n";
    let rows = json!([{ "a": "x \"y\"", "b": "one\ntwo" }, { "a": "1,2", "b": "" }, { "a": "5", "b": "true" }]);
    assert_eq!(bed.value(body), json!([text, rows]));
    let body = "return { aegis.csv.decode('1;2\\n3;4', { header = false, delimiter = ';' }), aegis.csv.decode('a,b\\n'),
                         aegis.csv.encode({ { 1, 2 }, { 3 } }), aegis.csv.encode({ { a = 1, b = 2 } }, { columns = { 'b' } }) }";
    assert_eq!(bed.value(body), json!([[["1", "2"], ["3", "4"]], [], "1,2\n3\n", "b\n2\n"]));
}

#[test]
fn templates_are_filled_and_escaped_on_request() {
    let bed = Bed::default();
    let body = "local t = '{% for x in list %}{{ loop.index }}:{{ x.name|upper }}{% if not loop.last %}, {% endif %}{% endfor %}'
                return { aegis.template.render(t, { list = { { name = 'a' }, { name = '<b>' } } }),
                         aegis.template.render(t, { list = { { name = '<b>' } } }, { html = true }),
                         aegis.template.render('{{ x|default(\"none\") }}'),
                         aegis.template.render('{{ a }}', { a = 9007199254740991 }) }";
    assert_eq!(bed.value(body), json!(["1:A, 2:<B>", "1:&lt;B&gt;", "none", "9007199254740991"]));
}

#[test]
fn patterns_find_replace_and_split() {
    let bed = Bed::default();
    let body = r"local r = aegis.regex
        local found = r.find('(?P<key>\\w+)=(\\d+)?', 'é a=1 b=')
        return { r.test('^a+$', 'aaa'), r.find('x', 'abc') == nil, found.text, found.first, found.last, found.groups,
                 #r.all('\\d', '1 2 3', { limit = 2 }), r.replace('(\\w)(\\w)', 'ab cd', '$2${1}'), r.split(',\\s*', 'a, b,c'),
                 r.test('A', 'a', { ignore_case = true }), r.test(r.escape('a.b*'), 'a.b*'), r.replace('', 'ab', '-') }";
    let groups = json!({ "1": "a", "key": "a", "2": "1" });
    let expected = json!([true, true, "a=1", 4, 6, groups, 2, "ba dc", ["a", "b", "c"], true, true, "-a-b-"]);
    assert_eq!(bed.value(body), expected);
}

#[test]
fn differences_are_counted_and_shown() {
    let bed = Bed::default();
    let body = "local d = aegis.diff.lines('a\\nb\\nc\\n', 'a\\nx\\nc\\n', { old_name = 'v1', new_name = 'v2' })
                local same = aegis.diff.lines('a', 'a')
                return { d.changed, d.added, d.removed, d.text, same.changed, same.text }";
    let text = "--- v1\n+++ v2\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n";
    assert_eq!(bed.value(body), json!([true, 1, 1, text, false, ""]));
}

#[test]
fn addresses_are_taken_apart_and_made() {
    let bed = Bed::default();
    let body = "local u = aegis.url.parse('HTTPS://me:secret@Example.com/a%20b?x=1&x=2&y=%C3%A9#top')
                local r = aegis.url.parse('../c?d', 'http://example.com/a/b')
                return { u.scheme, u.host, u.port, u.path, u.query, u.fragment, u.user, r.href,
                         aegis.url.encode('a b/é?&~'), aegis.url.decode('a%20b%2F%C3%A9'), aegis.url.query({ b = 2, a = 'x y&' }) }";
    let expected = json!([
        "https", "example.com", 443, "/a%20b", { "x": "2", "y": "é" }, "top", "me", "http://example.com/c?d",
        "a%20b%2F%C3%A9%3F%26~", "a b/é", "a=x+y%26&b=2"
    ]);
    assert_eq!(bed.value(body), expected);
}

#[test]
fn what_is_hostile_is_refused_by_name() {
    let bed = Bed::default();
    let too_long = limits::DOCUMENT_BYTES_MAX + 1;
    let bomb = "local lines = { 'a0: &a0 [x, x]' } for i = 1, 40 do
                  lines[i + 1] = `a{i}: &a{i} [*a{i - 1}, *a{i - 1}]` end local bomb = table.concat(lines, '\\n') ";
    let deep = "local deep = ('['):rep(10000) .. (']'):rep(10000) ";
    let slow = "local text = ('a'):rep(20000) aegis.regex.all('a*b|a', text)";
    let cases = [
        (format!("{bomb} aegis.yaml.decode(bomb)"), "yaml.syntax"),
        (format!("{deep} aegis.yaml.decode(deep)"), "yaml.syntax"),
        (format!("{deep} aegis.toml.decode('a = ' .. deep)"), "toml.syntax"),
        (format!("aegis.yaml.decode(('x'):rep({too_long}))"), "args.size"),
        (format!("aegis.toml.decode(('x'):rep({too_long}))"), "args.size"),
        ("aegis.yaml.decode('a: 1\\na: 2')".into(), "yaml.syntax"),
        ("aegis.yaml.decode('a: [')".into(), "yaml.syntax"),
        ("aegis.yaml.decode('a: 1\\n---\\nb: 2')".into(), "yaml.syntax"),
        ("aegis.yaml.decode(('- a\\n'):rep(150000))".into(), "yaml.syntax"),
        ("aegis.toml.decode('a = ')".into(), "toml.syntax"),
        ("aegis.toml.encode({ a = { b = aegis.null } })".into(), "toml.encode"),
        ("aegis.toml.encode({ 1, 2 })".into(), "toml.encode"),
        ("aegis.csv.decode('a,b\\n1')".into(), "csv.syntax"),
        ("aegis.csv.decode('a,a\\n1,2')".into(), "csv.syntax"),
        ("aegis.csv.decode('a', { delimiter = '::' })".into(), "args.value"),
        ("aegis.csv.decode(('a\\n'):rep(150000))".into(), "csv.too_large"),
        ("aegis.csv.encode({ { a = {} } })".into(), "csv.encode"),
        ("aegis.csv.encode({ 1 })".into(), "csv.encode"),
        ("aegis.template.render('{{ a }}', {})".into(), "template.undefined"),
        ("aegis.template.render('{% if a %}')".into(), "template.syntax"),
        (
            "aegis.template.render('{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}')"
                .into(),
            "template.too_long",
        ),
        (
            r#"aegis.template.render('{% set x = "aaaaaaaa" %}' .. ('{% set x = x ~ x %}'):rep(60))"#.into(),
            "template.too_long",
        ),
        (
            r#"aegis.template.render('{% set x = "aaaaaaaa" %}' .. ('{% set x %}{{ x }}{{ x }}{% endset %}'):rep(60))"#
                .into(),
            "template.too_long",
        ),
        ("aegis.template.render('{% include \"x\" %}')".into(), "template.syntax"),
        ("aegis.template.render(('x'):rep(300000))".into(), "args.size"),
        ("aegis.regex.test('(', 'a')".into(), "regex.syntax"),
        ("aegis.regex.test('(?=a)', 'a')".into(), "regex.syntax"),
        ("aegis.regex.test('((a{100}){100}){100}', 'a')".into(), "regex.syntax"),
        ("aegis.regex.test(('a'):rep(5000), 'a')".into(), "args.size"),
        ("aegis.regex.test('(a{50}){20}', ('a'):rep(1000000))".into(), "args.size"),
        (slow.into(), "regex.too_slow"),
        ("aegis.regex.all('a', 'a', { limit = 0 })".into(), "args.value"),
        ("aegis.diff.lines('a', 'b', { context = -1 })".into(), "args.value"),
        (format!("aegis.diff.lines('a', ('x'):rep({too_long}))"), "args.size"),
        ("aegis.url.parse('nonsense')".into(), "url.syntax"),
        ("aegis.url.decode('%4')".into(), "url.syntax"),
        ("aegis.url.decode('%FF')".into(), "url.syntax"),
        ("aegis.hex.decode('abc')".into(), "hex.syntax"),
        ("aegis.hex.decode('zz')".into(), "hex.syntax"),
        ("aegis.hmac.verify('md5', 'k', 'd', '')".into(), "args.type"),
    ];
    for (body, code) in cases {
        let fault = bed.fault(&body);
        assert_eq!(fault.code, code, "{body}\n{fault}");
        assert!(fault.message.starts_with("aegis."), "{fault}");
    }
}
