local test = require("@std/test")
local health = require("@lib/health")
local expect = test.expect

local function container(fields)
  local one = { name = "web-1", state = "running", restart_count = 0, oom_killed = false }
  for key, value in fields do
    one[key] = value
  end
  return one
end

test.describe("health.judge", function()
  for kind, case in {
    restarting = { container { state = "restarting", restart_count = 7 }, "7 times" },
    dead = { container { state = "dead" }, "dead" },
    exited = { container { state = "exited", exit_code = 137 }, "code 137: it was killed" },
    unhealthy = { container { health = "unhealthy" }, "health check" },
  } do
    test.it(`finds {kind}`, function()
      local finding = health.judge(case[1])
      expect(finding.key).to_be("web-1/" .. kind)
      expect(finding.severity).to_be("critical")
      expect(finding.text).to_contain(case[2])
    end)
  end

  test.it("sees a circle of restarts between two of them", function()
    local finding = health.judge(container { restart_count = 3, uptime_seconds = 1 })
    expect(finding.key).to_be("web-1/restarting")
    expect(health.judge(container { restart_count = 3, uptime_seconds = 3600 })).to_be(nil)
    expect(health.judge(container { restart_count = 2, uptime_seconds = 1 })).to_be(nil)
  end)

  test.it("tells an exit for want of memory from a kill", function()
    local finding = health.judge(container { state = "exited", exit_code = 137, oom_killed = true })
    expect(finding.text).to_contain("ran out of memory")
  end)

  test.it("warns of restarts since the last look, and not of older ones", function()
    local restarted = container { restart_count = 5 }
    expect(health.judge(restarted, 3).text).to_contain("2 times")
    expect(health.judge(restarted, 3).severity).to_be("warning")
    expect(health.judge(restarted, 5)).to_be(nil)
    expect(health.judge(restarted, nil)).to_be(nil)
  end)

  test.it("lets the healthy and those that were asked to stop be", function()
    for _, well in {
      container { health = "healthy" },
      container { health = aegis.null, exit_code = aegis.null },
      container { state = "exited", exit_code = 0 },
      container { state = "exited", exit_code = 143 },
      container { state = "created", exit_code = aegis.null },
      container { state = "paused" },
    } do
      expect(health.judge(well)).to_be(nil)
    end
  end)
end)

test.describe("health.judge_endpoint", function()
  test.it("takes any status below 400", function()
    expect(health.judge_endpoint("http://x.example", 204)).to_be(nil)
    expect(health.judge_endpoint("http://x.example", 301)).to_be(nil)
    expect(health.judge_endpoint("http://x.example", 500).text).to_contain("status 500")
  end)
  test.it("says why there was no answer", function()
    expect(health.judge_endpoint("http://x.example", nil, "connection refused").text).to_contain("connection refused")
  end)
end)

test.describe("health.compare", function()
  local function unhealthy()
    return health.judge(container { health = "unhealthy" })
  end

  test.it("raises once, keeps the beginning, and clears once", function()
    local one = health.compare({}, { unhealthy() }, "monday")
    expect(#one.raised).to_be(1)
    expect(one.raised[1].since).to_be("monday")
    local two = health.compare(one.current, { unhealthy() }, "tuesday")
    expect(#two.raised).to_be(0)
    expect(two.current["web-1/unhealthy"].since).to_be("monday")
    local three = health.compare(two.current, {}, "wednesday")
    expect(#three.cleared).to_be(1)
    expect(three.current).to_equal({})
    expect(health.describe(three.raised, three.cleared)).to_contain("over: web-1 fails its health check (since monday)")
  end)
end)
