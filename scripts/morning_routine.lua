-- The morning's digest: how the containers are, what happened in the night, how old the backups are, what came in
-- yesterday and what is due today. It goes over the notification route `digest`, and by e-mail to whom `mail_to` names.
--
-- Its secrets are STRIPE_KEY and RESEND_KEY, the keys of the two services. A section that cannot be made says why, and
-- the others are as they were.

local day = require("@lib/day")
local digests = require("@lib/digests")
local payments = require("@lib/payments")
local report = require("@lib/report")

return aegis.job {
  description = "Tells how the night was: containers, alerts, failed runs, backups, revenue, today's schedule",
  schedule = { cron = "0 6 * * *" },
  timeout = "15m",
  overlap = "skip",
  resume = true,
  permissions = {
    docker = "read",
    fs = { backups = "read" },
    http = { "api.stripe.com", "api.resend.com" },
    notify = { "digest" },
    runs = { "*" },
    secrets = { "STRIPE_KEY", "RESEND_KEY" },
  },
  params = {
    zone = { type = "string", default = "UTC", description = "The time zone in which days begin" },
    night = { type = "duration", default = "12h", description = "How far back it looks" },
    backups = { type = "list", default = {}, description = "Folders of backups, such as backups:daily" },
    backup_age = { type = "duration", default = "26h", description = "How old the newest backup may be" },
    payments = { type = "string", default = "", description = "Such as https://api.stripe.com; none when empty" },
    route = { type = "string", default = "digest", description = "The notification route of the digest" },
    mail_to = { type = "list", default = {}, description = "E-mail addresses" },
    mail_from = { type = "string", default = "Aegis <aegis@example.com>", description = "The e-mail's sender" },
    mail_api = { type = "string", default = "https://api.resend.com", description = "Where e-mail is handed in" },
  },
  ui = { group = "Digests", button = "Tell me now" },

  run = function(ctx)
    local params = ctx.params
    local now = aegis.time.now()
    local since = aegis.time.add(now, -params.night)
    local yesterday, today = day.before(now, params.zone)

    local book = digests(ctx)
    book:section("Containers", report.containers)
    book:section("Alerts of the night", report.alerts, since, params.zone)
    book:section("Runs of the night", report.runs, since, params.zone)
    if #params.backups > 0 then
      book:section("Backups", report.backups, params.backups, params.backup_age)
    end
    if params.payments ~= "" then
      book:section("Revenue of yesterday", function(part)
        local authorization = aegis.secrets.get("STRIPE_KEY"):bearer()
        report.revenue(part, payments.transactions(params.payments, authorization, yesterday, today))
      end)
    end
    book:section("Today", report.schedule, day.start(aegis.time.add(today, "36h"), params.zone), params.zone)
    return book:send("Good morning")
  end,
}
