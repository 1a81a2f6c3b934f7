-- What tests of deployments share: an engine with a stack, and a run of the job `deploy` on it.

local test = require("@std/test")

-- An engine with a stack `shop`: `services` says what its files want, `running` which images its containers have. A new
-- container of an image in `broken` does what that says.
local function engine(options)
  local world = { containers = {}, tags = {}, log = {}, stopped = {}, made = 0, clock = 1000 }
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
      restart_policy = "always",
      started_at = aegis.time.parse(world.made),
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
          error({ code = "docker.engine", message = "port is already allocated", retryable = true }, 0)
        end
        if options.on_start then
          options.on_start(world, one)
        end
        one.state = "running"
        world.clock += 1
        one.started_at = aegis.time.parse(world.clock)
        for key, value in if type(fault) == "table" then fault else {} do
          one[key] = value
        end
      end,
      stop = function(name)
        note("stop", get(name).name)
        table.insert(world.stopped, `{get(name).name} {get(name).restart_policy}`)
        get(name).state = "exited"
      end,
      restart = function(name)
        note("restart", get(name).name)
        world.clock += 1
        get(name).started_at = aegis.time.parse(world.clock)
      end,
      update = function(name, given)
        get(name).restart_policy = given.restart
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
        note("untag", name)
        if options.on_untag then
          options.on_untag(name)
        end
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
            needs = service.needs or {},
            shares = service.shares or {},
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
            if not ok and world.left_over then
              ok, found = aegis.try(get, world.left_over)
            end
            local action = { kind = "container", service = service.name, number = number, name = name }
            if not ok then
              action.verb, action.reasons = "create", { "there is none" }
              table.insert(actions, action)
            elseif found.image_id ~= world.tags[service.image] then
              action.verb, action.id = "recreate", found.id
              action.reasons = { `{service.image} is another image now` }
              table.insert(actions, action)
            elseif found.name ~= name then
              action.verb, action.id, action.reasons = "rename", found.id, { "it is left over" }
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
      prepare = function(_, given)
        local kept = {}
        for _, name in given.keep_images or {} do
          kept[spec(name).image] = true
        end
        if options.unreachable then
          error({ code = "docker.registry", message = "the registry does not answer" }, 0)
        end
        for name, id in options.newer or {} do
          world.tags[name] = if kept[name] then world.tags[name] else id
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
        return if options.newer_run then { { id = options.newer_run, key = key, dry_run = options.is_dry == true } } else {}
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

local function stack(options)
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

return { engine = engine, deploy = deploy, stack = stack }
