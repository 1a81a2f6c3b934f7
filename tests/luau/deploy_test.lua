local test = require("@std/test")
local shop = require("@lib/shop")
local expect, engine, deploy = test.expect, shop.engine, shop.deploy

test.describe("deploy", function()
  test.it("starts the new one first, and switches when it is well", function()
    local world = shop.stack()
    local done = deploy(world)
    expect(done.ok).to_be(true)
    expect(done.result.changed).to_be(true)
    expect(world.log).to_equal({
      "create shop-web-1.next.00000000",
      "start shop-web-1.next.00000000",
      "rename shop-web-1 shop-web-1.kept.00000000",
      "rename shop-web-1.next.00000000 shop-web-1",
      "stop shop-web-1.kept.00000000",
      "create shop-web-2.next.00000000",
      "start shop-web-2.next.00000000",
      "rename shop-web-2 shop-web-2.kept.00000000",
      "rename shop-web-2.next.00000000 shop-web-2",
      "stop shop-web-2.kept.00000000",
      "remove shop-web-1.kept.00000000",
      "remove shop-web-2.kept.00000000",
    })
    expect(world.tags["aegis-rollback/shop-web:00000000"]).to_be("w2")
    expect(world.tags["aegis-rollback/shop-web:00000000-before"]).to_be("w1")
    expect(deploy(world).result.changed).to_be(false)
  end)

  test.it("stops the old one first where two cannot run at once", function()
    local world = engine {
      services = { { name = "db", image = "db:1", image_id = "d2", running = { "d1" }, alone = "it writes to data" } },
    }
    expect(deploy(world).ok).to_be(true)
    expect(world.log[2]).to_be("rename shop-db-1 shop-db-1.kept.00000000")
    expect(world.log[3]).to_be("stop shop-db-1.kept.00000000")
    expect(world.log[4]).to_be("start shop-db-1.next.00000000")
  end)

  test.it("brings everything back when a later service does not become well", function()
    local world = engine {
      services = {
        { name = "api", image = "api:1", image_id = "a2", running = { "a1" } },
        { name = "db", image = "db:1", image_id = "d2", running = { "d1" }, alone = "it writes to data" },
        { name = "web", image = "web:1", image_id = "w1", running = { "w1" } },
      },
      newer = { ["web:1"] = "w2" },
      broken = { w2 = { state = "exited", exit_code = 3 } },
    }
    local before = world.state()
    local done = deploy(world, { refresh = true })
    expect(done.ok).to_be(false)
    expect(done.result.code).to_be("rollout.unwell")
    expect(done.result.message).to_contain("shop is as it was before: web: the new container shop-web-1.next.00000000")
    expect(done.result.message).to_contain("ended with exit code 3; it said: no room left")
    expect(done.result.message).to_contain("restored shop-api-1, shop-db-1")
    expect(world.state()).to_equal(before)
    expect(world.tags["web:1"]).to_be("w1")
    expect(done.seen.undone[1].ok).to_be(true)
    expect(done.seen.kv["shared:rollouts/shop/01jtest0000000000000000000"].outcome).to_be("rolled_back")
  end)

  for what, case in
    {
      ["unhealthy"] = { { health = "unhealthy" }, "is unhealthy" },
      ["never healthy"] = { { health = "starting" }, "was not well within 5m: it is starting" },
      ["restarting"] = { { restart_count = 1 }, "was started again" },
      ["out of memory"] = { { oom_killed = true, state = "exited" }, "for want of memory" },
      ["a port that is taken meanwhile"] = { "port", "port is already allocated" },
    }
  do
    test.it(`goes back from a container that is {what}`, function()
      local world = shop.stack { broken = { w2 = case[1] } }
      local before = world.state()
      local done = deploy(world)
      expect(done.ok).to_be(false)
      expect(done.result.message).to_contain(case[2])
      expect(world.state()).to_equal(before)
      -- What is no matter of time is not tried again while nothing serves.
      expect(case[1] ~= "port" or done.seen.slept < 1).to_be(true)
    end)
  end

  test.it("takes what ends well and is not to be started again for well", function()
    local world = shop.stack { broken = { w2 = { state = "exited", exit_code = 0, restart_policy = "no" } } }
    expect(deploy(world).ok).to_be(true)
    expect(world.state()[2]).to_be("shop-web-1 id4 w2 exited")
    world = shop.stack { broken = { w2 = { state = "exited", exit_code = 0, restart_policy = "always" } } }
    expect(deploy(world).result.code).to_be("rollout.unwell")
  end)

  test.it("looks at what it starts again", function()
    local world = engine {
      services = { { name = "api", image = "api:1", image_id = "a1", running = { "a1" } } },
      broken = { a1 = { state = "exited", exit_code = 4 } },
    }
    world.containers.id1.state = "exited"
    local done = deploy(world)
    expect(done.result.message).to_contain("api: the container shop-api-1 ended with exit code 4")
  end)

  local function two()
    return {
      { name = "api", image = "api:1", image_id = "a2", running = { "a1" } },
      { name = "db", image = "db:1", image_id = "d2", running = { "d1" }, alone = "it writes to data" },
      { name = "web", image = "web:1", image_id = "w2", running = { "w1" } },
    }
  end

  test.it("brings the others back when one cannot come back, and never removes what was left of it", function()
    local world = engine {
      services = two(),
      on_start = function(world, one)
        if one.image_id == "w2" then
          world.containers.id1 = nil
          one.restart_count = 1
        end
      end,
    }
    local done = deploy(world)
    expect(done.result.message).to_contain("not everything could be brought back: shop-api-1 cannot come back")
    expect(world.state()).to_equal {
      "shop-api-1 id4 a2 running",
      "shop-db-1 id2 d1 running",
      "shop-web-1 id3 w1 running",
    }
    world.containers.id2.name = "shop-db-1.kept.lost0000"
    world.containers.id3.name = "shop-web-1.kept.main"
    deploy(world)
    expect(world.containers.id2.name).to_be("shop-db-1.kept.lost0000")
    expect(world.containers.id3.name).to_be("shop-web-1.kept.main")
  end)

  test.it("has the old one well again before the new one goes", function()
    local looks = 0
    local world = engine {
      services = two(),
      broken = { w2 = { oom_killed = true } },
      on_start = function(_, one)
        if one.id == "id1" then
          one.health = "starting"
        end
      end,
      on_look = function(_, one)
        if one.id == "id1" and one.health == "starting" then
          looks += 1
          one.health = if looks > 8 then "healthy" else "starting"
        end
      end,
    }
    expect(deploy(world).ok).to_be(false)
    expect(looks).to_be(9)
    local removed = table.find(world.log, "remove shop-api-1")
    local started = table.find(world.log, "start shop-api-1.kept.00000000")
    expect(started ~= nil and removed ~= nil and started < removed).to_be(true)
  end)

  test.it("starts an old one anew whose end was under way", function()
    local world = engine { services = two(), broken = { d2 = { oom_killed = true } } }
    -- The stop does not come to its end before somebody looks.
    world.fakes.docker.stop = function(name)
      local found = world.fakes.docker.inspect(name)
      table.insert(world.log, `stop {found.name}`)
      found.state = if found.ending then "exited" else "running"
      found.ending = true
    end
    local done = deploy(world)
    expect(done.result.message).to_contain("shop is as it was before: db")
    expect(world.containers.id2.name).to_be("shop-db-1")
    local start = table.find(world.log, "start shop-db-1.kept.00000000")
    expect(start ~= nil and world.log[start - 1]).to_be("stop shop-db-1.kept.00000000")
  end)

  test.it("switches nothing to a new one that has died since it was well", function()
    local steps = 0
    local world = engine {
      services = { { name = "web", image = "web:1", image_id = "w2", running = { "w1" } } },
      on_look = function(world, one)
        if string.find(one.name, ".next.", 1, true) and one.state == "running" then
          steps += 1
          -- The log is read once the gate is done.
          one.state = if world.is_through then "exited" else "running"
        end
      end,
    }
    world.fakes.docker.logs = function()
      world.is_through = true
      return { lines = {} }
    end
    local before = world.state()
    local done = deploy(world, { forbid = { "panic" } })
    expect(done.result.code).to_be("rollout.unwell")
    expect(steps > 0).to_be(true)
    expect(world.state()).to_equal(before)
    expect(table.find(world.log, "stop shop-web-1.kept.00000000")).to_be(nil)
  end)

  for what, case in
    {
      ["a port that somebody has"] = {
        {
          services = { { name = "web", image = "web:1", image_id = "w2", running = {}, port = 8080 } },
          strangers = { { name = "other", ports = { { published = 8080, protocol = "tcp" } }, mounts = {} } },
        },
        "web: port 8080 of the host is taken by the container other",
      },
      ["a full disk"] = { { free = 1048576 }, "Docker's disk / has 1 MiB left, less than 1024 MiB" },
      ["what is missing"] = { { missing = { 'the network "edge", which is external' } }, 'shop needs the network "edge"' },
    }
  do
    test.it(`touches nothing when preflight finds {what}`, function()
      local world = shop.stack(case[1])
      local done = deploy(world)
      expect(done.ok).to_be(false)
      expect(done.result.code).to_be("rollout.preflight")
      expect(done.result.message).to_contain(case[2])
      expect(world.log).to_equal({})
    end)
  end

  test.it("leaves a stack to the swarm that runs it", function()
    local world = shop.stack()
    world.fakes.stack.services = function()
      error({ code = "swarm.unsupported", message = "a swarm runs it" }, 0)
    end
    expect(deploy(world).result.code).to_be("swarm.unsupported")
  end)

  test.it("touches nothing when an image cannot be had", function()
    local world = shop.stack { unreachable = true }
    local done = deploy(world)
    expect(done.result.code).to_be("docker.registry")
    expect(done.result.message).to_be(
      "shop is as it was before: the registry does not answer; nothing had been switched"
    )
    expect(world.log).to_equal({})
    expect(done.seen.kv["shared:rollouts/shop/01jtest0000000000000000000"].outcome).to_be("refused")
  end)

  test.it("gives way to a newer deployment that waits, and not to an older one", function()
    local done = deploy(shop.stack { newer_run = "01jtest1000000000000000000" })
    expect(done.result.code).to_be("rollout.superseded")
    expect(done.result.message).to_contain("run 01jtest1000000000000000000 is newer")
    expect(deploy(shop.stack { newer_run = "01jtest00000000000000000" }).ok).to_be(true)
    expect(deploy(shop.stack { newer_run = "01jtest1000000000000000000", is_dry = true }).ok).to_be(true)
    expect(deploy(shop.stack { no_key = true }).result.code).to_be("rollout.no_key")
  end)

  test.it("waits for a person who sees the plan, and changes nothing when they say no", function()
    local world, shown = shop.stack(), nil
    local function decide(seen)
      shown = seen
      return false
    end
    local done = deploy(world, { approve = true }, { approvals = { switch = decide } })
    expect(done.result.code).to_be("approval.rejected")
    expect(shown.plan[1]).to_be(
      "recreate shop-web-1: web:1 is another image now, start-first: two of it can run at once"
    )
    expect(world.log).to_equal({})
  end)

  test.it("does only what was approved", function()
    local world = shop.stack()
    local function decide()
      world.tags["web:1"] = "w9"
      return true
    end
    local done = deploy(world, { approve = true }, { approvals = { switch = decide } })
    expect(done.result.code).to_be("rollout.stale")
    expect(world.log).to_equal({})
    expect(deploy(shop.stack(), { approve = true }, { approvals = { switch = true } }).ok).to_be(true)
  end)

  test.it("tells in a dry run what it would do", function()
    local world = shop.stack()
    local done = deploy(world, {}, { dry_run = true })
    expect(#done.result.plan).to_be(2)
    expect(world.log).to_equal({})
  end)

  test.it("puts aside what is too many, starts what stands still, and takes both back", function()
    local services = {
      { name = "api", image = "api:1", image_id = "a1", running = { "a1", "a1" } },
      { name = "db", image = "db:1", image_id = "d1", running = { "d1" } },
      { name = "web", image = "web:1", image_id = "w2", running = { "w1" } },
    }
    for _, broken in { {}, { w2 = { oom_killed = true } } } do
      local world = engine { services = services, broken = broken }
      world.containers.id3.state = "exited"
      local before = world.state()
      local done = deploy(world)
      expect(done.ok).to_be(next(broken) == nil)
      if done.ok then
        expect(world.state()).to_equal {
          "shop-api-1 id1 a1 running",
          "shop-db-1 id3 d1 running",
          "shop-web-1 id5 w2 running",
        }
      else
        expect(done.result.message).to_contain("restored shop-api-2")
        expect(world.state()).to_equal(before)
      end
    end
  end)

  test.it("keeps old containers as long as it is told to", function()
    local world = shop.stack()
    expect(deploy(world, { keep = 1 }).ok).to_be(true)
    expect(world.state()[2]).to_contain("shop-web-1 ")
    expect(world.state()[3]).to_contain("shop-web-1.kept.00000000 id2 w1 exited")
  end)

  test.it("gives one that was left with another name its own", function()
    local world = engine { services = { { name = "web", image = "web:1", image_id = "w1", running = { "w1" } } } }
    world.left_over = "shop-web-1.next.0a1b2c3d"
    world.containers.id1.name = world.left_over
    local done = deploy(world)
    expect(done.result.done).to_equal { "rename shop-web-1: it is left over" }
    expect(world.log).to_equal { "rename shop-web-1.next.0a1b2c3d shop-web-1" }
    expect(world.state()).to_equal { "shop-web-1 id1 w1 running" }
  end)
end)
