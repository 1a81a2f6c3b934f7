--!strict
-- What counts as ill, and what changed since the last look. Plain functions: they touch nothing outside.

local health = {}

-- As aegis.docker.list gives it; what does not apply is nil or null.
export type Container = {
  name: string,
  state: string,
  health: any,
  exit_code: any,
  restart_count: number,
  oom_killed: boolean?,
  uptime_seconds: any?,
}

export type Finding = { key: string, object: string, severity: string, text: string, since: string? }

-- Exit codes of processes that were asked to stop: nobody needs to be told.
local ASKED_TO_STOP = { [0] = true, [143] = true }

-- A container that came back this often and is up for less than this is in a circle of restarts, even if it happens to
-- run at the moment of the look.
local RESTARTS_OF_A_CIRCLE = 3
local UPTIME_OF_A_CIRCLE_SECONDS = 60

local function is_circling(container): boolean
  local uptime = container.uptime_seconds
  local is_fresh = type(uptime) == "number" and uptime < UPTIME_OF_A_CIRCLE_SECONDS
  return container.state == "restarting" or (is_fresh and container.restart_count >= RESTARTS_OF_A_CIRCLE)
end

local function finding(object: string, kind: string, severity: string, text: string): Finding
  return { key = object .. "/" .. kind, object = object, severity = severity, text = text }
end

-- What is wrong with a container, or nil. `restarts_before` is its restart count at the last look.
function health.judge(container: Container, restarts_before: number?): Finding?
  local name, restarts = container.name, container.restart_count
  if is_circling(container) then
    return finding(name, "restarting", "critical", `{name} restarts again and again ({restarts} times so far)`)
  end
  if container.state == "dead" then
    return finding(name, "dead", "critical", `{name} is dead: the engine could not remove it`)
  end
  if container.state == "exited" and not ASKED_TO_STOP[container.exit_code] then
    local reason = if container.oom_killed
      then "it ran out of memory"
      elseif container.exit_code == 137 then "it was killed"
      else "it failed"
    return finding(name, "exited", "critical", `{name} exited with code {container.exit_code}: {reason}`)
  end
  if container.health == "unhealthy" then
    return finding(name, "unhealthy", "critical", `{name} fails its health check`)
  end
  if restarts_before and restarts > restarts_before then
    return finding(name, "restarted", "warning", `{name} restarted {restarts - restarts_before} times since the last look`)
  end
  return nil
end

-- What is wrong with an endpoint that answered `status`, or did not answer because of `problem`.
function health.judge_endpoint(url: string, status: number?, problem: string?): Finding?
  if status and status >= 200 and status < 400 then
    return nil
  end
  local text = if status then `{url} answers with status {status}` else `{url} does not answer: {problem}`
  return finding(url, "endpoint", "critical", text)
end

-- Which findings are new, and which are over. `before` maps the keys of the last look's findings to them. Findings
-- that go on keep the time at which they began.
function health.compare(before: { [string]: Finding }, found: { Finding }, now: string)
  local raised: { Finding }, cleared: { Finding }, current: { [string]: Finding } = {}, {}, {}
  for _, one in found do
    local known = before[one.key]
    one.since = if known then known.since else now
    current[one.key] = one
    if not known then
      table.insert(raised, one)
    end
  end
  for key, one in before do
    if not current[key] then
      table.insert(cleared, one)
    end
  end
  local function by_key(a: Finding, b: Finding): boolean
    return a.key < b.key
  end
  table.sort(raised, by_key)
  table.sort(cleared, by_key)
  return { raised = raised, cleared = cleared, current = current }
end

-- The text of a notification about what changed.
function health.describe(raised: { Finding }, cleared: { Finding }): string
  local lines = {}
  for _, one in raised do
    table.insert(lines, "- " .. one.text)
  end
  for _, one in cleared do
    table.insert(lines, `- over: {one.text} (since {one.since})`)
  end
  return table.concat(lines, "\n")
end

return health
