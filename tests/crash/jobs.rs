//! The work: scripts whose steps leave a trace outside of Aegis.

/// A job of the load.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    /// Every step that a complete run has caused, in order.
    pub steps: &'static [&'static str],
    /// Whether each step waits for the one before.
    pub is_ordered: bool,
    /// How a run of it ends, whatever happens to the daemon. None: it may be interrupted.
    pub ends: Option<&'static str>,
    body: &'static str,
    options: &'static str,
}

pub const KINDS: [Kind; 6] = [
    Kind { name: "short", steps: &[], is_ordered: true, ends: None, options: "", body: "return 'done'" },
    Kind {
        name: "repeated",
        steps: &[],
        is_ordered: true,
        ends: Some("succeeded"),
        options: "retry = { attempts = 100, initial = '10ms' },",
        body: "return ctx.attempt",
    },
    Kind {
        name: "line",
        steps: &["a", "b", "c"],
        is_ordered: true,
        ends: Some("succeeded"),
        options: DURABLE,
        body: "return effect(ctx, 'a') .. effect(ctx, 'b') .. effect(ctx, 'c')",
    },
    Kind {
        name: "sleeper",
        steps: &["a", "b"],
        is_ordered: true,
        ends: Some("succeeded"),
        options: DURABLE,
        body: "effect(ctx, 'a') ctx:sleep('1500ms') return effect(ctx, 'b')",
    },
    Kind {
        name: "fan",
        steps: &["one", "two", "three"],
        is_ordered: false,
        ends: Some("succeeded"),
        options: DURABLE,
        body: "ctx:map({ 'one', 'two', 'three' }, function(name) return effect(ctx, name) end)",
    },
    Kind {
        name: "undone",
        steps: &["a", "b", "undo-b", "undo-a"],
        is_ordered: true,
        ends: Some("failed"),
        options: DURABLE,
        body: "effect(ctx, 'a', true) effect(ctx, 'b', true) error('it was not to be')",
    },
];

/// Due every second. Nothing of it may be lost or happen twice.
pub const TICKING: [&str; 2] = ["tick_all", "tick_late"];

const DURABLE: &str = "resume = true, timeout = '1h',";

pub fn kind(name: &str) -> &'static Kind {
    KINDS.iter().find(|kind| kind.name == name).unwrap_or_else(|| panic!("no job {name:?} in the load"))
}

/// The files of the scripts folder; `url` is where effects go.
pub fn scripts(url: &str) -> Vec<(String, String)> {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let effect = format!(
        "local function effect(ctx, name, back)\n  \
           local function post(what)\n    aegis.http.post(\"{url}\" .. ctx.run_id .. '/' .. what)\n    return what\n  end\n  \
           local undo = if back then function() post('undo-' .. name) end else nil\n  \
           return ctx:step(name, function() return post(name) end, {{ undo = undo }})\n\
         end\n"
    );
    let job = |kind: &Kind| {
        let Kind { name, options, body, .. } = kind;
        let source = format!(
            "{effect}\nreturn aegis.job {{\n  overlap = 'parallel', {options}\n  \
             permissions = {{ http = {{ '{host}' }} }},\n  run = function(ctx)\n    {body}\n  end,\n}}\n"
        );
        (format!("{name}.lua"), source)
    };
    let mut files: Vec<(String, String)> = KINDS.iter().map(job).collect();
    for (name, catch_up) in TICKING.iter().zip(["all", "latest"]) {
        let source = format!(
            "return aegis.job {{ overlap = 'parallel', schedule = {{ every = '1s', catch_up = '{catch_up}' }},\n  \
             run = function(ctx) return ctx.trigger.scheduled_for end }}\n"
        );
        files.push((format!("{name}.lua"), source));
    }
    files
}
