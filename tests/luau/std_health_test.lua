local test = require("@std/test")
local health = require("@std/health")
local expect = test.expect

local function container(fields)
  local made = { name = "web-1", state = "running", restart_count = 0 }
  for key, value in fields do
    made[key] = value
  end
  return made
end

test.describe("health.judge_container", function()
  for kind, case in
    {
      restarting = { container { state = "restarting" }, "again and again" },
      dead = { container { state = "dead" }, "dead" },
      exited = { container { state = "exited", exit_code = 137 }, "code 137: it was killed" },
      unhealthy = { container { health = "unhealthy" }, "health check" },
    }
  do
    test.it(`finds {kind}`, function()
      local finding = health.judge_container(case[1])
      expect(finding.name).to_be("container_" .. kind)
      expect(finding.labels).to_equal({ container = "web-1" })
      expect(finding.severity).to_be("critical")
      expect(finding.summary).to_contain(case[2])
    end)
  end

  test.it("sees a circle of restarts between two of them", function()
    local finding = health.judge_container(container { restart_count = 3, uptime_seconds = 1 })
    expect(finding.name).to_be("container_restarting")
    expect(health.judge_container(container { restart_count = 3, uptime_seconds = 3600 })).to_be(nil)
    expect(health.judge_container(container { restart_count = 2, uptime_seconds = 1 })).to_be(nil)
  end)

  test.it("tells an exit for want of memory from a kill", function()
    local finding = health.judge_container(container { state = "exited", exit_code = 137, oom_killed = true })
    expect(finding.summary).to_contain("ran out of memory")
  end)

  test.it("warns of restarts since the last look, and not of older ones", function()
    local restarted = container { restart_count = 5 }
    expect(health.judge_container(restarted, 3).summary).to_contain("2 times")
    expect(health.judge_container(restarted, 3).severity).to_be("warning")
    expect(health.judge_container(restarted, 5)).to_be(nil)
    expect(health.judge_container(restarted, nil)).to_be(nil)
  end)

  test.it("lets the healthy and those that were asked to stop be", function()
    for _, well in
      {
        container { health = "healthy" },
        container { health = aegis.null, exit_code = aegis.null },
        container { state = "exited", exit_code = 0 },
        container { state = "exited", exit_code = 143 },
        container { state = "created", exit_code = aegis.null },
        container { state = "paused" },
      }
    do
      expect(health.judge_container(well)).to_be(nil)
    end
  end)
end)

test.describe("health.judge_endpoint", function()
  test.it("takes any status below 400", function()
    expect(health.judge_endpoint("http://x.example", 204)).to_be(nil)
    expect(health.judge_endpoint("http://x.example", 301)).to_be(nil)
    expect(health.judge_endpoint("http://x.example", 500).summary).to_contain("status 500")
  end)
  test.it("says why there was no answer", function()
    expect(health.judge_endpoint("http://x.example", nil, "connection refused").summary).to_contain("connection refused")
  end)
end)

test.describe("health.judge_certificate", function()
  local function judged(tls, problem)
    return health.judge_certificate("example.com", tls, problem, 21, 7)
  end
  test.it("speaks up before the end, and louder near it", function()
    expect(judged({ days_left = 90, trusted = true })).to_be(nil)
    expect(judged({ days_left = 20.5, trusted = true }).severity).to_be("warning")
    expect(judged({ days_left = 20.5, trusted = true }).summary).to_contain("in 20 days")
    expect(judged({ days_left = 6, trusted = true }).severity).to_be("critical")
    expect(judged({ days_left = -1, trusted = false }).summary).to_contain("expired")
  end)
  test.it("does not take a certificate that nobody trusts for good", function()
    expect(judged({ days_left = 90, trusted = false, problem = "unknown issuer" }).summary).to_contain("unknown issuer")
    expect(judged(nil, "connection refused").summary).to_contain("connection refused")
  end)
end)

test.describe("health.split_target", function()
  test.it("knows names, addresses and ports", function()
    for text, wanted in { ["db:5432"] = { "db", 5432 }, ["[::1]:80"] = { "::1", 80 }, ["10.0.0.1:1"] = { "10.0.0.1", 1 } } do
      expect({ health.split_target(text) }).to_equal(wanted)
    end
    expect({ health.split_target("example.com", 443) }).to_equal({ "example.com", 443 })
    expect(function()
      health.split_target("example.com")
    end).to_raise("args.value")
  end)
end)
