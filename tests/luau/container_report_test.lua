local test = require("@std/test")
local expect = test.expect

local MIB = 1048576
local CONTAINERS = {
  { id = "1", name = "api", image = "api:1", state = "running", status = "Up 2 hours" },
  { id = "2", name = "db", image = "db:1", state = "running", status = "Up 2 hours" },
  { id = "3", name = "old", image = "old:1", state = "exited", status = "Exited (0)" },
  { id = "4", name = "gone", image = "gone:1", state = "running", status = "Up 1 second" },
}
local USE = {
  ["1"] = { cpu_percent = 50, memory_bytes = 100 * MIB, memory_limit_bytes = 200 * MIB },
  ["2"] = { cpu_percent = 5, memory_bytes = 300 * MIB, memory_limit_bytes = aegis.null },
}

local function report(params)
  return test.run("container_report.lua", {
    params = params,
    fakes = {
      docker = {
        list = function(options)
          return if options.all then CONTAINERS else { CONTAINERS[1], CONTAINERS[2] }
        end,
        stats = function(id)
          return USE[id] or error { code = "docker.not_found", message = "no such container" }
        end,
      },
    },
  })
end

local function names(result)
  local list = {}
  for _, row in result.containers do
    table.insert(list, row.name)
  end
  return table.concat(list, " ")
end

test.describe("container_report", function()
  test.it("sorts by what was asked for", function()
    expect(names(report())).to_be("db api gone old")
    expect(names(report { sort = "cpu" })).to_be("api db gone old")
    expect(names(report { sort = "name" })).to_be("api db gone old")
  end)

  test.it("adds up what was measured", function()
    local result, world = report()
    expect(result.memory_bytes).to_be(400 * MIB)
    expect(result.cpu_percent).to_be(55)
    expect(world.logs[#world.logs].text).to_be("4 containers, 55.0 % of a processor, 400.0 MiB")
  end)

  test.it("asks nothing of containers that do not run, and can leave them out", function()
    local _, world = report()
    for _, call in world.calls do
      expect(call.name == "docker.stats" and call.arguments[1] == "3").to_be(false)
    end
    expect(#report({ stopped = false }).containers).to_be(2)
  end)
end)
