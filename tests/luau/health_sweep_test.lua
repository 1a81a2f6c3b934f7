-- scripts/health_sweep.lua on real containers whose names begin with `prefix`: it tells a change once.
return aegis.job {
  permissions = { jobs = { "health_sweep" } },
  params = { prefix = { type = "string", required = true } },
  run = function(ctx)
    local function sweep(params)
      local run = aegis.jobs.wait(aegis.jobs.trigger("health_sweep", { params = params }))
      assert(run.state == "succeeded", `the sweep {run.state}: {run.error}`)
      return run.result
    end

    local narrowed = sweep { containers = ctx.params.prefix }
    assert(#narrowed.containers == 3, `{#narrowed.containers} containers`)
    local texts = ""
    for _, finding in narrowed.findings do
      texts ..= finding.text .. "\n"
    end
    assert(#narrowed.findings == 2, texts)
    assert(string.find(texts, "exited with code 137", 1, true) and string.find(texts, "restarts again", 1, true), texts)

    -- An endpoint that does not answer is a finding; the second sweep does not raise it again.
    local endpoints = { "http://127.0.0.1:1/health" }
    local first = sweep { endpoints = endpoints }
    assert(first.raised >= 3, `{first.raised} were raised`)
    local found = false
    for _, finding in sweep({ endpoints = endpoints }).findings do
      if finding.object == endpoints[1] then
        found = finding.since ~= nil
      end
    end
    assert(found, "the endpoint is not among the findings")
    local after = sweep {}
    assert(after.cleared >= 1, "an endpoint that is not asked any more is over")
  end,
}
