use super::*;

fn parse(yaml: &str) -> Result<Destination, String> {
    serde_saphyr::from_str(yaml).map_err(|problem: serde_saphyr::Error| problem.to_string())
}

#[test]
fn the_documented_shapes_are_read() {
    let alerts = parse("{ discord: { webhook: 'secret:DISCORD_ALERTS' }, min_severity: warning }").expect("discord");
    let webhook = Setting::Secret("DISCORD_ALERTS".into());
    assert_eq!(
        alerts,
        Destination {
            kind: Kind::Discord(Discord { webhook }),
            min_severity: Severity::Warning,
            rate: Rate::default()
        }
    );
    for (yaml, name) in [
        ("slack: { webhook: 'https://hooks.example.com/services/T0/B0/x' }", "slack"),
        ("ntfy: { url: 'https://ntfy.example.com', topic: alerts, token: 'secret:NTFY' }", "ntfy"),
        ("webhook: { url: 'http://127.0.0.1:9000/hook', headers: { Authorization: 'secret:HOOK' } }", "webhook"),
    ] {
        let read = parse(yaml).expect(yaml);
        assert_eq!((read.kind.name(), read.min_severity), (name, Severity::Info));
    }
}

#[test]
fn what_is_wrong_is_named_and_no_value_repeated() {
    let cases = [
        ("{}", "needs one of discord, slack, ntfy, webhook, telegram"),
        ("min_severity: info", "needs one of discord, slack, ntfy, webhook, telegram"),
        ("{ slack: { webhook: 'secret:A' }, discord: { webhook: 'secret:B' } }", "has discord and slack: make it two"),
        ("{ discrod: { webhook: 'secret:A' } }", "discrod"),
        ("{ discord: { webhok: 'secret:A' } }", "webhok"),
        ("{ discord: {} }", "webhook"),
        ("{ discord: { webhook: 'hunter2' } }", "discord.webhook: this is not a URL"),
        ("{ webhook: { url: 'file:///hunter2' } }", "webhook.url: this is not a URL"),
        ("{ webhook: { url: '' } }", "it is empty"),
        ("{ slack: { webhook: 'secret:' } }", "secret:NAME"),
        ("{ slack: { webhook: 'secret:A B' } }", "secret:NAME"),
        ("{ ntfy: { url: 'https://ntfy.example.com', topic: 'hunter2/x' } }", "ntfy.topic"),
        ("{ slack: { webhook: 'secret:A' }, min_severity: loud }", "loud"),
    ];
    for (yaml, expected) in cases {
        let problem = parse(yaml).expect_err(yaml);
        assert!(problem.contains(expected), "{yaml}: {problem}");
        // The line that an error quotes is the reader's own; the message itself repeats no value.
        let message = problem.lines().next().unwrap_or_default();
        assert!(!message.contains("hunter2"), "{yaml}: {message}");
    }
}

#[test]
fn nothing_shows_a_secret() {
    let yaml = "webhook: { url: 'https://x.example.com/hunter2', headers: { X-Key: hunter2, X-Name: 'secret:NAME' } }";
    let destination = parse(yaml).expect("a destination");
    let json = serde_json::to_string(&destination).expect("JSON");
    assert_eq!(
        json,
        r#"{"webhook":{"url":"***","headers":{"X-Key":"***","X-Name":"secret:NAME"}},"min_severity":"info"}"#
    );
    assert!(!format!("{destination:?}").contains("hunter2"));
}
