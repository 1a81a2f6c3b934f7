-- The sections of the morning's and the evening's digest: each fills a section of @std/digest.

local health = require("@std/health")
local payments = require("@lib/payments")

local report = {}

-- Rows that a digest has room for.
local RUNS_SHOWN = 15
-- aegis.jobs.runs gives no more at once.
local RUNS_MAX = 1000

local function clock(moment, zone)
  return aegis.time.format(moment, { pattern = "%H:%M", zone = zone })
end

function report.containers(section)
  local running, findings = 0, {}
  local all = aegis.docker.list()
  for _, container in all do
    running += if container.state == "running" then 1 else 0
    table.insert(findings, health.judge_container(container))
  end
  section:fact("running", `{running} of {#all}`)
  for _, one in findings do
    section:item(one.summary, one.severity)
  end
end

function report.alerts(section, since, zone)
  local count = 0
  for _, alert in aegis.alerts.list { over_since = since } do
    if alert.state == "firing" then
      count += 1
      local level = if alert.severity == "warning" or alert.severity == "info" then "warning" else "critical"
      section:item(`{alert.summary} (since {clock(alert.since, zone)})`, level)
    elseif alert.state == "resolved" then
      count += 1
      section:item(`{alert.summary}: from {clock(alert.since, zone)} to {clock(alert.resolved_at, zone)}`)
    end
  end
  if count == 0 then
    section:say("None.")
  end
end

function report.runs(section, since, zone)
  local ended = { succeeded = 0, failed = 0, timed_out = 0, interrupted = 0, cancelled = 0 }
  local all = aegis.jobs.runs { since = since, limit = RUNS_MAX }
  local rows = {}
  for _, run in all do
    if ended[run.state] then
      ended[run.state] += 1
    end
    if run.state == "failed" or run.state == "timed_out" or run.state == "interrupted" then
      local why = if run.error then run.error.message else run.state
      table.insert(rows, { clock(run.finished_at or run.queued_at, zone), run.job, why })
    end
  end
  section:fact("succeeded", if #all < RUNS_MAX then ended.succeeded else `{ended.succeeded} of the last {RUNS_MAX}`)
  if #rows > 0 then
    section:fact("failed", #rows, "warning")
    section:rows({ "at", "job", "why" }, table.move(rows, 1, math.min(#rows, RUNS_SHOWN), 1, {}), "warning")
  end
end

-- The newest file of each folder, and whether it is older than it may be.
function report.backups(section, folders, age_max)
  for _, folder in folders do
    local newest
    for _, entry in aegis.fs.list(folder, { recursive = true, limit = 10000 }) do
      if entry.kind == "file" and (not newest or entry.modified_at > newest.modified_at) then
        newest = entry
      end
    end
    if not newest then
      section:fact(folder, "there is none", "critical")
    else
      local age = aegis.time.diff(aegis.time.now(), newest.modified_at)
      local level = if age <= age_max then "ok" elseif age <= 2 * age_max then "warning" else "critical"
      local megabytes = string.format("%.1f MB", newest.bytes / 1e6)
      local shown = aegis.duration.format(math.floor(age / 60) * 60)
      section:fact(folder, `{newest.name}, {megabytes}, {shown} old`, level)
    end
  end
end

function report.revenue(section, transactions)
  local rows = {}
  for _, money in payments.sum(transactions) do
    local function show(amount)
      return payments.show(amount, money.currency)
    end
    table.insert(rows, {
      string.upper(money.currency),
      money.payments,
      show(money.gross),
      show(money.refunds),
      show(money.fees),
      show(money.net),
    })
  end
  if #rows == 0 then
    section:say("No payments.")
  else
    section:rows({ "currency", "payments", "gross", "refunds", "fees", "net" }, rows)
  end
end

-- What is due by the calendar until a moment. Intervals go on by themselves and are counted only.
function report.schedule(section, until_when, zone)
  local rows, intervals = {}, 0
  for _, job in aegis.jobs.list() do
    for _, schedule in if job.enabled then job.schedules else {} do
      if schedule.every then
        intervals += 1
      elseif schedule.next_at and schedule.next_at < until_when then
        table.insert(rows, { schedule.next_at, job.name, schedule.text })
      end
    end
  end
  table.sort(rows, function(a, b)
    return if a[1] == b[1] then a[2] < b[2] else a[1] < b[1]
  end)
  for _, row in rows do
    row[1] = clock(row[1], zone)
  end
  if #rows > 0 then
    section:rows({ "at", "job", "schedule" }, rows)
  end
  section:fact("at intervals", `{intervals} jobs`)
end

function report.machine(section)
  local memory = aegis.host.memory()
  local used = memory.used_percent
  section:fact("memory", string.format("%.0f %%", used), if used > 95 then "critical" else "ok")
  local seen = {}
  for _, disk in aegis.host.disks() do
    if not disk.problem and not disk.read_only and disk.total_bytes > 0 and not seen[disk.source] then
      seen[disk.source] = true
      local level = if disk.used_percent > 95 then "critical" elseif disk.used_percent > 85 then "warning" else "ok"
      local free = string.format("%.0f %% full, %.1f GB free", disk.used_percent, disk.available_bytes / 1e9)
      section:fact(disk.mount, free, level)
    end
  end
end

return report
