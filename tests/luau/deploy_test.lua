local test = require("@std/test")
local expect = test.expect

-- An engine with a stack `shop`: `services` says what its files want, `running` which images its containers have. A new
-- container of an image in `broken` does what that says.
local function engine(options)
  local world = { containers = {}, tags = {}, log = {}, made = 0, networks = {} }
  local function note(verb, what)
    table.insert(world.log, `{verb} {what}`)
  end
  local function add(name, service, number, image_id, state, labels)
    world.made += 1
    local all = table.clone(labels or {})
    all["com.docker.compose.service"], all["com.docker.compose.container-number"] = service, tostring(number)
    local one = {
      id = `id{world.made}`,
      name = name,
      state = state,
      labels = all,
      image_id = image_id,
      restart_count = 0,
      oom_killed = false,
      networks = { { name = "shop_default", ip_address = `10.0.0.{world.made}` } },
      ports = {},
      mounts = {},
    }
    world.containers[one.id] = one
    return one
  end
  local function get(name)
    for id, one in world.containers do
      if id == name or one.name == name then
        return one
      end
    end
    error({ code = "docker.not_found", message = `there is no container {name}` }, 0)
  end
  local function spec(name)
    for _, service in options.services do
      if service.name == name then
        return service
      end
    end
    return nil
  end
  for _, service in options.services do
    world.tags[service.image] = service.image_id
    for number, image_id in service.running or {} do
      local one = add(`shop-{service.name}-{number}`, service.name, number, image_id, "running")
      one.health = service.health
      if service.port then
        one.ports = { { published = service.port, protocol = "tcp" } }
      end
    end
  end
  local function all()
    local list = {}
    for _, one in world.containers do
      table.insert(list, one)
    end
    table.sort(list, function(a, b)
      return a.name < b.name
    end)
    return list
  end

  world.fakes = {
    docker = {
      list = function(given)
        local found = {}
        for _, one in all() do
          local key, value = string.match((given.labels or {})[1] or "", "^(.-)=(.*)$")
          local fits = (key == nil or one.labels[key] == value) and (given.states == nil or one.state == "running")
          if fits then
            table.insert(found, one)
          end
        end
        for _, one in if given.states then options.strangers or {} else {} do
          table.insert(found, one)
        end
        return found
      end,
      inspect = function(name)
        if options.on_look then
          options.on_look(world, get(name))
        end
        return get(name)
      end,
      start = function(name)
        local one = get(name)
        note("start", one.name)
        local fault = (options.broken or {})[one.image_id]
        if fault == "port" then
          error({ code = "docker.failed", message = "port is already allocated" }, 0)
        end
        one.state = "running"
        for key, value in if type(fault) == "table" then fault else {} do
          one[key] = value
        end
      end,
      stop = function(name)
        note("stop", get(name).name)
        get(name).state = "exited"
      end,
      rename = function(name, other)
        note("rename", `{get(name).name} {other}`)
        get(name).name = other
      end,
      remove = function(name)
        note("remove", get(name).name)
        world.containers[get(name).id] = nil
      end,
      tag = function(image, name)
        world.tags[name] = world.tags[image] or image
      end,
      remove_image = function(name)
        world.tags[name] = nil
      end,
      images = function()
        local list = {}
        for name, id in world.tags do
          table.insert(list, { id = id, tags = { name }, digests = {} })
        end
        return list
      end,
      logs = function()
        return { lines = { { text = "no room left" } } }
      end,
      info = function()
        return { docker_root_dir = "/var/lib/docker" }
      end,
    },
    stack = {
      ps = all,
      services = function()
        local list = {}
        for _, service in options.services do
          table.insert(list, {
            name = service.name,
            image = service.image,
            image_id = world.tags[service.image],
            hash = "h",
            replicas = service.replicas or 1,
            completes = service.completes or false,
            alone = service.alone,
            ports = if service.port then { { port = service.port, protocol = "tcp" } } else {},
            writes = {},
          })
        end
        return list
      end,
      plan = function()
        local actions = {}
        for _, service in options.services do
          for number = 1, service.replicas or 1 do
            local name = `shop-{service.name}-{number}`
            local ok, found = aegis.try(get, name)
            local action = { kind = "container", service = service.name, number = number, name = name }
            if not ok then
              action.verb, action.reasons = "create", { "there is none" }
              table.insert(actions, action)
            elseif found.image_id ~= world.tags[service.image] then
              action.verb, action.id, action.reasons = "recreate", found.id, { "another image" }
              table.insert(actions, action)
            elseif found.state == "exited" then
              action.verb, action.id, action.reasons = "start", found.id, { "it is exited" }
              table.insert(actions, action)
            end
          end
          for _, found in all() do
            local number = tonumber(found.labels["com.docker.compose.container-number"]) or 0
            local is_own = found.name == `shop-{service.name}-{number}`
            if is_own and number > (service.replicas or 1) then
              local action = { kind = "container", service = service.name, number = number, name = found.name }
              action.verb, action.id, action.reasons = "remove", found.id, { "1 are enough" }
              table.insert(actions, action)
            end
          end
        end
        return { project = "shop", actions = actions, missing = options.missing or {}, warnings = {} }
      end,
      prepare = function()
        if options.unreachable then
          error({ code = "docker.registry", message = "the registry does not answer" }, 0)
        end
        for name, id in options.newer or {} do
          world.tags[name] = id
        end
        return { changed = true }
      end,
      create = function(_, service, given)
        local image = given.image or world.tags[spec(service).image]
        local one = add(given.name, service, given.number, image, "created", given.labels)
        one.health = spec(service).health
        note("create", given.name)
        return { id = one.id }
      end,
    },
    host = {
      listeners = function()
        return options.listeners or {}
      end,
      disks = function()
        return { { mount = "/", available_bytes = options.free or 1e12 } }
      end,
    },
    jobs = {
      runs = function(given)
        local key = "deploy/shop"
        if given.states[1] == "running" then
          return { { id = "01jtest0000000000000000000", key = if options.no_key then nil else key } }
        end
        return if options.newer_run then { { id = options.newer_run, key = key } } else {}
      end,
    },
  }
  function world.state()
    local list = {}
    for _, one in all() do
      table.insert(list, `{one.name} {one.id} {one.image_id} {one.state}`)
    end
    return list
  end
  return world
end

local function deploy(world, params, more)
  local all = { stack = "shop" }
  for key, value in params or {} do
    all[key] = value
  end
  local given = { params = all, fakes = world.fakes }
  for key, value in more or {} do
    given[key] = value
  end
  local ok, result, seen = test.try(given.file or "deploy.lua", given)
  return { ok = ok, result = result, seen = seen }
end

local function shop(options)
  local all = {
    services = {
      { name = "db", image = "db:1", image_id = "d1", running = { "d1" }, alone = "it writes to data" },
      { name = "web", image = "web:1", image_id = "w2", running = { "w1", "w1" }, replicas = 2, health = "healthy" },
    },
  }
  for key, value in options or {} do
    all[key] = value
  end
  return engine(all)
end

test.describe("deploy", function()
  test.it("starts the new one first, and switches when it is well", function()
    local world = shop()
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
    expect(world.log[2]).to_be("stop shop-db-1")
    expect(world.log[3]).to_be("start shop-db-1.next.00000000")
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
      local world = shop { broken = { w2 = case[1] } }
      local before = world.state()
      local done = deploy(world)
      expect(done.ok).to_be(false)
      expect(done.result.message).to_contain(case[2])
      expect(world.state()).to_equal(before)
    end)
  end

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
      local world = shop(case[1])
      local done = deploy(world)
      expect(done.ok).to_be(false)
      expect(done.result.code).to_be("rollout.preflight")
      expect(done.result.message).to_contain(case[2])
      expect(world.log).to_equal({})
    end)
  end

  test.it("touches nothing when an image cannot be had", function()
    local world = shop { unreachable = true }
    local done = deploy(world)
    expect(done.result.code).to_be("docker.registry")
    expect(done.result.message).to_be(
      "shop is as it was before: the registry does not answer; nothing had been switched"
    )
    expect(world.log).to_equal({})
    expect(done.seen.kv["shared:rollouts/shop/01jtest0000000000000000000"].outcome).to_be("refused")
  end)

  test.it("gives way to a newer deployment that waits, and not to an older one", function()
    local done = deploy(shop { newer_run = "01jtest1000000000000000000" })
    expect(done.result.code).to_be("rollout.superseded")
    expect(done.result.message).to_contain("run 01jtest1000000000000000000 is newer")
    expect(deploy(shop { newer_run = "01jtest00000000000000000" }).ok).to_be(true)
    expect(deploy(shop { no_key = true }).result.code).to_be("rollout.no_key")
  end)

  test.it("waits for a person who sees the plan, and changes nothing when they say no", function()
    local world, shown = shop(), nil
    local function decide(seen)
      shown = seen
      return false
    end
    local done = deploy(world, { approve = true }, { approvals = { switch = decide } })
    expect(done.result.code).to_be("approval.rejected")
    expect(shown.plan[1]).to_be(
      "recreate shop-web-1: another image, start-first: two of it can run at once"
    )
    expect(world.log).to_equal({})
  end)

  test.it("tells in a dry run what it would do", function()
    local world = shop()
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
    local world = shop()
    expect(deploy(world, { keep = 1 }).ok).to_be(true)
    expect(world.state()[2]).to_contain("shop-web-1 ")
    expect(world.state()[3]).to_contain("shop-web-1.kept.00000000 id2 w1 exited")
  end)
end)

test.describe("rollback", function()
  local function rolled(to)
    local world = shop()
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

  test.it("names what there is no record of", function()
    local done = rolled("nonesuch")
    expect(done.result.code).to_be("rollout.no_record")
    expect(done.result.message).to_be("shop has no rollout nonesuch")
  end)
end)
