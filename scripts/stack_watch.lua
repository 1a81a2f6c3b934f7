-- Compares what runs with what the files of the stacks say, and tells of each difference once: a file that was edited and
-- not deployed, a container that was stopped, changed or removed by hand, an image whose name stands for another one now.
-- The alert `stack_drift` stays until the stack is what its files say; the message is sent when the difference changes.
-- Stacks that are being deployed are left out: what differs there is on its way.

local rollout = require("@std/rollout")

-- What would have to be done to a stack, as lines; or why its files cannot be used.
local function look(stack)
  local ok, planned = aegis.try(aegis.stack.plan, stack)
  if not ok then
    return { `its files cannot be used: {planned.message}` }
  end
  local lines = {}
  for _, missing in planned.missing do
    table.insert(lines, `missing: {missing}`)
  end
  for _, action in planned.actions do
    -- An image that is fetched at every deployment is no difference.
    if not (action.kind == "image" and action.reasons[1] == "pull_policy is always") then
      table.insert(lines, `{action.verb} {action.kind} {action.name}: {table.concat(action.reasons, "; ")}`)
    end
  end
  local is_asked, astray = aegis.try(rollout.astray, stack)
  if not is_asked then
    return { `its load balancer cannot be asked: {astray.message}`, table.unpack(lines) }
  end
  for _, service in astray do
    table.insert(lines, `{service}: its load balancer does not send all requests to its containers`)
  end
  return lines
end

return aegis.job {
  description = "Tells of stacks that are not what their files say",
  schedule = { every = "5m" },
  timeout = "2m",
  overlap = "skip",
  permissions = {
    docker = "read",
    stack = { "*" },
    proxy = "read",
    kv = { "shared:rollouts" },
    notify = { "alerts" },
  },
  params = {
    stacks = { type = "list", default = {}, description = "Only these; all of the configuration when empty" },
    route = { type = "string", default = "alerts", description = "Where the message goes; nowhere when empty" },
  },
  ui = { group = "Deployments", button = "Compare now" },

  run = function(ctx)
    local stacks = if #ctx.params.stacks > 0 then ctx.params.stacks else aegis.stack.names()
    local drifted, deploying = {}, {}
    for _, stack in stacks do
      if aegis.stack.rollout(stack) then
        table.insert(deploying, stack)
        continue
      end
      local lines = look(stack)
      local text = table.concat(lines, "\n")
      local told = aegis.kv.get(stack) or ""
      aegis.alerts.report {
        name = "stack_drift",
        labels = { stack = stack },
        ok = #lines == 0,
        summary = `{stack} is not what its files say: {lines[1] or "nothing"}{if #lines > 1 then `, and {#lines - 1} more` else ""}`,
        ttl = "1h",
        dry_run = ctx.dry_run,
      }
      if #lines > 0 then
        table.insert(drifted, { stack = stack, actions = lines })
      end
      if text ~= told then
        ctx:log(if #lines > 0 then "warn" else "info", if #lines > 0 then `{stack}: {text}` else `{stack} is what its files say`)
        if ctx.params.route ~= "" and #lines > 0 and not ctx.dry_run then
          aegis.notify.send(ctx.params.route, {
            title = `{stack} is not what its files say`,
            text = `{text}\n\nBring it there with: aegis deploy {stack}`,
            severity = "warning",
          })
        end
        -- Only now: what could not be sent is sent the next time.
        if not ctx.dry_run then
          aegis.kv.set(stack, text)
        end
      end
    end
    return {
      looked_at = #stacks - #deploying,
      drifted = aegis.json.list(drifted),
      deploying = aegis.json.list(deploying),
    }
  end,
}
