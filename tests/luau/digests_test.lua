local test = require("@std/test")
local expect = test.expect

local PARAMS = { zone = "UTC", route = "digest", mail_to = { "ops@example.com" }, mail_from = "Aegis <a@example.com>" }
PARAMS.mail_api = "https://mail.example"

-- A digest of one section. `send` and `post` answer for the route and for the e-mail.
local function bring(send, post, params)
  local digests, world, ctx = test.library("lib/digests.lua", {
    resume = true,
    params = params or PARAMS,
    job = "morning",
    fakes = {
      notify = { routes = { { name = "digest" } }, send = send },
      http = { post = post },
      secrets = {
        get = function(name)
          return {
            bearer = function()
              return `Bearer {name}`
            end,
          }
        end,
      },
    },
  })
  local book = digests(ctx)
  book:section("Disks", function(section, word)
    section:item(word)
  end, "well")
  local ok, result = aegis.try(book.send, book, "Good day")
  return ok, result, world
end

local function refuse()
  error({ code = "x.down", message = "it is down" })
end

test.describe("digests", function()
  test.it("goes over the route and by e-mail, and stays with the run", function()
    local told, mailed
    local ok, result, world = bring(function(route, message)
      told = { route = route, message = message }
    end, function(url, given)
      mailed = { url = url, given = given }
      return { ok = true, status = 200 }
    end)
    expect(ok).to_be(true)
    expect(result.sent).to_equal({ route = "sent", ["e-mail"] = "sent" })
    expect(told.message).to_equal({ title = "Good day: Friday, 1 January", text = "DISKS\n- well", severity = "info" })
    expect(mailed.url).to_be("https://mail.example/emails")
    expect(mailed.given.headers.Authorization).to_be("Bearer RESEND_KEY")
    expect(mailed.given.headers["Idempotency-Key"]).to_match("^morning/")
    expect(mailed.given.json.to).to_equal({ "ops@example.com" })
    expect(mailed.given.json.html).to_contain("<h1")
    expect(world.artifacts["digest.html"].media_type).to_be("text/html")
    expect(#world.steps).to_be(3)
  end)

  test.it("reaches people by one way when the other is down, and fails when both are", function()
    local function accept()
      return { ok = true }
    end
    local ok, result = bring(refuse, accept)
    expect({ ok, result.sent.route, result.sent["e-mail"] }).to_equal({ true, "it is down", "sent" })
    ok, result = bring(accept, function()
      return { ok = false, status = 422, body = "no such sender" }
    end)
    expect(ok).to_be(true)
    expect(result.sent["e-mail"]).to_contain("no such sender")
    ok, result = bring(refuse, refuse)
    expect({ ok, result.code }).to_equal({ false, "x.down" })
  end)

  test.it("says when there is no such route, and sends no e-mail to nobody", function()
    local params = table.clone(PARAMS)
    params.route, params.mail_to = "other", {}
    local ok, result, world = bring(refuse, refuse, params)
    expect({ ok, result.sent.route }).to_equal({ true, "no route" })
    expect(world.logs[1].text).to_contain("notify.routes")
  end)
end)
