-- Looks at the certificates that servers show, and raises an alert before one expires.
--
-- Name the servers under `http` below. Which are looked at comes from the parameter, or from this job's key-value store
-- when that is empty:
--   aegis repl -e 'aegis.kv.set("hosts", { "www.example.com", "mail.example.com:465" })'

local health = require("@std/health")

return aegis.job {
  description = "Looks at the certificates of servers, and raises an alert before one expires",
  schedule = { every = "6h" },
  timeout = "5m",
  overlap = "skip",
  permissions = { host = "read", http = { "*.example.com" } },
  params = {
    hosts = { type = "list", default = {}, description = "Servers, as host or host:port; else port 443" },
    warn_days = { type = "integer", default = 21, min = 1, description = "Days before the end that are a warning" },
    critical_days = { type = "integer", default = 7, min = 0, description = "Days before the end that are critical" },
  },
  ui = { group = "Health", button = "Look at certificates" },

  run = function(ctx)
    local hosts = if #ctx.params.hosts > 0 then ctx.params.hosts else aegis.kv.get("hosts") or {}
    local findings = {}
    local certificates = ctx:map(hosts, function(target)
      local host, port = health.split_target(target, 443)
      local ok, tls = aegis.try(aegis.host.tls, host, { port = port, timeout = "10s" })
      local problem = if ok then nil else tls.message
      local warn, critical = ctx.params.warn_days, ctx.params.critical_days
      table.insert(findings, health.judge_certificate(target, if ok then tls else nil, problem, warn, critical))
      if not ok then
        return { host = target, problem = problem }
      end
      aegis.metrics.record("certificate_days_left", tls.days_left, { host = target })
      local own = tls.chain[1]
      return {
        host = target,
        days_left = math.floor(tls.days_left),
        expires_at = own.not_after,
        issuer = own.issuer,
        trusted = tls.trusted,
        problem = tls.problem,
      }
    end)

    for _, one in findings do
      ctx:log(if one.severity == "critical" then "error" else "warn", one.summary, one.labels)
    end
    -- An alert lasts for two looks, so that it does not end between them.
    local told = health.tell(findings, { ttl = "13h" })
    print(`looked at {#certificates} certificates: {#findings} findings`)
    return {
      certificates = aegis.json.list(certificates),
      findings = aegis.json.list(findings),
      raised = #told.raised,
      cleared = #told.cleared,
    }
  end,
}
