-- One file is one job, and its name is the file's. Save a change and it is live.
-- Try: aegis trigger hello --param name=Ada --param times=3 --wait

return aegis.job {
  description = "Greets somebody and counts the greetings",

  -- Each parameter becomes a flag of `aegis trigger`, a field on the dashboard and a checked value in the API.
  params = {
    name = { type = "string", default = "world", description = "Who is greeted", min = 1, max = 40 },
    times = { type = "integer", default = 1, min = 1, max = 10, description = "How often" },
  },

  ui = { group = "Examples", button = "Say hello" },

  run = function(ctx)
    for turn = 1, ctx.params.times do
      -- `print` writes to the run's log; `ctx:log` adds a level and fields that can be searched for.
      print(`Hello, {ctx.params.name}! ({turn} of {ctx.params.times})`)
    end

    -- Values in aegis.kv outlive the run. A job's own keys need no permission.
    local greeted = (aegis.kv.get("greeted") or 0) + ctx.params.times
    aegis.kv.set("greeted", greeted)
    ctx:log("info", "counted", { greeted = greeted })

    -- What is returned is the run's result: on its page, in the API and from `aegis trigger --wait`.
    return { greeted = greeted }
  end,
}
