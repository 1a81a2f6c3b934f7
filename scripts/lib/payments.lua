--!strict
-- Money that came in, from a payments API with Stripe's balance transactions.

local payments = {}

export type Money = { currency: string, gross: number, refunds: number, fees: number, net: number, payments: number }

-- Currencies whose amounts are not in hundredths.
local DIGITS: { [string]: number } = {}
for code in string.gmatch("bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf", "%a+") do
  DIGITS[code] = 0
end
for code in string.gmatch("bhd jod kwd omr tnd", "%a+") do
  DIGITS[code] = 3
end

-- A page has at most so many; after this many pages something else is wrong.
local PAGE, PAGES_MAX = 100, 200

-- 123456, "eur" as "1,234.56 EUR".
function payments.show(amount: number, currency: string): string
  local digits = DIGITS[currency] or 2
  local text = string.format(`%.{digits}f`, math.abs(amount) / 10 ^ digits)
  local whole, rest = string.match(text, "^(%d+)(.*)$")
  local grouped = string.gsub(string.reverse(whole :: string), "(%d%d%d)", "%1,")
  local shown = string.gsub(string.reverse(grouped), "^,", "")
  return `{if amount < 0 then "-" else ""}{shown}{rest} {string.upper(currency)}`
end

-- Adds up transactions by currency. Payouts only move what was earned, and are left out.
function payments.sum(transactions: { any }): { Money }
  local by_currency: { [string]: Money } = {}
  for _, one in transactions do
    if one.type ~= "payout" and one.type ~= "payout_cancel" and one.type ~= "payout_failure" then
      local sum = by_currency[one.currency]
        or { currency = one.currency, gross = 0, refunds = 0, fees = 0, net = 0, payments = 0 }
      by_currency[one.currency] = sum
      if one.type == "charge" or one.type == "payment" then
        sum.gross += one.amount
        sum.payments += 1
      elseif one.type == "refund" or one.type == "payment_refund" then
        sum.refunds -= one.amount
      end
      sum.fees += one.fee
      sum.net += one.net
    end
  end
  local sums = {}
  for _, sum in by_currency do
    table.insert(sums, sum)
  end
  table.sort(sums, function(a, b)
    return a.currency < b.currency
  end)
  return sums
end

-- All transactions in `[from, to)`, page by page. `authorization` is the whole header: `Bearer …`.
function payments.transactions(url: string, authorization: any, from: string, to: string): { any }
  local all, last = {}, nil
  for _ = 1, PAGES_MAX do
    local page = aegis.http.json(`{url}/v1/balance_transactions`, {
      headers = { Authorization = authorization },
      query = {
        limit = PAGE,
        ["created[gte]"] = math.floor(aegis.time.unix(from)),
        ["created[lt]"] = math.floor(aegis.time.unix(to)),
        starting_after = last,
      },
      timeout = "20s",
      retry = { attempts = 4 },
    })
    for _, one in page.data do
      table.insert(all, one)
    end
    if not page.has_more or #page.data == 0 then
      return all
    end
    last = page.data[#page.data].id
  end
  local message = `there are more than {PAGE * PAGES_MAX} transactions`
  error({ code = "payments.too_many", message = message, hint = "ask for a shorter time" })
end

return payments
