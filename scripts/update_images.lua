-- Fetches the images of running containers anew, and replaces containers that run an older one than their image's name
-- stands for now. A container is touched only when it has the label `aegis.update=true`; the others that are out of date
-- are told. The new container has all settings of the old one. It must run, and be healthy if it has a health check;
-- otherwise the old one comes back.
--
--   aegis trigger update_images --dry-run --wait     prints the plan
--   aegis trigger update_images --param label= --wait     takes every container

local MARK = "-before-update"

-- What runs, by image, and what an update that was broken off has left behind. Images that are named by their digest
-- cannot have changed.
local function look(names)
  local images, left = {}, {}
  for _, container in aegis.docker.list { names = if #names > 0 then names else nil } do
    local is_pinned = string.find(container.image, "sha256:", 1, true)
    if string.sub(container.name, -#MARK) == MARK then
      table.insert(left, string.sub(container.name, 1, -#MARK - 1))
    elseif container.state == "running" and not is_pinned then
      local known = images[container.image] or { image = container.image, containers = {} }
      table.insert(known.containers, {
        name = container.name,
        id = container.id,
        image_id = container.image_id,
        labels = container.labels,
      })
      images[container.image] = known
    end
  end
  local list = {}
  for _, image in images do
    table.insert(list, image)
  end
  table.sort(list, function(a, b)
    return a.image < b.image
  end)
  return { images = aegis.json.list(list), left = aegis.json.list(left) }
end

-- The id that an image's name stands for on this host.
local function id_of(image)
  local name = if string.find(image, ":[^/]*$") then image else image .. ":latest"
  for _, known in aegis.docker.images { names = { name } } do
    if table.find(known.tags, name) then
      return known.id
    end
  end
  return nil
end

local function fetch(image, dry_run)
  local before = id_of(image)
  local ok, pulled = aegis.try(aegis.docker.pull, image, { dry_run = dry_run, timeout = "20m" })
  return {
    before = before,
    after = if dry_run then before else id_of(image),
    digest = if ok then pulled.digest else nil,
    problem = if ok then nil else pulled.message,
  }
end

local function is_wanted(container, label)
  if label == "" then
    return true
  end
  local key, value = string.match(label, "^([^=]+)=?(.*)$")
  local own = container.labels[key]
  return own ~= nil and (value == "" or own == value)
end

-- Whether a container came up: it runs for as long as `steady`, and is healthy if it has a health check.
local function comes_up(name, steady, deadline)
  local waited = 0
  while waited < deadline do
    local now = aegis.docker.inspect(name)
    if now.state ~= "running" or now.restart_count > 0 or now.health == "unhealthy" then
      return false, `it is {now.health or now.state}`
    end
    if now.health == "healthy" or (now.health == nil and waited >= steady) then
      return true, nil
    end
    aegis.sleep("1s")
    waited += 1
  end
  return false, "it was not healthy in time"
end

-- Whether there is a container of that name.
local function exists(name)
  local ok, problem = aegis.try(aegis.docker.inspect, name)
  if not ok and problem.code ~= "docker.not_found" then
    error(problem, 0)
  end
  return ok
end

-- Puts the old container back in its place, whatever stage its replacement was at.
local function restore(name)
  local old = name .. MARK
  if exists(old) then
    if exists(name) then
      aegis.docker.remove(name, { force = true })
    end
    aegis.docker.rename(old, name)
  end
  aegis.docker.start(name)
end

-- Replaces a container; a second call after a crash begins anew from the old one.
local function replace(name, params)
  local old = name .. MARK
  if exists(old) then
    restore(name)
  end
  aegis.docker.rename(name, old)
  local ok, problem = aegis.try(function()
    aegis.docker.clone(old, name)
    aegis.docker.stop(old)
    aegis.docker.start(name)
    local is_up, why = comes_up(name, params.steady, params.deadline)
    if not is_up then
      error({ code = "update.unhealthy", message = `the new {name} did not come up: {why}` })
    end
  end)
  if not ok then
    restore(name)
    return { name = name, updated = false, problem = problem.message }
  end
  aegis.docker.remove(old)
  return { name = name, updated = true }
end

return aegis.job {
  description = "Fetches images anew and replaces containers that run an older one, each back again if it is not healthy",
  schedule = { cron = "0 2 * * SUN" },
  timeout = "3h",
  overlap = "skip",
  resume = true,
  permissions = { docker = "admin" },
  params = {
    names = { type = "list", default = {}, description = "Names or patterns of containers; all that run when empty" },
    label = { type = "string", default = "aegis.update=true", description = "Only with this label; any when empty" },
    fetch = { type = "boolean", default = true, description = "Ask the registries; otherwise go by the images that are here" },
    steady = { type = "duration", default = "10s", description = "How long one without a health check must run" },
    deadline = { type = "duration", default = "2m", description = "How long a container may take to come up" },
    dry_run = { type = "boolean", default = false, description = "Say what would be done and change nothing" },
  },
  ui = { group = "Maintenance", button = "Update images", confirm = "Containers will be replaced. Go on?" },

  run = function(ctx)
    local params = ctx.params
    local dry_run = params.dry_run or ctx.dry_run
    local found = ctx:step("look at what runs", function()
      return look(params.names)
    end)
    local images = found.images
    for _, name in if dry_run then {} else found.left do
      ctx:log("warn", `an update of {name} was broken off: it runs its old image again`)
      ctx:step(`bring back {name}`, function()
        restore(name)
      end)
    end

    local plan, fetched = {}, {}
    for place, image in images do
      local outcome = { before = nil, after = nil, digest = nil, problem = nil }
      if params.fetch then
        outcome = ctx:step(`fetch {image.image}`, function()
          return fetch(image.image, dry_run)
        end)
      else
        outcome.after = ctx:step(`look at {image.image}`, function()
          return id_of(image.image)
        end)
      end
      if outcome.problem then
        ctx:log("warn", `{image.image} could not be fetched: {outcome.problem}`)
      end
      table.insert(fetched, {
        image = image.image,
        digest = outcome.digest,
        changed = outcome.before ~= nil and outcome.before ~= outcome.after,
        problem = outcome.problem,
      })
      for _, container in image.containers do
        if outcome.after and outcome.after ~= container.image_id then
          local verb = if is_wanted(container, params.label) then "replace" else "leave"
          table.insert(plan, { name = container.name, image = image.image, action = verb })
          print(`{verb} {container.name}: {image.image} is newer than what it runs`)
        end
      end
      ctx:progress(place, #images, image.image)
    end

    local results = {}
    for _, entry in if dry_run then {} else plan do
      if entry.action == "replace" then
        local result = ctx:step(`replace {entry.name}`, function()
          return replace(entry.name, params)
        end)
        if not result.updated then
          ctx:log("error", result.problem)
        end
        table.insert(results, result)
      end
    end

    local failed = 0
    for _, result in results do
      failed += if result.updated then 0 else 1
    end
    aegis.alerts.report {
      name = "image_update",
      ok = failed == 0,
      summary = `{failed} containers could not be updated and run their old image`,
      ttl = "8d",
      dry_run = dry_run,
    }
    return {
      dry_run = dry_run,
      images = aegis.json.list(fetched),
      plan = aegis.json.list(plan),
      replaced = aegis.json.list(results),
      failed = failed,
    }
  end,
}
