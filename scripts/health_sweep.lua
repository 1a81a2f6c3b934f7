-- Looks at containers, endpoints, ports, databases, load balancers and disks, and raises and ends alerts. Who is told of
-- them stands in the configuration under `alerts.routes`.
--
-- Name the hosts that it may ask under `http` below, and the databases under `sql`, `redis` and `graph`. What is asked
-- comes from the parameters, or from this job's key-value store where they are empty:
--   aegis repl -e 'aegis.kv.set("endpoints", { "https://www.example.com/health" })'

local health = require("@std/health")
local join = require("@std/table").concat

-- What a load balancer finds down for longer than this, people hear of.
local PATIENCE_SECONDS = 120

return aegis.job {
  description = "Looks at containers, endpoints, ports, databases, load balancers and disks, and raises and ends alerts",
  schedule = { every = "5m" },
  timeout = "2m",
  overlap = "skip",
  permissions = {
    docker = "read",
    host = "read",
    http = { "localhost", "127.0.0.1", "*.example.com" },
    sql = { main = "read" },
    redis = { main = "read" },
    graph = { knowledge = "read" },
    proxy = "read",
  },
  params = {
    containers = { type = "string", default = "", description = "Only containers whose name contains this" },
    endpoints = { type = "list", default = {}, description = "URLs that must answer with a status below 400" },
    ports = { type = "list", default = {}, description = "Ports that must take connections, as host:port" },
    disk_wait = { type = "number", default = 30, max = 100, description = "Percent of waiting for disks that is too much" },
    quiet = { type = "boolean", default = false, description = "Raise and end no alert" },
  },
  ui = { group = "Health", button = "Sweep now" },

  run = function(ctx)
    local function configured(name)
      return if #ctx.params[name] > 0 then ctx.params[name] else aegis.kv.get(name) or {}
    end
    local restarts_before = aegis.kv.get("restarts") or {}
    local containers, ill = health.look_at_containers(ctx.params.containers, restarts_before)
    local endpoints, unanswered = health.look_at_endpoints(ctx, configured("endpoints"))
    local ports, closed = health.look_at_ports(ctx, configured("ports"))
    local databases, silent = health.look_at_databases(ctx)
    local proxies, down = health.look_at_proxies(ctx, PATIENCE_SECONDS)
    local disk_wait, waiting = health.look_at_disk_wait(ctx.params.disk_wait)
    local findings = join(ill, unanswered, closed, silent, down, waiting)
    for _, one in findings do
      ctx:log(if one.severity == "critical" then "error" else "warn", one.summary, one.labels)
    end

    -- A look at some containers only must not take the others for recovered.
    local told = { raised = {}, cleared = {} }
    if ctx.params.containers == "" and not ctx.params.quiet then
      told = health.tell(findings)
      local restarts = {}
      for _, container in containers do
        restarts[container.name] = container.restarts
      end
      aegis.kv.set("restarts", restarts)
    end
    for _, summary in told.cleared do
      ctx:log("info", `over: {summary}`)
    end

    local checked = #containers + #endpoints + #ports + #databases + #proxies + 1
    print(`looked at {checked} things, {#containers} containers among them: {#findings} findings`)
    -- Marked as lists, so that they stay lists when they are empty.
    return {
      checked = checked,
      containers = aegis.json.list(containers),
      endpoints = aegis.json.list(endpoints),
      ports = aegis.json.list(ports),
      databases = aegis.json.list(databases),
      proxies = aegis.json.list(proxies),
      disk_wait_percent = disk_wait,
      findings = aegis.json.list(findings),
      raised = #told.raised,
      cleared = #told.cleared,
    }
  end,
}
