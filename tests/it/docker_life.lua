-- A container's whole life, for tests/it/docker_real.rs.
return aegis.job {
  permissions = { docker = { read = { "*" }, admin = { "aegis-it-*-made" } } },
  params = { name = { type = "string", required = true }, only_stop = { type = "boolean", default = false } },
  run = function(ctx)
    local name = ctx.params.name
    if ctx.params.only_stop then
      aegis.docker.stop(name)
      return
    end
    aegis.docker.create {
      name = name,
      image = "aegis-test/busybox:1",
      command = { "sh", "-c", "echo hello from the container; trap 'exit 7' TERM; while true; do sleep 0.1; done" },
      mem_limit = "64MiB",
      labels = { purpose = "test" },
    }
    aegis.docker.start(name)
    local exec = aegis.docker.exec(name, { command = { "sh", "-c", "echo inside; exit 4" } })
    local limit = aegis.docker.inspect(name).limits.memory_bytes
    aegis.docker.stop(name, { timeout = "5s" })
    local waited = aegis.docker.wait(name)
    local log = aegis.docker.logs(name, { tail = 10 })
    aegis.docker.remove(name)
    return {
      exec = { code = exec.exit_code, text = exec.stdout },
      exit_code = waited.exit_code,
      log = log,
      memory_limit = limit,
    }
  end,
}
