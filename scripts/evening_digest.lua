-- The evening's digest: what happened today, how the machine is, and what the night will do. It goes over the
-- notification route `digest`, and by e-mail to whom `mail_to` names. Its secret is RESEND_KEY, the e-mail service's key.

local day = require("@lib/day")
local digests = require("@lib/digests")
local report = require("@lib/report")

return aegis.job {
  description = "Tells how the day was: containers, alerts, runs, the machine, and what the night will do",
  schedule = { cron = "0 18 * * *" },
  timeout = "15m",
  overlap = "skip",
  resume = true,
  permissions = {
    docker = "read",
    host = "read",
    http = { "api.resend.com" },
    notify = { "digest" },
    runs = { "*" },
    secrets = { "RESEND_KEY" },
  },
  params = {
    zone = { type = "string", default = "UTC", description = "The time zone in which days begin" },
    route = { type = "string", default = "digest", description = "The notification route of the digest" },
    mail_to = { type = "list", default = {}, description = "E-mail addresses" },
    mail_from = { type = "string", default = "Aegis <aegis@example.com>", description = "The e-mail's sender" },
    mail_api = { type = "string", default = "https://api.resend.com", description = "Where e-mail is handed in" },
  },
  ui = { group = "Digests", button = "Tell me now" },

  run = function(ctx)
    local params = ctx.params
    local now = aegis.time.now()
    local today = day.start(now, params.zone)

    local book = digests(ctx)
    book:section("Containers", report.containers)
    book:section("Alerts of today", report.alerts, today, params.zone)
    book:section("Runs of today", report.runs, today, params.zone)
    book:section("The machine", report.machine)
    book:section("Tonight", report.schedule, aegis.time.add(now, "14h"), params.zone)
    return book:send("Good evening")
  end,
}
