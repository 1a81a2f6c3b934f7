-- scripts/hello.lua counts across runs and refuses what it did not declare.
return aegis.job {
  permissions = { jobs = { "hello" } },
  run = function()
    local function greet(params)
      local run = aegis.jobs.wait(aegis.jobs.trigger("hello", { params = params }))
      assert(run.state == "succeeded", `hello {run.state}`)
      return run.result.greeted
    end
    local before = greet {}
    assert(greet { name = "Ada", times = 3 } == before + 3)
    local ok, err = aegis.try(aegis.jobs.trigger, "hello", { params = { times = 11 } })
    assert(not ok and err.code == "params.invalid", `eleven greetings: {err}`)
    assert(string.find(err.message, "times", 1, true), err.message)
  end,
}
