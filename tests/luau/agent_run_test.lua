local test = require("@std/test")
local expect = test.expect

-- Docker with containers that end as `codes` says, one an iteration; `false` is one that runs until it is killed.
local function agent(params, options)
  local given = options or {}
  local made, removed, iteration, volumes, opened, ended = {}, {}, 0, {}, {}, {}
  local function fail(code, message)
    error({ code = code, message = message }, 0)
  end
  local fakes = {
    docker = {
      list = function(wanted)
        local is_of_run = string.find(wanted.labels[1], "aegis.execution.id=", 1, true) == 1
        return (if is_of_run then given.earlier else given.left) or {}
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
        if code == false and wait.timeout < 10 then
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
    egress = {
      labels = function()
        return { ["aegis.owner"] = "this database", ["aegis.attempt"] = "2" }
      end,
      ended = function(how)
        table.insert(ended, how)
      end,
      open = function(wanted)
        table.insert(opened, wanted)
        return {
          id = "g1",
          network = "aegis-exec-g1",
          dns = "172.30.0.1",
          environment = { HTTPS_PROXY = "http://172.30.0.1:3128", MINE = "no" },
          labels = { ["aegis.owner"] = "this database", ["aegis.egress"] = "g1" },
        }
      end,
      decisions = function(id)
        return { decisions = { { host = "pypi.org", allowed = true } }, last = 1, allowed = 1, refused = 2, id = id }
      end,
      close = function(id)
        table.insert(removed, id)
        if given.stays then
          fail("docker.conflict", "it has active endpoints")
        end
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
  return {
    ok = ok,
    result = result,
    world = world,
    made = made,
    removed = removed,
    volumes = volumes,
    opened = opened,
    ended = ended,
  }
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
    expect(request.networks).to_be(nil)
    expect(#seen.opened).to_be(0)
    expect(request.labels["aegis.owner"]).to_be("this database")
    expect(request.volumes[1].volume.labels["aegis.owner"]).to_be("this database")
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
    expect(seen.ended).to_equal({ "failed", "failed", "succeeded" })
  end)

  test.it("fails when it is not done, with what became of the last one", function()
    local seen = agent({ iterations = 2 }, { codes = { 1, false } })
    expect(seen.ok).to_be(false)
    expect(seen.result.code).to_be("agent_run.not_done")
    expect(seen.result.message).to_contain("the last one ran out of time")
    expect(#seen.removed).to_be(4)
    expect(seen.ended).to_equal({ "failed", "timed_out" })
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
    local broken = agent({ mount = "nfs" }, { no_nfs = true })
    expect(broken.ok).to_be(false)
    expect(broken.ended).to_equal({ "broken" })
  end)

  test.it("makes the volume when it is not there, and removes what was left over", function()
    local left = {
      { name = "aegis-exec-old-1", labels = { ["aegis.execution.id"] = "2yxe0g1aj46m" } },
      { name = "aegis-exec-live-1", labels = { ["aegis.execution.id"] = "live0g1aj46m" } },
      { name = "aegis-exec-hand-1", labels = {}, created_at = "2026-12-31T12:00:00Z" },
      { name = "aegis-exec-hand-2", labels = {}, created_at = "2026-12-30T12:00:00Z" },
      { name = "aegis-exec-other-1", labels = { ["aegis.owner"] = "another", ["aegis.execution.id"] = "x" } },
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

test.describe("an execution that is tried again", function()
  test.it("removes what the attempt before it has left, and nothing of its own", function()
    local earlier = {
      { name = "aegis-exec-again-1", labels = { ["aegis.attempt"] = "1" } },
      { name = "aegis-exec-again-2", labels = { ["aegis.attempt"] = "2" } },
    }
    local seen = agent({}, { earlier = earlier })
    expect(seen.ok).to_be(true)
    expect(seen.removed[1]).to_be("aegis-exec-again-1")
    for _, name in seen.removed do
      expect(name == "aegis-exec-again-2").to_be(false)
    end
  end)
end)

test.describe("an execution that is let out", function()
  local out = { network = "allow", names = { "pypi.org", "*.example.com" } }

  test.it("has one network for all its iterations, which goes afterwards", function()
    local params = table.clone(out)
    params.iterations, params.done_file = 2, "done"
    local seen = agent(params, { codes = { 1, 0 }, done_at = 2 })
    expect(seen.ok).to_be(true)
    expect(seen.opened).to_equal({ { mode = "allow", names = { "pypi.org", "*.example.com" } } })
    for _, request in seen.made do
      expect(request.network_mode).to_be(nil)
      expect(request.networks).to_equal({ "aegis-exec-g1" })
      expect(request.dns).to_equal({ "172.30.0.1" })
      expect(request.environment.HTTPS_PROXY).to_be("http://172.30.0.1:3128")
      expect(request.labels["aegis.egress"]).to_be("g1")
    end
    expect(seen.removed[#seen.removed]).to_be("g1")
    expect(seen.result.network).to_equal({ allowed = 1, refused = 2 })
  end)

  test.it("takes an allowlist for its names", function()
    local asked
    local egress = {
      open = function(wanted)
        asked = wanted
        error({ code = "enough", message = "enough" }, 0)
      end,
    }
    local execution = test.library("@std/execution", { fakes = { egress = egress } })
    local policy = { mode = "allow", allowlist = { "pypi.org" } }
    local ok, err = aegis.try(execution.run, { image = "agent:1", network_policy = policy })
    expect(ok).to_be(false)
    expect(err.code).to_be("enough")
    expect(asked).to_equal({ mode = "allow", names = { "pypi.org" } })
  end)

  test.it("closes its way out also when it fails, and says when that has to wait", function()
    local seen = agent(out, { codes = { 1 }, done_at = 9, stays = true })
    expect(seen.ok).to_be(false)
    expect(seen.result.code).to_be("agent_run.not_done")
    expect(seen.removed[#seen.removed]).to_be("g1")
    local said = false
    for _, line in seen.world.logs do
      said = said or string.find(line.text, "stays until it can be removed", 1, true) ~= nil
    end
    expect(said).to_be(true)
  end)
end)

test.describe("the budget of an execution", function()
  local function run(spec, options, tokens)
    local iterations = 0
    local fakes = {
      create = function()
        iterations += 1
      end,
      start = function() end,
      wait = function()
        return { exit_code = 1, oom_killed = false }
      end,
      logs = function()
        return { lines = { { stream = "stdout", text = `\{"tokens": {tokens or 0}}` } } }
      end,
      remove = function() end,
      volumes = function()
        return {}
      end,
    }
    local all: any = { image = "agent:1" }
    for key, value in spec do
      all[key] = value
    end
    local egress = {
      labels = function()
        return {}
      end,
      ended = function() end,
    }
    -- Each look at the clock takes 40 seconds.
    local seconds = 0
    local time = {
      now = function()
        seconds += 40
        return seconds
      end,
      diff = function(at, since)
        return at - since
      end,
    }
    local execution = test.library("@std/execution", { fakes = { docker = fakes, egress = egress, time = time } })
    return execution.run(all, options), iterations
  end

  test.it("bounds iterations and tokens", function()
    local report, iterations = run({ budget = { iterations = 2 } }, { iterations = 5 })
    expect(iterations).to_be(2)
    expect(report.ended).to_be("iterations")
    local spent, turns = run({ budget = { tokens = 250 } }, { iterations = 9 }, 100)
    expect(turns).to_be(3)
    expect(spent.ended).to_be("tokens")
    expect(spent.tokens).to_be(300)
  end)

  test.it("bounds the time of all iterations together", function()
    local report, iterations = run({ budget = { seconds = 100 } }, { iterations = 9 })
    expect(iterations).to_be(2)
    expect(report.ended).to_be("seconds")
    expect(report.passed).to_be(false)
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
      ["network_policy has no field"] = { image = "a", network_policy = { mode = "allow", allow = { "pypi.org" } } },
      ["network_policy.mode is open"] = { image = "a", network_policy = { mode = "open" } },
      ["allow has no names"] = { image = "a", network_policy = { mode = "allow", names = {} } },
      ["none names nobody"] = { image = "a", network_policy = { mode = "none", names = { "pypi.org" } } },
      ['budget has no field "time"'] = { image = "a", budget = { time = 3 } },
      ["budget.seconds is 0"] = { image = "a", budget = { seconds = 0 } },
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
