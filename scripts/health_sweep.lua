-- Looks at every container and at HTTP endpoints, and speaks up when something changed since the last look.
--
-- Endpoints come from the parameter, or from this job's key-value store when the parameter is empty. Name their hosts
-- under `http` below. Notifications go to the route "alerts" of the configuration; without one they are only logged.

local health = require("@lib/health")

local function look_at_containers(pattern, restarts_before)
  local containers, findings = {}, {}
  for _, container in aegis.docker.list() do
    if string.find(container.name, pattern, 1, true) then
      table.insert(containers, {
        name = container.name,
        image = container.image,
        state = container.state,
        health = container.health,
        exit_code = container.exit_code,
        restarts = container.restart_count,
      })
      table.insert(findings, health.judge(container, restarts_before[container.name]))
    end
  end
  return containers, findings
end

local function look_at_endpoints(urls)
  local endpoints, findings = {}, {}
  for _, url in urls do
    local ok, answer = aegis.try(aegis.http.get, url, { timeout = "10s" })
    local status = if ok then answer.status else nil
    table.insert(endpoints, { url = url, status = status, problem = if ok then nil else answer.message })
    table.insert(findings, health.judge_endpoint(url, status, if ok then nil else answer.message))
  end
  return endpoints, findings
end

return aegis.job {
  description = "Looks at every container and endpoint, and tells what changed",
  schedule = { every = "5m" },
  timeout = "2m",
  overlap = "skip",
  permissions = { docker = "read", http = { "localhost", "127.0.0.1", "*.example.com" }, notify = { "alerts" } },
  params = {
    containers = { type = "string", default = "", description = "Only containers whose name contains this" },
    endpoints = { type = "list", default = {}, description = "URLs that must answer with a status below 400" },
    quiet = { type = "boolean", default = false, description = "Send no notification" },
  },
  ui = { group = "Health", button = "Sweep now" },

  run = function(ctx)
    local urls = ctx.params.endpoints
    if #urls == 0 then
      urls = aegis.kv.get("endpoints") or {}
    end
    local restarts_before = aegis.kv.get("restarts") or {}
    local containers, findings = look_at_containers(ctx.params.containers, restarts_before)
    local endpoints, unanswered = look_at_endpoints(urls)
    for _, one in unanswered do
      table.insert(findings, one)
    end

    -- A look at some containers only must not take the others for recovered.
    local narrowed = ctx.params.containers ~= ""
    local before = if narrowed then {} else aegis.kv.get("findings") or {}
    local change = health.compare(before, findings, aegis.time.now())
    for _, one in findings do
      ctx:log(if one.severity == "critical" then "error" else "warn", one.text, { object = one.object, since = one.since })
    end
    for _, one in change.cleared do
      ctx:log("info", `over: {one.text}`, { object = one.object })
    end

    if not narrowed then
      local restarts = {}
      for _, container in containers do
        restarts[container.name] = container.restarts
      end
      local changed = #change.raised + #change.cleared > 0
      if changed and not ctx.params.quiet then
        local ok, problem = aegis.try(aegis.notify.send, "alerts", {
          title = if #change.raised > 0 then `{#change.raised} new findings` else "all findings are over",
          text = health.describe(change.raised, change.cleared),
          severity = if #change.raised > 0 then "critical" else "info",
        })
        if not ok then
          ctx:log("warn", `the change was not sent: {problem.message}`)
        end
      end
      -- After the notification: a sweep that dies in between tells it again rather than never.
      aegis.kv.set("findings", change.current)
      aegis.kv.set("restarts", restarts)
    end

    print(`looked at {#containers} containers and {#endpoints} endpoints: {#findings} findings`)
    -- Marked as lists, so that they stay lists when they are empty.
    return {
      containers = aegis.json.list(containers),
      endpoints = aegis.json.list(endpoints),
      findings = aegis.json.list(findings),
      raised = #change.raised,
      cleared = #change.cleared,
    }
  end,
}
