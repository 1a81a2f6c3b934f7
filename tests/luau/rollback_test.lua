local test = require("@std/test")
local expect = test.expect

local function back(params)
  return function()
    return test.run("rollback.lua", { params = params, kv = {} })
  end
end

test.describe("rollback", function()
  test.it("says that there is nothing to go back to", function()
    expect(back { stack = "shop" }).to_raise("rollout.no_record")
    expect(back { stack = "shop", to = "abcd1234" }).to_raise("rollout.no_record")
  end)
end)
