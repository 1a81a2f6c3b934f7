local test = require("@std/test")
local expect = test.expect

local NUMBER = "com.docker.compose.container-number"

-- What the files want of a stack, against what there is.
local function planned(services, tags, by_name)
  local actions = {}
  local function act(verb, service, number, found, reason)
    local name = `shop-{service.name}-{number}`
    local id = if found then found.id else nil
    local action = { kind = "container", verb = verb, service = service.name, number = number, name = name, id = id }
    action.reasons = { reason }
    table.insert(actions, action)
  end
  for _, service in services do
    local wanted = service.replicas or 1
    for number = 1, math.max(wanted, 3) do
      local found = by_name(`shop-{service.name}-{number}`)
      if found and number > wanted then
        act("remove", service, number, found, "too many")
      elseif found and found.image_id ~= tags[service.image] then
        act("recreate", service, number, found, "another image")
      elseif found and found.state == "exited" then
        act("start", service, number, found, "it is exited")
      elseif found == nil and number <= wanted then
        act("create", service, number, nil, "there is none")
      end
    end
  end
  return actions
end

-- An engine with a stack `shop`: `services` says what its files want, `running` which images its containers have. A
-- container of an image in `broken` is what that says as soon as it has started.
local function engine(options)
  local world = { containers = {}, tags = {}, log = {}, made = 0 }
  local function add(name, service, number, image_id, state, labels)
    world.made += 1
    local one = { id = `id{world.made}`, name = name, state = state, image_id = image_id, labels = table.clone(labels) }
    one.labels["com.docker.compose.service"], one.labels[NUMBER] = service, tostring(number)
    one.restart_count, one.oom_killed, one.ports, one.mounts = 0, false, {}, {}
    one.networks = { { name = "shop_default", ip_address = `10.0.0.{world.made}` } }
    world.containers[one.id] = one
    return one
  end
  local function find(name)
    for id, one in world.containers do
      if id == name or one.name == name then
        return one
      end
    end
    return nil
  end
  local function get(name)
    return find(name) or error({ code = "docker.not_found", message = `there is no container {name}` }, 0)
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
  local function image_of(name)
    for _, service in options.services do
      if service.name == name then
        return world.tags[service.image]
      end
    end
    return nil
  end
  for _, service in options.services do
    world.tags[service.image] = service.image_id
    for number, image_id in service.running do
      add(`shop-{service.name}-{number}`, service.name, number, image_id, "running", {})
    end
  end

  local docker = {}
  function docker.list(given)
    local found = {}
    for _, one in all() do
      local key, value = string.match((given.labels or {})[1] or "", "^(.-)=(.*)$")
      if key == nil or one.labels[key] == value then
        table.insert(found, one)
      end
    end
    return found
  end
  docker.inspect = get
  function docker.start(name)
    local one = get(name)
    one.state = "running"
    for key, value in (options.broken or {})[one.image_id] or {} do
      one[key] = value
    end
  end
  function docker.stop(name)
    get(name).state = "exited"
  end
  function docker.update(name, given)
    get(name).restart_policy = given.restart
  end
  function docker.rename(name, other)
    get(name).name = other
  end
  function docker.remove(name)
    world.containers[get(name).id] = nil
  end
  function docker.tag(image, name)
    world.tags[name] = world.tags[image] or image
  end
  function docker.remove_image(name)
    world.tags[name] = nil
  end
  function docker.images()
    local list = {}
    for name, id in world.tags do
      table.insert(list, { id = id, tags = { name }, digests = {} })
    end
    return list
  end
  function docker.logs()
    return { lines = {} }
  end
  function docker.info()
    return { docker_root_dir = "/var/lib/docker" }
  end

  local stack = { ps = all }
  function stack.services()
    local list = {}
    for _, service in options.services do
      local one = { name = service.name, image = service.image, image_id = world.tags[service.image], hash = "h" }
      one.replicas, one.alone, one.completes = service.replicas or 1, service.alone, false
      one.ports, one.writes, one.needs, one.shares = {}, {}, {}, {}
      table.insert(list, one)
    end
    return list
  end
  function stack.plan()
    return { actions = planned(options.services, world.tags, find), missing = {}, warnings = {} }
  end
  function stack.prepare()
    return { changed = false }
  end
  function stack.create(_, service, given)
    table.insert(world.log, `create {given.name}`)
    return { id = add(given.name, service, given.number, given.image or image_of(service), "created", given.labels).id }
  end

  local function runs(given)
    return if given.states[1] == "running" then { { id = "01jtest0000000000000000000", key = "deploy/shop" } } else {}
  end
  local function disks()
    return { { mount = "/", available_bytes = 1e12 } }
  end
  local function listeners()
    return {}
  end
  world.fakes =
    { docker = docker, stack = stack, host = { listeners = listeners, disks = disks }, jobs = { runs = runs } }
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
  local given = { params = table.clone(params), fakes = world.fakes }
  given.params.stack = "shop"
  for key, value in more or {} do
    given[key] = value
  end
  local ok, result, seen = test.try(given.file or "deploy.lua", given)
  return { ok = ok, result = result, seen = seen }
end

-- A HAProxy of which each look finds ten more requests, of which so many have failed.
local function edge(failed, requests)
  local servers, log = {}, {}
  for _, name in { "blue1", "blue2", "green1", "green2" } do
    servers[name] = { name = name, state = "maint", up = true, requests = 0, errors = 0, weight = 0 }
  end
  local proxy = { kind = "haproxy", log = log }
  proxy.by_name = servers
  function proxy:servers()
    local list = {}
    for _, server in servers do
      server.requests += requests or 10
      server.errors += failed
      table.insert(list, table.clone(server))
    end
    return list
  end
  function proxy:set_weight(_, name, weight)
    servers[name].weight = weight
  end
  function proxy:set_address(_, name, address, port)
    servers[name].address, servers[name].port = address, port
  end
  function proxy:set_state(_, name, state)
    servers[name].state = state
  end
  function proxy:drain(_, name)
    table.insert(log, `{name} drains`)
  end
  function proxy.shares()
    local shares = {}
    for _, name in { "blue1", "blue2", "green1", "green2" } do
      table.insert(shares, `{servers[name].state} {servers[name].weight}`)
    end
    return shares
  end
  return proxy
end

test.describe("deploy behind a proxy", function()
  local function through(proxy, params)
    local world = engine { services = { { name = "web", image = "web:1", image_id = "w2", running = { "w1" } } } }
    world.fakes.proxy = {
      open = function()
        return proxy
      end,
    }
    local all = { proxy = "edge", places = { web = { backend = "web", port = 8080 } }, interval = 10, soak = 0 }
    for key, value in params do
      all[key] = value
    end
    local before = world.state()
    return deploy(world, all), world, before
  end

  test.it("sends a growing share to the new one, and watches each step", function()
    local proxy = edge(0)
    local done, world = through(proxy, { strategy = "canary", steps = { "10:20s", "50:10s" } })
    expect(done.ok).to_be(true)
    expect(proxy.shares()).to_equal { "maint 0", "maint 0", "ready 256", "maint 0" }
    expect(world.state()).to_equal { "shop-web-1 id2 w2 running" }
    local names = {}
    for _, step in done.seen.steps do
      if string.find(step.name, "^web: ") then
        table.insert(names, step.name)
      end
    end
    expect(names).to_equal {
      "web: green joins",
      "web: count",
      "web: 10 % to green",
      "web: sample 1 of 2",
      "web: sample 2 of 2",
      "web: 50 % to green",
      "web: sample 1 of 1",
      "web: 100 % to green",
      "web: blue drains",
    }
  end)

  test.it("takes everything back when too many requests fail", function()
    local proxy = edge(1)
    local done, world, before = through(proxy, { strategy = "canary", steps = { "10:20s" } })
    expect(done.result.code).to_be("rollout.analysis")
    expect(done.result.message).to_contain("web: the new version is worse than it may be: ")
    expect(world.state()).to_equal(before)
    expect(proxy.shares()).to_equal { "ready 256", "maint 0", "maint 0", "maint 0" }
    expect(through(edge(1), { strategy = "canary", steps = { "10:20s" }, failure_limit = 2 }).ok).to_be(true)
  end)

  test.it("switches all at once in blue-green, and needs a proxy for it", function()
    local proxy = edge(0)
    local done = through(proxy, { strategy = "blue-green", soak = 20 })
    expect(done.ok).to_be(true)
    expect(done.seen.slept >= 20).to_be(true)
    expect(proxy.shares()).to_equal { "maint 0", "maint 0", "ready 256", "maint 0" }
    for _, strategy in { "blue-green", "canary" } do
      expect(deploy(engine { services = {} }, { strategy = strategy }).result.code).to_be("rollout.no_proxy")
    end
    expect(through(proxy, { strategy = "canary", steps = { "ten" } }).result.code).to_be("deploy.steps")
  end)
end)

test.describe("a stack behind a proxy", function()
  local places = { web = { backend = "web", port = 8080 } }
  local function web(options)
    local service = { name = "web", image = "web:1", image_id = "w2", running = { "w1" } }
    for key, value in options or {} do
      service[key] = value
    end
    return service
  end
  local function begin(proxy, service)
    local world = engine { services = { service } }
    world.fakes.proxy = {
      open = function(name)
        expect(name).to_be("edge")
        return proxy
      end,
    }
    return world
  end
  local function behind(world, params, more)
    local all = { proxy = "edge", places = places, interval = 10, soak = 0 }
    for key, value in params or {} do
      all[key] = value
    end
    return deploy(world, all, more)
  end

  test.it("stays there: later deployments and the way back go through the same one", function()
    for _, file in { "deploy.lua", "rollback.lua" } do
      local proxy = edge(0)
      local world = begin(proxy, web())
      local first = behind(world)
      expect(first.ok).to_be(true)
      expect(proxy.shares()[3]).to_be("ready 256")
      local kv = first.seen.kv
      expect(kv["shared:rollouts/shop/01jtest0000000000000000000"].proxy).to_equal { name = "edge", places = places }
      if file == "deploy.lua" then
        world.tags["web:1"] = "w3"
      end
      local second = deploy(world, {}, { file = file, kv = kv })
      expect(second.ok).to_be(true)
      expect(proxy.shares()).to_equal { "ready 256", "maint 0", "maint 0", "maint 0" }
    end
  end)

  test.it("is not deployed past it unless that is said", function()
    local world = begin(edge(0), web())
    local kv = behind(world).seen.kv
    local elsewhere = { places = { db = { backend = "db", port = 1 } } }
    local lacking = behind(world, elsewhere, { kv = kv })
    expect(lacking.result.code).to_be("rollout.no_proxy")
    expect(lacking.result.message).to_contain("of shop web stood behind the proxy edge, and this one has no place for it")
    -- A proxy of a job's own has no name by which it is found again.
    kv["shared:rollouts/shop/01jtest0000000000000000000"].proxy.name = nil
    local none = deploy(world, {}, { kv = kv })
    expect(none.result.code).to_be("rollout.no_proxy")
    expect(none.result.message).to_be("the rollout 00000000 of shop went through a proxy, and this one is given none")
    world.tags["web:1"] = "w3"
    expect(deploy(world, { without_proxy = true }, { kv = kv }).ok).to_be(true)
  end)

  test.it("gets all containers of a service anew as soon as one is, in the colour that does not serve", function()
    local proxy = edge(0)
    local service = web()
    local world = begin(proxy, service)
    local kv = behind(world).seen.kv
    service.replicas = 2
    world.log = {}
    local done = deploy(world, {}, { kv = kv })
    expect(done.ok).to_be(true)
    expect(table.find(world.log, "create shop-web-1.next.00000000") ~= nil).to_be(true)
    expect(proxy.shares()).to_equal { "ready 128", "ready 128", "maint 0", "maint 0" }
    local addresses = {}
    for _, one in world.containers do
      expect(one.labels["aegis.color"]).to_be("blue")
      addresses[one.networks[1].ip_address] = true
    end
    expect(addresses[proxy.by_name.blue1.address]).to_be(true)
    expect(addresses[proxy.by_name.blue2.address]).to_be(true)
  end)

  test.it("leaves what has stopped of another service as it is, and starts it", function()
    local proxy = edge(0)
    local world = engine {
      services = { web(), { name = "zoo", image = "zoo:1", image_id = "z1", running = { "z1" } } },
    }
    world.fakes.proxy = begin(proxy, web()).fakes.proxy
    local zoo = nil
    for id, one in world.containers do
      if one.name == "shop-zoo-1" then
        zoo, one.state = id, "exited"
      end
    end
    expect(behind(world).ok).to_be(true)
    expect(world.containers[zoo].state).to_be("running")
  end)

  test.it("is known by another proxy when that is named, and taken from it when that is said", function()
    local proxy = edge(0)
    local world = begin(proxy, web())
    local kv = behind(world).seen.kv
    local record = "shared:rollouts/shop/01jtest0000000000000000000"
    expect(deploy(world, {}, { kv = kv }).ok).to_be(true)
    expect(kv[record].proxy.name).to_be("edge")
    local without = deploy(world, { without_proxy = true }, { kv = kv })
    expect(without.result.changed).to_be(false)
    expect(kv[record].proxy).to_be(nil)
    expect(behind(world, {}, { kv = kv }).result.changed).to_be(false)
    expect(kv[record].proxy.name).to_be("edge")
  end)

  test.it("is found again at other addresses, also when there is nothing else to do", function()
    local proxy = edge(0)
    local world = begin(proxy, web())
    local kv = behind(world).seen.kv
    expect(deploy(world, {}, { kv = kv }).result.readmitted).to_equal {}
    local serving = world.containers.id2
    -- A restart of the host gives it another address; HAProxy's own makes it forget both colours.
    for _, forgets in { false, true } do
      serving.networks[1].ip_address = if forgets then "10.0.9.9" else "10.0.9.8"
      for _, server in if forgets then proxy.by_name else {} do
        server.state, server.address, server.port = "maint", "127.0.0.1", 1
      end
      local plan = deploy(world, {}, { kv = kv, dry_run = true }).result.plan
      expect(plan).to_equal { "tell the proxy where the containers of web are" }
      local done = deploy(world, {}, { kv = kv })
      expect(done.result.changed).to_be(false)
      expect(done.result.readmitted).to_equal { "web" }
      expect(proxy.shares()).to_equal { "maint 0", "maint 0", "ready 256", "maint 0" }
      expect(proxy.by_name.green1.address).to_be(serving.networks[1].ip_address)
      expect(world.state()).to_equal { "shop-web-1 id2 w2 running" }
    end
  end)

  test.it("is replaced also when the proxy cannot reach what runs, and told of when nothing is to be replaced", function()
    local proxy = edge(0)
    local world = begin(proxy, web())
    local kv = behind(world).seen.kv
    world.containers.id2.networks[1].ip_address = "10.0.9.9"
    local set_address = proxy.set_address
    function proxy:set_address(backend, name, address, port)
      set_address(self, backend, name, address, port)
      proxy.by_name[name].up = address ~= "10.0.9.9"
    end
    local told = deploy(world, {}, { kv = kv })
    expect(told.result.code).to_be("rollout.proxy")
    expect(told.result.message).to_contain("HAProxy does not see green of web within 30 s")
    -- Of several, those that it does see serve.
    expect(proxy.shares()[3]).to_be("ready 256")
    -- That run had the id of the one before: what it says of itself takes the place of that one's record.
    kv = behind(begin(edge(0), web())).seen.kv
    world.tags["web:1"] = "w3"
    local done = deploy(world, {}, { kv = kv })
    expect(done.ok).to_be(true)
    expect(done.result.readmitted).to_equal {}
    expect(world.state()).to_equal { "shop-web-1 id3 w3 running" }
  end)

  test.it("tells who watches it that its proxy has other addresses", function()
    local proxy = edge(0)
    local world = begin(proxy, web())
    local kv = behind(world).seen.kv
    local function watched()
      local fakes = table.clone(world.fakes)
      fakes.stack = table.clone(fakes.stack)
      fakes.stack.names, fakes.stack.rollout = { "shop" }, function() end
      fakes.alerts = { report = function() end }
      return test.run("stack_watch.lua", { kv = kv, fakes = fakes, params = { route = "" } }).drifted
    end
    expect(watched()).to_equal {}
    world.containers.id2.networks[1].ip_address = "10.0.9.9"
    local lines = { "web: its load balancer does not send all requests to its containers" }
    expect(watched()).to_equal { { stack = "shop", actions = lines } }
    function proxy:servers()
      error({ code = "proxy.unavailable", message = "nobody answers" }, 0)
    end
    expect(watched()[1].actions).to_equal { "its load balancer cannot be asked: nobody answers" }
  end)

  test.it("gives the new one to whoever has a header before everybody gets it", function()
    local proxy, marked = edge(0), { web = { backend = "web", match_backend = "beta", port = 8080 } }
    local seen = {}
    local set_weight = proxy.set_weight
    function proxy:set_weight(backend, name, weight)
      set_weight(self, backend, name, weight)
      if weight > 0 then
        table.insert(seen, `{backend} {name} {weight}`)
      end
    end
    local params = { strategy = "ab", places = marked, match = { header = "X-Beta", value = "1" }, steps = { "0:20s" } }
    local done = behind(begin(proxy, web()), params)
    expect(done.ok).to_be(true)
    expect(seen[1]).to_be("web blue1 256")
    expect(seen[2]).to_be("beta green1 256")
    expect(seen[3]).to_be("web green1 256")
    local names = {}
    for _, step in done.seen.steps do
      table.insert(names, step.name)
    end
    expect(table.find(names, "web: 0 %, and all with X-Beta: 1, to green") ~= nil).to_be(true)
    expect(done.seen.kv["shared:rollouts/shop/01jtest0000000000000000000"].strategy).to_be("ab")
  end)

  test.it("has its requests back at the old one that was stopped first when a later service fails", function()
    local proxy = edge(0)
    local world = engine {
      services = {
        web { alone = "it writes to data" },
        { name = "zoo", image = "zoo:1", image_id = "z2", running = { "z1" } },
      },
      broken = { z2 = { oom_killed = true } },
    }
    world.fakes.proxy = begin(proxy, web()).fakes.proxy
    local before = world.state()
    local done = behind(world)
    expect(done.result.code).to_be("rollout.unwell")
    expect(world.state()).to_equal(before)
    expect(proxy.shares()).to_equal { "ready 256", "maint 0", "maint 0", "maint 0" }
    expect(proxy.by_name.blue1.address).to_be("10.0.0.1")
  end)

  test.it("has all its old ones behind the proxy again when one of them was too many", function()
    local proxy = edge(0)
    local world = engine {
      services = {
        web { running = { "w2", "w2" }, replicas = 1 },
        { name = "zoo", image = "zoo:1", image_id = "z2", running = { "z1" } },
      },
      broken = { z2 = { oom_killed = true } },
    }
    world.fakes.proxy = begin(proxy, web()).fakes.proxy
    local before = world.state()
    expect(behind(world).result.code).to_be("rollout.unwell")
    expect(world.state()).to_equal(before)
    expect(proxy.shares()).to_equal { "ready 128", "ready 128", "maint 0", "maint 0" }
  end)

  test.it("does not take silence for success, nor a server that is down", function()
    local canary = { strategy = "canary", steps = { "10:20s" } }
    local quiet = behind(begin(edge(0, 0), web()), canary)
    expect(quiet.result.code).to_be("rollout.analysis")
    expect(quiet.result.message).to_contain("it got 0 requests, and 1 are the least")
    canary.min_requests = 0
    expect(behind(begin(edge(0, 0), web()), canary).ok).to_be(true)
    local proxy = edge(0)
    local set_weight = proxy.set_weight
    function proxy:set_weight(backend, name, weight)
      set_weight(self, backend, name, weight)
      proxy.by_name[name].up = weight == 0 or name ~= "green1"
    end
    local down = behind(begin(proxy, web()), canary)
    expect(down.result.code).to_be("rollout.analysis")
    expect(down.result.message).to_contain("0 of 1 servers are up")
  end)

  for what, case in
    {
      ["a place for nobody"] = { {}, { places = { wbe = places.web } }, 'the proxy has a place for "wbe", and shop has no' },
      ["no places"] = { {}, { places = {} }, "the proxy stands before no service of shop" },
      ["a canary of what cannot run twice"] = {
        { alone = "it writes to data" },
        { strategy = "canary" },
        "web: its containers are replaced stop-first (it writes to data), so that canary can send nothing to both",
      },
      ["several that cannot run side by side"] = {
        { alone = "it has a fixed address", replicas = 2 },
        {},
        "web: 2 containers behind the proxy cannot be replaced stop-first (it has a fixed address)",
      },
      ["too few servers"] = { { replicas = 3 }, {}, "the backend web has 2 servers for blue, and web has 3 containers" },
      ["a split that HAProxy has no route for"] = {
        {},
        { strategy = "ab", match = { header = "X-Beta", value = "1" } },
        "HAProxy takes no rule for X-Beta while it runs, and the place of web has no match_backend",
      },
      ["a split by nothing"] = { {}, { strategy = "ab" }, "an A/B split needs a proxy that looks at requests" },
      ["a split by two things"] = {
        {},
        { strategy = "ab", match = { header = "a", cookie = "b", value = "1" } },
        "match has either a header or a cookie, and its value",
      },
      ["a step above everything"] = { {}, { strategy = "canary", steps = { "101:1m" } }, "a step has the weight 101" },
      ["a step of nothing"] = { {}, { strategy = "canary", steps = { "0:1m" } }, "a step has the weight 0" },
    }
  do
    test.it(`is not touched with {what}`, function()
      local world = begin(edge(0), web(case[1]))
      local done = behind(world, case[2])
      expect(done.ok).to_be(false)
      expect(done.result.message).to_contain(case[3])
      expect(done.result.hint ~= nil).to_be(true)
      expect(world.log).to_equal {}
    end)
  end
end)
