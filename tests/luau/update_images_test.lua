local test = require("@std/test")
local expect = test.expect

-- A Docker with containers and the ids that image names stand for, before and after they are fetched.
local function engine(options)
  local docker = { containers = {}, log = {}, ids = table.clone(options.ids) }
  for name, fields in options.containers do
    docker.containers[name] = {
      name = name,
      id = name,
      image = fields.image,
      image_id = fields.image_id or options.ids[fields.image],
      state = "running",
      labels = fields.labels or { ["aegis.update"] = "true" },
      restart_count = 0,
      health = fields.health,
    }
  end
  local function get(name)
    local found = docker.containers[name]
    if not found then
      error({ code = "docker.not_found", message = `there is no {name}` })
    end
    return found
  end
  local function note(verb, name)
    table.insert(docker.log, `{verb} {name}`)
  end
  docker.fakes = {
    list = function()
      local list = {}
      for _, container in docker.containers do
        table.insert(list, container)
      end
      table.sort(list, function(a, b)
        return a.name < b.name
      end)
      return list
    end,
    images = function(given)
      local name = given.names[1]
      return { { id = docker.ids[name], tags = { name } } }
    end,
    pull = function(image, given)
      note("pull", image)
      if options.unreachable then
        error({ code = "docker.registry", message = "no registry" })
      end
      if not given.dry_run then
        docker.ids[image] = options.new[image] or docker.ids[image]
      end
      return { digest = `{image}@sha256:x` }
    end,
    inspect = get,
    rename = function(name, other)
      local container = get(name)
      docker.containers[name], docker.containers[other] = nil, container
      container.name = other
      note("rename", `{name} {other}`)
    end,
    clone = function(name, other)
      local old = get(name)
      local id = docker.ids[old.image]
      docker.containers[other] = {
        name = other,
        image = old.image,
        image_id = id,
        state = "created",
        labels = old.labels,
        restart_count = 0,
        health = if options.sick and id == options.sick then "unhealthy" else old.health,
      }
      note("clone", `{name} {other}`)
    end,
    start = function(name)
      get(name).state = "running"
      note("start", name)
    end,
    stop = function(name)
      get(name).state = "exited"
      note("stop", name)
    end,
    remove = function(name)
      get(name)
      docker.containers[name] = nil
      note("remove", name)
    end,
  }
  return docker
end

local function update(docker, params, more)
  local options = { params = params, fakes = { docker = docker.fakes, alerts = { report = function() end } } }
  for key, value in more or {} do
    options[key] = value
  end
  return test.run("update_images.lua", options)
end

local WEB = { image = "web:1", health = "healthy" }

test.describe("update_images", function()
  test.it("replaces what runs an older image, and nothing else", function()
    local docker = engine {
      containers = { web = WEB, db = { image = "db:1" }, pinned = { image = "x@sha256:1" } },
      ids = { ["web:1"] = "a", ["db:1"] = "b" },
      new = { ["web:1"] = "c" },
    }
    local result = update(docker)
    expect(result.plan).to_equal({ { name = "web", image = "web:1", action = "replace" } })
    expect(result.replaced).to_equal({ { name = "web", updated = true } })
    expect(docker.containers.web.image_id).to_be("c")
    expect(docker.log).to_equal({
      "pull db:1",
      "pull web:1",
      "rename web web-before-update",
      "clone web-before-update web",
      "stop web-before-update",
      "start web",
      "remove web-before-update",
    })
    expect(#update(docker).plan).to_be(0)
  end)

  test.it("brings the old container back when the new one is not healthy", function()
    local docker = engine { containers = { web = WEB }, ids = { ["web:1"] = "a" }, new = { ["web:1"] = "c" }, sick = "c" }
    local result, world = update(docker)
    expect(result.failed).to_be(1)
    expect(result.replaced[1].problem).to_contain("unhealthy")
    expect({ docker.containers.web.image_id, docker.containers.web.state }).to_equal({ "a", "running" })
    expect(docker.containers["web-before-update"]).to_be(nil)
    expect(world.logs[#world.logs].level).to_be("error")
  end)

  test.it("begins anew where a crash left it", function()
    local docker = engine { containers = { web = WEB }, ids = { ["web:1"] = "a" }, new = { ["web:1"] = "c" } }
    -- As if the daemon had gone down before the new one was started: both are there.
    docker.fakes.rename("web", "web-before-update")
    docker.fakes.clone("web-before-update", "web")
    docker.fakes.stop("web-before-update")
    local _, world = update(docker)
    expect(world.logs[1].text).to_contain("broken off")
    expect({ docker.containers.web.image_id, docker.containers.web.state }).to_equal({ "a", "running" })
    expect(docker.containers["web-before-update"]).to_be(nil)
    expect(update(docker).plan[1].name).to_be("web")
    expect(docker.containers.web.image_id).to_be("c")
  end)

  test.it("touches only what has the label, and tells of the others", function()
    local docker = engine {
      containers = { web = { image = "web:1", labels = {} } },
      ids = { ["web:1"] = "a" },
      new = { ["web:1"] = "c" },
    }
    local result = update(docker)
    expect(result.plan[1].action).to_be("leave")
    expect(#result.replaced).to_be(0)
    expect(update(docker, { label = "" }).replaced[1].updated).to_be(true)
  end)

  test.it("changes nothing in a dry run, and prints the plan", function()
    local docker = engine { containers = { web = { image = "web:1", image_id = "old" } }, ids = { ["web:1"] = "a" }, new = {} }
    for _, way in { { { dry_run = true } }, { nil, { dry_run = true } } } do
      local result = update(docker, way[1], way[2])
      expect(result.plan[1].action).to_be("replace")
      expect(#result.replaced).to_be(0)
    end
    expect(docker.log).to_equal({ "pull web:1", "pull web:1" })
  end)

  test.it("goes by the images that are here when a registry does not answer", function()
    local docker = engine {
      containers = { web = { image = "web:1", image_id = "old" } },
      ids = { ["web:1"] = "a" },
      new = {},
      unreachable = true,
    }
    local result, world = update(docker)
    expect(result.images[1].problem).to_be("no registry")
    expect(world.logs[1].level).to_be("warn")
    expect(result.replaced[1].updated).to_be(true)
  end)
end)
