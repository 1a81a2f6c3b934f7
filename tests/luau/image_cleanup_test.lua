local test = require("@std/test")
local expect = test.expect

local function cleanup(params)
  return test.run("image_cleanup.lua", {
    params = params,
    fakes = {
      docker = {
        prune = function(target, options)
          return {
            target = target,
            dry_run = options.dry_run,
            removed = { { name = "old:1", id = "sha256:1", size_bytes = 3145728 } },
            failed = { { name = "busy:1", problem = "a container uses it" } },
            space_bytes = 3145728,
          }
        end,
      },
    },
  })
end

test.describe("image_cleanup", function()
  test.it("rehearses unless told otherwise", function()
    local result, world = cleanup()
    expect(result.dry_run).to_be(true)
    expect(world.calls[1].arguments[1]).to_be("images")
    expect(world.calls[1].arguments[2]).to_equal({ all = false, older_than = 7 * 86400, keep = {}, dry_run = true })
    expect(world.logs[1].text).to_be("would remove old:1 (3.0 MiB)")
  end)

  test.it("removes when told, and says what stays", function()
    local result, world = cleanup { dry_run = false, all = true, keep = { "registry/*" } }
    expect(result.dry_run).to_be(false)
    expect(world.calls[1].arguments[2].keep).to_equal({ "registry/*" })
    expect(world.logs[1].text).to_be("removed old:1 (3.0 MiB)")
    expect(world.logs[2].level).to_be("warn")
    expect(world.logs[2].text).to_contain("a container uses it")
    expect(world.logs[3].text).to_be("removed 1 images, at most 3.0 MiB")
  end)
end)
