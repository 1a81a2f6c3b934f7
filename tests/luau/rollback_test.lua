local test = require("@std/test")
local shop = require("@lib/shop")
local expect, engine, deploy = test.expect, shop.engine, shop.deploy

local function nothing(params)
  return function()
    return test.run("rollback.lua", { params = params, kv = {} })
  end
end

test.describe("rollback", function()
  local function rolled(to)
    local world = shop.stack()
    local first = deploy(world)
    expect(first.ok).to_be(true)
    return deploy(world, { to = to }, { file = "rollback.lua", kv = first.seen.kv }), world
  end

  test.it("deploys the images of the one before, and moves their names back", function()
    local done, world = rolled("")
    expect(done.ok).to_be(true)
    expect(world.tags["web:1"]).to_be("w1")
    expect(world.state()[2]).to_contain("shop-web-1 id6 w1 running")
  end)

  test.it("fetches nothing newer over the image that it goes back to", function()
    local world = shop.stack { newer = { ["web:1"] = "w3" } }
    local first = deploy(world)
    expect(world.tags["web:1"]).to_be("w3")
    local done = deploy(world, { to = "" }, { file = "rollback.lua", kv = first.seen.kv })
    expect(done.ok).to_be(true)
    expect(world.tags["web:1"]).to_be("w1")
    expect(world.state()[2]).to_contain("shop-web-1 id6 w1 running")
  end)

  test.it("says that there is nothing to go back to", function()
    expect(nothing { stack = "shop" }).to_raise("rollout.no_record")
    expect(nothing { stack = "shop", to = "abcd1234" }).to_raise("rollout.no_record")
  end)

  test.it("names what there is no record of", function()
    local done = rolled("nonesuch")
    expect(done.result.code).to_be("rollout.no_record")
    expect(done.result.message).to_be("shop has no rollout nonesuch")
  end)

  test.it("tells in a dry run what it would do, also where names of images stay", function()
    local world = shop.stack()
    local first = deploy(world)
    local before, log = world.state(), #world.log
    local done = deploy(world, { to = "" }, { file = "rollback.lua", kv = first.seen.kv, dry_run = true })
    expect(done.result.plan).to_equal {
      "recreate shop-web-1: back to web:1, start-first: two of it can run at once",
      "recreate shop-web-2: back to web:1, start-first: two of it can run at once",
    }
    expect(world.state()).to_equal(before)
    expect(#world.log).to_be(log)
    -- Whatever the name has come to stand for, those that run the image of then stay.
    world.tags["web:1"] = "w9"
    local there = deploy(world, { to = "00000000" }, { file = "rollback.lua", kv = first.seen.kv, dry_run = true })
    expect(there.result.plan).to_equal {}
  end)
end)

test.describe("the way back", function()
  local function pair(broken)
    return engine {
      services = {
        { name = "app", image = "app:1", image_id = "a2", running = { "a1" }, alone = "side shares it" },
        { name = "side", image = "side:1", image_id = "s1", running = { "s1" }, shares = { "app" }, alone = "it shares" },
      },
      broken = broken,
    }
  end

  test.it("restarts what shares the namespaces of one that was started again", function()
    local world = pair { a2 = { oom_killed = true } }
    local before = world.state()
    local done = deploy(world)
    expect(done.result.code).to_be("rollout.unwell")
    expect(world.state()).to_equal(before)
    expect(world.log[#world.log]).to_be("restart shop-side-1")
  end)

  test.it("takes along what shares the namespaces of one that is made anew", function()
    local world = pair()
    local done = deploy(world)
    expect(done.result.done).to_equal {
      "recreate shop-app-1: app:1 is another image now, stop-first: side shares it",
      "recreate shop-side-1: it is part of app, which is made anew, stop-first: it shares",
    }
    expect(table.find(world.log, "restart shop-side-1")).to_be(nil)
  end)
end)

test.describe("a container that is put aside", function()
  test.it("stays down when Docker starts again, and is as it was when it is back", function()
    local services = {
      { name = "db", image = "db:1", image_id = "d2", running = { "d1" }, alone = "it writes to data" },
      { name = "web", image = "web:1", image_id = "w2", running = { "w1" } },
    }
    local function policies(world)
      local found = {}
      for _, one in world.containers do
        found[one.id] = one.restart_policy
      end
      return found
    end
    local world = engine { services = services }
    world.containers.id1.restart_policy = "on-failure:3"
    expect(deploy(world, { keep = 1 }).ok).to_be(true)
    expect(world.stopped).to_equal { "shop-db-1.kept.00000000 no", "shop-web-1.kept.00000000 no" }
    expect(policies(world)).to_equal { id1 = "no", id2 = "no", id3 = "always", id4 = "always" }

    world = engine { services = services, broken = { w2 = { oom_killed = true } } }
    world.containers.id1.restart_policy = "on-failure:3"
    expect(deploy(world).ok).to_be(false)
    expect(policies(world)).to_equal { id1 = "on-failure:3", id2 = "always" }
  end)
end)

test.describe("the history", function()
  -- Deploys so many versions, each with the outcome that is asked for. Gives what is known, and the world.
  local function deployed(outcomes, options)
    local all = { services = { { name = "web", image = "web:1", image_id = "w0", running = { "w0" } } }, broken = {} }
    for key, value in options or {} do
      all[key] = value
    end
    local world, kv = engine(all), {}
    for at, outcome in outcomes do
      -- Ids of runs grow.
      local run = string.format("01jtest%011d%08d", at, at)
      world.tags["web:1"] = `w{at}`
      all.broken[`w{at}`] = if outcome == "bad" then { oom_killed = true } else nil
      world.fakes.jobs.runs = function(given)
        return if given.states[1] == "running" then { { id = run, key = "deploy/shop" } } else {}
      end
      local done = deploy(world, {}, { kv = kv, run_id = run })
      expect(done.ok).to_be(outcome == "good")
      kv = done.seen.kv
    end
    return kv, world
  end

  local function counted(kv)
    local count = {}
    for _, record in kv do
      count[record.outcome] = (count[record.outcome] or 0) + 1
    end
    return count
  end

  test.it("keeps what went well however much fails after it", function()
    local outcomes = table.create(3, "good")
    for _ = 1, 40 do
      table.insert(outcomes, "bad")
    end
    local kv, world = deployed(outcomes)
    expect(counted(kv)).to_equal { found = 1, succeeded = 3, refused = 25 }
    for _, id in { "00000001", "00000002", "00000003" } do
      expect(world.tags[`aegis-rollback/shop-web:{id}`] ~= nil).to_be(true)
    end
  end)

  test.it("lets the images of old ones go once, and tries again what Docker holds on to", function()
    local kv, world = deployed(table.create(9, "good"))
    local untagged = {}
    for _, line in world.log do
      if string.find(line, "^untag ") then
        table.insert(untagged, string.match(line, ":(.*)$"))
      end
    end
    expect(untagged).to_equal { "00000001-before", "00000001", "00000002", "00000003", "00000004" }
    expect(counted(kv)).to_equal { found = 1, succeeded = 9 }

    local tries = 0
    deployed(table.create(9, "good"), {
      on_untag = function(name)
        if string.find(name, "00000001-before", 1, true) then
          tries += 1
          if tries < 3 then
            error({ code = "docker.conflict", message = "a container uses it" }, 0)
          end
        end
      end,
    })
    expect(tries).to_be(3)
  end)

  test.it("drops the oldest of those that went well, and never one that has images", function()
    local kv, world = deployed(table.create(30, "good"))
    expect(counted(kv)).to_equal { succeeded = 25 }
    local tags = 0
    for name in world.tags do
      tags += if string.find(name, "aegis-rollback/", 1, true) then 1 else 0
    end
    expect(tags).to_be(5)
  end)
end)
