local test = require("@std/test")
local expect = test.expect

test.describe("hello", function()
  test.it("greets by name, as often as asked", function()
    local result, world = test.run("hello.lua", { params = { name = "Ada", times = 2 } })
    expect(result).to_equal({ greeted = 2 })
    expect(world.logs[1].text).to_be("Hello, Ada! (1 of 2)")
    expect(world.logs[2].text).to_be("Hello, Ada! (2 of 2)")
    expect(world.logs[3].fields).to_equal({ greeted = 2 })
  end)

  test.it("remembers across runs", function()
    local kv = {}
    test.run("hello.lua", { kv = kv })
    expect(test.run("hello.lua", { kv = kv, params = { times = 3 } })).to_equal({ greeted = 4 })
  end)
end)
