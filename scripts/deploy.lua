-- Deploys a stack: looks whether it can be done, replaces its containers one after the other, and is back at the old ones
-- by itself when a new one does not become well.
--   aegis deploy shop
--   aegis deploy shop --strategy canary --approve
--
-- Blue-green and canary need a proxy: name it below.

local rollout = require("@std/rollout")

-- The proxy that sends requests to one colour or the other, for example
--   rollout.haproxy(aegis.proxy.open("edge"), { web = { backend = "web", port = 8080 } })
local function proxy()
  return nil
end

return aegis.job {
  description = "Deploys a stack, health-gated, and brings back what was there when that fails",
  resume = true,
  timeout = "4h",
  -- Stacks of different names at once, deployments of one stack one after the other; of those that wait, the newest.
  overlap = "parallel",
  concurrency = { key = "deploy/${stack}", limit = 1 },
  permissions = {
    -- Files that reach the host need admin, builds write on everything.
    docker = "admin",
    stack = { "*" },
    host = "read",
    kv = { "shared:rollouts" },
    runs = { "deploy", "rollback" },
  },
  params = {
    stack = { type = "string", required = true, description = "A stack of the configuration" },
    strategy = {
      type = "string",
      default = "rolling",
      choices = { "rolling", "blue-green", "canary" },
      description = "How the new version takes over",
    },
    approve = { type = "boolean", default = false, description = "Wait for a person before anything is touched" },
    refresh = { type = "boolean", default = false, description = "Ask for newer images, and build anew" },
    force = { type = "boolean", default = false, description = "Replace every container" },
    min_healthy = { type = "duration", default = "10s", description = "How long one without a health check must run" },
    healthy_deadline = { type = "duration", default = "5m", description = "Until a container must be well" },
    keep = { type = "integer", default = 0, min = 0, max = 5, description = "Rollouts whose old containers stay" },
    forbid = { type = "list", default = {}, description = "Texts that no new container may print" },
  },
  ui = { group = "Deployments", button = "Deploy", confirm = "Containers will be replaced. Go on?" },

  run = function(ctx)
    local p = ctx.params
    return rollout.deploy(ctx, p.stack, p.strategy, {
      approve = if p.approve then "1d" else nil,
      refresh = p.refresh,
      force = p.force,
      min_healthy = p.min_healthy,
      healthy_deadline = p.healthy_deadline,
      keep = p.keep,
      forbid = if #p.forbid > 0 then p.forbid else nil,
      rivals = { "rollback" },
      proxy = proxy(),
    })
  end,
}
