local test = require("@std/test")
local expect = test.expect

-- Docker with containers that end as `codes` says, one an iteration; `false` is one that runs until it is killed.
local function agent(params, options)
  local given = options or {}
  local made, removed, iteration, volumes = {}, {}, 0, {}
  local function fail(code, message)
    error({ code = code, message = message }, 0)
  end
  local fakes = {
    docker = {
      list = function()
        return given.left or {}
      end,
      create = function(request)
        iteration += 1
        table.insert(made, request)
        return { id = "x", name = request.name }
      end,
      start = function(name)
        if given.no_nfs and made[#made].volumes[1].type == "volume" then
          fail("docker.failed", "error while mounting volume: no such device")
        end
        return { action = "start", object = name }
      end,
      wait = function(_, wait)
        local code = (given.codes or { 0 })[iteration]
        if code == false and wait.timeout ~= 10 then
          fail("docker.timeout", "it still runs")
        end
        return { exit_code = code or 137, oom_killed = false }
      end,
      logs = function()
        return { lines = { { stream = "stdout", text = '{"answer": 42}' } }, truncated = false }
      end,
      stop = function() end,
      remove = function(name)
        table.insert(removed, name)
      end,
      volumes = function(wanted)
        return { { name = string.gsub(wanted.names[1], "%*", "1") } }
      end,
      remove_volume = function(name)
        table.insert(removed, name)
      end,
    },
    jobs = {
      runs = function()
        return { { id = "01m82gax9aq7hLIVE0G1AJ46M" } }
      end,
    },
    volumes = {
      get = function(name)
        return if given.missing and not volumes[name]
          then nil
          else {
            name = name,
            uid = 33,
            gid = 44,
            folder = "/srv/volumes/agents/one/data",
            device = ":/agents/one",
            mount_options = "addr=127.0.0.1,port=2049",
            used_bytes = 4096,
          }
      end,
      create = function(name, wanted)
        volumes[name] = wanted
        return { name = name }
      end,
      stat = function()
        return if iteration >= (given.done_at or 1) then { path = "done" } else nil
      end,
    },
  }
  local all = { image = "agent:1", volume = "agents/one" }
  for key, value in params or {} do
    all[key] = value
  end
  local ok, result, world = test.try("agent_run.lua", { params = all, fakes = fakes })
  return { ok = ok, result = result, world = world, made = made, removed = removed, volumes = volumes }
end

test.describe("agent_run", function()
  test.it("runs one hardened container over NFS and leaves nothing behind", function()
    local seen = agent({}, {})
    expect(seen.ok).to_be(true)
    expect(seen.result.iterations).to_be(1)
    expect(seen.result.result).to_equal({ answer = 42 })
    expect(seen.result.mounted).to_be("nfs")
    local request = seen.made[1]
    expect(request.user).to_be("33:44")
    expect(request.read_only).to_be(true)
    expect(request.cap_drop).to_equal({ "ALL" })
    expect(request.security_opt).to_equal({ "no-new-privileges" })
    expect(request.network_mode).to_be("none")
    expect(request.memswap_limit).to_be(request.mem_limit)
    expect(request.volumes[1].volume.driver_opts).to_equal({
      type = "nfs",
      o = "addr=127.0.0.1,port=2049",
      device = ":/agents/one",
    })
    expect(seen.removed).to_equal({ request.name, request.name .. "-1" })
  end)

  test.it("gives each iteration a fresh container until the check is content", function()
    local seen = agent({ iterations = 5, done_file = "done" }, { codes = { 1, 1, 0 }, done_at = 3 })
    expect(seen.result.iterations).to_be(3)
    expect(#seen.made).to_be(3)
    expect(seen.made[1].name == seen.made[2].name).to_be(false)
  end)

  test.it("fails when it is not done, with what became of the last one", function()
    local seen = agent({ iterations = 2 }, { codes = { 1, false } })
    expect(seen.ok).to_be(false)
    expect(seen.result.code).to_be("agent_run.not_done")
    expect(seen.result.message).to_contain("the last one ran out of time")
    expect(#seen.removed).to_be(4)
  end)

  test.it("takes folders where NFS cannot be mounted, and says so", function()
    local seen = agent({}, { no_nfs = true, codes = { 0, 0 } })
    expect(seen.result.mounted).to_be("folder")
    expect(seen.made[2].volumes[1].type).to_be("bind")
    expect(seen.made[2].volumes[1].source).to_be("/srv/volumes/agents/one/data")
    local said = false
    for _, line in seen.world.logs do
      said = said or string.find(line.text, "the volumes are given as folders", 1, true) ~= nil
    end
    expect(said).to_be(true)
    expect(agent({ mount = "nfs" }, { no_nfs = true }).ok).to_be(false)
  end)

  test.it("makes the volume when it is not there, and removes what was left over", function()
    local left = {
      { name = "aegis-exec-old-1", labels = { ["aegis.execution.id"] = "2yxe0g1aj46m" } },
      { name = "aegis-exec-live-1", labels = { ["aegis.execution.id"] = "live0g1aj46m" } },
      { name = "aegis-exec-hand-1", labels = {}, created_at = "2026-12-31T12:00:00Z" },
      { name = "aegis-exec-hand-2", labels = {}, created_at = "2026-12-30T12:00:00Z" },
      { name = "aegis-quarantine-aegis-exec-older-1", labels = {}, created_at = "2026-12-01T00:00:00Z" },
    }
    local seen = agent({}, { missing = true, left = left })
    expect(seen.ok).to_be(true)
    expect(seen.volumes["agents/one"]).to_equal({ expires = 7 * 86400 })
    expect(seen.removed[1]).to_be("aegis-exec-old-1")
    expect(seen.removed[3]).to_be("aegis-exec-hand-2")
    expect(#seen.removed).to_be(6)
  end)
end)

test.describe("execution.check", function()
  local execution = require("@std/execution")
  for what, spec in
    {
      ['no field "imgae"'] = { image = "a", imgae = "b" },
      ["needs an image"] = {},
      ["mount is disk"] = { image = "a", mount = "disk" },
      ["no absolute target"] = { image = "a", volumes = { { name = "a/b", target = "work" } } },
      ["not enforced"] = { image = "a", network_policy = { mode = "allow", allowlist = { "pypi.org" } } },
    }
  do
    test.it(`refuses: {what}`, function()
      local ok, err = aegis.try(execution.check, spec)
      expect(ok).to_be(false)
      expect(err.code).to_be("execution.invalid")
      expect(err.message).to_contain(what)
      expect(err.hint ~= nil).to_be(true)
    end)
  end
end)
