local test = require("@std/test")
local expect = test.expect

test.describe("evening_digest", function()
  test.it("tells how the day was and what the night will do", function()
    local told
    local since = {}
    local result = test.run("evening_digest.lua", {
      job = "evening_digest",
      fakes = {
        docker = { list = {} },
        alerts = {
          list = function(given)
            table.insert(since, given.over_since)
            return {}
          end,
        },
        jobs = {
          runs = function(given)
            table.insert(since, given.since)
            return {}
          end,
          list = {
            { name = "ingest", enabled = true, schedules = { { text = "every day at 03:00 UTC", next_at = "2027-01-01T03:00:00Z" } } },
          },
        },
        host = { memory = { used_percent = 41 }, disks = {} },
        notify = {
          routes = { { name = "digest" } },
          send = function(_, message)
            told = message
          end,
        },
      },
    })
    expect({ result.sections, result.level }).to_equal({ 5, "ok" })
    expect(since).to_equal({ "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z" })
    expect(told.title).to_be("Good evening: Friday, 1 January")
    for _, part in { "memory: 41 %", "03:00  ingest", "RUNS OF TODAY" } do
      expect(told.text).to_contain(part)
    end
  end)
end)
