local test = require("@std/test")
local expect = test.expect

local function morning(params, changes)
  local told = {}
  local fakes = {
    docker = { list = {} },
    alerts = { list = {} },
    jobs = { runs = {}, list = {} },
    fs = { list = { { name = "db", kind = "file", bytes = 1e6, modified_at = "2026-12-31T23:00:00Z" } } },
    http = {
      json = function(_, given)
        told.asked = given
        return { data = { { type = "charge", currency = "eur", amount = 1999, fee = 80, net = 1919 } }, has_more = false }
      end,
    },
    secrets = {
      get = function(name)
        return {
          bearer = function()
            return `Bearer {name}`
          end,
        }
      end,
    },
    notify = {
      routes = { { name = "digest" } },
      send = function(_, message)
        told.message = message
      end,
    },
  }
  for name, fake in changes or {} do
    fakes[name] = fake
  end
  local result, world = test.run("morning_routine.lua", { params = params, fakes = fakes, job = "morning_routine" })
  return result, told, world
end

local ALL = { backups = { "backups:daily" }, payments = "https://api.stripe.com" }

test.describe("morning_routine", function()
  test.it("tells everything that it was set up for", function()
    local result, told, world = morning(ALL)
    expect({ result.sections, result.level, #result.failed }).to_equal({ 6, "ok", 0 })
    local titles = { "CONTAINERS", "ALERTS OF THE NIGHT", "RUNS OF THE NIGHT", "BACKUPS", "REVENUE OF YESTERDAY", "TODAY" }
    for _, title in titles do
      expect(told.message.text).to_contain(title)
    end
    expect(told.message.text).to_contain("19.19 EUR")
    expect(told.message.title).to_be("Good morning: Friday, 1 January")
    expect(told.asked.headers.Authorization).to_be("Bearer STRIPE_KEY")
    expect(told.asked.query["created[lt]"] - told.asked.query["created[gte]"]).to_be(86400)
    expect(#world.progress).to_be(6)
  end)

  test.it("leaves out what it was not set up for", function()
    local result, told = morning()
    expect(result.sections).to_be(4)
    expect(string.find(told.message.text, "REVENUE", 1, true)).to_be(nil)
  end)

  test.it("loses no section when another cannot be made", function()
    local result, told = morning(ALL, {
      http = {
        json = function()
          error({ code = "http.status", message = "the payments API answered with 500" })
        end,
      },
      docker = {
        list = function()
          error({ code = "docker.unavailable", message = "no Docker" })
        end,
      },
    })
    expect(result.failed).to_equal({ "Containers", "Revenue of yesterday" })
    expect(result.level).to_be("warning")
    expect(told.message.text).to_contain("could not be made: no Docker")
    expect(told.message.text).to_contain("answered with 500")
    expect(told.message.text).to_contain("backups:daily: db")
  end)
end)
