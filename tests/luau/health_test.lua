-- The rules of scripts/lib/health.lua.
local health = require("@lib/health")

local function container(fields)
  local one = { name = "web-1", state = "running", restart_count = 0, oom_killed = false }
  for key, value in fields do
    one[key] = value
  end
  return one
end

local function expect(fields, restarts_before, kind, words)
  local finding = health.judge(container(fields), restarts_before)
  assert(finding, `nothing was found for {kind}`)
  assert(finding.key == "web-1/" .. kind, `{finding.key} instead of {kind}`)
  assert(string.find(finding.text, words, 1, true), `"{words}" is not in "{finding.text}"`)
end

return aegis.job {
  run = function()
    expect({ state = "restarting", restart_count = 7 }, nil, "restarting", "7 times")
    expect({ state = "dead" }, nil, "dead", "dead")
    expect({ state = "exited", exit_code = 137 }, nil, "exited", "it was killed")
    expect({ state = "exited", exit_code = 137, oom_killed = true }, nil, "exited", "out of memory")
    expect({ state = "exited", exit_code = 1 }, nil, "exited", "code 1")
    expect({ health = "unhealthy" }, nil, "unhealthy", "health check")
    expect({ restart_count = 5 }, 3, "restarted", "2 times")

    for _, well in {
      container { health = "healthy" },
      container { health = aegis.null, exit_code = aegis.null },
      container { state = "exited", exit_code = 0 },
      container { state = "exited", exit_code = 143 },
      container { state = "created", exit_code = aegis.null },
      container { restart_count = 5 },
    } do
      assert(health.judge(well, well.restart_count) == nil, `{well.state} {well.exit_code} is well`)
    end

    assert(health.judge_endpoint("http://x.example", 204) == nil)
    assert(string.find(health.judge_endpoint("http://x.example", 500).text, "500", 1, true))
    assert(string.find(health.judge_endpoint("http://x.example", nil, "refused").text, "refused", 1, true))

    -- What goes on keeps its beginning and is told once; what is over is told once.
    local first = health.judge(container { health = "unhealthy" })
    local one = health.compare({}, { first }, "monday")
    assert(#one.raised == 1 and #one.cleared == 0 and one.raised[1].since == "monday")
    local again = health.judge(container { health = "unhealthy" })
    local two = health.compare(one.current, { again }, "tuesday")
    assert(#two.raised == 0 and #two.cleared == 0 and two.current["web-1/unhealthy"].since == "monday")
    local three = health.compare(two.current, {}, "wednesday")
    assert(#three.raised == 0 and #three.cleared == 1 and next(three.current) == nil)
    assert(string.find(health.describe(three.raised, three.cleared), "since monday", 1, true))
  end,
}
