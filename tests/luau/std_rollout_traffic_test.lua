local test = require("@std/test")
local traffic = require("@std/rollout_traffic")
local expect = test.expect

local function target(address)
  return { name = "web", networks = { { name = "front", ip_address = address } }, ports = {} }
end

-- A HAProxy with servers of both colours; what is told to it is in `log`.
local function haproxy(servers)
  local edge = { log = {}, list = {} }
  for _, name in servers do
    table.insert(edge.list, {
      name = name,
      address = "127.0.0.1",
      port = 1,
      state = "maint",
      up = true,
      weight = 1,
      requests = 100,
      errors = 1,
      status_5xx = 2,
    })
  end
  local function get(name)
    for _, server in edge.list do
      if server.name == name then
        return server
      end
    end
    error(`there is no server {name}`)
  end
  function edge:servers()
    return table.clone(edge.list)
  end
  function edge:set_weight(_, name, weight)
    get(name).weight = weight
    table.insert(edge.log, `{name} weight {weight}`)
  end
  function edge:set_address(_, name, address, port)
    get(name).address, get(name).port = address, port
    table.insert(edge.log, `{name} at {address}:{port}`)
  end
  function edge:set_state(_, name, state)
    get(name).state = state
    table.insert(edge.log, `{name} {state}`)
  end
  function edge:drain(_, name)
    table.insert(edge.log, `{name} drains`)
    if edge.is_stuck then
      error({ code = "proxy.not_drained", message = "2 sessions are left" }, 0)
    end
  end
  function edge.told()
    local log = edge.log
    edge.log = {}
    return log
  end
  return edge
end

test.describe("rollout.haproxy", function()
  local edge = haproxy { "blue1", "blue2", "green1", "green2" }
  local proxy = traffic.haproxy(edge, { web = { backend = "web", port = 8080 } })
  local both = { blue = { target("10.0.0.1") }, green = { target("10.0.0.2"), target("10.0.0.3") } }

  test.it("stands before the services that have a place", function()
    expect(proxy.serves("web")).to_be(true)
    expect(proxy.serves("db")).to_be(false)
  end)

  test.it("points a colour at its containers, which get nothing yet", function()
    proxy.admit("web", "blue", both.blue)
    expect(edge.told()).to_equal { "blue1 weight 0", "blue1 at 10.0.0.1:8080", "blue1 ready", "blue2 maint" }
    proxy.admit("web", "green", both.green)
    expect(#edge.told()).to_be(6)
  end)

  test.it("gives each colour its share, split among its containers", function()
    proxy.weight("web", "green", 10, both)
    expect(edge.told()).to_equal {
      "green1 weight 13",
      "green2 weight 13",
      "blue1 weight 230",
      "blue2 weight 0",
    }
    proxy.weight("web", "green", 100, both)
    expect(edge.told()).to_equal {
      "green1 weight 128",
      "green2 weight 128",
      "blue1 weight 0",
      "blue2 weight 0",
    }
  end)

  test.it("leaves a colour alone that is where it should be, so that it is never without requests", function()
    proxy.admit("web", "green", both.green)
    expect(edge.told()).to_equal {}
  end)

  test.it("counts what a colour got, what failed of it, and who is up", function()
    expect(proxy.sample("web", "green")).to_equal { requests = 200, errors = 6, up = 2 }
    edge.list[4].up = false
    expect(proxy.sample("web", "green").up).to_be(1)
    edge.list[4].up = true
  end)

  test.it("says which colour serves, and nothing while both do", function()
    expect(proxy.serving("web")).to_be("green")
    proxy.weight("web", "green", 50, both)
    expect(proxy.serving("web")).to_be(nil)
    proxy.weight("web", "green", 0, both)
    expect(proxy.serving("web")).to_be("blue")
    proxy.weight("web", "green", 100, both)
    edge.told()
  end)

  test.it("drains all at once, leaves those alone that are out, and goes on when somebody does not let go", function()
    proxy.drain("web", "blue", both)
    expect(edge.told()).to_equal { "blue1 drain", "blue1 drains", "blue1 maint" }
    edge.is_stuck = true
    proxy.drain("web", "green", both)
    expect(edge.told()).to_equal {
      "green1 drain",
      "green2 drain",
      "green1 drains",
      "green1 maint",
      "green2 drains",
      "green2 maint",
    }
  end)

  test.it("knows whether all requests go where the containers are", function()
    local lone = haproxy { "blue1", "green1", "green2" }
    local settled = traffic.haproxy(lone, { web = { backend = "web", port = 8080 } })
    expect(settled.settled("web", "green", both.green)).to_be(false)
    settled.admit("web", "green", both.green)
    settled.weight("web", "green", 100, { blue = {}, green = both.green })
    expect(settled.settled("web", "green", both.green)).to_be(true)
    expect(settled.settled("web", "green", { target("10.0.0.3"), target("10.0.0.2") })).to_be(true)
    expect(settled.settled("web", "green", both.blue)).to_be(false)
    expect(settled.settled("web", "green", { target("10.0.0.2"), target("10.0.0.9") })).to_be(false)
    lone.list[1].state, lone.list[1].weight = "ready", 1
    expect(settled.settled("web", "green", both.green)).to_be(false)
  end)

  test.it("says when there are too few servers, or a container cannot be reached", function()
    local many = { target("10.0.0.1"), target("10.0.0.2"), target("10.0.0.3") }
    local few = expect(function()
      proxy.admit("web", "blue", many)
    end).to_raise("rollout.proxy")
    expect(few.message).to_be("the backend web has 2 servers for blue, and web has 3 containers")
    local lost = traffic.haproxy(haproxy { "blue1" }, { web = { backend = "web", port = 80, network = "back" } })
    local problem = expect(function()
      lost.admit("web", "blue", both.blue)
    end).to_raise("rollout.proxy")
    expect(problem.message).to_be("the container web has no address on back")
  end)
end)

test.describe("rollout.traefik", function()
  test.it("writes a service for each colour that has a share", function()
    local written = {}
    local edge = {}
    function edge:set_services(name, list, options)
      table.insert(written, { name = name, list = list, rule = options.rule, routes = options.routes })
    end
    function edge:services()
      local last = written[#written]
      return if last then { { name = last.name, services = last.list } } else {}
    end
    local place = { service = "shop", port = 80, settle = 0, options = { rule = "Host(`shop.example.com`)" } }
    local proxy = traffic.traefik(edge, { web = place })
    local both = { blue = { target("10.0.0.1") }, green = { target("10.0.0.2"), target("10.0.0.3") } }
    proxy.weight("web", "green", 25, both)
    proxy.drain("web", "blue", both)
    local green = { "http://10.0.0.2:80", "http://10.0.0.3:80" }
    expect(written[1].name).to_be("shop")
    expect(written[1].rule).to_be("Host(`shop.example.com`)")
    expect(written[1].list).to_equal {
      { name = "blue", urls = { "http://10.0.0.1:80" }, weight = 75 },
      { name = "green", urls = green, weight = 25 },
    }
    expect(written[2].list).to_equal { { name = "green", urls = green, weight = 100 } }
    expect(proxy.sample("web", "green")).to_be(nil)
    expect(proxy.settled("web", "green", both.green)).to_be(true)
    expect(proxy.settled("web", "green", both.blue)).to_be(false)
    expect(proxy.settled("web", "green", { both.green[1] })).to_be(false)

    -- An A/B split: nobody but those with the header, before whatever routes there are.
    place.options.routes = { { to = "blue", cookie = "old", value = "1" } }
    proxy.weight("web", "green", 0, both, { header = "X-Beta", value = "1" })
    expect(written[3].list).to_equal {
      { name = "blue", urls = { "http://10.0.0.1:80" }, weight = 100 },
      { name = "green", urls = green, weight = 0 },
    }
    expect(written[3].routes).to_equal {
      { to = "green", header = "X-Beta", value = "1" },
      { to = "blue", cookie = "old", value = "1" },
    }
    place.options.rule = nil
    local problem = expect(function()
      proxy.check("web", 1, { header = "X-Beta", value = "1" })
    end).to_raise("rollout.proxy")
    expect(problem.message).to_be("the place of web has no rule, and only a router of its own can look at X-Beta")
  end)
end)
