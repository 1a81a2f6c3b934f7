local test = require("@std/test")
local expect = test.expect

-- When jobs under test begin.
local NOW = "2027-01-01T00:00:00Z"

local function volume(name, age_days, used)
  local created = aegis.time.add(NOW, -age_days * 86400)
  return { name = name, created_at = created, used_bytes = used or 0, quota_bytes = 1000 }
end

local function gc(params)
  return test.run("volume_gc.lua", {
    params = params,
    fakes = {
      volumes = {
        list = function()
          return { volume("agents/base-1", 30), volume("agents/full", 1, 900), volume("agents/new", 1), volume("agents/old", 15) }
        end,
        delete = function(name, options)
          return { name = name, deleted = if options.dry_run then nil else { id = "01J" } }
        end,
      },
    },
  })
end

test.describe("volume_gc", function()
  test.it("rehearses unless told otherwise, and says what is nearly full", function()
    local result, world = gc { keep = { "agents/base-*" } }
    expect(result).to_equal({ deleted = { "agents/old" }, full = { "agents/full" }, dry_run = true })
    expect(world.logs[1].text).to_contain("agents/full is nearly full")
    expect(world.logs[2].text).to_be("would delete agents/old")
  end)

  test.it("deletes when told, and says how they come back", function()
    local result, world = gc { dry_run = false, older_than = "20d" }
    expect(result.deleted).to_equal({ "agents/base-1" })
    expect(world.logs[1].text).to_contain("deleted agents/base-1; it comes back with aegis volume recover 01J")
  end)
end)
