-- Deploys what an earlier rollout of a stack had, by its images: the one before the present one, or the one that is
-- named. The way back is a rollout itself, with its checks, and stands in the history.
--   aegis deploy history shop
--   aegis deploy rollback shop --to 1a2b3c4d

local rollout = require("@std/rollout")

return aegis.job {
  description = "Takes a stack back to an earlier rollout, by its images",
  resume = true,
  timeout = "1h",
  overlap = "parallel",
  concurrency = { key = "deploy/${stack}", limit = 1 },
  permissions = {
    docker = "admin",
    stack = { "*" },
    proxy = "write",
    host = "read",
    kv = { "shared:rollouts" },
    runs = { "deploy", "rollback" },
  },
  params = {
    stack = { type = "string", required = true, description = "A stack of the configuration" },
    to = { type = "string", default = "", description = "The id of a rollout; the one before when empty" },
    min_healthy = { type = "duration", default = "10s", description = "How long one without a health check must run" },
    healthy_deadline = { type = "duration", default = "5m", description = "Until a container must be well" },
  },
  ui = { group = "Deployments", button = "Roll back", confirm = "Containers will be replaced. Go on?" },

  run = function(ctx)
    local p = ctx.params
    return rollout.back(ctx, p.stack, {
      to = if p.to ~= "" then p.to else nil,
      min_healthy = p.min_healthy,
      healthy_deadline = p.healthy_deadline,
      rivals = { "deploy" },
      -- Requests must find the containers of then, as they find those of now.
      proxy = rollout.remembered(ctx, p.stack),
    })
  end,
}
