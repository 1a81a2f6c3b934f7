-- An inventory of all containers with what they use now.

local function use_of(container)
  if container.state ~= "running" then
    return {}
  end
  local ok, stats = aegis.try(aegis.docker.stats, container.id)
  -- It may have ended since it was listed.
  return if ok then stats else {}
end

-- The number, or `otherwise` for what was not measured.
local function measured(value, otherwise)
  return if type(value) == "number" then value else otherwise
end

local function mebibytes(bytes)
  return if type(bytes) == "number" then string.format("%.1f MiB", bytes / 1048576) else "-"
end

local function percent(value)
  return if type(value) == "number" then string.format("%.1f %%", value) else "-"
end

return aegis.job {
  description = "Lists every container with its state, processor and memory use",
  timeout = "2m",
  permissions = { docker = "read" },
  params = {
    sort = { type = "string", default = "memory", choices = { "memory", "cpu", "name" }, description = "Largest first" },
    stopped = { type = "boolean", default = true, description = "List stopped containers too" },
  },
  ui = { group = "Containers", button = "Make a report" },

  run = function(ctx)
    local rows, total_memory, total_cpu = {}, 0, 0
    for _, container in aegis.docker.list { all = ctx.params.stopped } do
      local use = use_of(container)
      total_memory += measured(use.memory_bytes, 0)
      total_cpu += measured(use.cpu_percent, 0)
      table.insert(rows, {
        name = container.name,
        image = container.image,
        state = container.state,
        status = container.status,
        cpu_percent = use.cpu_percent,
        memory_bytes = use.memory_bytes,
        memory_limit_bytes = use.memory_limit_bytes,
      })
    end

    local key = if ctx.params.sort == "cpu" then "cpu_percent" else "memory_bytes"
    table.sort(rows, function(a, b)
      local left, right = measured(a[key], -1), measured(b[key], -1)
      if ctx.params.sort == "name" or left == right then
        return a.name < b.name
      end
      return left > right
    end)

    for _, row in rows do
      local cpu, memory = percent(row.cpu_percent), mebibytes(row.memory_bytes)
      print(string.format("%-40s %-10s %9s %12s  %s", row.name, row.state, cpu, memory, row.image))
    end
    print(string.format("%d containers, %.1f %% of a processor, %s", #rows, total_cpu, mebibytes(total_memory)))
    return { containers = aegis.json.list(rows), cpu_percent = total_cpu, memory_bytes = total_memory }
  end,
}
