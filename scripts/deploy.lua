-- Deploys a stack: looks whether it can be done, replaces its containers one after the other, and is back at the old ones
-- by itself when a new one does not become well.
--   aegis deploy shop
--   aegis deploy shop --approve --refresh
-- Behind a load balancer of the configuration, blue-green and canary too:
--   aegis deploy shop --strategy canary -p proxy=edge -p 'places={"web": {"backend": "web", "port": 8080}}'
--   aegis deploy shop --strategy ab -p 'match={"header": "X-Beta", "value": "1"}' -p 'steps=["0:1h"]'
-- Later deployments go through the same one, at the same places, unless others are given.

local rollout = require("@std/rollout")

-- `10:2m` is 10 % for two minutes.
local function step(text)
  local weight, pause = string.match(text, "^(%d+):(.+)$")
  if weight == nil then
    error({ code = "deploy.steps", message = `"{text}" is no step`, hint = "write PERCENT:DURATION, such as 10:2m" }, 0)
  end
  return { weight = tonumber(weight), pause = pause }
end

local function steps(texts)
  local list = {}
  for _, text in texts do
    table.insert(list, step(text))
  end
  return list
end

return aegis.job {
  description = "Deploys a stack, health-gated, and brings back what was there when that fails",
  resume = true,
  -- Longer than a person may take to approve.
  timeout = "30h",
  -- Stacks of different names at once, deployments of one stack one after the other; of those that wait, the newest.
  overlap = "parallel",
  concurrency = { key = "deploy/${stack}", limit = 1 },
  permissions = {
    -- Files that reach the host need admin, builds write on everything.
    docker = "admin",
    stack = { "*" },
    proxy = "write",
    host = "read",
    kv = { "shared:rollouts" },
    runs = { "deploy", "rollback" },
  },
  params = {
    stack = { type = "string", required = true, description = "A stack of the configuration" },
    strategy = {
      type = "string",
      default = "rolling",
      choices = { "rolling", "blue-green", "canary", "ab" },
      description = "How the new version takes over",
    },
    approve = { type = "boolean", default = false, description = "Wait for a person before anything is touched" },
    refresh = { type = "boolean", default = false, description = "Ask for newer images, and build anew" },
    force = { type = "boolean", default = false, description = "Replace every container" },
    min_healthy = { type = "duration", default = "10s", description = "How long one without a health check must run" },
    healthy_deadline = { type = "duration", default = "5m", description = "Until a container must be well" },
    keep = { type = "integer", default = 0, min = 0, max = 5, description = "Rollouts whose old containers stay" },
    proxy = { type = "string", default = "", description = "A load balancer of the configuration; that of the last deployment when empty" },
    places = { type = "map", default = {}, description = "By service: its backend and port behind the load balancer" },
    steps = { type = "list", default = {}, description = "Of a canary: percent, and for how long; 10:2m and 50:5m when empty" },
    match = { type = "map", default = {}, description = "Requests that get the new version first: header or cookie, and value" },
    without_proxy = { type = "boolean", default = false, description = "Stop going through the load balancer" },
    min_requests = { type = "integer", min = 0, description = "With fewer between two looks one is bad: 1, for ab 0" },
    soak = { type = "duration", default = "30s", description = "How long the old colour waits" },
    interval = { type = "duration", default = "10s", description = "Between two looks at what requests come to" },
    failure_limit = { type = "integer", default = 0, min = 0, description = "Looks that may be bad" },
    forbid = { type = "list", default = {}, description = "Texts that no new container may print" },
    disk_free = { type = "size", default = 1073741824, description = "What Docker's disk must have left" },
  },
  ui = { group = "Deployments", button = "Deploy", confirm = "Containers will be replaced. Go on?" },

  run = function(ctx)
    local p = ctx.params
    local proxy = nil
    if p.proxy ~= "" then
      proxy = rollout.through(p.proxy, p.places)
    elseif not p.without_proxy then
      proxy = rollout.remembered(ctx, p.stack)
    end
    return rollout.deploy(ctx, p.stack, p.strategy, {
      approve = if p.approve then "1d" else nil,
      refresh = p.refresh,
      force = p.force,
      min_healthy = p.min_healthy,
      healthy_deadline = p.healthy_deadline,
      keep = p.keep,
      forbid = if #p.forbid > 0 then p.forbid else nil,
      disk_free_bytes = p.disk_free,
      rivals = { "rollback" },
      proxy = proxy,
      without_proxy = p.without_proxy,
      min_requests = p.min_requests,
      steps = if #p.steps > 0 then steps(p.steps) else nil,
      match = if next(p.match) ~= nil then p.match else nil,
      soak = p.soak,
      interval = p.interval,
      failure_limit = p.failure_limit,
    })
  end,
}
