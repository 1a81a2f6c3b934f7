local test = require("@std/test")
local expect = test.expect

local function watch(actions, kv, sent, run)
  return test.run("stack_watch.lua", {
    kv = kv,
    fakes = {
      stack = {
        names = { "shop" },
        rollout = run or function() end,
        plan = function()
          if actions == nil then
            error({ code = "stack.shape", message = "compose.yaml:1:1: no" }, 0)
          end
          return { actions = actions, missing = {}, warnings = {} }
        end,
      },
      alerts = { report = function() end },
      notify = {
        send = function(route, message)
          table.insert(sent, `{route}: {message.text}`)
        end,
      },
    },
  })
end

test.describe("stack_watch", function()
  local function recreate(why)
    return { { verb = "recreate", kind = "container", name = "shop-web-1", reasons = { why } } }
  end

  test.it("tells of each difference once, and again when it is another one", function()
    local kv, sent = {}, {}
    expect(watch(recreate("other settings: image"), kv, sent).drifted[1].stack).to_be("shop")
    watch(recreate("other settings: image"), kv, sent)
    expect(#sent).to_be(1)
    expect(sent[1]).to_contain("alerts: recreate container shop-web-1: other settings: image")
    watch(recreate("it is exited"), kv, sent)
    expect(#sent).to_be(2)
    watch({}, kv, sent)
    expect(#sent).to_be(2)
    watch(recreate("it is exited"), kv, sent)
    expect(#sent).to_be(3)
  end)

  test.it("does not take an image that is always fetched for a difference", function()
    local sent = {}
    local always = { { verb = "pull", kind = "image", name = "web:1", reasons = { "pull_policy is always" } } }
    expect(watch(always, {}, sent).drifted).to_equal({})
    expect(sent).to_equal({})
  end)

  test.it("leaves out what is being deployed", function()
    local sent = {}
    local seen = watch(recreate("other settings: image"), {}, sent, "01jtest0000000000000000000")
    expect(seen).to_equal { looked_at = 0, drifted = {}, deploying = { "shop" } }
    expect(sent).to_equal {}
  end)

  test.it("tells of files that cannot be used", function()
    local sent = {}
    watch(nil, {}, sent)
    expect(sent[1]).to_contain("its files cannot be used: compose.yaml:1:1: no")
  end)
end)
