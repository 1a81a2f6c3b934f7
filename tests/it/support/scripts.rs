//! Job files that the tests drop into the scripts folder.

/// Logs one line and returns its parameters.
pub const ECHO: &str = r#"
return aegis.job {
  description = "Says what it was given",
  params = {
    text = { type = "string", default = "nothing" },
    count = { type = "integer", default = 1, min = 1, max = 10 },
    loud = { type = "boolean", default = false },
  },
  run = function(ctx)
    print("echo: " .. ctx.params.text)
    return { text = ctx.params.text, count = ctx.params.count, loud = ctx.params.loud }
  end,
}
"#;

/// Waits for as long as it is told, unless it is cancelled.
pub const SLEEPER: &str = r#"
return aegis.job {
  overlap = "parallel",
  timeout = "5m",
  params = { seconds = { type = "number", default = 60 } },
  run = function(ctx)
    print("asleep")
    ctx:sleep(ctx.params.seconds)
    print("awake")
    return "slept"
  end,
}
"#;

/// A job that returns `value`, a Lua expression.
pub fn returning(value: &str) -> String {
    format!("return aegis.job {{ overlap = \"parallel\", run = function(ctx) return {value} end }}\n")
}

/// A job whose `run` has this body.
pub fn doing(body: &str) -> String {
    format!("return aegis.job {{\n  overlap = \"parallel\",\n  run = function(ctx)\n{body}\n  end,\n}}\n")
}
