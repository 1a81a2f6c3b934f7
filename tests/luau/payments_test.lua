local test = require("@std/test")
local payments = require("@lib/payments")
local expect = test.expect

local function paid(id, kind, currency, amount, fee)
  return { id = id, type = kind, currency = currency, amount = amount, fee = fee, net = amount - fee }
end

test.describe("payments.sum", function()
  test.it("adds up by currency, and leaves out what only moves money", function()
    local sums = payments.sum {
      paid("1", "charge", "usd", 1000, 59),
      paid("2", "payment", "eur", 2000, 80),
      paid("3", "refund", "eur", -500, 0),
      paid("4", "payout", "eur", -9000, 0),
      paid("5", "stripe_fee", "eur", -20, 0),
    }
    expect(sums).to_equal({
      { currency = "eur", gross = 2000, refunds = 500, fees = 80, net = 1400, payments = 1 },
      { currency = "usd", gross = 1000, refunds = 0, fees = 59, net = 941, payments = 1 },
    })
    expect(#payments.sum {}).to_be(0)
  end)
end)

test.describe("payments.show", function()
  test.it("knows where a currency has its point", function()
    expect(payments.show(123456789, "eur")).to_be("1,234,567.89 EUR")
    expect(payments.show(5, "usd")).to_be("0.05 USD")
    expect(payments.show(-100000, "usd")).to_be("-1,000.00 USD")
    expect(payments.show(123456, "jpy")).to_be("123,456 JPY")
    expect(payments.show(1234567, "kwd")).to_be("1,234.567 KWD")
  end)
end)

test.describe("payments.transactions", function()
  test.it("goes from page to page until there is none", function()
    local asked = {}
    local library = test.library("lib/payments.lua", {
      fakes = {
        http = {
          json = function(url, given)
            table.insert(asked, { url = url, query = given.query, headers = given.headers })
            if not given.query.starting_after then
              return { data = { paid("a", "charge", "eur", 1, 0), paid("b", "charge", "eur", 1, 0) }, has_more = true }
            end
            return { data = { paid("c", "charge", "eur", 1, 0) }, has_more = false }
          end,
        },
      },
    })
    local from, to = "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"
    local all = library.transactions("https://api.example", "Bearer x", from, to)
    expect({ #all, #asked }).to_equal({ 3, 2 })
    expect(asked[1].url).to_be("https://api.example/v1/balance_transactions")
    expect(asked[1].headers).to_equal({ Authorization = "Bearer x" })
    expect(asked[1].query).to_equal({ limit = 100, ["created[gte]"] = 1795219200, ["created[lt]"] = 1795305600 })
    expect(asked[2].query.starting_after).to_be("b")
  end)
end)
