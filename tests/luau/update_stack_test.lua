local test = require("@std/test")
local expect = test.expect

local function update(states, params, code)
  local triggered, reports, keys = {}, {}, {}
  local result = test.run("update_stack.lua", {
    params = params,
    fakes = {
      stack = {
        names = { "shop", "blog", "wiki" },
        ps = function(stack)
          return { { labels = { ["aegis.update"] = if stack == "wiki" then "true" else "stack" } } }
        end,
      },
      jobs = {
        trigger = function(job, given)
          table.insert(keys, given.idempotency_key)
          table.insert(triggered, `{job} {given.params.stack} {given.params.refresh}`)
          return given.params.stack
        end,
        wait = function(run)
          local state = states[run]
          return {
            state = state,
            result = { changed = true },
            error = if state == "failed" then { code = code, message = "web is unhealthy" } else nil,
          }
        end,
      },
      alerts = {
        report = function(alert)
          table.insert(reports, `{alert.labels.stack} {alert.ok}`)
        end,
      },
    },
  })
  return { result = result, triggered = triggered, reports = reports, keys = keys }
end

test.describe("update_stack", function()
  test.it("deploys those with the label with newer images, and goes on after one that fails", function()
    local seen = update { shop = "failed", blog = "succeeded" }
    expect(seen.triggered).to_equal({ "deploy shop true", "deploy blog true" })
    expect(seen.reports).to_equal({ "shop false", "blog true" })
    expect(seen.result.failed).to_be(1)
    expect(seen.result.stacks[1].problem).to_be("web is unhealthy")
    expect(seen.result.stacks[2].changed).to_be(true)
  end)

  test.it("deploys only those that are named", function()
    local seen = update({ blog = "succeeded" }, { stacks = { "blog" } })
    expect(seen.triggered).to_equal({ "deploy blog true" })
  end)

  test.it("starts each once, also when a crash repeats the step", function()
    local keys = update({ shop = "succeeded", blog = "succeeded" }).keys
    expect(keys).to_equal { "01jtest0000000000000000000/shop", "01jtest0000000000000000000/blog" }
  end)

  test.it("takes one that gave way to a newer deployment for no failure", function()
    local seen = update({ blog = "failed" }, { stacks = { "blog" } }, "rollout.superseded")
    expect(seen.reports).to_equal({ "blog true" })
    expect(seen.result.stacks[1].changed).to_be(false)
  end)
end)
