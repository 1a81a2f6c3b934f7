-- Runs an agent on a volume: a fresh container an iteration, a check after each, a report. The volume is made when it is
-- not there, and is deleted by itself after a while:
--   aegis trigger agent_run --param image=agent:1 --param volume=agents/run-17 --param iterations=3 --wait

local execution = require("@std/execution")

return aegis.job {
  description = "Runs an agent in fresh containers on a volume until it has done what it should",
  timeout = "2h",
  overlap = "parallel",
  concurrency = { key = "volume/${volume}", limit = 1 },
  -- Folders in place of NFS, where the kernel has no client for it, need `admin`: docker = { admin = { "aegis-exec-*" } }.
  permissions = {
    docker = { write = { "aegis-exec-*", "aegis-quarantine-*" } },
    volumes = { ["agents/*"] = "admin" },
    -- Where agents may be let out to, with network = allow or deny: egress = { "pypi.org", "*.example.com" }.
    -- To tell what a crash left behind from what other runs use.
    runs = { "*" },
  },
  params = {
    image = { type = "string", required = true, description = "What runs" },
    command = { type = "list", default = {}, description = "Its words; what the image says otherwise" },
    volume = { type = "string", required = true, description = "TENANT/VOLUME; made when it is not there" },
    target = { type = "string", default = "/workspace", description = "Where the volume is in the container" },
    iterations = { type = "integer", default = 1, min = 1, max = 100, description = "At most so many" },
    timeout_secs = { type = "integer", default = 300, min = 1, max = 7200, description = "Of an iteration" },
    memory = { type = "size", default = "512MiB", description = "At most so much, without swap" },
    cpus = { type = "number", default = 1, min = 0.1, max = 64, description = "At most so many" },
    done_file = { type = "string", default = "", description = "It is done when this file is in the volume" },
    network = {
      type = "string",
      default = "none",
      choices = { "none", "allow", "deny" },
      description = "What it reaches: nothing, what is named, or the public internet but for that",
    },
    names = { type = "list", default = {}, description = "Hosts for network, such as pypi.org or *.example.com:8443" },
    budget_secs = { type = "integer", default = 7200, min = 1, max = 7200, description = "Of all iterations together" },
    keep = { type = "duration", default = "7d", description = "A volume that is made here ends after so long" },
    mount = {
      type = "string",
      default = "auto",
      choices = { "auto", "nfs", "folder" },
      description = "How the volume comes into the container",
    },
  },
  ui = { group = "Agents", button = "Run an agent" },

  run = function(ctx)
    local p = ctx.params
    for _, name in execution.reap() do
      ctx:log("warn", `removed {name}, which nobody waited for any more`)
    end
    if aegis.volumes.get(p.volume) == nil then
      aegis.volumes.create(p.volume, { expires = p.keep })
      print(`made the volume {p.volume}`)
    end
    local report = execution.run({
      image = p.image,
      command = if #p.command > 0 then p.command else nil,
      volumes = { { name = p.volume, target = p.target } },
      memory_bytes = p.memory,
      cpu_quota = p.cpus,
      timeout_secs = p.timeout_secs,
      mount = p.mount,
      network_policy = if p.network == "none" then nil else { mode = p.network, names = p.names },
      budget = { seconds = p.budget_secs },
    }, {
      iterations = p.iterations,
      id = ctx.run_id,
      check = function(outcome)
        if p.done_file ~= "" then
          return aegis.volumes.stat(p.volume, p.done_file) ~= nil
        end
        return outcome.exit_code == 0
      end,
    })
    local last = report.outcomes[#report.outcomes]
    local volume = aegis.volumes.get(p.volume)
    print(`{if report.passed then "done" else "not done"} after {#report.outcomes} of {p.iterations} iterations`)
    if not report.passed then
      local how = if last.exit_code ~= nil then `ended with code {last.exit_code}` else "ran out of time"
      error({
        code = "agent_run.not_done",
        message = `{p.volume} is not done after {#report.outcomes} iterations; the last one {how}`,
        hint = "its output is in this run's log, its files in the volume",
      }, 0)
    end
    return {
      volume = p.volume,
      iterations = #report.outcomes,
      mounted = last.mounted,
      result = last.result,
      network = report.network and { allowed = report.network.allowed, refused = report.network.refused },
      used_bytes = volume and volume.used_bytes,
    }
  end,
}
