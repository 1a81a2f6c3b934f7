-- Asks the registries for newer images of stacks once a week, builds anew what is built here, and deploys what has
-- changed: one stack after the other, each with the checks of the job `deploy`, and back at the old images by itself when
-- a new one is not well. A tag that was moved is told by the image behind it, not by its name.
--
-- A stack is touched when one of its services has the label `aegis.update: stack`, or when it is named.
--   aegis trigger update_stack --param stacks='["shop"]' --wait

local function is_wanted(stack)
  for _, container in aegis.stack.ps(stack) do
    if container.labels["aegis.update"] == "stack" then
      return true
    end
  end
  return false
end

-- Those that are named, else those that have the label.
local function choose(named)
  local stacks = {}
  for _, stack in if #named > 0 then named else aegis.stack.names() do
    if #named > 0 or is_wanted(stack) then
      table.insert(stacks, stack)
    end
  end
  return aegis.json.list(stacks)
end

return aegis.job {
  description = "Deploys newer images of the stacks, each back again if it is not healthy",
  schedule = { cron = "30 2 * * SUN" },
  resume = true,
  timeout = "6h",
  overlap = "skip",
  -- What it starts may do no more than it may itself: the rights of the job `deploy`.
  permissions = {
    jobs = { "deploy" },
    docker = "admin",
    stack = { "*" },
    proxy = "write",
    host = "read",
    kv = { "shared:rollouts" },
    runs = { "deploy", "rollback" },
  },
  params = {
    stacks = { type = "list", default = {}, description = "These; those with the label when empty" },
  },
  ui = { group = "Deployments", button = "Update stacks", confirm = "Containers will be replaced. Go on?" },

  run = function(ctx)
    local stacks = ctx:step("choose the stacks", function()
      return choose(ctx.params.stacks)
    end)
    local results, failed = {}, 0
    for place, stack in stacks do
      ctx:progress(place - 1, #stacks, stack)
      local run = ctx:step(`deploy {stack}`, function()
        return aegis.jobs.trigger("deploy", {
          params = { stack = stack, refresh = true },
          -- Of a step that a crash repeats, one deployment comes all the same.
          idempotency_key = `{ctx.run_id}/{stack}`,
          dry_run = ctx.dry_run,
        })
      end)
      local ended = ctx:step(`wait for {stack}`, function()
        return aegis.jobs.wait(run)
      end)
      -- A newer deployment that has taken its place tells by itself what became of it.
      local is_superseded = ended.error ~= nil and ended.error.code == "rollout.superseded"
      local is_good = ended.state == "succeeded" or is_superseded
      failed += if is_good then 0 else 1
      if not is_good then
        ctx:log("error", `{stack}: {if ended.error then ended.error.message else ended.state}`)
      end
      table.insert(results, {
        stack = stack,
        run = run,
        state = ended.state,
        changed = ended.state == "succeeded" and ended.result.changed,
        problem = if ended.error then ended.error.message else nil,
      })
      ctx:step(`tell of {stack}`, function()
        aegis.alerts.report {
          name = "stack_update",
          labels = { stack = stack },
          ok = is_good,
          summary = `{stack} could not be updated and runs its old images`,
          ttl = "8d",
          dry_run = ctx.dry_run,
        }
      end)
    end
    return { stacks = aegis.json.list(results), failed = failed }
  end,
}
