local test = require("@std/test")
local expect = test.expect

local HEALTHY = { name = "web", image = "web:1", state = "running", health = "healthy", restart_count = 0 }
local KILLED = { name = "db", image = "db:1", state = "exited", exit_code = 137, restart_count = 0 }

-- A sweep of these containers; `sent` collects what was notified, `kv` is remembered between sweeps.
local function sweep(containers, kv, sent, options)
  options = options or {}
  return test.run("health_sweep.lua", {
    params = options.params,
    kv = kv,
    fakes = {
      docker = { list = containers },
      http = { get = options.get },
      notify = {
        send = function(route, message)
          table.insert(sent, { route = route, message = message })
        end,
      },
    },
  })
end

test.describe("health_sweep", function()
  test.it("finds what is ill and leaves what is well", function()
    local result, world = sweep({ HEALTHY, KILLED }, {}, {})
    expect(#result.containers).to_be(2)
    expect(#result.findings).to_be(1)
    expect(result.findings[1].object).to_be("db")
    expect(world.logs[1].level).to_be("error")
    expect(world.logs[1].text).to_contain("code 137")
  end)

  test.it("tells a change once, and its end once", function()
    local kv, sent = {}, {}
    sweep({ KILLED }, kv, sent)
    expect(#sent).to_be(1)
    expect(sent[1].route).to_be("alerts")
    expect(sent[1].message.severity).to_be("critical")
    expect(sent[1].message.text).to_contain("db exited with code 137")
    sweep({ KILLED }, kv, sent)
    expect(#sent).to_be(1)
    local result = sweep({ HEALTHY }, kv, sent)
    expect(result.cleared).to_be(1)
    expect(#sent).to_be(2)
    expect(sent[2].message.severity).to_be("info")
  end)

  test.it("notices restarts between two sweeps", function()
    local kv, sent = {}, {}
    sweep({ HEALTHY }, kv, sent)
    local restarted = table.clone(HEALTHY)
    restarted.restart_count = 2
    local result = sweep({ restarted }, kv, sent)
    expect(result.findings[1].text).to_contain("restarted 2 times")
  end)

  test.it("asks endpoints from the parameter, else from its key-value store", function()
    local asked = {}
    local function get(url)
      table.insert(asked, url)
      if url == "http://down.example" then
        error { code = "http.connect", message = "connection refused" }
      end
      return { status = if url == "http://ill.example" then 503 else 200 }
    end
    local urls = { "http://up.example", "http://down.example", "http://ill.example" }
    local result = sweep({}, {}, {}, { get = get, params = { endpoints = urls } })
    expect(asked).to_equal(urls)
    expect(#result.findings).to_be(2)
    expect(result.findings[1].text).to_contain("connection refused")
    expect(result.findings[2].text).to_contain("503")
    sweep({}, { ["job/endpoints"] = { "http://kept.example" } }, {}, { get = get })
    expect(asked[4]).to_be("http://kept.example")
  end)

  test.it("does not take what it did not look at for recovered", function()
    local kv, sent = {}, {}
    sweep({ KILLED, HEALTHY }, kv, sent)
    local result = sweep({ KILLED, HEALTHY }, kv, sent, { params = { containers = "web" } })
    expect(#result.containers).to_be(1)
    expect(result.cleared).to_be(0)
    expect(#sent).to_be(1)
    expect(#sweep({ KILLED, HEALTHY }, kv, sent).findings).to_be(1)
    expect(#sent).to_be(1)
  end)

  test.it("goes on when nothing can be sent, and stays quiet when told", function()
    local result, world = test.run("health_sweep.lua", {
      fakes = {
        docker = { list = { KILLED } },
        notify = {
          send = function()
            error { code = "notify.unknown_route", message = "there is no route alerts" }
          end,
        },
      },
    })
    expect(#result.findings).to_be(1)
    expect(world.logs[2].text).to_contain("there is no route alerts")
    local sent = {}
    sweep({ KILLED }, {}, sent, { params = { quiet = true } })
    expect(#sent).to_be(0)
  end)
end)
