local test = require("@std/test")
local expect = test.expect

local HEALTHY = { name = "web", image = "web:1", state = "running", health = "healthy", restart_count = 0 }
local KILLED = { name = "db", image = "db:1", state = "exited", exit_code = 137, restart_count = 0 }

-- A sweep of these containers; `kv` is remembered between sweeps. Returns its result, the world, and what was reported.
local function sweep(containers, kv, options)
  options = options or {}
  local reports = {}
  local result, world = test.run("health_sweep.lua", {
    params = options.params,
    kv = kv,
    fakes = {
      docker = { list = containers },
      http = { get = options.get },
      host = {
        cpu = { iowait_percent = options.disk_wait or 1 },
        tcp = function(host, port)
          return if port == 5432 then { reachable = true, latency_ms = 1 } else { reachable = false, problem = "refused" }
        end,
      },
      sql = {
        sources = options.sources or {},
        one = function(name)
          if name == "slow" then
            error({ code = "sql.timeout", message = "no connection within 5s" })
          end
          return { one = 1 }
        end,
      },
      redis = { sources = {} },
      graph = { sources = {} },
      proxy = {
        list = options.proxies or {},
        info = function(name)
          if name == "lost" then
            error({ code = "proxy.connect", message = "no connection" })
          end
          return { kind = "haproxy" }
        end,
        backends = options.backends or {},
        servers = options.servers or {},
      },
      metrics = { record = function() end },
      alerts = {
        report = function(finding)
          table.insert(reports, finding)
        end,
      },
    },
  })
  return result, world, reports
end

test.describe("health_sweep", function()
  test.it("finds what is ill and leaves what is well", function()
    local result, world, reports = sweep({ HEALTHY, KILLED }, {})
    expect(#result.containers).to_be(2)
    expect(#result.findings).to_be(1)
    expect(result.findings[1].labels.container).to_be("db")
    expect(world.logs[1].level).to_be("error")
    expect(world.logs[1].text).to_contain("code 137")
    expect(#reports).to_be(1)
    expect(reports[1].name).to_be("container_exited")
    expect(reports[1].ttl).to_be("15m")
  end)

  test.it("renews an alert while it lasts, and ends it once", function()
    local kv = {}
    expect(sweep({ KILLED }, kv).raised).to_be(1)
    local again, _, renewed = sweep({ KILLED }, kv)
    expect({ again.raised, #renewed }).to_equal({ 0, 1 })
    local result, _, reports = sweep({ HEALTHY }, kv)
    expect({ result.cleared, #reports, reports[1].ok }).to_equal({ 1, 1, true })
    local _, _, nothing = sweep({ HEALTHY }, kv)
    expect(#nothing).to_be(0)
  end)

  test.it("notices restarts between two sweeps", function()
    local kv = {}
    sweep({ HEALTHY }, kv)
    local restarted = table.clone(HEALTHY)
    restarted.restart_count = 2
    expect(sweep({ restarted }, kv).findings[1].summary).to_contain("2 times")
    expect(#sweep({ restarted }, kv).findings).to_be(0)
  end)

  test.it("asks endpoints, ports and databases", function()
    local result, _, reports = sweep({}, { ["job/endpoints"] = { "http://a.example", "http://b.example" } }, {
      params = { ports = { "db:5432", "db:6379" } },
      sources = { { name = "main", access = "read" }, { name = "slow", access = "read" }, { name = "other" } },
      get = function(url)
        if url == "http://b.example" then
          error({ code = "http.connect", message = "connection refused" })
        end
        return { status = 200, took_ms = 12 }
      end,
    })
    expect(result.endpoints[1]).to_equal({ url = "http://a.example", status = 200, took_ms = 12 })
    expect(#result.databases).to_be(2)
    local said = {}
    for _, one in reports do
      table.insert(said, one.name)
    end
    expect(said).to_equal({ "endpoint_down", "port_closed", "database_down" })
    expect(reports[3].summary).to_contain("no connection within 5s")
  end)

  test.it("tells of what load balancers find down for two minutes", function()
    local function server(name, up, state, seconds)
      return { backend = "web", name = name, up = up, state = state, last_change_seconds = seconds, status = "DOWN" }
    end
    local result = sweep({}, {}, {
      proxies = {
        { name = "edge", kind = "haproxy", access = "read" },
        { name = "lost", kind = "haproxy", access = "read" },
        { name = "other", kind = "haproxy" },
      },
      backends = {
        { name = "web", up = true, servers = 4, last_change_seconds = 500 },
        { name = "api", up = false, servers = 1, last_change_seconds = 500 },
        { name = "empty", up = false, servers = 0, last_change_seconds = 500 },
      },
      servers = {
        server("well", true, "ready", 500),
        server("ill", false, "ready", 121),
        server("just_now", false, "ready", 119),
        server("taken_out", false, "maint", 500),
      },
    })
    local said = {}
    for _, one in result.findings do
      said[one.subject] = `{one.name} {one.severity}`
    end
    expect(said).to_equal({
      ["backend/edge/api"] = "proxy_backend_down critical",
      ["server/edge/web/ill"] = "proxy_server_down warning",
      ["proxy/lost"] = "proxy_down critical",
    })
    expect(result.proxies[1]).to_equal({ name = "edge", kind = "haproxy", servers = 4 })
    expect(result.proxies[2].problem).to_be("no connection")
  end)

  test.it("says when the processors wait for disks, and when Docker is away", function()
    expect(sweep({}, {}, { disk_wait = 60 }).findings[1].name).to_be("disk_wait")
    local away = sweep(function()
      error({ code = "docker.unavailable", message = "no answer" })
    end, {})
    expect(away.findings[1].name).to_be("docker_down")
  end)

  test.it("does not take those that it did not look at for recovered", function()
    local kv = {}
    sweep({ KILLED }, kv)
    local result, _, reports = sweep({ HEALTHY, KILLED }, kv, { params = { containers = "web" } })
    expect({ #result.containers, #reports }).to_equal({ 1, 0 })
    expect(sweep({ HEALTHY }, kv).cleared).to_be(1)
  end)

  test.it("raises nothing when it shall be quiet", function()
    local _, _, reports = sweep({ KILLED }, {}, { params = { quiet = true } })
    expect(#reports).to_be(0)
  end)
end)
