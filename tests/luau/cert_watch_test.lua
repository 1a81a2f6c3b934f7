local test = require("@std/test")
local expect = test.expect

local function look(options)
  local reports, asked = {}, {}
  local result, world = test.run("cert_watch.lua", {
    params = options.params,
    kv = options.kv,
    fakes = {
      host = {
        tls = function(host, given)
          table.insert(asked, `{host}:{given.port}`)
          local days = options.days[host]
          if not days then
            error({ code = "probe.refused", message = "connection refused" })
          end
          return { days_left = days, trusted = days > 0, chain = { { not_after = "2027-03-01T00:00:00Z", issuer = "CA" } } }
        end,
      },
      metrics = { record = function() end },
      alerts = {
        report = function(finding)
          table.insert(reports, finding)
        end,
      },
    },
  })
  return result, reports, asked, world
end

test.describe("cert_watch", function()
  test.it("raises an alert before a certificate ends, and ends it when there is a new one", function()
    local kv = {}
    local hosts = { hosts = { "a.example", "b.example:465" } }
    local result, reports, asked = look { params = hosts, kv = kv, days = { ["a.example"] = 60, ["b.example"] = 5 } }
    expect(asked).to_equal({ "a.example:443", "b.example:465" })
    expect(#result.certificates).to_be(2)
    expect(result.certificates[2].days_left).to_be(5)
    expect(#reports).to_be(1)
    expect(reports[1].severity).to_be("critical")
    expect(reports[1].labels).to_equal({ host = "b.example:465" })
    local again, ended = look { params = hosts, kv = kv, days = { ["a.example"] = 60, ["b.example"] = 90 } }
    expect({ again.cleared, ended[1].ok }).to_equal({ 1, true })
  end)

  test.it("takes its servers from the store when none are named, and says which do not answer", function()
    local result, reports = look { kv = { ["job/hosts"] = { "gone.example" } }, days = {} }
    expect(result.certificates[1].problem).to_be("connection refused")
    expect(reports[1].summary).to_contain("could not be seen")
    expect(#look({ days = {} }).certificates).to_be(0)
  end)
end)
